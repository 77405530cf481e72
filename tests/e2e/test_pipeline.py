"""The whole pipeline through both doors, on the tiny target: what runs, what reruns, and what faults leave behind."""

import csv
import hashlib
import io
import json
import shutil
from pathlib import Path

import pytest

from eyrie.lineage.layout import STAGES
from tests.conftest import REPOSITORY
from tests.workflow.conftest import change_params, make_project, run_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def _repro(project: Path) -> "tuple[list[str], str]":
    """Run `eyrie run`. Returns the stages that DVC ran, and everything printed."""
    done = run_in(project, "eyrie", "run", timeout=900)
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-3000:]
    return [name for name in STAGES if f"Running stage '{name}'" in printed], printed


def _digests(project: Path) -> dict[str, str]:
    """Digests of every deterministic output, the benchmark's and what follows from it left out."""
    folders = ("data", "models", "reports/curves")
    files = [
        path
        for folder in folders
        for path in sorted((project / folder).rglob("*"))
        if path.is_file() and path.name != ".gitignore"
    ]
    return {str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_target: Path) -> Path:
    """A project whose pipeline ran once through DVC."""
    project = make_project(tmp_path_factory.mktemp("e2e") / "project", tiny_target)
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        assert run_in(project, *command).returncode == 0
    shutil.copy(REPOSITORY / ".dvc/config", project / ".dvc/config")
    ran, printed = _repro(project)
    assert ran == [*STAGES]
    assert "no run on this machine yet" in printed
    return project


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished project, links and modification times kept, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "copy", symlinks=True))


def test_the_first_run_makes_the_report_and_prints_the_summary(finished: Path) -> None:
    assert (finished / "reports/report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    for stage in STAGES.values():
        manifest = finished / (next(iter(stage.outputs.values())).format(shard=0) + ".manifest.json")
        assert json.loads(manifest.read_text())["made_by"]["stage"] == stage.name


def test_a_second_run_does_nothing_and_says_so(finished: Path) -> None:
    ran, printed = _repro(finished)
    assert ran == []
    assert "Nothing to build" in printed
    assert "the last run that built something took" in printed
    assert "Report: reports/report.html" in printed


def test_after_dvc_the_other_door_has_nothing_to_do(finished: Path) -> None:
    done = run_in(finished, "snakemake", "--cores", "2", "-n")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def test_a_training_parameter_reruns_training_and_what_follows_only(copy: Path) -> None:
    change_params(copy, "train_head", learning_rate=0.001)
    ran, _ = _repro(copy)
    assert ran == ["train_head", "evaluate_head", "benchmark", "report"]


def test_a_dvc_stage_never_runs_another_stage_s_rules(copy: Path) -> None:
    change_params(copy, "filter_prompts", score_threshold=0.5)
    for stage, expected in (("train_head", False), ("filter_prompts", True)):
        done = run_in(
            copy, "snakemake", "--cores", "1", "-n", "--allowed-rules", *STAGES[stage].rules, "--", stage, timeout=120
        )
        assert done.returncode == 0
        assert ("filter_prompts" in done.stdout + done.stderr) == expected


def test_snakemake_alone_makes_the_same_bytes_as_dvc(finished: Path, tmp_path: Path, tiny_target: Path) -> None:
    project = make_project(tmp_path / "project", tiny_target)
    done = run_in(project, "snakemake", "--cores", "2", timeout=900)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert _digests(project) == _digests(finished)


def test_a_failing_stage_leaves_its_old_outputs_out_and_no_partial_ones(copy: Path) -> None:
    weights = copy / "target/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    done = run_in(copy, "eyrie", "run", timeout=300)
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert "target target: cannot be loaded" in printed
    assert not [*(copy / "data/responses").glob("*.parquet")]
    assert not [*copy.rglob("*.partial"), *copy.rglob("*.publishing"), *copy.rglob("*.tmp")]


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ("benchmark", {"concurrency": [0]}, "benchmark.concurrency.0"),
        ("benchmark", {"concurrencies": [1]}, "benchmark.concurrencies: unknown key"),
        ("build_vocab", {"draft_vocab_size": 100_000}, "100000 is over the target's vocabulary of 320"),
    ],
)
def test_wrong_parameters_change_nothing(
    finished: Path, copy: Path, section: str, changes: dict[str, object], message: str
) -> None:
    change_params(copy, section, **changes)
    done = run_in(copy, "eyrie", "run")
    assert done.returncode == 1
    assert done.stderr.startswith("eyrie run: ")
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert _digests(copy) == _digests(finished)


def test_an_experiment_of_dvc_trains_again_and_stands_beside_the_run(copy: Path) -> None:
    for command in (["git", "add", "-A"], ["git", "-c", "user.name=n", "-c", "user.email=e@x", "commit", "-qm", "run"]):
        assert run_in(copy, *command).returncode == 0

    def dvc(*arguments: str) -> str:
        done = run_in(copy, "dvc", *arguments, timeout=600)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    printed = dvc("exp", "run", "--name", "faster", "-S", "train_head.learning_rate=0.02", "train_head")
    assert "Running stage 'train_head'" in printed
    assert "Running stage 'extract_features'" not in printed
    shown = list(csv.DictReader(io.StringIO(dvc("exp", "show", "--csv"))))
    rates = {row["Experiment"] or row["rev"]: row["train_head.learning_rate"] for row in shown}
    assert rates["faster"] == "0.02"
    assert len(set(rates.values())) == 2
