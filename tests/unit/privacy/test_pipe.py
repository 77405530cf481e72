import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eyrie.params import FilterPrompts, parse_params
from eyrie.privacy import detection, pipe
from eyrie.privacy.engine import Analyzer
from eyrie.privacy.pipe import screen_file
from tests.conftest import REPOSITORY, raw_params
from tests.unit.privacy.fake_dlp import serving

CARD = "4111 1111 1111 1111"


def config(**changes: Any) -> FilterPrompts:
    raw = raw_params()
    raw["filter_prompts"] |= {"analyzer_config": str(REPOSITORY / "resources/privacy/analyzer.yaml")} | changes
    return parse_params(raw, origin="test").filter_prompts


@pytest.fixture(autouse=True)
def shared_analyzer(analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "load_analyzer", lambda *_, **__: analyzer)


def answers(folder: Path, *lines: bytes | str | dict[str, Any], **changes: Any) -> tuple[int, list[dict[str, Any]]]:
    path = folder / "rows.jsonl"
    encoded = [
        json.dumps(line).encode() if isinstance(line, dict) else line.encode() if isinstance(line, str) else line
        for line in lines
    ]
    path.write_bytes(b"".join(line + b"\n" for line in encoded))
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        status = screen_file(config(**changes), path)
    return status, [json.loads(line) for line in output.getvalue().splitlines()]


def test_each_row_gets_its_action_and_where_things_are(tmp_path: Path) -> None:
    text = f"mail jo@corp.com, pay {CARD}"
    status, lines = answers(
        tmp_path,
        {"text": text},
        {"messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "ping 203.0.113.77"}]},
        {"text": "Explain recursion."},
        {"text": "mail jo@corp.com"},
    )
    assert status == 0
    assert [(line["index"], line["action"]) for line in lines] == [
        (0, "drop"),
        (1, "redact"),
        (2, "keep"),
        (3, "surrogate"),
    ]
    assert [(item["type"], text[item["start"] : item["end"]]) for item in lines[0]["entities"]] == [
        ("EMAIL_ADDRESS", "jo@corp.com"),
        ("CREDIT_CARD", CARD),
    ]
    assert lines[1]["entities"] == [{"type": "IP_ADDRESS", "start": 5, "end": 17, "score": 0.6, "message": 1}]
    assert lines[2] == {"index": 2, "action": "keep", "entities": []}


def test_messages_of_any_role_and_content_parts_are_screened(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "first"}, {"type": "text", "text": f"pay {CARD}"}]
    row = {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": f"{CARD}?"}]}
    _, (line,) = answers(tmp_path, row)
    assert [(item["message"], item["start"]) for item in line["entities"]] == [(0, len("first\npay ")), (1, 0)]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (f'{{"text": "{CARD}', "not JSON"),
        (b'{"text": "\xff\xfe"}', "not UTF-8"),
        ("", "not JSON"),
        ("[" * 200_000, "not JSON"),
        ("[1]", "not an object"),
        ('{"text": 4111111111111111}', "expected either"),
        (f'{{"text": "a", "messages": ["{CARD}"]}}', "expected either"),
        ('{"prompt": "a"}', "expected either"),
        (f'{{"messages": ["{CARD}"]}}', "message 0: no content that is text"),
        (
            f'{{"messages": [{{"content": "a"}}, {{"card": "{CARD}", "content": 5}}]}}',
            "message 1: no content that is text",
        ),
        (f'{{"messages": [{{"card": "{CARD}", "content": []}}]}}', "message 0: no content that is text"),
        (
            f'{{"messages": [{{"content": [{{"type": "image_url", "text": "{CARD}"}}]}}]}}',
            "message 0: no content that is text",
        ),
        (
            f'{{"messages": [{{"content": [{{"type": "text", "text": ["{CARD}"]}}]}}]}}',
            "message 0: no content that is text",
        ),
        ('{"messages": [{"content": "a"}, {"content": [{"type": "image_url"}]}]}', "message 1: no content"),
        ('{"messages": [{"role": "user", "content": null}]}', "message 0: no content"),
    ],
)
def test_a_row_that_cannot_be_read_is_an_error_line_without_its_value_and_the_next_is_screened(
    tmp_path: Path, line: bytes | str, error: str
) -> None:
    status, (first, second) = answers(tmp_path, line, {"text": CARD})
    assert status == 3
    assert (first["index"], first["action"], first["entities"]) == (0, "error", [])
    assert first["error"].startswith(error)
    assert "4111" not in first["error"]
    assert (second["index"], second["action"]) == (1, "drop")


