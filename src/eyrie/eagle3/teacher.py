"""The target's own next-token distribution, from its stored last hidden states.

Only for rows that count, a chunk at a time: logits of all rows over the target's vocabulary never exist at once.

Shapes: R rows, H hidden, V target vocabulary, D draft vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK_ROWS = 256  # a chunk of float32 logits over a few thousand ids stays in the processor's cache


@dataclass(frozen=True)
class Targets:
    """What the head is to match: `probabilities_RD`, renormalised on the draft vocabulary; their `entropy_R`, nats."""

    probabilities_RD: Tensor
    entropy_R: Tensor


@dataclass(frozen=True)
class Teacher:
    """`lm_head_VH` is the target's output matrix, `logit_cap` its soft-cap (Gemma), `target_ids_D` the d2t ids."""

    lm_head_VH: Tensor
    logit_cap: float | None
    target_ids_D: Tensor

    def targets(self, last_RH: Tensor) -> Targets:
        """Targets in float32 or wider. Renormalising over D needs no logit outside it: only D columns are computed."""
        columns_DH = self.lm_head_VH.index_select(0, self.target_ids_D)
        probabilities, entropies = [], []
        for chunk in torch.split(last_RH, CHUNK_ROWS):
            log_p = self._logits(chunk, columns_DH).log_softmax(-1)
            p = log_p.exp()
            probabilities.append(p)
            entropies.append(-(p * log_p).sum(-1))
        return Targets(torch.cat(probabilities), torch.cat(entropies))

    def argmax(self, last_RH: Tensor) -> Tensor:
        """[R] int64: the target id the target itself would take at temperature 0, over the whole vocabulary."""
        return torch.cat(
            [self._logits(chunk, self.lm_head_VH).argmax(-1) for chunk in torch.split(last_RH, CHUNK_ROWS)]
        )

    def _logits(self, last_RH: Tensor, columns: Tensor) -> Tensor:
        logits = last_RH.to(columns.dtype) @ columns.T
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return logits if self.logit_cap is None else torch.tanh(logits / self.logit_cap) * self.logit_cap
