"""benchmark on a tiny target with real servers."""

import os
from pathlib import Path

from eyrie.eagle3.checkpoint import save_head
from eyrie.engines.target import load_target
from eyrie.io import read_json, read_jsonl, write_table
from eyrie.schemas import PROMPTS, BenchmarkCell, BenchmarkMetrics, check_prompt_row
from eyrie.stages import benchmark
from tests.conftest import tiny_params
from tests.unit.engines.reference.conftest import random_head
from tests.unit.stages.test_evaluate_head import prompt_row


def test_both_arms_are_measured_on_the_same_prompts_and_no_server_stays(tiny_target: Path, tmp_path: Path) -> None:
    params = tiny_params(
        tiny_target,
        benchmark={
            "workloads": ["chat", "multi_turn"],
            "concurrency": [1, 2],
            "num_prompts": 2,
            "output_tokens": 8,
            "num_steps": 2,
            "topk": 1,
            "num_draft_tokens": 3,
            "repeats": 2,
        },
    )
    head, clean = tmp_path / "head", tmp_path / "clean.parquet"
    save_head(
        random_head(load_target(params.target), draft_vocab_size=100, seed=1), head, model_card="A head for tests.\n"
    )
    rows = [prompt_row(number, "chat", "benchmark", [f"the user asks {number}"]) for number in range(3)]
    rows += [prompt_row(9, "multi_turn", "benchmark", ["the user", "and the assistant"])]
    write_table(clean, rows, PROMPTS, check_prompt_row)
    benchmark.run(params, head=head, clean=clean, cells=tmp_path / "cells.jsonl", metrics=tmp_path / "metrics.json")
    cells = read_jsonl(tmp_path / "cells.jsonl", BenchmarkCell)
    metrics = read_json(tmp_path / "metrics.json", BenchmarkMetrics)
    assert len(cells) == 2 * 2 * 2 * 2
    assert metrics.num_errors == sum(cell.num_errors for cell in cells) == 0
    tokens = {arm: [cell.output_tokens for cell in _sorted(cells) if cell.arm == arm] for arm in ("baseline", "eagle3")}
    assert tokens["baseline"] == tokens["eagle3"]
    order = [cell.arm for cell in cells[:4]]
    assert order == ["baseline", "eagle3", "eagle3", "baseline"]
    assert all((cell.acceptance_length is None) == (cell.arm == "baseline") for cell in cells)
    assert [(item.workload, item.concurrency) for item in metrics.comparisons] == [
        (workload, concurrency) for workload in ("chat", "multi_turn", "all") for concurrency in (1, 2)
    ]
    assert not _children()


def _sorted(cells: list[BenchmarkCell]) -> list[BenchmarkCell]:
    return sorted(cells, key=lambda cell: (cell.workload, cell.concurrency, cell.repeat))


def _children() -> list[str]:
    """Servers of the reference engine that this process started and that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat, command = (entry / "stat").read_text(), (entry / "cmdline").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == os.getpid() and "eyrie.engines.reference" in command:
                found.append(command)
    return found
