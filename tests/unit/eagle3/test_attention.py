"""Attention of one TTT step: both kernels, any run, against one plain softmax over every key a row sees."""

import pytest
import torch
from torch import Tensor

from eyrie.eagle3 import attention
from eyrie.eagle3.attention import TttAttention
from eyrie.eagle3.batches import Run

N, G, D, T = 4, 2, 8, 61
RUNS = (Run(0, 3, 20, 0), Run(0, 25, 31, 17), Run(31, 31, 61, 23))  # the last one has no prefix
ROWS = 53


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
@pytest.mark.parametrize("kernel", ["of the CPU", "in blocks"])
def test_outputs_and_gradients_are_those_of_one_softmax(
    num_diagonals: int, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kernel == "in blocks":
        monkeypatch.setattr(attention, "BLOCK_ROWS", 7)
        monkeypatch.setattr(attention, "CPU_KERNEL", False)
    inputs = tensors(num_diagonals)
    outputs = [TttAttention.apply(*inputs[:3], RUNS, *inputs[3:]), by_definition(*inputs)]
    weights = torch.randn(ROWS, N, D, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    torch.testing.assert_close(*outputs)
    grads = [torch.autograd.grad((output * weights).sum(), inputs) for output in outputs]
    for ours, expected in zip(*grads, strict=True):
        torch.testing.assert_close(ours, expected)


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
