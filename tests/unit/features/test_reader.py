"""Every row once per epoch, the same batches after any interruption, in bounded memory."""

import threading
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from eyrie.features.plan import block_order, cut_batches, shuffled
from eyrie.features.reader import BatchReader
from eyrie.features.rows import FeatureRow
from eyrie.features.store import Shard, entry_of, new_shard, write_shard
from eyrie.schemas import SchemaError
from eyrie.tables import teacher_positions
from tests.unit.features.made_up import META, make_row

LENGTHS = [5, 12, 7, 30, 9, 4, 16, 3, 8, 11, 6, 21]
ARGUMENTS: dict[str, Any] = {
    "split": "train",
    "seed": 3,
    "batch_tokens": 24,
    "max_sequence_tokens": 20,
    "shuffle_tokens": 40,
}


def _write(path: Path, rows: list[FeatureRow]) -> Path:
    """Two rows to a block."""
    blocks = [len(rows[index : index + 2]) for index in range(0, len(rows), 2)]
    with new_shard(path, META, [entry_of(row) for row in rows], blocks) as writer:
        for index in range(0, len(rows), 2):
            writer.write_block(rows[index : index + 2])
    return path


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """Three shards of twelve rows; of each, one row is held out and one has nothing to learn."""
    paths = []
    for shard in range(3):
        rows = [
            make_row(f"{shard}-{index}", length, ((1, length),), split="heldout" if index == 4 else "train")
            for index, length in enumerate(LENGTHS)
        ]
        rows[7] = make_row(f"{shard}-7", 3, ((2, 3),))
        paths.append(_write(tmp_path / f"shard-{shard}.arrow", rows))
    return paths


def _names(batches: list[list[FeatureRow]]) -> list[list[str]]:
    return [[row.prompt_id for row in batch] for batch in batches]


def _epoch(reader: BatchReader, epoch: int = 0) -> list[list[FeatureRow]]:
    """The reader's batches of one epoch."""
    batches = []
    while reader.position["epoch"] <= epoch:
        batch = next(reader)
        if reader.position["epoch"] == epoch:
            batches.append(batch)
    return batches


@pytest.mark.parametrize("shuffle_tokens", [1, 40, 10_000])
def test_an_epoch_holds_every_usable_row_once(shards: list[Path], shuffle_tokens: int) -> None:
    with BatchReader(shards, **ARGUMENTS | {"shuffle_tokens": shuffle_tokens}) as reader:
        assert (reader.num_rows, reader.num_tokens) == (30, 3 * 109)
        found = Counter(name for batch in _names(_epoch(reader)) for name in batch)
    assert found == {f"{shard}-{index}": 1 for shard in range(3) for index in range(12) if index not in (4, 7)}


def test_batches_keep_to_their_budget_and_a_longer_row_stands_alone(shards: list[Path]) -> None:
    with BatchReader(shards, **ARGUMENTS | {"batch_tokens": 16}) as reader:
        batches = _epoch(reader)
    sizes = [sum(len(row.input_ids) for row in batch) for batch in batches]
    assert all(size <= 16 or len(batch) == 1 for size, batch in zip(sizes, batches, strict=True))
    assert max(sizes) == 20
    # greedy: the next batch's first row did not fit
    assert all(size + len(after[0].input_ids) > 16 for size, after in zip(sizes, batches[1:], strict=False))


def test_rows_are_cut_to_the_longest_sequence_and_equal_what_was_written(shards: list[Path]) -> None:
    with BatchReader(shards, **ARGUMENTS) as reader:
        rows = {row.prompt_id: row for batch in _epoch(reader) for row in batch}
    row, whole = rows["1-3"], make_row("1-3", 30, ((1, 30),))
    assert row.spans == ((1, 20),)
    assert torch.equal(row.aux, whole.aux[:20])
    assert torch.equal(row.input_ids, whole.input_ids[:20])
    assert torch.equal(row.teachers, whole.teachers[:18])


def test_the_order_depends_on_seed_and_epoch_only(shards: list[Path]) -> None:
    runs = []
    for changes in ({}, {"prefetch_batches": 7}, {"seed": 4}):
        with BatchReader(shards, **ARGUMENTS | changes) as reader:
            runs.append(_names(list(islice(reader, 60))))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    with BatchReader(shards, **ARGUMENTS) as reader:
        first, second = _names(_epoch(reader, 0)), _names(_epoch(reader, 1))
    assert first != second


def test_resuming_at_every_batch_gives_exactly_what_would_have_followed(shards: list[Path]) -> None:
    with BatchReader(shards, **ARGUMENTS) as reader:
        positions, batches = [reader.position], []
        for batch in islice(reader, 45):  # into the third epoch
            batches.append(batch)
            positions.append(reader.position)
    assert positions[-1]["epoch"] == 2
    for done, position in enumerate(positions[:-1]):
        with BatchReader(shards, **ARGUMENTS, start=position) as resumed:
            assert resumed.position == position
            following = list(islice(resumed, min(6, len(batches) - done)))
        expected = batches[done : done + 6]
        assert _names(following) == _names(expected)
        for batch, same in zip(following, expected, strict=True):
            assert all(torch.equal(row.aux, other.aux) for row, other in zip(batch, same, strict=True))


