"""Attention of one TTT step over packed documents, forwards and backwards.

Row t at step k sees its document's step-0 keys s <= t, and one *diagonal* key K_i,t of its own for each earlier step
i = 1..k: scores side by side, one softmax in float32. Written out by hand because autograd would keep five score-sized
tensors per document and step; this keeps one. Keys and values get one zero row per diagonal key, so that all scores of
a document are one matrix, whose last columns are then filled in. Source: arXiv:2503.01840 (training-time test).

Shapes: T tokens of the batch, R rows of the batch, n rows and L tokens of one document, I diagonal keys per row,
J = L + I, N query heads, G key/value heads, M = N/G, A = M*n, D head dimension.
"""

from typing import Any

import torch
import torch.nn.functional as F
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
        num_diagonals = diagonal_keys_RIGD.shape[1]
        queries_RGMD = torch.unflatten(queries_RND, 1, (keys_TGD.shape[1], -1)) * queries_RND.shape[-1] ** -0.5
        diagonal_RGMI = torch.einsum("rgmd,rigd->rgmi", queries_RGMD, diagonal_keys_RIGD)
        attended_RGMD, shares_RGMI = torch.empty_like(queries_RGMD), torch.empty_like(diagonal_RGMI)
        probabilities = []
        for segment in segments:
            rows, num_tokens = segment.rows, segment.num_tokens
            keys_GJD = _padded(keys_TGD[segment.tokens], num_diagonals)
            values_GJD = _padded(values_TGD[segment.tokens], num_diagonals)
            scores_GAJ = _heads_first(queries_RGMD[rows]) @ keys_GJD.transpose(1, 2)
            scores_GMnJ = torch.unflatten(scores_GAJ, 1, (-1, segment.num_rows))
            scores_GMnJ[..., :num_tokens].masked_fill_(segment.future_RT, -torch.inf)
            scores_GMnJ[..., num_tokens:] = diagonal_RGMI[rows].permute(1, 2, 0, 3)
            weights_GAJ = scores_GAJ.softmax(-1)  # of bfloat16 too, PyTorch sums in float32
            shares_RGMI[rows] = _rows_first(weights_GAJ[..., num_tokens:], segment)
            attended_RGMD[rows] = _rows_first(weights_GAJ @ values_GJD, segment)
            probabilities.append(weights_GAJ)
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
        num_diagonals = diagonal_keys.shape[1]
        grad_RGMD = torch.unflatten(grad_RND, 1, (keys_TGD.shape[1], -1))
        # sum_j p_j dp_j of the softmax's backward, over all keys at once
        inner_RGM1 = (grad_RGMD * attended_RGMD).sum(-1, keepdim=True)
        grad_diagonal = shares_RGMI * (torch.einsum("rgmd,rigd->rgmi", grad_RGMD, diagonal_values) - inner_RGM1)
        grad_queries = torch.einsum("rgmi,rigd->rgmd", grad_diagonal, diagonal_keys)
        grad_diagonal_keys = torch.einsum("rgmi,rgmd->rigd", grad_diagonal, queries_RGMD)
        grad_diagonal_values = torch.einsum("rgmi,rgmd->rigd", shares_RGMI, grad_RGMD)
        grad_keys, grad_values = torch.empty_like(keys_TGD), torch.empty_like(values_TGD)
        for segment, weights_GAJ in zip(ctx.segments, ctx.probabilities, strict=True):
            rows, tokens = segment.rows, segment.tokens
            keys_GJD = _padded(keys_TGD[tokens], num_diagonals)
            values_GJD = _padded(values_TGD[tokens], num_diagonals)
            grad_GAD, queries_GAD = _heads_first(grad_RGMD[rows]), _heads_first(queries_RGMD[rows])
            grad_scores_GAJ = grad_GAD @ values_GJD.transpose(1, 2)
            grad_scores_GAJ.sub_(_heads_first(inner_RGM1[rows])).mul_(weights_GAJ)
            # the padded columns are wrong in grad_scores, but meet zero keys here and are cut off below
            grad_queries[rows] += _rows_first(grad_scores_GAJ @ keys_GJD, segment)
            grad_keys[tokens] = _tokens_first(queries_GAD.transpose(1, 2) @ grad_scores_GAJ, segment)
            grad_values[tokens] = _tokens_first(grad_GAD.transpose(1, 2) @ weights_GAJ, segment)
        grad_queries *= queries_RGMD.shape[-1] ** -0.5
        return grad_queries.flatten(1, 2), grad_keys, grad_values, grad_diagonal_keys, grad_diagonal_values, None


def _padded(x_LGD: Tensor, num_diagonals: int) -> Tensor:
    """[L, G, D] -> [G, L + I, D], the last I rows zero."""
    return F.pad(x_LGD.transpose(0, 1), (0, 0, 0, num_diagonals))


def _heads_first(x_nGMD: Tensor) -> Tensor:
    """[n, G, M, D] -> [G, M*n, D]: all queries that share a key head in one matrix."""
    return x_nGMD.permute(1, 2, 0, 3).flatten(1, 2)


def _rows_first(x_GAD: Tensor, segment: Segment) -> Tensor:
    """[G, M*n, D] -> [n, G, M, D]."""
    return torch.unflatten(x_GAD, 1, (-1, segment.num_rows)).permute(2, 0, 1, 3)


def _tokens_first(x_GDJ: Tensor, segment: Segment) -> Tensor:
    """[G, D, L + I] -> [L, G, D]."""
    return x_GDJ[..., : segment.num_tokens].permute(2, 0, 1)
