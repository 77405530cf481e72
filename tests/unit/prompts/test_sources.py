import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from eyrie.params import Source
from eyrie.prompts.hub import HubError
from eyrie.prompts.sources import MAX_ROW_BYTES, BadRow, Row, SourceError, _Unzstd, read_rows

REVISION = "a" * 40
BASE = {
    "name": "logs",
    "path": None,
    "hub": None,
    "hub_config": None,
    "revision": None,
    "hub_split": None,
    "turns": "text",
    "column": "text",
    "workload": "chat",
    "workload_column": None,
    "split": "train",
    "license": "mit",
    "license_override": None,
    "keep_answers": None,
}


def source(path: Path | str) -> Source:
    return Source.model_validate({**BASE, "path": str(path)})


def values(origin: Source) -> list[Any]:
    return [row.value for row in read_rows(origin, ["text"])]


def test_jsonl_rows_come_in_order_and_bad_lines_are_named(tmp_path: Path) -> None:
    lines = [
        b"",
        b'{"text": "a"}',
        b" ",
        b"{oops",
        b'{"text": "\xff"}',
        b'"just text"',
        b"[" * 100_000,
        b'{"text": "b"}',
    ]
    (tmp_path / "x.jsonl").write_bytes(b"\r\n".join([*lines, b"", b""]))
    assert list(read_rows(source(tmp_path / "x.jsonl"), [])) == [
        Row("x.jsonl", 1, BadRow("empty line")),
        Row("x.jsonl", 2, {"text": "a"}),
        Row("x.jsonl", 3, BadRow("empty line")),
        Row("x.jsonl", 4, BadRow("not JSON")),
        Row("x.jsonl", 5, BadRow("invalid UTF-8")),
        Row("x.jsonl", 6, "just text"),
        Row("x.jsonl", 7, BadRow("not JSON")),
        Row("x.jsonl", 8, {"text": "b"}),
    ]


def test_a_byte_order_mark_is_no_part_of_a_row(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "a"}')
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbftext\na\n")
    assert values(source(tmp_path / "x.jsonl")) == values(source(tmp_path / "x.csv")) == [{"text": "a"}]


@pytest.mark.parametrize("size", [MAX_ROW_BYTES + 1, 5_000_000, 3 * MAX_ROW_BYTES])
def test_a_line_without_end_is_one_malformed_row(tmp_path: Path, size: int) -> None:
    good = b'{"text": "a"}\n'
    (tmp_path / "x.jsonl").write_bytes(good + b"x" * size + b"\n" + good + b"y" * size)
    assert values(source(tmp_path / "x.jsonl")) == [{"text": "a"}, BadRow("over 4 MiB")] * 2
    (tmp_path / "x.csv").write_bytes(b"text\na\n" + b"x" * size + b"\na\n" + b"y" * size)
    assert values(source(tmp_path / "x.csv")) == [{"text": "a"}, BadRow("over 4 MiB")] * 2


def test_a_line_of_the_longest_size_is_read(tmp_path: Path) -> None:
    text = "x" * (MAX_ROW_BYTES - len('{"text": ""}\n'))
    (tmp_path / "x.jsonl").write_text(json.dumps({"text": text}) + "\n" + json.dumps({"text": text + "x"}) + "\n")
    assert values(source(tmp_path / "x.jsonl")) == [{"text": text}, BadRow("over 4 MiB")]


