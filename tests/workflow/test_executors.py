"""The profiles of Kubernetes and Google Batch with the plug-ins that their locks pin: what they plan, what they send,
and that jobs which know nothing but what was sent do the work on the shared volume.

The APIs are stand-ins on loopback (tests/services/clusters.py) that run each job's command as it came.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiClient

from tests.services.clusters import GoogleBatch, Kubernetes, serving
from tests.workflow.conftest import PlugIns, run_in
from tests.workflow.light import digests_of, expected_files, make_light_project
from tests.workflow.test_dry_runs import every_job, planned_jobs
from tests.workflow.test_slurm import FAILS_ONCE
from tests.workflow.truth import false_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SECRET = "a-token-that-no-manifest-may-hold"
# Google's client has no variable for the address of its server
BATCH = """
import sys
from functools import partial
from google.auth.credentials import AnonymousCredentials
from google.cloud import batch_v1
from google.cloud.batch_v1.services.batch_service.transports import BatchServiceRestTransport
transport = BatchServiceRestTransport(host=sys.argv[1], url_scheme="http", credentials=AnonymousCredentials())
batch_v1.BatchServiceClient = partial(batch_v1.BatchServiceClient, transport=transport)
from snakemake.cli import main
main(sys.argv[2:])
"""


@pytest.fixture(scope="module", params=["kubernetes", "googlebatch"])
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def volume(profile: str, tmp_path_factory: pytest.TempPathFactory, tiny_target: Path) -> Path:
    """A folder for a volume, with a light project in `project`."""
    folder = tmp_path_factory.mktemp(f"volume-{profile}")
    make_light_project(folder / "project", tiny_target)
    return folder


def test_a_cluster_profile_plans_what_the_default_one_does(profile: str, plug_ins: PlugIns, volume: Path) -> None:
    command = ("snakemake", "-n", "--quiet", "rules", "--profile", f"workflow/profiles/{profile}")
    done = run_in(volume / "project", *command, **plug_ins(volume / "project", profile))
    assert done.returncode == 0, done.stderr
    assert planned_jobs(done.stdout + done.stderr) == every_job(num_shards=2)  # as `default`: test_dry_runs.py


def test_jobs_that_are_sent_do_the_work_on_the_volume(
    profile: str, plug_ins: PlugIns, volume: Path, tmp_path: Path
) -> None:
    project = volume / "project"
    settings_path = project / f"workflow/profiles/{profile}/config.yaml"
    settings = yaml.safe_load(settings_path.read_text(encoding="utf-8"))
    settings |= {"seconds-between-status-checks": 1, "latency-wait": 5}
    settings["set-resources"]["filter_prompts"] = settings["set-resources"]["train_head"]  # a GPU
    settings["set-threads"]["filter_prompts"] = 3
    module = project / "src/eyrie/stages/filter_prompts.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(text.replace("    time.sleep(SECONDS)", FAILS_ONCE, 1), encoding="utf-8")
    settings |= _settings_of(profile, project)
    settings_path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    run = _run_on_kubernetes if profile == "kubernetes" else _run_on_google_batch
    printed = run(project, plug_ins(project, profile), tmp_path)
    assert "Error in rule filter_prompts" in printed
    assert "Trying to restart job" in printed
    assert SECRET not in printed
    found, expected = digests_of(project), expected_files(project, tmp_path / "expected")
    assert "data/prompts/clean.parquet" in found
    assert found == {path: expected[path] for path in found}
    assert false_records(project) == []


def _settings_of(profile: str, project: Path) -> dict[str, Any]:
    """What the profile needs here, where project and environment lie in two places."""
    if profile == "googlebatch":
        return {"googlebatch-shared-mount-path": "/"}
    volumes = [f"{name}:{path}" for name, path in _mounts(project).items()]
    return {"kubernetes-shared-persistent-volumes": volumes, "envvars": ["HF_TOKEN"]}


def _mounts(project: Path) -> dict[str, str]:
    return {"eyrie": str(project.parent), "environment": sys.prefix}


def _image(project: Path) -> dict[str, str]:
    """The variables of a container's image."""
    return {"PYTHONPATH": str(project / "src"), "HF_HUB_OFFLINE": "1"}


