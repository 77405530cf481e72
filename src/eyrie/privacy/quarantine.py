"""Dropped prompts on disk, for a person who has to look at them. Only when filter_prompts.quarantine names a file.

The file holds what screening took out, so it is mode 0600 from its first byte, must be ignored by git, and must not lie
where DVC or a report would pick it up. It is written while screening runs: when a run finds its output current, or
links an earlier build again, nothing is screened and the file stays as it was.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_VERSIONED = ("data", "models", "reports", "resources")


class QuarantineError(ValueError):
    """filter_prompts.quarantine names a file that could be published by accident."""


@contextmanager
def quarantine(path: Path | None) -> Iterator[Callable[[Mapping[str, Any], str], None]]:
    """Yield a function that takes a dropped row of tables.PROMPTS and the reason; a no-op when `path` is None.

    One JSON line per prompt. The file appears, whole, when the block ends without an error. Raises QuarantineError.
    """
    if path is None:
        yield lambda row, reason: None
        return
    check_quarantine(path)
    partial = _partial(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield lambda row, reason: print(json.dumps({"reason": reason, **row}, ensure_ascii=False), file=file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def check_quarantine(path: Path) -> None:
    """Raise QuarantineError when the file could be published by accident."""
    here = Path.cwd().resolve()
    absolute = path.resolve()
    if path.is_dir():
        raise QuarantineError(f"filter_prompts.quarantine: {path} is a folder; name a file, under .eyrie/ for one")
    top = absolute.relative_to(here).parts[0] if absolute.is_relative_to(here) else ""
    if top in _VERSIONED:
        raise QuarantineError(
            f"filter_prompts.quarantine: {path} lies under {top}/, which is published or versioned; "
            "use a file under .eyrie/"
        )
    for name in (path, _partial(path)):
        if _seen_by_git(name.resolve()):
            raise QuarantineError(
                f"filter_prompts.quarantine: git does not ignore {name}; add it to .gitignore or use a file under "
                ".eyrie/"
            )


def _seen_by_git(path: Path) -> bool:
    """Whether `path` lies in a git working tree that does not ignore it, or in one of which git will not tell."""
    folder = next(parent for parent in path.parents if parent.is_dir())
    try:
        answer = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), "check-ignore", "--quiet", "--", str(path)],  # noqa: S607
            capture_output=True,
            check=False,
        )
    except OSError:  # no git here
        return False
    # 0: ignored, 1: not ignored, 128: no working tree, or one that git refuses to read (another user's)
    return answer.returncode == 1 or (answer.returncode != 0 and any((up / ".git").exists() for up in path.parents))
