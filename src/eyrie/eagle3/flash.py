"""Attention of packed rows to their documents' step-0 keys, by flash kernels, with what merging needs.

Row t of a run sees its document's keys s <= t. In: queries, keys and values. Out: *parts*, each an output and its
log-sum-exp over some of those keys, which together are all of them. Backwards: gradients from the output and
log-sum-exp of the whole softmax that the parts were merged into; with those, the probabilities that a kernel recomputes
are the whole softmax's (arXiv:2205.14135).

Three kernels, one interface:

- of the CPU: a call per run for the keys before its first row (which all its rows see whole) and one for the causal
  square of its own rows; no mask is ever built.
- *varlen*, on a GPU in half precision: PyTorch's variable-length FlashAttention, one call for the whole batch. A
  sequence is a document from its first supervised row on; rows between and after its runs are filled with zeros.
- in blocks of rows, plain matrix products: what else there is (float32 on a GPU), and what varlen is checked against
  once in a process, because PyTorch may change operators that are private to it.

Shapes: T tokens of the batch, R rows of the batch, F rows with the filled ones, P parts, n rows of one run, L keys of
one part, N query heads, G key/value heads, M = N/G, D head dimension.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import torch
from torch import Tensor

from eyrie.eagle3.batches import Run

VARLEN_TOLERANCE = 0.1  # of values of about 1 in half precision
BLOCK_ROWS = 128  # of the kernel in blocks: its scores are [G, M, 128, keys]
Part = tuple[Tensor, Tensor]  # output [R, N, D]; log-sum-exp [R, N] in float32 or wider, -inf where a row has no key


def kernel_for(queries_RND: Tensor) -> str:
    """ "cpu", "varlen" or "blocks". FlashAttention takes half precision and head dimensions of 8, 16 ... 256."""
    if queries_RND.device.type == "cpu":
        return "cpu"
    half = queries_RND.dtype in (torch.float16, torch.bfloat16)
    fits = queries_RND.shape[-1] % 8 == 0 and queries_RND.shape[-1] <= 256
    if queries_RND.device.type == "cuda" and torch.version.hip is None and half and fits:
        recent = torch.cuda.get_device_capability(queries_RND.device)[0] >= 8
        if recent and varlen_agrees(queries_RND.device, queries_RND.dtype, queries_RND.shape[-1]):
            return "varlen"
    return "blocks"


@lru_cache
def varlen_agrees(device: torch.device, dtype: torch.dtype, head_dim: int) -> bool:
    """Whether the variable-length kernel computes on this device what the one in blocks does; a warning if not."""
    runs = (Run(0, 3, 9, 0), Run(12, 12, 40, 6))  # a prefix, rows between, a document that is all rows
    generator = torch.Generator().manual_seed(1)
    shapes = (34, 4), (34, 4), (40, 2), (40, 2)
    grad, queries, keys, values = (
        torch.randn(*shape, head_dim, generator=generator).to(device, dtype) for shape in shapes
    )
    outs, lses = map(torch.stack, zip(*parts(queries, keys, values, runs, "blocks"), strict=True))
    lse = lses.logsumexp(0)
    out = ((lses - lse).exp()[..., None] * outs).sum(0).to(dtype)
    merged = out, lse, (grad.float() * out).sum(-1)
    expected = out, lse, *parts_backward(grad, queries, keys, values, merged, runs, "blocks")
    try:
        found = (
            *parts(queries, keys, values, runs, "varlen")[0],
            *parts_backward(grad, queries, keys, values, merged, runs, "varlen"),
        )
    except (RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]
    else:
        far = max(float((one.float() - other).abs().max()) for one, other in zip(found, expected, strict=True))
        if far < VARLEN_TOLERANCE:
            return True
        reason = f"its results differ by {far:.2g}, {VARLEN_TOLERANCE} allowed"
    warnings.warn(f"attention runs in blocks: PyTorch's variable-length kernel cannot be used ({reason})", stacklevel=2)
    return False


def parts(
    queries_RND: Tensor, keys_TGD: Tensor, values_TGD: Tensor, runs: tuple[Run, ...], kernel: str | None = None
) -> list[Part]:
    """Attention of every row to its document's keys up to its own token, by `kernel_for`'s kernel or the named one."""
    kernel = kernel or kernel_for(queries_RND)
    if kernel == "varlen":
        return [_varlen(queries_RND, keys_TGD, values_TGD, runs)]
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
    kernel: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of queries, keys and values by way of the step-0 keys, in float32 or wider or of the queries' dtype.

    `merged`: output [R, N, D] and log-sum-exp [R, N] of the whole softmax, and the sum over D of output * gradient.
    """
    kernel = kernel or kernel_for(queries_RND)
    if kernel == "varlen":
        return _varlen_backward(grad_RND, queries_RND, keys_TGD, values_TGD, *merged[:2], runs)
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


