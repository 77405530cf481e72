"""A forward of many sequences laid end to end: no padding, and no sequence sees another.

In: token ids of several sequences. Out: the hidden states of exactly those tokens. Linear layers run on all tokens at
once; attention runs per sequence, by the model's own attention function and with the masks that transformers makes for
that sequence alone: none for causal SDPA, a window or a chunk where a layer has one, whatever eager attention needs.

Targets with other layers that mix tokens (recurrent, convolutional) cannot be packed; their sequences run one at a
time. Whether a target is one of those is tried, not looked up in a list of models (`can_pack`).

Shapes: T tokens of all sequences, H hidden size.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

from eyrie.engines.target import TargetModel, capture_layers, untuned_length

PACKED = "eyrie_packed"
PROBE_TOKENS = 16
PROBE_ERROR = 0.1  # of a state's norm; rounding stays below, another sequence's influence does not


@dataclass(frozen=True)
class _Layout:
    """Where each sequence begins and ends, and the attention implementation that the model has by itself."""

    bounds: list[tuple[int, int]]
    implementation: str


_LAYOUT: ContextVar[_Layout] = ContextVar("layout")


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
    except (ValueError, TypeError, AttributeError, NotImplementedError):  # whose attention cannot be replaced
        return False
    different = (packed - alone).norm(dim=-1) > PROBE_ERROR * alone.norm(dim=-1)
    return int(different.sum()) <= 1  # one token of a mixture of experts may be routed otherwise by rounding


def _groups(target: TargetModel, sequences: Sequence[Sequence[int]]) -> list[list[Sequence[int]]]:
    """Consecutive sequences to be run together: all of them, but for `untuned_length`."""
    longest = untuned_length(target.config)
    if longest is None:
        return [list(sequences)]
    groups: list[list[Sequence[int]]] = []
    room = 0
    for ids in sequences:
        if len(ids) <= room:
            groups[-1].append(ids)
        else:
            groups.append([ids])
            room = longest
        room -= len(ids)
    return groups


def _forward(target: TargetModel, layer_ids: list[int], sequences: Sequence[Sequence[int]]) -> States:
    input_ids = torch.tensor([[token for ids in sequences for token in ids]], device=target.device)
    positions = torch.cat([torch.arange(len(ids)) for ids in sequences])[None].to(target.device)
    with torch.inference_mode(), capture_layers(target, layer_ids) as captured:
        if len(sequences) == 1:
            last = target.forward(input_ids, use_cache=False)
        else:
            with _attention_within(target, [len(ids) for ids in sequences]):
                # an explicit mask of ones: without one transformers looks for packed sequences in the positions, and
                # adds them to its masks a second time
                ones = torch.ones_like(input_ids)
                last = target.forward(input_ids, attention_mask=ones, position_ids=positions, use_cache=False)
        aux = torch.cat([captured[layer_id][0].to(torch.bfloat16) for layer_id in layer_ids], dim=-1)
    return States(aux, last[0].to(torch.bfloat16))


@contextmanager
def _attention_within(target: TargetModel, lengths: Sequence[int]) -> Iterator[None]:
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(PACKED, _packed_attention)
    AttentionMaskInterface.register(PACKED, _packed_masks)
    decoder = target.decoder
    before = target.config._attn_implementation
    token = _LAYOUT.set(_Layout(list(pairwise(accumulate(lengths, initial=0))), before))
    decoder.set_attn_implementation(PACKED)
    try:
        yield
    finally:
        decoder.set_attn_implementation(before)
        _LAYOUT.reset(token)


def _packed_masks(**kwargs: Any) -> tuple[Any, ...]:
    """What transformers makes for each sequence alone, of the same kind of layer; the layers hand it on unread."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    layout = _LAYOUT.get()
    one = ALL_MASK_ATTENTION_FUNCTIONS[layout.implementation]
    alone = {"batch_size": 1, "q_offset": 0, "kv_offset": 0, "attention_mask": None}
    lengths = [end - begin for begin, end in layout.bounds]
    masks = {length: one(**{**kwargs, **alone, "q_length": length, "kv_length": length}) for length in set(lengths)}
    return tuple(masks[length] for length in lengths)


def _packed_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, masks: tuple[Any, ...], **kwargs: Any
) -> tuple[Tensor, None]:
    """The model's own attention, sequence by sequence. `query` [1, heads, T, size] -> [1, T, heads, size]."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    layout = _LAYOUT.get()
    eager = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    attend = ALL_ATTENTION_FUNCTIONS.get_interface(layout.implementation, eager)
    outputs = [
        attend(module, query[:, :, begin:end], key[:, :, begin:end], value[:, :, begin:end], mask, **kwargs)[0]
        for (begin, end), mask in zip(layout.bounds, masks, strict=True)
    ]
    return torch.cat(outputs, dim=1), None
