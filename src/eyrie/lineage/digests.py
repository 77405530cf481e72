"""Content digests that are computed once per file: remembered by size, mtime and inode in `.eyrie/digests.json`.

The memory is only a shortcut: losing it costs time, and a file whose size, mtime or inode changed is read again.
"""

import contextlib
import json
import time
from pathlib import Path

from eyrie.io import file_digest, path_digest, write_text

MEMORY = Path(".eyrie/digests.json")
SETTLED_NS = 1_000_000_000  # a younger file could change again within one tick of the file system's clock


def target_revision(model: str, revision: str | None) -> str:
    """What names a target's exact files: the digest of its folder, or the name and pinned commit of a hub model."""
    return f"sha256:{Digests().of(Path(model))}" if Path(model).is_dir() else f"{model}@{revision}"


class Digests:
    """sha256 of files and folders. Call `save` at the end to keep what was learnt."""

    def __init__(self) -> None:
        self._known: dict[str, list[int | str]] = {}
        self._new: dict[str, list[int | str]] = {}
        with contextlib.suppress(OSError, ValueError):
            self._known = json.loads(MEMORY.read_text(encoding="utf-8"))

    def of(self, path: Path) -> str:
        """Hex sha256 of a file's bytes, or of a folder's relative names and digests. Raises FileNotFoundError."""
        return path_digest(path, self._of_file)

    def _of_file(self, path: Path) -> str:
        stat = path.stat()
        key, signature = str(path.resolve()), [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        for memory in (self._new, self._known):
            found = memory.get(key)
            if found is not None and found[:3] == signature:
                return str(found[3])
        digest = file_digest(path)
        if time.time_ns() - stat.st_mtime_ns > SETTLED_NS:
            self._new[key] = [*signature, digest]
        return digest

    def save(self) -> None:
        """Write what was learnt. A failure is ignored: this file is only a shortcut."""
        if not self._new:
            return
        with contextlib.suppress(OSError):
            write_text(MEMORY, json.dumps(self._known | self._new))
