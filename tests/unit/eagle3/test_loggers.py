"""Other trackers get the points of the curves, and cannot end a run."""

import logging
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from eyrie.eagle3.curves import Curves
from eyrie.eagle3.loggers import LoggersError, open_loggers
from eyrie.eagle3.simulate import HeldoutScore
from tests.unit.eagle3.test_trainer import settings


def test_tensorboard_reads_the_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EYRIE_LOGGERS", "tensorboard")
    curves = Curves(tmp_path / "curves", open_loggers(settings()))
    curves.add_train(10, 2.5, 0.25)
    curves.add_heldout(20, HeldoutScore(1.5, 2.25, (0.5,), 2.125))
    curves.close()
    (run,) = (tmp_path / ".eyrie/tensorboard").iterdir()
    events = EventAccumulator(str(run))
    events.Reload()
    found = {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}
    assert found == {
        "train/loss": [(10, 2.5)],
        "train/learning_rate": [(10, 0.25)],
        "heldout/loss": [(20, 1.5)],
        "heldout/acceptance_length": [(20, 2.25)],
        "heldout/decoded_acceptance_length": [(20, 2.125)],
        "heldout/accuracy_1": [(20, 0.5)],
    }


def test_without_the_variable_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EYRIE_LOGGERS", raising=False)
    assert open_loggers(settings()) == []


def test_an_unknown_or_missing_tracker_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYRIE_LOGGERS", "tensorbord")
    with pytest.raises(LoggersError, match="tensorbord is none of tensorboard, wandb, mlflow"):
        open_loggers(settings())
    monkeypatch.setenv("EYRIE_LOGGERS", "mlflow")
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(LoggersError, match=r"mlflow is not installed here: uv pip install 'eyrie\[mlflow\]'"):
        open_loggers(settings())


@pytest.mark.parametrize("own", [None, "9"])
def test_mlflow_asks_a_server_that_is_away_for_seconds_unless_the_user_has_said_for_how_long(
    monkeypatch: pytest.MonkeyPatch, own: str | None
) -> None:
    """By its default of 7 tries training stood still for 247 s; the package is not in this environment."""
    variable = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    monkeypatch.setenv(variable, own or "")
    if own is None:
        monkeypatch.delenv(variable)
    seen: list[str] = []
    client: Any = ModuleType("mlflow")
    client.__spec__ = ModuleSpec("mlflow", None)  # as an installed one has
    client.start_run, client.log_params = lambda: seen.append(os.environ[variable]), lambda params: None
    monkeypatch.setitem(sys.modules, "mlflow", client)
    monkeypatch.setenv("EYRIE_LOGGERS", "mlflow")
    open_loggers(settings())
    assert seen == [own or "3"]


def test_a_password_in_a_trackers_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise ConnectionError("API request to http://me:hush@127.0.0.1:9/api failed")  # in MLflow's words

    client: Any = ModuleType("mlflow")
    client.__spec__, client.start_run = ModuleSpec("mlflow", None), away
    monkeypatch.setitem(sys.modules, "mlflow", client)
    monkeypatch.setenv("EYRIE_LOGGERS", "mlflow")
    with pytest.raises(LoggersError, match=r"mlflow does not start: API request to http://127.0.0.1:9/api failed"):
        open_loggers(settings())


def test_a_tracker_that_fails_is_said_once_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EYRIE_LOGGERS", "tensorboard")
    loggers = open_loggers(settings())
    curves = Curves(tmp_path / "curves", loggers)
    loggers[0]._inner._writer.close()  # type: ignore[attr-defined]
    monkeypatch.setattr(loggers[0]._inner._writer, "add_scalar", None)  # type: ignore[attr-defined]
    with caplog.at_level(logging.WARNING):
        curves.add_train(10, 2.5, 0.25)
        curves.add_train(20, 1.5, 0.25)
    assert caplog.text.count("tensorboard takes no more points") == 1
    assert (tmp_path / "curves/plots/metrics/train/loss.tsv").read_text().count("\n") == 3
