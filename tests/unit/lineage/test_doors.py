"""What a run says before it starts."""

from pathlib import Path

import pytest

from eyrie.lineage import doors, timings
from eyrie.lineage.layout import STAGES
from tests.conftest import tiny_params


def test_the_plan_names_target_stages_and_the_last_durations(
    tiny_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = tiny_params(tiny_target)
    first = doors.plan(params)
    assert str(tiny_target) in first
    assert "no run on this machine yet" in first
    assert all(name in first for name in STAGES)
    timings.record_timing("extract_features-0000", 40)
    timings.record_timing("extract_features-0001", 30)
    timings.record_timing(timings.RUN, 200)
    second = doors.plan(params)
    assert "extract_features (1 min 10 s)" in second
    assert "took 3 min 20 s" in second


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599.7, "1 h 00 min"), (7800, "2 h 10 min")],
)
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert timings.human_seconds(seconds) == text


def test_a_damaged_timings_file_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    timings.TIMINGS.parent.mkdir()
    timings.TIMINGS.write_text("{")
    assert timings.read_timings() == {}
    timings.record_timing("report", 3)
    assert timings.read_timings()["report"]["seconds"] == 3
