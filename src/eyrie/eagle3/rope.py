"""Rotary position embedding of the head, in any of transformers' variants (default, linear, llama3, yarn ...).

Shapes: B batch, T tokens, N heads, D head dimension. Pairs are (i, i + D/2), as in Llama.
"""

import torch
from torch import Tensor
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from eyrie.eagle3.config import HeadConfig, HeadConfigError

Rotation = tuple[Tensor, Tensor]  # cos and signed sin, [B, T, 1, D] each


def signed_frequencies(config: HeadConfig) -> tuple[Tensor, float]:
    """Frequencies [D] float32, the first half negated, and the scale of cos and sin.

    sin is odd and cos even, so one product `position * frequency` gives cos for both halves and the signed sin that
    rotates (x1, x2) into (-x2, x1). Raises HeadConfigError where the rope_parameters make none.
    """
    rope = config.rope_parameters
    if rope["rope_type"] == "default":
        exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
        half, scale = 1.0 / rope["rope_theta"] ** exponents, 1.0
    elif rope["rope_type"] not in [*ROPE_INIT_FUNCTIONS]:
        raise HeadConfigError(f"rope_type is {rope['rope_type']}, none of default, {', '.join(ROPE_INIT_FUNCTIONS)}")
    else:
        try:
            half, scale = _frequencies_of_transformers(config)
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:  # a setting that is missing or of no use
            raise HeadConfigError(f"rope_parameters is {rope}: {error.args[0]}") from None
    return torch.cat([-half, half]), float(scale)


def _frequencies_of_transformers(config: HeadConfig) -> tuple[Tensor, float]:
    llama = LlamaConfig(
        head_dim=config.head_dim,
        hidden_size=config.hidden_size,
        num_attention_heads=config.num_attention_heads,
        max_position_embeddings=config.max_position_embeddings,
        rope_parameters=dict(config.rope_parameters),
    )
    with torch.device("cpu"):  # also where the head is made without data, on the meta device
        half, scale = ROPE_INIT_FUNCTIONS[config.rope_parameters["rope_type"]](llama, torch.device("cpu"))
    return half, scale


def cos_sin(positions_BT: Tensor, frequencies_D: Tensor, scale: float) -> Rotation:
    """What `rotate` needs. Positions count from 0 in each sequence."""
    angles_BT1D = positions_BT[..., None, None] * frequencies_D
    cos_BT1D, sin_BT1D = angles_BT1D.cos(), angles_BT1D.sin()
    return (cos_BT1D, sin_BT1D) if scale == 1.0 else (cos_BT1D * scale, sin_BT1D * scale)


def rotate(x_BTND: Tensor, rotation: Rotation) -> Tensor:
    """Rotate every head of `x` by its token's angle."""
    cos_BT1D, sin_BT1D = rotation
    swapped = x_BTND.roll(x_BTND.shape[-1] // 2, -1)
    return torch.addcmul(x_BTND * cos_BT1D, swapped, sin_BT1D).to(x_BTND.dtype)
