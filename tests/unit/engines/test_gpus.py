"""One target at a time on the same GPUs."""

import logging
import subprocess
import sys
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
import torch
from filelock import FileLock, Timeout

from eyrie.engines.gpus import gpu_names, gpus_alone, lock_path

CUDA = torch.device("cuda")


def see(monkeypatch: pytest.MonkeyPatch, *uuids: UUID) -> None:
    """Let PyTorch see these GPUs, numbered from 0."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(uuids))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=uuids[index]))


def held(gpu: str) -> bool:
    try:
        with FileLock(lock_path(gpu), timeout=0):
            return False
    except Timeout:
        return True


def test_a_job_has_its_gpus_alone_whatever_number_they_have_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, shared, other = uuid4(), uuid4(), uuid4()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    see(monkeypatch, mine, shared)
    with gpus_alone(CUDA):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
        see(monkeypatch, other)
        with gpus_alone(CUDA):
            assert held(str(other))
        see(monkeypatch, other, shared)
        assert [held(gpu) for gpu in gpu_names()] == [False, True]
    assert not any(map(held, map(str, (mine, shared, other))))


def test_on_a_cpu_nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "test-5,6")
    with gpus_alone(torch.device("cpu")):
        assert gpu_names() == ["test-5", "6"]
        assert not any(map(held, gpu_names()))


def test_parts_of_a_gpu_go_by_their_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-GPU-1/2/0,MIG-4")
    see(monkeypatch, uuid4())
    assert gpu_names() == ["MIG-GPU-1-2-0", "MIG-4"]


def test_a_job_that_waits_says_so_once_and_goes_on_when_the_other_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gpu = uuid4()
    see(monkeypatch, gpu)
    program = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(lock_path(str(gpu)))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    other.stdout.readline()

    class EndTheOther(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            other.communicate(b"\n")

    logger = logging.getLogger("eyrie.engines.gpus")
    handler = EndTheOther()
    logger.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO), gpus_alone(CUDA):
            assert caplog.messages == [f"waiting for another job of this machine that has the GPU {gpu}"]
    finally:
        logger.removeHandler(handler)
        other.kill()
        other.communicate()
