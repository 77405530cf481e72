"""Is what the records say true? Everything is read and hashed again, with nothing remembered."""

import subprocess
import sys
from pathlib import Path

import yaml

from tests.workflow.conftest import environment_of

CHECK = """
import json, sys
from pathlib import Path
from eyrie.lineage.digests import Digests
from eyrie.lineage.fingerprint import dvc_params, fingerprint, key_of
from eyrie.lineage.jobs import read_manifest
from eyrie.lineage.layout import STAGES
from eyrie.lineage.lockfile import LockFile, md5_of
from eyrie.lineage.verdicts import jobs_of
from eyrie.params import load_params

params, lock, digests, false = load_params(Path("params.yaml")), LockFile(), Digests(fresh=True), []
for name, stage in STAGES.items():
    for job in jobs_of(params, name):
        if not all(path.exists() for path in (*job.outputs.values(), job.manifest)):
            continue
        manifest = read_manifest(job.manifest)
        if manifest is None:
            false.append(f"{job.name}: unreadable manifest")
            continue
        for path, digest in manifest["outputs"].items():
            if digests.of(Path(path)) != digest:
                false.append(f"{job.name}: manifest and content of {path} differ")
        if key_of(manifest["made_by"], manifest["inputs"], job.name) != manifest["key"]:
            false.append(f"{job.name}: key")
        if name in lock.stages and lock.params_of(name) != dvc_params(manifest["made_by"]):
            false.append(f"{name}: dvc.lock gives other parameters than the manifest of {job.name}")
    for kind, recorded in (("out", lock.outs_of(name)), ("dep", lock.deps_of(name))):
        for path, md5 in recorded.items():
            if Path(path).exists() and md5_of(Path(path)) != md5:
                false.append(f"{name}: dvc.lock has another {kind} {path}")
print(json.dumps(false))
"""


def false_records(project: Path) -> list[str]:
    """Sentences about manifests and records of `dvc.lock` that do not hold."""
    done = subprocess.run(
        [sys.executable, "-c", CHECK],
        cwd=project,
        env=environment_of(project),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = yaml.safe_load(done.stdout)
    return found
