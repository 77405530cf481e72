"""Attention of one TTT step over packed documents, forwards and backwards, in memory linear in the number of tokens.

Row t at step k sees its document's step-0 keys s <= t, and one *diagonal* key K_i,t of its own for each earlier step
i = 1..k: one softmax over all of them. A flash kernel (eagle3/flash.py) gives an output and a log-sum-exp over the
step-0 keys; these and the diagonals are then merged by their log-sum-exps. The backward of the kernel needs no more
than the merged output and the merged log-sum-exp. Source: arXiv:2503.01840 (training-time test).

Shapes: T tokens of the batch, R rows of the batch, P parts of the step-0 keys, I diagonals, N query heads, G key/value
heads, M = N/G, D head dimension.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eyrie.eagle3 import flash
from eyrie.eagle3.batches import Run


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
        queries_RGMD = torch.unflatten(queries_RND, 1, (keys_TGD.shape[1], -1))
        wide = torch.promote_types(queries_RND.dtype, torch.float32)
        parts = flash.parts(queries_RND, keys_TGD, values_TGD, runs)
        num_parts, num_diagonals = len(parts), len(diagonals_RGD) // 2
        scores_PRGM = queries_RND.new_empty((num_parts + num_diagonals, *queries_RGMD.shape[:3]), dtype=wide)
        for index, (_, lse_RN) in enumerate(parts):
            scores_PRGM[index] = lse_RN.view_as(scores_PRGM[index])
        scale = queries_RND.shape[-1] ** -0.5
        for index in range(num_diagonals):
            products = queries_RGMD.to(wide) * diagonals_RGD[2 * index][:, :, None]
            torch.sum(products, -1, out=scores_PRGM[num_parts + index]).mul_(scale)
        lse_RGM = scores_PRGM.logsumexp(0)
        shares_PRGM = scores_PRGM.sub_(lse_RGM).exp_()
        merged_RGMD = torch.zeros_like(queries_RGMD, dtype=wide)
        for index, (out_RND, _) in enumerate(parts):
            merged_RGMD.addcmul_(out_RND.view_as(merged_RGMD).to(wide), shares_PRGM[index, ..., None])
        for index in range(num_diagonals):
            values_RG1D = diagonals_RGD[2 * index + 1][:, :, None].to(wide)
            merged_RGMD.addcmul_(shares_PRGM[num_parts + index, ..., None], values_RG1D)
        attended_RND = merged_RGMD.to(queries_RND.dtype).flatten(1, 2)
        ctx.runs = runs
        ctx.save_for_backward(
            queries_RND, keys_TGD, values_TGD, attended_RND, lse_RGM, shares_PRGM[num_parts:].clone(), *diagonals_RGD
        )
        return attended_RND

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_RND: Tensor) -> tuple[Tensor | None, ...]:
        queries_RND, keys_TGD, values_TGD, attended_RND, lse_RGM, shares_IRGM, *diagonals_RGD = ctx.saved_tensors
        queries_RGMD, grad_RGMD, attended_RGMD = (
            torch.unflatten(x, 1, (keys_TGD.shape[1], -1)) for x in (queries_RND, grad_RND, attended_RND)
        )
        wide, scale = lse_RGM.dtype, queries_RND.shape[-1] ** -0.5
        # sum_j p_j dp_j of the softmax's backward, over all keys at once
        inner_RGM = (grad_RGMD.to(wide) * attended_RGMD).sum(-1)
        merged = attended_RND, lse_RGM.flatten(1), inner_RGM.flatten(1)
        grads = flash.parts_backward(grad_RND, queries_RND, keys_TGD, values_TGD, merged, ctx.runs)
        grad_queries = grads[0].to(wide).view_as(queries_RGMD)
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
        dtype = queries_RND.dtype
        return (
            grad_queries.flatten(1, 2).to(dtype),
            *(grad.to(dtype) for grad in grads[1:]),
            None,
            *grad_diagonals,
        )
