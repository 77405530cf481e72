"""How hidden states are kept on disk: each token's values as bytes in a few planes, and back.

Every token is encoded on its own, so that any run of tokens can be cut out of a plane.

Shapes: T tokens, W values per token, N bytes per token of a plane.
"""

from typing import Literal

import torch
from torch import Tensor

Encoding = Literal["bf16"]


def planes_of(encoding: Encoding, width: int) -> dict[str, int]:
    """Plane -> bytes per token, for `width` values per token."""
    return {"bf16": {"values": 2 * width}}[encoding]


def encode(states_TW: Tensor, encoding: Encoding) -> dict[str, Tensor]:
    """Plane -> [T, N] uint8, on the device of the states."""
    return {"values": states_TW.to(torch.bfloat16).contiguous().view(torch.uint8)}


def decode(planes: dict[str, Tensor], encoding: Encoding, width: int) -> Tensor:
    """The states [T, W] bfloat16 of planes [T, N] uint8."""
    return planes["values"].view(torch.bfloat16)
