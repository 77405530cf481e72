"""Attention of one TTT step over packed documents, forwards and backwards, in memory linear in the number of tokens.

Row t at step k sees its document's step-0 keys s <= t, and one *diagonal* key K_i,t of its own for each earlier step
i = 1..k: one softmax over all of them. The rows of a run are consecutive tokens, so their step-0 keys are a *prefix*
that all of them see whole and a causal *square*; no mask is ever built. Each part is one call of a flash kernel that
gives an output and its log-sum-exp; parts and diagonals are then merged by their log-sum-exps. The backward of the
kernel needs no more than the merged output and the merged log-sum-exp: with those, the probabilities it recomputes are
the merged ones. Sources: arXiv:2503.01840 (training-time test), arXiv:2205.14135 (recomputation from log-sum-exp).

Shapes: T tokens of the batch, R rows of the batch, n rows of one run, L keys of one part, N query heads, G key/value
heads, M = N/G, D head dimension.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eyrie.eagle3.batches import Run

CPU_KERNEL = True  # off: the other kernel, for its test
BLOCK_ROWS = 128  # of the kernel for devices other than the CPU: its scores are [N, 128, keys]


class TttAttention(torch.autograd.Function):
    """apply(queries_RND, keys_TGD, values_TGD, runs, K_1, V_1, K_2, V_2 ...) -> [R, N, D]; K_i, V_i are [R, G, D]."""

    @staticmethod
    def forward(
        ctx: Any,
        queries_RND: Tensor,
        keys_TGD: Tensor,
        values_TGD: Tensor,
        runs: tuple[Run, ...],
        *diagonals_RGD: Tensor,
    ) -> Tensor:
        num_rows, num_heads, head_dim = queries_RND.shape
        queries_RGMD = torch.unflatten(queries_RND, 1, (keys_TGD.shape[1], -1))
        wide = torch.promote_types(queries_RND.dtype, torch.float32)
        num_diagonals = len(diagonals_RGD) // 2
        scores_PRGM = queries_RND.new_full((2 + num_diagonals, *queries_RGMD.shape[:3]), -torch.inf, dtype=wide)
        outputs_2RGMD = queries_RND.new_zeros((2, *queries_RGMD.shape))
        for run in runs:
            for part, (keys, causal) in enumerate(_parts(run)):
                if len(keys):
                    tokens = slice(keys.start, keys.stop)
                    out, lse = _flash(queries_RGMD[run.rows], keys_TGD[tokens], values_TGD[tokens], causal)
                    outputs_2RGMD[part, run.rows] = out.permute(2, 0, 1, 3)
                    scores_PRGM[part, run.rows] = lse.permute(2, 0, 1)
        scale = head_dim**-0.5
        for index in range(num_diagonals):
            products = queries_RGMD.to(wide) * diagonals_RGD[2 * index][:, :, None]
            torch.sum(products, -1, out=scores_PRGM[2 + index]).mul_(scale)
        lse_RGM = scores_PRGM.logsumexp(0)
        shares_PRGM = scores_PRGM.sub_(lse_RGM).exp_()
        merged_RGMD = torch.zeros_like(outputs_2RGMD[0], dtype=wide)
        for part in range(2):
            merged_RGMD.addcmul_(outputs_2RGMD[part].to(wide), shares_PRGM[part, ..., None])
        for index in range(num_diagonals):
            merged_RGMD.addcmul_(shares_PRGM[2 + index, ..., None], diagonals_RGD[2 * index + 1][:, :, None].to(wide))
        attended_RGMD = merged_RGMD.to(queries_RND.dtype)
        ctx.runs = runs
        ctx.save_for_backward(
            queries_RND, keys_TGD, values_TGD, attended_RGMD, lse_RGM, shares_PRGM[2:].clone(), *diagonals_RGD
        )
        return attended_RGMD.view(num_rows, num_heads, head_dim)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_RND: Tensor) -> tuple[Tensor | None, ...]:
        queries_RND, keys_TGD, values_TGD, attended_RGMD, lse_RGM, shares_IRGM, *diagonals_RGD = ctx.saved_tensors
        queries_RGMD = torch.unflatten(queries_RND, 1, (keys_TGD.shape[1], -1))
        grad_RGMD = torch.unflatten(grad_RND, 1, (keys_TGD.shape[1], -1))
        wide, scale = lse_RGM.dtype, queries_RND.shape[-1] ** -0.5
        grad_queries = torch.zeros_like(queries_RGMD, dtype=wide)
        grad_keys, grad_values = torch.zeros_like(keys_TGD, dtype=wide), torch.zeros_like(values_TGD, dtype=wide)
        # sum_j p_j dp_j of the softmax's backward, over all keys at once
        inner_RGM = (grad_RGMD.to(wide) * attended_RGMD).sum(-1)
        grad_diagonals = []
        for index in range(len(diagonals_RGD) // 2):
            keys_RG1D, values_RG1D = (tensor[:, :, None].to(wide) for tensor in diagonals_RGD[2 * index :][:2])
            shares_RGM = shares_IRGM[index]
            grad_scores = ((grad_RGMD * values_RG1D).sum(-1) - inner_RGM).mul_(shares_RGM).mul_(scale)[..., None]
            grad_queries.addcmul_(grad_scores, keys_RG1D)
            grad_diagonals += [
                (grad_scores * queries_RGMD).sum(2).to(queries_RND.dtype),
                (shares_RGM[..., None] * grad_RGMD).sum(2).to(queries_RND.dtype),
            ]
        for run in ctx.runs:
            rows = run.rows
            merged = (attended_RGMD[rows], lse_RGM[rows], inner_RGM[rows])
            for keys, causal in _parts(run):
                if len(keys):
                    tokens = slice(keys.start, keys.stop)
                    grads = _flash_backward(
                        grad_RGMD[rows], queries_RGMD[rows], keys_TGD[tokens], values_TGD[tokens], *merged, causal
                    )
                    grad_queries[rows] += grads[0].permute(2, 0, 1, 3)
                    grad_keys[tokens] += grads[1].sum(1).transpose(0, 1)
                    grad_values[tokens] += grads[2].sum(1).transpose(0, 1)
        dtype = queries_RND.dtype
        return (
            grad_queries.flatten(1, 2).to(dtype),
            grad_keys.to(dtype),
            grad_values.to(dtype),
            None,
            *grad_diagonals,
        )


def _parts(run: Run) -> tuple[tuple[range, bool], tuple[range, bool]]:
    """The run's keys: the prefix before its first row, and the square of its own rows."""
    return (range(run.document_begin, run.token_begin), False), (range(run.token_begin, run.token_end), True)


