import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eyrie.params import Source
from eyrie.prompts.hub import HubError
from eyrie.prompts.sources import BadRow, SourceError, read_rows

BASE = {
    "name": "logs",
    "path": None,
    "hub": None,
    "revision": None,
    "hub_split": None,
    "turns": "text",
    "column": "text",
    "workload": "chat",
    "split": "train",
    "license": "mit",
    "license_override": None,
}


def source(path: Path | str) -> Source:
    return Source.model_validate({**BASE, "path": str(path)})


def test_jsonl_rows_come_in_order_and_bad_lines_are_named(tmp_path: Path) -> None:
    lines = [b'{"text": "a"}', b"", b"{oops", b'{"text": "\xff"}', b'"just text"', b"[" * 100_000, b'{"text": "b"}']
    (tmp_path / "x.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))
    assert list(read_rows(source(tmp_path / "x.jsonl"))) == [
        {"text": "a"},
        BadRow("not JSON"),
        BadRow("invalid UTF-8"),
        "just text",
        BadRow("not JSON"),
        {"text": "b"},
    ]


def test_csv_cells_may_hold_newlines_and_bad_rows_are_named(tmp_path: Path) -> None:
    long = "x" * 200_000
    text = f'text,workload\n"a, ""b""\nc",chat\none,two,three\n\xff,chat\n{long},chat\n'
    (tmp_path / "x.csv").write_bytes(text.encode("latin-1"))
    assert list(read_rows(source(tmp_path / "x.csv"))) == [
        {"text": 'a, "b"\nc', "workload": "chat"},
        BadRow("more cells than columns"),
        BadRow("invalid UTF-8"),
        {"text": long, "workload": "chat"},
    ]


def test_parquet_rows_are_streamed_and_bad_text_is_named(tmp_path: Path) -> None:
    raw = pa.array([b"a", b"\xff", b"c"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    pq.write_table(pa.table({"text": text}), tmp_path / "x.parquet")
    assert list(read_rows(source(tmp_path / "x.parquet"))) == [{"text": "a"}, BadRow("invalid UTF-8"), {"text": "c"}]


def test_a_glob_reads_files_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"part-{name}.jsonl").write_text(json.dumps({"text": name}))
    assert list(read_rows(source(tmp_path / "part-*.jsonl"))) == [{"text": "a"}, {"text": "b"}]


def test_object_storage_addresses_are_read_like_files() -> None:
    with fsspec.open("memory://bucket/part-1.jsonl", "wb") as handle:
        handle.write(b'{"text": "far away"}\n')
    assert list(read_rows(source("memory://bucket/part-*.jsonl"))) == [{"text": "far away"}]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.jsonl", "source logs: no file matches .*nowhere.jsonl"),
        ("none-*.jsonl", r"source logs: no file matches .*none-\*.jsonl"),
        ("notes.txt", r"notes.txt: expected a name ending in .jsonl, .parquet, .csv"),
        ("broken.parquet", "broken.parquet: not a Parquet file"),
    ],
)
def test_an_unusable_path_is_one_sentence(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "broken.parquet").write_text("hello")
    with pytest.raises(SourceError, match=message) as caught:
        list(read_rows(source(tmp_path / path)))
    assert "\n" not in str(caught.value)


def test_an_unknown_protocol_is_one_sentence() -> None:
    with pytest.raises(SourceError, match=r"source logs: nope://x.jsonl: cannot be opened"):
        list(read_rows(source("nope://x.jsonl")))


def hub_source() -> Source:
    return Source.model_validate({**BASE, "hub": "org/set", "revision": "abc123", "hub_split": "train"})


def test_a_hub_dataset_is_streamed_at_its_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, Any] = {}

    def load_dataset(name: str, **options: Any) -> list[dict[str, str]]:
        calls.update(options, name=name)
        return [{"text": "a"}]

    monkeypatch.setitem(__import__("sys").modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    assert list(read_rows(hub_source())) == [{"text": "a"}]
    assert calls == {"name": "org/set", "revision": "abc123", "split": "train", "streaming": True}


def test_a_hub_dataset_that_cannot_be_read_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_: object, **__: object) -> None:
        raise ConnectionError("offline\nand a long story")

    monkeypatch.setitem(__import__("sys").modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    with pytest.raises(
        HubError, match=r"source logs: org/set at abc123: cannot read split train: ConnectionError: offline$"
    ):
        list(read_rows(hub_source()))
