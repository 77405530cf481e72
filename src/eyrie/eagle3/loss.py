"""Training-time test: unroll the head K steps on its own output, and compare every step with the target.

In: a packed batch, the target's frozen embedding, the teacher's targets. Out: sum over steps k of decay^k times the
mean KL divergence, over the rows supervised at step k, from the target's distribution (renormalised on the draft
vocabulary) to the head's. Source: arXiv:2503.01840; which rows and teachers: eagle3/batches.py.

Shapes: T tokens and R rows of the batch, H hidden, V target vocabulary, D draft vocabulary, K TTT steps.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eyrie.eagle3.attention import TttAttention
from eyrie.eagle3.batches import PackedBatch
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.teacher import CHUNK_ROWS, Targets


def unroll(head: Eagle3Head, embedding_VH: Tensor, batch: PackedBatch, num_steps: int) -> list[Tensor]:
    """g_1 ... g_K, each [R, H] un-normed: what serving computes for the same rows, one draft step after another.

    Rows go on past the end of their span; `batch.supervised(step)` says which of them count.
    """
    wide = head.norm.weight.dtype  # the residual stream stays in the weights' own precision, also under autocast
    all_T = torch.arange(len(batch.input_ids_T), device=batch.input_ids_T.device)
    hidden_TH = head.fuse(batch.aux_TE.to(wide)).to(wide)
    embeds_TH = embedding_VH.index_select(0, batch.next_ids(all_T, 0)).to(wide)
    queries, keys, values = head.project(embeds_TH[None], hidden_TH[None], batch.positions_T[None])
    queries_RND, keys_TGD, values_TGD = queries[0].index_select(0, batch.rows_R), keys[0], values[0]
    hidden_RH = hidden_TH.index_select(0, batch.rows_R)
    positions_R = batch.positions_T[batch.rows_R]
    diagonal_keys: list[Tensor] = []
    diagonal_values: list[Tensor] = []
    nothing = keys_TGD.new_empty(len(batch.rows_R), 0, *keys_TGD.shape[1:])
    outputs = []
    for step in range(num_steps):
        if step:
            embeds_RH = embedding_VH.index_select(0, batch.next_ids(batch.rows_R, step)).to(wide)
            queries, keys, values = head.project(embeds_RH[None], hidden_RH[None], positions_R[None] + step)
            queries_RND = queries[0]
            diagonal_keys.append(keys[0])
            diagonal_values.append(values[0])
        attended_RND = TttAttention.apply(
            queries_RND,
            keys_TGD,
            values_TGD,
            torch.stack(diagonal_keys, 1) if step else nothing,
            torch.stack(diagonal_values, 1) if step else nothing,
            batch.segments,
        )
        hidden_RH = head.finish(hidden_RH, attended_RND.flatten(1))
        outputs.append(hidden_RH)
    return outputs


def ttt_loss(
    head: Eagle3Head, embedding_VH: Tensor, targets: Targets, batch: PackedBatch, *, num_steps: int, decay: float
) -> Tensor:
    """The training loss, a scalar in nats. `targets` are the teacher's at `batch.teacher_last_RH`."""
    loss = targets.entropy_R.new_zeros(())
    for step, hidden_RH in enumerate(unroll(head, embedding_VH, batch, num_steps)):
        rows = batch.supervised(step)
        if len(rows) == 0:
            break  # no span is longer than this
        loss = loss + decay**step * mean_divergence(head, hidden_RH, targets, rows, step)
    return loss


def mean_divergence(head: Eagle3Head, hidden_RH: Tensor, targets: Targets, rows: Tensor, step: int) -> Tensor:
    """Mean KL divergence in nats of TTT step `step` over its supervised `rows`; `hidden_RH` is that step's output."""
    normed = head.norm(hidden_RH.index_select(0, rows))
    cross_entropy: Tensor = SoftCrossEntropy.apply(normed, head.lm_head.weight, targets.probabilities_RD, rows + step)
    return (cross_entropy - targets.entropy_R[rows + step].sum()) / len(rows)


class SoftCrossEntropy(torch.autograd.Function):
    """apply(hidden_nH, weight_DH, teacher_RD, teacher_rows_n) -> sum over n of -sum_v p_v log q_v.

    The gradient of logits is q - p, known as soon as q is: both matrix gradients are made in the forward, so logits are
    neither kept nor computed twice, and exist in float32 for a chunk of rows at a time only.
    """

    @staticmethod
    def forward(ctx: Any, hidden_nH: Tensor, weight_DH: Tensor, teacher_RD: Tensor, teacher_rows_n: Tensor) -> Tensor:
        kind = hidden_nH.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden_nH.dtype
        hidden, weight = hidden_nH.to(dtype), weight_DH.to(dtype)
        total = teacher_RD.new_zeros(())
        grad_logits_nD = hidden.new_empty(len(hidden), len(weight))
        for begin in range(0, len(hidden), CHUNK_ROWS):
            chunk = slice(begin, begin + CHUNK_ROWS)
            p = teacher_RD.index_select(0, teacher_rows_n[chunk])
            log_q = (hidden[chunk] @ weight.T).to(p.dtype).log_softmax(-1)
            total -= torch.dot(p.flatten(), log_q.flatten())
            grad_logits_nD[chunk] = log_q.exp_().sub_(p)
        ctx.save_for_backward(grad_logits_nD @ weight, hidden.T @ grad_logits_nD)
        ctx.dtypes = (hidden_nH.dtype, weight_DH.dtype)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight_HD = ctx.saved_tensors
        hidden_dtype, weight_dtype = ctx.dtypes
        return (grad_hidden * grad).to(hidden_dtype), (grad_weight_HD.T * grad).to(weight_dtype), None, None
