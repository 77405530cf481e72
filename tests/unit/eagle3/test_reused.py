"""A weight that is multiplied by many times has the gradients that autograd gives it."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from eyrie.eagle3 import reused
from eyrie.eagle3.reused import ReusedLinear


def unrolled(multiply: Callable[[Tensor], Tensor], x: Tensor, *, recompute: bool = False) -> Tensor:
    """A state that the same weight makes from itself three times."""

    def step(x: Tensor) -> Tensor:
        return torch.tanh(multiply(x))

    for _ in range(3):
        x = checkpoint(step, x, use_reentrant=False) if recompute else step(x)
    return x.square().sum()


def made(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(8, 8, dtype=dtype, generator=generator).requires_grad_()
    return weight, torch.randn(2, 5, 8, dtype=dtype, generator=generator).requires_grad_()


@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_are_those_of_a_linear_layer_applied_as_often(recompute: bool) -> None:
    weight, x = made()
    expected = torch.autograd.grad(unrolled(lambda y: F.linear(y, weight), x), (weight, x))
    found = torch.autograd.grad(unrolled(ReusedLinear(weight), x, recompute=recompute), (weight, x))
    torch.testing.assert_close(found, expected)


def test_under_autocast_gradients_add_up_in_the_weights_own_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reused, "HALF_ROWS", 3)
    (weight, _), factors = made(torch.float32), torch.arange(1.0, 9.0)
    rows = [torch.full((1, 8), value) for value in (256.0, 1.0, 1.0)]
    with torch.autocast("cpu", torch.bfloat16):
        product = ReusedLinear(weight)
        total = torch.stack([(product(row).float() * factors).sum() for row in rows]).sum()
    (found,) = torch.autograd.grad(total, weight)
    # in bfloat16 256 + 1 is 256
    torch.testing.assert_close(found, 258 * factors[:, None].expand(8, 8))


def test_a_weight_that_nothing_was_multiplied_by_has_no_gradient() -> None:
    weight, x = made()
    ReusedLinear(weight)
    assert torch.autograd.grad(unrolled(lambda y: y, x), weight, allow_unused=True) == (None,)


def test_without_gradients_it_is_a_linear_layer() -> None:
    weight, x = made()
    with torch.no_grad():
        assert not ReusedLinear(weight)(x).requires_grad
        torch.testing.assert_close(ReusedLinear(weight)(x), F.linear(x, weight))
