import gzip
import json
import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyrie.params import SelectPrompts, Source
from eyrie.prompts.reading import Malformed, Prompt, Prompts, Reading, read_prompts
from eyrie.prompts.sources import SourceError
from eyrie.prompts.spill import Spill
from tests.conftest import raw_params
from tests.unit.prompts.test_sources import BASE


def config(path: Path, **changes: Any) -> SelectPrompts:
    source = BASE | {"path": str(path)} | changes.pop("source", {})
    return SelectPrompts.model_validate(raw_params()["select_prompts"] | {"sources": [source]} | changes)


def read(params: SelectPrompts) -> tuple[list[Prompt], Malformed]:
    malformed = Malformed()
    return list(read_prompts(params.sources[0], params, malformed)), malformed


ODD_ROWS = [
    (b"{oops", "not JSON"),
    (b"[1, 2]", "not an object"),
    (b'{"text": 7}', "text of another type"),
    (b'{"other": "x"}', "missing column"),
    (b'{"text": "\xff"}', "invalid UTF-8"),
    (b"", "empty line"),
    (b'{"text": ""}', "empty user turn"),
    (b'{"text": "' + b"x" * 5_000_000 + b'"}', "over 4 MiB"),
    (b'{"text": "a\\ud800"}', "lone surrogate"),
    (b'{"text": "a\\u0000b"}', "null byte"),
]


def test_every_malformed_row_is_counted_and_listed_by_number(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [row for bad, _ in ODD_ROWS for row in (b'{"text": "fine"}', bad)]
    (tmp_path / "x.jsonl").write_bytes(b"\n".join([*rows, '{"text": "مرحبا"}'.encode()]))
    with caplog.at_level(logging.WARNING):
        prompts, malformed = read(config(tmp_path / "x.jsonl"))
    assert len(prompts) == len(ODD_ROWS) + 1
    assert malformed.rows == [("logs", "x.jsonl", 2 * at + 2, reason) for at, (_, reason) in enumerate(ODD_ROWS)]
    assert malformed.reasons == {reason: 1 for _, reason in ODD_ROWS}
    assert "10 malformed rows" in caplog.text
    assert "oops" not in caplog.text


def test_malformed_rows_can_be_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n{oops\n{"text": 3}\n')
    expected = (
        r"source logs: 2 malformed rows \(not JSON: 1, .*\), the first at x.jsonl row 2, x.jsonl row 3; .*'refuse'$"
    )
    with pytest.raises(SourceError, match=expected):
        read(config(tmp_path / "x.jsonl", malformed_rows="refuse"))


def test_a_bounded_number_of_malformed_rows_is_listed(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n' + "{oops\n" * 1000)
    _, malformed = read(config(tmp_path / "x.jsonl"))
    assert malformed.reasons.total() == 1000
    assert len(malformed.rows) == 100


def test_system_prompts_are_kept_or_left_and_the_general_one_goes_first(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "Own."}, {"role": "user", "content": "hi"}]
    (tmp_path / "x.jsonl").write_text(json.dumps({"text": messages}))
    source = {"turns": "messages"}
    for changes, expected in (
        ({"keep_system_prompts": True, "system_prompt": None}, "Own."),
        ({"keep_system_prompts": True, "system_prompt": "All."}, "All.\n\nOwn."),
        ({"keep_system_prompts": False, "system_prompt": "All."}, "All."),
        ({"keep_system_prompts": False, "system_prompt": None}, ""),
    ):
        [prompt], _ = read(config(tmp_path / "x.jsonl", source=source, **changes))
        assert prompt.system == expected


def test_the_workload_may_be_in_any_column(tmp_path: Path) -> None:
    tasks = ["code", "support_tickets", "Two words", ["chat"], "all"]
    rows = [{"text": "a", "task": task} for task in tasks]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    prompts, malformed = read(config(tmp_path / "x.jsonl", source={"workload": None, "workload_column": "task"}))
    assert [prompt.workload for prompt in prompts] == ["code", "support_tickets"]
    assert malformed.reasons == {"the workload is no name of at most 32 of a-z, 0-9 and _": 3}


def test_a_table_is_read_with_the_column_of_its_workloads(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "task": ["code", "math"], "user": ["u", "v"]}), tmp_path / "x.parquet")
    prompts, _ = read(config(tmp_path / "x.parquet", source={"workload": None, "workload_column": "task"}))
    assert [(prompt.workload, prompt.turns) for prompt in prompts] == [("code", ["a"]), ("math", ["b"])]


