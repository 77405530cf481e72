"""The feature store: one shard of a target's hidden states for many training rows, an Arrow IPC file.

A shard is a function of its rows: same rows, same bytes. The metadata of its schema says, before any row is read, what
it holds: `eyrie` is the JSON of a `ShardHeader`, `eyrie.checksum` its digest. Each record batch is a block of whole
rows, found without reading the others:

    checksum      uint64        XXH3 of the row's number in the shard and of everything below
    input_ids     large_binary  int32, the ids the target saw and produced
    aux.<plane>   large_binary  its aux states [T, 3H] as encoded by `features.encodings`
    last.<plane>  large_binary  its last hidden states, only those at `teacher_positions`

Arrow IPC is written and read a block at a time in constant memory, from a disk or an object store, at the speed of a
copy (docs/decisions.md has the figures). It has no checksums: those are ours.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

import fsspec  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
import xxhash
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from eyrie.features import encodings
from eyrie.features.encodings import Encoding, States
from eyrie.features.rows import FeatureRow, Spans, cut_spans
from eyrie.io import atomic_path, canonical_json, digest_of
from eyrie.schemas import SchemaError, span_rows, teacher_positions

STORE_VERSION = "2"
BLOCK_TOKENS = 8192
STATES: tuple[States, ...] = ("aux", "last")
Cell = npt.NDArray[np.uint8]
Source = str | Path  # a local path, or any address that fsspec opens, such as gs://bucket/shard


@dataclass(frozen=True)
class ShardMeta:
    """What all rows of a shard share. `target_revision` is a digest or a commit of the target's files."""

    encoding: Encoding
    hidden_size: int
    aux_layer_ids: tuple[int, ...]
    target_revision: str
    last_hidden: Literal["post_norm"] = "post_norm"  # the input of lm_head, after the final norm

    def layout(self, states: States) -> tuple[int, int, int]:
        """Bits per value, state vectors per token and hidden size of `aux` or `last`."""
        num_states = len(self.aux_layer_ids) if states == "aux" else 1
        return encodings.num_bits(self.encoding, states), num_states, self.hidden_size


@dataclass(frozen=True)
class RowEntry:
    """A row of the index: all that planning needs to know of it."""

    prompt_id: str
    workload: str
    split: str
    num_tokens: int
    spans: Spans


@dataclass(frozen=True)
class ShardHeader:
    store_version: str
    meta: ShardMeta
    rows: tuple[RowEntry, ...]
    block_rows: tuple[int, ...]  # number of rows of each block


_HEADER = TypeAdapter(ShardHeader)


@dataclass(frozen=True)
class EncodedRow:
    """A row as it lies in its shard, checked and copied out of it. `cells` are the columns after the checksum."""

    meta: ShardMeta
    entry: RowEntry
    cells: dict[str, Cell]

    def decode(self, max_tokens: int | None = None) -> FeatureRow:
        """The row, or its first `max_tokens` tokens, spans cut to fit."""
        (row,) = decode_rows([self], max_tokens)
        return row


def decode_rows(rows: Sequence[EncodedRow], max_tokens: int | None = None) -> list[FeatureRow]:
    """Rows of one encoding, or their first `max_tokens` tokens, spans cut to fit. Together they take fewer steps."""
    if not rows:
        return []
    lengths = [min(row.entry.num_tokens, max_tokens or row.entry.num_tokens) for row in rows]
    spans = [cut_spans(row.entry.spans, length) for row, length in zip(rows, lengths, strict=True)]
    aux = _decode("aux", rows, lengths)
    last = _decode("last", rows, [len(teacher_positions(found)) for found in spans])
    return [
        FeatureRow(
            prompt_id=row.entry.prompt_id,
            workload=row.entry.workload,
            split=row.entry.split,
            input_ids=torch.from_numpy(row.cells["input_ids"].view(np.int32)[:length].astype(np.int64)),
            aux=row_aux,
            last=_spread(row_last, row_spans, length),
            spans=row_spans,
        )
        for row, length, row_spans, row_aux, row_last in zip(rows, lengths, spans, aux, last, strict=True)
    ]


def _decode(states: States, rows: Sequence[EncodedRow], lengths: list[int]) -> Sequence[Tensor]:
    """The states of each row's first tokens."""
    layout = rows[0].meta.layout(states)
    planes: dict[str, list[Tensor]] = {}
    for plane, size in encodings.planes_of(*layout).items():
        cells = [row.cells[f"{states}.{plane}"][: size * length] for row, length in zip(rows, lengths, strict=True)]
        planes[plane] = [torch.from_numpy(cell).view(-1, size) for cell in cells]
    if layout[0] == 16:  # nothing to compute, so nothing to gain by copying it together
        return [encodings.decode({"values": values}, *layout) for values in planes["values"]]
    whole = encodings.decode({plane: torch.cat(parts) for plane, parts in planes.items()}, *layout)
    return torch.split(whole, lengths)