def test_an_open_quote_costs_a_bounded_part_of_a_csv_file(tmp_path: Path) -> None:
    lines = [b"text", b"a", b'"open', *[b"row"] * (MAX_ROW_BYTES // 2)]
    (tmp_path / "x.csv").write_bytes(b"\n".join(lines))
    found = values(source(tmp_path / "x.csv"))
    assert found[:2] == [{"text": "a"}, BadRow("not CSV")]
    assert len(found) > MAX_ROW_BYTES // 8


def test_memory_does_not_depend_on_how_well_a_file_is_packed() -> None:
    packed = io.BytesIO(zstandard.compress(b"x" * (200 << 20)))
    assert 1 << 20 <= len(_Unzstd(packed).read(1 << 20)) < 40 << 20


@pytest.mark.parametrize(("name", "pack"), [("x.jsonl.gz", gzip.compress), ("x.jsonl.zst", zstandard.compress)])
def test_compressed_lines_are_read_and_a_damaged_file_is_one_sentence(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(b"".join(json.dumps({"text": f"number {number}"}).encode() + b"\n" for number in range(999)))
    (tmp_path / name).write_bytes(packed)
    assert len(values(source(tmp_path / name))) == 999
    (tmp_path / name).write_bytes(packed * 2)  # files put one after the other are one file
    assert len(values(source(tmp_path / name))) == 1998
    (tmp_path / name).write_bytes(packed[: len(packed) // 2])
    with pytest.raises(SourceError, match=f"source logs: .*{name}: cannot be read: ") as caught:
        values(source(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_csv_cells_may_hold_newlines_and_bad_rows_are_named(tmp_path: Path) -> None:
    long = "x" * 200_000
    text = f'text,workload\n"a, ""b""\nc",chat\none,two,three\n\xff,chat\n{long},chat\n\nalone\n"open,chat\n'
    (tmp_path / "x.csv").write_bytes(text.encode("latin-1"))
    assert values(source(tmp_path / "x.csv")) == [
        {"text": 'a, "b"\nc', "workload": "chat"},
        BadRow("more cells than columns"),
        BadRow("invalid UTF-8"),
        {"text": long, "workload": "chat"},
        BadRow("empty line"),
        BadRow("fewer cells than columns"),
        BadRow("not CSV"),
    ]


@pytest.mark.parametrize(
    ("record", "reasons"),
    [
        ('"He said \\"hi\\" to me\nthen left","answer \\"x\\"\nline two, of the answer\nend"\n', ["not CSV"] * 4),
        ('"ask","long\n' + "x" * (MAX_ROW_BYTES + 1) + '\nanswer,of it\nmore"\n', ["over 4 MiB", *["not CSV"] * 2]),
        ('"ask","long\n' + '""' * MAX_ROW_BYTES + '"\n', ["over 4 MiB"]),
    ],
)
def test_no_piece_of_a_broken_csv_record_passes_for_a_record(tmp_path: Path, record: str, reasons: list[str]) -> None:
    (tmp_path / "x.csv").write_text("text,answer\n" + record + '"fine","a ""b"""\n')
    fine = {"text": "fine", "answer": 'a "b"'}
    assert values(source(tmp_path / "x.csv")) == [*map(BadRow, reasons), fine]


def test_a_quote_inside_a_csv_cell_costs_no_later_record(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('text,size\na screen,5"\n"a"b,c\nfine,1\n')
    assert values(source(tmp_path / "x.csv")) == [
        {"text": "a screen", "size": '5"'},
        BadRow("not CSV"),
        {"text": "fine", "size": "1"},
    ]


def test_empty_lines_before_a_csv_header_are_none(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("\r\n\ntext\na\n")
    assert values(source(tmp_path / "x.csv")) == [{"text": "a"}]


def test_a_csv_header_with_the_column_twice_is_refused_and_not_read_from_the_last(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,workload,text\none,chat,two\n")
    with pytest.raises(SourceError, match=r"^source logs: .*/x\.csv: the header has the column 'text' 2 times; which"):
        values(source(tmp_path / "x.csv"))


def test_csv_columns_that_nobody_reads_may_share_a_name(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,,\none,two,three\n")
    assert [value["text"] for value in values(source(tmp_path / "x.csv"))] == ["one"]


def test_a_table_with_the_column_twice_is_refused_and_not_read_from_the_last(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["one"]), pa.array(["two"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(
        SourceError, match=r"^source logs: .*/x\.parquet: the header has the column 'text' 2 times; which"
    ):
        values(source(tmp_path / "x.parquet"))


def test_parquet_rows_are_streamed_and_bad_text_is_named(tmp_path: Path) -> None:
    raw = pa.array([b"a", b"\xff", b"c"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    pq.write_table(pa.table({"text": text}), tmp_path / "x.parquet")
    assert values(source(tmp_path / "x.parquet")) == [{"text": "a"}, BadRow("invalid UTF-8"), {"text": "c"}]


def test_a_glob_reads_files_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"part-{name}.jsonl").write_text(json.dumps({"text": name}))
    assert values(source(tmp_path / "part-*.jsonl")) == [{"text": "a"}, {"text": "b"}]


def test_a_glob_looks_into_linked_folders(tmp_path: Path) -> None:
    elsewhere = tmp_path / "volume"
    for day, folder in (("1", tmp_path / "logs/day-1"), ("2", elsewhere)):
        folder.mkdir(parents=True)
        (folder / "part.jsonl").write_text(json.dumps({"text": day}))
    (tmp_path / "logs/day-2").symlink_to(elsewhere)
    assert values(source(tmp_path / "logs/*/part.jsonl")) == [{"text": "1"}, {"text": "2"}]


def test_object_storage_addresses_are_read_like_files() -> None:
    with fsspec.open("memory://bucket/part-1.jsonl", "wb") as handle:
        handle.write(b'{"text": "far away"}\n')
    assert values(source("memory://bucket/part-*.jsonl")) == [{"text": "far away"}]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.jsonl", "source logs: no file matches .*nowhere.jsonl"),
        ("none-*.jsonl", r"source logs: no file matches .*none-\*.jsonl"),
        ("notes.txt", r"notes.txt: expected a name ending in .jsonl, .parquet, .csv; JSONL and CSV may be"),
        ("broken.parquet", "broken.parquet: not a Parquet file"),
    ],
)
def test_an_unusable_path_is_one_sentence(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "broken.parquet").write_text("hello")
    with pytest.raises(SourceError, match=message) as caught:
        values(source(tmp_path / path))
    assert "\n" not in str(caught.value)


def test_an_unknown_protocol_is_one_sentence() -> None:
    with pytest.raises(SourceError, match=r"source logs: nope://x.jsonl: cannot be opened"):
        values(source("nope://x.jsonl"))


def hub_source() -> Source:
    return Source.model_validate(
        {**BASE, "hub": "org/set", "hub_config": "small", "revision": REVISION, "hub_split": "train"}
    )


def test_a_hub_dataset_is_streamed_at_its_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, Any] = {}

    def load_dataset(name: str, config: str, **options: Any) -> list[dict[str, str]]:
        calls.update(options, name=name, config=config)
        return [{"text": "a"}]

    monkeypatch.setitem(__import__("sys").modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    assert values(hub_source()) == [{"text": "a"}]
    assert calls == {"name": "org/set", "config": "small", "revision": REVISION, "split": "train", "streaming": True}


def test_a_hub_dataset_that_cannot_be_read_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_: object, **__: object) -> None:
        raise ConnectionError("offline\nand a long story")

    monkeypatch.setitem(__import__("sys").modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    with pytest.raises(
        HubError, match=r"source logs: org/set at a{40}: cannot read split train: ConnectionError: offline$"
    ):
        values(hub_source())


def test_malformed_rows_of_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.jsonl").write_text("{")
    rows = list(read_rows(source(tmp_path / "*/train.jsonl"), []))
    assert [(row.file, row.number) for row in rows] == [("a/train.jsonl", 1), ("b/train.jsonl", 1)]
    [row] = read_rows(source(tmp_path / "a/*.jsonl"), [])
    assert row.file == "train.jsonl"
