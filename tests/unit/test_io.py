"""Atomic writes, digests, and tables and documents that are checked both ways."""

import io
import os
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eyrie import io as eyrie_io
from eyrie.io import (
    ROW_GROUP_ROWS,
    TableWriter,
    atomic_path,
    canonical_json,
    count_rows,
    path_digest,
    read_batches,
    read_json,
    read_jsonl,
    read_table,
    write_json,
    write_table,
)
from eyrie.schemas import PROMPTS, SchemaError, VocabMetrics, check_prompt_row

ROW = {
    "prompt_id": "a",
    "source": "s",
    "workload": "chat",
    "split": "train",
    "system": "",
    "turns": ["hello"],
    "answers": [],
}
VOCAB = VocabMetrics(vocab_size=10, draft_vocab_size=4, coverage_train=0.9, coverage_heldout=0.8, digest="d")


def test_a_failed_write_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_written_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        eyrie_io.write_text(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_the_digest_of_a_folder_sees_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = path_digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    second = path_digest(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({first, second, path_digest(tmp_path)}) == 3


def test_equal_values_have_one_spelling() -> None:
    assert canonical_json({"b": 1, "a": [1, 2]}) == canonical_json({"a": [1, 2], "b": 1}) == '{"a":[1,2],"b":1}'


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


def test_a_document_comes_back_as_written(tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", VOCAB)
    assert read_json(tmp_path / "m.json", VocabMetrics) == VOCAB


@pytest.mark.parametrize("text", ["", "{", '{"vocab_size": 1}', "[]"])
def test_a_damaged_document_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(SchemaError, match=r"m\.json: no VocabMetrics"):
        read_json(path, VocabMetrics)


def test_a_damaged_line_is_named_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    eyrie_io.write_jsonl(path, [VOCAB, VOCAB])
    assert read_jsonl(path, VocabMetrics) == [VOCAB, VOCAB]
    path.write_text(path.read_text() + '{"vocab')
    with pytest.raises(SchemaError, match=r"m\.jsonl:3: "):
        read_jsonl(path, VocabMetrics)


def test_progress_in_a_pipe_writes_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with eyrie_io.progress(3, desc="work", unit="rows") as bar:
        bar.start_t -= 2  # as if it had taken a while: what ends at once prints nothing
        bar.update(3)
    assert "\r" not in stream.getvalue()
    assert stream.getvalue().splitlines()[-1].startswith("work: 100%")
