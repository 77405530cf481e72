"""The table that a finished run prints: what it made, and what that gained."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from eyrie.io import read_json
from eyrie.report.findings import Pair, point_of
from eyrie.schemas import BenchmarkMetrics, EvaluationMetrics, PromptMetrics, TrainMetrics

METRICS = Path("reports/metrics")
REPORT = Path("reports/report.html")


_WITHIN = "\N{ALMOST EQUAL TO}"


def _gain(pair: Pair) -> str:
    return f"{_WITHIN} {pair.speedup:.2f}x" if pair.verdict == "within" else f"{pair.speedup:.2f}x"


def print_summary() -> None:
    """Print the summary of the metrics in `reports/metrics`. Raises SchemaError when one is missing or damaged."""
    prompts = read_json(METRICS / "filter_prompts.json", PromptMetrics)
    training = read_json(METRICS / "train_head.json", TrainMetrics)
    evaluation = read_json(METRICS / "evaluate_head.json", EvaluationMetrics)
    benchmark = read_json(METRICS / "benchmark.json", BenchmarkMetrics)
    console = Console()
    table = Table(title="Baseline against EAGLE-3", title_justify="left")
    for column in (
        "workload",
        "concur-\nrency",
        "baseline\nTPOT",
        "EAGLE-3\nTPOT",
        "speed-\nup",
        "through-\nput",
        "tau",
    ):
        first = column == "workload"  # a long name is folded, or rich would cut the figures short
        table.add_column(column, justify="left" if first else "right", no_wrap=not first, overflow="fold")
    points = [point_of(comparison) for comparison in benchmark.comparisons]
    for comparison, point in zip(benchmark.comparisons, points, strict=True):
        table.add_row(
            f"{comparison.workload} *" if comparison.workload in benchmark.stand_ins else comparison.workload,
            str(comparison.concurrency),
            f"{comparison.baseline_tpot_ms:.2f} ms",
            f"{comparison.eagle3_tpot_ms:.2f} ms",
            _gain(point.tpot),
            _gain(point.throughput),
            f"{comparison.acceptance_length:.2f}",
            end_section=comparison.concurrency == max(item.concurrency for item in benchmark.comparisons),
        )
    console.print(table)
    if any("within" in (point.tpot.verdict, point.throughput.verdict) for point in points):
        console.print(f"{_WITHIN} within the spread of the repeats: neither a gain nor a loss", highlight=False)
    if benchmark.stand_ins:
        console.print(
            "* a stand-in: prompts written for this repository in place of a public data set", highlight=False
        )
    for workload, why in benchmark.left_out.items():
        console.print(f"{workload}: not measured, or not whole: {why}", highlight=False)
    if benchmark.num_errors:
        console.print(f"{benchmark.num_errors} requests of the benchmark failed.", highlight=False)
    overall, greedy = evaluation.overall, evaluation.temperature == 0.0
    identical = f"greedy outputs identical: {overall.num_identical} of {overall.num_prompts}"
    if not greedy:  # samples may differ, and nothing is wrong
        identical = f"not compared with the baseline's, sampled at temperature {evaluation.temperature:g}"
    console.print(
        f"{sum(prompts.by_split.values())} screened prompts, a head of {training.num_parameters / 1e6:.2f} M weights, "
        f"acceptance length {overall.acceptance_length:.2f} on held-out prompts "
        f"(num_steps {evaluation.num_steps}, topk {evaluation.topk}), {identical}.",
        highlight=False,
    )
    defects = [mismatch for mismatch in evaluation.mismatches if greedy and not mismatch.near_tie]
    defects += [item for check in benchmark.answers.values() for item in check.mismatches if not item.near_tie]
    if defects:
        console.print(
            f"Answers that differ by more than rounding explains: {len(defects)}. See the report.", style="bold"
        )
    console.print(f"Report: {REPORT}", highlight=False)
