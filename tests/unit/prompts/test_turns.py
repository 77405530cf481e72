import hashlib
import json
from typing import Any

import pytest

from eyrie.prompts.turns import Dialogue, RowError, TurnFormat, prompt_id, read_dialogue


def test_messages_give_system_and_user_turns_and_never_the_assistants() -> None:
    row = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "ANSWER"},
            {"role": "tool", "content": "ANSWER"},
            {"role": "user", "content": [{"type": "text", "text": "second"}, {"type": "text", "text": "part"}]},
        ]
    }
    assert read_dialogue(row, turns="messages", column="messages") == Dialogue("Be brief.", ["first", "second\npart"])


def test_sharegpt_alpaca_and_text_rows_give_the_same_prompt() -> None:
    sharegpt = {"conversations": [{"from": "human", "value": "Add\n\n1 2"}, {"from": "gpt", "value": "ANSWER"}]}
    alpaca = {"instruction": "Add", "input": "1 2", "output": "ANSWER"}
    rows: list[tuple[TurnFormat, str | None, dict[str, Any]]] = [
        ("conversations", "conversations", sharegpt),
        ("alpaca", None, alpaca),
        ("text", "prompt", {"prompt": "Add\n\n1 2"}),
    ]
    assert all(
        read_dialogue(row, turns=turns, column=column) == Dialogue("", ["Add\n\n1 2"]) for turns, column, row in rows
    )


def test_a_cell_may_hold_the_messages_as_json() -> None:
    cell = json.dumps([{"role": "user", "content": "hi"}])
    assert read_dialogue({"log": cell}, turns="messages", column="log").turns == ["hi"]


USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([1, 2], "not an object"),
        ({"other": 1}, "missing column"),
        ({"messages": None}, "turns are not a list"),
        ({"messages": "[oops"}, "turns are not JSON"),
        ({"messages": ["hi"]}, "a turn is not an object"),
        ({"messages": [{"role": "user", "content": 7}]}, "text of another type"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "a part that is not text"),
        ({"messages": [{"role": "wizard", "content": "hi"}]}, "unknown role"),
        ({"messages": [{"role": ["user"], "content": "hi"}]}, "unknown role"),
        ({"messages": [USER, {"role": "system", "content": "late"}]}, "system prompt after the start"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "no user turn"),
        ({"messages": []}, "no user turn"),
        ({"messages": [USER, {"role": "user", "content": " \n"}]}, "empty user turn"),
        ({"messages": [{"role": "user", "content": "a\0b"}]}, "null byte"),
        ({"messages": [{"role": "user", "content": "a\ud800b"}]}, "lone surrogate"),
    ],
)
def test_a_malformed_row_has_one_reason(row: Any, reason: str) -> None:
    with pytest.raises(RowError) as caught:
        read_dialogue(row, turns="messages", column="messages")
    assert str(caught.value) == reason


def test_the_prompt_id_is_the_documented_digest() -> None:
    text = '["Sei nett.","Grüße"]'
    assert prompt_id("Sei nett.", ["Grüße"]) == hashlib.sha256(text.encode()).hexdigest()[:32]
