"""What the head's logits are scored by, row by row, and the gradient of it.

In: the normed hidden states of every TTT step, the head's output matrix, the teacher. Out: the sum of the row losses
of each step, and (made in the same pass, because the gradient of logits is known as soon as the loss is) the gradients
of both. Rows are taken a chunk at a time: the teacher of row r at step k is that of row r + k at step 0, so one chunk
of teacher rows serves all steps, and neither the teacher's distribution nor logits exist for more than a chunk.

With p the target's distribution, q the head's, and p~ p renormalised on the draft vocabulary:
- `kl`: KL(p~ || q);
- `lk`: -log a, where a = sum_v min(p_v, q_v) is the probability that a draft sampled from q is accepted;
- `lk_hybrid`: s KL(p~ || q) + (1 - s)(1 - a) with s = exp(-eta a) of the same row, not differentiated.
Source of the last two: arXiv:2602.23881; p is not renormalised in a.

Shapes: C rows of a chunk, R rows, H hidden, D draft vocabulary, K TTT steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eyrie.eagle3.batches import PackedBatch
from eyrie.eagle3.reused import WeightGradient, computed
from eyrie.eagle3.teacher import Teacher

COMPILER = "inductor"
CHUNK_ROWS = {"cpu": 128, "cuda": 256}  # K times as many rows of logits exist at once


@dataclass(frozen=True)
class Objective:
    """The loss is the sum over steps k of decay^k times the mean of `kind` over the rows supervised at step k, nats."""

    num_steps: int
    decay: float
    kind: Literal["kl", "lk", "lk_hybrid"] = "kl"
    lk_eta: float = 3.0
    compiled: bool = False  # by torch.compile: the same to rounding, and a minute to begin with

    def weights(self, row_counts: Sequence[int]) -> list[float]:
        """What one row's loss at each step counts, when `row_counts` rows are supervised there; 0 where none is."""
        return [self.decay**step / count if count else 0.0 for step, count in enumerate(row_counts)]


@dataclass
class Scores:
    """`sums_K`: row losses summed per step; `drafts_KR`: most likely draft ids, when asked for; gradients likewise."""

    sums_K: Tensor
    drafts_KR: Tensor | None
    grad_hidden: list[Tensor]  # K times [R, H]
    grad_weight_DH: Tensor | None


def score(
    objective: Objective,
    teacher: Teacher,
    batch: PackedBatch,
    normed: Sequence[Tensor],
    weight_DH: Tensor,
    *,
    step_weights: Sequence[float] | None,
    with_drafts: bool = False,
) -> Scores:
    """Score every step's normed hidden states [R, H]. Gradients of the weighted sum when `step_weights` are given."""
    hidden, weight = [computed(tensor) for tensor in normed], computed(weight_DH)
    num_rows = len(batch.rows_R)
    wide = torch.promote_types(hidden[0].dtype, torch.float32)
    scores = Scores(
        sums_K=torch.zeros(len(hidden), dtype=wide, device=weight.device),
        drafts_KR=torch.zeros(len(hidden), num_rows, dtype=torch.int64, device=weight.device) if with_drafts else None,
        grad_hidden=[] if step_weights is None else [torch.zeros_like(tensor) for tensor in hidden],
        grad_weight_DH=None,
    )
    gradient = WeightGradient(weight, wide)
    chunks = _chunks(num_rows, weight.device)
    # logits of a chunk at all steps, and then their gradients: few and tall products with a matrix that is as large as
    # the vocabulary and is read whole by each
    buffer_ND = weight.new_empty(len(hidden) * max(map(len, chunks)), len(weight))
    for chunk in chunks:
        target = _Target(objective, teacher, batch.teacher_last_RH[chunk.start : chunk.stop])
        pieces = [
            _Piece(step, first=max(chunk.start, step), end=chunk.stop)
            for step in range(len(hidden))
            if chunk.stop > step and (step_weights is None or step_weights[step])
        ]
        sizes = [len(piece) for piece in pieces]
        inputs_NH = torch.cat([hidden[piece.step][piece.rows] for piece in pieces])
        logits_ND = torch.mm(inputs_NH, weight.T, out=buffer_ND[: len(inputs_NH)])
        shares: list[Tensor] = []
        for piece, part_CD in zip(pieces, torch.split(logits_ND, sizes), strict=True):
            logits_CD = part_CD.to(wide)
            if scores.drafts_KR is not None:
                scores.drafts_KR[piece.step, piece.rows] = logits_CD.argmax(-1)
            losses_C, grad_CD = target.compare(logits_CD, piece.first - chunk.start)
            past_end_C = batch.places_R[piece.first : piece.end] < piece.step
            scores.sums_K[piece.step] += losses_C.masked_fill_(past_end_C, 0.0).sum()
            if step_weights is not None:
                part_CD.copy_(grad_CD)
                shares.append(past_end_C.logical_not().to(wide).mul_(step_weights[piece.step]))
        if step_weights is not None:
            shares_N1 = torch.cat(shares)[:, None]
            grads_NH = (logits_ND @ weight).mul_(shares_N1)
            for piece, grad_CH in zip(pieces, torch.split(grads_NH, sizes), strict=True):
                scores.grad_hidden[piece.step][piece.rows] = grad_CH
            gradient.add(logits_ND, (inputs_NH * shares_N1).to(weight.dtype))
    scores.grad_weight_DH = gradient.take()
    return scores


