"""Checkpoints of a training run: everything it needs to go on as if it had never stopped.

In: named tensors (weights, optimizer moments, generator state) and JSON (counters, curves, data position). Out: folders
`step-00000120/` with `state.safetensors`, `best-<step>.safetensors` (the weights kept for export; while they are the
same, linked from the last checkpoint but one) and `progress.json`, which holds the digests of the other two. A folder
gets its name only when all of it is on disk, so a kill leaves the earlier ones; the newest few are kept. Nothing is
pickled.
"""

import json
import logging
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from eyrie.eagle3.tensors import write_tensors
from eyrie.io import canonical_json, digest_of, file_digest

logger = logging.getLogger(__name__)

VERSION = 2
STATE, PROGRESS = "state.safetensors", "progress.json"
_DAMAGE = (OSError, ValueError, KeyError, TypeError, SafetensorError)


@dataclass(frozen=True)
class Checkpoint:
    """`best` is empty before the first evaluation."""

    step: int
    tensors: dict[str, Tensor]
    best: dict[str, Tensor]
    best_step: int
    progress: dict[str, Any]


class Checkpoints:
    """The folder of one run's checkpoints; `keep` of them stay."""

    def __init__(self, folder: Path, *, keep: int) -> None:
        self._folder, self._keep = folder, keep

    def save(self, checkpoint: Checkpoint) -> None:
        """Write one, then drop the oldest ones. Raises OSError."""
        folder = self._folder_of(checkpoint.step)
        partial = self._folder / f".{folder.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            self._write(checkpoint, partial)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)  # the disk may be full of it
            raise
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
        _flush(self._folder)
        for old in self._folders()[self._keep :]:
            shutil.rmtree(old, ignore_errors=True)

    def _write(self, checkpoint: Checkpoint, partial: Path) -> None:
        write_tensors(partial / STATE, checkpoint.tensors)
        names = [STATE]
        if checkpoint.best:
            names.append(f"best-{checkpoint.best_step:08d}.safetensors")
            self._link_or_save(partial / names[1], checkpoint.best)
        document = {
            "version": VERSION,
            "step": checkpoint.step,
            "best_step": checkpoint.best_step,
            "digests": {name: file_digest(partial / name) for name in names},
            "progress": checkpoint.progress,
        }
        document["digest"] = digest_of(document)
        (partial / PROGRESS).write_text(canonical_json(document), encoding="utf-8")
        for name in (*names, PROGRESS, "."):
            _flush(partial / name)

    def newest(self) -> Checkpoint | None:
        """The newest whole checkpoint; None when there is none.

        A damaged one is named in the log and removed: its best weights must not be linked into later ones, nor may it
        count among those that are kept.
        """
        folders = self._folders()
        for folder in folders:
            try:
                return _read(folder)
            except _DAMAGE as error:
                logger.warning("%s: damaged checkpoint (%s); going back to the one before", folder.name, error)
                shutil.rmtree(folder, ignore_errors=True)
        if folders:
            logger.warning("no whole checkpoint is left; training starts again from step 0")
        return None

    def at(self, step: int) -> Checkpoint:
        """The whole checkpoint of `step`. Raises ValueError naming its folder."""
        folder = self._folder_of(step)
        try:
            return _read(folder)
        except _DAMAGE as error:
            raise ValueError(f"{folder}: cannot be read ({error}), but the first process went on from it") from None

    def _folder_of(self, step: int) -> Path:
        return self._folder / f"step-{step:08d}"

    def _folders(self) -> list[Path]:
        """Newest first."""
        return sorted(self._folder.glob("step-*"), reverse=True)

    def _link_or_save(self, path: Path, tensors: dict[str, Tensor]) -> None:
        for folder in self._folders()[1:]:  # not the one before, which must stay whole when this one is damaged
            with suppress(OSError):
                os.link(folder / path.name, path)
                return
        write_tensors(path, tensors)


def _read(folder: Path) -> Checkpoint:
    document = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.pop("digest", None) != digest_of(document):
        raise ValueError(f"{PROGRESS} does not have the digest written with it")
    if document["version"] != VERSION:
        raise ValueError(f"version {document['version']}, not {VERSION}")
    for name, digest in document["digests"].items():
        if file_digest(folder / name) != digest:
            raise ValueError(f"{name} does not have the digest written with it")
    files = {name.partition("-")[0]: load_file(folder / name) for name in document["digests"]}
    return Checkpoint(
        step=document["step"],
        tensors=files[STATE],
        best=files.get("best", {}),
        best_step=document["best_step"],
        progress=document["progress"],
    )


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
