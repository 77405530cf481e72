"""One row of a source -> the user's turns and an optional system prompt. Assistant text leaves this module only when
the caller says that the answers may be used.

Formats: `messages` (role, content), `conversations` (ShareGPT: from, value), `alpaca` (instruction, input), `text` (one
column), `openai_log` (the body of a logged request: chat completions, completions or responses; the row itself, or
under `body` or `request` as batch files and proxies write it). What a row cannot give raises RowError, whose text is a
reason to count, never a value.
"""

import json
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from eyrie.io import digest_of

TurnFormat = Literal["messages", "conversations", "alpaca", "text", "openai_log"]

_USER = {"user", "human"}
_SYSTEM = {"system", "developer"}
_ANSWERS = {"assistant", "gpt", "model", "chatgpt", "bard", "bing"}
_OTHERS = _ANSWERS | {"tool", "function", "observation", "function_call"}
_TEXT_PARTS = {"text", "input_text"}
_ID_LENGTH = 32


class RowError(ValueError):
    """This row gives no prompt. The message is the reason, the same for every row of its kind."""


class Dialogue(NamedTuple):
    """`system` is "" when there is none; `turns` are the user's, in order, at least one; `answers` are one to each
    turn, or none at all."""

    system: str
    turns: list[str]
    answers: list[str] = []  # noqa: RUF012 - never changed


def prompt_id(system: str, turns: list[str]) -> str:
    """The first 32 hex digits of the sha256 of the canonical JSON of [system, *turns]."""
    return digest_of([system, *turns])[:_ID_LENGTH]


def read_dialogue(row: Any, *, turns: TurnFormat, column: str | None, keep_answers: bool = False) -> Dialogue:
    """Raises RowError."""
    if not isinstance(row, dict):
        raise RowError("not an object")
    dialogue = _READERS[turns](row, column)
    if not keep_answers:
        dialogue = dialogue._replace(answers=[])
    else:
        dialogue = dialogue._replace(answers=[_text(answer) for answer in dialogue.answers])
        if len(dialogue.answers) != len(dialogue.turns) or not all(dialogue.answers):
            raise RowError("turns and answers do not alternate")
    for text in (dialogue.system, *dialogue.turns, *dialogue.answers):
        _check_text(text)
    if not dialogue.turns:
        raise RowError("no user turn")
    if not all(turn.strip() for turn in dialogue.turns):
        raise RowError("empty user turn")
    return dialogue


def _check_text(text: str) -> None:
    if "\0" in text:
        raise RowError("null byte")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise RowError("lone surrogate") from None


def columns_of(turns: TurnFormat, column: str | None) -> list[str]:
    """The columns that `read_dialogue` looks at; all others can be left unread."""
    if turns == "alpaca":
        return ["instruction", "input"]
    if turns == "openai_log":
        return ["body", "request", "messages", "prompt", "input", "instructions"]
    return [column] if column is not None else []


def _cell(row: dict[str, Any], column: str | None) -> Any:
    if column not in row:
        raise RowError("missing column")
    return row[column]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        # A message's content parts. Without its picture or sound a question would be another question.
        if not all(part.get("type") in _TEXT_PARTS for part in value):
            raise RowError("a part that is not text")
        texts = [part.get("text") for part in value]
        if all(isinstance(text, str) for text in texts):
            return "\n".join(texts)
    raise RowError("text of another type")


def _parsed(value: Any, what: str) -> Any:
    """CSV files, some Parquet files and some logs hold a list or an object as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise RowError(f"{what} not JSON") from None


def _from_list(entries: Any, role_key: str, text_key: str) -> Dialogue:
    entries = _parsed(entries, "turns are")
    if not isinstance(entries, list):
        raise RowError("turns are not a list")
    system = ""
    turns: list[str] = []
    answers: list[Any] = []
    alternating = True
    for entry in entries:
        if not isinstance(entry, dict):
            raise RowError("a turn is not an object")
        role = str(entry.get(role_key))  # a role of another type is an unknown role
        if role in _USER:
            alternating = alternating and len(answers) == len(turns)
            turns.append(_text(entry.get(text_key)))
        elif role in _SYSTEM:
            if turns or system:
                raise RowError("system prompt after the start")
            system = _text(entry.get(text_key))
        elif role not in _OTHERS:
            raise RowError("unknown role")
        else:
            alternating = alternating and role in _ANSWERS and len(answers) == len(turns) - 1
            answers.append(entry.get(text_key))
    # As they are: an answer that is no text is no reason to refuse a row of which only the turns are wanted.
    return Dialogue(system, turns, answers if alternating and len(answers) == len(turns) else [])


def _messages(row: dict[str, Any], column: str | None) -> Dialogue:
    return _from_list(_cell(row, column), "role", "content")


def _conversations(row: dict[str, Any], column: str | None) -> Dialogue:
    return _from_list(_cell(row, column), "from", "value")


def _alpaca(row: dict[str, Any], _column: str | None) -> Dialogue:
    instruction, context = _text(_cell(row, "instruction")), row.get("input") or ""
    return Dialogue("", [f"{instruction}\n\n{_text(context)}" if context else instruction])


def _plain(row: dict[str, Any], column: str | None) -> Dialogue:
    return Dialogue("", [_text(_cell(row, column))])


def _openai_log(row: dict[str, Any], _column: str | None) -> Dialogue:
    body: Any = row
    for _ in range(2):  # {"request": {"body": {...}}} is the deepest that is written
        wrapped = next((body[key] for key in ("body", "request") if body.get(key) is not None), None)
        if wrapped is None:
            break
        body = _parsed(wrapped, "request body is")
        if not isinstance(body, dict):
            raise RowError("request body is not an object")
    if body.get("messages") is not None:
        return _from_list(body["messages"], "role", "content")
    if body.get("prompt") is not None:
        return Dialogue("", [_text(body["prompt"])])
    if body.get("input") is None:
        raise RowError("request without messages, prompt or input")
    system = _text(body.get("instructions") or "")
    if isinstance(body["input"], str):
        return Dialogue(system, [body["input"]])
    items = body["input"] if isinstance(body["input"], list) else []
    # Tool calls and reasoning are items without a role; a Parquet file gives every item every key, with nothing in it.
    spoken = [item for item in items if not isinstance(item, dict) or item.get("role") is not None]
    dialogue = _from_list(spoken, "role", "content")
    return Dialogue("\n\n".join(part for part in (system, dialogue.system) if part), dialogue.turns)


_READERS: dict[TurnFormat, Callable[[dict[str, Any], str | None], Dialogue]] = {
    "messages": _messages,
    "conversations": _conversations,
    "alpaca": _alpaca,
    "text": _plain,
    "openai_log": _openai_log,
}
