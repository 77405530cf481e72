"""The training loop of the draft head: the best held-out weights kept, and a run that a kill cannot change.

In: batches of documents, the target's frozen embedding, the teacher. Out: `Outcome`, and the head holding its best
weights: those with the longest simulated acceptance length on the held-out split, because that length peaks and then
falls while the training loss goes on falling. A run is a function of its inputs, its seed and the number of threads,
whether it was interrupted or not.
"""

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from eyrie.eagle3.batches import Document, DocumentBatches, has_finite_features, is_supervised, num_supervised, pack
from eyrie.eagle3.curves import Curves
from eyrie.eagle3.flops import Speed, step_operations
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.loss import TttLoss
from eyrie.eagle3.objective import Objective
from eyrie.eagle3.optimizer import Optimizer, learning_rate
from eyrie.eagle3.processes import Processes
from eyrie.eagle3.progress import Progress, TrainPoint, mean
from eyrie.eagle3.resume import Checkpoint, Checkpoints
from eyrie.eagle3.simulate import HeldoutCounts, HeldoutScore, count_heldout, no_counts
from eyrie.eagle3.spread import Spread, as_exported, part_like, whole
from eyrie.eagle3.teacher import Teacher
from eyrie.io import progress
from eyrie.params import TrainHead

logger = logging.getLogger(__name__)

HEAD, RNG = "head.", "rng"
DIVERGED = 2.0  # a mean loss this many times that of the first steps will not come back,
SEVERAL = 32  # over so many steps each: one batch may be easy, another hard


