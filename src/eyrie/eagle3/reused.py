"""A weight that one loss multiplies by many times: its gradient grows in place.

A head's layer is applied once per TTT step, and autograd would make a gradient as large as the weight for each, only to
add them up. Here every application adds its own to one matrix: in float32 as part of the matrix product, in half
precision to a sum in float32. Under autocast the weight is rounded once, not at each step.

Shapes: R rows, I inputs, O outputs; W is [O, I].
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

HALF_ROWS = 512  # of a weight, on a CPU


class ReusedLinear:
    """x [..., I] -> x W^T [..., O] for one W [O, I], as `torch.nn.functional.linear`."""

    def __init__(self, weight_OI: Tensor) -> None:
        self._gradient = WeightGradient(computed(weight_OI.detach()), weight_OI.dtype)
        self._anchor: Tensor = _Anchor.apply(weight_OI, self._gradient)

    def __call__(self, x: Tensor) -> Tensor:
        applied: Tensor = _Apply.apply(computed(x), self._anchor, self._gradient)
        return applied


class WeightGradient:
    """A weight as products read it, and the sum of its gradients so far, in `dtype`."""

    def __init__(self, weight_OI: Tensor, dtype: torch.dtype) -> None:
        self.weight_OI, self._dtype = weight_OI, dtype
        self._sum_OI: Tensor | None = None

    def add(self, grad_RO: Tensor, x_RI: Tensor) -> None:
        """The share of one product x W^T whose gradient is `grad_RO`."""
        if self._sum_OI is None:
            self._sum_OI = (grad_RO.T @ x_RI).to(self._dtype)
        elif x_RI.dtype == self._dtype:
            self._sum_OI.addmm_(grad_RO.T, x_RI)
        else:
            # on a CPU a part at a time: the sum of two types makes a copy in the wider one, which is best a small one
            size = HALF_ROWS if x_RI.device.type == "cpu" else len(self._sum_OI)
            for sum_oI, grad_Ro in zip(torch.split(self._sum_OI, size), torch.split(grad_RO, size, 1), strict=True):
                sum_oI.add_(grad_Ro.T @ x_RI)

    def take(self) -> Tensor | None:
        """The sum, which then begins anew; None where nothing was added."""
        taken, self._sum_OI = self._sum_OI, None
        return taken


class _Anchor(torch.autograd.Function):
    """Stands for the weight in the graph: autograd comes back to it once, after all applications."""

    @staticmethod
    def forward(ctx: Any, weight_OI: Tensor, gradient: WeightGradient) -> Tensor:
        ctx.gradient = gradient
        return weight_OI.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _grad: Tensor) -> tuple[Tensor | None, None]:
        return ctx.gradient.take(), None


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, gradient: WeightGradient) -> Tensor:
        ctx.save_for_backward(x)
        ctx.gradient, ctx.anchor_dtype = gradient, anchor.dtype
        return torch.nn.functional.linear(x, gradient.weight_OI)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        (x,) = ctx.saved_tensors
        ctx.gradient.add(grad.flatten(0, -2), x.flatten(0, -2))
        grad_x = grad @ ctx.gradient.weight_OI if ctx.needs_input_grad[0] else None
        return grad_x, grad.new_zeros((), dtype=ctx.anchor_dtype), None


def computed(tensor: Tensor) -> Tensor:
    """In the type of matrix products: autocast's where it is on."""
    kind = tensor.device.type
    return tensor.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else tensor
