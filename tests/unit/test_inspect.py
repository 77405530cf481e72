"""What `eyrie inspect` shows is the row and its mask, and bad input ends in one sentence."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eyrie.cli import app
from eyrie.tables import RESPONSES, check_response_row, write_table

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def _in_a_folder_without_parameters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def _messages(folder: Path, document: object) -> str:
    path = folder / "messages.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_a_conversation_s_ids_mask_and_spans_are_printed_as_json(tiny_target: Path, tmp_path: Path) -> None:
    path = _messages(tmp_path, [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "the answer"}])
    done = RUNNER.invoke(app, ["inspect", "--target", str(tiny_target), "--messages", path, "--json"])
    row = json.loads(done.stdout)
    assert len(row["input_ids"]) == len(row["loss_mask"])
    ((start, end),) = row["spans"]
    assert row["loss_mask"] == [int(start <= index < end) for index in range(len(row["input_ids"]))]
    assert end == len(row["input_ids"])


def test_supervised_text_stands_between_marks(tiny_target: Path, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "the answer"}]
    path = _messages(tmp_path, {"messages": turns})
    done = RUNNER.invoke(app, ["inspect", "--target", str(tiny_target), "--messages", path])
    assert "user<|end_header_id|>" in done.stdout
    assert "⟦the answer<|eot_id|>⟧" in done.stdout


def test_a_row_of_a_shard_is_shown(tiny_target: Path, tmp_path: Path) -> None:
    ids = [0, 10, 11, 12, 4]
    row = {"prompt_id": "p", "row_index": 0, "source": "s", "workload": "chat", "split": "train", "seed": 1}
    row |= {"input_ids": ids, "span_starts": [3], "span_ends": [5], "finish_reasons": ["stop"]}
    write_table(tmp_path / "shard.parquet", [row], RESPONSES, check_response_row)
    command = ["inspect", str(tmp_path / "shard.parquet"), "--target", str(tiny_target)]
    done = RUNNER.invoke(app, [*command, "--json"])
    assert json.loads(done.stdout) == {"input_ids": ids, "loss_mask": [0, 0, 0, 1, 1], "spans": [[3, 5]]}
    refused = RUNNER.invoke(app, [*command, "--row", "1"])
    assert "row 1 is out of range (0..0)" in str(refused.exception)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "expected a list of messages"),
        ({"messages": {}}, "expected a list of messages"),
        ({"conversation": []}, "expected a list of messages"),
        ([{"role": "user", "content": "x"}], "no message of role assistant"),
        ([{"role": "robot", "content": "x"}], "message 0 needs a role"),
        ([{"role": "user", "content": ["x"]}], "message 0 needs its content as text"),
    ],
)
def test_messages_of_another_shape_are_refused(tiny_target: Path, tmp_path: Path, document: object, says: str) -> None:
    command = ["inspect", "--target", str(tiny_target), "--messages", _messages(tmp_path, document)]
    assert says in str(RUNNER.invoke(app, command).exception)
