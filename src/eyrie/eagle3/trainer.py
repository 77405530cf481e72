"""The training loop of the draft head: AdamW, warm-up and cosine, the best held-out weights kept.

In: documents, the target's frozen embedding, the teacher. Out: `Outcome`, and the head holding its best weights: those
with the longest simulated acceptance length on the held-out split, because that length peaks and then falls while the
training loss goes on falling. A run is a function of its inputs, its seed and the number of threads.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor

from eyrie.eagle3.batches import Document, PackedBatch, is_supervised, pack, plan_batches, shorten, training_batches
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.loss import ttt_loss
from eyrie.eagle3.simulate import HeldoutScore, score_heldout
from eyrie.eagle3.teacher import Teacher
from eyrie.io import progress
from eyrie.params import TrainHead

logger = logging.getLogger(__name__)


class TrainingError(ValueError):
    """Training cannot start or go on: nothing to learn from, or a loss that is no number."""


@dataclass(frozen=True)
class TrainPoint:
    """Mean loss of the steps since the point before; the learning rate of the last of them."""

    step: int
    loss: float
    learning_rate: float


@dataclass
class State:
    """All that changes while training: what a checkpoint of a run would have to hold."""

    head: Eagle3Head
    optimizer: torch.optim.Optimizer
    step: int = 0
    tokens_seen: int = 0
    supervised_seen: int = 0
    losses: list[float] = field(default_factory=list)  # one per step so far
    train_points: list[TrainPoint] = field(default_factory=list)
    heldout_points: list[tuple[int, HeldoutScore]] = field(default_factory=list)
    best_step: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """`train_loss` is the mean over the steps between the best evaluation and the one before it."""

    best_step: int
    best: HeldoutScore
    train_loss: float
    tokens_seen: int
    supervised_seen: int
    train_points: list[TrainPoint]
    heldout_points: list[tuple[int, HeldoutScore]]


class Trainer:
    def __init__(
        self,
        head: Eagle3Head,
        embedding_VH: Tensor,
        teacher: Teacher,
        *,
        train: Sequence[Document],
        heldout: Sequence[Document],
        settings: TrainHead,
    ) -> None:
        """`head` holds the starting weights, float32, on the device to train on. Raises TrainingError."""
        self.device = embedding_VH.device
        self.embedding_VH, self.teacher, self.settings = embedding_VH, teacher, settings
        self.train_documents = self._usable(train, "train")
        heldout_documents = self._usable(heldout, "heldout")
        lengths = [len(document) for document in heldout_documents]
        self.heldout_batches = [
            pack([heldout_documents[index] for index in batch], self.device)
            for batch in plan_batches(lengths, range(len(lengths)), settings.batch_tokens)
        ]
        self.greedy_ids = [teacher.argmax(batch.teacher_last_RH) for batch in self.heldout_batches]
        matrices = [weight for weight in head.parameters() if weight.dim() > 1]
        scales = [weight for weight in head.parameters() if weight.dim() == 1]
        groups = [
            {"params": matrices, "weight_decay": settings.weight_decay},
            {"params": scales, "weight_decay": 0.0},
        ]
        betas = (settings.beta1, settings.beta2)
        self.state = State(head, torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas, fused=True))

    def run(self) -> Outcome:
        """Train for `max_steps`. The head ends with the best weights. Raises TrainingError when a loss is no number."""
        state, settings = self.state, self.settings
        lengths = [len(document) for document in self.train_documents]
        order = training_batches(lengths, seed=settings.seed, batch_tokens=settings.batch_tokens)
        with progress(settings.max_steps, desc="training the head", unit="step") as bar:
            for indices in islice(order, settings.max_steps):
                rate = learning_rate(state.step, settings)
                self._step(pack([self.train_documents[index] for index in indices], self.device), rate)
                if state.step % settings.log_every == 0:
                    loss = _mean(state.losses[-settings.log_every :])
                    state.train_points.append(TrainPoint(state.step, loss, rate))
                if state.step % settings.eval_every == 0 or state.step == settings.max_steps:
                    self._evaluate()
                bar.update()
        state.head.load_state_dict(state.best_weights)
        steps = [step for step, _ in state.heldout_points]
        index = steps.index(state.best_step)
        return Outcome(
            best_step=state.best_step,
            best=state.heldout_points[index][1],
            train_loss=_mean(state.losses[steps[index - 1] if index else 0 : state.best_step]),
            tokens_seen=state.tokens_seen,
            supervised_seen=state.supervised_seen,
            train_points=state.train_points,
            heldout_points=state.heldout_points,
        )

    def _step(self, batch: PackedBatch, rate: float) -> None:
        """One optimizer step at learning rate `rate`."""
        state, settings = self.state, self.settings
        targets = self.teacher.targets(batch.teacher_last_RH)
        with self._autocast():
            loss = ttt_loss(
                state.head,
                self.embedding_VH,
                targets,
                batch,
                num_steps=settings.ttt_steps,
                decay=settings.ttt_decay,
            )
        state.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(state.head.parameters(), settings.max_grad_norm)
        state.step += 1
        if not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
            raise TrainingError(
                f"training stopped at step {state.step}: loss {loss.item()}, gradient norm {norm.item()}; lower "
                f"train_head.learning_rate, or look at the features of {', '.join(batch.origins)}"
            )
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        state.optimizer.step()
        state.losses.append(loss.item())
        state.tokens_seen += len(batch.input_ids_T)
        state.supervised_seen += len(batch.rows_R)

    def _evaluate(self) -> None:
        """Score the held-out split; keep the weights when no earlier evaluation was as good."""
        state, settings = self.state, self.settings
        with self._autocast():
            score = score_heldout(
                state.head,
                self.embedding_VH,
                self.teacher,
                self.heldout_batches,
                self.greedy_ids,
                num_steps=settings.ttt_steps,
                decay=settings.ttt_decay,
            )
        if all(score.acceptance_length > earlier.acceptance_length for _, earlier in state.heldout_points):
            state.best_step = state.step
            state.best_weights = {name: weight.clone() for name, weight in state.head.state_dict().items()}
        state.heldout_points.append((state.step, score))
        logger.info(
            "step %d: held-out loss %.4f, simulated acceptance length %.3f%s",
            state.step,
            score.loss,
            score.acceptance_length,
            " (best)" if state.best_step == state.step else "",
        )

    def _autocast(self) -> torch.autocast:
        dtype = getattr(torch, self.settings.compute_dtype)
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32)

    def _usable(self, documents: Sequence[Document], split: str) -> list[Document]:
        """Shortened to `max_sequence_tokens`, without those that have no draft to learn."""
        shortened = [shorten(document, self.settings.max_sequence_tokens) for document in documents]
        usable = [document for document in shortened if is_supervised(document)]
        if not usable:
            raise TrainingError(
                f"split {split}: none of its {len(documents)} feature rows has an assistant turn of 2 tokens or more "
                f"within train_head.max_sequence_tokens ({self.settings.max_sequence_tokens})"
            )
        return usable


def learning_rate(step: int, settings: TrainHead) -> float:
    """Linear warm-up over `warmup_steps`, then half a cosine down to 0 at `max_steps`. `step` counts from 0."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(settings.max_steps - settings.warmup_steps, 1)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
