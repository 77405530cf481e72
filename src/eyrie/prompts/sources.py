"""Rows of a source, streamed: local files, `gs://` and other fsspec addresses, or a Hugging Face dataset.

Out: one `Row` per row, in a fixed order (files by name, rows by position), with the parsed value or a `BadRow` that
says why there is none. A row is never quoted. A source that cannot be read at all raises SourceError, one sentence.
"""

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from itertools import repeat, takewhile
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import fsspec  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from eyrie.io import expand
from eyrie.params import Origin
from eyrie.prompts.hub import stream_rows

MAX_ROW_BYTES = 4 << 20  # a longer line is malformed: memory must not depend on a missing line break
_SUFFIXES = (".jsonl", ".parquet", ".csv")
_COMPRESSIONS = (".gz", ".zst")
_CHUNK_BYTES = 1 << 20
_BATCH_ROWS = 256
_ZSTD_PIECE_BYTES = 1 << 10  # of blocks of 4 bytes, each of which may be 128 KiB of text: 32 MiB


class SourceError(ValueError):
    """A source is missing, unreadable or empty."""


class _HeaderError(ValueError):
    """A header of CSV or Parquet does not say which column is meant."""


class BadRow(NamedTuple):
    reason: str


class Row(NamedTuple):
    """`number` counts from 1 in `file`: lines of JSONL, records of CSV without the header, rows of a table. `file` is
    the name below the folder that all files of the source are in."""

    file: str
    number: int
    value: Any  # what the format gives, or BadRow


def read_rows(source: Origin, columns: list[str]) -> Iterator[Row]:
    """Formats with columns may leave out all but `columns`. Raises SourceError or HubError naming source and path."""
    if source.hub is not None:
        for number, value in enumerate(stream_rows(source), start=1):
            yield Row("", number, value)
        return
    assert source.path is not None, "the schema asks for a path or a hub name"
    files = _files(source, source.path)
    shared = _num_shared_folders([path for _, path in files])
    for filesystem, path in files:
        name = "/".join(PurePosixPath(path).parts[shared:])
        read = _reader(name, columns)
        try:
            with filesystem.open(path, "rb") as handle:
                for number, value in enumerate(_with_empty_lines(read(_unpacked(name, handle))), start=1):
                    yield Row(name, number, value)
        except _HeaderError as error:
            raise SourceError(f"source {source.name}: {path}: {error}") from None
        except pa.ArrowException as error:
            raise SourceError(f"source {source.name}: {path}: not a Parquet file: {_first_line(error)}") from None
        except Exception as error:  # files, decompressors and storage clients each have their own kinds
            raise SourceError(
                f"source {source.name}: {path}: cannot be read: {type(error).__name__}: {_first_line(error)}"
            ) from None


def _num_shared_folders(paths: list[str]) -> int:
    """How many folders, from the root on, all of the files are in."""
    folders = zip(*(PurePosixPath(path).parent.parts for path in paths), strict=False)
    return sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, folders))


def matched_paths(source: Origin) -> list[str]:
    """The files that a path with wildcards matches, with their folders. Raises SourceError."""
    if source.path is None or not any(sign in source.path for sign in "*?["):
        return []
    return [path for _, path in _files(source, source.path)]


def _files(source: Origin, pattern: str) -> list[tuple[Any, str]]:
    """The matching files, sorted by name. Those here are found as the fingerprint finds them: fsspec does not look into
    a linked folder, and would leave out files that a run is said to depend on."""
    try:
        filesystem, root = fsspec.core.url_to_fs(pattern)
        if "://" not in pattern:
            found = sorted(map(str, expand(pattern)))
        else:
            found = sorted(filesystem.glob(root)) if "*" in root or "?" in root or "[" in root else [root]
        existing = [path for path in found if filesystem.isfile(path)]
    except Exception as error:  # OSError, an unknown protocol, a storage client's own: authentication, transport
        raise SourceError(
            f"source {source.name}: {pattern}: cannot be opened: {type(error).__name__}: {_first_line(error)}"
        ) from None
    if not existing:
        raise SourceError(f"source {source.name}: no file matches {pattern}")
    for path in existing:
        if not _plain_name(path).endswith(_SUFFIXES) or (path.endswith(_COMPRESSIONS) and ".parquet" in path):
            raise SourceError(
                f"source {source.name}: {path}: expected a name ending in {', '.join(_SUFFIXES)}; "
                f"JSONL and CSV may be compressed ({', '.join(_COMPRESSIONS)})"
            )
    return [(filesystem, path) for path in existing]


