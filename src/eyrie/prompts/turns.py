"""One row of a source -> the user's turns and an optional system prompt. Assistant text never leaves this module.

Formats: `messages` (role, content), `conversations` (ShareGPT: from, value), `alpaca` (instruction, input), `text` (one
column). What a row cannot give raises RowError, whose text is a reason to count, never a value.
"""

import json
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from eyrie.io import digest_of

TurnFormat = Literal["messages", "conversations", "alpaca", "text"]

_USER = {"user", "human"}
_SYSTEM = {"system", "developer"}
_OTHERS = {"assistant", "gpt", "model", "chatgpt", "bard", "bing", "tool", "function", "observation", "function_call"}
_ID_LENGTH = 32


class RowError(ValueError):
    """This row gives no prompt. The message is the reason, the same for every row of its kind."""


class Dialogue(NamedTuple):
    """`system` is "" when there is none; `turns` are the user's, in order, at least one."""

    system: str
    turns: list[str]


def prompt_id(system: str, turns: list[str]) -> str:
    """The first 32 hex digits of the sha256 of the canonical JSON of [system, *turns]."""
    return digest_of([system, *turns])[:_ID_LENGTH]


def read_dialogue(row: Any, *, turns: TurnFormat, column: str | None) -> Dialogue:
    """Raises RowError."""
    if not isinstance(row, dict):
        raise RowError("not an object")
    dialogue = _READERS[turns](row, column)
    for text in (dialogue.system, *dialogue.turns):
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


def _cell(row: dict[str, Any], column: str | None) -> Any:
    if column not in row:
        raise RowError("missing column")
    return row[column]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if (
        isinstance(value, list)
        and value
        and all(isinstance(part, dict) and part.get("type") == "text" for part in value)
    ):
        return "\n".join(_text(part.get("text")) for part in value)  # a chat completion's content parts
    raise RowError("text of another type")


def _from_list(row: dict[str, Any], column: str | None, role_key: str, text_key: str) -> Dialogue:
    entries = _cell(row, column)
    if isinstance(entries, str):  # CSV files and some Parquet files hold the list as JSON
        try:
            entries = json.loads(entries)
        except (ValueError, RecursionError):
            raise RowError("turns are not JSON") from None
    if not isinstance(entries, list):
        raise RowError("turns are not a list")
    system, turns = "", []
    for entry in entries:
        if not isinstance(entry, dict):
            raise RowError("a turn is not an object")
        role = str(entry.get(role_key))  # a role of another type is an unknown role
        if role in _USER:
            turns.append(_text(entry.get(text_key)))
        elif role in _SYSTEM:
            if turns or system:
                raise RowError("system prompt after the start")
            system = _text(entry.get(text_key))
        elif role not in _OTHERS:
            raise RowError("unknown role")
    return Dialogue(system, turns)


def _messages(row: dict[str, Any], column: str | None) -> Dialogue:
    return _from_list(row, column, "role", "content")


def _conversations(row: dict[str, Any], column: str | None) -> Dialogue:
    return _from_list(row, column, "from", "value")


def _alpaca(row: dict[str, Any], _column: str | None) -> Dialogue:
    instruction, context = _text(_cell(row, "instruction")), row.get("input") or ""
    return Dialogue("", [f"{instruction}\n\n{_text(context)}" if context else instruction])


def _plain(row: dict[str, Any], column: str | None) -> Dialogue:
    return Dialogue("", [_text(_cell(row, column))])


_READERS: dict[TurnFormat, Callable[[dict[str, Any], str | None], Dialogue]] = {
    "messages": _messages,
    "conversations": _conversations,
    "alpaca": _alpaca,
    "text": _plain,
}
