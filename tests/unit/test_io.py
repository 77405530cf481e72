"""Atomic writes, digests, and documents that are checked both ways."""

import io
import os
import stat
from pathlib import Path

import pytest

from eyrie import io as eyrie_io
from eyrie.io import (
    atomic_path,
    canonical_json,
    expand,
    path_digest,
    private_folder,
    read_json,
    read_json_object,
    read_jsonl,
    write_json,
)
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


def test_a_private_folder_is_closed_to_others_even_where_it_was_open(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir(mode=0o777)
    for folder in (there, tmp_path / "not/yet"):
        assert stat.S_IMODE(private_folder(folder).stat().st_mode) == 0o700


def test_a_missing_document_and_a_file_that_holds_no_object_are_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"nowhere\.json: no such file$"):
        read_json(tmp_path / "nowhere.json", VocabMetrics)
    path = tmp_path / "config.json"
    with pytest.raises(FileNotFoundError):
        read_json_object(path)
    for text, said in (("[1]", "expected one JSON object, found list"), ('{"a"', "cannot be read as JSON: ")):
        path.write_text(text)
        with pytest.raises(ValueError, match=rf"config\.json: {said}"):
            read_json_object(path)


def test_a_path_without_a_wildcard_is_itself_and_a_glob_is_what_is_there_in_order(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", "c.txt"):
        (tmp_path / name).touch()
    assert expand(str(tmp_path / "none.jsonl")) == [tmp_path / "none.jsonl"]
    assert expand(str(tmp_path / "*.jsonl")) == [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    with pytest.raises(ValueError, match=r"a\*\*\*b"):
        expand(f"{tmp_path}/**a***b/**x")
