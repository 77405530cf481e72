"""Batched generation with transformers: token ids in, token ids out.

Prompts are left-padded to the longest of their batch; callers sort by length so that little is padded.
"""

from collections.abc import Sequence
from typing import Any

import torch

from eyrie.engines.target import TargetModel


def generate_batch(
    target: TargetModel,
    prompts: Sequence[list[int]],
    *,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
) -> list[list[int]]:
    """Answer each prompt. An answer ends with its stop token, or holds `max_new_tokens` ids without one.

    `temperature` 0 is greedy; otherwise the batch is sampled from `seed`.
    """
    width = max(len(prompt) for prompt in prompts)
    pad_id = min(target.stop_token_ids)  # masked out; any id of the vocabulary will do
    input_ids = torch.full((len(prompts), width), pad_id, dtype=torch.int64)
    attention_mask = torch.zeros_like(input_ids)
    for row, prompt in enumerate(prompts):
        input_ids[row, width - len(prompt) :] = torch.tensor(prompt)
        attention_mask[row, width - len(prompt) :] = 1
    torch.manual_seed(seed)
    sampling: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    if temperature > 0:
        sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
    with torch.inference_mode():
        output = target.model.generate(
            input_ids=input_ids.to(target.device),
            attention_mask=attention_mask.to(target.device),
            max_new_tokens=max_new_tokens,
            eos_token_id=sorted(target.stop_token_ids),
            pad_token_id=pad_id,
            **sampling,
        )
    return [_until_stop(answer, target.stop_token_ids) for answer in output[:, width:].tolist()]


def _until_stop(ids: list[int], stop_ids: frozenset[int]) -> list[int]:
    for index, token in enumerate(ids):
        if token in stop_ids:
            return ids[: index + 1]
    return ids
