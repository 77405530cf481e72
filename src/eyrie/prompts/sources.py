"""Rows of a source, streamed: local files, `gs://` and other fsspec addresses, or a Hugging Face dataset.

Out: one item per row, in a fixed order (files by name, rows by position): the parsed row, or a `BadRow` with the reason
why it cannot be parsed. A row is never quoted. A source that cannot be read at all raises SourceError, one sentence.
"""

import csv
import io
import json
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import fsspec  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq

from eyrie.params import Source
from eyrie.prompts.hub import stream_rows

_SUFFIXES = (".jsonl", ".parquet", ".csv")
_BATCH_ROWS = 1024


class SourceError(ValueError):
    """A source is missing, unreadable or empty."""


class BadRow(NamedTuple):
    reason: str


Row = dict[str, Any] | list[Any] | str | int | float | bool | None | BadRow


def read_rows(source: Source) -> Iterator[Row]:
    """Raises SourceError or HubError naming source and path."""
    if source.hub is not None:
        yield from stream_rows(source)
        return
    assert source.path is not None, "the schema asks for a path or a hub name"
    for filesystem, path in _files(source, source.path):
        suffix = next((suffix for suffix in _SUFFIXES if path.endswith(suffix)), None)
        try:
            with filesystem.open(path, "rb") as handle:
                if suffix == ".jsonl":
                    yield from _jsonl_rows(handle)
                elif suffix == ".csv":
                    yield from _csv_rows(handle)
                else:
                    yield from _parquet_rows(handle)
        except pa.ArrowException as error:
            raise SourceError(f"source {source.name}: {path}: not a Parquet file: {_first_line(error)}") from None
        except OSError as error:
            raise SourceError(f"source {source.name}: {path}: cannot be read: {_first_line(error)}") from None


def _files(source: Source, pattern: str) -> list[tuple[Any, str]]:
    """The matching files, sorted by name."""
    try:
        filesystem, root = fsspec.core.url_to_fs(pattern)
        found = sorted(filesystem.glob(root)) if "*" in root or "?" in root or "[" in root else [root]
        existing = [path for path in found if filesystem.isfile(path)]
    except (OSError, ImportError, ValueError) as error:
        raise SourceError(f"source {source.name}: {pattern}: cannot be opened: {_first_line(error)}") from None
    except Exception as error:  # a storage client's own errors: authentication, transport
        raise SourceError(
            f"source {source.name}: {pattern}: cannot be opened: {type(error).__name__}: {_first_line(error)}"
        ) from None
    if not existing:
        raise SourceError(f"source {source.name}: no file matches {pattern}")
    for path in existing:
        if not path.endswith(_SUFFIXES):
            raise SourceError(f"source {source.name}: {path}: expected a name ending in {', '.join(_SUFFIXES)}")
    return [(filesystem, path) for path in existing]


def _jsonl_rows(handle: Any) -> Iterator[Row]:
    for line in handle:
        if not line.strip():
            continue
        try:
            row: Row = json.loads(line.decode("utf-8-sig"))
        except UnicodeDecodeError:
            row = BadRow("invalid UTF-8")
        except (ValueError, RecursionError):
            row = BadRow("not JSON")
        yield row


def _csv_rows(handle: Any) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)  # the default refuses cells over 128 KiB
    text = io.TextIOWrapper(handle, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.DictReader(text, strict=True, restval=None)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield BadRow("not CSV")
            continue
        if None in row:
            yield BadRow("more cells than columns")
        elif any(value and not value.isascii() and _escaped(value) for value in row.values()):
            yield BadRow("invalid UTF-8")
        else:
            yield dict(row)


def _escaped(value: str) -> bool:
    """Whether surrogateescape stands for a byte that is not UTF-8."""
    return any("\udc80" <= char <= "\udcff" for char in value)


def _parquet_rows(handle: Any) -> Iterator[Row]:
    for batch in pq.ParquetFile(handle).iter_batches(batch_size=_BATCH_ROWS):
        try:
            yield from batch.to_pylist()
        except UnicodeDecodeError:  # strings are not checked when written; find which rows
            for position in range(batch.num_rows):
                try:
                    yield from batch.slice(position, 1).to_pylist()
                except UnicodeDecodeError:
                    yield BadRow("invalid UTF-8")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
