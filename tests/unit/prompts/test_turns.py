import hashlib
import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_a_kept_answer_may_come_in_parts_as_a_user_turn_may() -> None:
    parts = [{"type": "text", "text": "first"}, {"type": "text", "text": "part"}]
    row = {"m": [{"role": role, "content": parts} for role in ("user", "assistant")]}
    found = read_dialogue(row, turns="messages", column="m", keep_answers=True)
    assert found == Dialogue("", ["first\npart"], ["first\npart"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([{"type": "image_url"}], "a part that is not text"),
        (None, "text of another type"),
        ("", "turns and answers do not alternate"),
        ([{"type": "text", "text": ""}], "turns and answers do not alternate"),
    ],
)
def test_an_answer_that_is_no_text_costs_its_row_only_where_answers_are_kept(content: Any, reason: str) -> None:
    row = {"m": [USER, {"role": "assistant", "content": content}]}
    with pytest.raises(RowError) as caught:
        read_dialogue(row, turns="messages", column="m", keep_answers=True)
    assert str(caught.value) == reason
    assert read_dialogue(row, turns="messages", column="m") == Dialogue("", ["hi"])


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
NESTED_PARTS: Any = "hi"
for _ in range(5000):
    NESTED_PARTS = [{"type": "text", "text": NESTED_PARTS}]
ANSWER = {"role": "assistant", "content": "ANSWER"}


@pytest.mark.parametrize(
    "row",
    [
        {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [USER, ANSWER]}},
        {"request": {"model": "m", "messages": [USER]}, "response": {"choices": [{"message": ANSWER}]}},
        {"request": {"headers": {}, "body": {"messages": [USER]}}, "response": {"body": {"output": "ANSWER"}}},
        {"request": json.dumps({"messages": [USER]})},
        {"messages": [USER, ANSWER]},
        {"body": {"prompt": "hi"}},
        {"body": {"input": "hi"}},
        {
            "body": {
                "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}, {"type": "reasoning"}]
            }
        },
        {"body": {"input": [USER | {"type": None}, {"role": None, "content": None, "type": "function_call"}]}},
    ],
)
def test_a_logged_request_gives_its_user_turns(row: dict[str, Any]) -> None:
    assert read_dialogue(row, turns="openai_log", column=None) == Dialogue("", ["hi"])


def test_instructions_of_a_logged_request_are_its_system_prompt() -> None:
    row = {"body": {"instructions": "Be brief.", "input": [{"role": "developer", "content": "In French."}, USER]}}
    assert read_dialogue(row, turns="openai_log", column=None) == Dialogue("Be brief.\n\nIn French.", ["hi"])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"response": {}}, "request without messages, prompt or input"),
        ({"body": 3}, "request body is not an object"),
        ({"body": "{oops"}, "request body is not JSON"),
        ({"body": {"messages": "hi"}}, "turns are not JSON"),
        ({"body": {"prompt": ["a", "b"]}}, "text of another type"),
        ({"body": {"input": 7}}, "no user turn"),
        ({"body": {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}}, "a part that is not text"),
    ],
)
def test_a_logged_request_without_turns_has_one_reason(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowError) as caught:
        read_dialogue(row, turns="openai_log", column=None)
    assert str(caught.value) == reason


@pytest.mark.parametrize("text", ["مرحبا، كيف حالك؟", "שלום \u202eעולם", "a\u0301 👩‍👩‍👧", "\u2028" + "x"])
def test_text_of_any_script_and_direction_is_kept_as_it_is(text: str) -> None:
    assert read_dialogue({"p": text}, turns="text", column="p").turns == [text]


def test_two_hundred_turns_keep_their_order() -> None:
    messages = [message for number in range(200) for message in ({"role": "user", "content": f"{number}"}, ANSWER)]
    assert read_dialogue({"m": messages}, turns="messages", column="m").turns == [str(number) for number in range(200)]


KEYS = [
    "messages",
    "body",
    "request",
    "prompt",
    "input",
    "instruction",
    "instructions",
    "role",
    "content",
    "type",
    "text",
]
REASONS = {
    "not an object",
    "missing column",
    "null byte",
    "lone surrogate",
    "no user turn",
    "empty user turn",
    "a part that is not text",
    "text of another type",
    "turns are not JSON",
    "turns are not a list",
    "a turn is not an object",
    "unknown role",
    "system prompt after the start",
    "request body is not JSON",
    "request body is not an object",
    "request without messages, prompt or input",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "assistant", "tool"]) | JSON},
        optional={"content": JSON, "from": st.sampled_from(["human", "gpt"]), "value": JSON, "tool_calls": JSON},
    ),
    max_size=4,
)


@given(
    row=JSON | st.dictionaries(st.sampled_from(KEYS), MESSAGES | JSON, max_size=5),
    turns=st.sampled_from(get_args(TurnFormat)),
)
def test_any_row_gives_turns_that_can_be_written_or_a_reason(row: Any, turns: TurnFormat) -> None:
    reason = None
    try:
        dialogue = read_dialogue(row, turns=turns, column="messages")
    except RowError as error:
        reason = str(error)
    if reason is not None:
        assert reason in REASONS
        return
    assert dialogue.turns
    assert all(turn.strip() for turn in dialogue.turns)
    for text in (dialogue.system, *dialogue.turns):
        assert "\0" not in text
        text.encode()


@given(st.lists(st.sampled_from([USER, ANSWER, {"role": "tool", "content": "ANSWER"}]), min_size=1, max_size=8))
def test_an_answer_is_in_no_turn(messages: list[dict[str, str]]) -> None:
    for row, turns in (({"messages": messages}, "messages"), ({"body": {"messages": messages}}, "openai_log")):
        try:
            found = read_dialogue(row, turns=turns, column="messages")  # type: ignore[arg-type]
        except RowError:
            assert USER not in messages
        else:
            assert found == Dialogue("", ["hi"] * messages.count(USER))


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
        ({"messages": [{"role": "user", "content": NESTED_PARTS}]}, "text of another type"),
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
