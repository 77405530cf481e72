"""The curves of a training run, through DVCLive: what `dvc plots`, `dvc exp show` and the report read.

Out: `plots/metrics/train/{loss,learning_rate}.tsv`, `plots/metrics/heldout/{loss,acceptance_length,accuracy_1 ...}.tsv`
(columns `step` and the metric) and `metrics.json` with the last values, written point by point while training goes on.
They are a function of the points: no time, no host. DVCLive makes no experiment of its own and writes no dvc.yaml;
Eyrie's stage does that.
"""

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

from eyrie.eagle3.loggers import Logger
from eyrie.eagle3.simulate import HeldoutScore

logger = logging.getLogger(__name__)


class Curves:
    """Writes into `folder`; points must come in order of their steps."""

    def __init__(self, folder: Path, loggers: Sequence[Logger] = ()) -> None:
        """`loggers` get the same points, those of an interrupted run too."""
        from dvclive.live import Live  # slow to import
        from scmrepo.exceptions import SCMError

        class Recorder(Live):
            def _init_dvc(self) -> None:
                with contextlib.suppress(SCMError):  # a repository without a commit
                    super()._init_dvc()

        logging.getLogger("dvclive").setLevel(logging.ERROR)  # it warns of everything it is told not to do
        self._live = Recorder(str(folder), save_dvc_exp=False, dvcyaml=None, report=None)
        self._loggers = loggers

    def add_train(self, step: int, loss: float, learning_rate: float) -> None:
        """One point of the training curves."""
        self._add(step, {"train/loss": loss, "train/learning_rate": learning_rate})

    def add_heldout(self, step: int, score: HeldoutScore) -> None:
        """One point of the held-out curves."""
        values = {"heldout/loss": score.loss, "heldout/acceptance_length": score.acceptance_length}
        if score.decoded_acceptance_length is not None:
            values["heldout/decoded_acceptance_length"] = score.decoded_acceptance_length
        values |= {f"heldout/accuracy_{index}": value for index, value in enumerate(score.accuracy, start=1)}
        self._add(step, values)

    def close(self) -> None:
        """Write what is left."""
        self._live.end()  # type: ignore[no-untyped-call]
        for other in self._loggers:
            other.close()

    def _add(self, step: int, values: dict[str, float]) -> None:
        self._live.step = step
        for name, value in values.items():
            self._live.log_metric(name, float(f"{value:.6g}"))
        self._live.make_summary()  # type: ignore[no-untyped-call]
        for other in self._loggers:
            other.add(step, values)