def _run_on_kubernetes(project: Path, variables: dict[str, str], folder: Path) -> str:
    settings = yaml.safe_load((project / "workflow/profiles/kubernetes/config.yaml").read_text(encoding="utf-8"))
    mounts = _mounts(project)
    with serving(Kubernetes(folder, _image(project))) as cluster:
        (folder / "kubeconfig").write_text(yaml.safe_dump(cluster.kubeconfig()), encoding="utf-8")
        environment = {**variables, "KUBECONFIG": str(folder / "kubeconfig"), "HF_TOKEN": SECRET}
        command = ("snakemake", "--profile", "workflow/profiles/kubernetes", "--", "filter_prompts")
        done = run_in(project, *command, **environment)
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-4000:]
    first, *others = cluster.jobs.values()
    assert len(others) == 2  # one failed
    for job in (first, *others):
        model = ApiClient().deserialize(SimpleNamespace(data=json.dumps(job)), "V1Job")
        assert model.spec.backoff_limit == 0  # Snakemake retries
        pod = model.spec.template.spec
        (container,) = pod.containers
        assert container.image == settings["container-image"]
        mounted = {mount.name: mount.mount_path for mount in container.volume_mounts}
        assert mounted == {"workdir": "/workdir", **mounts}
        assert {one.name: one.persistent_volume_claim.claim_name for one in pod.volumes[1:]} == {n: n for n in mounts}
        assert container.env[0].value_from.secret_key_ref.key == "hf_token"
        assert SECRET not in json.dumps(job)
    limits = [job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] for job in (first, others[0])]
    assert limits[0] == {"cpu": "1000m", "memory": "8000M", "ephemeral-storage": "20000M"}
    assert limits[1] == {**limits[0], "cpu": "3000m", "nvidia.com/gpu": "1"}
    assert len(cluster.secrets) == 1
    return printed


def _run_on_google_batch(project: Path, variables: dict[str, str], folder: Path) -> str:
    with serving(GoogleBatch(folder, _image(project))) as cluster:
        command = (sys.executable, "-c", BATCH, f"127.0.0.1:{cluster.port}")
        options = ("--profile", "workflow/profiles/googlebatch", "--", "filter_prompts")
        done = run_in(project, *command, *options, **variables)
        refused = run_in(project, *command, "--envvars", "HF_TOKEN", *options, **variables, HF_TOKEN=SECRET)
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-4000:]
    first, *others = cluster.jobs.values()
    assert len(others) == 2  # one failed
    durations = []
    for job in (first, *others):
        task = job["taskGroups"][0]["taskSpec"]
        assert task["volumes"] == [{"nfs": {"server": "10.0.0.2", "remotePath": "/eyrie"}, "mountPath": "/"}]
        container = task["runnables"][-1]["container"]
        assert (container["imageUri"], container["volumes"][0]) == ("python:3.11", "/:/")
        durations.append(task["maxRunDuration"])
    assert durations == ["7200s", "14400s", "14400s"]
    resources = [job["taskGroups"][0]["taskSpec"]["computeResource"] for job in (first, others[0])]
    assert resources == [{"cpuMilli": "1000", "memoryMib": "8000"}, {"cpuMilli": "3000", "memoryMib": "8000"}]
    machines = [job["allocationPolicy"]["instances"][0] for job in (first, others[0])]
    assert machines[0]["policy"]["machineType"] == "n2-standard-16"
    assert machines[1]["installGpuDrivers"]
    assert machines[1]["policy"]["machineType"] == "g2-standard-16"
    assert machines[1]["policy"]["accelerators"] == [{"type": "nvidia-l4", "count": "1"}]
    assert refused.returncode != 0
    assert "would hold the values in clear" in refused.stdout + refused.stderr
    return printed
