"""A realistic, made-up set of everything the report reads, written to a folder."""

import math
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from eyrie.io import write_json, write_jsonl, write_text
from eyrie.params import Drafting
from eyrie.schemas import (
    Acceptance,
    AnswerCheck,
    ArmFigure,
    BenchmarkCell,
    BenchmarkMetrics,
    Comparison,
    EvaluationMetrics,
    FeatureMetrics,
    FunnelStep,
    LoadCheck,
    Mismatch,
    MixDistance,
    PromptMetrics,
    Quantiles,
    ResponseMetrics,
    SelectionMetrics,
    TrainMetrics,
    VocabMetrics,
)

WORKLOADS = ("chat", "code", "math", "extraction", "multi_turn")
BASE_TPOT = {"chat": 7.9, "code": 7.7, "math": 7.8, "extraction": 8.1, "multi_turn": 8.4}
FIELDS: dict[str, Callable[[BenchmarkCell], float]] = {
    "tpot": lambda cell: cell.tpot_ms.median,
    "rate": lambda cell: cell.output_throughput_tok_s,
    "ttft": lambda cell: cell.ttft_ms.median,
}
SHAPES = {
    "eagle3": Drafting(num_steps=5, topk=1, num_draft_tokens=6),
    "eagle3_no_overlap": Drafting(num_steps=5, topk=1, num_draft_tokens=6),
    "chain": Drafting(num_steps=5, topk=1, num_draft_tokens=6),
    "tree": Drafting(num_steps=5, topk=4, num_draft_tokens=16),
}
ACCEPTANCE = {"chat": 2.71, "code": 3.44, "math": 3.62, "extraction": 3.28, "multi_turn": 2.66}


def write_inputs(folder: Path, *, mismatches: list[Mismatch] = [], **bench: Any) -> dict[str, Path]:  # noqa: B006
    """Write every input; returns the stage's input arguments. `bench` goes to `benchmark_documents`."""
    metrics = folder / "metrics"
    write_prompts(metrics)
    write_json(
        metrics / "generate_responses.json",
        ResponseMetrics(
            num_conversations=1380,
            num_rows=1644,
            num_prompt_tokens=118_240,
            num_response_tokens=171_904,
            finish_reasons={"stop": 1502, "length": 142},
            response_tokens={
                name: {"p10": 21, "p50": 88, "p90": 120, "p99": 128, "max": 128} for name in ("all", *WORKLOADS)
            },
            by_workload={
                name: {"rows": 320 + 7 * index, "response_tokens": 30_000 + 2190 * index, "truncated": 11 * index}
                for index, name in enumerate(WORKLOADS)
            },
            skipped={"prompt_too_long": 3},
        ),
    )
    write_json(
        metrics / "build_vocab.json",
        VocabMetrics(
            vocab_size=6144, draft_vocab_size=2048, coverage_train=0.9871, coverage_heldout=0.9812, digest="ab" * 32
        ),
    )
    write_json(
        metrics / "extract_features.json",
        FeatureMetrics(
            num_rows=1644,
            num_tokens=290_144,
            num_bytes=374_285_760,
            bytes_per_token=1290.0,
            encoding="bf16",
            hidden_size=160,
            aux_layer_ids=[1, 9, 16],
        ),
    )
    write_training(folder)
    write_evaluation(metrics, mismatches)
    cells, summary = benchmark_documents(**bench)
    write_jsonl(folder / "cells.jsonl", cells)
    write_json(metrics / "benchmark.json", summary)
    write_text(folder / "data_card.md", "# Data card\n\nOnly user turns were kept.\n")
    return {
        "metrics_dir": metrics,
        "cells": folder / "cells.jsonl",
        "curves": folder / "curves",
        "head": folder / "head",
        "data_card": folder / "data_card.md",
    }