def _plain_name(path: str) -> str:
    return next((path.removesuffix(end) for end in _COMPRESSIONS if path.endswith(end)), path)


def _reader(name: str, columns: list[str]) -> Callable[[Any], Iterator[Any]]:
    plain = _plain_name(name)
    if plain.endswith(".jsonl"):
        return _jsonl_rows
    if plain.endswith(".csv"):
        return lambda handle: _csv_rows(handle, columns)
    return lambda handle: _parquet_rows(handle, columns)


def _unpacked(name: str, handle: Any) -> Any:
    if name.endswith(".gz"):
        return gzip.GzipFile(fileobj=handle)
    return _Unzstd(handle) if name.endswith(".zst") else handle


class _Unzstd:
    """Reads zstd frames. zstandard's own stream reader takes a file that was cut short for a whole one."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._packed = memoryview(b"")
        self._inside = False

    def read(self, size: int) -> bytes:
        """`size` bytes or a little more; fewer at the end. Raises EOFError when the last frame has no end."""
        found: list[bytes] = []
        missing = size
        while missing > 0 and (piece := self._piece()):
            while piece:
                found.append(self._frame.decompress(piece))
                missing -= len(found[-1])
                self._inside, piece = not self._frame.eof, self._frame.unused_data
                if not self._inside:
                    self._frame = zstandard.ZstdDecompressor().decompressobj()
        if missing == size and self._inside:
            raise EOFError("compressed file ended before its end marker")
        return b"".join(found)

    def _piece(self) -> bytes:
        """Few bytes at a time, so that memory does not depend on how well a file is packed."""
        if not self._packed:
            self._packed = memoryview(self._handle.read(_CHUNK_BYTES))
        piece, self._packed = self._packed[:_ZSTD_PIECE_BYTES], self._packed[_ZSTD_PIECE_BYTES:]
        return bytes(piece)


class _TooLongError(Exception):
    def __init__(self, num_quotes: int) -> None:
        self.num_quotes = num_quotes


_NOT_CSV = BadRow("not CSV")
_TOO_LONG = BadRow(f"over {MAX_ROW_BYTES >> 20} MiB")
_BLANK = object()


def _with_empty_lines(values: Iterator[Any]) -> Iterator[Any]:
    """A line without anything is malformed between rows, and nothing at all after the last."""
    blanks = 0
    for value in values:
        if value is _BLANK:
            blanks += 1
            continue
        yield from repeat(BadRow("empty line"), blanks)
        blanks = 0
        yield value


class _Lines:
    """The lines of a stream, each with its line break. `next` raises _TooLongError for one of more than MAX_ROW_BYTES.

    At no time are more than two rows' worth of bytes held.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._ready: list[bytes] = []  # in reverse
        self._rest = b""
        self._at_end = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> bytes:
        too_long, num_quotes = False, 0
        while not self._ready:
            if self._at_end:
                if not self._rest and not too_long:
                    raise StopIteration
                self._ready, self._rest = [self._rest], b""
                break
            if len(self._rest) > MAX_ROW_BYTES:
                num_quotes += self._rest.count(b'"')
                too_long, self._rest = True, b""
            self._fill()
        line = self._ready.pop()
        if too_long or len(line) > MAX_ROW_BYTES:
            raise _TooLongError(num_quotes + line.count(b'"'))
        return line

    def _fill(self) -> None:
        chunk = self._handle.read(_CHUNK_BYTES)
        if not chunk:
            self._at_end = True
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self._ready = [line + b"\n" for line in reversed(lines)]


