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
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError
from tqdm import tqdm

from eyrie.schemas import Document, SchemaError

DocumentT = TypeVar("DocumentT", bound=Document)


def file_digest(path: Path) -> str:
    """Hex sha256 of a file's bytes. Raises OSError."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def path_digest(path: Path, of_file: Callable[[Path], str] = file_digest) -> str:
    """Hex sha256 of a file, or of a folder's relative names and file digests (`of_file`). Raises FileNotFoundError."""
    if not path.is_dir():
        return of_file(path)
    hasher = hashlib.sha256()
    for entry in sorted(item for item in path.rglob("*") if item.is_file()):
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
        raise SchemaError(f"{path}: not a {model.__name__} document: {where}: {first['msg']}") from None


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


def write_table(
    path: Path, rows: Sequence[dict[str, Any]], schema: pa.Schema, check_row: Callable[[dict[str, Any]], None]
) -> None:
    """Check every row and write a Parquet file atomically. Same rows, same bytes. Raises SchemaError."""
    for row in rows:
        check_row(row)
    table = pa.Table.from_pylist(list(rows), schema=schema)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_table(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    """Read a Parquet file as rows. Raises SchemaError when it is missing, damaged or has another schema."""
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise SchemaError(f"{path}: no such file") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise SchemaError(f"{path}: damaged or not Parquet: {str(error).splitlines()[0]}") from None
    found = table.schema.metadata or {}
    expected = schema.metadata
    if any(found.get(key) != value for key, value in expected.items()) or not table.schema.equals(schema):
        kind, version = expected[b"eyrie.table"].decode(), expected[b"eyrie.version"].decode()
        raise SchemaError(f"{path}: not a {kind!r} table of schema version {version}; rebuild it with this version")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


class _Lines:
    """A stream for logs and pipes: each refresh of a progress bar becomes a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        line = text.replace("\r", "").strip()
        return self._stream.write(line + "\n") if line else 0

    def flush(self) -> None:
        self._stream.flush()


def progress(total: int | None, *, desc: str, unit: str, position: int = 0) -> "tqdm[Any]":
    """A progress bar on stderr: count, rate, time left. In a log or a pipe it prints a line every 10 s."""
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
