"""Many small records on disk instead of in memory: appended in order, then read back by number."""

import os
from array import array
from pathlib import Path
from typing import Self


class Spill:
    """A file of byte strings. Only where each one ends is kept in memory, 8 bytes a record.

    Read with `spill[number]`, during or after writing. Use it as a context manager; the file belongs to the caller.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=1 << 20)
        self._ends = array("Q", [0])
        self._flushed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, record: bytes) -> int:
        """Returns the record's number."""
        self._file.write(record)
        self._ends.append(self._ends[-1] + len(record))
        self._flushed = False
        return len(self) - 1

    def __getitem__(self, number: int) -> bytes:
        if not self._flushed:
            self._file.flush()
            self._flushed = True
        start, end = self._ends[number], self._ends[number + 1]
        # Positioned reads: mapped pages would count as this process's memory.
        return os.pread(self._file.fileno(), end - start, start)
