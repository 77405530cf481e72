"""The training loop: its schedule, which weights it keeps, when it stops, and that a kill changes nothing."""

import logging
import math
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from safetensors import SafetensorError
from torch import Tensor

from eyrie.eagle3 import resume
from eyrie.eagle3.batches import Document
from eyrie.eagle3.optimizer import average_decay, learning_rate
from eyrie.eagle3.processes import Processes
from eyrie.eagle3.resume import Checkpoint, Checkpoints
from eyrie.eagle3.simulate import HeldoutCounts, HeldoutScore
from eyrie.eagle3.trainer import Outcome, Trainer, TrainingError
from eyrie.io import progress
from eyrie.params import TrainHead
from tests.conftest import raw_params
from tests.unit.eagle3.tiny import MemoryBatches, Tiny, document, tiny

TRAIN = [document(14, [(3, 14)], seed) for seed in range(6)]
HELDOUT = [document(14, [(3, 14)], seed) for seed in range(6, 9)]


def settings(**changes: object) -> TrainHead:
    small = {
        "ttt_steps": 2,
        "max_steps": 6,
        "eval_every": 2,
        "log_every": 1,
        "warmup_steps": 2,
        "checkpoint_every": 2,
        "patience": None,
    }
    return TrainHead.model_validate({**raw_params()["train_head"], **small, "compute_dtype": "float32", **changes})


def made_trainer(
    made: Tiny, *, train: list[Document] = TRAIN, scratch: Path | None = None, **changes: object
) -> Trainer:
    chosen = settings(**changes)

    def batches(position: Any) -> MemoryBatches:
        return MemoryBatches(train, seed=chosen.seed, batch_tokens=chosen.micro_batch_tokens, start=position)

    return Trainer(
        made.head,
        made.embedding_VH,
        made.teacher,
        batches=batches,
        heldout=lambda: [HELDOUT],
        settings=chosen,
        checkpoints=None if scratch is None else Checkpoints(scratch, keep=chosen.keep_checkpoints),
    )


