"""The training loop: its schedule, and which weights it keeps."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch

from eyrie.eagle3 import trainer
from eyrie.eagle3.simulate import HeldoutScore
from eyrie.eagle3.trainer import Trainer, TrainingError, learning_rate
from eyrie.params import TrainHead
from tests.conftest import raw_params
from tests.unit.eagle3.tiny import Tiny, document, tiny


def settings(**changes: object) -> TrainHead:
    small = {"ttt_steps": 2, "max_steps": 6, "eval_every": 2, "log_every": 1, "warmup_steps": 2}
    return TrainHead.model_validate({**raw_params()["train_head"], **small, "compute_dtype": "float32", **changes})


def made_trainer(made: Tiny, **changes: object) -> Trainer:
    train = [document(14, [(3, 14)], seed) for seed in range(6)]
    heldout = [document(14, [(3, 14)], seed) for seed in range(6, 9)]
    return Trainer(
        made.head, made.embedding_VH, made.teacher, train=train, heldout=heldout, settings=settings(**changes)
    )


def test_learning_rate_warms_up_and_falls_to_nothing() -> None:
    schedule = settings(learning_rate=0.1, warmup_steps=4, max_steps=12)
    rates = [learning_rate(step, schedule) for step in range(12)]
    assert rates[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert rates[4] == pytest.approx(0.1)
    assert rates[8] == pytest.approx(0.05)
    assert all(later < earlier for earlier, later in pairwise(rates[4:]))
    assert 0 < rates[-1] < 0.005


def test_the_weights_kept_are_those_of_the_longest_acceptance_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: Iterator[float] = iter([1.5, 2.5, 2.0])
    seen: list[torch.Tensor] = []

    def fake(head: torch.nn.Module, *_args: object, **_kwargs: object) -> HeldoutScore:
        seen.append(head.state_dict()["fc.weight"].clone())
        return HeldoutScore(1.0, next(lengths), (0.5, 0.5))

    monkeypatch.setattr(trainer, "score_heldout", fake)
    made = tiny(torch.float32)
    outcome = made_trainer(made).run()
    assert (outcome.best_step, outcome.best.acceptance_length) == (4, 2.5)
    assert outcome.train_loss == pytest.approx(sum(point.loss for point in outcome.train_points[2:4]) / 2)
    assert torch.equal(made.head.fc.weight, seen[1])
    assert not torch.equal(seen[1], seen[2])


def test_long_sequences_are_cut_and_tokens_counted() -> None:
    outcome = made_trainer(tiny(torch.float32), max_sequence_tokens=16, batch_tokens=28, max_steps=3).run()
    assert outcome.tokens_seen == 3 * 2 * 14
    assert outcome.supervised_seen == 3 * 2 * 10


def test_gradients_are_clipped() -> None:
    made = tiny(torch.float32)
    before = made.head.fc.weight.clone()
    made_trainer(made, max_grad_norm=1e-30, max_steps=1, weight_decay=0.0).run()
    torch.testing.assert_close(made.head.fc.weight, before)


def test_documents_without_a_draft_to_learn_are_refused() -> None:
    made = tiny(torch.float32)
    with pytest.raises(
        TrainingError, match="split train: none of its 1 feature rows has an assistant turn of 2 tokens"
    ):
        Trainer(
            made.head,
            made.embedding_VH,
            made.teacher,
            train=[document(9, [(8, 9)])],
            heldout=[document(9, [(2, 9)])],
            settings=settings(),
        )
