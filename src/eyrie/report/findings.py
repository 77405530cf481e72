"""What the measurements allow one to say: speed-ups with their spread, wins, losses, near-ties.

In: `Inputs`. Out: plain values that the page and the charts show. Nothing here formats or draws.

A difference between the arms counts only when the ranges of their repeats do not overlap; with one repeat there is
no range, and the page says so beside the figures.
"""

from dataclasses import dataclass
from typing import Literal

from eyrie.params import Arm
from eyrie.report.inputs import Inputs
from eyrie.schemas import Comparison

Verdict = Literal["faster", "slower", "within"]


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
    """One workload (or `all`) at one concurrency. TPOT and TTFT in ms, throughput in output tokens per second."""

    workload: str
    concurrency: int
    tpot: Pair
    throughput: Pair
    ttft: Pair
    acceptance_length: float


@dataclass(frozen=True)
class ArmPoint:
    """One arm at one concurrency, all workloads pooled: output tokens per second, and that over the baseline's."""

    arm: Arm
    concurrency: int
    throughput: Measured
    speedup: Measured
    acceptance_length: float | None


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
    """The comparisons as points, by concurrency."""
    points = sorted(map(point_of, inputs.benchmark.comparisons), key=lambda point: point.concurrency)
    names = dict.fromkeys(comparison.workload for comparison in inputs.benchmark.comparisons)
    return Speed(
        pooled=[point for point in points if point.workload == "all"],
        by_workload={name: [point for point in points if point.workload == name] for name in names if name != "all"},
        repeats=len({cell.repeat for cell in inputs.cells}),
    )


def measure_arms(inputs: Inputs) -> list[ArmPoint]:
    """Every arm against the baseline, in the order of the parameters, by concurrency."""
    points = []
    for concurrency in sorted({figure.concurrency for figure in inputs.benchmark.figures}):
        here = [figure for figure in inputs.benchmark.figures if figure.concurrency == concurrency]
        measured = {
            figure.arm: Measured(figure.output_throughput_tok_s, *figure.output_throughput_range_tok_s)
            for figure in here
        }
        base = measured["baseline"]
        for figure in here:
            mine = measured[figure.arm]
            speedup = Measured(mine.value / base.value, low=mine.low / base.high, high=mine.high / base.low)
            points.append(ArmPoint(figure.arm, concurrency, mine, speedup, figure.acceptance_length))
    return points


def mean_in_flight(inputs: Inputs) -> dict[int, float]:
    """Concurrency -> how many requests were open on average over its loads, of all arms: fewer than asked for, because
    towards the end of a load none is left to take the place of one that ends."""
    found: dict[int, float] = {}
    for level in sorted({cell.concurrency for cell in inputs.cells}):
        here = [cell for cell in inputs.cells if cell.concurrency == level]
        open_s = sum(cell.e2e_ms.mean / 1e3 * (cell.num_requests - cell.num_errors) for cell in here)
        found[level] = open_s / sum(cell.duration_s for cell in here)
    return found


def cost_per_million(price_per_hour: float, tokens_per_second: float) -> float:
    """What a million output tokens cost on a machine that makes so many a second and does nothing else."""
    return price_per_hour / 3600 / tokens_per_second * 1e6


def point_of(one: Comparison) -> Point:
    return Point(
        workload=one.workload,
        concurrency=one.concurrency,
        tpot=Pair(
            Measured(one.baseline_tpot_ms, *one.baseline_tpot_range_ms),
            Measured(one.eagle3_tpot_ms, *one.eagle3_tpot_range_ms),
            lower_is_faster=True,
        ),
        throughput=Pair(
            Measured(one.baseline_throughput_tok_s, *one.baseline_throughput_range_tok_s),
            Measured(one.eagle3_throughput_tok_s, *one.eagle3_throughput_range_tok_s),
            lower_is_faster=False,
        ),
        ttft=Pair(
            Measured(one.baseline_ttft_ms, *one.baseline_ttft_range_ms),
            Measured(one.eagle3_ttft_ms, *one.eagle3_ttft_range_ms),
            lower_is_faster=True,
        ),
        acceptance_length=one.acceptance_length,
    )
