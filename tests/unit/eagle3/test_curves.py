"""Curves are written wherever a run stands."""

import subprocess
from pathlib import Path

import pytest

from eyrie.eagle3.curves import Curves


@pytest.mark.parametrize("versioned", [False, True])
def test_curves_need_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, versioned: bool) -> None:
    monkeypatch.chdir(tmp_path)
    if versioned:
        for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
            subprocess.run(command, check=True)
    curves = Curves(Path("curves"))
    curves.add_train(10, 2.5, 0.1)
    curves.add_train(20, 1.5, 0.05)
    curves.close()
    assert (tmp_path / "curves/plots/metrics/train/loss.tsv").read_text().split() == [
        "step", "loss", "10", "2.5", "20", "1.5"
    ]  # fmt: skip
