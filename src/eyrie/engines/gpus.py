"""Shards run side by side, and a GPU holds one target: jobs of one machine with the same GPUs wait for each other."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from filelock import FileLock


def lock_path() -> Path:
    """Of the GPUs that this process sees: of one user, and freed by the kernel when its holder dies."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "all").replace(",", "-").replace("/", "-")
    return Path(tempfile.gettempdir()) / f"eyrie-gpus-{os.getuid()}-{seen}.lock"


@contextlib.contextmanager
def gpus_alone(device: torch.device) -> Iterator[None]:
    """Inside, no other job has these GPUs. On a CPU nothing is held: its memory is Snakemake's to give."""
    with FileLock(lock_path()) if device.type == "cuda" else contextlib.nullcontext():
        yield
