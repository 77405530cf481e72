"""The feature store: one shard of a target's hidden states for many training rows (`features.format` has its layout).

A shard is a function of its rows: same rows, same bytes. It is written and read a block at a time in constant memory,
from a disk or an object store. A file on a disk is mapped: reading a block makes views of it and copies nothing. Arrow
has no checksums, so those are ours: a block on a disk is compared with its own when it is first read, one that comes
over a network every time (docs/decisions.md has the figures).
"""

import errno
import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Self

import fsspec  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from eyrie.features import encodings
from eyrie.features.decoding import Cell, EncodedRow, decode_rows
from eyrie.features.encodings import States
from eyrie.features.format import (
    CHECKSUM,
    STORE_VERSION,
    RowEntry,
    ShardHeader,
    ShardMeta,
    block_checksum,
    read_header,
    schema_with,
)
from eyrie.features.rows import FeatureRow
from eyrie.io import atomic_path, digest_of
from eyrie.schemas import SchemaError

BLOCK_TOKENS = 8192
Source = str | Path  # a local path, or any address that fsspec opens, such as gs://bucket/shard


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
    schema = schema_with(header)
    with atomic_path(path) as temporary, pa.ipc.new_file(str(temporary), schema) as file:
        writer = ShardWriter(header, schema, file)
        yield writer
        assert writer.is_complete, f"{path}: blocks are missing"


class ShardWriter:
    """Appends blocks to the shard of `new_shard`."""

    def __init__(self, header: ShardHeader, schema: pa.Schema, file: pa.ipc.RecordBatchFileWriter) -> None:
        self._header, self._file, self._schema = header, file, schema
        self._num_rows = self._num_blocks = 0

    @property
    def is_complete(self) -> bool:
        return self._num_blocks == len(self._header.block_rows)

    def write_block(self, rows: Sequence[FeatureRow]) -> None:
        """Append the next block: exactly the rows announced for it. Their states may be on any device."""
        begin, end = self._num_rows, self._num_rows + self._header.block_rows[self._num_blocks]
        assert tuple(entry_of(row) for row in rows) == self._header.rows[begin:end], "not the rows announced"
        cells = {
            "input_ids": [row.input_ids.cpu().to(torch.int32).numpy().view(np.uint8) for row in rows],
            **self._encode("aux", [row.aux for row in rows]),
            **self._encode("last", [row.teachers for row in rows]),
        }
        batch = pa.record_batch([_column(cells[name]) for name in self._schema.names], schema=self._schema)
        checksum = block_checksum(self._schema, self._num_blocks, batch)
        self._file.write_batch(batch, custom_metadata={CHECKSUM: checksum})
        self._num_rows, self._num_blocks = end, self._num_blocks + 1

    def _encode(self, states: States, parts: list[Tensor]) -> dict[str, list[Cell]]:
        """Column -> one cell per row. The block is encoded at once and then cut."""
        bounds = list(pairwise(accumulate(map(len, parts), initial=0)))
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
        self._checked: set[int] = set()
        self._stack = ExitStack()
        self._mapped: mmap.mmap | None = None
        try:
            if "://" in str(source):
                handle = pa.PythonFile(_open_remote(str(source)), mode="r")
            else:
                self._mapped = _map(source)
                handle = pa.BufferReader(pa.py_buffer(self._mapped))
            self._file = self._stack.enter_context(pa.ipc.open_file(self._stack.enter_context(handle)))
            self.header = read_header(self._file.schema)
        except FileNotFoundError:
            raise SchemaError(f"{source}: no such file") from None
        except (pa.ArrowException, OSError, ValueError) as error:
            self._stack.close()
            if isinstance(error, OSError) and error.errno == errno.EMFILE:
                raise SchemaError(f"{source}: too many files are open here; raise the limit (`ulimit -n`)") from None
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
        """The rows of a block, in order: views of the file where it is mapped, which stay when the shard is closed."""
        begin = sum(self.header.block_rows[:block])
        entries = self.header.rows[begin : begin + self.header.block_rows[block]]
        try:
            batch, metadata = self._file.get_batch_with_custom_metadata(block)
            if block not in self._checked:
                batch.validate(full=True)
                if len(batch) != len(entries):
                    raise ValueError(f"block {block} has {len(batch)} rows instead of {len(entries)}")
                if block_checksum(self._file.schema, block, batch) != (metadata or {}).get(CHECKSUM):
                    raise ValueError(f"block {block} does not match its checksum")
            columns = {name: self._cells(batch.column(name)) for name in batch.schema.names}
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from None
        if self._mapped is not None:
            self._checked.add(block)
        return [
            EncodedRow(self.meta, entry, {name: cells[index] for name, cells in columns.items()})
            for index, entry in enumerate(entries)
        ]

    def _cells(self, column: pa.LargeBinaryArray) -> list[Cell]:
        """A cell per row, all of them writable."""
        _, offsets, values = column.buffers()
        bounds = np.frombuffer(offsets, np.int64, len(column) + 1).tolist() if offsets else [0]
        if self._mapped is None or not bounds[-1]:
            whole = np.frombuffer(values or b"", np.uint8).copy()
        else:
            mapped = np.frombuffer(self._mapped, np.uint8)
            begin = values.address - mapped.ctypes.data
            whole = mapped[begin : begin + values.size]
            ahead = begin - begin % mmap.PAGESIZE
            self._mapped.madvise(mmap.MADV_WILLNEED, ahead, begin + values.size - ahead)
        return [whole[start:end] for start, end in pairwise(bounds)]

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
        for begin, end in pairwise(accumulate(blocks, initial=0)):
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


def _column(cells: list[Cell]) -> pa.LargeBinaryArray:
    offsets = np.cumsum([0, *(len(cell) for cell in cells)], dtype=np.int64)
    values = np.concatenate(cells) if cells else np.empty(0, np.uint8)
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(cells), [None, pa.py_buffer(offsets), pa.py_buffer(values)]
    )


def _open_remote(address: str) -> Any:
    """Reads what is asked for and nothing ahead: a block is one range, and gcsfs would fetch up to 256 MB beyond it."""
    files, path = fsspec.url_to_fs(address)
    return files.open(path, "rb", cache_type="none")


def _map(path: Source) -> mmap.mmap:
    """The whole file, privately: who writes into it does not change the file."""
    with Path(path).open("rb") as handle:
        if not os.fstat(handle.fileno()).st_size:
            raise ValueError("it is empty")
        return mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_COPY)