def write_prompts(metrics: Path) -> None:
    steps = [("read", 2140, {}), ("length", 2096, {"too_long": 41, "empty": 3})]
    steps += [("near_duplicates", 1811, {"near_duplicate": 262, "benchmark_overlap": 23})]
    steps += [("workload_mix", 1520, {"over_the_share": 291})]
    write_json(
        metrics / "select_prompts.json",
        SelectionMetrics(
            funnel=[FunnelStep(name=name, kept=kept, dropped=dropped) for name, kept, dropped in steps],
            by_workload=dict.fromkeys(WORKLOADS, 304),
            by_split={"train": 1380, "heldout": 100, "benchmark": 40},
            mix_distance_before=0.137,
            mix_distance_after=0.004,
            wanted_mix=dict.fromkeys(WORKLOADS, 0.2),
            mix_axes={"workload": MixDistance(before=0.137, after=0.004)},
            shortfalls=[],
            num_malformed=0,
            malformed_rows=[],
            entities={},
            sources={
                "eyrie-samples": {
                    "license": "apache-2.0",
                    "provenance": "templates",
                    "override": "",
                    "raw": 2000,
                    "kept": 1380,
                },
                "team-logs": {
                    "license": "other",
                    "provenance": "own request logs",
                    "override": "our own traffic, consent on file",
                    "raw": 140,
                    "kept": 140,
                },
            },
        ),
    )
    write_json(
        metrics / "filter_prompts.json",
        PromptMetrics(
            funnel=[FunnelStep(name="privacy", kept=1431, dropped={"PERSON": 52, "LOCATION": 28, "SECRET": 9})],
            by_workload=dict.fromkeys(WORKLOADS, 286),
            by_split={"train": 1294, "heldout": 97, "benchmark": 40},
            mix_distance_before=None,
            mix_distance_after=None,
            entities={
                "PERSON": {"drop": 61},
                "LOCATION": {"drop": 33},
                "EMAIL_ADDRESS": {"surrogate": 47},
                "PHONE_NUMBER": {"surrogate": 18},
                "SECRET": {"drop": 9},
                "IP_ADDRESS": {"redact": 6},
            },
            sources={},
        ),
    )


def write_curve(path: Path, points: dict[int, float]) -> None:
    rows = [f"{step}\t{value:.6f}" for step, value in points.items()]
    write_text(path, "\n".join([f"step\t{path.stem}", *rows]) + "\n")


def write_training(folder: Path, *, best_step: int = 400) -> None:
    curves = folder / "curves/plots/metrics"
    steps = range(10, 501, 10)
    losses = {step: 1.9 + 5.2 * math.exp(-step / 80) + 0.09 * math.sin(step) for step in steps}
    write_curve(curves / "train/loss.tsv", losses)
    write_curve(curves / "train/learning_rate.tsv", {step: 0.002 * (1 - step / 500) for step in steps})
    grown = {step: 1 - math.exp(-step / 130) for step in range(100, 501, 100)}
    write_curve(curves / "heldout/loss.tsv", {step: 2.05 + 5 * math.exp(-step / 90) for step in grown})
    tau = {step: 1 + 2.35 * share - (0.08 if step > best_step else 0) for step, share in grown.items()}
    write_curve(curves / "heldout/acceptance_length.tsv", tau)
    for depth in range(7):
        accuracy = {step: (0.78 - 0.045 * depth) * share for step, share in grown.items()}
        write_curve(curves / f"heldout/accuracy_{depth + 1}.tsv", accuracy)
    write_json(
        folder / "metrics/train_head.json",
        TrainMetrics(
            steps=500,
            best_step=best_step,
            tokens_seen=2_048_000,
            supervised_tokens_seen=1_190_400,
            train_loss=1.93,
            heldout_loss=2.11,
            heldout_acceptance_length=3.24,
            heldout_decoded_acceptance_length=3.2,
            heldout_accuracy=[0.74, 0.7, 0.66, 0.62, 0.58, 0.54, 0.5],
            num_parameters=868_000,
        ),
    )
    config = (
        '{"hidden_size": 160, "intermediate_size": 448, "draft_vocab_size": 2048, "model_type": "llama", '
        '"num_hidden_layers": 1, "fc_norm": true, "norm_output": true}'
    )
    write_text(folder / "head/config.json", config)


