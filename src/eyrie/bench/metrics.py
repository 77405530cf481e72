"""From request records to benchmark cells and comparisons: pure functions.

TPOT = (latency - TTFT) / (output tokens - 1) per request, of requests with at least two tokens. ITL are the pauses of
the stream: with drafting a piece holds several tokens, so ITL and TPOT differ. Acceptance length pools sums: tokens
that verify steps produced (prefill's excluded) over verify steps.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eyrie.bench.client import RequestRecord
from eyrie.params import Arm, Workload
from eyrie.schemas import BenchmarkCell, Comparison, Quantiles


@dataclass(frozen=True)
class Measurement:
    """One load on one arm."""

    workload: Workload
    concurrency: int
    arm: Arm
    repeat: int
    records: list[RequestRecord]
    duration_s: float

    @property
    def finished(self) -> list[RequestRecord]:
        return [record for record in self.records if record.error is None]


def tpot_s(record: RequestRecord) -> float | None:
    """Seconds per output token after the first; None for a single token."""
    if record.output_tokens < 2:
        return None
    return (record.latency_s - record.ttft_s) / (record.output_tokens - 1)


def quantiles_ms(seconds: Iterable[float]) -> Quantiles:
    """Of values in seconds. Linear interpolation between ranks. Raises ValueError when there are none."""
    values_ms = np.fromiter(seconds, dtype=np.float64) * 1e3
    if not len(values_ms):
        raise ValueError("no finished request with at least two output tokens: there is nothing to measure")
    median, p95, p99 = np.percentile(values_ms, (50, 95, 99))
    return Quantiles(mean=float(values_ms.mean()), median=float(median), p95=float(p95), p99=float(p99))


def acceptance_length(records: Sequence[RequestRecord]) -> float | None:
    """Pooled over requests; None when no request was verified."""
    drafted = [record for record in records if record.num_verify_steps]
    steps = sum(record.num_verify_steps or 0 for record in drafted)
    return sum(record.output_tokens - 1 for record in drafted) / steps if steps else None


def to_cell(measurement: Measurement) -> BenchmarkCell:
    """Raises ValueError, quoting the first error, when no request gave a time per token."""
    finished = measurement.finished
    tpots = _tpots(finished)
    if not tpots:
        errors = [record.error for record in measurement.records if record.error is not None]
        raise ValueError(
            f"benchmark {measurement.arm}, {measurement.workload}, concurrency {measurement.concurrency}: no request "
            f"finished with two tokens or more; first error: {errors[0] if errors else 'none'}"
        )
    output_tokens = sum(record.output_tokens for record in finished)
    return BenchmarkCell(
        workload=measurement.workload,
        concurrency=measurement.concurrency,
        arm=measurement.arm,
        repeat=measurement.repeat,
        num_requests=len(measurement.records),
        num_errors=len(measurement.records) - len(finished),
        duration_s=measurement.duration_s,
        input_tokens=sum(record.input_tokens for record in finished),
        output_tokens=output_tokens,
        output_throughput_tok_s=output_tokens / measurement.duration_s,
        ttft_ms=quantiles_ms(record.ttft_s for record in finished),
        tpot_ms=quantiles_ms(tpots),
        itl_ms=quantiles_ms(gap for record in finished for gap in record.gaps_s),
        e2e_ms=quantiles_ms(record.latency_s for record in finished),
        acceptance_length=acceptance_length(finished),
    )


def compare(measurements: Sequence[Measurement]) -> list[Comparison]:
    """Both arms per workload and concurrency, then all workloads pooled per concurrency. Needs both arms of each."""
    workloads = list(dict.fromkeys(item.workload for item in measurements))
    concurrencies = sorted({item.concurrency for item in measurements})
    comparisons = [
        _comparison(
            workload,
            concurrency,
            [item for item in measurements if item.workload == workload and item.concurrency == concurrency],
        )
        for workload in workloads
        for concurrency in concurrencies
    ]
    for concurrency in concurrencies:
        comparisons.append(
            _comparison("all", concurrency, [item for item in measurements if item.concurrency == concurrency])
        )
    return comparisons


def _comparison(workload: Workload | Literal["all"], concurrency: int, measurements: list[Measurement]) -> Comparison:
    """Requests of one arm and repeat are pooled; the figure of an arm is the median of its repeats."""
    tpot_ms: dict[Arm, float] = {}
    throughput: dict[Arm, float] = {}
    arms: tuple[Arm, ...] = ("baseline", "eagle3")
    for arm in arms:
        mine = [item for item in measurements if item.arm == arm]
        by_repeat = [[item for item in mine if item.repeat == number] for number in sorted({i.repeat for i in mine})]
        pooled = [[record for item in items for record in item.finished] for items in by_repeat]
        tpot_ms[arm] = statistics.median(quantiles_ms(_tpots(records)).median for records in pooled)
        throughput[arm] = statistics.median(
            sum(record.output_tokens for record in records) / sum(item.duration_s for item in items)
            for records, items in zip(pooled, by_repeat, strict=True)
        )
    drafted = [record for item in measurements if item.arm == "eagle3" for record in item.finished]
    return Comparison(
        workload=workload,
        concurrency=concurrency,
        baseline_tpot_ms=tpot_ms["baseline"],
        eagle3_tpot_ms=tpot_ms["eagle3"],
        tpot_ratio=tpot_ms["eagle3"] / tpot_ms["baseline"],
        baseline_throughput_tok_s=throughput["baseline"],
        eagle3_throughput_tok_s=throughput["eagle3"],
        throughput_ratio=throughput["eagle3"] / throughput["baseline"],
        acceptance_length=acceptance_length(drafted) or 1.0,
    )


def _tpots(records: Sequence[RequestRecord]) -> list[float]:
    return [value for record in records if (value := tpot_s(record)) is not None]
