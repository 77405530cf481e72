"""Attention of one TTT step over packed documents, forwards and backwards.

Row t at step k sees its document's step-0 keys s <= t, and one *diagonal* key K_i,t of its own for each earlier step
i = 1..k: scores side by side, one softmax in float32. Written out by hand because autograd would keep five score-sized
tensors per document and step; this keeps one. Source: arXiv:2503.01840 section 3.1 (training-time test).

Shapes: T tokens of the batch, R rows of the batch, n rows and L tokens of one document, I diagonal keys per row,
N query heads, G key/value heads, M = N/G, D head dimension.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eyrie.eagle3.batches import Segment


class TttAttention(torch.autograd.Function):
    """apply(queries_RND, keys_TGD, values_TGD, diagonal_keys_RIGD, diagonal_values_RIGD, segments) -> [R, N, D]."""

    @staticmethod
    def forward(
        ctx: Any,
        queries_RND: Tensor,
        keys_TGD: Tensor,
        values_TGD: Tensor,
        diagonal_keys_RIGD: Tensor,
        diagonal_values_RIGD: Tensor,
        segments: tuple[Segment, ...],
    ) -> Tensor:
        dtype, wide = queries_RND.dtype, torch.promote_types(queries_RND.dtype, torch.float32)
        num_groups = keys_TGD.shape[1]
        queries_RGMD = torch.unflatten(queries_RND, 1, (num_groups, -1)) * queries_RND.shape[-1] ** -0.5
        diagonal_RGMI = torch.einsum("rgmd,rigd->rgmi", queries_RGMD, diagonal_keys_RIGD)
        attended_RGMD = torch.empty_like(queries_RGMD)
        shares_RGMI = torch.empty_like(diagonal_RGMI)
        probabilities = []
        for segment in segments:
            rows, tokens = slice(segment.row_begin, segment.row_end), slice(segment.token_begin, segment.token_end)
            num_tokens = segment.token_end - segment.token_begin
            queries_GAD = _heads_first(queries_RGMD[rows])
            scores_GAL = queries_GAD @ keys_TGD[tokens].permute(1, 2, 0)
            scores_GMnL = torch.unflatten(scores_GAL, 1, (-1, rows.stop - rows.start))
            scores_GMnL.masked_fill_(segment.future_RT, -torch.inf)
            joint_GMnJ = torch.cat([scores_GMnL, diagonal_RGMI[rows].permute(1, 2, 0, 3)], dim=-1)
            weights_GMnJ = joint_GMnJ.softmax(-1, dtype=wide).to(dtype)
            weights_GAL = weights_GMnJ[..., :num_tokens].flatten(1, 2)
            shares_RGMI[rows] = weights_GMnJ[..., num_tokens:].permute(2, 0, 1, 3)
            attended_RGMD[rows] = _rows_first(weights_GAL @ values_TGD[tokens].transpose(0, 1), rows)
            probabilities.append(weights_GAL)
        attended_RGMD += torch.einsum("rgmi,rigd->rgmd", shares_RGMI, diagonal_values_RIGD)
        ctx.segments, ctx.probabilities = segments, probabilities
        ctx.save_for_backward(
            queries_RGMD,
            keys_TGD,
            values_TGD,
            diagonal_keys_RIGD,
            diagonal_values_RIGD,
            shares_RGMI,
            attended_RGMD,
        )
        return attended_RGMD.flatten(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_RND: Tensor) -> tuple[Tensor | None, ...]:
        queries_RGMD, keys_TGD, values_TGD, diagonal_keys, diagonal_values, shares_RGMI, attended_RGMD = (
            ctx.saved_tensors
        )
        grad_RGMD = torch.unflatten(grad_RND, 1, (keys_TGD.shape[1], -1))
        # sum_j p_j dp_j of the softmax's backward, over all keys at once
        inner_RGM1 = (grad_RGMD * attended_RGMD).sum(-1, keepdim=True)
        grad_shares = torch.einsum("rgmd,rigd->rgmi", grad_RGMD, diagonal_values)
        grad_diagonal = shares_RGMI * (grad_shares - inner_RGM1)
        grad_queries = torch.einsum("rgmi,rigd->rgmd", grad_diagonal, diagonal_keys)
        grad_diagonal_keys = torch.einsum("rgmi,rgmd->rigd", grad_diagonal, queries_RGMD)
        grad_diagonal_values = torch.einsum("rgmi,rgmd->rigd", shares_RGMI, grad_RGMD)
        grad_keys, grad_values = torch.zeros_like(keys_TGD), torch.zeros_like(values_TGD)
        for segment, weights_GAL in zip(ctx.segments, ctx.probabilities, strict=True):
            rows, tokens = slice(segment.row_begin, segment.row_end), slice(segment.token_begin, segment.token_end)
            grad_GAD = _heads_first(grad_RGMD[rows])
            grad_scores_GAL = grad_GAD @ values_TGD[tokens].permute(1, 2, 0)
            grad_scores_GAL.sub_(_heads_first(inner_RGM1[rows])).mul_(weights_GAL)
            grad_queries[rows] += _rows_first(grad_scores_GAL @ keys_TGD[tokens].transpose(0, 1), rows)
            grad_keys[tokens] = (grad_scores_GAL.transpose(1, 2) @ _heads_first(queries_RGMD[rows])).transpose(0, 1)
            grad_values[tokens] = (weights_GAL.transpose(1, 2) @ grad_GAD).transpose(0, 1)
        grad_queries *= queries_RGMD.shape[-1] ** -0.5
        return grad_queries.flatten(1, 2), grad_keys, grad_values, grad_diagonal_keys, grad_diagonal_values, None


def _heads_first(x_nGMD: Tensor) -> Tensor:
    """[n, G, M, D] -> [G, M*n, D]: all queries that share a key head in one matrix."""
    return x_nGMD.permute(1, 2, 0, 3).flatten(1, 2)


def _rows_first(x_GAD: Tensor, rows: slice) -> Tensor:
    """[G, M*n, D] -> [n, G, M, D]."""
    return torch.unflatten(x_GAD, 1, (-1, rows.stop - rows.start)).permute(2, 0, 1, 3)
