"""Reading features for training: endless batches of whole rows, streamed from shards in bounded memory.

In: feature shards, on a disk or in an object store. Out: lists of `FeatureRow`, not padded, never cut across batches;
every row once per epoch. The ranks of a training part the batches among them like cards, so what is read together does
not depend on how many they are. A background thread reads ahead block by block, another one decodes.

What is held: the shuffle buffer (rows as encoded), one block, and the batches read ahead (decoded). Resuming replays
the epoch's plan from the shards' indexes (`features.plan`), and reads no block all of whose rows were given out before.
"""

import queue
import resource
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Self

import torch

from eyrie.features import plan
from eyrie.features.decoding import CPU, EncodedRow, decode_rows
from eyrie.features.format import RowEntry
from eyrie.features.rows import FeatureRow, cut_spans
from eyrie.features.store import Shard, Source
from eyrie.io import digest_of
from eyrie.schemas import SchemaError
from eyrie.tables import teacher_positions

Position = dict[str, int | str]
POLL_S = 0.1  # how soon the reading thread notices that its batches are not wanted any more


@dataclass(eq=False)
class StoredRow:
    """A row on its way to a batch; `encoded` is there once its block was read."""

    index: int  # in its block
    num_tokens: int
    encoded: EncodedRow | None = None
    given_out: bool = False


@dataclass(eq=False)
class _Block:
    shard: Shard
    index: int
    rows: list[StoredRow] = field(default_factory=list)

    def load(self) -> None:
        """Read the block for the rows that are still to be given out."""
        wanted = [row for row in self.rows if not row.given_out]
        encoded = self.shard.read_block(self.index) if wanted else []
        for row in wanted:
            row.encoded = encoded[row.index]


class BatchReader:
    """Iterates endlessly over epochs. Iterating raises SchemaError when a block is damaged. Close it, or use `with`."""

    def __init__(
        self,
        shards: Sequence[Source],
        *,
        split: str,
        seed: int,
        batch_tokens: int,
        max_sequence_tokens: int,
        shuffle_tokens: int,
        rank: int = 0,
        world_size: int = 1,
        prefetch_batches: int = 2,
        device: torch.device = CPU,
        start: Position | None = None,
    ) -> None:
        """Take the rows of `split` that have a supervised row within their first `max_sequence_tokens`; cut the rest.

        A batch has at most `batch_tokens` tokens, or one longer row. `shuffle_tokens` bounds the shuffle buffer: with
        as many as the split has, the order of an epoch is any order. `device` decodes (`decode_rows`). `start` is the
        `position` of a reader over the same rows with the same arguments (ranks, prefetching and device apart). Of all
        batches, those numbered rank, rank + world_size ... are this reader's.

        Raises SchemaError when a shard cannot be used or is of another target or encoding than the first, ValueError
        when there is nothing to read, or when `start` is of other rows or arguments.
        """
        assert 0 <= rank < world_size
        self._seed, self._rank, self._world_size = seed, rank, world_size
        self._batch_tokens, self._max_tokens, self._shuffle_tokens = batch_tokens, max_sequence_tokens, shuffle_tokens
        self._device = device
        with ExitStack() as stack:
            self._shards = open_shards(shards, stack)
            self.meta = self._shards[0].meta
            self._blocks = [list(_usable_blocks(shard, split, max_sequence_tokens)) for shard in self._shards]
            blocks = [block for blocks in self._blocks for block in blocks]
            if not blocks:
                raise ValueError(
                    f"{len(shards)} feature shards, {shards[0]} ...: no row of split {split} has an assistant turn "
                    f"within {max_sequence_tokens} tokens"
                )
            self.num_rows = sum(len(rows) for _, rows in blocks)  # of all ranks, in one epoch
            self.num_tokens = sum(row.num_tokens for _, rows in blocks for row in rows)
            arguments = [split, seed, batch_tokens, max_sequence_tokens, shuffle_tokens]
            self._plan = digest_of([arguments, [shard.index_digest for shard in self._shards]])[:16]
            self._position = self._checked(start)
            self._stack = stack.pop_all()
        self._stop = threading.Event()
        self._ready: queue.Queue[tuple[Position, Future[list[FeatureRow]]] | BaseException] = queue.Queue(
            prefetch_batches
        )
        self._thread: threading.Thread | None = None

    @property
    def position(self) -> Position:
        """Where the next batch stands: JSON for a checkpoint, `start` of the reader that goes on from here."""
        return dict(self._position)

    def __iter__(self) -> Iterator[list[FeatureRow]]:
        return self

    def __next__(self) -> list[FeatureRow]:
        if self._stop.is_set():
            raise StopIteration
        if self._thread is None:
            self._thread = threading.Thread(target=self._read_ahead, args=(self.position,), daemon=True)
            self._thread.start()
        item = self._ready.get()
        if isinstance(item, BaseException):
            self._stop.set()
            raise item
        position, batch = item
        rows = batch.result()
        self._position = position
        return rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading ahead and close the shards."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._stack.close()

    def _checked(self, start: Position | None) -> Position:
        if start is None:
            return {"epoch": 0, "batch": 0, "total": 0, "plan": self._plan}
        if start.get("plan") != self._plan:
            raise ValueError(
                f"the position to resume at (epoch {start.get('epoch')}, batch {start.get('batch')}) is of other "
                "features, or was reached with another seed or batch size"
            )
        return dict(start)

    def _read_ahead(self, start: Position) -> None:
        """The background thread: fill the queue until `close`, or until a block cannot be read."""
        with ThreadPoolExecutor(1) as decoder:
            try:
                for position, rows in self._encoded_batches(start):
                    self._put((position, decoder.submit(self._decode, rows)))
                    if self._stop.is_set():
                        return
            except BaseException as error:
                self._put(error)

    def _put(self, item: "tuple[Position, Future[list[FeatureRow]]] | BaseException") -> None:
        while not self._stop.is_set():
            with suppress(queue.Full):
                self._ready.put(item, timeout=POLL_S)
                return

    def _decode(self, rows: list[EncodedRow]) -> list[FeatureRow]:
        return decode_rows(rows, self._max_tokens, self._device)

    def _encoded_batches(self, start: Position) -> Iterator[tuple[Position, list[EncodedRow]]]:
        """Each batch of this rank with the position after it, which counts the batches of all ranks."""
        epoch, skip, total = int(start["epoch"]), int(start["batch"]), int(start["total"])
        while True:
            for number, rows in enumerate(self._epoch(epoch, skip), start=skip + 1):
                total += 1
                if (total - 1) % self._world_size == self._rank:
                    yield {"epoch": epoch, "batch": number, "total": total, "plan": self._plan}, rows
            epoch, skip = epoch + 1, 0

    def _epoch(self, epoch: int, skip: int) -> Iterator[list[EncodedRow]]:
        """The batches of an epoch after its first `skip`, which are planned but not read."""
        entered: list[_Block] = []  # blocks whose rows entered the buffer while nothing was read
        skipping = skip > 0

        def rows() -> Iterator[StoredRow]:
            for block in self._epoch_blocks(epoch):
                if skipping:
                    entered.append(block)
                else:
                    block.load()
                yield from block.rows

        stream = plan.shuffled(rows(), self._shuffle_tokens, seed=self._seed, epoch=epoch)
        for number, batch in enumerate(plan.cut_batches(stream, self._batch_tokens)):
            if number < skip:
                for row in batch:
                    row.given_out = True
                continue
            if skipping:
                skipping = False
                for block in entered:
                    block.load()
                entered.clear()
            encoded = [row.encoded for row in batch if row.encoded is not None]
            assert len(encoded) == len(batch)
            yield encoded

    def _epoch_blocks(self, epoch: int) -> Iterator[_Block]:
        num_blocks = [len(blocks) for blocks in self._blocks]
        for shard, block in plan.block_order(num_blocks, seed=self._seed, epoch=epoch):
            index, rows = self._blocks[shard][block]
            yield _Block(self._shards[shard], index, [StoredRow(row.index, row.num_tokens) for row in rows])