def _jsonl_rows(handle: Any) -> Iterator[Any]:
    lines = _Lines(handle)
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return
        except _TooLongError:
            yield _TOO_LONG
        else:
            yield _parsed(line)


def _parsed(line: bytes) -> Any:
    if not line.strip():
        return _BLANK
    try:
        return json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return BadRow("invalid UTF-8")
    except (ValueError, RecursionError):
        return BadRow("not JSON")


class _TextLines:
    """Lines for the CSV parser: bytes that are no UTF-8 become lone surrogates, which `_csv_rows` refuses."""

    def __init__(self, handle: Any) -> None:
        self._lines = _Lines(handle)
        self._first = True
        self._num_quotes = 0  # of this record

    def __iter__(self) -> "_TextLines":
        return self

    def __next__(self) -> str:
        try:
            text = next(self._lines).decode("utf-8", "surrogateescape")
        except _TooLongError as error:
            self._num_quotes += error.num_quotes
            raise
        self._num_quotes += text.count('"')
        text = text.removeprefix("\ufeff") if self._first else text
        self._first = False
        return text

    def begin_record(self) -> None:
        self._num_quotes = 0

    def rest_of_broken_record(self) -> Iterator[BadRow]:
        """One for each line until its quotes close: what a cell goes on with would pass for a record."""
        while self._num_quotes % 2:
            try:
                next(self)
            except StopIteration:
                return
            except _TooLongError:
                pass
            yield _NOT_CSV


def _csv_rows(handle: Any, columns: list[str]) -> Iterator[Any]:
    csv.field_size_limit(MAX_ROW_BYTES)  # the default refuses cells over 128 KiB
    lines = _TextLines(handle)
    reader = csv.reader(lines, strict=True)
    header: list[str] | None = None
    while True:
        lines.begin_record()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _TooLongError:
            yield _TOO_LONG
            yield from lines.rest_of_broken_record()
        except csv.Error:
            yield _NOT_CSV
            yield from lines.rest_of_broken_record()
        else:
            if header is None:
                header = cells or None
                _check_header(cells, columns)
            else:
                yield _record(header, cells) if cells else _BLANK


def _check_header(header: list[str], columns: list[str]) -> None:
    """Only of the columns that are read: the others do no harm, and a file without a header has a prompt there, which
    no message quotes. Raises _HeaderError."""
    for name in columns:
        if header.count(name) > 1:
            raise _HeaderError(f"the header has the column {name!r} {header.count(name)} times; which one is meant?")


def _record(header: list[str], cells: list[str]) -> Any:
    if len(cells) != len(header):
        return BadRow("more cells than columns" if len(cells) > len(header) else "fewer cells than columns")
    if any(not cell.isascii() and any("\udc80" <= char <= "\udcff" for char in cell) for cell in cells):
        return BadRow("invalid UTF-8")
    return dict(zip(header, cells, strict=True))


def _parquet_rows(handle: Any, columns: list[str]) -> Iterator[Any]:
    table = pq.ParquetFile(handle)
    _check_header(table.schema_arrow.names, columns)
    wanted = [name for name in columns if name in table.schema_arrow.names] or None
    for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
        try:
            rows = batch.to_pylist()
        except (ValueError, OverflowError):  # text is not checked when written, nor are dates; find which rows
            rows = [_parquet_row(batch.slice(position, 1)) for position in range(batch.num_rows)]
        yield from rows


def _parquet_row(row: pa.RecordBatch) -> Any:
    try:
        return row.to_pylist()[0]
    except UnicodeDecodeError:
        return BadRow("invalid UTF-8")
    except (ValueError, OverflowError):
        return BadRow("a value Python cannot hold")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
