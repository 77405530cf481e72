"""A forward of many sequences laid end to end: no padding, no mask, and no sequence sees another.

In: token ids of several sequences. Out: the hidden states of exactly those tokens. Linear layers run on all tokens at
once; attention runs per sequence, by the model's own SDPA function, which then needs no mask.

Some cannot be packed and run one at a time: sequences longer than an attention window, whose mask is the model's
business, and all sequences of targets with other layers that mix tokens (recurrent, convolutional). Whether a target is
one of those is tried, not looked up in a list of models (`can_pack`).

Shapes: T tokens of all sequences, H hidden size.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

from eyrie.engines.target import TargetModel, capture_layers

PACKED = "eyrie_packed"
PROBE_TOKENS = 16
PROBE_ERROR = 0.1  # of a state's norm; rounding stays below, another sequence's influence does not

_BOUNDS: ContextVar[list[tuple[int, int]]] = ContextVar("bounds")


@dataclass(frozen=True)
class States:
    """What a forward yields for the tokens of all its sequences: `aux_TE` [T, 3H], `last_TH` [T, H], bfloat16."""

    aux_TE: Tensor
    last_TH: Tensor


def forward_states(
    target: TargetModel, layer_ids: list[int], sequences: Sequence[Sequence[int]], *, pack: bool
) -> States:
    """The outputs of layers `layer_ids`, side by side, and the input of lm_head. `pack` False runs them one by one."""
    groups = _groups(target, sequences) if pack else [[ids] for ids in sequences]
    parts = [_forward(target, layer_ids, group) for group in groups]
    if len(parts) == 1:
        return parts[0]
    return States(torch.cat([part.aux_TE for part in parts]), torch.cat([part.last_TH for part in parts]))


def can_pack(target: TargetModel, layer_ids: list[int], sequences: Sequence[Sequence[int]]) -> bool:
    """Whether a sequence's states stay what they are when another one lies before it, tried on the first two."""
    probe = [ids[:PROBE_TOKENS] for ids in sequences[:2]]
    if len(probe) < 2:
        return True
    alone = _forward(target, layer_ids, probe[1:]).aux_TE.float()
    try:
        packed = _forward(target, layer_ids, probe).aux_TE[len(probe[0]) :].float()
    except (ValueError, TypeError, NotImplementedError):  # a model whose attention cannot be replaced
        return False
    different = (packed - alone).norm(dim=-1) > PROBE_ERROR * alone.norm(dim=-1)
    return int(different.sum()) <= 1  # one token of a mixture of experts may be routed otherwise by rounding


def _groups(target: TargetModel, sequences: Sequence[Sequence[int]]) -> list[list[Sequence[int]]]:
    """Consecutive sequences to be run together; one longer than an attention window runs alone."""
    windows = [getattr(target.config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    longest = min((window for window in windows if window), default=None)
    groups: list[list[Sequence[int]]] = []
    open_ended = False
    for ids in sequences:
        fits = longest is None or len(ids) <= longest
        if fits and open_ended:
            groups[-1].append(ids)
        else:
            groups.append([ids])
        open_ended = fits
    return groups


def _forward(target: TargetModel, layer_ids: list[int], sequences: Sequence[Sequence[int]]) -> States:
    input_ids = torch.tensor([[token for ids in sequences for token in ids]], device=target.device)
    positions = torch.cat([torch.arange(len(ids)) for ids in sequences])[None].to(target.device)
    with torch.inference_mode(), capture_layers(target, layer_ids) as captured:
        if len(sequences) == 1:
            last = target.forward(input_ids, use_cache=False)
        else:
            with _attention_within(target, [len(ids) for ids in sequences]):
                last = target.forward(input_ids, position_ids=positions, use_cache=False)
        aux = torch.cat([captured[layer_id][0].to(torch.bfloat16) for layer_id in layer_ids], dim=-1)
    return States(aux, last[0].to(torch.bfloat16))


@contextmanager
def _attention_within(target: TargetModel, lengths: Sequence[int]) -> Iterator[None]:
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(PACKED, _packed_attention)
    AttentionMaskInterface.register(PACKED, _no_mask)
    before = target.config._attn_implementation
    token = _BOUNDS.set(list(pairwise(accumulate(lengths, initial=0))))
    target.model.set_attn_implementation(PACKED)
    try:
        yield
    finally:
        target.model.set_attn_implementation(before)
        _BOUNDS.reset(token)


def _no_mask(*_args: Any, **_kwargs: Any) -> None:
    """Causal attention over one whole sequence needs no mask."""


def _packed_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, _mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """The SDPA function of transformers, sequence by sequence. `query` [1, heads, T, size] -> [1, T, heads, size]."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    outputs = [
        sdpa_attention_forward(
            module, query[:, :, begin:end], key[:, :, begin:end], value[:, :, begin:end], None, **kwargs
        )[0]
        for begin, end in _BOUNDS.get()
    ]
    return torch.cat(outputs, dim=1), None
