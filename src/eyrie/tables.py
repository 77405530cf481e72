"""The Arrow tables that pass between stages, read and written as Parquet.

A table carries its schema version in the Arrow metadata, checked both ways, then the row invariants below. A file
appears whole or not at all (`io.atomic_path`). Documents are in `schemas` and `io`: importing Arrow takes longer than
all that most commands do.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from eyrie.io import atomic_path
from eyrie.schemas import SchemaError

SCHEMA_VERSION = "1"
# Rows of one row group: what a writer holds in memory, and the most a reader has to.
ROW_GROUP_ROWS = 4096


def _schema(table: str, fields: Iterable[tuple[str, pa.DataType]]) -> pa.Schema:
    metadata = {b"eyrie.table": table.encode(), b"eyrie.version": SCHEMA_VERSION.encode()}
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields], metadata)


# One conversation's prompts. `turns` are the user turns in order; `system` is "" when there is none.
# `answers` is empty, or the source's own answer to each turn, to be used instead of the target's.
# `prompt_id` is the hex sha256 of the canonical JSON of [system, *turns], 32 characters kept.
PROMPTS = _schema(
    "prompts",
    [
        ("prompt_id", pa.string()),
        ("source", pa.string()),
        ("workload", pa.string()),
        ("split", pa.string()),
        ("system", pa.string()),
        ("turns", pa.list_(pa.string())),
        ("answers", pa.list_(pa.string())),
    ],
)

# One training sequence: the ids the target really saw and produced. `span_starts[i]:span_ends[i]` is the i-th
# assistant turn in `input_ids`, end-of-turn token included (end exclusive). `finish_reasons[i]` is stop | length, or
# given for an answer that the source had.
RESPONSES = _schema(
    "responses",
    [
        ("prompt_id", pa.string()),
        ("row_index", pa.int32()),
        ("source", pa.string()),
        ("workload", pa.string()),
        ("split", pa.string()),
        ("seed", pa.int64()),
        ("input_ids", pa.list_(pa.int32())),
        ("span_starts", pa.list_(pa.int32())),
        ("span_ends", pa.list_(pa.int32())),
        ("finish_reasons", pa.list_(pa.string())),
    ],
)


def check_prompt_row(row: dict[str, Any]) -> None:
    """Raise SchemaError unless the row has a turn and every turn has text."""
    if not row["turns"] or not all(turn.strip() for turn in row["turns"]):
        raise SchemaError(f"prompt {row['prompt_id']}: a prompt needs at least one non-empty user turn")
    if len(row["answers"]) not in (0, len(row["turns"])):
        raise SchemaError(
            f"prompt {row['prompt_id']}: {len(row['answers'])} answers to {len(row['turns'])} turns; one each, or none"
        )


def spans_of(row: dict[str, Any]) -> list[tuple[int, int]]:
    """The assistant spans (start, end) of a response row, end exclusive."""
    return list(zip(row["span_starts"], row["span_ends"], strict=True))


def check_response_row(row: dict[str, Any]) -> None:
    """Raise SchemaError unless spans are ordered, disjoint, non-empty and inside `input_ids`."""
    position = 0
    for start, end in spans_of(row):
        if not position <= start < end <= len(row["input_ids"]):
            raise SchemaError(
                f"response {row['prompt_id']}/{row['row_index']}: span ({start}, {end}) is out of order or outside "
                f"the {len(row['input_ids'])} tokens"
            )
        position = end


def span_rows(start: int, end: int) -> range:
    """The rows of an assistant span [start, end) that a draft head learns: x_{t+1} and x_{t+2} are inside it.

    The teacher of row t is the target's last hidden state at t + 1; later steps use the teachers of later rows.
    """
    return range(max(start - 1, 0), max(end - 2, 0))


def teacher_positions(spans: Iterable[tuple[int, int]]) -> list[int]:
    """The positions whose last hidden state is some supervised row's teacher, ascending."""
    return [row + 1 for start, end in spans for row in span_rows(start, end)]


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