def _spread(teachers: Tensor, spans: Spans, num_tokens: int) -> Tensor:
    """[T, H]: the stored last hidden states at `teacher_positions`, NaN elsewhere."""
    last = torch.full((num_tokens, teachers.shape[1]), torch.nan, dtype=torch.bfloat16)
    begin = 0
    for start, end in spans:
        rows = span_rows(start, end)
        last[rows.start + 1 : rows.stop + 1] = teachers[begin : begin + len(rows)]
        begin += len(rows)
    return last


def entry_of(row: FeatureRow) -> RowEntry:
    """The index entry of a row."""
    return RowEntry(row.prompt_id, row.workload, row.split, len(row.input_ids), row.spans)


def cut_blocks(lengths: Iterable[int], block_tokens: int) -> list[int]:
    """Rows per block: rows in their order, a block as long as `block_tokens` allows, a longer row alone."""
    blocks: list[int] = []
    room = 0
    for length in lengths:
        if length > room or not blocks:
            blocks.append(0)
            room = block_tokens
        blocks[-1] += 1
        room -= length
    return blocks


@contextmanager
def new_shard(
    path: Path, meta: ShardMeta, rows: Sequence[RowEntry], block_rows: Sequence[int]
) -> Iterator["ShardWriter"]:
    """Write a shard block by block, whole or not at all. Its rows are announced first: the index comes before them."""
    assert sum(block_rows) == len(rows)
    header = ShardHeader(STORE_VERSION, meta, tuple(rows), tuple(block_rows))
    text = canonical_json(asdict(header)).encode()
    metadata = {b"eyrie": text, b"eyrie.checksum": xxhash.xxh3_128_hexdigest(text).encode()}
    with (
        atomic_path(path) as temporary,
        pa.ipc.new_file(str(temporary), _schema(meta).with_metadata(metadata)) as file,
    ):
        writer = ShardWriter(header, file)
        yield writer
        assert writer.is_complete, f"{path}: blocks are missing"


class ShardWriter:
    """Appends blocks to the shard of `new_shard`."""

    def __init__(self, header: ShardHeader, file: pa.ipc.RecordBatchFileWriter) -> None:
        self._header, self._file, self._schema = header, file, _schema(header.meta)
        self._num_rows = self._num_blocks = 0

    @property
    def is_complete(self) -> bool:
        return self._num_blocks == len(self._header.block_rows)

    def write_block(self, rows: Sequence[FeatureRow]) -> None:
        """Append the next block: exactly the rows announced for it. Their states may be on any device."""
        begin, end = self._num_rows, self._num_rows + self._header.block_rows[self._num_blocks]
        assert tuple(entry_of(row) for row in rows) == self._header.rows[begin:end], "not the rows announced"
        positions = [teacher_positions(row.spans) for row in rows]
        cells = {
            "input_ids": [row.input_ids.cpu().to(torch.int32).numpy().view(np.uint8) for row in rows],
            **self._encode("aux", [row.aux for row in rows]),
            **self._encode("last", [row.last[keep] for row, keep in zip(rows, positions, strict=True)]),
        }
        checksums = [
            _checksum(begin + index, {name: column[index] for name, column in cells.items()})
            for index in range(len(rows))
        ]
        arrays = [pa.array(checksums, pa.uint64()), *(_column(cells[name]) for name in self._schema.names[1:])]
        self._file.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._num_rows, self._num_blocks = end, self._num_blocks + 1

    def _encode(self, states: States, parts: list[Tensor]) -> dict[str, list[Cell]]:
        """Column -> one cell per row. The block is encoded at once and then cut."""
        bounds = list(pairwise(np.cumsum([0, *(len(part) for part in parts)]).tolist()))
        bits, num_states, hidden_size = self._header.meta.layout(states)
        planes = encodings.encode(torch.cat(parts).view(-1, num_states, hidden_size), bits)
        columns = {}
        for plane, values in planes.items():
            whole = values.cpu().numpy()
            columns[f"{states}.{plane}"] = [whole[begin:end].reshape(-1) for begin, end in bounds]
        return columns


