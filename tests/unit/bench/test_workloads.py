"""Which prompts are measured."""

from pathlib import Path
from typing import Any

import pytest

from eyrie.bench.workloads import benchmark_prompts
from eyrie.io import write_table
from eyrie.schemas import PROMPTS, check_prompt_row


def row(number: int, workload: str, split: str) -> dict[str, Any]:
    return {
        "prompt_id": f"{number:032x}",
        "source": "test",
        "workload": workload,
        "split": split,
        "system": "",
        "turns": [f"question {number}"],
        "answers": [],
    }


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return [
        row(number, workload, split)
        for number, (workload, split) in enumerate(
            (workload, split) for workload in ("chat", "code") for split in ("train", "benchmark") for _ in range(6)
        )
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    write_table(path, rows, PROMPTS, check_prompt_row)
    return path


def test_only_benchmark_prompts_of_the_workload_are_chosen_whatever_the_tables_order(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    first = benchmark_prompts(write(tmp_path / "a", rows), ["code", "chat"], num_prompts=4, seed=1)
    second = benchmark_prompts(write(tmp_path / "b", rows[::-1]), ["code", "chat"], num_prompts=4, seed=1)
    assert first == second
    assert list(first) == ["code", "chat"]
    assert all(len(prompts) == 4 for prompts in first.values())
    allowed = {item["prompt_id"] for item in rows if item["split"] == "benchmark" and item["workload"] == "code"}
    assert {prompt.prompt_id for prompt in first["code"]} <= allowed
    other = benchmark_prompts(tmp_path / "a", ["code"], num_prompts=4, seed=2)
    assert other["code"] != first["code"]


def test_a_workload_without_prompts_is_refused_by_name(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="no prompt of workload 'math' with split benchmark"):
        benchmark_prompts(write(tmp_path / "a", rows), ["math"], num_prompts=4, seed=1)