@dataclass(frozen=True)
class _Sequences:
    """What the variable-length kernel reads. Keys of sequence i are tokens first + bounds_k[i] ... bounds_k[i + 1]."""

    first: int
    bounds_q: Tensor  # [sequences + 1] int32, on the device, as is bounds_k
    bounds_k: Tensor
    longest_q: int
    longest_k: int
    places_R: Tensor  # where each row lies among the F filled ones
    num_filled: int


@lru_cache(maxsize=2)  # of one batch: asked for at every step and backwards
def _sequences(runs: tuple[Run, ...], num_tokens: int, device: torch.device) -> _Sequences:
    begins = sorted({run.document_begin for run in runs})
    ends = [*begins[1:], num_tokens]  # unsupervised documents after one lengthen it: filled rows, which nobody reads
    first_rows = {begin: min(run.token_begin for run in runs if run.document_begin == begin) for begin in begins}
    lengths_q = [end - first_rows[begin] for begin, end in zip(begins, ends, strict=True)]
    starts = dict(zip(begins, accumulate(lengths_q, initial=0), strict=False))
    places = [
        torch.arange(run.token_begin, run.token_end) + starts[run.document_begin] - first_rows[run.document_begin]
        for run in runs
    ]
    bounds_q = list(accumulate(lengths_q, initial=0))
    bounds_k = [begin - begins[0] for begin in (*begins, num_tokens)]
    return _Sequences(
        first=begins[0],
        bounds_q=torch.tensor(bounds_q, dtype=torch.int32, device=device),
        bounds_k=torch.tensor(bounds_k, dtype=torch.int32, device=device),
        longest_q=max(lengths_q),
        longest_k=max(end - begin for begin, end in zip(begins, ends, strict=True)),
        places_R=torch.cat(places).to(device),
        num_filled=bounds_q[-1],
    )


def _varlen(queries_RND: Tensor, keys_TGD: Tensor, values_TGD: Tensor, runs: tuple[Run, ...]) -> Part:
    sequences = _sequences(runs, len(keys_TGD), queries_RND.device)
    out_FND, lse_NF, *_ = torch.ops.aten._flash_attention_forward(
        _filled(queries_RND, sequences),
        keys_TGD[sequences.first :],
        values_TGD[sequences.first :],
        sequences.bounds_q,
        sequences.bounds_k,
        sequences.longest_q,
        sequences.longest_k,
        0.0,
        True,  # causal, the last row and the last key of a sequence side by side
        False,
    )
    return out_FND[sequences.places_R], lse_NF.T[sequences.places_R]


def _varlen_backward(
    grad_RND: Tensor,
    queries_RND: Tensor,
    keys_TGD: Tensor,
    values_TGD: Tensor,
    out_RND: Tensor,
    lse_RN: Tensor,
    runs: tuple[Run, ...],
) -> tuple[Tensor, Tensor, Tensor]:
    sequences = _sequences(runs, len(keys_TGD), queries_RND.device)
    grads = torch.ops.aten._flash_attention_backward(
        _filled(grad_RND, sequences),
        _filled(queries_RND, sequences),
        keys_TGD[sequences.first :],
        values_TGD[sequences.first :],
        _filled(out_RND, sequences),
        _filled(lse_RN, sequences).T.contiguous(),
        sequences.bounds_q,
        sequences.bounds_k,
        sequences.longest_q,
        sequences.longest_k,
        0.0,
        True,
        torch.zeros(2, dtype=torch.uint64, device=queries_RND.device),  # dropout's random state, not read
        torch.empty(0, device=queries_RND.device),
    )
    grad_keys, grad_values = (torch.zeros_like(x) for x in (keys_TGD, values_TGD))
    grad_keys[sequences.first :], grad_values[sequences.first :] = grads[1:]
    return grads[0][sequences.places_R], grad_keys, grad_values


def _filled(x_RN: Tensor, sequences: _Sequences) -> Tensor:
    """Rows at their places, zeros between: a filled row has no gradient, so it gives none to keys and values."""
    filled: Tensor = x_RN.new_zeros((sequences.num_filled, *x_RN.shape[1:])).index_copy_(0, sequences.places_R, x_RN)
    return filled


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
