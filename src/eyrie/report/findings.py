"""What the measurements allow one to say: speed-ups with their spread, wins, losses, near-ties.

In: `Inputs`. Out: plain values that the page and the charts show. Nothing here formats or draws.

A difference between the arms counts only when the ranges of their repeats do not overlap; with one repeat there is
no range, and the page says so beside the figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from eyrie.params import Arm
from eyrie.report.inputs import Inputs
from eyrie.schemas import BenchmarkCell, Comparison, Mismatch

Verdict = Literal["faster", "slower", "within"]

# A logit is rounded to the dtype, and a verify step sums in another order than a one-token step. At the magnitudes
# logits have (about 32) one unit in the last place is 2e-6, 0.016 and 0.125; the bounds allow for what many layers
# add to it (float32 errors are seen near 1e-4, hence the wider factor there).
NEAR_TIE_MARGIN: dict[str, float] = {"float32": 1e-3, "float16": 0.0625, "bfloat16": 0.5}


@dataclass(frozen=True)
class Measured:
    """A median over repeats and the range of the repeats, in the metric's own unit."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Pair:
    """Both arms under one metric. `speedup` is above 1 where EAGLE-3 is faster, whichever way the metric points."""

    baseline: Measured
    eagle3: Measured
    lower_is_faster: bool

    @property
    def speedup(self) -> float:
        return self._gain(self.baseline.value, self.eagle3.value)

    @property
    def speedup_range(self) -> tuple[float, float]:
        """The smallest and largest speed-up that any two repeats of the arms would have given."""
        ends = [
            self._gain(baseline, eagle3)
            for baseline in (self.baseline.low, self.baseline.high)
            for eagle3 in (self.eagle3.low, self.eagle3.high)
        ]
        return min(ends), max(ends)

    @property
    def verdict(self) -> Verdict:
        if self.baseline.low <= self.eagle3.high and self.eagle3.low <= self.baseline.high:
            return "within"
        return "faster" if self.speedup > 1 else "slower"

    def _gain(self, baseline: float, eagle3: float) -> float:
        return baseline / eagle3 if self.lower_is_faster else eagle3 / baseline


@dataclass(frozen=True)
class Point:
    """One workload (or `all`) at one concurrency. TPOT in ms, throughput in output tokens per second."""

    workload: str
    concurrency: int
    tpot: Pair
    throughput: Pair
    acceptance_length: float


@dataclass(frozen=True)
class Speed:
    """`pooled` and each list of `by_workload` go up in concurrency; `repeats` is the largest number in any cell."""

    pooled: list[Point]
    by_workload: dict[str, list[Point]]
    repeats: int

    @property
    def first(self) -> Point:
        """The headline: pooled, at the lowest concurrency."""
        return self.pooled[0]

    @property
    def each(self) -> list[Point]:
        return [point for points in self.by_workload.values() for point in points]


def measure_speed(inputs: Inputs) -> Speed:
    """Join the comparisons with the spread of the cells they were made from."""
    points = [_point(comparison, inputs.cells) for comparison in inputs.benchmark.comparisons]
    points.sort(key=lambda point: point.concurrency)
    names = dict.fromkeys(comparison.workload for comparison in inputs.benchmark.comparisons)
    return Speed(
        pooled=[point for point in points if point.workload == "all"],
        by_workload={name: [point for point in points if point.workload == name] for name in names if name != "all"},
        repeats=len({cell.repeat for cell in inputs.cells}),
    )


def near_ties(mismatches: Sequence[Mismatch], dtype: str) -> list[Mismatch]:
    """The mismatches whose baseline margin is small enough for rounding in `dtype` to explain them."""
    return [mismatch for mismatch in mismatches if mismatch.baseline_margin <= NEAR_TIE_MARGIN[dtype]]


def _point(comparison: Comparison, cells: Sequence[BenchmarkCell]) -> Point:
    here = [
        cell
        for cell in cells
        if cell.concurrency == comparison.concurrency and comparison.workload in ("all", cell.workload)
    ]
    tpot: dict[Arm, dict[str, dict[int, float]]] = {"baseline": {}, "eagle3": {}}
    throughput: dict[Arm, dict[str, dict[int, float]]] = {"baseline": {}, "eagle3": {}}
    for cell in here:
        tpot[cell.arm].setdefault(cell.workload, {})[cell.repeat] = cell.tpot_ms.median
        throughput[cell.arm].setdefault(cell.workload, {})[cell.repeat] = cell.output_throughput_tok_s
    return Point(
        workload=comparison.workload,
        concurrency=comparison.concurrency,
        tpot=Pair(
            baseline=_spread(comparison.baseline_tpot_ms, tpot["baseline"]),
            eagle3=_spread(comparison.eagle3_tpot_ms, tpot["eagle3"]),
            lower_is_faster=True,
        ),
        throughput=Pair(
            baseline=_spread(comparison.baseline_throughput_tok_s, throughput["baseline"]),
            eagle3=_spread(comparison.eagle3_throughput_tok_s, throughput["eagle3"]),
            lower_is_faster=False,
        ),
        acceptance_length=comparison.acceptance_length,
    )


def _spread(value: float, repeats: dict[str, dict[int, float]]) -> Measured:
    """The range over repeats around `value`. `repeats` is workload -> repeat -> measurement.

    Each repeat counts as the sum over workloads relative to the sum of the workloads' medians, so that the pooled
    range is about the pooled value however that was pooled; for one workload it is the plain range.
    """
    centre = sum(median(of_one.values()) for of_one in repeats.values())
    shared = set.intersection(*(set(of_one) for of_one in repeats.values()))
    relative = [sum(of_one[repeat] for of_one in repeats.values()) / centre for repeat in shared]
    return Measured(value, low=value * min([1.0, *relative]), high=value * max([1.0, *relative]))
