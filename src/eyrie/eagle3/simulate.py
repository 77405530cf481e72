"""How many tokens a verify step would yield, simulated on held-out answers without serving anything.

In: packed held-out batches. Out: the simulated acceptance length 1 + mean over rows of sum_k prod_{j<=k} hit_j, where
hit_j says that the head's draft at TTT step j is the target's own greedy token. The product is taken per row and then
averaged (joint prefix); the product of average accuracies would be another, wrong number. A target token outside the
draft vocabulary cannot be drafted: a miss. Steps past the end of an answer are never asked for, and yield nothing.

Shapes: R rows of the batch, H hidden.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from eyrie.eagle3.batches import PackedBatch
from eyrie.eagle3.loss import TttLoss
from eyrie.eagle3.objective import Objective, score
from eyrie.eagle3.unroll import unroll


@dataclass(frozen=True)
class HeldoutScore:
    """`loss` as in training; `accuracy[k]` is the share of rows supervised at step k that hit, earlier steps aside.

    `decoded_acceptance_length` is that of decoding a few prompts for real, where that was done.
    """

    loss: float
    acceptance_length: float
    accuracy: tuple[float, ...]
    decoded_acceptance_length: float | None = None


@dataclass
class HeldoutCounts:
    """Sums over held-out rows, per TTT step; those of several processes add up."""

    losses: list[float]
    hits: list[int]
    asked: list[int]
    accepted: int = 0
    num_rows: int = 0

    def score(self, objective: Objective) -> HeldoutScore:
        """The figures of all rows together."""
        weights = objective.weights(self.asked)
        return HeldoutScore(
            loss=sum(weight * loss for weight, loss in zip(weights, self.losses, strict=True)),
            acceptance_length=1.0 + self.accepted / self.num_rows,
            accuracy=tuple(hit / count if count else 0.0 for hit, count in zip(self.hits, self.asked, strict=True)),
        )


def no_counts(num_steps: int) -> HeldoutCounts:
    """Nothing counted yet."""
    return HeldoutCounts([0.0] * num_steps, [0] * num_steps, [0] * num_steps)


@torch.no_grad()
def count_heldout(counts: HeldoutCounts, module: TttLoss, batch: PackedBatch, greedy_R: Tensor) -> None:
    """Add one batch to `counts`. `greedy_R` is `teacher.argmax(batch.teacher_last_RH)`."""
    head, objective = module.head, module.objective
    states = unroll(head, module.embedding_VH, batch, objective.num_steps)
    normed = [head.final_norm(hidden_RH) for hidden_RH in states]
    scores = score(objective, module.teacher, batch, normed, head.lm_head.weight, step_weights=None, with_drafts=True)
    assert scores.drafts_KR is not None
    alive_R = torch.ones_like(batch.rows_R, dtype=torch.bool)
    counts.num_rows += len(batch.rows_R)
    for step, draft_ids_R in enumerate(scores.drafts_KR):
        rows = batch.supervised(step)
        hit_R = torch.zeros_like(alive_R)
        hit_R[rows] = head.to_target_ids(draft_ids_R[rows]) == greedy_R[rows + step]
        alive_R &= hit_R
        counts.accepted += int(alive_R.sum())
        counts.hits[step] += int(hit_R.sum())
        counts.asked[step] += len(rows)
        counts.losses[step] += float(scores.sums_K[step])
