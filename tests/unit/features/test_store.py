"""A feature shard comes back exactly as written, and a damaged or foreign one is named."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from eyrie.features.store import FeatureRow, ShardMeta, read_shard, write_shard
from eyrie.schemas import SchemaError

META = ShardMeta("bf16", 4, (1, 3, 4))


def _row(name: str, length: int, spans: tuple[tuple[int, int], ...]) -> FeatureRow:
    generator = torch.Generator().manual_seed(length)
    return FeatureRow(
        prompt_id=name,
        workload="chat",
        split="train",
        input_ids=torch.arange(length),
        aux=torch.randn(length, 12, generator=generator).bfloat16(),
        last=torch.randn(length, 4, generator=generator).bfloat16(),
        spans=spans,
    )


ROWS = [_row("a", 5, ((1, 3), (4, 5))), _row("b", 3, ()), _row("c", 7, ((2, 7),))]


def test_rows_come_back_exactly_and_in_order(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", ROWS, META)
    meta, rows = read_shard(tmp_path / "s")
    assert meta == META
    for row, expected in zip(rows, ROWS, strict=True):
        assert (row.prompt_id, row.split, row.spans) == (expected.prompt_id, expected.split, expected.spans)
        for name in ("input_ids", "aux", "last"):
            assert torch.equal(getattr(row, name), getattr(expected, name))


def test_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_shard(tmp_path / name, ROWS, META)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_shard_without_rows_can_be_written_and_read(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", [], META)
    assert read_shard(tmp_path / "s") == (META, [])


def test_a_truncated_shard_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shard-0000.safetensors"
    write_shard(path, ROWS, META)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(SchemaError, match=r"shard-0000\.safetensors: damaged"):
        read_shard(path)


def test_a_foreign_shard_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "s")
    with pytest.raises(SchemaError, match="not a feature shard"):
        read_shard(tmp_path / "s")
