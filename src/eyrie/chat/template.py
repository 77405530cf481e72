"""A target's chat template, and everything it is rendered under.

Prompts are never made from rendered text by hand: the tokenizer renders and tokenises in one call, as serving engines
do. The day that templates ask for (`strftime_now`) is a fixed one, so that a run can be repeated.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from jinja2 import UndefinedError

Message = dict[str, Any]  # role, content, and whatever else the template reads

_CHANNEL = re.compile(
    r"<\|channel\|>\s*(\w+)[^<]*<\|message\|>(.*?)(?=<\|(?:end|return|call|start|channel)\|>|\Z)", re.S
)


class ChatTemplateError(ValueError):
    """The target's chat template refuses this conversation."""


@dataclass(frozen=True)
class ChatTemplate:
    """`settings` are variables of the template (`enable_thinking`, `reasoning_effort`, ...); `stop_ids` end a turn."""

    tokenizer: Any
    stop_ids: frozenset[int]
    settings: Mapping[str, Any]
    day: date

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Ids of `messages` and the generation prompt: what the target sees before it answers.

        Raises ChatTemplateError.
        """
        return list(self._apply(messages, add_generation_prompt=True, tokenize=True, return_dict=False))

    def text(self, messages: Sequence[Message], *, asks: bool) -> str:
        """The rendering; `asks` adds the generation prompt. Raises ChatTemplateError."""
        text: str = self._apply(messages, add_generation_prompt=asks, tokenize=False)
        return text

    def tokenize(self, text: str) -> list[int]:
        """Ids of rendered text, which holds its special tokens already."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def answer_message(self, prompt_ids: Sequence[int], answer_ids: Sequence[int]) -> Message:
        """An answer as the history holds it: what a client is handed and sends back with the next turn.

        By the tokenizer's own `response_template` when it has one and the answer keeps to it; Harmony's channels
        (gpt-oss) are told apart; else it is the text without special tokens. Reasoning inside the text stays: the
        template says what becomes of it.
        """
        ids = list(answer_ids)
        if (parsed := self._parsed(prompt_ids, ids)) is not None:
            return {"content": "", **parsed, "role": "assistant"}
        channels = _CHANNEL.findall(self.decode(ids))
        if channels:
            final = [text for name, text in channels if name == "final"]
            reasoning = "".join(text for name, text in channels if name == "analysis")
            return {"role": "assistant", "content": final[-1] if final else "", "thinking": reasoning}
        ended = bool(ids) and ids[-1] in self.stop_ids
        return {"role": "assistant", "content": self.decode(ids[:-1] if ended else ids, special=False)}

    def decode(self, ids: Sequence[int], *, special: bool = True) -> str:
        """The text of `ids`, with its special tokens or without."""
        text: str = self.tokenizer.decode(
            list(ids), skip_special_tokens=not special, clean_up_tokenization_spaces=False
        )
        return text

    def _parsed(self, prompt_ids: Sequence[int], ids: list[int]) -> Message | None:
        """None without a `response_template`, and when the answer breaks it (a tool call that is no JSON)."""
        if not ids or getattr(self.tokenizer, "response_template", None) is None:
            return None
        try:
            parsed: Message = self.tokenizer.parse_response(ids, prefix=list(prompt_ids))
        except Exception:  # of many kinds, by template; their texts quote the answer, so none is passed on
            return None
        return parsed

    def _names_only_its_own(self, said: str) -> bool:
        """Jinja quotes what is not there: a name of the template, or a value that it looked up with, in any quotes."""
        missing = re.fullmatch(r"(?:'[\w. ]+' has no attribute )?'(\w+)'(?: is undefined)?", said)
        return missing is not None and missing[1] in str(self.tokenizer.chat_template)

    def _apply(self, messages: Sequence[Message], **how: Any) -> Any:
        try:
            return self.tokenizer.apply_chat_template(
                list(messages), **how, **self.settings, strftime_now=self.day.strftime
            )
        except Exception as error:  # jinja2 raises TemplateError subclasses, templates call raise_exception
            roles = ", ".join(str(message["role"]) for message in messages)
            said = str(error).strip()
            # a template may quote what it refuses, whole or in part, and no prompt belongs in a message
            is_its_own = said in str(self.tokenizer.chat_template) or (
                isinstance(error, UndefinedError) and self._names_only_its_own(said)
            )
            reason = said.splitlines()[0] if said and is_its_own else type(error).__name__
            raise ChatTemplateError(f"the chat template refuses the roles ({roles}): {reason}") from None
