"""Marginals of sequences side by side, against CRFsuite's own tagger, one at a time."""

import random
from pathlib import Path

import numpy as np
import pycrfsuite
import pytest

from eyrie.privacy.crf import Marginals, Weights

LABELS = ("O", "B", "I")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(3)
    trainer = pycrfsuite.Trainer(verbose=False)
    for _ in range(200):
        labels = [rng.choice(LABELS) for _ in range(rng.randint(1, 9))]
        trainer.append([[f"{label}{rng.randint(0, 2)}", "all", f"r{rng.randint(0, 9)}"] for label in labels], labels)
    trainer.set_params({"max_iterations": 20, "feature.possible_transitions": True})
    path = tmp_path_factory.mktemp("crf") / "model.crfsuite"
    trainer.train(str(path))
    return path


def test_marginals_are_those_of_crfsuite_whatever_the_lengths(model: Path) -> None:
    rng = random.Random(5)
    tagger = pycrfsuite.Tagger()
    tagger.open(str(model))
    weights = Weights(model)
    lengths = [1, 7, 2, 1, 400, 33, 33]
    sequences = [
        [[f"{rng.choice(LABELS)}{rng.randint(0, 2)}", "all", "unheard-of"] for _ in range(length)] for length in lengths
    ]
    scores = np.array([weights.total([item.encode() for item in row]) for rows in sequences for row in rows])
    got = Marginals(weights.transitions)(scores, np.array(lengths))
    assert got.shape == (sum(lengths), 3)
    at = 0
    for rows in sequences:
        tagger.set(rows)
        expected = [[tagger.marginal(label, i) for label in weights.labels] for i in range(len(rows))]
        np.testing.assert_allclose(got[at : at + len(rows)], expected, atol=1e-5)  # a dump has six decimals
        at += len(rows)


def test_large_weights_neither_overflow_nor_vanish() -> None:
    transitions = np.array([[20.0, -20.0], [-20.0, 20.0]])
    scores = np.tile([[300.0, 0.0], [0.0, 300.0]], (200, 1))
    got = Marginals(transitions)(scores, np.array([399, 1]))
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got.argmax(axis=1), np.tile([0, 1], 200))


def test_a_damaged_model_is_refused(model: Path, tmp_path: Path) -> None:
    whole = model.read_bytes()
    path = tmp_path / "model.crfsuite"
    for damaged in (
        b"",
        b"lCRF",
        b"lCRF and then nothing",
        whole[:100],
        whole[: len(whole) // 2],
        whole[:-1],
        whole + b"x",
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="not a whole model"):
            Weights(path)


def test_marginals_that_are_no_numbers_are_an_error() -> None:
    with pytest.raises(ArithmeticError), np.errstate(all="ignore"):
        Marginals(np.zeros((2, 2)))(np.array([[np.nan, 0.0]]), np.array([1]))
