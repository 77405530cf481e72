"""How many tokens a verify step would yield, simulated on held-out answers without serving anything.

In: packed held-out batches. Out: the simulated acceptance length 1 + mean over rows of sum_k prod_{j<=k} hit_j, where
hit_j says that the head's draft at TTT step j is the target's own greedy token. The product is taken per row and then
averaged (joint prefix); the product of average accuracies would be another, wrong number. A target token outside the
draft vocabulary cannot be drafted: a miss. Steps past the end of an answer are never asked for, and yield nothing.

Shapes: R rows of the batch, H hidden.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eyrie.eagle3.batches import PackedBatch
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.loss import mean_divergence, unroll
from eyrie.eagle3.teacher import CHUNK_ROWS, Teacher


@dataclass(frozen=True)
class HeldoutScore:
    """`loss` as in training; `accuracy[k]` is the share of rows supervised at step k that hit, earlier steps aside."""

    loss: float
    acceptance_length: float
    accuracy: tuple[float, ...]


@torch.no_grad()
def score_heldout(
    head: Eagle3Head,
    embedding_VH: Tensor,
    teacher: Teacher,
    batches: Sequence[PackedBatch],
    greedy_ids: Sequence[Tensor],
    *,
    num_steps: int,
    decay: float,
) -> HeldoutScore:
    """Pooled over all rows of `batches`. `greedy_ids[b]` [R] is `teacher.argmax(batches[b].teacher_last_RH)`."""
    divergence, hits, asked = ([0.0] * num_steps for _ in range(3))
    accepted, num_rows = 0, 0
    for batch, greedy_R in zip(batches, greedy_ids, strict=True):
        targets = teacher.targets(batch.teacher_last_RH)
        alive_R = torch.ones_like(batch.rows_R, dtype=torch.bool)
        num_rows += len(batch.rows_R)
        for step, hidden_RH in enumerate(unroll(head, embedding_VH, batch, num_steps)):
            rows = batch.supervised(step)
            if len(rows) == 0:
                break
            hit = torch.zeros_like(alive_R)
            hit[rows] = _draft_ids(head, hidden_RH[rows]) == greedy_R[rows + step]
            alive_R &= hit
            accepted += int(alive_R.sum())
            hits[step] += int(hit.sum())
            asked[step] += len(rows)
            divergence[step] += float(mean_divergence(head, hidden_RH, targets, rows, step)) * len(rows)
    return HeldoutScore(
        loss=sum(decay**step * divergence[step] / asked[step] for step in range(num_steps) if asked[step]),
        acceptance_length=1.0 + accepted / num_rows,
        accuracy=tuple(hit / count if count else 0.0 for hit, count in zip(hits, asked, strict=True)),
    )


def _draft_ids(head: Eagle3Head, hidden_nH: Tensor) -> Tensor:
    """[n] target ids of the head's most likely drafts, a chunk of logits at a time."""
    chunks = [head.logits(chunk).argmax(-1) for chunk in torch.split(hidden_nH, CHUNK_ROWS)]
    return head.to_target_ids(torch.cat(chunks))