class TrainingError(ValueError):
    """Training cannot start or go on: nothing to learn from, or a loss that is no number or only grows.

    `prompt_ids` are the rows that it is about, if any.
    """

    def __init__(self, message: str, prompt_ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.prompt_ids = tuple(prompt_ids)


@dataclass(frozen=True)
class Outcome:
    """`train_loss` is the mean over the steps between the best evaluation and the one before it."""

    steps: int
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
        batches: Callable[[Any], DocumentBatches],
        heldout: Callable[[], Iterable[list[Document]]],
        settings: TrainHead,
        decode: Callable[[Eagle3Head], float] | None = None,
        checkpoints: Checkpoints | None = None,
        curves: Curves | None = None,
        processes: Processes | None = None,
    ) -> None:
        """`head` holds the starting weights, float32, on the device to train on.

        `batches(position)` opens the training data where an earlier iterator stood (None: at the start); `heldout()`
        reads this process's part of the held-out split, always in the same batches; `decode(head)` gives the acceptance
        length of decoding a few prompts with a copy of the head, and is asked on the first process only. Raises
        TrainingError.
        """
        self.device = embedding_VH.device
        self.head, self.settings = head, settings
        self.processes = processes or Processes()
        self.objective = Objective(
            settings.ttt_steps, settings.ttt_decay, settings.objective, settings.lk_eta, settings.compile
        )
        self.module = TttLoss(head, embedding_VH, teacher, self.objective, recompute=settings.activation_checkpointing)
        self.spread = Spread(self.module, kind=settings.parallel, world_size=self.processes.world_size)
        self.optimizer = Optimizer(head, settings)
        self.progress = Progress()
        self.best_weights: dict[str, Tensor] = {}
        self._checkpoints, self._heldout, self._decode, self._curves = checkpoints, heldout, decode, curves
        self._greedy_ids: list[Tensor] = []  # of the held-out batches; they never change
        self._rows: dict[int, list[str]] = {}  # what this process read for each of the last few steps
        position = self._resume()
        self._draw_again()
        self.batches = batches(position)
        self._speed = Speed(self.device, settings.compute_dtype)

    def run(self) -> Outcome:
        """Train on. The head ends with the best weights. Raises TrainingError when a loss is no number or diverges."""
        settings, done = self.settings, self.progress
        shown = self.processes.is_first
        with progress(settings.max_steps, desc="training the head", unit="step", done=done.step, shown=shown) as bar:
            while done.step < settings.max_steps and not self._is_enough():
                self._step(learning_rate(done.step, settings))
                if done.step % settings.log_every == 0 or done.step == settings.max_steps:
                    self._log(learning_rate(done.step - 1, settings))
                if done.step % settings.eval_every == 0 or done.step == settings.max_steps:
                    self._evaluate()
                if done.step % settings.checkpoint_every == 0:
                    self._save()
                tau = f", tau {done.heldout_points[-1][1].acceptance_length:.2f}" if done.heldout_points else ""
                bar.set_postfix_str(f"loss {done.losses[-1]:.3f}{tau}, {self._speed}", refresh=False)
                bar.update()
        self.batches.close()
        if self._curves is not None:
            self._curves.close()
        self.head.load_state_dict(self.best_weights)
        steps = [step for step, _ in done.heldout_points]
        index = steps.index(done.best_step)
        return Outcome(
            steps=done.step,
            best_step=done.best_step,
            best=done.heldout_points[index][1],
            train_loss=mean(done.losses[steps[index - 1] if index else 0 : done.best_step]),
            tokens_seen=done.tokens_seen,
            supervised_seen=done.supervised_seen,
            train_points=done.train_points,
            heldout_points=done.heldout_points,
        )

    def _step(self, rate: float) -> None:
        """One optimizer step at learning rate `rate`: every process's micro-batches, one loss over all their rows."""
        processes, done = self.processes, self.progress
        num_micro = self.settings.batch_tokens // (self.settings.micro_batch_tokens * processes.world_size)
        micro_batches = [self._next_documents() for _ in range(num_micro)]
        documents = [document for micro in micro_batches for document in micro]
        row_counts = [num_supervised(documents, step) for step in range(self.objective.num_steps)]
        *row_counts, num_tokens = map(int, processes.sum([*row_counts, sum(map(len, documents))]))
        self.optimizer.zero_grad()
        total: Tensor | float = 0.0  # where it is computed: asked for once, it holds up a GPU's queue once
        for index, micro in enumerate(micro_batches):
            batch = pack(micro, self.device)
            with self.spread.gradients(exchanged=index + 1 == num_micro):
                with self._autocast():
                    loss = self.spread.loss(batch, row_counts)
                # gradients of processes are averaged, this loss is a sum
                (loss * processes.world_size).backward()  # type: ignore[no-untyped-call]
            total = total + loss.detach().double()
        loss_value = processes.sum([float(total)])[0]
        norm = self.optimizer.step(rate) if math.isfinite(loss_value) else math.nan
        done.step += 1
        if not math.isfinite(norm):
            rows = [document.prompt_id for document in documents]
            raise self._no_number(f"loss {loss_value}, gradient norm {norm}", documents, rows)
        done.losses.append(loss_value)
        self._rows[done.step] = [document.prompt_id for document in documents]
        self._rows.pop(done.step - SEVERAL, None)
        done.tokens_seen += num_tokens
        done.supervised_seen += row_counts[0]
        self._speed.add(num_tokens, step_operations(self.head.config, documents, self.objective))

    def _next_documents(self) -> list[Document]:
        """The next batch, without documents that have no draft to learn; one that has none else is passed over."""
        while True:
            usable = [document for document in next(self.batches) if is_supervised(document)]
            if usable:
                return usable

    def _log(self, rate: float) -> None:
        """Add a point to the training curve. Raises TrainingError when the loss has grown beyond all hope."""
        done = self.progress
        loss = done.mean_of_last
        done.train_points.append(TrainPoint(done.step, loss, rate))
        if self._curves is not None:
            self._curves.add_train(done.step, loss, rate)
        first, last = mean(done.losses[:SEVERAL]), mean(done.losses[-SEVERAL:])
        if done.step >= 2 * SEVERAL and last > DIVERGED * first:
            worst = max(range(done.step - SEVERAL, done.step), key=lambda index: done.losses[index])
            raise TrainingError(
                f"training stopped at step {done.step}: the mean loss of the last {SEVERAL} steps is {last:.4f}, more "
                f"than {DIVERGED:g} times the {first:.4f} of the first ones; lower train_head.learning_rate, or look "
                f"at the rows of step {worst + 1}, whose loss of {done.losses[worst]:.4f} is the greatest of them",
                self._of_all(self._rows.get(worst + 1, ())),
            )

    def _evaluate(self) -> None:
        """Score the held-out split; keep the weights when no earlier evaluation was as good."""
        done = self.progress
        with self.optimizer.averaged_weights():
            with self.spread.whole_weights():
                score = self._score()
                if self._decode is not None and self.processes.is_first:
                    copy = as_exported(self.head, self.device, self.module.embedding_VH.dtype)
                    score = replace(score, decoded_acceptance_length=self._decode(copy))
            done.heldout_points.append((done.step, score))
            if self._curves is not None:
                self._curves.add_heldout(done.step, score)
            is_best = done.best_step == done.step
            if is_best:
                self.best_weights = {name: tensor.clone() for name, tensor in self.head.state_dict().items()}
        if self.processes.is_first:
            decoded = score.decoded_acceptance_length
            logger.info(
                "step %d: held-out loss %.4f, acceptance length %.3f simulated%s%s",
                done.step,
                score.loss,
                score.acceptance_length,
                "" if decoded is None else f", {decoded:.3f} decoded",
                " (best)" if is_best else "",
            )

    def _score(self) -> HeldoutScore:
        """All processes' figures of the held-out split together."""
        counts = no_counts(self.objective.num_steps)
        for index, documents in enumerate(self._heldout()):
            batch = pack(documents, self.device)
            if index == len(self._greedy_ids):
                self._greedy_ids.append(self.module.teacher.argmax(batch.teacher_last_RH))
            with self._autocast():
                count_heldout(counts, self.module, batch, self._greedy_ids[index])
        score = self._pooled(counts).score(self.objective)
        if not math.isfinite(score.loss):
            rows = (document for documents in self._heldout() for document in documents)
            raise self._no_number(f"held-out loss {score.loss}", rows)
        return score

    def _pooled(self, counts: HeldoutCounts) -> HeldoutCounts:
        num_steps = len(counts.losses)
        flat = self.processes.sum([*counts.losses, *counts.hits, *counts.asked, counts.accepted, counts.num_rows])
        losses, hits, asked = (flat[index * num_steps : (index + 1) * num_steps] for index in range(3))
        return HeldoutCounts(losses, [int(hit) for hit in hits], [int(n) for n in asked], int(flat[-2]), int(flat[-1]))

    def _is_enough(self) -> bool:
        """Has the held-out acceptance length not grown for `patience` evaluations?"""
        patience, done = self.settings.patience, self.progress
        enough = patience is not None and done.evaluations_since_best >= patience
        if enough:
            logger.info("stopped early: no longer acceptance length since step %d", done.best_step)
        return enough

    def _save(self) -> None:
        if self._checkpoints is None:
            return
        read = {
            "positions": self.processes.gather(self.batches.position),
            "rows": self.processes.gather([*self._rows.items()]),
        }
        tensors = {f"{HEAD}{name}": tensor for name, tensor in self.head.state_dict().items()}
        tensors = whole(tensors | self.optimizer.tensors() | {RNG: torch.get_rng_state()})
        best, done = whole(self.best_weights), self.progress
        if self.processes.is_first:
            self._checkpoints.save(Checkpoint(done.step, tensors, best, done.best_step, asdict(done) | read))

    def _resume(self) -> Any:
        """Go back to the newest whole checkpoint, if there is one. Returns the data position, None for the start.

        The first process chooses it: others may see another one, on a file system that several machines share.
        """
        if self._checkpoints is None:
            return None
        found = self._checkpoints.newest() if self.processes.is_first else None
        chosen = self.processes.gather(found.step if found is not None else None)[0]
        if chosen is None:
            return None
        found = found or self._checkpoints.at(chosen)
        state = self.head.state_dict()
        self.head.load_state_dict(
            {name: part_like(found.tensors[f"{HEAD}{name}"], tensor) for name, tensor in state.items()}
        )
        self.optimizer.load(found.tensors)
        self.best_weights = {name: part_like(tensor, state[name]) for name, tensor in found.best.items()}
        self.progress = Progress.from_json(found.progress)
        self._rows = dict(found.progress["rows"][self.processes.rank])
        torch.set_rng_state(found.tensors[RNG])
        if self.processes.is_first:
            logger.info("going on from step %d of an interrupted run", found.step)
        return found.progress["positions"][self.processes.rank]

    def _draw_again(self) -> None:
        """The points of an interrupted run, into the new run's curves."""
        if self._curves is None:
            return
        heldout = dict(self.progress.heldout_points)
        train = {point.step: point for point in self.progress.train_points}
        for step in sorted({*train, *heldout}):
            if step in train:
                self._curves.add_train(step, train[step].loss, train[step].learning_rate)
            if step in heldout:
                self._curves.add_heldout(step, heldout[step])

    def _no_number(self, found: str, documents: Iterable[Document], rows: Sequence[str] = ()) -> TrainingError:
        """The error for what is no number: whose features, or the usual remedy (and `rows`)."""
        broken = self._of_all([document.prompt_id for document in documents if not has_finite_features(document)])
        reason = "its features hold values that are no numbers" if broken else "lower train_head.learning_rate"
        message = f"training stopped at step {self.progress.step}: {found}; {reason}"
        return TrainingError(message, broken or self._of_all(rows))

    def _of_all(self, prompt_ids: Sequence[str]) -> list[str]:
        """Those of every process: whose rows are at fault, the sum of their losses does not tell."""
        return [prompt_id for theirs in self.processes.gather(list(prompt_ids)) for prompt_id in theirs]

    def _autocast(self) -> torch.autocast:
        dtype = getattr(torch, self.settings.compute_dtype)
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32)