def test_learning_rate_warms_up_and_falls_to_nothing() -> None:
    schedule = settings(learning_rate=0.1, warmup_steps=4, max_steps=12)
    rates = [learning_rate(step, schedule) for step in range(12)]
    assert rates[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert rates[4] == pytest.approx(0.1)
    assert rates[8] == pytest.approx(0.05)
    assert all(later < earlier for earlier, later in pairwise(rates[4:]))
    assert 0 < rates[-1] < 0.005


def fake_scores(monkeypatch: pytest.MonkeyPatch, lengths: list[float]) -> None:
    """Held-out acceptance lengths by script."""
    scripted: Iterator[float] = iter(lengths)
    monkeypatch.setattr(HeldoutCounts, "score", lambda *_: HeldoutScore(1.0, next(scripted), (0.5, 0.5)), raising=True)


def test_the_weights_kept_are_those_of_the_longest_acceptance_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_scores(monkeypatch, [1.5, 2.5, 2.0])
    made = tiny(torch.float32)
    outcome = made_trainer(made).run()
    assert (outcome.best_step, outcome.best.acceptance_length, outcome.steps) == (4, 2.5, 6)
    assert outcome.train_loss == pytest.approx(sum(point.loss for point in outcome.train_points[2:4]) / 2)
    fake_scores(monkeypatch, [1.5, 2.5])
    shorter = tiny(torch.float32)
    trainer = made_trainer(shorter)
    for _ in range(4):  # the same schedule, stopped there
        trainer._step(learning_rate(trainer.progress.step, trainer.settings))
    assert all(torch.equal(a, b) for a, b in zip(made.head.parameters(), shorter.head.parameters(), strict=True))


def test_training_stops_when_acceptance_no_longer_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_scores(monkeypatch, [1.5, 2.5, 2.4, 2.5, 9.0])
    outcome = made_trainer(tiny(torch.float32), max_steps=20, patience=2).run()
    assert (outcome.steps, outcome.best_step) == (8, 4)


def test_tokens_and_rows_are_counted() -> None:
    outcome = made_trainer(tiny(torch.float32), batch_tokens=28, micro_batch_tokens=28, max_steps=3).run()
    assert outcome.tokens_seen == 3 * 2 * 14
    assert outcome.supervised_seen == 3 * 2 * 10


def test_of_several_processes_the_first_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    def watched(*args: Any, **kwargs: Any) -> Any:
        bar = progress(*args, **kwargs)
        shown.append(not bar.disable)
        return bar

    monkeypatch.setattr("eyrie.eagle3.trainer.progress", watched)
    for rank in range(2):
        trainer = made_trainer(tiny())
        trainer.processes = Processes(rank)
        trainer.run()
    assert shown == [True, False]


def test_the_time_left_is_reckoned_from_the_steps_that_are_taken_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of an interrupted run took no time now: counted in, they would make the rest seem to take none."""
    made_trainer(tiny(torch.float32), scratch=tmp_path, max_steps=4).run()
    bars = []

    def watched(*args: Any, **kwargs: Any) -> Any:
        bars.append(progress(*args, **kwargs))
        return bars[-1]

    monkeypatch.setattr("eyrie.eagle3.trainer.progress", watched)
    made_trainer(tiny(torch.float32), scratch=tmp_path, max_steps=6).run()
    assert [(bar.initial, bar.n) for bar in bars] == [(4, 6)]


def test_gradients_are_clipped() -> None:
    made = tiny(torch.float32)
    before = made.head.fc.weight.clone()
    made_trainer(made, max_grad_norm=1e-30, warmup_steps=0, max_steps=1, weight_decay=0.0).run()
    torch.testing.assert_close(made.head.fc.weight, before)


def test_a_step_is_that_of_adamw_by_the_settings_and_decays_matrices_only() -> None:
    trainer = made_trainer(tiny(), weight_decay=0.1, beta1=0.6, beta2=0.7, max_grad_norm=1e9)
    expected = [weight.detach().clone() for weight in trainer.head.parameters()]
    first = second = 0.0
    for step, (gradient, rate) in enumerate(((1.0, 0.5), (-3.0, 0.25)), 1):
        for weight in trainer.head.parameters():
            weight.grad = torch.full_like(weight, gradient)
        trainer.optimizer.step(rate)
        first, second = 0.6 * first + 0.4 * gradient, 0.7 * second + 0.3 * gradient**2
        change = rate * first / (1 - 0.6**step) / math.sqrt(second / (1 - 0.7**step))
        expected = [weight * (1 - rate * 0.1 * (weight.dim() > 1)) - change for weight in expected]
    for ours, wanted in zip(trainer.head.parameters(), expected, strict=True):
        torch.testing.assert_close(ours.detach(), wanted)


def test_no_step_is_taken_along_gradients_that_are_no_numbers() -> None:
    trainer = made_trainer(tiny(torch.float32))
    before = [weight.clone() for weight in trainer.head.parameters()]
    for weight in trainer.head.parameters():
        weight.grad = torch.full_like(weight, torch.inf)
    assert not math.isfinite(trainer.optimizer.step(0.1))
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.head.parameters(), strict=True))


def losses(outcome: Outcome) -> list[float]:
    return [point.loss for point in outcome.train_points]


def test_micro_batches_change_memory_and_not_the_curve() -> None:
    train = [document(14, [(3, 9 + seed % 5)], seed) for seed in range(8)]  # the parts count different rows
    whole = made_trainer(tiny(), train=train, batch_tokens=56, micro_batch_tokens=56).run()
    parts = made_trainer(tiny(), train=train, batch_tokens=56, micro_batch_tokens=28).run()
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-9)
    assert parts.best.loss == pytest.approx(whole.best.loss, rel=1e-9)


def test_the_moving_average_is_what_is_evaluated_and_exported() -> None:
    plain, averaged = tiny(), tiny()
    made_trainer(plain, max_steps=3, eval_every=3).run()
    trainer = made_trainer(averaged, max_steps=3, eval_every=3, ema_decay=0.6)
    expected, weights = averaged.head.fc.weight.detach().clone(), []
    step = trainer._step
    trainer._step = lambda rate: (step(rate), weights.append(averaged.head.fc.weight.detach().clone()))  # type: ignore
    trainer.run()
    for step_number, weight in enumerate(weights, 1):
        decay = min(0.6, (1 + step_number) / (10 + step_number))
        expected = decay * expected + (1 - decay) * weight
    torch.testing.assert_close(averaged.head.fc.weight.detach(), expected)
    torch.testing.assert_close(weights[-1], plain.head.fc.weight.detach())


def test_training_goes_on_with_the_weights_themselves_after_their_average_was_evaluated() -> None:
    plain, averaged = (made_trainer(tiny(), eval_every=2, ema_decay=decay).run() for decay in (None, 0.6))
    assert losses(averaged) == losses(plain)
    assert averaged.heldout_points != plain.heldout_points


def test_the_moving_average_leaves_the_starting_weights_within_a_short_run() -> None:
    kept = math.prod(average_decay(step, 0.999) for step in range(1, 301))
    assert kept < 1e-9  # of the starting weights; 0.999 from the first step would keep 74%
    assert average_decay(10**6, 0.999) == 0.999


class KilledError(Exception):
    pass


def train_with_kills(made: Tiny, scratch: Path, kills: list[int], **changes: object) -> tuple[Outcome, int]:
    """A run that dies in the middle of each step of `kills`. Returns how many steps were taken in all, too."""
    taken = 0
    for kill in [*kills, None]:
        trainer = made_trainer(tiny(torch.float32) if kill is not None else made, scratch=scratch, **changes)
        step = trainer._step

        def dying(rate: float, step: Any = step, trainer: Trainer = trainer, kill: int | None = kill) -> None:
            nonlocal taken
            if trainer.progress.step == kill:
                raise KilledError
            taken += 1
            step(rate)

        trainer._step = dying  # type: ignore[method-assign]
        try:
            return trainer.run(), taken
        except KilledError:
            continue
    raise AssertionError


@pytest.mark.parametrize("kills", [[0], [1], [3], [5], [2, 5, 9]], ids=str)
@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, kills: list[int], ema_decay: float | None) -> None:
    options = {"max_steps": 10, "batch_tokens": 28, "micro_batch_tokens": 28, "ema_decay": ema_decay}
    straight, resumed = tiny(torch.float32), tiny(torch.float32)
    expected = made_trainer(straight, **options).run()
    outcome, taken = train_with_kills(resumed, tmp_path, kills, **options)
    assert outcome == expected
    assert all(torch.equal(a, b) for a, b in zip(straight.head.parameters(), resumed.head.parameters(), strict=True))
    assert taken == 10 + sum(kill % 2 for kill in kills)  # only steps after the last checkpoint are taken again


def test_random_numbers_go_on_where_a_killed_run_stood(tmp_path: Path) -> None:
    made_trainer(tiny(torch.float32), scratch=tmp_path).run()
    expected = torch.rand(3)
    again = tiny(torch.float32)
    torch.manual_seed(99)
    made_trainer(again, scratch=tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    made_trainer(tiny(torch.float32), scratch=tmp_path, max_steps=8, keep_checkpoints=2).run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000006", "step-00000008"]


@pytest.mark.parametrize("name", ["state.safetensors", "progress.json", "best"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, name: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = made_trainer(tiny(torch.float32), max_steps=8).run()
    trainer = made_trainer(tiny(torch.float32), scratch=tmp_path, max_steps=8)
    step = trainer._step
    trainer._step = lambda rate: step(rate) if trainer.progress.step < 7 else stop()  # type: ignore
    with pytest.raises(KilledError):
        trainer.run()
    path = next(item for item in (tmp_path / "step-00000006").iterdir() if item.name.startswith(name))
    raw = path.read_bytes()
    path.unlink()  # the best weights are linked into several checkpoints
    if damage != "missing":
        path.write_bytes(raw[: len(raw) // 2] if damage == "truncated" else raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:])
    with caplog.at_level(logging.WARNING):
        outcome, taken = train_with_kills(tiny(torch.float32), tmp_path, [], max_steps=8)
    assert "step-00000006: damaged checkpoint" in caplog.text
    assert taken == 4
    assert outcome == expected


def stop() -> None:
    raise KilledError


def test_a_write_that_was_cut_short_is_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_trainer(tiny(torch.float32), scratch=tmp_path, warmup_steps=1, max_steps=2).run()
    monkeypatch.setattr(Path, "replace", lambda *_: stop())
    with pytest.raises(KilledError):
        made_trainer(tiny(torch.float32), scratch=tmp_path, max_steps=4).run()
    newest = Checkpoints(tmp_path, keep=2).newest()
    assert newest is not None
    assert newest.step == 2


def test_what_a_killed_write_left_does_not_hinder_the_next_one(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    (tmp_path / ".step-00000002.partial").mkdir()
    (tmp_path / ".step-00000002.partial/state.safetensors").write_bytes(b"half")
    for weights in (_weights(1), _weights(2)):  # the same step twice: a run that went on from one before it
        checkpoints.save(Checkpoint(2, weights, {}, 0, {}))
    newest = checkpoints.newest()
    assert newest is not None
    assert torch.equal(newest.tensors["weight"], _weights(2)["weight"])
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]


def test_a_disk_that_is_full_is_an_error_of_files_and_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(Checkpoint(2, _weights(2), {}, 0, {}))
    full = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    monkeypatch.setattr("eyrie.eagle3.tensors.save_file", Mock(side_effect=full))
    with pytest.raises(OSError, match=r"state\.safetensors: cannot be written: .*No space left on device"):
        checkpoints.save(Checkpoint(4, _weights(4), {}, 0, {}))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]


def test_a_loss_that_grows_beyond_hope_stops_the_run_and_says_where() -> None:
    usual, wild = [document(14, [(3, 14)], seed) for seed in range(30)], document(14, [(3, 14)], 77)
    trainer = made_trainer(tiny(torch.float32), max_steps=80, log_every=2, batch_tokens=14, micro_batch_tokens=14)
    order = iter([*usual, *usual, *usual[:7], wild, *usual])
    trainer._next_documents = lambda: [next(order)]  # type: ignore[method-assign]
    scripted = iter([0.1, *[3.0] * 40, *[6.5] * 26, 7.0, *[6.5] * 12])
    trainer.spread.loss = lambda *_: next(trainer.head.parameters()).sum() * 0 + next(scripted)  # type: ignore
    with pytest.raises(
        TrainingError,
        match=r"at step 68: the mean loss of the last 32 steps is 5\.9688, more than 2 times the 2\.9094 of the first "
        r".* the rows of step 68, whose loss of 7\.0000 is the greatest",
    ) as raised:
        trainer.run()
    assert raised.value.prompt_ids == ("document 77",)


def diverging_trainer(scratch: Path | None = None) -> Trainer:
    """Step n reads document n. From step 33 on losses are beyond hope; that of step 50 is the greatest."""
    changes = {"max_steps": 80, "eval_every": 80, "batch_tokens": 14, "micro_batch_tokens": 14}
    trainer = made_trainer(tiny(torch.float32), scratch=scratch, **changes)
    losses = [*[3.0] * 32, *[7.0] * 17, 9.0, *[7.0] * 30]
    trainer._next_documents = lambda: [document(14, [(3, 14)], trainer.progress.step + 1)]  # type: ignore[method-assign]
    weights = [*trainer.head.parameters()]
    trainer.spread.loss = lambda *_: sum(w.sum() for w in weights) * 0 + losses[trainer.progress.step]  # type: ignore
    return trainer


def test_rows_that_were_read_before_a_run_was_killed_are_named_too(tmp_path: Path) -> None:
    killed = diverging_trainer(tmp_path)
    step = killed._step
    killed._step = lambda rate: step(rate) if killed.progress.step < 60 else stop()  # type: ignore
    with pytest.raises(KilledError):
        killed.run()
    with pytest.raises(TrainingError, match=r"at the rows of step 50, whose loss of 9\.0000") as raised:
        diverging_trainer(tmp_path).run()
    assert raised.value.prompt_ids == ("document 50",)


class WithAnother(Processes):
    """The first of two processes; the other one has whole features, and reads document 99 where this one reads one."""

    def gather(self, value: Any) -> list[Any]:
        return [value, ["document 99"] if value else value]


@pytest.mark.parametrize(("loss", "step"), [("no number", 1), ("diverges", 50)])
def test_rows_of_every_process_are_named(loss: str, step: int) -> None:
    trainer = diverging_trainer()
    trainer.processes = WithAnother()
    if loss == "no number":
        trainer.spread.loss = lambda *_: next(trainer.head.parameters()).sum() * torch.inf  # type: ignore
    with pytest.raises(TrainingError) as raised:
        trainer.run()
    assert raised.value.prompt_ids == (f"document {step}", "document 99")


def test_features_that_are_no_numbers_are_named() -> None:
    broken = document(14, [(3, 14)], 77)
    broken.aux[5, 2] = torch.inf
    with pytest.raises(TrainingError, match=r"stopped at step \d+: loss nan.*values that are no numbers") as raised:
        made_trainer(tiny(torch.float32), train=[*TRAIN[:2], broken]).run()
    assert raised.value.prompt_ids == ("document 77",)


def test_held_out_features_that_are_no_numbers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = document(14, [(3, 14)], 77)
    broken.teachers[2, 1] = torch.nan
    monkeypatch.setattr(sys.modules[__name__], "HELDOUT", [*HELDOUT, broken])
    with pytest.raises(TrainingError, match=r"stopped at step 2: held-out loss nan; its features .* no num") as raised:
        made_trainer(tiny(torch.float32)).run()
    assert raised.value.prompt_ids == ("document 77",)


def _weights(step: int) -> dict[str, Tensor]:
    return {"weight": torch.full((4,), float(step))}


def test_best_weights_that_were_damaged_are_not_linked_into_later_checkpoints(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (100, 200):
        checkpoints.save(Checkpoint(step, _weights(step), _weights(1), 100, {}))
        best = tmp_path / f"step-{step:08d}/best-00000100.safetensors"
        best.write_bytes(best.read_bytes()[:-2] + b"\x40\x40")
    assert checkpoints.newest() is None
    checkpoints.save(Checkpoint(100, _weights(100), _weights(1), 100, {}))
    newest = checkpoints.newest()
    assert newest is not None
    assert torch.equal(newest.best["weight"], torch.ones(4))


def test_best_weights_that_were_damaged_in_place_leave_the_checkpoint_before(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (100, 200, 300, 400):
        checkpoints.save(Checkpoint(step, _weights(step), _weights(1), 100, {}))
    with (tmp_path / "step-00000400/best-00000100.safetensors").open("r+b") as best:
        best.seek(-2, 2)
        best.write(b"\x40\x40")
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == 300
    assert torch.equal(newest.best["weight"], torch.ones(4))


@pytest.mark.parametrize("text", ["null", "{}"])
def test_json_that_is_no_progress_is_damage_too(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (100, 200):
        checkpoints.save(Checkpoint(step, _weights(step), {}, 0, {}))
    (tmp_path / "step-00000200/progress.json").write_text(text)
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == 100
    assert "damaged checkpoint (progress.json does not have the digest written with it)" in caplog.text


def test_a_damaged_checkpoint_does_not_count_among_those_that_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(Checkpoint(300, _weights(300), {}, 0, {}))
    (tmp_path / "step-00000300/state.safetensors").write_bytes(b"cut")
    assert checkpoints.newest() is None
    checkpoints.save(Checkpoint(100, _weights(100), {}, 0, {}))
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == 100


def test_checkpoints_of_another_version_are_not_read_and_training_says_that_it_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    assert checkpoints.newest() is None
    assert not caplog.text
    checkpoints.save(Checkpoint(100, _weights(100), {}, 0, {}))
    monkeypatch.setattr(resume, "VERSION", resume.VERSION + 1)
    assert checkpoints.newest() is None
    assert f"(version {resume.VERSION - 1}, not {resume.VERSION})" in caplog.text
    assert "no whole checkpoint is left; training starts again from step 0" in caplog.text