class Shard:
    """A shard opened for reading; its blocks are read when asked for.

    Raises SchemaError, here and in `read_block`, naming the shard: missing, truncated, altered, not a feature shard.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._stack = ExitStack()
        try:
            handle = self._stack.enter_context(_open(source))
            self._file = self._stack.enter_context(pa.ipc.open_file(handle))
            self.header = _read_header(self._file.schema)
        except FileNotFoundError:
            raise SchemaError(f"{source}: no such file") from None
        except (pa.ArrowException, OSError, ValueError) as error:
            self._stack.close()
            raise self._damaged(error) from None
        if self._file.num_record_batches != len(self.header.block_rows):
            raise self._damaged("blocks are missing")

    @property
    def meta(self) -> ShardMeta:
        return self.header.meta

    @property
    def index_digest(self) -> str:
        """Digest of the rows and of how they lie in blocks, whatever their encoding."""
        return digest_of([[asdict(entry) for entry in self.header.rows], self.header.block_rows])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def read_block(self, block: int) -> list[EncodedRow]:
        """The rows of a block, in order, each compared with its checksum."""
        begin = sum(self.header.block_rows[:block])
        entries = self.header.rows[begin : begin + self.header.block_rows[block]]
        try:
            batch = self._file.get_batch(block)
            batch.validate(full=True)
            columns = {name: batch.column(name) for name in batch.schema.names}
            checksums = columns.pop("checksum").to_pylist()
            if len(checksums) != len(entries):
                raise ValueError(f"block {block} has {len(checksums)} rows instead of {len(entries)}")
            rows = [
                EncodedRow(self.meta, entry, {name: _cell(column[index]) for name, column in columns.items()})
                for index, entry in enumerate(entries)
            ]
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from None
        for index, (row, checksum) in enumerate(zip(rows, checksums, strict=True)):
            if _checksum(begin + index, row.cells) != checksum:
                raise self._damaged(f"prompt {row.entry.prompt_id} in block {block} does not match its checksum")
        return rows

    def _damaged(self, reason: object) -> SchemaError:
        first = (str(reason).splitlines() or ["unreadable"])[0]
        return SchemaError(f"{self.source}: damaged or not a feature shard of store version {STORE_VERSION}: {first}")


def require_target(
    source: Source, meta: ShardMeta, *, hidden_size: int, aux_layer_ids: Sequence[int], target_revision: str
) -> None:
    """Raise SchemaError unless features of `meta` are those of this target."""
    found = (meta.hidden_size, list(meta.aux_layer_ids), meta.target_revision)
    wanted = (hidden_size, list(aux_layer_ids), target_revision)
    if found != wanted:
        raise SchemaError(
            f"{source}: features of hidden size {found[0]} from layers {found[1]} of target {found[2]}, but the target "
            f"is {wanted[2]}, has hidden size {wanted[0]} and needs layers {wanted[1]}; run extract_features again"
        )


def write_shard(path: Path, rows: Sequence[FeatureRow], meta: ShardMeta) -> None:
    """Write rows that are all in memory. The file is a function of its arguments: same rows, same bytes."""
    blocks = cut_blocks([len(row.input_ids) for row in rows], BLOCK_TOKENS)
    with new_shard(path, meta, [entry_of(row) for row in rows], blocks) as writer:
        for begin, end in pairwise(np.cumsum([0, *blocks]).tolist()):
            writer.write_block(rows[begin:end])


def iterate_rows(source: Source) -> Iterator[FeatureRow]:
    """Every row of a shard, decoded, in order, one block in memory at a time. Raises SchemaError."""
    with Shard(source) as shard:
        for block in range(len(shard.header.block_rows)):
            yield from decode_rows(shard.read_block(block))


def read_shard(source: Source) -> tuple[ShardMeta, list[FeatureRow]]:
    """A whole shard in memory. Raises SchemaError naming the shard when it is damaged or foreign."""
    with Shard(source) as shard:
        meta = shard.meta
    return meta, list(iterate_rows(source))


def _schema(meta: ShardMeta) -> pa.Schema:
    planes = [f"{states}.{plane}" for states in STATES for plane in encodings.planes_of(*meta.layout(states))]
    fields = [pa.field(name, pa.large_binary(), nullable=False) for name in ("input_ids", *planes)]
    return pa.schema([pa.field("checksum", pa.uint64(), nullable=False), *fields])


def _read_header(schema: pa.Schema) -> ShardHeader:
    """Raises ValueError."""
    metadata = schema.metadata or {}
    text = metadata.get(b"eyrie", b"")
    if xxhash.xxh3_128_hexdigest(text).encode() != metadata.get(b"eyrie.checksum"):
        raise ValueError("its header does not match its checksum")
    try:
        header = _HEADER.validate_json(text)
    except ValidationError as error:
        raise ValueError(f"header: {error.errors()[0]['msg']}") from None
    if header.store_version != STORE_VERSION or not schema.equals(_schema(header.meta)):
        raise ValueError(f"it is of store version {header.store_version}; run extract_features again")
    return header


def _column(cells: list[Cell]) -> pa.LargeBinaryArray:
    offsets = np.cumsum([0, *(len(cell) for cell in cells)], dtype=np.int64)
    values = np.concatenate(cells) if cells else np.empty(0, np.uint8)
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(cells), [None, pa.py_buffer(offsets), pa.py_buffer(values)]
    )


def _cell(value: pa.LargeBinaryScalar) -> Cell:
    """A copy of its own: the block it lies in can go."""
    return np.frombuffer(value.as_buffer() or b"", np.uint8).copy()


def _checksum(ordinal: int, cells: dict[str, Cell]) -> int:
    """XXH3 of the row's number and its cells, each with its name and length."""
    hasher = xxhash.xxh3_64(ordinal.to_bytes(8, "little"))
    for name in sorted(cells):
        hasher.update(f"{name}\0{len(cells[name])}\0".encode())
        hasher.update(cells[name].data)
    return hasher.intdigest()


def _open(source: Source) -> pa.NativeFile:
    if "://" not in str(source):
        return pa.memory_map(str(source))
    return pa.PythonFile(fsspec.open(str(source), "rb", cache_type="none").open(), mode="r")