@dataclass(frozen=True)
class _Piece:
    """One step's part of a chunk: its teachers are the batch's rows `first` ... `end` - 1."""

    step: int
    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first

    @property
    def rows(self) -> slice:
        """The head's rows that these teachers teach."""
        return slice(self.first - self.step, self.end - self.step)


def _chunks(num_rows: int, device: torch.device) -> list[range]:
    """All of nearly one size: a short last one would run at half the speed."""
    num_chunks = -(-num_rows // CHUNK_ROWS.get(device.type, CHUNK_ROWS["cpu"]))
    bounds = [num_rows * index // num_chunks for index in range(num_chunks + 1)]
    return [range(*pair) for pair in pairwise(bounds)]


class WeightedScore(torch.autograd.Function):
    """apply(objective, teacher, batch, step_weights, weight_DH, *normed) -> (weighted sum, sums_K).

    `sums_K` is for the log: no gradient flows into it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        objective: Objective,
        teacher: Teacher,
        batch: PackedBatch,
        step_weights: Sequence[float],
        weight_DH: Tensor,
        *normed: Tensor,
    ) -> tuple[Tensor, Tensor]:
        scores = score(objective, teacher, batch, normed, weight_DH, step_weights=step_weights)
        assert scores.grad_weight_DH is not None
        ctx.save_for_backward(scores.grad_weight_DH.to(weight_DH.dtype), *scores.grad_hidden)
        ctx.hidden_dtype = normed[0].dtype
        ctx.mark_non_differentiable(scores.sums_K)
        # no tensor of the weights: copying one to a GPU waits for all that was queued there
        weighted = [weight * loss for weight, loss in zip(step_weights, scores.sums_K.unbind(), strict=True)]
        return torch.stack(weighted).sum(), scores.sums_K

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _grad_sums: Tensor) -> tuple[Tensor | None, ...]:
        grad_weight_DH, *grad_hidden = ctx.saved_tensors
        hidden = [(tensor * grad).to(ctx.hidden_dtype) for tensor in grad_hidden]
        # in place: another matrix as large as the vocabulary would be made for it; a second backward is an error
        return None, None, None, None, grad_weight_DH.mul_(grad), *hidden


class _Target:
    """The teacher's distribution of one chunk of rows."""

    def __init__(self, objective: Objective, teacher: Teacher, last_CH: Tensor) -> None:
        self._objective = objective
        log_p_CD = teacher.log_renormalised(last_CH)
        self._renormalised_CD = log_p_CD.exp()
        self._negative_entropy_C = log_p_CD.mul_(self._renormalised_CD).sum(-1)
        self._p_CD = self._renormalised_CD
        if objective.kind != "kl":
            self._p_CD = self._renormalised_CD * teacher.log_mass_inside(last_CH).exp()[:, None]

    def compare(self, logits_CD: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Row losses [C], and their gradients [C, D] with respect to the logits, for rows `first` and on."""
        objective = self._objective
        compute = _compiled_compare() if objective.compiled else compare
        # vecdot counts as a matrix product: under autocast it would round log-probabilities to bfloat16, 1% of a loss
        with torch.autocast(logits_CD.device.type, enabled=False):
            return compute(
                logits_CD,
                self._renormalised_CD[first:],
                self._negative_entropy_C[first:],
                self._p_CD[first:],
                kind=objective.kind,
                lk_eta=objective.lk_eta,
            )


def compare(
    logits_CD: Tensor,
    renormalised_CD: Tensor,
    negative_entropy_C: Tensor,
    p_CD: Tensor,
    *,
    kind: Literal["kl", "lk", "lk_hybrid"],
    lk_eta: float,
) -> tuple[Tensor, Tensor]:
    """Row losses [C] of one step's logits and their gradients [C, D]; `p_CD` is read by `lk` and `lk_hybrid` only.

    The logits are changed: the greatest of a row becomes 0, so that large ones cancel before they are summed.
    """
    q_CD = logits_CD.sub_(logits_CD.amax(-1, keepdim=True)).softmax(-1)
    if kind != "lk":
        # log q is the logit less a normaliser, which the q of the greatest tells: one exponential per logit, not two
        divergence_C = negative_entropy_C - q_CD.amax(-1).log() - torch.linalg.vecdot(renormalised_CD, logits_CD)
    if kind == "kl":
        return divergence_C, q_CD.sub_(renormalised_CD)
    acceptance_C = torch.minimum(p_CD, q_CD).sum(-1)
    below_CD = q_CD * (q_CD < p_CD)  # where one more bit of q is one more bit of min(p, q)
    grad_acceptance_CD = below_CD - q_CD * below_CD.sum(-1, keepdim=True)
    if kind == "lk":
        acceptance_C = acceptance_C.clamp(min=torch.finfo(q_CD.dtype).tiny)
        return -acceptance_C.log(), grad_acceptance_CD.div_(-acceptance_C[:, None])
    share_C = (-lk_eta * acceptance_C).exp()
    losses_C = share_C * divergence_C + (1 - share_C) * (1 - acceptance_C)
    grad_CD = q_CD.sub_(renormalised_CD).mul_(share_C[:, None])
    return losses_C, grad_CD.addcmul_(grad_acceptance_CD, (share_C - 1)[:, None])


@cache
def _compiled_compare() -> Callable[..., tuple[Tensor, Tensor]]:
    """`compare` as one or two loops over [C, D] in place of one for each operation."""
    return torch.compile(compare, dynamic=True, backend=COMPILER)
