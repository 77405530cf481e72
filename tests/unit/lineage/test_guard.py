"""Locks end with their owner; what a killed run left is removed; jobs go when the run above them is gone."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from eyrie.lineage import guard

HOLD = "from eyrie.lineage import guard; assert guard.hold_workflow_lock(); print('held', flush=True); input()"
# a process whose command line is that of a door, over a shell, over a job that watches
DOOR = """
import subprocess, sys
subprocess.run(["sh", "-c", sys.executable + ' -c "from eyrie.lineage import guard; guard.watch_doors(); import time; '
    'print(__import__(\\'os\\').getpid(), flush=True); time.sleep(60)"; true'])
"""


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _start(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_workflow_lock_is_one_process_s_and_ends_with_it() -> None:
    first = _start(sys.executable, "-c", HOLD)
    assert _first_line(first) == "held"
    assert not guard._hold(guard.WORKFLOW_LOCK, wait_s=0.2)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert guard._hold(guard.WORKFLOW_LOCK, wait_s=2)
    guard._held.pop().release()


def test_the_run_lock_is_one_run_s_and_what_it_starts_has_it_too() -> None:
    take = "from eyrie.lineage import guard; guard.hold_run_lock(); print('held', flush=True); "
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {take!r}], check=True); input()"
    first = _start(sys.executable, "-c", take + nested)
    assert [_first_line(first), _first_line(first)] == ["held", "held"]
    with pytest.raises(guard.BusyError, match=r"^another run, eyrie record or pull is at work in this folder; wait"):
        guard.hold_run_lock()
    first.communicate("\n", timeout=30)
    assert guard._hold(guard.RUN_LOCK, wait_s=2)
    guard._held.pop().release()


@pytest.mark.parametrize("how", ["killed", "by itself"])
def test_what_a_killed_run_left_is_removed_and_a_finished_one_s_is_not(how: str) -> None:
    first = _start(sys.executable, "-c", HOLD)
    assert _first_line(first) == "held"
    left = Path(".snakemake/locks/0.input.lock")
    left.parent.mkdir(parents=True)
    left.touch()
    if how == "killed":
        first.send_signal(signal.SIGKILL)
        first.wait()
    else:
        first.communicate("\n", timeout=30)
    second = _start(sys.executable, "-c", HOLD)
    assert _first_line(second) == "held"
    assert left.exists() == (how == "by itself")
    second.communicate("\n", timeout=30)


def test_leftovers_of_another_host_are_left_alone() -> None:
    guard.HOLDER.parent.mkdir(parents=True)
    guard.HOLDER.write_text('{"host": "another", "pid": 1}')
    left = Path(".snakemake/incomplete/x")
    left.mkdir(parents=True)
    process = _start(sys.executable, "-c", HOLD)
    assert _first_line(process) == "held"
    assert left.exists()
    process.communicate("\n", timeout=30)


def test_a_job_goes_when_the_door_above_it_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "snakemake"
    script.write_text(DOOR)
    door = _start(sys.executable, str(script))
    job = psutil.Process(int(_first_line(door)))
    os.kill(door.pid, signal.SIGKILL)
    door.wait()
    deadline = time.monotonic() + 20
    while job.is_running() and job.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the job outlived the run"
        time.sleep(0.1)


def test_a_run_lock_that_this_user_cannot_open_adds_nothing_to_what_was_said(
    capfd: pytest.CaptureFixture[str],
) -> None:
    guard.RUN_LOCK.mkdir(parents=True)  # root may open another user's file, but nobody a folder
    guard.tell_of_another_run()
    assert capfd.readouterr().err == ""


def test_half_of_dvc_s_list_of_readers_is_removed_unless_somebody_is_writing_it() -> None:
    guard.DVC_READERS.parent.mkdir(parents=True)
    guard.DVC_READERS.write_text('{"read": {}}', encoding="utf-8")
    guard.mend_dvc(alone=True)
    assert guard.DVC_READERS.exists()
    guard.DVC_READERS.write_text('{"read": {', encoding="utf-8")
    with FileLock(f"{guard.DVC_READERS}.lock"):
        guard.mend_dvc(alone=True)
        assert guard.DVC_READERS.exists()
    guard.mend_dvc(alone=True)
    assert not guard.DVC_READERS.exists()


def test_what_a_killed_run_left_in_dvc_s_list_goes_though_another_process_has_its_number() -> None:
    guard.DVC_READERS.parent.mkdir(parents=True)
    run, snakemake, other = (
        {"pid": os.getpid(), "cmd": words} for words in ("/venv/bin/eyrie run", "snakemake", "/venv/bin/dvc repro")
    )
    listed = {"write": {"/a": run, "/b": snakemake, "/c": other}, "read": {"/d": [run, other], "/e": [run]}}
    guard.DVC_READERS.write_text(json.dumps(listed), encoding="utf-8")
    guard.mend_dvc(alone=False)
    assert json.loads(guard.DVC_READERS.read_text(encoding="utf-8")) == listed
    guard.mend_dvc(alone=True)
    assert json.loads(guard.DVC_READERS.read_text(encoding="utf-8")) == {
        "write": {"/c": other},
        "read": {"/d": [other]},
    }
