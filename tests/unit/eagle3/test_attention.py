"""Attention of one TTT step: every kernel, any run, against one plain softmax over every key a row sees."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from eyrie.eagle3 import flash
from eyrie.eagle3.attention import TttAttention
from eyrie.eagle3.batches import Run

N, G, D, T = 4, 2, 8, 70
# two answers in one document; no prefix; a document without rows before each, and one at the end
RUNS = (Run(3, 5, 21, 0), Run(3, 25, 31, 16), Run(36, 36, 66, 22))
ROWS = 52


def causal_by_definition(
    q: Tensor, k: Tensor, v: Tensor, bounds_q: Tensor, bounds_k: Tensor
) -> Iterator[tuple[slice, slice, Tensor]]:
    """(rows, keys, scores [N, rows, keys]) of each sequence; its last row sees all of its keys."""
    for i in range(len(bounds_q) - 1):
        rows, keys = (slice(int(bounds[i]), int(bounds[i + 1])) for bounds in (bounds_q, bounds_k))
        shared = k[keys].repeat_interleave(N // G, 1)
        scores = torch.einsum("nhd,lhd->hnl", q[rows], shared) * D**-0.5
        num_rows, num_keys = scores.shape[1:]
        later = torch.ones(num_rows, num_keys, dtype=torch.bool).triu(num_keys - num_rows + 1)
        yield rows, keys, scores.masked_fill(later, -torch.inf)


def varlen_forward(
    q: Tensor, k: Tensor, v: Tensor, bounds_q: Tensor, bounds_k: Tensor, max_q: int, max_k: int, *options: Any
) -> tuple[Tensor, ...]:
    """What PyTorch's kernel computes on a GPU: output [F, N, D] and log-sum-exp [N, F]."""
    assert options == (0.0, True, False)
    assert (max_q, max_k) == (int(bounds_q.diff().max()), int(bounds_k.diff().max()))
    assert (bounds_q[-1], bounds_k[-1]) == (len(q), len(k))
    out, lse = torch.empty_like(q), q.new_empty(N, len(q))
    for rows, keys, scores in causal_by_definition(q, k, v, bounds_q, bounds_k):
        lse[:, rows] = scores.logsumexp(-1)
        out[rows] = torch.einsum("hnl,lhd->nhd", scores.softmax(-1), v[keys].repeat_interleave(N // G, 1))
    return out, lse, *(torch.empty(0) for _ in range(3))


def varlen_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, bounds_q: Tensor, bounds_k: Tensor, *_: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients from the output and the log-sum-exp that it is given, as the kernel makes them."""
    assert lse.is_contiguous()
    grads = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
    for rows, keys, scores in causal_by_definition(q, k, v, bounds_q, bounds_k):
        shares = (scores - lse[:, rows, None]).exp()
        wide_k, wide_v = (x[keys].repeat_interleave(N // G, 1) for x in (k, v))
        inner = (grad[rows] * out[rows]).sum(-1).T[..., None]
        grad_scores = shares * (torch.einsum("nhd,lhd->hnl", grad[rows], wide_v) - inner) * D**-0.5
        grads[0][rows] = torch.einsum("hnl,lhd->nhd", grad_scores, wide_k)
        for total, of_heads in (
            (grads[1], torch.einsum("hnl,nhd->lhd", grad_scores, q[rows])),
            (grads[2], torch.einsum("hnl,nhd->lhd", shares, grad[rows])),
        ):
            total[keys] = of_heads.unflatten(1, (G, -1)).sum(2)
    return grads


@pytest.fixture
def varlen_on_cpu() -> Iterator[None]:
    """The GPU's operators, registered for the CPU: PyTorch checks every call against their signatures."""
    with torch.library._scoped_library("aten", "IMPL") as library:
        library.impl("_flash_attention_forward", varlen_forward, "CPU")
        library.impl("_flash_attention_backward", varlen_backward, "CPU")
        yield


def tensors(num_diagonals: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(ROWS, N, D), (T, G, D), (T, G, D), *[(ROWS, G, D)] * (2 * num_diagonals)]
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def by_definition(queries: Tensor, keys: Tensor, values: Tensor, *diagonals: Tensor) -> Tensor:
    rows = []
    for run in RUNS:
        for row, token in zip(range(run.row_begin, run.row_end), range(run.token_begin, run.token_end), strict=True):
            seen_keys = torch.cat([keys[run.document_begin : token + 1], *(x[row : row + 1] for x in diagonals[::2])])
            seen_values = torch.cat(
                [values[run.document_begin : token + 1], *(x[row : row + 1] for x in diagonals[1::2])]
            )
            heads = []
            for head in range(N):
                group = head // (N // G)
                weights = (seen_keys[:, group] @ queries[row, head] * D**-0.5).softmax(0)
                heads.append(weights @ seen_values[:, group])
            rows.append(torch.stack(heads))
    return torch.stack(rows)


@pytest.mark.parametrize("num_diagonals", [0, 1, 3])
@pytest.mark.parametrize("kernel", ["cpu", "blocks", "varlen"])
def test_outputs_and_gradients_are_those_of_one_softmax(
    num_diagonals: int, kernel: str, monkeypatch: pytest.MonkeyPatch, varlen_on_cpu: None
) -> None:
    monkeypatch.setattr(flash, "BLOCK_ROWS", 7)
    monkeypatch.setattr(flash, "kernel_for", lambda queries: kernel)
    inputs = tensors(num_diagonals)
    outputs = [TttAttention.apply(*inputs[:3], RUNS, *inputs[3:]), by_definition(*inputs)]
    weights = torch.randn(ROWS, N, D, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    torch.testing.assert_close(*outputs)
    grads = [torch.autograd.grad((output * weights).sum(), inputs) for output in outputs]
    for ours, expected in zip(*grads, strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpus_kernel_agrees_with_one_softmax() -> None:
    inputs = [tensor.detach().cuda().bfloat16().requires_grad_() for tensor in tensors(3)]
    assert flash.kernel_for(inputs[0]) == "varlen"
    wide = [tensor.detach().cpu().double().requires_grad_() for tensor in inputs]
    outputs = [TttAttention.apply(*inputs[:3], RUNS, *inputs[3:]), by_definition(*wide)]
    weights = torch.randn(ROWS, N, D, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    grads = [
        torch.autograd.grad((out.cpu().double() * weights).sum(), x)
        for out, x in zip(outputs, (inputs, wide), strict=True)
    ]
    for ours, expected in zip([outputs[0], *grads[0]], [outputs[1], *grads[1]], strict=True):
        error = (ours.cpu().double() - expected).norm() / expected.norm()
        assert error < 0.01


@pytest.mark.parametrize("kernel", ["blocks", "varlen"])
def test_a_gpus_kernels_get_what_pytorch_asks_for_and_give_gradients_on_that_gpu(
    kernel: str, monkeypatch: pytest.MonkeyPatch, absent_gpu: None
) -> None:
    monkeypatch.setattr(flash, "kernel_for", lambda queries: kernel)
    inputs = [torch.empty_like(tensor, dtype=torch.bfloat16, device="cuda") for tensor in tensors(3)]
    attended = TttAttention.apply(*(tensor.requires_grad_() for tensor in inputs[:3]), RUNS, *inputs[3:])
    assert attended.grad_fn is not None
    grads = attended.grad_fn.apply(torch.empty_like(attended))  # without autograd's engine, which wants a real device
    for like, made in zip([*inputs[:1], *inputs], [attended, *(x for x in grads if x is not None)], strict=True):
        assert (made.device.type, made.dtype, made.shape) == ("cuda", torch.bfloat16, like.shape)


def test_a_gpus_kernel_is_chosen_by_device_precision_and_head_dimension(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor on a device that need not be there: shapes and types only."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(
        flash, "varlen_agrees", lambda device, dtype, head_dim: dtype != torch.float16 or head_dim != 128
    )
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True):
        for dtype, size, kernel in (
            (torch.bfloat16, 128, "varlen"),
            (torch.float16, 64, "varlen"),
            (torch.float16, 128, "blocks"),
            (torch.float32, 128, "blocks"),
            (torch.bfloat16, 20, "blocks"),
            (torch.bfloat16, 320, "blocks"),
        ):
            assert flash.kernel_for(torch.empty(2, N, size, dtype=dtype, device="cuda")) == kernel
    assert flash.kernel_for(torch.empty(2, N, D)) == "cpu"


def test_a_kernel_of_pytorch_that_computes_as_expected_is_used(
    varlen_on_cpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check names its kernels: on a GPU, to ask which one to take would ask for the check again, without end."""
    monkeypatch.setattr(flash, "kernel_for", lambda queries: pytest.fail("asked which kernel to take"))
    assert flash.varlen_agrees.__wrapped__(torch.device("cpu"), torch.float32, D)


@pytest.mark.parametrize(
    ("operator", "mistake", "reason"),
    [
        ("forward", lambda made: (made[0], made[1] + 1, *made[2:]), "its results differ by 1"),
        ("backward", lambda made: (made[0], made[1], -made[2]), "its results differ by"),
        ("backward", lambda made: made[0].mm(made[1]), "must be a matrix"),
    ],
)
def test_a_kernel_of_pytorch_that_has_changed_is_not_used(
    operator: str, mistake: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]], reason: str
) -> None:
    made = {"forward": varlen_forward, "backward": varlen_backward}
    right = made[operator]
    made[operator] = lambda *args: mistake(right(*args))
    with torch.library._scoped_library("aten", "IMPL") as library:
        for name, function in made.items():
            library.impl(f"_flash_attention_{name}", function, "CPU")
        with pytest.warns(UserWarning, match=f"attention runs in blocks: .*{reason}"):
            assert not flash.varlen_agrees.__wrapped__(torch.device("cpu"), torch.float32, D)


def test_scores_are_never_as_large_as_rows_times_keys() -> None:
    """Doubling the tokens doubles what is kept for the backward."""

    def kept(num_tokens: int) -> int:
        sizes: list[int] = []

        def pack(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        inputs = [torch.randn(num_tokens, heads, D, requires_grad=True) for heads in (N, G, G)]
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            TttAttention.apply(*inputs, (Run(0, 0, num_tokens, 0),))
        return sum(sizes)

    assert kept(2000) == 2 * kept(1000) <= 100 * 2000
