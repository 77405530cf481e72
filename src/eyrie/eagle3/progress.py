"""What changes while a head is trained and is no tensor: counters, losses, and the points of the curves."""

from dataclasses import dataclass, field
from typing import Any

from eyrie.eagle3.simulate import HeldoutScore


@dataclass(frozen=True)
class TrainPoint:
    """Mean loss of the steps since the point before; the learning rate of the last of them."""

    step: int
    loss: float
    learning_rate: float


@dataclass
class Progress:
    """A run's counters and points so far; `asdict` and `from_json` are each other's inverse."""

    step: int = 0
    tokens_seen: int = 0
    supervised_seen: int = 0
    losses: list[float] = field(default_factory=list)  # one per step so far
    train_points: list[TrainPoint] = field(default_factory=list)
    heldout_points: list[tuple[int, HeldoutScore]] = field(default_factory=list)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "Progress":
        return cls(
            **{key: raw[key] for key in ("step", "tokens_seen", "supervised_seen", "losses")},
            train_points=[TrainPoint(**point) for point in raw["train_points"]],
            heldout_points=[
                (step, HeldoutScore(**{**point, "accuracy": tuple(point["accuracy"])}))
                for step, point in raw["heldout_points"]
            ],
        )

    @property
    def best_step(self) -> int:
        """The first step with the longest acceptance length so far; 0 before the first evaluation."""
        return max(self.heldout_points, key=lambda point: point[1].acceptance_length, default=(0, None))[0]

    @property
    def evaluations_since_best(self) -> int:
        return sum(step > self.best_step for step, _ in self.heldout_points)

    @property
    def mean_of_last(self) -> float:
        """Mean loss of the steps since the last training point."""
        return mean(self.losses[self.train_points[-1].step if self.train_points else 0 :])


def mean(values: list[float]) -> float:
    return sum(values) / len(values)