def test_resuming_reads_no_block_that_was_used_up(shards: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ARGUMENTS | {"shuffle_tokens": 1}
    with BatchReader(shards, **arguments) as reader:
        start, epoch = reader.position, _epoch(reader)
    done = len(epoch) - 2
    read: list[int] = []
    read_block = Shard.read_block
    monkeypatch.setattr(Shard, "read_block", lambda self, block: read.append(block) or read_block(self, block))
    with BatchReader(shards, **arguments, start={**start, "batch": done}, prefetch_batches=1) as reader:
        assert _names([next(reader)]) == _names(epoch[done : done + 1])
        assert len(read) <= 6


@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_ranks_part_the_batches_of_one_reader_among_them(shards: list[Path], world_size: int) -> None:
    """Into the fourth epoch, whose number of batches no world size divides; each rank begins anew on the way."""
    with BatchReader(shards, **ARGUMENTS) as reader:
        alone = _names(list(islice(reader, 63)))
        assert reader.position["epoch"] == 3
    for rank in range(world_size):
        mine, position = alone[rank::world_size], None
        for part in (mine[:5], mine[5:]):
            with BatchReader(shards, **ARGUMENTS, rank=rank, world_size=world_size, start=position) as reader:
                assert _names(list(islice(reader, len(part)))) == part
                position = reader.position


@pytest.mark.parametrize("changes", [{"seed": 4}, {"batch_tokens": 25}, {"split": "heldout"}])
def test_a_position_of_another_run_is_refused(shards: list[Path], changes: dict[str, Any]) -> None:
    with BatchReader(shards, **ARGUMENTS) as reader:
        position = reader.position
    with pytest.raises(ValueError, match=r"position to resume at .* is of other features"):
        BatchReader(shards, **ARGUMENTS | changes, start=position)
    with pytest.raises(ValueError, match=r"position to resume at .* is of other features"):
        BatchReader(shards[:2], **ARGUMENTS, start=position)


def test_nothing_to_read_is_refused(shards: list[Path]) -> None:
    with pytest.raises(ValueError, match=r"no row of split benchmark has an assistant turn within 20 tokens"):
        BatchReader(shards, **ARGUMENTS | {"split": "benchmark"})


def test_a_damaged_block_ends_the_iteration_with_its_shard_s_name(shards: list[Path]) -> None:
    whole = bytearray(shards[1].read_bytes())
    aux = make_row("1-3", 30, ((1, 30),)).aux.view(torch.uint8).numpy().tobytes()
    whole[whole.index(aux) + 1000] ^= 4
    shards[1].write_bytes(whole)
    with (
        BatchReader(shards, **ARGUMENTS) as reader,
        pytest.raises(SchemaError, match=r"shard-1\.arrow: damaged .* block 1 does not match"),
    ):
        list(islice(reader, 100))


def test_shards_of_two_targets_are_refused(shards: list[Path], tmp_path: Path) -> None:
    other = META.__class__("bf16", META.hidden_size, META.aux_layer_ids, "sha256:another")
    write_shard(tmp_path / "other.arrow", [make_row("x", 5, ((1, 5),))], other)
    with pytest.raises(SchemaError, match=r"other\.arrow: features of .*sha256:another.* but .*shard-0"):
        BatchReader([*shards, tmp_path / "other.arrow"], **ARGUMENTS)


def test_reading_ahead_stops_at_its_bound_and_with_the_reader(
    shards: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    read_block = Shard.read_block
    monkeypatch.setattr(Shard, "read_block", lambda self, block: read.append(block) or read_block(self, block))
    before = threading.active_count()
    with BatchReader(shards, **ARGUMENTS, prefetch_batches=1) as reader:
        next(reader)
        threading.Event().wait(0.5)
        # 40 buffered tokens, then three batches of at most 24: the one given out, one ready, one waiting for room
        assert len(read) <= 12
    assert threading.active_count() == before
    with pytest.raises(StopIteration):
        next(reader)


class _Row:
    def __init__(self, num_tokens: int) -> None:
        self.num_tokens = num_tokens


def test_the_shuffle_buffer_never_holds_more_than_its_tokens() -> None:
    held, peak = 0, 0

    def rows() -> Any:
        nonlocal held, peak
        for index in range(500):
            row = _Row(1 + index % 7)
            held += row.num_tokens
            yield row

    for row in shuffled(rows(), 50, seed=1, epoch=0):
        peak = max(peak, held)
        held -= row.num_tokens
    assert held == 0
    assert peak <= 50 + 7  # and the one that waits to enter


def test_shards_are_read_one_after_the_other_and_blocks_in_order() -> None:
    order = block_order([3, 2, 4], seed=1, epoch=0)
    assert sorted(order) == [(shard, block) for shard, count in enumerate([3, 2, 4]) for block in range(count)]
    visited = list(dict.fromkeys(shard for shard, _ in order))
    assert order == [(shard, block) for shard in visited for block in range([3, 2, 4][shard])]
    assert len({tuple(block_order([1] * 6, seed=1, epoch=epoch)) for epoch in range(5)}) > 1


def test_a_batch_ends_before_the_row_that_does_not_fit() -> None:
    rows = [_Row(length) for length in (5, 12, 7, 30, 9, 4, 16, 4, 15, 5, 20)]
    batches = [[row.num_tokens for row in batch] for batch in cut_batches(rows, 20)]
    assert batches == [[5, 12], [7], [30], [9, 4], [16, 4], [15, 5], [20]]  # the last three are full to the token


def test_rows_are_decoded_where_training_runs(tmp_path: Path) -> None:
    rows = [make_row(str(index), length, ((1, length),)) for index, length in enumerate(LENGTHS)]
    write_shard(tmp_path / "shard.arrow", rows, replace(META, encoding="int4"))
    for device in map(torch.device, ("cpu", "meta")):  # what meta is given is not looked at, so nothing else decoded it
        with BatchReader([tmp_path / "shard.arrow"], **ARGUMENTS, device=device) as reader:
            for row in next(reader):
                assert {row.aux.device, row.teachers.device} == {device}
                assert row.aux.shape == (len(row.input_ids), 3 * META.hidden_size)
                assert row.teachers.shape == (len(teacher_positions(row.spans)), META.hidden_size)
