"""The points of a training run for other trackers, beside DVCLive: TensorBoard, Weights & Biases, MLflow.

`EYRIE_LOGGERS` names them (`tensorboard,wandb,mlflow`), and each is told the rest by its own environment variables
(WANDB_PROJECT, WANDB_MODE, MLFLOW_TRACKING_URI ...). The environment, not params.yaml: who looks on is no part of a
result, and changing it must not train a head again. Their packages are the extras of the same names.

A tracker has no part in a result either: what it cannot take is a warning, and training goes on.
"""

import importlib
import importlib.util
import logging
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from eyrie.params import TrainHead

logger = logging.getLogger(__name__)

VARIABLE = "EYRIE_LOGGERS"
TENSORBOARD_FOLDER = Path(".eyrie/tensorboard")  # a folder for each run in it


class Logger(Protocol):
    """Takes points in order of their steps."""

    def add(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class LoggersError(ValueError):
    """A tracker that is not known, not installed, or does not start."""


def open_loggers(settings: TrainHead) -> list[Logger]:
    """Those that the environment names. Raises LoggersError."""
    check_loggers()
    return [_open(name, settings) for name in _named()]


def check_loggers() -> None:
    """Are those that the environment names known and installed? Raises LoggersError."""
    for name in _named():
        if name not in _KINDS:
            raise LoggersError(f"{VARIABLE}: {name} is none of {', '.join(_KINDS)}")
        if importlib.util.find_spec(name) is None:
            raise LoggersError(f"{VARIABLE}: {name} is not installed here: uv pip install 'eyrie[{name}]'")


def _named() -> list[str]:
    return [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]


class _TensorBoard:
    def __init__(self, _settings: TrainHead) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = TENSORBOARD_FOLDER / time.strftime("%Y%m%d-%H%M%S")
        self._writer: Any = SummaryWriter(str(folder))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    def __init__(self, settings: TrainHead) -> None:
        wandb: Any = importlib.import_module("wandb")
        self._run = wandb.init(config=settings.model_dump(mode="json"))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


class _Mlflow:
    def __init__(self, settings: TrainHead) -> None:
        # by itself it asks a server that is away for four minutes, while the GPUs wait
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        self._mlflow: Any = importlib.import_module("mlflow")
        self._mlflow.start_run()
        self._mlflow.log_params(settings.model_dump(mode="json"))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        self._mlflow.end_run()


class _Tolerant:
    """A tracker whose failure is said once and ends nothing."""

    def __init__(self, name: str, inner: Logger) -> None:
        self._name, self._inner, self._failed = name, inner, False

    def add(self, step: int, values: Mapping[str, float]) -> None:
        if not self._failed:
            self._try(lambda: self._inner.add(step, values))

    def close(self) -> None:
        self._try(self._inner.close)

    def _try(self, call: Any) -> None:
        try:
            call()
        except Exception as error:  # a service that is away; each has errors of its own
            self._failed = True
            logger.warning(
                "%s takes no more points (%s: %s); training goes on", self._name, type(error).__name__, _words(error)
            )


_KINDS: dict[str, Any] = {"tensorboard": _TensorBoard, "wandb": _Wandb, "mlflow": _Mlflow}


def _open(name: str, settings: TrainHead) -> Logger:
    try:
        return _Tolerant(name, _KINDS[name](settings))
    except Exception as error:  # each has errors of its own
        raise LoggersError(f"{VARIABLE}: {name} does not start: {_words(error)}") from None


def _words(error: Exception) -> str:
    """Without the user and password of an address."""
    return re.sub(r"//[^/@\s]*@", "//", str(error))
