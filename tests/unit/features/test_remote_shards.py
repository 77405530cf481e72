"""Shards in a bucket are streamed over HTTP as from a disk: the same batches, and the same refusals."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import gcsfs
import pytest
import torch

from eyrie.features.reader import BatchReader
from eyrie.features.rows import FeatureRow
from eyrie.features.store import Shard, entry_of, new_shard
from eyrie.schemas import SchemaError
from tests.services.gcs import gcs_file_system
from tests.unit.features.made_up import META, make_row

ADDRESS = "gs://features/run-1/shard-{}.arrow"
ARGUMENTS: dict[str, Any] = {
    "split": "train", "seed": 3, "batch_tokens": 24, "max_sequence_tokens": 20, "shuffle_tokens": 40,
}  # fmt: skip


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with gcs_file_system("features", monkeypatch) as files:
        yield files


def _rows(shard: int) -> list[FeatureRow]:
    return [make_row(f"{shard}-{index}", 4 + 5 * index, ((1, 4 + 5 * index),)) for index in range(6)]


def _write(path: Path, rows: list[FeatureRow]) -> bytes:
    """A shard of two rows to a block; its bytes."""
    with new_shard(path, META, [entry_of(row) for row in rows], [2] * (len(rows) // 2)) as writer:
        for index in range(0, len(rows), 2):
            writer.write_block(rows[index : index + 2])
    return path.read_bytes()


def test_batches_from_a_bucket_are_those_from_a_disk(storage: Any, tmp_path: Path) -> None:
    paths = [tmp_path / f"shard-{shard}.arrow" for shard in range(2)]
    for shard, path in enumerate(paths):
        storage.pipe_file(ADDRESS.format(shard), _write(path, _rows(shard)))
    found = []
    for sources in (paths, [ADDRESS.format(shard) for shard in range(2)]):
        with BatchReader(sources, **ARGUMENTS) as reader:
            batches = list(islice(reader, 14))
            middle = reader.position
        with BatchReader(sources, **ARGUMENTS, start=middle) as resumed:
            batches += islice(resumed, 4)
        found.append(batches)
    for batch, same in zip(*found, strict=True):
        assert [row.prompt_id for row in batch] == [row.prompt_id for row in same]
        for row, other in zip(batch, same, strict=True):
            assert torch.equal(row.input_ids, other.input_ids)
            assert torch.equal(row.aux, other.aux)
    assert {row.prompt_id[0] for batch in found[0] for row in batch} == {"0", "1"}


def test_one_block_is_read_without_the_others(storage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [make_row(f"0-{index}", 400, ((1, 400),)) for index in range(8)]
    data = _write(tmp_path / "s", rows)
    storage.pipe_file(ADDRESS.format(0), data)
    asked: list[int] = []
    cat = gcsfs.core.GCSFile._fetch_range
    monkeypatch.setattr(
        gcsfs.core.GCSFile, "_fetch_range", lambda *found: asked.append(found[2] - found[1]) or cat(*found)
    )
    with Shard(ADDRESS.format(0)) as shard:
        assert [row.entry.prompt_id for row in shard.read_block(2)] == ["0-4", "0-5"]
    assert 0 < sum(asked) < len(data) / 2


@pytest.mark.parametrize("harm", ["truncated", "flipped", "foreign", "empty", "missing"])
def test_a_harmed_shard_of_a_bucket_is_refused_by_its_address(storage: Any, tmp_path: Path, harm: str) -> None:
    data = bytearray(_write(tmp_path / "s", _rows(0)))
    place = data.index(_rows(0)[3].aux.view(torch.uint8).numpy().tobytes()) + 100
    if harm == "flipped":
        data[place] ^= 1
    stored = {"truncated": data[: len(data) // 2], "foreign": b"PAR1" + bytes(500) + b"PAR1", "empty": b""}
    if harm != "missing":
        storage.pipe_file(ADDRESS.format(0), bytes(stored.get(harm, data)))
    with pytest.raises(SchemaError) as refused, BatchReader([ADDRESS.format(0)], **ARGUMENTS) as reader:
        list(islice(reader, 20))
    reason = "no such file" if harm == "missing" else "damaged or not a feature shard"
    assert str(refused.value).startswith(f"{ADDRESS.format(0)}: {reason}")
