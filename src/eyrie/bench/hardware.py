"""What a measurement ran on, in words for the report."""

import os
import platform
from pathlib import Path

import torch


def describe_device(device: torch.device, *, num_threads: int) -> str:
    """A GPU's name and memory, or the processor's name, cores, and the threads each server was given."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"cuda: {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return f"cpu: {_processor()}, {os.cpu_count()} cores, {num_threads} thread{'s' if num_threads > 1 else ''} a server"


def _processor() -> str:
    """The model name that Linux gives; elsewhere what Python knows."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
