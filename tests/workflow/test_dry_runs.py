"""What Snakemake would run, and what it refuses before running anything."""

from pathlib import Path

import pytest

from eyrie.lineage.layout import STAGES
from tests.workflow.conftest import change_params, run_in


def _planned(output: str) -> dict[str, int]:
    """rule -> jobs, from the job table of a dry run."""
    counts = {}
    for line in output.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].isdigit() and words[0] not in ("total", "count"):
            counts[words[0]] = int(words[1])
    return counts


def test_a_fresh_project_plans_every_stage_once_and_sharded_ones_per_shard(project: Path) -> None:
    change_params(project, "generate_responses", num_shards=3)
    done = run_in(project, "snakemake", "--cores", "2", "-n", "--quiet", "rules")
    assert done.returncode == 0, done.stderr
    expected = dict.fromkeys(STAGES, 1) | {f"{name}_shard": 3 for name, stage in STAGES.items() if stage.sharded}
    assert _planned(done.stdout + done.stderr) == {**expected, "all": 1}


def test_a_stage_alone_plans_its_own_rules_only(project: Path) -> None:
    clean = project / "data/prompts/clean.parquet"
    clean.parent.mkdir(parents=True)
    clean.touch()
    stage = STAGES["generate_responses"]
    done = run_in(
        project,
        *("snakemake", "--cores", "1", "-n", "--quiet", "rules", "--allowed-rules", *stage.rules, "--", stage.name),
    )
    assert done.returncode == 0, done.stderr
    assert _planned(done.stdout + done.stderr) == {"generate_responses": 1, "generate_responses_shard": 2}


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ("train_head", {"learning_rate": 7.0}, "train_head.learning_rate"),
        ("train_head", {"lr": 0.1}, "train_head.lr: unknown key"),
        ("target", {"model": "./nowhere"}, "./nowhere is neither a folder here"),
        ("filter_prompts", {"analyzer_config": "none.yaml"}, "no such file: none.yaml"),
    ],
)
def test_wrong_parameters_end_in_one_sentence_before_any_rule(
    project: Path, section: str, changes: dict[str, object], message: str
) -> None:
    change_params(project, section, **changes)
    done = run_in(project, "snakemake", "--cores", "1")
    assert done.returncode != 0
    assert done.stderr.startswith("eyrie: ")
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (project / "data").exists()
    assert not (project / "reports").exists()


def test_parameters_that_dvc_would_not_see_are_refused(project: Path) -> None:
    done = run_in(project, "snakemake", "--cores", "1", "-n", "--config", "report={title: other}")
    assert done.returncode != 0
    assert "edit params.yaml" in done.stderr
