"""The table that a finished run prints, in 80 columns."""

from pathlib import Path

import pytest

from eyrie.io import read_json, write_json
from eyrie.report.summary import print_summary
from eyrie.schemas import EvaluationMetrics, Mismatch
from tests.unit.report.made_up import ACCEPTANCE, BASE_TPOT, write_inputs


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


def test_a_difference_within_the_spread_is_marked_and_one_beyond_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    mark = "\N{ALMOST EQUAL TO}"
    for name, gain, wobble in (("noisy", 1.05, 0.4), ("clear", 1.9, 0.02)):
        write_inputs(tmp_path / name / "reports", workloads=("code",), concurrency=(1,), gain=gain, wobble=wobble)
        monkeypatch.chdir(tmp_path / name)
        print_summary()
        printed = capsys.readouterr().out
        assert (f"{mark} within the spread of the repeats: neither a gain nor a loss" in printed) == (name == "noisy")
        rows = [line for line in printed.splitlines() if " ms " in line]
        assert [row.count(mark) for row in rows] == [2 if name == "noisy" else 0] * 2
        assert max(len(line) for line in printed.splitlines()) <= 80


def test_samples_that_differ_are_no_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    different = Mismatch(
        prompt_id="p",
        workload="chat",
        position=0,
        baseline_margin=3.0,
        near_tie=False,
        shared_text="a",
        baseline_text="b",
        eagle3_text="c",
    )
    write_inputs(tmp_path / "reports", mismatches=[different])
    path = tmp_path / "reports/metrics/evaluate_head.json"
    sampled = read_json(path, EvaluationMetrics).model_copy(update={"temperature": 0.7})
    write_json(path, sampled)
    monkeypatch.chdir(tmp_path)
    print_summary()
    printed = " ".join(capsys.readouterr().out.split())
    assert "not compared with the baseline's, sampled at temperature 0.7." in printed
    assert "identical" not in printed
    assert "more than rounding" not in printed


def test_a_long_workload_name_cuts_no_figure_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "support_tickets_of_the_last_year"  # as long as a workload's name may be
    monkeypatch.setitem(BASE_TPOT, name, 107.9)
    monkeypatch.setitem(ACCEPTANCE, name, 2.71)
    write_inputs(tmp_path / "reports", workloads=("chat", name), stand_ins=[name])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    print_summary()
    printed = capsys.readouterr().out
    assert "\N{HORIZONTAL ELLIPSIS}" not in printed
    assert "107.90 ms" in printed
