"""Files in, files out: atomic writes, digests, tables and JSON documents checked against `schemas`.

Nothing is unpickled: Parquet, safetensors and JSON only. Every write goes to a temporary name in the same folder, is
flushed to disk and renamed, so a killed process leaves either the old file or the new one.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self, TextIO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError
from tqdm import tqdm

from eyrie.schemas import Document, SchemaError

# Rows of one row group: what a writer holds in memory, and the most a reader has to.
ROW_GROUP_ROWS = 4096

SNAKEMAKE_TIMESTAMP = ".snakemake_timestamp"  # Snakemake puts it into folders; no part of their content
DocumentT = TypeVar("DocumentT", bound=Document)


def private_folder(path: Path) -> Path:
    """Make a folder that only this user can enter, or make it so. Returns `path`."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def expand(pattern: str) -> list[Path]:
    """Files that match a relative or absolute glob, sorted; the pattern itself when it holds no wildcard.

    Raises ValueError for what is no glob.
    """
    if not any(sign in pattern for sign in "*?["):
        return [Path(pattern)]
    path = Path(pattern)
    try:
        return sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor) if path.anchor else path)))
    except ValueError as error:
        raise ValueError(f"{pattern}: {error}") from None


def file_digest(path: Path) -> str:
    """Hex sha256 of a file's bytes. Raises OSError."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def path_digest(path: Path, of_file: Callable[[Path], str] = file_digest) -> str:
    """Hex sha256 of a file, or of a folder's relative names and file digests (`of_file`). Raises FileNotFoundError."""
    if not path.is_dir():
        return of_file(path)
    hasher = hashlib.sha256()
    for entry in sorted(item for item in path.rglob("*") if item.is_file() and item.name != SNAKEMAKE_TIMESTAMP):
        hasher.update(f"{entry.relative_to(path).as_posix()}\0{of_file(entry)}\n".encode())
    return hasher.hexdigest()


def canonical_json(value: Any) -> str:
    """One spelling per value: sorted keys, no spaces, so that digests are stable."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(value: Any) -> str:
    """Hex sha256 of a JSON value's canonical spelling."""
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it and rename it over `path`, on failure remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes 0600, whatever the user's umask says
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, document: Document) -> None:
    """Write a document atomically, keys in the order of its model, indented for people and diffs."""
    write_text(path, json.dumps(document.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path, model: type[DocumentT]) -> DocumentT:
    """Read a document. Raises SchemaError naming the path when it is missing, truncated or of another shape."""
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise SchemaError(f"{path}: no such file") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SchemaError(f"{path}: no {model.__name__} document: {where}: {first['msg']}") from None


def write_jsonl(path: Path, documents: Iterable[Document]) -> None:
    """Write one document per line, atomically."""
    write_text(path, "".join(canonical_json(document.model_dump(mode="json")) + "\n" for document in documents))


def read_jsonl(path: Path, model: type[DocumentT]) -> list[DocumentT]:
    """Read one document per line. Raises SchemaError naming path and line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise SchemaError(f"{path}: no such file") from None
    documents = []
    for number, line in enumerate(lines, start=1):
        try:
            documents.append(model.model_validate_json(line))
        except ValidationError as error:
            raise SchemaError(f"{path}:{number}: {error.errors()[0]['msg']}") from None
    return documents


class TableWriter:
    """Writes a Parquet file piece by piece: `with TableWriter(path, schema, check_row) as table: table.write(rows)`.

    Same rows, same bytes, however they are cut into calls of `write`. The file appears whole when the block ends, and
    not at all when it ends with an exception. `write` raises SchemaError for a row that `check_row` refuses.
    """

    def __init__(self, path: Path, schema: pa.Schema, check_row: Callable[[dict[str, Any]], None]) -> None:
        self._path, self._schema, self._check_row = path, schema, check_row
        self._pending: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        with ExitStack() as files:
            temporary = files.enter_context(atomic_path(self._path))
            self._writer = files.enter_context(pq.ParquetWriter(temporary, self._schema, compression="zstd"))
            self._files = files.pop_all()
        return self

    def write(self, rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            self._check_row(row)
            self._pending.append(row)
            if len(self._pending) == ROW_GROUP_ROWS:
                self._flush()

    def __exit__(self, kind: type[BaseException] | None, *details: Any) -> bool | None:
        if kind is not None:
            return self._files.__exit__(kind, *details)
        with self._files:  # should this last write fail, the temporary file goes too
            if self._pending:
                self._flush()
        return None

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._pending, schema=self._schema))
        self._pending.clear()


def write_table(
    path: Path, rows: Iterable[dict[str, Any]], schema: pa.Schema, check_row: Callable[[dict[str, Any]], None]
) -> None:
    """Check every row and write a Parquet file atomically. Same rows, same bytes. Raises SchemaError."""
    with TableWriter(path, schema, check_row) as table:
        table.write(rows)


def read_batches(
    path: Path, schema: pa.Schema, *, batch_rows: int = 1024, columns: Sequence[str] | None = None
) -> Iterator[list[dict[str, Any]]]:
    """A Parquet file's rows in order, at most `batch_rows` in memory at a time. Raises SchemaError as `read_table`."""
    with _open_table(path, schema) as table:
        try:
            for batch in table.iter_batches(batch_size=batch_rows, columns=columns):
                yield batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise SchemaError(f"{path}: damaged or not Parquet: {str(error).splitlines()[0]}") from None


def count_rows(path: Path, schema: pa.Schema) -> int:
    """The number of rows, from the file's footer alone. Raises SchemaError as `read_table`."""
    with _open_table(path, schema) as table:
        return int(table.metadata.num_rows)


def read_table(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    """Read a Parquet file as rows. Raises SchemaError when it is missing, damaged or has another schema."""
    return [row for batch in read_batches(path, schema, batch_rows=ROW_GROUP_ROWS) for row in batch]


def _open_table(path: Path, schema: pa.Schema) -> pq.ParquetFile:
    try:
        table = pq.ParquetFile(path)
    except FileNotFoundError:
        raise SchemaError(f"{path}: no such file") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise SchemaError(f"{path}: damaged or not Parquet: {str(error).splitlines()[0]}") from None
    found = table.schema_arrow.metadata or {}
    expected = schema.metadata
    if any(found.get(key) != value for key, value in expected.items()) or not table.schema_arrow.equals(schema):
        table.close()
        kind, version = expected[b"eyrie.table"].decode(), expected[b"eyrie.version"].decode()
        raise SchemaError(f"{path}: not a {kind!r} table of schema version {version}; rebuild it with this version")
    return table


class _Lines:
    """A stream for logs and pipes: each refresh of a progress bar becomes a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        line = text.replace("\r", "").strip()
        return self._stream.write(line + "\n") if line else 0

    def flush(self) -> None:
        self._stream.flush()


def progress(total: int | None, *, desc: str, unit: str, position: int = 0, shown: bool = True) -> "tqdm[Any]":
    """A progress bar on stderr: count, rate, time left. In a log or a pipe it prints a line every 10 s."""
    if not shown:
        return tqdm(total=total, disable=True)
    if sys.stderr.isatty():
        return tqdm(total=total, desc=desc, unit=f" {unit}", unit_scale=True, position=position, leave=True)
    return tqdm(
        total=total,
        desc=desc,
        unit=f" {unit}",
        unit_scale=True,
        delay=1,
        mininterval=10,
        ncols=100,
        ascii=True,
        file=_Lines(sys.stderr),
    )