def test_a_column_of_something_else_is_no_workload(tmp_path: Path) -> None:
    rows = [{"text": f"prompt {number}", "task": f"conversation_{number}"} for number in range(101)]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with (
        Spill(tmp_path / "spill") as spill,
        pytest.raises(SourceError, match=r"more than 100 workloads; does column task"),
    ):
        Reading(Prompts(spill)).read(
            config(tmp_path / "x.jsonl", source={"workload": None, "workload_column": "task"}), lambda: None
        )


def test_a_column_of_something_else_is_no_workload_of_a_sample_either(tmp_path: Path) -> None:
    """Every one would be named in the metrics, the report and the log, and users are such a column."""
    rows = [{"text": f"prompt {number}", "user": f"user_{number}"} for number in range(101)]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    given = config(tmp_path / "x.jsonl", source={"workload": None, "workload_column": "user"})
    with pytest.raises(SourceError, match=r"more than 100 workloads; does column user"):
        list(read_prompts(given.sources[0], given, Malformed()))


def test_conversations_over_a_bound_are_left_out(tmp_path: Path) -> None:
    turns = [[{"role": "user", "content": "x" * size}] * count for size, count in ((1, 3), (1, 4), (9, 1), (10, 1))]
    (tmp_path / "x.jsonl").write_text("\n".join(json.dumps({"text": messages}) for messages in turns))
    params = config(tmp_path / "x.jsonl", source={"turns": "messages"}, max_turns=3, max_chars=9, system_prompt=None)
    with Spill(tmp_path / "spill") as spill:
        reading = Reading(Prompts(spill))
        reading.read(params, lambda: None)
        assert [reading.prompts[number].turns for number in range(len(reading.prompts))] == [["x"] * 3, ["x" * 9]]
    assert reading.too_long == {"longer than max_chars": 1, "more turns than max_turns": 1}


LINES = st.lists(
    st.binary(max_size=12)
    | st.sampled_from(
        [b'{"text": "a"}', b'{"text": null}', b'"', b'a,"b', b"\xff", b"\0", b" ", b'{"text": "\\udc00"}']
    ),
    max_size=8,
)


@given(lines=LINES, name=st.sampled_from(["x.jsonl", "x.csv", "x.jsonl.gz"]))
def test_any_bytes_give_prompts_malformed_rows_or_one_sentence(lines: list[bytes], name: str) -> None:
    data = b"text,note\n" * name.endswith(".csv") + b"\n".join(lines)
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        params = config(path)
        malformed = Malformed()
        try:
            prompts = list(read_prompts(params.sources[0], params, malformed))
        except SourceError as error:
            prompts = []
            message = str(error)
            assert "\n" not in message
            assert "no readable row" in message
        if not name.endswith(".csv"):
            filled = [at for at, line in enumerate(data.split(b"\n")) if line.strip()]
            num_rows = filled[-1] + 1 if filled else 0
            assert len(prompts) + malformed.reasons.total() == num_rows


@given(st.binary(max_size=60))
def test_bytes_that_are_no_table_are_one_sentence(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "x.parquet").write_bytes(data)
        source = Source.model_validate(BASE | {"path": f"{folder}/x.parquet"})
        with pytest.raises(SourceError, match=r"source logs: .*x\.parquet: ") as caught:
            list(read_prompts(source, config(Path(folder) / "x.parquet"), Malformed()))
    assert "\n" not in str(caught.value)