def open_shards(sources: Sequence[Source], stack: ExitStack) -> list[Shard]:
    """Open shards of one target in one encoding. Raises SchemaError naming the first that differs from the others."""
    _allow_open_files()
    shards = [stack.enter_context(Shard(source)) for source in sources]
    for shard in shards:
        if shard.meta != shards[0].meta:
            raise SchemaError(
                f"{shard.source}: features of {shard.meta}, but {shards[0].source} has those of {shards[0].meta}; run "
                "extract_features again"
            )
    return shards


def _allow_open_files() -> None:
    """As many as the system lets this process have: each mapped shard holds one, and the usual limit is 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def rows_in_order(sources: Sequence[Source], *, split: str, max_tokens: int) -> Iterator[StoredRow]:
    """The rows of a split that a head learns something from, as they lie in the shards, one block in memory at a time.

    Raises SchemaError when a shard or a block is damaged.
    """
    for source in sources:
        with Shard(source) as shard:
            for index, rows in _usable_blocks(shard, split, max_tokens):
                _Block(shard, index, rows).load()
                yield from rows


def _usable_blocks(shard: Shard, split: str, max_tokens: int) -> Iterator[tuple[int, list[StoredRow]]]:
    """(block, its usable rows) of every block that has one."""
    entries = iter(shard.header.rows)
    for block, num_rows in enumerate(shard.header.block_rows):
        rows = [
            StoredRow(index, min(entry.num_tokens, max_tokens))
            for index, entry in enumerate(next(entries) for _ in range(num_rows))
            if _is_usable(entry, split, max_tokens)
        ]
        if rows:
            yield block, rows


def _is_usable(entry: RowEntry, split: str, max_tokens: int) -> bool:
    return entry.split == split and bool(teacher_positions(cut_spans(entry.spans, max_tokens)))
