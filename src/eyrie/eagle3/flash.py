"""Attention of packed rows to their documents' step-0 keys, by flash kernels, with what merging needs.

Row t of a run sees its document's keys s <= t. In: queries, keys and values. Out: *parts*, each an output and its
log-sum-exp over some of those keys, which together are all of them. Backwards: gradients from the output and
log-sum-exp of the whole softmax that the parts were merged into; with those, the probabilities that a kernel recomputes
are the whole softmax's (arXiv:2205.14135).

A call per run for the keys before its first row, which all its rows see whole, and one for the causal square of its
own rows: no mask is ever built. On a CPU by PyTorch's flash kernel, elsewhere in blocks of rows, plain matrix products.

Shapes: T tokens of the batch, R rows of the batch, P parts, n rows of one run, L keys of one part, N query heads, G
key/value heads, M = N/G, D head dimension.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from eyrie.eagle3.batches import Run

BLOCK_ROWS = 128  # of the kernel in blocks: its scores are [G, M, 128, keys]
Part = tuple[Tensor, Tensor]  # output [R, N, D]; log-sum-exp [R, N] in float32 or wider, -inf where a row has no key


def kernel_for(queries_RND: Tensor) -> str:
    """ "cpu" or "blocks"."""
    return "cpu" if queries_RND.device.type == "cpu" else "blocks"


def parts(queries_RND: Tensor, keys_TGD: Tensor, values_TGD: Tensor, runs: tuple[Run, ...]) -> list[Part]:
    """Attention of every row to its document's keys up to its own token."""
    kernel = kernel_for(queries_RND)
    queries_RGMD = torch.unflatten(queries_RND, 1, (keys_TGD.shape[1], -1))
    wide = torch.promote_types(queries_RND.dtype, torch.float32)
    outputs_2RGMD = queries_RND.new_zeros((2, *queries_RGMD.shape))
    lses_2RGM = queries_RND.new_full((2, *queries_RGMD.shape[:3]), -torch.inf, dtype=wide)
    for run in runs:
        for part, (keys, causal) in enumerate(_keys(run)):
            if len(keys):
                tokens = slice(keys.start, keys.stop)
                out, lse = _flash(kernel, queries_RGMD[run.rows], keys_TGD[tokens], values_TGD[tokens], causal)
                outputs_2RGMD[part, run.rows] = out.permute(2, 0, 1, 3)
                lses_2RGM[part, run.rows] = lse.permute(2, 0, 1)
    return list(zip(outputs_2RGMD.flatten(2, 3), lses_2RGM.flatten(2, 3), strict=True))


def parts_backward(
    grad_RND: Tensor,
    queries_RND: Tensor,
    keys_TGD: Tensor,
    values_TGD: Tensor,
    merged: tuple[Tensor, Tensor, Tensor],
    runs: tuple[Run, ...],
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of queries, keys and values by way of the step-0 keys, in float32 or wider.

    `merged`: output [R, N, D] and log-sum-exp [R, N] of the whole softmax, and the sum over D of output * gradient.
    """
    kernel = kernel_for(queries_RND)
    num_groups, wide = keys_TGD.shape[1], merged[1].dtype
    grad_RGMD, queries_RGMD = (torch.unflatten(x, 1, (num_groups, -1)) for x in (grad_RND, queries_RND))
    merged_RGM = [torch.unflatten(x, 1, (num_groups, -1)) for x in merged]
    grad_queries = torch.zeros_like(queries_RGMD, dtype=wide)
    grad_keys, grad_values = torch.zeros_like(keys_TGD, dtype=wide), torch.zeros_like(values_TGD, dtype=wide)
    for run in runs:
        rows = run.rows
        out, lse, inner = (x[rows] for x in merged_RGM)
        for keys, causal in _keys(run):
            if len(keys):
                tokens = slice(keys.start, keys.stop)
                grads = _flash_backward(
                    kernel,
                    grad_RGMD[rows],
                    queries_RGMD[rows],
                    keys_TGD[tokens],
                    values_TGD[tokens],
                    out,
                    lse,
                    inner,
                    causal,
                )
                grad_queries[rows] += grads[0].permute(2, 0, 1, 3)
                grad_keys[tokens] += grads[1].sum(1).transpose(0, 1)
                grad_values[tokens] += grads[2].sum(1).transpose(0, 1)
    return grad_queries.flatten(1, 2), grad_keys, grad_values


def _keys(run: Run) -> tuple[tuple[range, bool], tuple[range, bool]]:
    """The run's keys: the prefix before its first row, and the square of its own rows."""
    return (range(run.document_begin, run.token_begin), False), (range(run.token_begin, run.token_end), True)


def _heads_first(x_LGD: Tensor, num_queries: int) -> Tensor:
    """[L, G, D] -> [G, M, L, D] without a copy: the M query heads of a group share their key head."""
    return x_LGD.transpose(0, 1)[:, None].expand(-1, num_queries, -1, -1)


def _flash(kernel: str, q_nGMD: Tensor, k_LGD: Tensor, v_LGD: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """Output [G, M, n, D] and log-sum-exp [G, M, n] of plain attention; causal: row i sees keys 0..i."""
    q = q_nGMD.permute(1, 2, 0, 3)
    k, v = (_heads_first(x, q.shape[1]) for x in (k_LGD, v_LGD))
    if kernel == "cpu":
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, causal)
        return out, lse
    return flash_in_blocks(q, k, v, causal)


def _flash_backward(
    kernel: str,
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
    if kernel == "cpu":
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
