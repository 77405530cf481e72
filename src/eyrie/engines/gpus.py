"""Shards run side by side, and a GPU holds one target: jobs of one machine with the same GPUs wait for each other."""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)


def gpu_names() -> list[str]:
    """The GPUs that this process sees, by names that mean the same in every job of the machine.

    UUIDs, because every job counts from 0 where it sees only its own devices (Slurm's cgroups do that). A part of a GPU
    (MIG) is listed by its own UUID already.
    """
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    if "MIG-" in seen or not torch.cuda.is_available():
        return seen.replace("/", "-").split(",")
    return [str(torch.cuda.get_device_properties(index).uuid) for index in range(torch.cuda.device_count())]


def lock_path(gpu: str) -> Path:
    """Of one user, and freed by the kernel when its holder dies."""
    return Path(tempfile.gettempdir()) / f"eyrie-gpu-{os.getuid()}-{gpu}.lock"


@contextlib.contextmanager
def gpus_alone(device: torch.device) -> Iterator[None]:
    """Inside, no other job has any of these GPUs. On a CPU nothing is held: its memory is Snakemake's to give."""
    with contextlib.ExitStack() as held:
        for gpu in sorted(set(gpu_names())) if device.type == "cuda" else ():  # in one order: two jobs never cross
            lock = FileLock(lock_path(gpu))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                logger.info("waiting for another job of this machine that has the GPU %s", gpu)
                lock.acquire()
            held.callback(lock.release)
        yield
