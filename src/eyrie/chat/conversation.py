"""A conversation as the target lives it: its turns answered one after the other, kept as the ids it saw and produced.

The next turn's prompt is rendered from the whole history, as every serving client does. When that rendering begins with
the ids so far, the row goes on; when the template rewrites history (it drops earlier reasoning, say) or the answer's
text tokenises differently, those ids are not what the target sees, so a new row begins with the rendering. Either way
a row is exactly what the target saw, and `spans` are exactly what it produced.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eyrie.chat.template import ChatTemplate, ChatTemplateError, Message


@dataclass
class Row:
    """One training sequence. `spans` are (start, end) of assistant tokens in `input_ids`, end-of-turn included."""

    input_ids: list[int]
    spans: list[tuple[int, int]] = field(default_factory=list)
    finish_reasons: list[str] = field(default_factory=list)


class Conversation:
    """Turns still to ask, and the rows so far. Ask `next_prompt`, let the target answer, hand it to `add_answer`."""

    def __init__(self, chat: ChatTemplate, system: str, turns: list[str]) -> None:
        self._chat = chat
        self._messages: list[Message] = [{"role": "system", "content": system}] if system else []
        self._turns = list(turns)
        self.rows: list[Row] = []

    @property
    def finished(self) -> bool:
        return not self._turns

    def next_prompt(self) -> list[int]:
        """Ids of the history and the next user turn. Raises ChatTemplateError."""
        return self._chat.prompt_ids([*self._messages, {"role": "user", "content": self._turns[0]}])

    def add_answer(self, prompt_ids: list[int], answer_ids: list[int]) -> None:
        """Record the target's answer to `prompt_ids`. An answer that ran out of tokens ends the conversation there."""
        if self.rows and prompt_ids[: len(self.rows[-1].input_ids)] == self.rows[-1].input_ids:
            row = self.rows[-1]
        else:
            row = Row([])
            self.rows.append(row)
        row.input_ids = [*prompt_ids, *answer_ids]
        row.spans.append((len(prompt_ids), len(row.input_ids)))
        stopped = bool(answer_ids) and answer_ids[-1] in self._chat.stop_ids
        row.finish_reasons.append("stop" if stopped else "length")
        turn = self._turns.pop(0)
        if not stopped:
            self._turns.clear()
        if self._turns:  # no later prompt holds the last answer
            answer = self._chat.answer_message(prompt_ids, answer_ids)
            self._messages += [{"role": "user", "content": turn}, answer]

    def abandon(self) -> None:
        """Leave the turns that are left unasked; answered ones stay."""
        self._turns.clear()


def first_prompt(chat: ChatTemplate, prompt: Mapping[str, Any]) -> list[int] | None:
    """The ids of what a prompt's first turn asks; None when the template refuses it, as some refuse a system prompt."""
    try:
        return Conversation(chat, prompt["system"], prompt["turns"]).next_prompt()
    except ChatTemplateError:
        return None
