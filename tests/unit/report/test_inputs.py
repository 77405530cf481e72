"""A missing, truncated or contradictory input is one sentence with its path."""

import json
import shutil
from pathlib import Path

import pytest

from eyrie.report.inputs import read_inputs
from eyrie.schemas import SchemaError
from tests.unit.report.made_up import write_inputs

METRICS = (
    "select_prompts",
    "filter_prompts",
    "generate_responses",
    "build_vocab",
    "extract_features",
    "train_head",
    "evaluate_head",
    "benchmark",
)

HELDOUT = "curves/plots/metrics/heldout/"


def _failure(paths: dict[str, Path]) -> str:
    with pytest.raises(SchemaError) as caught:
        read_inputs(**paths)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("stage", METRICS)
@pytest.mark.parametrize("damage", ["missing", "truncated", "another"])
def test_damaged_metrics_are_named(tmp_path: Path, stage: str, damage: str) -> None:
    paths = write_inputs(tmp_path)
    path = paths["metrics_dir"] / f"{stage}.json"
    if damage == "missing":
        path.unlink()
    else:
        path.write_text(path.read_text()[:-20] if damage == "truncated" else '{"loss": 1}')
    assert str(path) in _failure(paths)


@pytest.mark.parametrize("name", ["cells.jsonl", "data_card.md", "head/config.json", HELDOUT + "loss.tsv"])
def test_missing_files_are_named(tmp_path: Path, name: str) -> None:
    paths = write_inputs(tmp_path)
    (tmp_path / name).unlink()
    assert _failure(paths) == f"{tmp_path / name}: no such file"


def test_a_cell_that_was_compared_but_is_not_there_is_named(tmp_path: Path) -> None:
    paths = write_inputs(tmp_path)
    lines = paths["cells"].read_text().splitlines()
    kept = [line for line in lines if '"workload":"math"' not in line or '"arm":"eagle3"' not in line]
    paths["cells"].write_text("\n".join(kept))
    message = _failure(paths)
    assert str(paths["cells"]) in message
    assert "no eagle3 cell of workload math at concurrency 1" in message


@pytest.mark.parametrize(("low", "says"), [(0.0, "of 0 or less"), (1e9, "is not between its lowest repeat")])
@pytest.mark.parametrize("part", ["comparisons", "figures"])
def test_a_range_that_does_not_hold_its_figure_is_named(tmp_path: Path, part: str, low: float, says: str) -> None:
    paths = write_inputs(tmp_path)
    path = paths["metrics_dir"] / "benchmark.json"
    document = json.loads(path.read_text())
    name = "baseline_ttft_range_ms" if part == "comparisons" else "output_throughput_range_tok_s"
    document[part][0][name][0] = low
    path.write_text(json.dumps(document))
    message = _failure(paths)
    assert message.startswith(str(path))
    assert "at concurrency 1" in message
    assert says in message


def test_a_truncated_cell_is_named_by_line(tmp_path: Path) -> None:
    paths = write_inputs(tmp_path)
    paths["cells"].write_text(paths["cells"].read_text()[:-30])
    assert f"{paths['cells']}:60:" in _failure(paths)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("100\t", "many\t", "2: invalid literal"),
        ("100\t", "100\t1\t", "2: too many values"),
        ("100\t0.", "100\tnan\n", "2: expected a finite"),
    ],
)
def test_bad_curve_points_are_named_by_line(tmp_path: Path, old: str, new: str, line: str) -> None:
    paths = write_inputs(tmp_path)
    curve = tmp_path / HELDOUT / "accuracy_2.tsv"
    curve.write_text(curve.read_text().replace(old, new, 1))
    assert f"{curve}:{line}" in _failure(paths)


@pytest.mark.parametrize("name", ["loss", "accuracy_3"])
def test_exported_step_must_be_on_the_curve(tmp_path: Path, name: str) -> None:
    paths = write_inputs(tmp_path)
    curve = tmp_path / HELDOUT / f"{name}.tsv"
    curve.write_text("".join(line for line in curve.read_text().splitlines(True) if not line.startswith("400\t")))
    assert "none of step 400, the exported one of train_head.json" in _failure(paths)


def test_a_training_shorter_than_the_logging_interval_is_fine(tmp_path: Path) -> None:
    paths = write_inputs(tmp_path)
    shutil.rmtree(tmp_path / "curves/plots/metrics/train")
    assert read_inputs(**paths).train_curve == []
