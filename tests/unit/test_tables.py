"""Arrow tables that are checked both ways and appear whole or not at all."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eyrie.schemas import SchemaError
from eyrie.tables import (
    PROMPTS,
    ROW_GROUP_ROWS,
    TableWriter,
    check_prompt_row,
    check_response_row,
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


@pytest.mark.parametrize(
    ("starts", "ends"),
    [([3], [3]), ([4], [3]), ([2, 4], [5, 6]), ([4, 2], [6, 3]), ([2], [8]), ([-1], [2])],
    ids=["empty", "backwards", "overlapping", "out of order", "past the end", "before the start"],
)
def test_an_assistant_span_that_is_none_is_not_written(starts: list[int], ends: list[int]) -> None:
    row: dict[str, Any] = {"prompt_id": "a", "row_index": 1, "input_ids": [*range(7)]}
    check_response_row({**row, "span_starts": [0, 3], "span_ends": [3, 7]})
    with pytest.raises(SchemaError, match=r"^response a/1: span \(-?\d, \d\) is out of order or outside the 7 tokens$"):
        check_response_row({**row, "span_starts": starts, "span_ends": ends})


def test_answers_that_are_not_one_to_a_turn_are_not_written() -> None:
    two: dict[str, Any] = {**ROW, "turns": ["hello", "and?"]}
    for answers in ([], ["hi", "more"]):
        check_prompt_row({**two, "answers": answers})
    with pytest.raises(SchemaError, match=r"^prompt a: 1 answers to 2 turns; one each, or none$"):
        check_prompt_row({**two, "answers": ["hi"]})
