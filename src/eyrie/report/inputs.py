"""Everything the page is made of, read and checked before anything is drawn.

In: the metric documents, the benchmark's cells, the training curves, the head's config and the data card.
Out: `Inputs`. A missing, truncated or contradictory file is one sentence with its path.
"""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import ConfigDict

from eyrie.io import read_json, read_jsonl
from eyrie.schemas import (
    BenchmarkCell,
    BenchmarkMetrics,
    Document,
    EvaluationMetrics,
    FeatureMetrics,
    PromptMetrics,
    Range,
    ResponseMetrics,
    SchemaError,
    SelectionMetrics,
    TrainMetrics,
    VocabMetrics,
)

PromptsT = TypeVar("PromptsT", bound=PromptMetrics)


class HeadConfig(Document):
    """The part of the head's `config.json` that the page shows; engines read the rest."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    hidden_size: int
    intermediate_size: int
    draft_vocab_size: int
    num_hidden_layers: int
    fc_norm: bool
    norm_output: bool


class TrainPoint(NamedTuple):
    step: int
    loss: float
    learning_rate: float


class HeldoutPoint(NamedTuple):
    """One held-out evaluation; `accuracy[k]` belongs to TTT step k."""

    step: int
    loss: float
    acceptance_length: float
    accuracy: tuple[float, ...]


@dataclass(frozen=True)
class Inputs:
    selection: SelectionMetrics
    screening: PromptMetrics
    responses: ResponseMetrics
    vocab: VocabMetrics
    features: FeatureMetrics
    training: TrainMetrics
    evaluation: EvaluationMetrics
    benchmark: BenchmarkMetrics
    cells: list[BenchmarkCell]
    train_curve: list[TrainPoint]
    heldout_curve: list[HeldoutPoint]
    head: HeadConfig
    data_card: str


def read_inputs(*, metrics_dir: Path, cells: Path, curves: Path, head: Path, data_card: Path) -> Inputs:
    """Read all inputs. Raises SchemaError (path and reason) when one is missing, damaged or contradicts another."""
    benchmark_path = metrics_dir / "benchmark.json"
    benchmark = read_json(benchmark_path, BenchmarkMetrics)
    measured = read_jsonl(cells, BenchmarkCell)
    _check_cells(benchmark, measured, benchmark_path=benchmark_path, cells_path=cells)
    training = read_json(metrics_dir / "train_head.json", TrainMetrics)
    return Inputs(
        selection=_read_prompts(metrics_dir / "select_prompts.json", SelectionMetrics),
        screening=_read_prompts(metrics_dir / "filter_prompts.json", PromptMetrics),
        responses=read_json(metrics_dir / "generate_responses.json", ResponseMetrics),
        vocab=read_json(metrics_dir / "build_vocab.json", VocabMetrics),
        features=read_json(metrics_dir / "extract_features.json", FeatureMetrics),
        training=training,
        evaluation=read_json(metrics_dir / "evaluate_head.json", EvaluationMetrics),
        benchmark=benchmark,
        cells=measured,
        train_curve=_read_train_curve(curves / "plots/metrics/train"),
        heldout_curve=_read_heldout_curve(
            curves / "plots/metrics/heldout",
            best_step=training.best_step,
            num_steps=len(training.heldout_accuracy),
        ),
        head=read_json(head / "config.json", HeadConfig),
        data_card=_read_text(data_card),
    )


def _read_prompts(path: Path, model: type[PromptsT]) -> PromptsT:
    metrics = read_json(path, model)
    if not metrics.funnel:
        raise SchemaError(f"{path}: funnel is empty; it needs at least one step")
    return metrics


def _check_cells(
    benchmark: BenchmarkMetrics, cells: list[BenchmarkCell], *, benchmark_path: Path, cells_path: Path
) -> None:
    """Every comparison needs the cells it was made from, and the page needs the pooled ones."""
    if not any(comparison.workload == "all" for comparison in benchmark.comparisons):
        raise SchemaError(f"{benchmark_path}: comparisons has no entry with workload 'all'")
    for number, cell in enumerate(cells, start=1):
        if min(cell.tpot_ms.median, cell.ttft_ms.median, cell.output_throughput_tok_s) <= 0:
            raise SchemaError(f"{cells_path}:{number}: the median TPOT, TTFT and the output throughput must be above 0")
    for figure in benchmark.figures:
        each = (figure.output_throughput_tok_s, figure.output_throughput_range_tok_s)
        _check_figures([each], f"{benchmark_path}: arm {figure.arm} at concurrency {figure.concurrency}")
    found = {(str(cell.workload), cell.concurrency, cell.arm) for cell in cells}
    for comparison in benchmark.comparisons:
        figures = [
            (comparison.baseline_tpot_ms, comparison.baseline_tpot_range_ms),
            (comparison.eagle3_tpot_ms, comparison.eagle3_tpot_range_ms),
            (comparison.baseline_throughput_tok_s, comparison.baseline_throughput_range_tok_s),
            (comparison.eagle3_throughput_tok_s, comparison.eagle3_throughput_range_tok_s),
            (comparison.baseline_ttft_ms, comparison.baseline_ttft_range_ms),
            (comparison.eagle3_ttft_ms, comparison.eagle3_ttft_range_ms),
        ]
        where = f"workload {comparison.workload} at concurrency {comparison.concurrency}"
        _check_figures(figures, f"{benchmark_path}: {where}")
        for arm in ("baseline", "eagle3"):
            here = {str(cell.workload) for cell in cells if cell.concurrency == comparison.concurrency}
            wanted = (here or {"any"}) if comparison.workload == "all" else {comparison.workload}
            for workload in sorted(wanted):
                if (workload, comparison.concurrency, arm) not in found:
                    raise SchemaError(
                        f"{cells_path}: no {arm} cell of workload {workload} at concurrency "
                        f"{comparison.concurrency}, which {benchmark_path} compares"
                    )


def _check_figures(figures: Iterable[tuple[float, Range]], where: str) -> None:
    for value, (low, high) in figures:
        if low <= 0:
            raise SchemaError(f"{where} has a TPOT, TTFT or throughput of 0 or less")
        if not low <= value <= high:
            raise SchemaError(f"{where}: {value} is not between its lowest repeat, {low}, and its highest, {high}")


def _read_train_curve(folder: Path) -> list[TrainPoint]:
    """May hold no points when training was shorter than train_head.log_every."""
    if not (folder / "loss.tsv").exists():
        return []
    loss, rate = _read_curve(folder, "loss"), _read_curve(folder, "learning_rate")
    if loss.keys() != rate.keys():
        raise SchemaError(f"{folder}: loss.tsv and learning_rate.tsv have points of different steps")
    return [TrainPoint(step, loss[step], rate[step]) for step in loss]


def _read_heldout_curve(folder: Path, *, best_step: int, num_steps: int) -> list[HeldoutPoint]:
    """The exported step must be among its points; `num_steps` drafts were scored."""
    names = ["loss", "acceptance_length", *(f"accuracy_{index}" for index in range(1, num_steps + 1))]
    curves = [_read_curve(folder, name) for name in names]
    for name, curve in zip(names, curves, strict=True):
        if curve.keys() != curves[0].keys() or best_step not in curve:
            raise SchemaError(
                f"{folder / name}.tsv: has points of other steps than loss.tsv, or none of step {best_step}, the "
                "exported one of train_head.json"
            )
    return [
        HeldoutPoint(step, curves[0][step], curves[1][step], tuple(curve[step] for curve in curves[2:]))
        for step in curves[0]
    ]


def _read_curve(folder: Path, name: str) -> dict[int, float]:
    """Step -> value of a curve as DVCLive writes it. Raises SchemaError with path and line."""
    path = folder / f"{name}.tsv"
    lines = list(csv.reader(_read_text(path).splitlines(), delimiter="\t"))
    if not lines or lines[0] != ["step", name]:
        raise SchemaError(f"{path}: the first line must be step and {name}")
    curve = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            step, value = line
            curve[int(step)] = float(value)
        except ValueError as error:
            raise SchemaError(f"{path}:{number}: {error}") from None
        if not math.isfinite(curve[int(step)]):
            raise SchemaError(f"{path}:{number}: expected a finite number, got {value}")
    return curve


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SchemaError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise SchemaError(f"{path}: not UTF-8 text") from None