@pytest.mark.parametrize("blanks", [[b""], [b"\r"], [b" ", b"\t\r", b""]])
def test_blank_lines_after_the_last_row_are_no_rows(tmp_path: Path, blanks: list[bytes]) -> None:
    status, lines = answers(tmp_path, b'{"text": "hi"}\r', *blanks)
    assert (status, [line["index"] for line in lines]) == (0, [0])


def test_blank_lines_between_rows_keep_their_numbers(tmp_path: Path) -> None:
    status, lines = answers(tmp_path, {"text": "hi"}, b"\r", b"", {"text": CARD}, b"")
    assert status == 3
    assert [(line["index"], line["action"]) for line in lines] == [(0, "keep"), (1, "error"), (2, "error"), (3, "drop")]


def test_a_last_row_without_a_line_break_is_screened() -> None:
    assert [row.texts for row in pipe._rows(io.BytesIO(b'{"text": "a"}\n{"text": "b"}'))] == [["a"], ["b"]]


def test_a_byte_order_mark_does_not_cost_the_first_row(tmp_path: Path) -> None:
    status, lines = answers(tmp_path, b"\xef\xbb\xbf" + json.dumps({"text": f"pay {CARD}"}).encode(), {"text": "hi"})
    assert status == 0
    assert [line["action"] for line in lines] == ["drop", "keep"]


def test_a_row_over_max_chars_is_dropped_and_says_why(tmp_path: Path) -> None:
    status, (line,) = answers(tmp_path, {"text": "x" * 5_000_000})
    assert status == 3
    assert line == {"index": 0, "action": "drop", "entities": [], "error": "not analyzed: longer than max_chars"}


def test_a_line_larger_than_memory_should_hold_is_skipped_without_being_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe, "MAX_LINE_BYTES", 100)
    status, lines = answers(tmp_path, {"text": "x" * 350}, {"text": "y" * 80}, {"text": CARD})
    assert status == 3
    assert [line["action"] for line in lines] == ["error", "keep", "drop"]
    assert lines[0]["error"] == "longer than 100 bytes"


def test_odd_text_moves_no_offset(tmp_path: Path) -> None:
    text = f"\ud800\0\u202e\u05d0\U0001f600 {CARD}\ud83d"
    status, (line,) = answers(tmp_path, {"text": text})
    (entity,) = line["entities"]
    assert status == 0
    assert text[entity["start"] : entity["end"]] == CARD


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(st.characters(exclude_categories=()), max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["text", "messages", "content", "role", "type"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40), max_size=6))
def test_any_lines_give_one_answer_each_and_no_traceback(tmp_path: Path, lines: list[bytes]) -> None:
    flat = [line.replace(b"\n", b" ") for line in lines]
    status, printed = answers(tmp_path, *flat)
    while flat and not flat[-1].strip():
        flat.pop()
    assert [line["index"] for line in printed] == list(range(len(flat)))
    assert status == (3 if any("error" in line for line in printed) else 0)


def test_cloud_dlp_answers_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = config().cloud_dlp.model_dump() | {"project": "p", "info_types": {"EMAIL_ADDRESS": "EMAIL_ADDRESS"}}
    with serving() as (fake, client):
        monkeypatch.setattr("eyrie.privacy.cloud_dlp.make_client", lambda: client)
        status, lines = answers(
            tmp_path, {"text": "a@b.com"}, "bad", {"text": "plain"}, backend="cloud_dlp", cloud_dlp=section
        )
    assert status == 3
    assert [line["action"] for line in lines] == ["surrogate", "error", "keep"]
    assert fake.num_calls == 1


def run_command(*arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", "from eyrie.cli import main; main()", "screen", *arguments],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def test_the_command_answers_each_line_before_it_reads_the_next_and_ends_quietly_when_the_reader_goes() -> None:
    with run_command("-") as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        for number in range(3):
            process.stdin.write(b'{"text": "jo@corp.com"}\n')
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["index"] == number
        process.stdout.close()
        process.stdin.write(b'{"text": "jo@corp.com"}\n' * 3)
        process.stdin.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == b""


def test_a_missing_file_is_one_sentence() -> None:
    with run_command("none.jsonl") as process:
        _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert error.decode() == "eyrie screen: none.jsonl: No such file or directory\n"
