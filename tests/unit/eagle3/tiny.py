"""A head small enough to check by hand, and random documents for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig

from eyrie.eagle3.batches import Document
from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.logits import LogitScaling
from eyrie.eagle3.teacher import Teacher
from eyrie.eagle3.vocab import build_vocab
from eyrie.tables import teacher_positions

VOCAB, DRAFT_VOCAB, HIDDEN = 40, 16, 24


def target_config(**changes: object) -> LlamaConfig:
    values = {
        "hidden_size": HIDDEN,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "num_hidden_layers": 8,
        "vocab_size": VOCAB,
        "intermediate_size": 32,
        "max_position_embeddings": 128,
        "bos_token_id": 1,
        "eos_token_id": [2, 3],
    }
    return LlamaConfig(**{**values, **changes})


@dataclass
class Tiny:
    head: Eagle3Head
    embedding_VH: Tensor
    teacher: Teacher


KINDS: dict[str, dict[str, Any]] = {  # of head; each draws on code of its own
    "eagle3": {},
    "eagle3.1": {"fc_norm": True, "norm_output": True},
    "three layers": {"num_hidden_layers": 3},
    "narrower than the target": {"hidden_size": 20},
}


def tiny(
    dtype: torch.dtype = torch.float64, seed: int = 0, kind: dict[str, Any] | None = None, **changes: object
) -> Tiny:
    """A random head whose draft vocabulary is every id with an odd count, norms not at one."""
    generator = torch.Generator().manual_seed(seed)
    config = HeadConfig.from_target(
        target_config(**changes), draft_vocab_size=DRAFT_VOCAB, intermediate_size=20, **(kind or {})
    )
    head = Eagle3Head(config)
    with torch.no_grad():
        for parameter in head.parameters():
            scale = 0.4 if parameter.dim() > 1 else 0.2
            noise = torch.randn(parameter.shape, generator=generator) * scale
            parameter.copy_(noise if parameter.dim() > 1 else 1 + noise)
    counts = torch.randint(0, 20, (VOCAB,), generator=generator)
    vocab = build_vocab(counts, draft_vocab_size=DRAFT_VOCAB, always=frozenset({2, 3}))
    head.set_vocab(vocab)
    embedding_VH = torch.randn(VOCAB, HIDDEN, generator=generator).to(dtype)
    lm_head_VH = torch.randn(VOCAB, HIDDEN, generator=generator).to(dtype)
    return Tiny(head.to(dtype), embedding_VH, Teacher(lm_head_VH, LogitScaling(), vocab.target_ids))


def document(length: int, spans: list[tuple[int, int]], seed: int = 0) -> Document:
    generator = torch.Generator().manual_seed(seed)
    return Document(
        prompt_id=f"document {seed}",
        input_ids=torch.randint(0, VOCAB, (length,), generator=generator),
        aux=torch.randn(length, 3 * HIDDEN, generator=generator).bfloat16(),
        teachers=torch.randn(len(teacher_positions(spans)), HIDDEN, generator=generator).bfloat16(),
        spans=tuple(spans),
    )


def teacher_at(doc: Document, position: int) -> Tensor:
    """The last hidden state [H] at `position`, a view."""
    return doc.teachers[teacher_positions(doc.spans).index(position)]


class GrowingCache:
    """A key/value cache that keeps gradients."""

    def __init__(self) -> None:
        self.keys: dict[int, list[Tensor]] = {}
        self.values: dict[int, list[Tensor]] = {}

    def update(self, layer: int, keys_BGTD: Tensor, values_BGTD: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = self.keys.setdefault(layer, []), self.values.setdefault(layer, [])
        keys.append(keys_BGTD)
        values.append(values_BGTD)
        return torch.cat(keys, 2), torch.cat(values, 2)


def drafted_hidden(made: Tiny, doc: Document, row: int, num_steps: int) -> list[Tensor]:
    """g_1 ... g_K [H] of one row as serving computes it: prefill rows 0..row, then one draft step at a time."""
    head, embedding = made.head, made.embedding_VH
    cache = GrowingCache()
    context = slice(0, row + 1)
    hidden = head(
        head.embed(doc.input_ids[1 : row + 2], embedding)[None],
        head.fuse(doc.aux[context].to(embedding.dtype))[None],
        torch.arange(row + 1)[None],
        cache=cache,
        mask_B1TS=None,
    )[:, -1:]
    outputs = [hidden[0, 0]]
    for step in range(1, num_steps):
        token = doc.input_ids[row + 1 + step]
        embeds = head.embed(token, embedding)[None, None]
        hidden = head(embeds, hidden, torch.tensor([[row + step]]), cache=cache, mask_B1TS=None)
        outputs.append(hidden[0, 0])
    return outputs


class MemoryBatches:
    """`DocumentBatches` over documents in memory: endless epochs, each in an order that only seed and epoch decide.

    Process `rank` of `world_size` takes every `world_size`-th batch, so that all of them together read what one would.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        *,
        seed: int,
        batch_tokens: int,
        rank: int = 0,
        world_size: int = 1,
        start: Any = None,
    ) -> None:
        self._documents, self._seed, self._batch_tokens = documents, seed, batch_tokens
        self._rank, self._world_size = rank, world_size
        self._epoch, self._taken = start or (0, 0)
        self._plan = self._plan_epoch()

    @property
    def position(self) -> list[int]:
        """Epoch, and how many of its batches all processes together have taken."""
        return [self._epoch, self._taken]

    def __next__(self) -> list[Document]:
        turns = [self._turn() for _ in range(self._world_size)]
        return [self._documents[index] for index in turns[self._rank]]

    def close(self) -> None:
        pass

    def _turn(self) -> list[int]:
        if self._taken == len(self._plan):
            self._epoch, self._taken = self._epoch + 1, 0
            self._plan = self._plan_epoch()
        self._taken += 1
        return self._plan[self._taken - 1]

    def _plan_epoch(self) -> list[list[int]]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        order = torch.randperm(len(self._documents), generator=generator).tolist()
        batches: list[list[int]] = [[]]
        for index in order:
            if batches[-1] and sum(len(self._documents[i]) for i in [*batches[-1], index]) > self._batch_tokens:
                batches.append([])
            batches[-1].append(index)
        return batches
