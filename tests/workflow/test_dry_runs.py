"""What Snakemake would run, and what it refuses before running anything."""

import re
from pathlib import Path

import pytest
import yaml

from eyrie.lineage.layout import STAGES, upstream_of
from tests.conftest import REPOSITORY
from tests.workflow.conftest import PlugIns, change_params, make_project, run_in

ALL_PROFILES = {path.parent.name for path in (REPOSITORY / "workflow/profiles").glob("*/config.yaml")}
PROFILES = sorted(ALL_PROFILES - {"kubernetes", "googlebatch"})  # these two: test_executors.py
RULE_GRAPH = {
    "select_prompts": {"filter_prompts", "report"},
    "filter_prompts": {
        "generate_responses_shard",
        "generate_responses",
        "evaluate_head",
        "benchmark",
        "report",
    },
    "generate_responses_shard": {"generate_responses", "build_vocab", "extract_features_shard"},
    "generate_responses": {"report"},
    "build_vocab": {"train_head", "report"},
    "extract_features_shard": {"extract_features", "train_head"},
    "extract_features": {"report"},
    "train_head": {"evaluate_head", "benchmark", "report"},
    "evaluate_head": {"report"},
    "benchmark": {"report"},
    "report": {"all"},
}


def planned_jobs(output: str) -> dict[str, int]:
    """rule -> jobs, from the job table of a dry run."""
    counts = {}
    for line in output.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].isdigit() and words[0] not in ("total", "count"):
            counts[words[0]] = int(words[1])
    return counts


def every_job(*, num_shards: int) -> dict[str, int]:
    """rule -> jobs of the whole pipeline."""
    shards = {f"{name}_shard": num_shards for name, stage in STAGES.items() if stage.sharded}
    return {**dict.fromkeys(STAGES, 1), **shards, "all": 1}


def test_a_fresh_project_plans_every_stage_once_and_sharded_ones_per_shard(project: Path) -> None:
    change_params(project, "generate_responses", num_shards=3)
    done = run_in(project, "snakemake", "--cores", "2", "-n", "--quiet", "rules")
    assert done.returncode == 0, done.stderr
    assert planned_jobs(done.stdout + done.stderr) == every_job(num_shards=3)


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
    assert planned_jobs(done.stdout + done.stderr) == {"generate_responses": 1, "generate_responses_shard": 2}


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


def test_parameters_that_a_merge_left_in_conflict_are_refused_with_the_line(project: Path) -> None:
    path = project / "params.yaml"
    path.write_text("<<<<<<< HEAD\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    done = run_in(project, "snakemake", "--cores", "1")
    assert done.returncode != 0
    assert re.fullmatch(r"eyrie: params\.yaml: cannot be read as YAML: .* line 2, column \d+\n", done.stderr)


def test_parameters_that_dvc_would_not_see_are_refused(project: Path) -> None:
    done = run_in(project, "snakemake", "--cores", "1", "-n", "--config", "report={title: other}")
    assert done.returncode != 0
    assert "edit params.yaml" in done.stderr


def test_a_number_that_dvc_wrote_into_the_parameters_is_one(project: Path) -> None:
    path = project / "params.yaml"
    text, count = re.subn(r"learning_rate: .*", "learning_rate: 3e-05", path.read_text(encoding="utf-8"))
    assert count == 1
    path.write_text(text, encoding="utf-8")
    done = run_in(project, "snakemake", "--cores", "1", "-n", "--quiet", "rules")
    assert done.returncode == 0, done.stderr


def _edges(dot: str) -> set[tuple[str, str]]:
    """(from, to) of a graph in dot, whose nodes may carry their names as labels."""
    labels = dict(re.findall(r'(\w+)\[label ?= ?"(\w+)', dot))
    pairs = re.findall(r'"?(\w+)"? -> "?(\w+)"?', dot)
    return {(labels.get(first, first), labels.get(second, second)) for first, second in pairs}


def test_the_rule_graph_is_the_one_that_was_drawn(parsed_project: Path) -> None:
    done = run_in(parsed_project, "snakemake", "--cores", "1", "--rulegraph")
    assert done.returncode == 0, done.stderr
    assert _edges(done.stdout) == {(rule, following) for rule, rules in RULE_GRAPH.items() for following in rules}


def test_dvc_has_the_same_graph(tmp_path: Path, tiny_target: Path) -> None:
    project = make_project(tmp_path / "project", tiny_target, with_dvc=True)
    assert run_in(project, "eyrie", "sync").returncode == 0
    done = run_in(project, "dvc", "dag", "--dot")
    assert done.returncode == 0, done.stderr
    by_stage = {
        (rule.removesuffix("_shard"), following.removesuffix("_shard"))
        for rule, rules in RULE_GRAPH.items()
        for following in rules - {"all"}
    }
    expected = {(first, second) for first, second in by_stage if first != second}
    assert _edges(done.stdout) == expected
    assert expected == {(first, stage) for stage in STAGES for first in upstream_of(stage)}


def test_what_runs_nothing_needs_no_number_of_cores(parsed_project: Path) -> None:
    done = run_in(parsed_project, "snakemake", "--unlock")
    assert done.returncode == 0, done.stderr


def test_lint_finds_nothing_but_that_the_environment_is_not_snakemake_s(parsed_project: Path) -> None:
    done = run_in(parsed_project, "snakemake", "--lint")
    found = re.findall(r"^    \* (.+)\.:$", done.stdout + done.stderr, re.MULTILINE)
    assert set(found) == {"Specify a conda environment or container for each rule"}  # requirements/*.lock is it


def test_every_rule_has_a_log_and_resources() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "workflow/rules").glob("*.smk")]
    rules = {block.split(":")[0]: block for text in texts for block in re.split(r"(?m)^rule ", text)[1:]}
    assert set(rules) == {rule for stage in STAGES.values() for rule in stage.rules}
    for name, block in rules.items():
        for part in ("log:", "resources:", "mem_mb=", "runtime="):
            assert part in block, f"{name}: no {part}"


@pytest.mark.parametrize("profile", sorted(ALL_PROFILES))
def test_a_profile_names_only_rules_that_exist(profile: str) -> None:
    text = (REPOSITORY / f"workflow/profiles/{profile}/config.yaml").read_text(encoding="utf-8")
    settings = yaml.safe_load(text)
    rules = {rule for stage in STAGES.values() for rule in stage.rules}
    assert {*settings.get("set-resources", {}), *settings.get("set-threads", {})} <= rules


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_plans_the_whole_pipeline(profile: str, plug_ins: PlugIns, project: Path) -> None:
    command = ("snakemake", "--profile", f"workflow/profiles/{profile}", "-n", "--quiet", "rules")
    done = run_in(project, *command, **plug_ins(project, profile))
    assert done.returncode == 0, done.stderr
    assert planned_jobs(done.stdout + done.stderr) == every_job(num_shards=2)
