"""Content digests that are computed once per file: remembered by size, mtime and inode in `.eyrie/digests.json`.

The memory is only a shortcut: losing it costs time, and a file whose size, mtime or inode changed is read again.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from eyrie.io import file_digest, path_digest, write_text

MEMORY = Path(".eyrie/digests.json")
SETTLED_NS = 1_000_000_000  # a younger file could change again within one tick of the file system's clock


def target_revision(model: str, revision: str | None) -> str:
    """What names a target's exact files: the digest of its folder, or the name and pinned commit of a hub model."""
    return f"sha256:{Digests().of(Path(model))}" if Path(model).is_dir() else f"{model}@{revision}"


class Digests:
    """sha256 of files and folders, or another hash of files with a memory of its own. Call `save` at the end to keep
    what was learnt; `fresh` starts without a memory."""

    def __init__(
        self, *, fresh: bool = False, memory: Path = MEMORY, hash_file: Callable[[Path], str] = file_digest
    ) -> None:
        self._memory, self._hash_file = memory, hash_file
        self._known: dict[str, list[int | str]] = {}
        self._new: dict[str, list[int | str]] = {}
        if not fresh:
            with contextlib.suppress(OSError, ValueError, TypeError):
                self._known = dict(json.loads(memory.read_text(encoding="utf-8")))

    def of(self, path: Path) -> str:
        """Hex sha256 of a file's bytes, or of a folder's relative names and digests. Raises FileNotFoundError."""
        return path_digest(path, self._of_file)

    def prefetch(self, paths: Iterable[Path]) -> None:
        """Read the files that are not known yet, several at a time (hashing lets other threads run)."""
        unknown = [path for path in paths if path.is_file() and self._remembered(path) is None]
        if len(unknown) > 1:
            with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
                for path, (signature, digest) in zip(unknown, pool.map(self._read, unknown), strict=True):
                    self._learn(path, signature, digest)

    def touch(self, path: Path, mtime_ns: int) -> None:
        """Set a file's or a folder's modification time without losing what is known about it. Of a symbolic link it is
        the link's own: the file belongs to DVC's cache, which others may share.

        Raises PermissionError naming a file of another user: only its owner may set a time."""
        if path.is_dir():
            for entry in path.iterdir():
                self.touch(entry, mtime_ns)
            _set_mtime(path, mtime_ns)
            return
        digest = self._remembered(path)
        _set_mtime(path, mtime_ns)
        if digest is not None:
            self._new[_key(path)] = [*_signature(path), digest]

    def save(self) -> None:
        """Write what was learnt. A failure is ignored: this file is only a shortcut."""
        if not self._new:
            return
        with contextlib.suppress(OSError):
            write_text(self._memory, json.dumps(self._known | self._new))

    def _of_file(self, path: Path) -> str:
        known = self._remembered(path)
        if known is not None:
            return known
        signature, digest = self._read(path)
        self._learn(path, signature, digest)
        return digest

    def _read(self, path: Path) -> tuple[list[int], str]:
        """The signature before reading, and the digest: a file that changes meanwhile is not remembered as it was."""
        signature = _signature(path)
        return signature, self._hash_file(path)

    def _learn(self, path: Path, signature: list[int], digest: str) -> None:
        if time.time_ns() - signature[1] > SETTLED_NS:
            self._new[_key(path)] = [*signature, digest]

    def _remembered(self, path: Path) -> str | None:
        key, signature = _key(path), _signature(path)
        for memory in (self._new, self._known):
            found = memory.get(key)
            if found is not None and found[:3] == signature:
                return str(found[3])
        return None


def _set_mtime(path: Path, mtime_ns: int) -> None:
    try:
        os.utime(path, ns=(mtime_ns, mtime_ns), follow_symlinks=False)
    except PermissionError as error:  # it names no file
        raise PermissionError(error.errno, "belongs to another user, so its time cannot be set", str(path)) from None


def _key(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - not resolve(): it asks the file system about every component


def _signature(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]
