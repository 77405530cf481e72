"""The table that a finished run prints, in 80 columns."""

from pathlib import Path

import pytest

from eyrie.report.summary import print_summary
from eyrie.schemas import Mismatch
from tests.unit.report.made_up import write_inputs


def test_stand_ins_gaps_and_defects_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {"shared_text": "a", "baseline_text": "b", "eagle3_text": "c"}
    tie, defect = (
        Mismatch(prompt_id="p", workload="chat", position=0, baseline_margin=0.1, near_tie=near_tie, **texts)
        for near_tie in (True, False)
    )
    left_out = {"long_context": "3 prompts need at least 9,120 tokens"}
    write_inputs(tmp_path / "reports", stand_ins=["multi_turn"], left_out=left_out, mismatches=[tie, defect])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    print_summary()
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines()) <= 80
    assert "multi_turn *" in printed
    assert "chat *" not in printed
    assert "* a stand-in: prompts written for this repository" in printed
    assert "long_context: not measured, or not whole: 3 prompts need" in printed
    assert "greedy outputs identical: 98 of 100" in " ".join(printed.split())
    assert "Answers that differ by more than rounding explains: 1." in printed
