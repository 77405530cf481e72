"""Atomic writes, digests, and documents that are checked both ways."""

import io
import os
import stat
from pathlib import Path

import pytest

from eyrie import io as eyrie_io
from eyrie.io import atomic_path, canonical_json, path_digest, read_json, read_jsonl, write_json
from eyrie.schemas import SchemaError, VocabMetrics

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


def test_the_digest_of_a_folder_is_the_same_whatever_git_does_in_it(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("1")
    before = path_digest(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/index").write_text("git status writes here")
    (tmp_path / "submodule").mkdir()
    (tmp_path / "submodule/.git").write_text("gitdir: ../.git")
    assert path_digest(tmp_path) == before
    (tmp_path / "submodule/weights").write_text("2")
    assert path_digest(tmp_path) != before


def test_equal_values_have_one_spelling() -> None:
    assert canonical_json({"b": 1, "a": [1, 2]}) == canonical_json({"a": [1, 2], "b": 1}) == '{"a":[1,2],"b":1}'


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
