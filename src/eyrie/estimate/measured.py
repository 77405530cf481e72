"""What a run did take, beside what was estimated: seconds of stages, tokens, bytes, weights.

In: `.eyrie/timings.json` and the metrics of the stages that ran here.
"""

import re
from pathlib import Path

from eyrie.estimate.lines import Estimate, read_hardware
from eyrie.io import read_json
from eyrie.lineage.timings import read_timings
from eyrie.params import Params
from eyrie.schemas import BenchmarkMetrics, FeatureMetrics, TrainMetrics

BENCHMARK = Path("reports/metrics/benchmark.json")
FEATURES, TRAINING = Path("reports/metrics/extract_features.json"), Path("reports/metrics/train_head.json")


def compare(estimate: Estimate, *, same_device: bool) -> list[tuple[str, str, str, str]]:
    """Rows of (what, estimate, measured, measured over estimate); none when nothing ran here. Seconds are those of the
    device that is estimated, or not told."""
    rows = []
    measured = _seconds_by_stage() if same_device else {}
    for stage, seconds in estimate.seconds.items():
        if stage in measured:
            rows.append(_row(f"{stage}, seconds", seconds, measured[stage]))
    if FEATURES.is_file():
        features = read_json(FEATURES, FeatureMetrics)
        rows.append(_row("tokens", estimate.num_tokens, features.num_tokens))
        rows.append(_row("feature bytes", estimate.feature_bytes, features.num_bytes))
    if TRAINING.is_file() and estimate.head is not None:
        rows.append(_row("head weights", estimate.head.total, read_json(TRAINING, TrainMetrics).num_parameters))
    return rows


def measured_device(params: Params) -> tuple[str, int] | None:
    """What the last benchmark here ran on, as a device of the table and how many; None when it knows none such."""
    if not BENCHMARK.is_file():
        return None
    document = read_json(BENCHMARK, BenchmarkMetrics)
    if document.named_servers:
        return None
    kind, _, name = document.device.partition(": ")
    if kind == "cpu":
        return "cpu-core", int(re.findall(r"(\d+) cores", name)[0])
    words = re.split(r"[^A-Za-z0-9]+", name)
    number = params.benchmark.sglang.num_gpus if document.engine == "sglang" else 1
    return next(((device, number) for device in read_hardware()["devices"] if device in words), None)


def _seconds_by_stage() -> dict[str, float]:
    """While at least one of a stage's jobs ran: shards side by side count once."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for name, timing in read_timings().items():
        stage = re.sub(r"[^a-z_].*", "", name)
        spans.setdefault(stage, []).append((timing["finished"] - timing["seconds"], timing["finished"]))
    sums = {}
    for stage, jobs in spans.items():
        sums[stage], until = 0.0, 0.0
        for begin, end in sorted(jobs):
            sums[stage] += max(end - max(begin, until), 0.0)
            until = max(until, end)
    return sums


def _row(what: str, estimated: float, measured: float) -> tuple[str, str, str, str]:
    ratio = f"{measured / estimated:.2f}" if estimated else "-"
    return what, f"{estimated:,.0f}", f"{measured:,.0f}", ratio
