"""A Slurm cluster of two nodes on loopback, for tests: munged, slurmctld and two slurmd from Debian's packages, their
files in a private folder. Missing packages are installed, which takes root and apt; else the tests are skipped.

A node has two GPUs as far as Slurm knows (plain files stand for the devices), so GPU requests are really scheduled.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from eyrie.engines.launch import free_port

DAEMONS = ("munged", "slurmctld", "slurmd")
NODES = ("node1", "node2")
PACKAGES = ("slurm-wlm", "munge")
CONFIG = """\
ClusterName=eyrie
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
MinJobAge=300
SchedulerParameters=sched_interval=1,batch_sched_delay=0
GresTypes=gpu
NodeName=DEFAULT CPUs=32 RealMemory=200000 Gres=gpu:test:2 State=UNKNOWN
NodeName=node1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={first_port}
NodeName=node2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={second_port}
PartitionName=main Nodes=node[1-2] Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Cluster:
    """`environment`: what a process needs to submit jobs. `folder`: configuration and the daemons' logs."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}

    def jobs(self) -> list[dict[str, str]]:
        """What the controller knows of every job, finished ones too."""
        done = subprocess.run(
            ["scontrol", "--oneliner", "show", "jobs"],
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("JobId=")]
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]


def install() -> None:
    """Make sure that the daemons are here; skip the test, saying why, where they cannot be."""
    if all(shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in DAEMONS):
        if os.geteuid():
            pytest.skip("Slurm's daemons run as root here, and this is not root")
        return
    if os.geteuid() or not shutil.which("apt-get"):
        pytest.skip(f"{' and '.join(PACKAGES)} are not installed; installing them takes root and apt-get")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", "-q", *command], env=environment, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"apt-get {command[0]} failed: {done.stderr.strip()[-300:]}")


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A running cluster; `folder` is made. Everything is stopped at the end."""
    for name in ("state", "bin", "dev", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir(parents=True)
    started = Cluster(folder)
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    for number in range(2):
        (folder / f"dev/gpu{number}").touch()
    (folder / "gres.conf").write_text(f"Name=gpu Type=test File={folder}/dev/gpu[0-1]\n")
    ports = {"controller_port": free_port(), "first_port": free_port(), "second_port": free_port()}
    text = CONFIG.format(folder=folder, **ports)
    (folder / "slurm.conf").write_text(text)
    # The plug-in's job step takes SLURM_CONF away from srun, which would look in /etc/slurm.
    srun = folder / "bin/srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)
    munged = ["munged", "--force", f"--key-file={folder}/munge.key", f"--socket={folder}/munge.socket"]
    munged += [f"--{name}-file={folder}/munge.{name}" for name in ("log", "seed")]
    munged += [f"--pid-file={folder}/munged.pid"]
    configured = ["-f", f"{folder}/slurm.conf"]
    try:
        nodes = [["slurmd", "-N", node, *configured] for node in NODES]
        for command in (munged, ["slurmctld", *configured], *nodes):
            subprocess.run(
                command,
                env=os.environ | {"PATH": f"/usr/sbin:{os.environ['PATH']}"},
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        _wait_until_idle(started)
        yield started
    finally:
        for name in (*NODES, "slurmctld", "munged"):
            _stop(folder / f"{name}.pid")


def _wait_until_idle(started: Cluster) -> None:
    deadline = time.monotonic() + 120
    command = ["sinfo", "--noheader", "--format=%T"]
    while True:
        done = subprocess.run(command, env=os.environ | started.environment, capture_output=True, text=True)
        if done.stdout.strip() == "idle":
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the nodes are not idle: {done.stdout}{done.stderr}; logs in {started.folder}")
        time.sleep(0.2)


def _stop(pid_file: Path) -> None:
    with suppress(OSError, ValueError, psutil.Error):
        process = psutil.Process(int(pid_file.read_text()))
        process.terminate()
        process.wait(10)
