"""Which row comes when: the order of an epoch, known before any hidden state is read.

An epoch visits the shards in a seeded order, each block by block, so that reading is sequential. The rows pass a
shuffle buffer of so many tokens and are cut into batches. All of it depends on lengths and seeds only: an epoch and a
number of batches say where a reader is, and readers that share the batches need not speak with each other.

Rows are anything with a length, so that planning without reading and reading share this code.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np


class Row(Protocol):
    @property
    def num_tokens(self) -> int: ...


RowT = TypeVar("RowT", bound=Row)


def block_order(num_blocks: Sequence[int], *, seed: int, epoch: int) -> list[tuple[int, int]]:
    """The (shard, block) pairs of one epoch."""
    order = np.random.default_rng([seed, epoch]).permutation(len(num_blocks)).tolist()
    return [(shard, block) for shard in order for block in range(num_blocks[shard])]


def shuffled(rows: Iterable[RowT], buffer_tokens: int, *, seed: int, epoch: int) -> Iterator[RowT]:
    """`rows` in random order, through a buffer that holds at most `buffer_tokens` tokens, or one row."""
    generator = np.random.default_rng([seed, epoch, 1])
    buffer: list[RowT] = []
    held = 0

    def draw() -> RowT:
        index = int(generator.integers(len(buffer)))
        buffer[index], buffer[-1] = buffer[-1], buffer[index]
        return buffer.pop()

    for row in rows:
        while buffer and held + row.num_tokens > buffer_tokens:
            drawn = draw()
            held -= drawn.num_tokens
            yield drawn
        buffer.append(row)
        held += row.num_tokens
    while buffer:
        yield draw()


def cut_batches(rows: Iterable[RowT], batch_tokens: int) -> Iterator[list[RowT]]:
    """Batches of at most `batch_tokens` tokens in the order of the rows; a longer row is a batch of its own."""
    batch: list[RowT] = []
    num_tokens = 0
    for row in rows:
        if batch and num_tokens + row.num_tokens > batch_tokens:
            yield batch
            batch, num_tokens = [], 0
        batch.append(row)
        num_tokens += row.num_tokens
    if batch:
        yield batch
