"""Memory that runs out, in one sentence and not in a traceback."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_WANTED = re.compile(r"tried to allocate ([\d.]+ \w+)", re.IGNORECASE)


class DeviceMemoryError(ValueError):
    """The device, or the machine, has less memory than the work needs."""


@contextmanager
def out_of_memory_says(advice: str) -> Iterator[None]:
    """Around work on a device, as a context or a decorator. Raises DeviceMemoryError, which ends in `advice`."""
    try:
        yield
    except RuntimeError as error:
        if (said := _out_of_memory(error)) is None:
            raise
        wanted = _WANTED.search(said)
        how_much = f": {wanted[1]} more could not be had" if wanted else ""
        raise DeviceMemoryError(f"out of memory{how_much}; {advice}") from error


def _out_of_memory(error: BaseException | None) -> str | None:
    """What PyTorch said when memory ran out, also when that is only the cause of `error`."""
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
            return str(error)
        error = error.__cause__
    return None
