"""How long things took, on this machine: `.eyrie/timings.json`, kept out of every versioned output."""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from eyrie.io import write_text

TIMINGS = Path(".eyrie/timings.json")
RUN = "run"  # the key of a whole run; other keys are jobs


def read_timings() -> dict[str, dict[str, Any]]:
    """name -> {seconds, finished (Unix time)}; empty when nothing ran here yet."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return dict(json.loads(TIMINGS.read_text(encoding="utf-8")))
    return {}


def record_timing(name: str, seconds: float) -> None:
    """Remember the last duration of a job or of a whole run."""
    TIMINGS.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(TIMINGS.with_suffix(".lock")):
        timings = read_timings() | {name: {"seconds": round(seconds, 1), "finished": time.time()}}
        write_text(TIMINGS, json.dumps(timings, indent=1, sort_keys=True) + "\n")


def human_seconds(seconds: float) -> str:
    """12 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
