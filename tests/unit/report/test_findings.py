"""A gain or a loss is claimed only when it is larger than the spread of the repeats."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eyrie.bench.client import RequestRecord
from eyrie.bench.metrics import Measurement, compare, pooled_figures, to_cell
from eyrie.params import Arm, Workload
from eyrie.report.findings import Measured, Pair, Speed, cost_per_million, mean_in_flight, measure_arms, measure_speed
from eyrie.report.inputs import read_inputs
from tests.unit.report.made_up import write_inputs


def _speed(folder: Path, **bench: Any) -> Speed:
    return measure_speed(read_inputs(**write_inputs(folder, **bench)))


def test_overlapping_ranges_are_neither_gain_nor_loss() -> None:
    baseline = Measured(10.0, low=9.0, high=11.0)
    assert Pair(baseline, Measured(8.5, low=8.0, high=9.0), lower_is_faster=True).verdict == "within"
    assert Pair(baseline, Measured(8.5, low=8.0, high=8.9), lower_is_faster=True).verdict == "faster"
    assert Pair(baseline, Measured(12.0, low=11.1, high=13.0), lower_is_faster=True).verdict == "slower"


def test_throughput_is_faster_when_higher() -> None:
    pair = Pair(Measured(100.0, 99.0, 101.0), Measured(150.0, 148.0, 152.0), lower_is_faster=False)
    assert pair.verdict == "faster"
    assert pair.speedup == 1.5
    assert pair.speedup_range == (148.0 / 101.0, 152.0 / 99.0)


def test_a_workloads_range_is_that_of_its_cells(tmp_path: Path) -> None:
    inputs = read_inputs(**write_inputs(tmp_path, repeats=3, wobble=0.1))
    point = next(point for point in measure_speed(inputs).by_workload["code"] if point.concurrency == 2)
    found = [
        cell.tpot_ms.median
        for cell in inputs.cells
        if (cell.workload, cell.concurrency, cell.arm) == ("code", 2, "baseline")
    ]
    assert len(found) == 3
    assert (point.tpot.baseline.low, point.tpot.baseline.high) == pytest.approx((min(found), max(found)))


def test_pooled_range_holds_the_pooled_value_and_scales_with_the_wobble(tmp_path: Path) -> None:
    calm, rough = (_speed(tmp_path / name, wobble=wobble) for name, wobble in (("calm", 0.02), ("rough", 0.2)))
    for speed, wobble in ((calm, 0.02), (rough, 0.2)):
        tpot = speed.first.tpot.baseline
        assert tpot.low < tpot.value < tpot.high
        assert tpot.high / tpot.low == pytest.approx((1 + wobble / 2) / (1 - wobble / 2))


def test_headline_is_the_pooled_point_of_lowest_concurrency(tmp_path: Path) -> None:
    speed = _speed(tmp_path, concurrency=(8, 2, 4))
    assert (speed.first.workload, speed.first.concurrency) == ("all", 2)
    assert [point.concurrency for point in speed.pooled] == [2, 4, 8]


def test_one_repeat_gives_an_empty_range(tmp_path: Path) -> None:
    speed = _speed(tmp_path, repeats=1)
    assert speed.repeats == 1
    assert speed.first.tpot.baseline.low == speed.first.tpot.baseline.high


def test_a_later_first_token_is_told_apart_from_one_within_the_spread(tmp_path: Path) -> None:
    assert _speed(tmp_path / "later", first_token=1.3).first.ttft.verdict == "slower"
    assert _speed(tmp_path / "same", first_token=1.0).first.ttft.verdict == "within"


def test_every_arm_is_set_against_the_baseline_with_its_spread(tmp_path: Path) -> None:
    points = measure_arms(read_inputs(**write_inputs(tmp_path, arms=("baseline", "eagle3", "chain", "tree"))))
    first = {point.arm: point for point in points if point.concurrency == 1}
    assert list(first) == ["baseline", "eagle3", "chain", "tree"]
    assert first["tree"].speedup.value > first["eagle3"].speedup.value > first["chain"].speedup.value > 1
    assert first["tree"].speedup.low < first["tree"].speedup.value < first["tree"].speedup.high


def test_cost_is_the_price_of_the_time_that_a_million_tokens_take() -> None:
    assert cost_per_million(3.6, 1000.0) == pytest.approx(1.0)


def test_requests_open_on_average_are_their_latencies_over_the_time_that_the_loads_took(tmp_path: Path) -> None:
    inputs = read_inputs(**write_inputs(tmp_path, workloads=("code",), concurrency=(2, 1), repeats=1))
    first, second = (cell for cell in inputs.cells if cell.concurrency == 2)
    around = first.e2e_ms.model_copy(update={"mean": 1500.0})
    cells = [
        first.model_copy(update={"e2e_ms": around, "num_requests": 5, "num_errors": 1, "duration_s": 4.0}),
        second.model_copy(update={"e2e_ms": around, "num_requests": 8, "num_errors": 0, "duration_s": 6.0}),
        *(cell for cell in inputs.cells if cell.concurrency == 1),
    ]
    found = mean_in_flight(replace(inputs, cells=cells))
    assert list(found) == [1, 2]
    assert found[2] == pytest.approx((4 * 1.5 + 8 * 1.5) / 10)


def _loads(arm: Arm, seconds_per_token: dict[Workload, tuple[float, float]]) -> list[Measurement]:
    """Two repeats of one request of 101 tokens, answered one token at a time."""
    return [
        Measurement(workload, 1, arm, repeat, [_request(each)], 0.1 + 100 * each)
        for workload, repeats in seconds_per_token.items()
        for repeat, each in enumerate(repeats)
    ]


def _request(seconds_per_token: float) -> RequestRecord:
    return RequestRecord(10, 101, ttft_s=0.1, latency_s=0.1 + 100 * seconds_per_token, gaps_s=[seconds_per_token] * 100)


def test_a_pooled_range_is_that_of_the_repeats_pooled(tmp_path: Path) -> None:
    """A slow workload takes most of the time of all: when it varies, so does the pooled throughput, though its own
    tokens per second are few."""
    loads = _loads("baseline", {"chat": (0.01, 0.01), "code": (0.1, 0.13)})
    loads += _loads("eagle3", {"chat": (0.01, 0.01), "code": (0.105, 0.11)})
    inputs = read_inputs(**write_inputs(tmp_path))
    document = inputs.benchmark.model_copy(
        update={"comparisons": compare(loads, {}), "figures": pooled_figures(loads, {})}
    )
    measured = replace(inputs, benchmark=document, cells=[to_cell(load) for load in loads])
    seconds = {
        arm: [sum(load.duration_s for load in loads if (load.arm, load.repeat) == (arm, repeat)) for repeat in (0, 1)]
        for arm in ("baseline", "eagle3")
    }
    pair = measure_speed(measured).first.throughput
    for arm, found in (("baseline", pair.baseline), ("eagle3", pair.eagle3)):
        assert (found.low, found.high) == pytest.approx((202 / seconds[arm][1], 202 / seconds[arm][0]))
    assert pair.verdict == "within"
    alone = next(point for point in measure_arms(measured) if point.arm == "eagle3")
    assert (alone.throughput.low, alone.throughput.high) == (pair.eagle3.low, pair.eagle3.high)
    tpot = measure_speed(measured).first.tpot.baseline
    assert (tpot.low, tpot.high) == pytest.approx((55.0, 70.0))  # the medians of (10, 100) and of (10, 130)
