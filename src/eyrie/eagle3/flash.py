"""Attention of packed rows to their documents' step-0 keys, by flash kernels, with what merging needs.

Row t of a run sees its document's keys s <= t. In: queries, keys and values. Out: *parts*, each an output and its
log-sum-exp over some of those keys, which together are all of them. Backwards: gradients from the output and
log-sum-exp of the whole softmax that the parts were merged into; with those, the probabilities that a kernel recomputes
are the whole softmax's (arXiv:2205.14135).

On a CPU by PyTorch's flash kernel, which knows squares and whole rectangles: a call per run for the keys before its
first row, which all its rows see whole, and one for the causal square of its own rows. Elsewhere a run's keys are one
part, in plain matrix products, a block of rows at a time: as few and as large as memory lets, because what is small
takes a GPU no longer than it takes to be asked for.

Shapes: T tokens of the batch, R rows of the batch, P parts, n rows of one run or block, L keys of one part, N query
heads, G key/value heads, M = N/G, D head dimension.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from eyrie.eagle3.batches import Run

BLOCK_ROWS, BLOCK_SCORES = 128, 2**20  # of the kernel in blocks: the fewest rows, and rows times keys of more
Part = tuple[Tensor, Tensor]  # output [R, N, D]; log-sum-exp [R, N] in float32 or wider, -inf where a row has no key


def kernel_for(queries_RND: Tensor) -> str:
    """ "cpu" or "blocks"."""
    return "cpu" if queries_RND.device.type == "cpu" else "blocks"


def parts(queries_RND: Tensor, keys_TGD: Tensor, values_TGD: Tensor, runs: tuple[Run, ...]) -> list[Part]:
    """Attention of every row to its document's keys up to its own token."""
    kernel = kernel_for(queries_RND)
    num_parts = 2 if kernel == "cpu" else 1
    queries_RGMD = torch.unflatten(queries_RND, 1, (keys_TGD.shape[1], -1))
    wide = torch.promote_types(queries_RND.dtype, torch.float32)
    outputs_PRGMD = queries_RND.new_zeros((num_parts, *queries_RGMD.shape))
    lses_PRGM = queries_RND.new_full((num_parts, *queries_RGMD.shape[:3]), -torch.inf, dtype=wide)
    for run in runs:
        q_GMnD = queries_RGMD[run.rows].permute(1, 2, 0, 3)
        for part, tokens, causal in _keys(kernel, run):
            k_GLD, v_GLD = (x[tokens].transpose(0, 1) for x in (keys_TGD, values_TGD))
            if kernel == "cpu":
                out, lse = _cpu(q_GMnD, k_GLD, v_GLD, causal)
            else:
                out, lse = flash_in_blocks(q_GMnD, k_GLD, v_GLD)
            outputs_PRGMD[part, run.rows] = out.permute(2, 0, 1, 3)
            lses_PRGM[part, run.rows] = lse.permute(2, 0, 1)
    return list(zip(outputs_PRGMD.flatten(2, 3), lses_PRGM.flatten(2, 3), strict=True))


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
    grad_RGMD, queries_RGMD, out_RGMD, lse_RGM, inner_RGM = (
        torch.unflatten(x, 1, (num_groups, -1)) for x in (grad_RND, queries_RND, *merged)
    )
    grad_queries = torch.zeros_like(queries_RGMD, dtype=wide)
    grad_keys, grad_values = torch.zeros_like(keys_TGD, dtype=wide), torch.zeros_like(values_TGD, dtype=wide)
    for run in runs:
        grad, q, out = (x[run.rows].permute(1, 2, 0, 3) for x in (grad_RGMD, queries_RGMD, out_RGMD))
        lse, inner = (x[run.rows].permute(1, 2, 0) for x in (lse_RGM, inner_RGM))
        for _part, tokens, causal in _keys(kernel, run):
            k_GLD, v_GLD = (x[tokens].transpose(0, 1) for x in (keys_TGD, values_TGD))
            if kernel == "cpu":
                grads = _cpu_backward(grad, q, k_GLD, v_GLD, out, lse, causal)
            else:
                grads = flash_in_blocks_backward(grad, q, k_GLD, v_GLD, lse, inner)
            grad_queries[run.rows] += grads[0].permute(2, 0, 1, 3)
            grad_keys[tokens] += grads[1].transpose(0, 1)
            grad_values[tokens] += grads[2].transpose(0, 1)
    return grad_queries.flatten(1, 2), grad_keys, grad_values


def _keys(kernel: str, run: Run) -> Iterator[tuple[int, slice, bool]]:
    """(part, its tokens, causal?): a causal part ends with the rows' own tokens, and a row sees those up to its own."""
    if kernel != "cpu":
        yield 0, slice(run.document_begin, run.token_end), True
        return
    if run.document_begin < run.token_begin:
        yield 0, slice(run.document_begin, run.token_begin), False
    yield 1, slice(run.token_begin, run.token_end), True


def _cpu(q_GMnD: Tensor, k_GLD: Tensor, v_GLD: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """Output [G, M, n, D] and log-sum-exp [G, M, n] of plain attention; causal: row i sees keys 0..i."""
    k, v = _to_each_head(q_GMnD, k_GLD, v_GLD)
    out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q_GMnD, k, v, 0.0, causal)
    return out, lse


