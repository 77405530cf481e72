"""How the doors scale with shards: `python -m benchmarks.workflow [--shards 200 2000]`

For each number of shards a finished tree is laid out with light stages (tests/workflow/light.py): every job runs
through `run_job`, Snakemake's metadata come from `--touch`, dvc.lock from `eyrie record`. Then four commands are timed:
the best of three runs, with the peak memory of each.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import make_target
from tests.workflow.conftest import change_params, environment_of
from tests.workflow.light import make_light_project

BUILD = """
from pathlib import Path
from eyrie.lineage import jobs
from eyrie.lineage.digests import Digests
from eyrie.lineage.fingerprint import write_stamps
from eyrie.lineage.jobs import run_job_of_stage
from eyrie.lineage.layout import STAGES
from eyrie.lineage.verdicts import jobs_of
from eyrie.params import load_params
params = load_params(Path("params.yaml"))
write_stamps(params)
shared, save = Digests(), Digests.save  # one memory for all jobs here: each is a process of its own in a real run
Digests.save = lambda _: None
jobs.Digests = lambda fresh=False: Digests(fresh=True) if fresh else shared
for name in STAGES:
    for job in jobs_of(params, name):
        run_job_of_stage(params, job)
save(shared)
"""
TOUCH = """
import sys
from snakemake.executors import touch
touch.Executor.SLEEPING_TIME = 0
from snakemake.cli import main
main(["--cores", "2", "--touch", "--forceall", "--quiet", "all"])
"""
COMMANDS = {
    "snakemake -n": ["snakemake", "--cores", "2", "-n", "--quiet"],
    "eyrie status": ["eyrie", "status"],
    "dvc status": ["dvc", "status", "-q"],
    "eyrie run, nothing to do": ["eyrie", "run"],
}


def lay_out(folder: Path, num_shards: int) -> Path:
    """A finished project with `num_shards` shards of responses and of features."""
    project = make_light_project(folder / f"{num_shards}", make_target(folder / f"target-{num_shards}"))
    change_params(project, "generate_responses", num_shards=num_shards)
    for command in (
        [sys.executable, "-c", BUILD],
        [sys.executable, "-c", TOUCH],
        ["eyrie", "record"],
    ):
        subprocess.run(command, cwd=project, env=environment_of(project), check=True, stdout=subprocess.DEVNULL)
    return project


def measure(project: Path, command: list[str], repeats: int = 3) -> dict[str, float]:
    """Wall seconds (best), CPU seconds (best) and peak memory in MB of a command."""
    walls, cpus = [], []
    for _ in range(repeats):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(command, cwd=project, env=environment_of(project), check=True, capture_output=True)
        walls.append(time.monotonic() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    peak_mb = int(_peak_kb(project, command) / 1024)
    return {"wall_s": round(min(walls), 2), "cpu_s": round(min(cpus), 2), "peak_mb": peak_mb}


def _peak_kb(project: Path, command: list[str]) -> int:
    """Peak resident memory of one command, asked of a process that has no other child."""
    ask = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True, check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask, *command],
        cwd=project,
        env=environment_of(project),
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--folder", type=Path, help="keep the trees here; default: a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        rows = {}
        for num_shards in options.shards:
            started = time.monotonic()
            project = lay_out(folder, num_shards)
            sys.stderr.write(f"{num_shards} shards laid out in {time.monotonic() - started:.0f} s\n")
            rows[num_shards] = {name: measure(project, command) for name, command in COMMANDS.items()}
            sys.stderr.write(f"{num_shards}: {json.dumps(rows[num_shards])}\n")
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    print(json.dumps({"machine": machine, "shards": rows}, indent=1))


if __name__ == "__main__":
    main()
