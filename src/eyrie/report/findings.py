"""What the measurements allow one to say: speed-ups with their spread, wins, losses, near-ties.

In: `Inputs`. Out: plain values that the page and the charts show. Nothing here formats or draws.

A difference between the arms counts only when the ranges of their repeats do not overlap; with one repeat there is
no range, and the page says so beside the figures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from eyrie.params import Arm
from eyrie.report.inputs import Inputs
from eyrie.schemas import BenchmarkCell, Comparison

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
    """Join the comparisons with the spread of the cells they were made from."""
    cells = _compared(inputs)
    points = [_point(comparison, cells) for comparison in inputs.benchmark.comparisons]
    points.sort(key=lambda point: point.concurrency)
    names = dict.fromkeys(comparison.workload for comparison in inputs.benchmark.comparisons)
    return Speed(
        pooled=[point for point in points if point.workload == "all"],
        by_workload={name: [point for point in points if point.workload == name] for name in names if name != "all"},
        repeats=len({cell.repeat for cell in inputs.cells}),
    )


def measure_arms(inputs: Inputs) -> list[ArmPoint]:
    """Every drafting arm against the baseline, in the order of the parameters, by concurrency."""
    cells, points = _compared(inputs), []
    for concurrency in sorted({figure.concurrency for figure in inputs.benchmark.figures}):
        here = {figure.arm: figure for figure in inputs.benchmark.figures if figure.concurrency == concurrency}
        spreads = {
            arm: _spread(
                figure.output_throughput_tok_s,
                _by_workload(cells, arm, concurrency, lambda cell: cell.output_throughput_tok_s),
            )
            for arm, figure in here.items()
        }
        base = spreads["baseline"]
        for arm, figure in here.items():
            mine = spreads[arm]
            speedup = Measured(mine.value / base.value, low=mine.low / base.high, high=mine.high / base.low)
            points.append(ArmPoint(arm, concurrency, mine, speedup, figure.acceptance_length))
    return points


def cost_per_million(price_per_hour: float, tokens_per_second: float) -> float:
    """What a million output tokens cost on a machine that makes so many a second and does nothing else."""
    return price_per_hour / 3600 / tokens_per_second * 1e6


def _compared(inputs: Inputs) -> list[BenchmarkCell]:
    """The cells behind the figures: not those of a load that the arms did not finish alike."""
    pairs = {(comparison.workload, comparison.concurrency) for comparison in inputs.benchmark.comparisons}
    return [cell for cell in inputs.cells if (cell.workload, cell.concurrency) in pairs]


def _point(comparison: Comparison, cells: Sequence[BenchmarkCell]) -> Point:
    here = [cell for cell in cells if comparison.workload in ("all", cell.workload)]

    def pair(baseline: float, eagle3: float, of: Callable[[BenchmarkCell], float], *, lower: bool) -> Pair:
        return Pair(
            baseline=_spread(baseline, _by_workload(here, "baseline", comparison.concurrency, of)),
            eagle3=_spread(eagle3, _by_workload(here, "eagle3", comparison.concurrency, of)),
            lower_is_faster=lower,
        )

    return Point(
        workload=comparison.workload,
        concurrency=comparison.concurrency,
        tpot=pair(comparison.baseline_tpot_ms, comparison.eagle3_tpot_ms, lambda cell: cell.tpot_ms.median, lower=True),
        throughput=pair(
            comparison.baseline_throughput_tok_s,
            comparison.eagle3_throughput_tok_s,
            lambda cell: cell.output_throughput_tok_s,
            lower=False,
        ),
        ttft=pair(comparison.baseline_ttft_ms, comparison.eagle3_ttft_ms, lambda cell: cell.ttft_ms.median, lower=True),
        acceptance_length=comparison.acceptance_length,
    )


def _by_workload(
    cells: Sequence[BenchmarkCell], arm: Arm, concurrency: int, of: Callable[[BenchmarkCell], float]
) -> dict[str, dict[int, float]]:
    """Workload -> repeat -> figure."""
    found: dict[str, dict[int, float]] = {}
    for cell in cells:
        if (cell.arm, cell.concurrency) == (arm, concurrency):
            found.setdefault(cell.workload, {})[cell.repeat] = of(cell)
    return found


def _spread(value: float, repeats: dict[str, dict[int, float]]) -> Measured:
    """The range over repeats around `value`. `repeats` is workload -> repeat -> measurement.

    Each repeat counts as the sum over workloads relative to the sum of the workloads' medians, so that the pooled
    range is about the pooled value however that was pooled; for one workload it is the plain range.
    """
    centre = sum(median(of_one.values()) for of_one in repeats.values())
    shared = set.intersection(*(set(of_one) for of_one in repeats.values()))
    relative = [sum(of_one[repeat] for of_one in repeats.values()) / centre for repeat in shared]
    return Measured(value, low=value * min([1.0, *relative]), high=value * max([1.0, *relative]))
