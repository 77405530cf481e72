"""AdamW over the head's weights: its schedule, and its state as named tensors.

Weights, moments and the moving average are float32 whatever the type of matrix products is.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.spread import part_like, whole
from eyrie.params import TrainHead

EMA, ADAM = "ema.", "adam."


class Optimizer:
    """AdamW, fused; weight decay on matrices only. Optionally a moving average of the weights."""

    def __init__(self, head: Eagle3Head, settings: TrainHead) -> None:
        self._head, self._settings = head, settings
        groups = [
            {
                "params": [weight for weight in head.parameters() if weight.dim() > 1],
                "weight_decay": settings.weight_decay,
            },
            {"params": [weight for weight in head.parameters() if weight.dim() == 1], "weight_decay": 0.0},
        ]
        betas = (settings.beta1, settings.beta2)
        self._adam = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas, fused=True)
        self._average: dict[str, Tensor] = {}
        if settings.ema_decay is not None:
            self._average = {name: weight.detach().clone() for name, weight in head.named_parameters()}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._adam.zero_grad()

    def step(self, rate: float) -> float:
        """Clip, then step at learning rate `rate`. Returns the gradient norm; no step is taken when it is no number."""
        found = torch.nn.utils.clip_grad_norm_(self._head.parameters(), self._settings.max_grad_norm)
        norm = float(whole({"norm": found})["norm"])
        if math.isfinite(norm):
            for group in self._adam.param_groups:
                group["lr"] = rate
            self._adam.step()
            if self._average:
                names, weights = zip(*self._head.named_parameters(), strict=True)
                with torch.no_grad():
                    decay = average_decay(self._num_steps, self._settings.ema_decay or 0.0)
                    torch._foreach_lerp_([self._average[name] for name in names], list(weights), 1.0 - decay)
        return norm

    @property
    def _num_steps(self) -> int:
        """Steps that AdamW has taken; it counts them per weight, and a checkpoint brings them back."""
        return int(self._adam.state[next(self._head.parameters())]["step"])

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """The head holds the moving average inside the block, when there is one."""
        if not self._average:
            yield
            return
        weights = dict(self._head.named_parameters())
        now = {name: weight.detach().clone() for name, weight in weights.items()}
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(self._average[name])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, weight in weights.items():
                    weight.copy_(now[name])

    def tensors(self) -> dict[str, Tensor]:
        """Moments and moving average, by the names of the weights."""
        found = {f"{EMA}{name}": tensor for name, tensor in self._average.items()}
        for name, weight in self._head.named_parameters():
            for key, value in self._adam.state[weight].items():
                found[f"{ADAM}{key}.{name}"] = value
        return found

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take what `tensors` gave. Raises KeyError when something is missing."""
        for name in self._average:
            self._average[name].copy_(part_like(tensors[f"{EMA}{name}"], self._average[name]))
        for name, weight in self._head.named_parameters():
            self._adam.state[weight] = {
                "step": tensors[f"{ADAM}step.{name}"].to(weight.device),
                "exp_avg": part_like(tensors[f"{ADAM}exp_avg.{name}"], weight),
                "exp_avg_sq": part_like(tensors[f"{ADAM}exp_avg_sq.{name}"], weight),
            }


def average_decay(num_steps: int, decay: float) -> float:
    """The share of the moving average that stays when `num_steps` steps are taken, this one included.

    Less than `decay` at first: otherwise a run of 300 steps at 0.999 would export its starting weights by 74%.
    """
    return min(decay, (1 + num_steps) / (10 + num_steps))


def learning_rate(step: int, settings: TrainHead) -> float:
    """Linear warm-up over `warmup_steps`, then half a cosine down to 0 at `max_steps`. `step` counts from 0."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(settings.max_steps - settings.warmup_steps, 1)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))