def acceptance(tau: float, num_prompts: int, num_identical: int) -> Acceptance:
    return Acceptance(
        num_prompts=num_prompts,
        num_identical=num_identical,
        num_tokens=round(400 * num_prompts / 20 * tau),
        num_verify_steps=400 * num_prompts // 20,
        acceptance_length=tau,
        acceptance_by_position=[round(min(0.95, (tau - 1) / 2.9 * 0.88**depth), 4) for depth in range(4)],
    )


def write_evaluation(metrics: Path, mismatches: list[Mismatch]) -> None:
    workloads = {}
    for name in WORKLOADS:
        different = sum(mismatch.workload == name for mismatch in mismatches)
        workloads[name] = acceptance(ACCEPTANCE[name], 20, 20 - different)
    write_json(
        metrics / "evaluate_head.json",
        EvaluationMetrics(
            target_parameters=27_000_000,
            num_steps=4,
            topk=1,
            num_draft_tokens=5,
            temperature=0.0,
            overall=acceptance(3.14, 100, 100 - len(mismatches)),
            workloads=workloads,
            near_tie_margin=0.5,
            mismatches=mismatches,
        ),
    )


def benchmark_documents(
    *,
    workloads: tuple[str, ...] = WORKLOADS,
    concurrency: tuple[int, ...] = (1, 2, 4),
    repeats: int = 2,
    gain: float = 1.72,
    wobble: float = 0.02,
    arms: tuple[str, ...] = ("baseline", "eagle3"),
    first_token: float = 1.1,
    **changes: Any,
) -> tuple[list[BenchmarkCell], BenchmarkMetrics]:
    """Cells and their summary. `gain` is the speed-up at concurrency 1; it shrinks as concurrency grows. `first_token`
    is eagle3's TTFT over the baseline's; `changes` are fields of the summary."""
    cells, comparisons = [], []
    for level in concurrency:
        for workload in workloads:
            for repeat in range(repeats):
                drift = 1 + wobble * (repeat - (repeats - 1) / 2)
                base = BASE_TPOT[workload] * (1 + 0.42 * (level - 1)) * drift
                fast = base / drift / (gain * ACCEPTANCE[workload] / 3.14 / level**0.38) * (2 - drift)
                slower = {"baseline": base, "eagle3": fast, "eagle3_no_overlap": 1.15 * fast, "chain": 1.05 * fast}
                cells += [
                    benchmark_cell(
                        workload,
                        level,
                        arm,
                        repeat,
                        slower.get(arm, 0.97 * fast),
                        1 if arm == "baseline" else first_token,
                    )
                    for arm in arms
                ]
        groups = {workload: [workload] for workload in workloads} | {"all": list(workloads)}
        comparisons += [compare(name, level, cells, members) for name, members in groups.items()]
    document: dict[str, Any] = {
        "engine": "reference",
        "client": "eyrie",
        "context_length": 512,
        "arms": {arm: None if arm == "baseline" else SHAPES[arm] for arm in arms},
        "num_prompts": dict.fromkeys(workloads, 4),
        "stand_ins": [],
        "left_out": {},
        "answers": {arm: AnswerCheck(num_answers=20, num_identical=20, mismatches=[]) for arm in arms[1:]},
        "load_answers": {
            arm: LoadCheck(num_answers=40, num_identical=40 if arm == "baseline" else 39)
            for arm in arms
            if repeats > 1 or arm != "baseline"
        },
        "figures": [figure(arm, level, cells) for level in concurrency for arm in arms],
        "named_servers": [],
        "device": "cpu: Intel(R) Xeon(R) Platinum 8481C, 2 cores, 2 threads",
        "num_steps": 5,
        "topk": 1,
        "num_draft_tokens": 6,
        "num_errors": 0,
        "comparisons": comparisons,
    }
    return cells, BenchmarkMetrics(**(document | changes))


