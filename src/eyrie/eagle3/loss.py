"""Training-time test: unroll the head K steps on its own output, and compare every step with the target.

In: a packed batch, the target's frozen embedding, the teacher. Out: the loss of eagle3/objective.py. Source:
arXiv:2503.01840; which rows and teachers: eagle3/batches.py.

Shapes: H hidden, V target vocabulary, K TTT steps.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from eyrie.eagle3.batches import PackedBatch
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.objective import Objective, WeightedScore
from eyrie.eagle3.teacher import Teacher
from eyrie.eagle3.unroll import unroll


class TttLoss(nn.Module):
    """The head with what its loss needs, as one module: what data-parallel training wraps."""

    def __init__(
        self, head: Eagle3Head, embedding_VH: Tensor, teacher: Teacher, objective: Objective, *, recompute: bool = False
    ) -> None:
        super().__init__()
        self.head, self.embedding_VH, self.teacher = head, embedding_VH, teacher
        self.objective, self.recompute = objective, recompute

    def forward(self, batch: PackedBatch, row_counts: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The batch's share of the loss, a scalar in nats, and the row losses summed per step [K].

        `row_counts[k]` rows are supervised at step k in all batches of the optimizer step together.
        """
        states = unroll(self.head, self.embedding_VH, batch, self.objective.num_steps, recompute=self.recompute)
        normed = [self.head.final_norm(hidden_RH) for hidden_RH in states]
        loss: Tensor
        loss, sums_K = WeightedScore.apply(
            self.objective,
            self.teacher,
            batch,
            self.objective.weights(row_counts),
            self.head.lm_head.weight,
            *normed,
        )
        return loss, sums_K
