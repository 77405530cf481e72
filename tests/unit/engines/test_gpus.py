"""One target at a time on the same GPUs."""

import pytest
import torch
from filelock import FileLock, Timeout

from eyrie.engines.gpus import gpus_alone, lock_path


def test_a_second_job_waits_for_the_same_gpus_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "test-5,6")
    with gpus_alone(torch.device("cuda")):
        with pytest.raises(Timeout):
            FileLock(lock_path(), timeout=0).acquire()
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "test-7")
        with FileLock(lock_path(), timeout=0):
            pass
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "test-5,6")
    with FileLock(lock_path(), timeout=0), gpus_alone(torch.device("cpu")):
        pass
