"""One run at a time in a folder, no lock that outlives its owner, and no process that outlives the run it belongs to.

The lock is the kernel's (flock), so a killed run frees it. What Snakemake leaves behind when it is killed (its lock
files, its marks of incomplete outputs) is removed by the next run: outputs are published whole here, so the marks say
nothing. Jobs watch the processes above them and go when one of those is gone.
"""

import atexit
import contextlib
import json
import os
import shutil
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

DOORS = ("dvc", "snakemake", "eyrie")
RUN_LOCK = Path(".eyrie/run.lock")
RUN_LOCK_HELD = "EYRIE_RUN_LOCK_HELD"  # in the environment of what the lock's holder starts: the folder
WORKFLOW_LOCK = Path(".eyrie/workflow.lock")
HOLDER = Path(".eyrie/workflow.json")  # who holds, or held, the workflow lock
LEFT_BEHIND = (Path(".snakemake/locks"), Path(".snakemake/incomplete"))
DVC_READERS = Path(".dvc/tmp/rwlock")  # DVC's list of who reads and writes what; DVC writes it in place
BUSY_WAIT_S = 2.0  # for others that only look, such as `dvc status`
_POLL_S = 0.5
_BUSY = "another run, eyrie record or pull is at work in this folder; wait for it or stop it"


class BusyError(ValueError):
    """Another run is at work in this folder."""


_held: list[FileLock] = []  # a lock is freed when its object goes; these stay until the process ends


def hold_run_lock() -> None:
    """Be the only one that makes, records or pulls in this folder, with what this process starts, until it ends.

    Through whatever door: another's Snakemake would delete what DVC is about to read. Raises BusyError.
    """
    folder = str(Path.cwd())
    if os.environ.get(RUN_LOCK_HELD) == folder:
        return
    if not _hold(RUN_LOCK, wait_s=BUSY_WAIT_S):
        atexit.unregister(tell_of_another_run)
        raise BusyError(_BUSY)
    os.environ[RUN_LOCK_HELD] = folder
    mend_dvc(alone=True)


def tell_of_another_run() -> None:
    """Say at this process's end that another one is at work, unless it was this one: Snakemake plans before it starts,
    and when an output goes meanwhile its error tells of that file alone."""
    is_own = os.environ.get(RUN_LOCK_HELD) == str(Path.cwd())
    if not is_own and RUN_LOCK.exists():
        lock = FileLock(RUN_LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            sys.stderr.write(f"eyrie: {_BUSY}\n")
        except OSError:  # another user's folder: what this process did in vain has been said
            return
        else:
            lock.release()


def hold_workflow_lock() -> bool:
    """Take the lock of Snakemake's main process; remove what a killed one left. False when another one has it."""
    if not _hold(WORKFLOW_LOCK, wait_s=2):
        return False
    holder = _holder()
    if holder is not None and holder["host"] == socket.gethostname():  # it is dead, or it would have the lock
        for folder in LEFT_BEHIND:
            shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        HOLDER.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}), encoding="utf-8")
    atexit.register(HOLDER.absolute().unlink, missing_ok=True)  # it ended by itself: nothing of it has to be removed
    return True


def mend_dvc(*, alone: bool) -> None:
    """Take out of DVC's list of readers and writers what killed processes left: half a list, at which DVC would stop
    for good, and, when this process has the run lock (`alone`), entries of runs. DVC keeps to an entry while any
    process has its number.

    Whoever edits the list holds its lock, so a half list that nobody edits is of a dead process.
    """
    if not DVC_READERS.exists():
        return
    with contextlib.suppress(Timeout), FileLock(f"{DVC_READERS}.lock", timeout=2):
        try:
            listed = json.loads(DVC_READERS.read_text(encoding="utf-8"))
            others = _without_runs(listed)
        except (ValueError, LookupError, AttributeError, TypeError):
            DVC_READERS.unlink(missing_ok=True)
            return
        if alone and others != listed:
            DVC_READERS.write_text(json.dumps(others), encoding="utf-8")


def _without_runs(listed: dict[str, Any]) -> dict[str, Any]:
    """DVC's list (path -> who writes it, path -> who read it) without `eyrie` and `snakemake`."""

    def of_another(entry: dict[str, Any]) -> bool:
        return Path(entry["cmd"].split()[0]).name not in ("eyrie", "snakemake")

    readers = {path: [*filter(of_another, entries)] for path, entries in listed.get("read", {}).items()}
    return {
        "write": {path: entry for path, entry in listed.get("write", {}).items() if of_another(entry)},
        "read": {path: entries for path, entries in readers.items() if entries},
    }


def watch_doors() -> None:
    """From now on, end this process and its children when a process above it that runs the workflow is gone."""
    watched = _doors_above()
    if watched:
        threading.Thread(target=_watch, args=(watched,), name="watch-doors", daemon=True).start()


def _hold(path: Path, *, wait_s: float) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        return False
    _held.append(lock)
    return True


def _holder() -> dict[str, object] | None:
    try:
        holder = json.loads(HOLDER.read_text(encoding="utf-8"))
        return holder if isinstance(holder, dict) and "host" in holder else None
    except (OSError, ValueError):
        return None


def _doors_above() -> list[psutil.Process]:
    """Every process from the parent up to the topmost one that is `dvc`, `snakemake` or `eyrie`."""
    try:
        above = psutil.Process().parents()
        doors = [index for index, process in enumerate(above) if _is_door(process)]
    except psutil.Error:
        return []
    return above[: doors[-1] + 1] if doors else []


def _is_door(process: psutil.Process) -> bool:
    """An interpreter running one of the commands, as a script or with -m."""
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()[:3]
        return any(Path(word).name in DOORS for word in words) and "python" in Path(words[0]).name
    return False


def _watch(watched: list[psutil.Process]) -> None:
    while all(_is_alive(process) for process in watched):
        time.sleep(_POLL_S)
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.kill()
    os._exit(1)


def _is_alive(process: psutil.Process) -> bool:
    """False for a zombie too: its parent has not looked yet, but it does nothing any more."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
