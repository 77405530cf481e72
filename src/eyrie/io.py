"""Files in, files out: atomic writes, digests, JSON documents checked against `schemas`. Arrow tables are in `tables`.

Nothing is unpickled: Parquet, safetensors and JSON only. Every write goes to a temporary name in the same folder, is
flushed to disk and renamed, so a killed process leaves either the old file or the new one.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from pydantic import ValidationError

from eyrie.schemas import Document, SchemaError

if TYPE_CHECKING:
    from tqdm import tqdm

SNAKEMAKE_TIMESTAMP = ".snakemake_timestamp"  # Snakemake puts it into folders; no part of their content
# as DVC leaves them out everywhere: a target that is a git clone stays the same after `git status` in it
_NO_CONTENT = frozenset({".dvc", ".git", ".hg"})
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


def folder_files(folder: Path) -> Iterator[Path]:
    """The files that are a folder's content, as DVC has it: without what belongs to git, Mercurial, Snakemake and DVC,
    and without folders inside that are DVC projects themselves."""
    for root, folders, files in os.walk(folder):
        top = Path(root)
        folders[:] = [name for name in folders if name not in _NO_CONTENT and not (top / name / ".dvc").exists()]
        for name in files:
            if name not in (SNAKEMAKE_TIMESTAMP, ".git") and (top / name).is_file():  # in a submodule .git is a file
                yield top / name


def path_digest(path: Path, of_file: Callable[[Path], str] = file_digest) -> str:
    """Hex sha256 of a file, or of a folder's relative names and file digests (`of_file`). Raises FileNotFoundError."""
    if not path.is_dir():
        return of_file(path)
    hasher = hashlib.sha256()
    for entry in sorted(folder_files(path)):
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


def read_json_object(path: Path) -> dict[str, Any]:
    """Read another program's file that holds one JSON object. Raises FileNotFoundError, and ValueError naming the path
    when it cannot be read or holds something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected one JSON object, found {type(value).__name__}")
    return value


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


class _Lines:
    """A stream for logs and pipes: each refresh of a progress bar becomes a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        line = text.replace("\r", "").strip()
        return self._stream.write(line + "\n") if line else 0

    def flush(self) -> None:
        self._stream.flush()


def progress(
    total: int | None, *, desc: str, unit: str, done: int = 0, position: int = 0, shown: bool = True
) -> "tqdm[Any]":
    """A progress bar on stderr: count, rate, time left. In a log or a pipe it prints a line every 10 s.

    `done` of the total were made by an earlier run: they are in the count, not in the rate.
    """
    from tqdm import tqdm  # a tenth of what starting a command takes, and most have no bar

    if not shown:
        return tqdm(total=total, disable=True)
    if sys.stderr.isatty():
        return tqdm(
            total=total, initial=done, desc=desc, unit=f" {unit}", unit_scale=True, position=position, leave=True
        )
    return tqdm(
        total=total,
        initial=done,
        desc=desc,
        unit=f" {unit}",
        unit_scale=True,
        delay=1,
        mininterval=10,
        ncols=100,
        ascii=True,
        file=_Lines(sys.stderr),
    )
