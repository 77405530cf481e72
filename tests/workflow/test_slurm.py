"""The slurm profile on a real Slurm of two nodes (tests/services/slurm.py): both doors, resources, groups, retries."""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.services import slurm
from tests.workflow.conftest import COMMAND_FOLDER, PlugIns, run_in
from tests.workflow.light import digests_of, expected_files, make_light_project
from tests.workflow.truth import false_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
PROFILE = Path("workflow/profiles/slurm")
MEETING = "tests.services.meeting"
FAILS_ONCE = """
    if not Path("tried").exists():
        Path("tried").touch()
        raise ValueError("the first attempt fails")
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    slurm.install()
    with slurm.cluster(tmp_path_factory.mktemp("slurm") / "cluster") as running:
        yield running


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_target: Path) -> Path:
    """A light project with the profile as it is, only its waiting shortened; build_vocab fails when first tried."""
    project = make_light_project(tmp_path_factory.mktemp("slurm-project") / "project", tiny_target)
    path = project / PROFILE / "config.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings |= {"slurm-init-seconds-before-status-checks": 5, "seconds-between-status-checks": 1, "latency-wait": 5}
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    module = project / "src/eyrie/stages/build_vocab.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(text.replace("    time.sleep(SECONDS)", FAILS_ONCE, 1), encoding="utf-8")
    return project


@pytest.fixture(scope="module")
def environment(cluster: slurm.Cluster, project: Path, plug_ins: PlugIns) -> dict[str, str]:
    """What a command needs to send the project's jobs to the cluster."""
    return _environment(cluster) | plug_ins(project, "slurm")


def test_snakemake_runs_jobs_on_the_cluster_with_their_resources(
    cluster: slurm.Cluster, project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    targets = ("generate_responses", "build_vocab", "extract_features")
    command = ("snakemake", "--profile", str(PROFILE), "--", *targets)
    done = run_in(project, *command, **environment)
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-4000:]
    _check(project, tmp_path)
    assert "Error in rule build_vocab" in printed
    assert "Trying to restart job" in printed

    jobs = [(_name(job), job) for job in cluster.jobs()]
    assert sorted(name for name, _ in jobs) == [
        "build_vocab",
        "build_vocab",  # it failed once
        "extract_features",
        "extract_features_shard",
        "extract_features_shard",
        "generate_responses",
        "generate_responses_shard",
        "generate_responses_shard",
        "prompts_filter_prompts_select_prompts",  # one allocation for both
    ]
    for name, job in jobs:
        assert job.get("TresPerJob") == ("gres:gpu:1" if name.endswith("_shard") else None), name
    extract = dict(jobs)["extract_features_shard"]
    assert (extract["TimeLimit"], extract["CPUs/Task"], extract["MinMemoryNode"]) == ("08:00:00", "8", "32000M")


def test_a_stage_of_dvc_runs_on_the_cluster_that_the_environment_names(
    cluster: slurm.Cluster, project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    before = len(cluster.jobs())
    done = run_in(project, "dvc", "repro", "train_head", SNAKEMAKE_PROFILE=str(PROFILE), **environment)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    (job,) = cluster.jobs()[before:]
    assert (_name(job), job["JobState"]) == ("train_head", "COMPLETED")
    assert (job["TresPerJob"], job["TimeLimit"], job["CPUs/Task"]) == ("gres:gpu:1", "1-00:00:00", "16")
    _check(project, tmp_path)


def test_a_job_that_goes_on_failing_ends_the_run_with_its_name(project: Path, environment: dict[str, str]) -> None:
    module = project / "src/eyrie/stages/evaluate_head.py"
    text = module.read_text(encoding="utf-8")
    broken = text.replace("    time.sleep(SECONDS)", '    raise ValueError("this head cannot be evaluated")', 1)
    module.write_text(broken, encoding="utf-8")
    command = ("snakemake", "--profile", str(PROFILE), "--retries", "0", "--", "evaluate_head")
    done = run_in(project, *command, **environment)
    module.write_text(text, encoding="utf-8")
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Error in rule evaluate_head" in printed
    assert re.search(r"SLURM-job '\d+' failed, SLURM status is: 'FAILED'", printed)


def test_the_processes_of_one_training_meet_over_the_nodes_of_a_job(cluster: slurm.Cluster, tmp_path: Path) -> None:
    """As Snakemake's plug-in runs a job: in a step of one task, on the first node."""
    job = tmp_path / "job.json"
    code = f"from pathlib import Path; from eyrie.eagle3.processes import launch; launch('{MEETING}', Path('{job}'), "
    step = f'srun -n1 --nodes=1 --cpu-bind=q --cpus-per-task=2 {sys.executable} -c "{code}num_processes=2)"'
    submit = ["sbatch", "--wait", "--nodes=2", "--gres=gpu:1", "--cpus-per-task=2", f"--output={tmp_path}/log"]
    path = os.pathsep.join((str(REPOSITORY / "src"), str(REPOSITORY)))
    environment = _environment(cluster) | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = run_in(tmp_path, *submit, f"--wrap={step}", **environment)
    assert done.returncode == 0, done.stderr + (tmp_path / "log").read_text()
    seen = [json.loads((tmp_path / f"seen-{rank}.json").read_text()) for rank in range(2)]
    assert sorted(one["node"] for one in seen) == ["node1", "node2"]
    assert all((one["of"], one["sum"]) == (2, [1.0]) for one in seen)


def _environment(cluster: slurm.Cluster) -> dict[str, str]:
    return cluster.environment | {"PATH": f"{COMMAND_FOLDER}{os.pathsep}{cluster.environment['PATH']}"}


def _name(job: dict[str, str]) -> str:
    """The rule of a Slurm job, or its group and the group's rules, from the comment that the plug-in gives it."""
    return re.sub(r"_wildcards_\d+$", "", job["Comment"].removeprefix("rule_"))


def _check(project: Path, folder: Path) -> None:
    """What is there is what a run in this process makes, and no record is false."""
    found, expected = digests_of(project), expected_files(project, folder / "expected")
    assert found == {path: expected[path] for path in found}
    assert false_records(project) == []
