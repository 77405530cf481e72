"""Kill random processes of a run at random moments, run again, and look whether anything was lost or is false.

`python -m tests.e2e.faults --kills 200 --seed 1 [--folder DIR]`

The pipeline has light stages (tests/workflow/light.py); everything around them is real: doors, rules, jobs, scratch,
manifests, DVC, and a server that `benchmark` starts. Before each attempt a parameter changes, so that there is work;
after a few kills the pipeline runs to its end through a door chosen at random, and then must hold:

- the outputs are byte for byte those of an undisturbed run;
- every manifest and every record in dvc.lock is true;
- no process of any killed run is alive;
- nobody had to unlock anything.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from eyrie.lineage.layout import STAGES
from tests.conftest import make_target
from tests.workflow.conftest import change_params, environment_of, run_in
from tests.workflow.light import digests_of, expected_files, make_light_project
from tests.workflow.truth import false_records

DOORS: dict[str, tuple[str, ...]] = {
    "eyrie run": ("eyrie", "run"),
    "dvc repro": ("dvc", "repro"),
    "snakemake": ("snakemake", "--cores", "2"),
}
SEEDED = ("select_prompts", "filter_prompts", "generate_responses", "train_head", "benchmark")
ANY, COMMON = "", ("worker", "worker", "server")
WANTED = {  # what a victim's kind begins with, of those that a door starts
    "eyrie run": (ANY, "eyrie", "snakemake", *COMMON),
    "dvc repro": (ANY, "dvc", "snakemake", *COMMON),
    "snakemake": (ANY, "snakemake", "eyrie", *COMMON),
}
KILLS_PER_ROUND = 5
GRACE_S = 20.0  # for the rest of a killed run to notice and go


class FaultError(AssertionError):
    """Something was lost, is false, or is still running."""


@dataclass
class Campaign:
    """Kills in one project. `victims`: how many processes of each kind were killed."""

    project: Path
    seed: int
    victims: Counter[str] = field(default_factory=Counter)
    rounds: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._longest_s = 20.0

    def run(self, kills: int) -> None:
        """Kill `kills` processes. Raises FaultError."""
        while self.victims.total() < kills:
            for _ in range(KILLS_PER_ROUND):
                if self.victims.total() < kills:
                    self._attempt()
            self._finish()
            self.rounds += 1
            sys.stderr.write(f"{self.victims.total()} kills, {self.rounds} runs to the end: nothing lost\n")

    def _attempt(self) -> None:
        """Start a run, kill one of its processes, wait until all are gone."""
        stage = self._random.choice(SEEDED)
        change_params(self.project, stage, seed=self._random.randrange(1000))
        door = self._random.choice([*DOORS])
        if door == "dvc repro":
            self._must(run_in(self.project, "eyrie", "sync"))
        started = time.monotonic()
        process = _start(self.project, door)
        seen: dict[int, psutil.Process] = {}
        moment = started + self._random.uniform(0.2, self._longest_s)
        while process.poll() is None and time.monotonic() < moment:
            seen.update(_family(process.pid))
            time.sleep(0.1)
        wanted = self._random.choice(WANTED[door])
        victims: list[psutil.Process] = []
        while process.poll() is None and not victims:  # a server lives for a second: wait for it, where one is wanted
            family = _family(process.pid)
            seen.update(family)
            victims = [member for member in family.values() if _kind(member).startswith(wanted)]
            time.sleep(0.02)
        if victims:
            victim = self._random.choice(victims)
            kind = _kind(victim)
            with suppress(psutil.Error):
                victim.send_signal(signal.SIGKILL)
                self.victims[kind] += 1
        else:
            self._longest_s = max(3.0, time.monotonic() - started)
        self._wait_until_gone(process, seen)

    def _wait_until_gone(self, process: subprocess.Popen[bytes], seen: dict[int, psutil.Process]) -> None:
        """Members of the family that survive the kill finish their work or notice; none may be left alone."""
        deadline = time.monotonic() + 120
        while process.poll() is None:
            seen.update(_family(process.pid))
            if time.monotonic() > deadline:
                raise FaultError("a run hangs after one of its processes was killed")
            time.sleep(0.1)
        deadline = time.monotonic() + GRACE_S
        while alive := [member for member in seen.values() if _is_alive(member)]:
            if time.monotonic() > deadline:
                raise FaultError(f"orphans: {[(_kind(member), member.pid) for member in alive]}")
            time.sleep(0.1)

    def _finish(self) -> None:
        door = self._random.choice([*DOORS])
        if door == "dvc repro":
            self._must(run_in(self.project, "eyrie", "sync"))
        self._must(run_in(self.project, *DOORS[door]))
        check_end_state(self.project)

    def _must(self, done: subprocess.CompletedProcess[str]) -> None:
        if done.returncode:
            raise FaultError(f"{' '.join(done.args)} needs hands:\n{(done.stdout + done.stderr)[-4000:]}")


def check_end_state(project: Path) -> None:
    """Raise FaultError unless everything is as after an undisturbed run."""
    with tempfile.TemporaryDirectory() as folder:
        expected = expected_files(project, Path(folder))
    found = digests_of(project)
    if found != expected:
        wrong = sorted(path for path in found.keys() | expected.keys() if found.get(path) != expected.get(path))
        raise FaultError(f"not what an undisturbed run makes: {wrong}")
    if false := false_records(project):
        raise FaultError(f"false records: {false}")
    status = run_in(project, "dvc", "status")
    if "up to date" not in status.stdout:
        raise FaultError(f"dvc.lock is behind: {status.stdout}")


def start_door(project: Path, door: str, log: Path) -> subprocess.Popen[bytes]:
    """Start a run through a door, its output in `log`."""
    with log.open("wb") as output:
        return subprocess.Popen(
            DOORS[door], cwd=project, env=environment_of(project), stdout=output, stderr=output, start_new_session=True
        )


def _start(project: Path, door: str) -> subprocess.Popen[bytes]:
    return start_door(project, door, project.parent / "run.log")


def _family(pid: int) -> dict[int, psutil.Process]:
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        return {member.pid: member for member in (root, *root.children(recursive=True)) if _is_alive(member)}
    return {}


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _kind(process: psutil.Process) -> str:
    """What a process is: a door, a worker (the job of a stage), its shell, its server."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return "gone"
    names = [Path(word).name for word in words]
    if "http.server" in names:
        return "server"
    for name in ("snakemake", "dvc"):
        if name in names[:3]:
            return name
    if "eyrie" in names[:2]:
        command = names[names.index("eyrie") + 1]
        return f"worker {command}" if command in STAGES else f"eyrie {command}"
    return names[0] if names else "gone"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.3, help="how long each light job takes")
    parser.add_argument("--folder", type=Path, help="work here and leave it; default: a temporary folder")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="eyrie-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    project = make_light_project(folder / "project", make_target(folder / "target"), seconds=options.seconds)
    campaign = Campaign(project, options.seed)
    started = time.monotonic()
    try:
        campaign.run(options.kills)
    except FaultError as error:
        sys.exit(f"after {campaign.victims.total()} kills ({dict(campaign.victims)}), seed {options.seed}: {error}")
    report = {
        "kills": campaign.victims.total(),
        "rounds": campaign.rounds,
        "seed": options.seed,
        "victims": dict(campaign.victims.most_common()),
        "minutes": round((time.monotonic() - started) / 60, 1),
        "cores": os.cpu_count(),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    if options.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
