"""From request records to benchmark cells and comparisons: pure functions.

TPOT = (latency - TTFT) / (output tokens - 1) per request, of answers that came in at least two pieces: one piece (a
word and its stop token) has no pause to measure, and no text at all has no time to the first token. ITL are the pauses
of the stream: with drafting a piece holds several tokens, so ITL and TPOT differ. Acceptance length pools sums: tokens
that verify steps produced (prefill's excluded) over verify steps.

Arms are compared only where they finished the same requests: one that refuses the slow prompts looks faster.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eyrie.bench.client import RequestRecord
from eyrie.params import Arm, Workload
from eyrie.schemas import ArmFigure, BenchmarkCell, Comparison, LoadCheck, Quantiles, Range

# Tokens that verify steps produced and the steps, of the fixed set of answers: for a client that tells no counts.
Accepted = Mapping[tuple[Arm, Workload], tuple[int, int]]


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
    """Seconds per output token after the first; None for an answer in one piece, or without a text."""
    if record.output_tokens < 2 or not 0 < record.ttft_s < record.latency_s:
        return None
    return (record.latency_s - record.ttft_s) / (record.output_tokens - 1)


def quantiles_ms(seconds: Iterable[float]) -> Quantiles:
    """Of values in seconds. Linear interpolation between ranks. Raises ValueError when there are none."""
    values_ms = np.fromiter(seconds, dtype=np.float64) * 1e3
    if not len(values_ms):
        raise ValueError("no finished request with two pieces of text: there is nothing to measure")
    median, p95, p99 = np.percentile(values_ms, (50, 95, 99))
    return Quantiles(mean=float(values_ms.mean()), median=float(median), p95=float(p95), p99=float(p99))


def acceptance_length(records: Sequence[RequestRecord]) -> float | None:
    """Pooled over requests; None when no request was verified."""
    drafted = [record for record in records if record.num_verify_steps]
    steps = sum(record.num_verify_steps or 0 for record in drafted)
    return sum(record.output_tokens - 1 for record in drafted) / steps if steps else None


def to_cell(measurement: Measurement) -> BenchmarkCell:
    """Raises ValueError, quoting the first error, when no request gave a time per token."""
    finished, with_text = measurement.finished, _with_text(measurement.finished)
    tpots = _tpots(finished)
    if not tpots:
        errors = [record.error for record in measurement.records if record.error is not None]
        raise ValueError(
            f"benchmark {measurement.arm}, {measurement.workload}, concurrency {measurement.concurrency}: no answer "
            f"came in two pieces or more; first error: {errors[0] if errors else 'none'}"
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
        ttft_ms=quantiles_ms(record.ttft_s for record in with_text),
        tpot_ms=quantiles_ms(tpots),
        itl_ms=quantiles_ms(gap for record in finished for gap in record.gaps_s),
        e2e_ms=quantiles_ms(record.latency_s for record in with_text),
        acceptance_length=acceptance_length(finished),
    )


@dataclass(frozen=True)
class Repeats:
    """One figure of every repeat."""

    each: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.each)

    @property
    def range(self) -> Range:
        return min(self.each), max(self.each)


@dataclass(frozen=True)
class ArmSums:
    """The median of each repeat's pooled requests in ms, and their tokens per second; the acceptance of all repeats
    pooled."""

    tpot_ms: Repeats
    ttft_ms: Repeats
    throughput_tok_s: Repeats
    acceptance_length: float | None


def uneven(measurements: Sequence[Measurement]) -> dict[tuple[Workload, int], str]:
    """The workloads and concurrencies at which not all arms finished the same requests, and so cannot be compared, with
    the reason in words."""
    found: dict[tuple[Workload, int], str] = {}
    for workload, concurrency in dict.fromkeys((item.workload, item.concurrency) for item in measurements):
        here = [item for item in measurements if (item.workload, item.concurrency) == (workload, concurrency)]
        failed = {(item.repeat, *_failed(item)) for item in here}
        if len(failed) > len({item.repeat for item in here}):
            arms = dict.fromkeys(item.arm for item in here)
            counts = {arm: sum(len(_failed(item)) for item in here if item.arm == arm) for arm in arms}
            found[workload, concurrency] = "not all arms finished the same requests; failed: " + ", ".join(
                f"{arm} {number}" for arm, number in counts.items()
            )
    return found


def _failed(measurement: Measurement) -> list[int]:
    """Places of the requests that did not finish; every arm gets them in the same order."""
    return [index for index, record in enumerate(measurement.records) if record.error is not None]


def _comparable(measurements: Sequence[Measurement]) -> list[Measurement]:
    apart = uneven(measurements)
    return [item for item in measurements if (item.workload, item.concurrency) not in apart]


def check_load(measurements: Sequence[Measurement]) -> dict[Arm, LoadCheck]:
    """Per arm, how many requests that finished have the text of the baseline's answer in the same load. The baseline is
    held against its own first repeat: what differs there is what batches of other sizes do without any draft. Left out
    are requests that did not finish in both."""
    baseline = {
        (item.workload, item.concurrency, item.repeat): item.records for item in measurements if item.arm == "baseline"
    }
    first = min(item.repeat for item in measurements)
    sums: dict[Arm, tuple[int, int]] = {}
    for item in measurements:
        if item.arm == "baseline" and item.repeat == first:
            continue
        other = baseline[item.workload, item.concurrency, first if item.arm == "baseline" else item.repeat]
        both = [
            (one.answer_digest, two.answer_digest)
            for one, two in zip(item.records, other, strict=True)
            if one.error is None and two.error is None
        ]
        same = sum(one == two for one, two in both)
        num_answers, num_identical = sums.get(item.arm, (0, 0))
        sums[item.arm] = (num_answers + len(both), num_identical + same)
    return {arm: LoadCheck(num_answers=number, num_identical=same) for arm, (number, same) in sums.items()}


def compare(measurements: Sequence[Measurement], accepted: Accepted) -> list[Comparison]:
    """Baseline and eagle3 per workload and concurrency, then all workloads pooled per concurrency. Needs both of each;
    where arms are `uneven` there is no comparison, and the pooled one leaves the workload out."""
    measurements = _comparable(measurements)
    workloads = list(dict.fromkeys(item.workload for item in measurements))
    concurrencies = sorted({item.concurrency for item in measurements})
    groups: list[Workload | Literal["all"]] = [*workloads, "all"]
    return [
        _comparison(workload, concurrency, measurements, accepted)
        for workload in groups
        for concurrency in concurrencies
        if any(item.concurrency == concurrency and workload in ("all", item.workload) for item in measurements)
    ]


def pooled_figures(measurements: Sequence[Measurement], accepted: Accepted) -> list[ArmFigure]:
    """Every arm at every concurrency, all workloads together but for those that are `uneven` there."""
    measurements = _comparable(measurements)
    arms = list(dict.fromkeys(item.arm for item in measurements))
    figures = []
    for concurrency in sorted({item.concurrency for item in measurements}):
        for arm in arms:
            here = [item for item in measurements if (item.concurrency, item.arm) == (concurrency, arm)]
            sums = _sums(here)
            figures.append(
                ArmFigure(
                    arm=arm,
                    concurrency=concurrency,
                    tpot_ms=sums.tpot_ms.median,
                    ttft_ms=sums.ttft_ms.median,
                    output_throughput_tok_s=sums.throughput_tok_s.median,
                    output_throughput_range_tok_s=sums.throughput_tok_s.range,
                    acceptance_length=sums.acceptance_length or _of_fixed_set(accepted, here),
                )
            )
    return figures


def _comparison(
    workload: Workload | Literal["all"],
    concurrency: int,
    measurements: Sequence[Measurement],
    accepted: Accepted,
) -> Comparison:
    here = [item for item in measurements if item.concurrency == concurrency and workload in ("all", item.workload)]
    drafted = [item for item in here if item.arm == "eagle3"]
    baseline, eagle3 = _sums([item for item in here if item.arm == "baseline"]), _sums(drafted)
    return Comparison(
        workload=workload,
        concurrency=concurrency,
        baseline_tpot_ms=baseline.tpot_ms.median,
        baseline_tpot_range_ms=baseline.tpot_ms.range,
        eagle3_tpot_ms=eagle3.tpot_ms.median,
        eagle3_tpot_range_ms=eagle3.tpot_ms.range,
        tpot_ratio=eagle3.tpot_ms.median / baseline.tpot_ms.median,
        baseline_throughput_tok_s=baseline.throughput_tok_s.median,
        baseline_throughput_range_tok_s=baseline.throughput_tok_s.range,
        eagle3_throughput_tok_s=eagle3.throughput_tok_s.median,
        eagle3_throughput_range_tok_s=eagle3.throughput_tok_s.range,
        throughput_ratio=eagle3.throughput_tok_s.median / baseline.throughput_tok_s.median,
        baseline_ttft_ms=baseline.ttft_ms.median,
        baseline_ttft_range_ms=baseline.ttft_ms.range,
        eagle3_ttft_ms=eagle3.ttft_ms.median,
        eagle3_ttft_range_ms=eagle3.ttft_ms.range,
        ttft_ratio=eagle3.ttft_ms.median / baseline.ttft_ms.median,
        acceptance_length=eagle3.acceptance_length or _of_fixed_set(accepted, drafted) or 1.0,
    )


def _of_fixed_set(accepted: Accepted, measurements: Sequence[Measurement]) -> float | None:
    """Pooled over the workloads of `measurements`, and no others; None when nothing was verified."""
    pairs = {(item.arm, item.workload) for item in measurements}
    found = [accepted[pair] for pair in pairs if pair in accepted]
    steps = sum(count for _, count in found)
    return sum(tokens for tokens, _ in found) / steps if steps else None


def _sums(measurements: Sequence[Measurement]) -> ArmSums:
    """Requests of one repeat are pooled."""
    numbers = sorted({item.repeat for item in measurements})
    by_repeat = [[item for item in measurements if item.repeat == number] for number in numbers]
    pooled = [[record for item in items for record in item.finished] for items in by_repeat]
    return ArmSums(
        tpot_ms=Repeats([quantiles_ms(_tpots(records)).median for records in pooled]),
        ttft_ms=Repeats([quantiles_ms(record.ttft_s for record in _with_text(records)).median for records in pooled]),
        throughput_tok_s=Repeats(
            [
                sum(record.output_tokens for record in records) / sum(item.duration_s for item in items)
                for records, items in zip(pooled, by_repeat, strict=True)
            ]
        ),
        acceptance_length=acceptance_length([record for records in pooled for record in records]),
    )


def _tpots(records: Sequence[RequestRecord]) -> list[float]:
    return [value for record in records if (value := tpot_s(record)) is not None]


def _with_text(records: Sequence[RequestRecord]) -> list[RequestRecord]:
    """Those with a time to the first token: an answer that is only a stop token has none."""
    return [record for record in records if record.ttft_s > 0]