def _heads_first(x_LGD: Tensor, num_queries: int) -> Tensor:
    """[L, G, D] -> [G, M, L, D] without a copy: the M query heads of a group share their key head."""
    return x_LGD.transpose(0, 1)[:, None].expand(-1, num_queries, -1, -1)


def _flash(q_nGMD: Tensor, k_LGD: Tensor, v_LGD: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """Output [G, M, n, D] and log-sum-exp [G, M, n] of plain attention; causal: row i sees keys 0..i."""
    q = q_nGMD.permute(1, 2, 0, 3)
    k, v = (_heads_first(x, q.shape[1]) for x in (k_LGD, v_LGD))
    if q.device.type == "cpu" and CPU_KERNEL:
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, causal)
        return out, lse
    return flash_in_blocks(q, k, v, causal)


def _flash_backward(
    grad_nGMD: Tensor,
    q_nGMD: Tensor,
    k_LGD: Tensor,
    v_LGD: Tensor,
    out_nGMD: Tensor,
    lse_nGM: Tensor,
    inner_nGM: Tensor,
    causal: bool,
) -> Sequence[Tensor]:
    """Gradients of q [G, M, n, D], k and v [G, M, L, D], from the merged output and log-sum-exp."""
    q, grad, out = (x.permute(1, 2, 0, 3) for x in (q_nGMD, grad_nGMD, out_nGMD))
    k, v = (_heads_first(x, q.shape[1]) for x in (k_LGD, v_LGD))
    lse = lse_nGM.permute(1, 2, 0)
    if q.device.type == "cpu" and CPU_KERNEL:
        grads: Sequence[Tensor] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            grad, q, k, v, out, lse.contiguous(), 0.0, causal
        )
        return grads
    return flash_in_blocks_backward(grad, q, k, v, lse, inner_nGM.permute(1, 2, 0), causal)


def flash_in_blocks(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """`_flash` in plain matrix products, a block of rows at a time: for devices without the CPU's kernel."""
    outs, lses = [], []
    for _rows, visible, scores in _score_blocks(q, k, causal):
        lse = scores.logsumexp(-1, keepdim=True)
        outs.append((scores.sub_(lse).exp_().to(v.dtype)) @ v[..., visible, :])
        lses.append(lse[..., 0])
    return torch.cat(outs, -2), torch.cat(lses, -1)


def flash_in_blocks_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, lse: Tensor, inner: Tensor, causal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """`_flash_backward` to `flash_in_blocks`; probabilities are computed again from `lse`."""
    grad_q = torch.empty_like(q)
    grad_k, grad_v = (torch.zeros(x.shape, dtype=lse.dtype, device=x.device) for x in (k, v))
    scale = q.shape[-1] ** -0.5
    for rows, visible, scores in _score_blocks(q, k, causal):
        p = scores.sub_(lse[..., rows, None]).exp_()
        grad_v[..., visible, :] += p.to(grad.dtype).transpose(-1, -2) @ grad[..., rows, :]
        grad_p = grad[..., rows, :] @ v[..., visible, :].transpose(-1, -2)
        grad_scores = ((grad_p.to(p.dtype) - inner[..., rows, None]) * p * scale).to(q.dtype)
        grad_q[..., rows, :] = grad_scores @ k[..., visible, :]
        grad_k[..., visible, :] += grad_scores.transpose(-1, -2) @ q[..., rows, :]
    return grad_q, grad_k, grad_v


def _score_blocks(q: Tensor, k: Tensor, causal: bool) -> Iterator[tuple[slice, slice, Tensor]]:
    """(rows, the keys they see, scores in float32 or wider), a block of rows at a time."""
    num_rows = q.shape[-2]
    for begin in range(0, num_rows, BLOCK_ROWS):
        end = min(begin + BLOCK_ROWS, num_rows)
        visible = slice(0, end if causal else k.shape[-2])
        scores = q[..., begin:end, :] @ k[..., visible, :].transpose(-1, -2)
        scores = scores.to(torch.promote_types(q.dtype, torch.float32)) * q.shape[-1] ** -0.5
        if causal:
            later = torch.ones(end - begin, end - begin, dtype=torch.bool, device=q.device).triu(1)
            scores[..., begin:end].masked_fill_(later, -torch.inf)
        yield slice(begin, end), visible, scores
