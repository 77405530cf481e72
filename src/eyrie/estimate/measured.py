"""What a run did take, beside what was estimated: seconds of stages, tokens, bytes, weights.

In: `.eyrie/timings.json` and the metrics of the stages that ran here. A stage's shards are summed.
"""

import re
from pathlib import Path

from eyrie.estimate.plan import Estimate
from eyrie.io import read_json
from eyrie.lineage.timings import read_timings
from eyrie.schemas import FeatureMetrics, TrainMetrics

FEATURES, TRAINING = Path("reports/metrics/extract_features.json"), Path("reports/metrics/train_head.json")


def compare(estimate: Estimate) -> list[tuple[str, str, str, str]]:
    """Rows of (what, estimate, measured, measured over estimate); none when nothing ran here."""
    rows = []
    measured = _seconds_by_stage()
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


def _seconds_by_stage() -> dict[str, float]:
    sums: dict[str, float] = {}
    for name, timing in read_timings().items():
        stage = re.sub(r"[^a-z_].*", "", name)
        sums[stage] = sums.get(stage, 0.0) + timing["seconds"]
    return sums


def _row(what: str, estimated: float, measured: float) -> tuple[str, str, str, str]:
    ratio = f"{measured / estimated:.2f}" if estimated else "-"
    return what, f"{estimated:,.0f}", f"{measured:,.0f}", ratio
