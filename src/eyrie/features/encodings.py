"""How hidden states are kept on disk: each token's values as bytes in a few planes, and back.

`bf16` is exact. `int8` and `int4` are made for what hidden states of real LLMs look like: a few values are a thousand
times the others (massive activations, arXiv:2402.17762), and some channels are always large. So of each state vector

1. the H/512 largest values (at least 4) are set apart, exactly, with their channels;
2. the rest is rotated in groups of 32 channels by a Hadamard matrix, which spreads what is still large (as QuaRot does,
   arXiv:2404.00456);
3. each group is rounded to 2^b levels, its scale such that its largest value, whatever its sign, is the level -2^(b-1)
   (as llama.cpp's Q4_0 does), which makes use of all levels.

A head's input can do with less than its teacher, which becomes logits: `int4` keeps the last hidden state in 8 bits.
Every token is encoded on its own, so any run of tokens can be cut out of the planes.

Shapes: T tokens, L states per token, H hidden size, G = H/32 groups, N bytes per token of a plane.
"""

import math
from functools import cache
from typing import Literal

import torch
from torch import Tensor

Encoding = Literal["bf16", "int8", "int4"]
States = Literal["aux", "last"]
GROUP = 32
CHUNK_VALUES = 2**19  # a chunk's intermediate float32 values stay in a processor's cache


def num_bits(encoding: Encoding, states: States) -> int:
    """Bits per value, outliers and scales apart."""
    return {"bf16": 16, "int8": 8, "int4": 4 if states == "aux" else 8}[encoding]


def num_outliers(hidden_size: int) -> int:
    """Values of one state vector that are kept exactly."""
    return max(4, hidden_size // 512)


def planes_of(bits: int, num_states: int, hidden_size: int) -> dict[str, int]:
    """Plane -> bytes per token. Raises ValueError when the hidden size cannot be cut into groups."""
    if bits == 16:
        return {"values": 2 * num_states * hidden_size}
    if hidden_size % GROUP or hidden_size > 2**16:
        raise ValueError(
            f"extract_features.encoding: int8 and int4 need a hidden size that is a multiple of {GROUP} and at most "
            f"{2**16}, the target's is {hidden_size}; use bf16"
        )
    outliers = 2 * num_states * num_outliers(hidden_size)
    return {
        "codes": num_states * hidden_size * bits // 8,
        "scales": 2 * num_states * (hidden_size // GROUP),
        "outlier_channels": outliers,
        "outlier_values": outliers,
    }


def encode(states_TLH: Tensor, bits: int) -> dict[str, Tensor]:
    """Plane -> [T, N] uint8, on the device of the states. A NaN or an infinity spoils its whole group, visibly."""
    if bits == 16:
        return {"values": _as_bytes(states_TLH.to(torch.bfloat16))}
    chunks = [_encode_chunk(chunk, bits) for chunk in torch.split(states_TLH, _chunk_tokens(*states_TLH.shape[1:]))]
    return {plane: torch.cat([chunk[plane] for chunk in chunks]) for plane in planes_of(bits, *states_TLH.shape[1:])}


def decode(planes: dict[str, Tensor], bits: int, num_states: int, hidden_size: int) -> Tensor:
    """The states [T, L * H] bfloat16 of planes [T, N] uint8, on their device."""
    if bits == 16:
        return planes["values"].view(torch.bfloat16)
    num_tokens = len(planes["codes"])
    out = torch.empty(num_tokens, num_states, hidden_size, dtype=torch.bfloat16, device=planes["codes"].device)
    step = _chunk_tokens(num_states, hidden_size)
    for begin in range(0, num_tokens, step):
        chunk = slice(begin, begin + step)
        _decode_chunk({plane: values[chunk] for plane, values in planes.items()}, bits, out[chunk])
    return out.flatten(1)


def _encode_chunk(states_TLH: Tensor, bits: int) -> dict[str, Tensor]:
    num_tokens, num_states, hidden_size = states_TLH.shape
    values = states_TLH.to(torch.bfloat16).float()
    channels = values.abs().topk(num_outliers(hidden_size), dim=-1).indices
    outliers = values.gather(-1, channels)
    values = values.scatter(-1, channels, 0.0)
    num_groups = hidden_size // GROUP  # said rather than inferred: of no tokens nothing can be inferred
    grouped = values.view(num_tokens, num_states, num_groups, GROUP) @ _hadamard(values.device)
    highest, lowest = grouped.amax(-1, keepdim=True), grouped.amin(-1, keepdim=True)
    extremes = torch.where(highest > -lowest, highest, lowest)
    top = 2 ** (bits - 1)
    scales = (extremes / -top).to(torch.bfloat16)
    inverse = torch.where(scales == 0, 0.0, 1.0 / scales.float())
    codes = (grouped * inverse).round_().clamp_(-top, top - 1).add_(top).to(torch.uint8).view(values.shape)
    if bits == 4:  # the low half of the channels in the low half of the bytes
        low, high = codes.chunk(2, dim=-1)
        codes = low | high << 4
    return {
        "codes": _as_bytes(codes),
        "scales": _as_bytes(scales.squeeze(-1)),
        "outlier_channels": _as_bytes((channels - 2**15).to(torch.int16)),
        "outlier_values": _as_bytes(outliers.to(torch.bfloat16)),
    }


def _decode_chunk(planes: dict[str, Tensor], bits: int, out_TLH: Tensor) -> None:
    """Fill `out_TLH`."""
    num_tokens, num_states, hidden_size = out_TLH.shape
    codes = planes["codes"].view(num_tokens, num_states, -1)
    values = torch.empty(out_TLH.shape, device=codes.device)
    if bits == 4:
        values[..., : hidden_size // 2] = codes & 15
        values[..., hidden_size // 2 :] = codes >> 4
    else:
        values.copy_(codes)
    grouped = (values.view(-1, GROUP) @ _hadamard(codes.device)).view(num_tokens, num_states, -1, GROUP)
    grouped[..., 0] -= 2 ** (bits - 1) * math.sqrt(GROUP)  # what a constant shift of all codes amounts to, rotated
    scales = planes["scales"].view(torch.bfloat16).view(num_tokens, num_states, -1, 1)
    out_TLH.view(grouped.shape).copy_(grouped.mul_(scales))
    channels = planes["outlier_channels"].view(torch.int16).view(num_tokens, num_states, -1).long() + 2**15
    outliers = planes["outlier_values"].view(torch.int16).view(channels.shape)
    out_TLH.view(torch.int16).scatter_(-1, channels, outliers)  # of bfloat16 it takes fifty times as long on a CPU


def _chunk_tokens(num_states: int, hidden_size: int) -> int:
    return max(1, CHUNK_VALUES // (num_states * hidden_size))


def _as_bytes(values: Tensor) -> Tensor:
    return values.contiguous().flatten(1).view(torch.uint8)


@cache
def _hadamard(device: torch.device) -> Tensor:
    """[32, 32], orthogonal and symmetric: its own inverse."""
    matrix = torch.ones(1, 1)
    while len(matrix) < GROUP:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    return (matrix / math.sqrt(GROUP)).to(device)