def _cpu_backward(
    grad_GMnD: Tensor, q_GMnD: Tensor, k_GLD: Tensor, v_GLD: Tensor, out_GMnD: Tensor, lse_GMn: Tensor, causal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of q, k and v, from the merged output and log-sum-exp."""
    k, v = _to_each_head(q_GMnD, k_GLD, v_GLD)
    grad_q, grad_k, grad_v = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
        grad_GMnD, q_GMnD, k, v, out_GMnD, lse_GMn.contiguous(), 0.0, causal
    )
    return grad_q, grad_k.sum(1), grad_v.sum(1)


def _to_each_head(q_GMnD: Tensor, *of_groups: Tensor) -> Iterator[Tensor]:
    """[G, L, D] -> [G, M, L, D] without a copy: the M query heads of a group share their key head."""
    return (x_GLD[:, None].expand(-1, q_GMnD.shape[1], -1, -1) for x_GLD in of_groups)


def flash_in_blocks(q_GMnD: Tensor, k_GLD: Tensor, v_GLD: Tensor) -> tuple[Tensor, Tensor]:
    """Output [G, M, n, D] and log-sum-exp [G, M, n] of attention in plain matrix products, a block of rows at a time.

    The last n keys are the rows' own: row i sees the keys before it and its own.
    """
    outs, lses = [], []
    for block in _Block.all_of(q_GMnD, k_GLD):
        scores = block.scores()
        lse = scores.logsumexp(-1, keepdim=True)
        outs.append(block.by_head(scores.sub_(lse).exp_().to(v_GLD.dtype) @ v_GLD[:, : block.num_seen]))
        lses.append(block.by_head(lse)[..., 0])
    return torch.cat(outs, -2), torch.cat(lses, -1)


def flash_in_blocks_backward(
    grad_GMnD: Tensor, q_GMnD: Tensor, k_GLD: Tensor, v_GLD: Tensor, lse_GMn: Tensor, inner_GMn: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of q, k and v; probabilities are computed again from the merged log-sum-exp."""
    grad_q = torch.empty_like(q_GMnD)
    grad_k, grad_v = (torch.zeros_like(x, dtype=lse_GMn.dtype) for x in (k_GLD, v_GLD))
    scale = q_GMnD.shape[-1] ** -0.5
    for block in _Block.all_of(q_GMnD, k_GLD):
        seen, grad = slice(block.num_seen), block.together(grad_GMnD)
        p = block.scores().sub_(block.together(lse_GMn)[..., None]).exp_()
        grad_v[:, seen] += p.to(grad.dtype).transpose(1, 2) @ grad
        grad_p = (grad @ v_GLD[:, seen].transpose(1, 2)).to(p.dtype)
        grad_scores = grad_p.sub_(block.together(inner_GMn)[..., None]).mul_(p).mul_(scale).to(q_GMnD.dtype)
        grad_q[:, :, block.rows] = block.by_head(grad_scores @ k_GLD[:, seen])
        grad_k[:, seen] += grad_scores.transpose(1, 2) @ block.together(q_GMnD)
    return grad_q, grad_k, grad_v


@dataclass(frozen=True)
class _Block:
    """Some rows of a run and the keys that they see. The M heads of a group are rows of one matrix product: they share
    their keys, which nobody copies, and gradients of keys are summed by the product."""

    q_GMnD: Tensor
    k_GLD: Tensor
    rows: slice

    @classmethod
    def all_of(cls, q_GMnD: Tensor, k_GLD: Tensor) -> Iterator["_Block"]:
        num_rows = q_GMnD.shape[2]
        size = max(BLOCK_SCORES // k_GLD.shape[1] // BLOCK_ROWS, 1) * BLOCK_ROWS
        for begin in range(0, num_rows, size):
            yield cls(q_GMnD, k_GLD, slice(begin, min(begin + size, num_rows)))

    @property
    def num_seen(self) -> int:
        """The keys that the last row sees: the others are seen by none."""
        return int(self.k_GLD.shape[1] - self.q_GMnD.shape[2] + self.rows.stop)

    def together(self, x_GMn: Tensor) -> Tensor:
        """[G, M, n, ...] -> [G, M * rows of this block, ...]."""
        return x_GMn[:, :, self.rows].flatten(1, 2)

    def by_head(self, x_GbX: Tensor) -> Tensor:
        """[G, M * rows of this block, X] -> [G, M, rows of this block, X]."""
        return torch.unflatten(x_GbX, 1, (self.q_GMnD.shape[1], -1))

    def scores(self) -> Tensor:
        """[G, M * rows of this block, keys seen] in float32 or wider, -inf for keys that come later than the row."""
        k_GLD = self.k_GLD[:, : self.num_seen]
        scores = self.together(self.q_GMnD) @ k_GLD.transpose(1, 2)
        wide = torch.promote_types(scores.dtype, torch.float32)
        scores = scores.to(wide).mul_(k_GLD.shape[-1] ** -0.5)
        size = self.rows.stop - self.rows.start
        later = torch.ones(size, size, dtype=torch.bool, device=scores.device).triu(1)
        self.by_head(scores)[..., -size:].masked_fill_(later, -torch.inf)
        return scores
