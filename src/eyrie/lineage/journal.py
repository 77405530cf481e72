"""An append-only file of finished parts, so that a killed job goes on where it was.

One JSON line per part, written in one call. A process that is killed loses nothing it has appended; a line torn by a
power cut is dropped when the journal is opened again, and its part is made once more.
"""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Journal:
    """`with Journal(path) as journal`: parts by key, kept on disk; only their places are in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        self._file = self._path.open("a+b")
        self._file.seek(0)
        end = 0
        for line in self._file:
            try:
                key = json.loads(line)["key"]
            except (ValueError, KeyError, TypeError):
                break
            if not line.endswith(b"\n"):
                break
            self._places[key] = (end, len(line))
            end += len(line)
        self._file.truncate(end)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def append(self, key: str, part: dict[str, Any]) -> None:
        """Keep a part under a key that has none yet."""
        assert key not in self._places, key
        line = json.dumps({"key": key, "part": part}, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        place = self._file.seek(0, 2)
        self._file.write(line)
        self._file.flush()
        self._places[key] = (place, len(line))

    def clear(self) -> None:
        """Forget every part, on disk too."""
        self._file.truncate(0)
        self._places.clear()

    def __getitem__(self, key: str) -> dict[str, Any]:
        place, length = self._places[key]
        self._file.seek(place)
        part: dict[str, Any] = json.loads(self._file.read(length))["part"]
        return part
