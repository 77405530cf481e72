"""A feature shard gives back what was written or is refused by name, whatever happened to its bytes."""

import resource
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

from eyrie.features.encodings import Encoding
from eyrie.features.reader import open_shards
from eyrie.features.rows import FeatureRow
from eyrie.features.store import Shard, cut_blocks, entry_of, new_shard, read_shard, require_target, write_shard
from eyrie.schemas import SchemaError
from eyrie.tables import teacher_positions
from tests.unit.features.made_up import META, ROWS, make_row


def test_rows_come_back_exactly_and_in_order(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", ROWS, META)
    meta, rows = read_shard(tmp_path / "s")
    assert meta == META
    for row, expected in zip(rows, ROWS, strict=True):
        assert entry_of(row) == entry_of(expected)
        assert torch.equal(row.input_ids, expected.input_ids)
        assert torch.equal(row.aux, expected.aux)
        assert torch.equal(row.teachers, expected.teachers)


def test_the_last_hidden_state_is_kept_for_teachers_only() -> None:
    # Span [6, 9): row 5 drafts token 7 from token 6, row 6 drafts token 8 from token 7. Their teachers are at 6 and 7.
    assert teacher_positions([(1, 5), (6, 9)]) == [1, 2, 3, 6, 7]
    assert teacher_positions([(0, 4)]) == [1, 2]
    assert teacher_positions([(3, 4)]) == []


def test_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_shard(tmp_path / name, ROWS, META)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_shard_without_rows_can_be_written_and_read(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", [], META)
    assert read_shard(tmp_path / "s") == (META, [])


@pytest.mark.parametrize("encoding", ["bf16", "int8", "int4"])
def test_a_block_whose_rows_have_no_teacher_can_be_written_and_read(tmp_path: Path, encoding: Encoding) -> None:
    row = make_row("a", 6, ((5, 6),))  # an answer of one token
    write_shard(tmp_path / "s", [row], replace(META, encoding=encoding))
    _, (read,) = read_shard(tmp_path / "s")
    assert entry_of(read) == entry_of(row)
    assert read.aux.shape == row.aux.shape
    assert read.teachers.shape == (0, META.hidden_size)


def test_blocks_are_as_long_as_the_budget_allows() -> None:
    assert cut_blocks([3, 4, 2, 20, 1, 1], 8) == [2, 1, 1, 2]
    assert cut_blocks([], 8) == []
    assert cut_blocks([0, 9, 9], 8) == [1, 1, 1]


def test_a_writer_that_fails_or_stops_early_leaves_nothing(tmp_path: Path) -> None:
    def write(rows: Iterator[FeatureRow]) -> None:
        with new_shard(tmp_path / "s", META, [entry_of(row) for row in ROWS], [2, 2]) as writer:
            writer.write_block(list(islice(rows, 2)))
            writer.write_block(list(rows))

    def failing() -> Iterator[FeatureRow]:
        yield from ROWS[:2]
        raise RuntimeError("the target failed")

    with pytest.raises(RuntimeError, match="target"):
        write(failing())
    with (
        pytest.raises(AssertionError, match="blocks are missing"),
        new_shard(tmp_path / "s", META, [entry_of(row) for row in ROWS], [2, 2]) as writer,
    ):
        writer.write_block(ROWS[:2])
    assert list(tmp_path.iterdir()) == []


def test_blocks_are_read_one_by_one_from_an_object_store(tmp_path: Path) -> None:
    with new_shard(tmp_path / "s", META, [entry_of(row) for row in ROWS], [1, 3]) as writer:
        writer.write_block(ROWS[:1])
        writer.write_block(ROWS[1:])
    with fsspec.open("memory://features/s", "wb") as handle:
        handle.write((tmp_path / "s").read_bytes())
    with Shard("memory://features/s") as shard:
        assert [row.entry.prompt_id for row in shard.read_block(1)] == ["b", "c", "d"]
        assert torch.equal(shard.read_block(0)[0].decode().aux, ROWS[0].aux)


def test_rows_outlive_their_shard_and_writing_into_them_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", ROWS, META)
    before = (tmp_path / "s").read_bytes()
    with Shard(tmp_path / "s") as shard:
        rows = [row.decode() for row in shard.read_block(0)]
    assert torch.equal(rows[2].aux, ROWS[2].aux)
    for row in rows:
        row.aux.zero_()
        row.teachers.zero_()
    assert (tmp_path / "s").read_bytes() == before


def test_damage_on_the_way_from_an_object_store_is_noticed_at_every_read(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", ROWS, META)
    damaged = bytearray((tmp_path / "s").read_bytes())
    with fsspec.open("memory://features/s", "wb") as handle:
        handle.write(damaged)
    with Shard("memory://features/s") as shard:
        assert torch.equal(shard.read_block(0)[0].decode().aux, ROWS[0].aux)
        damaged[damaged.index(ROWS[1].aux.view(torch.uint8).numpy().tobytes())] ^= 1
        stored = fsspec.filesystem("memory").store["/features/s"]
        stored.seek(0)
        stored.write(damaged)
        with pytest.raises(SchemaError, match=r"memory://features/s: damaged .* block 0 does not match its checksum"):
            shard.read_block(0)


def test_a_block_of_another_shard_is_refused(tmp_path: Path) -> None:
    """Same target, same lengths, same place: only its hidden states are others."""
    for name, seeds in (("one", "ab"), ("two", "cd")):
        write_shard(tmp_path / name, [make_row(seed, 5, ((1, 5),)) for seed in seeds], META)
    one, two = (pa.ipc.open_file(str(tmp_path / name)) for name in ("one", "two"))
    with pa.ipc.new_file(str(tmp_path / "mixed"), one.schema) as writer:
        batch, metadata = two.get_batch_with_custom_metadata(0)
        writer.write_batch(batch, custom_metadata=metadata)
    with pytest.raises(SchemaError, match=r"mixed: damaged .* block 0 does not match its checksum"):
        read_shard(tmp_path / "mixed")


def test_the_first_tokens_of_a_row_can_be_read_alone(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", ROWS, META)
    with Shard(tmp_path / "s") as shard:
        row = shard.read_block(0)[0].decode(max_tokens=8)
    assert row.spans == ((1, 5), (6, 8))
    assert torch.equal(row.aux, ROWS[0].aux[:8])
    assert teacher_positions(row.spans) == [1, 2, 3, 6]
    assert torch.equal(row.teachers, ROWS[0].teachers[:4])


def test_a_shard_truncated_anywhere_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "shard-0000.arrow"
    write_shard(path, ROWS, META)
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(SchemaError, match=r"shard-0000\.arrow: damaged"):
            read_shard(path)


def test_a_flipped_bit_anywhere_is_refused_or_harmless(tmp_path: Path) -> None:
    """Harmless: in padding and in the copy of the schema in front, which is not read; the rows must be the same."""
    path = tmp_path / "shard-0000.arrow"
    write_shard(path, ROWS, META)
    whole, (_, expected) = path.read_bytes(), read_shard(path)
    refused = []
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            meta, rows = read_shard(path)
        except SchemaError as error:
            refused.append(str(error))
        else:
            assert meta == META
            assert [entry_of(row) for row in rows] == [entry_of(row) for row in expected]
            for row, same in zip(rows, expected, strict=True):
                assert torch.equal(row.input_ids, same.input_ids)
                assert torch.equal(row.aux, same.aux)
                assert torch.equal(row.teachers, same.teachers)
    assert all(message.startswith(f"{path}: damaged") for message in refused)
    assert len(refused) > 0.6 * len(whole)


@pytest.mark.parametrize("kind", ["safetensors", "parquet", "arrow", "newer"])
def test_a_foreign_file_is_refused_by_name(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shard-0000.arrow"
    table = pa.table({"checksum": pa.array([1], pa.uint64())})
    if kind == "safetensors":
        save_file({"weight": torch.zeros(2)}, path)
    elif kind == "parquet":
        pa.parquet.write_table(table, path)
    elif kind == "arrow":
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    else:
        with monkeypatch.context() as patch:
            patch.setattr("eyrie.features.store.STORE_VERSION", "99")
            write_shard(path, ROWS, META)
    with pytest.raises(SchemaError, match=r"shard-0000\.arrow: damaged or not a feature shard of store version"):
        read_shard(path)


def test_many_shards_open_under_a_low_limit_of_files_and_running_out_is_no_damage(tmp_path: Path) -> None:
    path, num_free = tmp_path / "shard-0000.arrow", 8
    write_shard(path, ROWS, META)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(one.name) for one in Path("/proc/self/fd").iterdir())
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + num_free, hard))
        with ExitStack() as stack:
            with suppress(OSError):
                for _ in range(highest + num_free):
                    stack.enter_context(path.open("rb"))
            with pytest.raises(SchemaError, match=r"0000\.arrow: too many files are open .*ulimit -n"):
                Shard(path)
        with ExitStack() as stack:
            assert len(open_shards([path] * (highest + num_free), stack)) == highest + num_free
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"nowhere\.arrow: no such file"):
        read_shard(tmp_path / "nowhere.arrow")


def test_rows_that_were_not_announced_are_a_bug(tmp_path: Path) -> None:
    entries = [entry_of(ROWS[0]), replace(entry_of(ROWS[1]), num_tokens=4)]
    with pytest.raises(AssertionError, match="announced"), new_shard(tmp_path / "s", META, entries, [2]) as writer:
        writer.write_block([ROWS[0], make_row("b", 3, ())])


def test_a_shard_with_fewer_blocks_than_it_announces_is_refused(tmp_path: Path) -> None:
    with new_shard(tmp_path / "s", META, [entry_of(row) for row in ROWS], [2, 2]) as writer:
        writer.write_block(ROWS[:2])
        writer.write_block(ROWS[2:])
    with pa.ipc.open_file(tmp_path / "s") as whole, pa.ipc.new_file(str(tmp_path / "half"), whole.schema) as half:
        half.write_batch(whole.get_batch(0))
    with pytest.raises(SchemaError, match=r"half: damaged or not a feature shard .*: blocks are missing"):
        Shard(tmp_path / "half")


@pytest.mark.parametrize(
    "other", [{"hidden_size": 64}, {"aux_layer_ids": (1, 3, 5)}, {"aux_layer_ids": ()}, {"target_revision": "other"}]
)
def test_features_of_another_target_are_refused_with_what_differs(other: dict[str, Any]) -> None:
    own = {
        "hidden_size": META.hidden_size,
        "aux_layer_ids": META.aux_layer_ids,
        "target_revision": META.target_revision,
    }
    require_target("s", META, **own)
    with pytest.raises(SchemaError, match=r"^s: features of hidden size .* run extract_features again$"):
        require_target("s", META, **{**own, **other})
