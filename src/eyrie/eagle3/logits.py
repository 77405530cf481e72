"""What a target does to the product of its last hidden states and its output matrix before they are its logits."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

# Of transformers' configurations: Cohere's, Falcon-H1's, Muse's.
_FACTORS = ("logit_scale", "lm_head_multiplier", "output_multiplier")


@dataclass(frozen=True)
class LogitScaling:
    """`scale` first (Granite, Cohere, Falcon-H1), then the soft-`cap` (Gemma)."""

    scale: float = 1.0
    cap: float | None = None

    @classmethod
    def of(cls, config: Any) -> Self:
        """By the text part of the target's configuration."""
        scale = 1.0
        for name in _FACTORS:
            scale *= _number(config, name)
        divisor = _number(config, "logits_scaling")
        # HyperCLOVA X multiplies by what Granite and MiniCPM3 divide by
        scale *= divisor if "hyperclovax" in str(config.model_type) else 1 / divisor
        return cls(scale, getattr(config, "final_logit_softcapping", None))

    def __call__(self, product: Tensor) -> Tensor:
        """In the dtype of `product`."""
        logits = product if self.scale == 1.0 else product * self.scale
        return logits if self.cap is None else torch.tanh(logits / self.cap) * self.cap


def _number(config: Any, name: str) -> float:
    value = getattr(config, name, None)
    return 1.0 if value is None else float(value)
