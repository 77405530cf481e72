"""What a measurement ran on, in words for the report; measurements of a journal are of one machine."""

import logging
import os
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

import torch

from eyrie.engines.servers import named_server
from eyrie.lineage.journal import Journal

logger = logging.getLogger(__name__)

_SERVING = ("sglang", "transformers")
_CONDITIONS = "conditions"


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


def drop_what_differs(journal: Journal, now: Mapping[str, str]) -> None:
    """What ran on two machines is no comparison, and neither are two versions of a server: parts made under other
    conditions than `now` go."""
    if len(journal):
        then = journal[_CONDITIONS]  # always the first entry
        if then == now:
            return
        changed = [name for name in then | dict(now) if then.get(name) != now.get(name)]
        logger.warning(
            "what was measured before is dropped, for it was measured with another %s",
            ", ".join(f"{name} ({then.get(name)}, now {now.get(name)})" for name in changed),
        )
        journal.clear()
    journal.append(_CONDITIONS, dict(now))


def _processor() -> str:
    """The model name that Linux gives; elsewhere what Python knows."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
