"""Arrow tables that are checked both ways and appear whole or not at all."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eyrie.schemas import SchemaError
from eyrie.tables import (
    PROMPTS,
    ROW_GROUP_ROWS,
    TableWriter,
    check_prompt_row,
    count_rows,
    read_batches,
    read_table,
    write_table,
)

ROW = {
    "prompt_id": "a",
    "source": "s",
    "workload": "chat",
    "split": "train",
    "system": "",
    "turns": ["hello"],
    "answers": [],
}


def test_a_table_comes_back_as_written_and_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_table(tmp_path / name, [ROW], PROMPTS, check_prompt_row)
    assert read_table(tmp_path / "one", PROMPTS) == [ROW]
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_table_written_in_pieces_has_the_same_bytes_and_is_read_in_batches(tmp_path: Path) -> None:
    rows = [ROW | {"prompt_id": str(number)} for number in range(ROW_GROUP_ROWS + 10)]
    write_table(tmp_path / "whole", rows, PROMPTS, check_prompt_row)
    with TableWriter(tmp_path / "pieces", PROMPTS, check_prompt_row) as table:
        for start in range(0, len(rows), 999):
            table.write(rows[start : start + 999])
    assert (tmp_path / "pieces").read_bytes() == (tmp_path / "whole").read_bytes()
    batches = list(read_batches(tmp_path / "whole", PROMPTS, batch_rows=1000))
    assert max(map(len, batches)) == 1000
    assert [row for batch in batches for row in batch] == rows
    assert count_rows(tmp_path / "whole", PROMPTS) == len(rows)


def test_an_unfinished_table_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("old")

    def write_some() -> None:
        with TableWriter(path, PROMPTS, check_prompt_row) as table:
            table.write([ROW] * (ROW_GROUP_ROWS + 1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_some()
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_table_without_rows_is_still_a_table(tmp_path: Path) -> None:
    write_table(tmp_path / "t", [], PROMPTS, check_prompt_row)
    assert read_table(tmp_path / "t", PROMPTS) == []
    assert count_rows(tmp_path / "t", PROMPTS) == 0


def test_a_row_without_text_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="non-empty user turn"):
        write_table(tmp_path / "t", [ROW | {"turns": [" "]}], PROMPTS, check_prompt_row)
    assert [*tmp_path.iterdir()] == []


def test_a_truncated_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, [ROW], PROMPTS, check_prompt_row)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SchemaError, match=r"t\.parquet: damaged"):
        read_table(path, PROMPTS)


def test_a_table_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    foreign = PROMPTS.with_metadata({b"eyrie.table": b"prompts", b"eyrie.version": b"0"})
    pq.write_table(pa.Table.from_pylist([ROW], schema=foreign), path)
    with pytest.raises(SchemaError, match="schema version 1"):
        read_table(path, PROMPTS)
