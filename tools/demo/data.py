"""Training batches of the demo target.

In: the stream of conversations. Out: `Batch` of ids [B, T] and loss weights [B, T]. Conversations
are neither packed nor cut: those of similar length share a batch, so that every conversation is
seen exactly as serving will show it, from position 0. Batches are a function of the seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from transformers import PreTrainedTokenizerFast

from tools.demo.generator import Sample, samples, system_prompt
from tools.demo.tokenizer import HEADER_END, HEADER_START, PAD, TURN_END

PROMPT_WEIGHT = 0.02  # a little loss on prompts teaches the words that prompts hold
CHUNK = 1024  # conversations that are sorted by length together


@dataclass(frozen=True)
class Batch:
    """ids [B, T] int64; weights [B, T] float: the loss weight of predicting ids[b, t]."""

    ids_BT: torch.Tensor
    weights_BT: torch.Tensor


def encode(tokenizer: PreTrainedTokenizerFast, made: Sample, system: str | None) -> tuple[list[int], list[float]]:
    """Ids and loss weights of one conversation: 1 on assistant text and its end of turn."""
    ids: list[int] = tokenizer.apply_chat_template(made.messages(system), tokenize=True, return_dict=False)
    start, end, turn_end, assistant = tokenizer.convert_tokens_to_ids([HEADER_START, HEADER_END, TURN_END, "assistant"])
    weights, inside, header = [], False, True
    for at, token in enumerate(ids):
        weights.append(1.0 if inside else PROMPT_WEIGHT * (not header))
        if token == start:
            header, inside = True, False
            speaks = ids[at + 1] == assistant
        elif header and at >= 2 and ids[at - 1] == end:  # the blank line that ends a header
            header, inside = False, speaks
        elif token == turn_end:
            header, inside = True, False
    return ids, weights


def batches(tokenizer: PreTrainedTokenizerFast, seed: int, tokens: int) -> Iterator[Batch]:
    """Endless batches of at most about `tokens` positions each, padding included."""
    stream, rng = samples(seed), random.Random(f"batches {seed}")
    pad = tokenizer.convert_tokens_to_ids(PAD)
    while True:
        rows = [encode(tokenizer, made, system_prompt(rng)) for made in islice(stream, CHUNK)]
        rows.sort(key=lambda row: len(row[0]))
        groups: list[list[tuple[list[int], list[float]]]] = [[]]
        for row in rows:
            if groups[-1] and (len(groups[-1]) + 1) * len(row[0]) > tokens:
                groups.append([])
            groups[-1].append(row)
        rng.shuffle(groups)
        for group in groups:
            width = max(len(ids) for ids, _ in group)
            yield Batch(
                torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in group]),
                torch.tensor([w + [0.0] * (width - len(w)) for _, w in group]),
            )
