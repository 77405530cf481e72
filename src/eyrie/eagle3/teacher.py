"""The target's own next-token distribution, from its stored last hidden states.

Only for rows that count, a chunk at a time: logits of all rows over the target's vocabulary never exist at once.

Shapes: C rows of a chunk, R rows, H hidden, V target vocabulary, D draft vocabulary.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from eyrie.eagle3.logits import LogitScaling

CHUNK_ROWS = 256  # a chunk of float32 logits over a few thousand ids stays in the processor's cache


@dataclass(frozen=True)
class Teacher:
    """`lm_head_VH` is the target's output matrix, `scaling` what follows it, `target_ids_D` the d2t ids."""

    lm_head_VH: Tensor
    scaling: LogitScaling
    target_ids_D: Tensor

    @cached_property
    def columns_DH(self) -> Tensor:  # noqa: N802 - a tensor with its shape
        """The rows of `lm_head_VH` that the draft vocabulary has."""
        return self.lm_head_VH.index_select(0, self.target_ids_D)

    def log_renormalised(self, last_CH: Tensor) -> Tensor:
        """Log-probabilities [C, D] given that the token is in the draft vocabulary. Needs no logit outside it."""
        return self._logits(last_CH, self.columns_DH).log_softmax(-1)

    def log_mass_inside(self, last_CH: Tensor) -> Tensor:
        """[C]: the log of the probability that the token is in the draft vocabulary; needs all V logits."""
        logits_CV = self._logits(last_CH, self.lm_head_VH)
        return logits_CV.index_select(1, self.target_ids_D).logsumexp(-1) - logits_CV.logsumexp(-1)

    def argmax(self, last_RH: Tensor) -> Tensor:
        """[R] int64: the target id the target itself would take at temperature 0, over the whole vocabulary."""
        return torch.cat(
            [self._logits(chunk, self.lm_head_VH).argmax(-1) for chunk in torch.split(last_RH, CHUNK_ROWS)]
        )

    def _logits(self, last_RH: Tensor, columns: Tensor) -> Tensor:
        """In float32 or wider, of a product in the target's own precision, whatever training computes in."""
        with torch.autocast(columns.device.type, enabled=False):
            logits = last_RH.to(columns.dtype) @ columns.T
        return self.scaling(logits.to(torch.promote_types(logits.dtype, torch.float32)))