def figure(arm: str, level: int, cells: list[BenchmarkCell]) -> ArmFigure:
    mine = [cell for cell in cells if (cell.arm, cell.concurrency) == (arm, level)]
    rates = repeats_of(mine, "rate")
    return ArmFigure.model_validate(
        {
            "arm": arm,
            "concurrency": level,
            "tpot_ms": median(cell.tpot_ms.median for cell in mine),
            "ttft_ms": median(cell.ttft_ms.median for cell in mine),
            "output_throughput_tok_s": median(rates),
            "output_throughput_range_tok_s": (min(rates), max(rates)),
            "acceptance_length": None if arm == "baseline" else 3.1,
        }
    )


def repeats_of(cells: list[BenchmarkCell], field: str) -> list[float]:
    """The mean over workloads of each repeat."""
    found: dict[int, list[float]] = {}
    for cell in cells:
        found.setdefault(cell.repeat, []).append(FIELDS[field](cell))
    return [sum(values) / len(values) for values in found.values()]


def benchmark_cell(
    workload: str, concurrency: int, arm: str, repeat: int, tpot: float, first_token: float
) -> BenchmarkCell:
    def around(value: float) -> Quantiles:
        return Quantiles(mean=value * 1.02, median=value, p95=value * 1.3, p99=value * 1.5)

    return BenchmarkCell.model_validate(
        {
            "workload": workload,
            "concurrency": concurrency,
            "arm": arm,
            "repeat": repeat,
            "num_requests": 8,
            "num_errors": 0,
            "duration_s": 8 * 96 * tpot / 1000 / concurrency,
            "input_tokens": 600,
            "output_tokens": 768,
            "output_throughput_tok_s": 950 * concurrency / tpot,
            "ttft_ms": around(21.0 * first_token),
            "tpot_ms": around(tpot),
            "itl_ms": around(tpot),
            "e2e_ms": around(21 + 95 * tpot),
            "acceptance_length": None if arm == "baseline" else ACCEPTANCE[workload],
        }
    )


def compare(name: str, level: int, cells: list[BenchmarkCell], members: list[str]) -> Comparison:
    here = [
        [cell for cell in cells if cell.workload in members and (cell.concurrency, cell.arm) == (level, arm)]
        for arm in ("baseline", "eagle3")
    ]
    found = [[repeats_of(of_arm, field) for of_arm in here] for field in FIELDS]
    tpots, rates, first = [[median(values) for values in of_arms] for of_arms in found]
    tpot_ranges, rate_ranges, first_ranges = [[(min(values), max(values)) for values in of_arms] for of_arms in found]
    return Comparison.model_validate(
        {
            "workload": name,
            "concurrency": level,
            "baseline_tpot_ms": tpots[0],
            "eagle3_tpot_ms": tpots[1],
            "tpot_ratio": tpots[1] / tpots[0],
            "baseline_throughput_tok_s": rates[0],
            "eagle3_throughput_tok_s": rates[1],
            "throughput_ratio": rates[1] / rates[0],
            "baseline_ttft_ms": first[0],
            "eagle3_ttft_ms": first[1],
            "baseline_tpot_range_ms": tpot_ranges[0],
            "eagle3_tpot_range_ms": tpot_ranges[1],
            "baseline_throughput_range_tok_s": rate_ranges[0],
            "eagle3_throughput_range_tok_s": rate_ranges[1],
            "baseline_ttft_range_ms": first_ranges[0],
            "eagle3_ttft_range_ms": first_ranges[1],
            "ttft_ratio": first[1] / first[0],
            "acceptance_length": sum(ACCEPTANCE[member] for member in members) / len(members),
        }
    )
