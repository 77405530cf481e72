"""Attention of one TTT step: every kernel, any run, against one plain softmax over every key a row sees."""

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
@pytest.mark.parametrize(("kernel", "block_scores"), [("cpu", 0), ("blocks", 0), ("blocks", 2**20), ("blocks", 450)])
def test_outputs_and_gradients_are_those_of_one_softmax(
    num_diagonals: int, kernel: str, block_scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flash, "BLOCK_ROWS", 7)
    monkeypatch.setattr(flash, "BLOCK_SCORES", block_scores)
    monkeypatch.setattr(flash, "kernel_for", lambda queries: kernel)
    inputs = tensors(num_diagonals)
    outputs = [TttAttention.apply(*inputs[:3], RUNS, *inputs[3:]), by_definition(*inputs)]
    weights = torch.randn(ROWS, N, D, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    torch.testing.assert_close(*outputs)
    grads = [torch.autograd.grad((output * weights).sum(), inputs) for output in outputs]
    for ours, expected in zip(*grads, strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(("num_keys", "most_rows"), [(1000, 1000), (3000, 256), (32768, 128)])
def test_a_block_is_as_large_as_its_scores_may_be_and_no_smaller_than_128_rows(num_keys: int, most_rows: int) -> None:
    """Small products take a GPU no longer than it takes to be asked for them; memory stays linear in the tokens."""
    q_GMnD, k_GLD = torch.empty(G, N // G, num_keys, 0), torch.empty(G, num_keys, 0)
    blocks = [block.rows for block in flash._Block.all_of(q_GMnD, k_GLD)]
    assert [row for rows in blocks for row in range(rows.start, rows.stop)] == list(range(num_keys))
    assert max(rows.stop - rows.start for rows in blocks) == most_rows


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_agrees_with_one_softmax() -> None:
    inputs = [tensor.detach().cuda().bfloat16().requires_grad_() for tensor in tensors(3)]
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


def test_a_gpu_s_gradients_are_on_that_gpu_and_of_its_precision(absent_gpu: None) -> None:
    inputs = [torch.empty_like(tensor, dtype=torch.bfloat16, device="cuda") for tensor in tensors(3)]
    assert flash.kernel_for(inputs[0]) == "blocks"
    attended = TttAttention.apply(*(tensor.requires_grad_() for tensor in inputs[:3]), RUNS, *inputs[3:])
    assert attended.grad_fn is not None
    grads = attended.grad_fn.apply(torch.empty_like(attended))  # without autograd's engine, which wants a real device
    for like, made in zip([*inputs[:1], *inputs], [attended, *(x for x in grads if x is not None)], strict=True):
        assert (made.device.type, made.dtype, made.shape) == ("cuda", torch.bfloat16, like.shape)


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
