"""Looking at training rows: which tokens are supervised, as coloured text or as JSON.

Rows come from a shard of responses, or are made of a conversation whose answers are there (chat/transcript.py).
"""

import json
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from eyrie.chat.conversation import Row
from eyrie.chat.template import ChatTemplate, Message
from eyrie.chat.transcript import rows_of
from eyrie.params import Target
from eyrie.tables import RESPONSES, read_table, spans_of

_ROLES = ("system", "user", "assistant", "tool")


def bare_target(folder: str) -> Target:
    """A target of which nothing is known but its folder: its own chat template, rendered as a server does today."""
    return Target(
        model=folder,
        revision=None,
        dtype="float32",
        device="cpu",
        chat_template=None,
        chat_template_settings={},
        template_date=date.today().isoformat(),
        trust_remote_code=False,
    )


def rows_of_messages(chat: ChatTemplate, path: Path) -> list[Row]:
    """The rows of one conversation: a JSON list of messages, or an object with the key `messages`.

    Raises ValueError naming the file and what is wrong, ChatTemplateError, TranscriptError.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    rows = rows_of(chat, _messages(document.get("messages") if isinstance(document, dict) else document, path))
    if not rows:
        raise ValueError(f"{path}: no message of role assistant, so there is nothing to supervise")
    return rows


def rows_of_shard(path: Path, index: int) -> list[Row]:
    """Row `index` (0-based) of a shard of responses. Raises SchemaError, ValueError when there are fewer rows."""
    table = read_table(path, RESPONSES)
    if not 0 <= index < len(table):
        raise ValueError(f"{path}: row {index} is out of range (0..{len(table) - 1})")
    row = table[index]
    return [Row(row["input_ids"], spans_of(row), row["finish_reasons"])]


def loss_mask(row: Row) -> list[int]:
    """1 for every supervised token of the row, else 0."""
    mask = [0] * len(row.input_ids)
    for start, end in row.spans:
        mask[start:end] = [1] * (end - start)
    return mask


def as_json(row: Row) -> str:
    """One line: the ids, the mask and the spans."""
    return json.dumps({"input_ids": row.input_ids, "loss_mask": loss_mask(row), "spans": row.spans})


def print_row(chat: ChatTemplate, row: Row, console: Console) -> None:
    """The row's text, special tokens included: supervised text green between ⟦ and ⟧, the rest dim."""
    text, end = Text(), 0
    for start, stop in row.spans:
        text.append(chat.decode(row.input_ids[end:start]), style="dim")
        text.append("⟦" + chat.decode(row.input_ids[start:stop]) + "⟧", style="bold green")
        end = stop
    text.append(chat.decode(row.input_ids[end:]), style="dim")
    console.print(text, soft_wrap=True)
    supervised = sum(stop - start for start, stop in row.spans)
    console.print(f"{len(row.input_ids)} tokens, {supervised} supervised in {len(row.spans)} spans", highlight=False)


def _messages(found: Any, path: Path) -> list[Message]:
    if not isinstance(found, list) or not found:
        raise ValueError(f"{path}: expected a list of messages")
    for number, message in enumerate(found):
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise ValueError(f"{path}: message {number} needs a role, one of {', '.join(_ROLES)}")
        if not isinstance(message.get("content"), str):
            raise ValueError(f"{path}: message {number} needs its content as text")
    return found
