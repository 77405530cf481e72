"""What a measurement ran on, in words for the report."""

import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import torch

from eyrie.engines.servers import named_server

_SERVING = ("sglang", "transformers")


def describe_device(device: torch.device, *, num_threads: int) -> str:
    """A GPU's name and memory, or the processor's name, cores, and the threads each server was given."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"cuda: {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return f"cpu: {_processor()}, {os.cpu_count()} cores, {num_threads} thread{'s' if num_threads > 1 else ''} a server"


def conditions(device: str, arms: Iterable[str]) -> dict[str, str]:
    """What speeds depend on besides the parameters: the device, the versions of what serves, and the servers that were
    named for arms. Raises ServerError."""
    found = {"device": device, "torch": str(torch.__version__)}  # which names the CUDA that it was built for
    for package in _SERVING:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    named = {f"server of {arm}": named_server(arm) for arm in arms}
    return found | {name: address for name, address in named.items() if address is not None}


def _processor() -> str:
    """The model name that Linux gives; elsewhere what Python knows."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
