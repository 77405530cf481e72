"""Conversations that have their answers already, as training rows.

The template renders a whole conversation; an assistant span is what stands between the prompt that asks for the answer
(the rendered prefix, generation prompt included) and the end-of-turn token, end included. Offsets of one tokenisation
of the whole row place it, and two checks make it exact: the row's tokens before the answer are the very ids that a
serving engine would make of the prompt, and the span decodes to the answer. What fails either is refused, not guessed;
so is an answer that holds an end-of-turn token's text: its turn would end there, and the rest would not be its answer.

As in a conversation that the target answers itself, an answer whose prompt does not begin with the row so far (a
template that drops earlier reasoning, say) starts a new row.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eyrie.chat.conversation import Row
from eyrie.chat.template import ChatTemplate, Message


class TranscriptError(ValueError):
    """No exact span can be given for an answer of this conversation."""


@dataclass
class _Draft:
    """A row as text: `spans` are (start, end) of its answers in characters."""

    text: str
    spans: list[tuple[int, int]]


def rows_of(chat: ChatTemplate, messages: Sequence[Message]) -> list[Row]:
    """The training rows of a conversation, every assistant message supervised once.

    Raises ChatTemplateError, TranscriptError naming the message (0-based).
    """
    drafts: list[_Draft] = []
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        _check_ends_once(chat, message, index)
        asked = chat.text(messages[:index], asks=True)
        answered = chat.text(messages[: index + 1], asks=False)
        if not answered.startswith(asked):
            raise TranscriptError(
                f"message {index}: the template renders the answer otherwise than the prompt that asks for it ends "
                f"(after {_common_length(asked, answered)} of {len(asked)} characters); the target would not have "
                "answered so"
            )
        end = _end_of_turn(chat, answered, len(asked), index)
        if drafts and asked.startswith(drafts[-1].text):
            drafts[-1].text = answered[:end]
            drafts[-1].spans.append((len(asked), end))
        else:
            drafts.append(_Draft(answered[:end], [(len(asked), end)]))
    return [_to_row(chat, draft) for draft in drafts]


def _check_ends_once(chat: ChatTemplate, message: Message, index: int) -> None:
    """Raises TranscriptError when the message itself holds a token that ends turns, in whatever the template may read
    of it."""
    tokens = _end_tokens(chat)
    if any(token in text for text in _texts(message) for token in tokens):
        raise TranscriptError(
            f"message {index}: the answer holds the text of an end-of-turn token, which would end it there"
        )


def _texts(value: Any) -> Iterator[str]:
    """All text of a message: its content, its reasoning, the arguments of its tool calls."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part)


def _end_tokens(chat: ChatTemplate) -> list[str]:
    tokens: list[str] = chat.tokenizer.convert_ids_to_tokens(sorted(chat.stop_ids))
    return tokens


def _end_of_turn(chat: ChatTemplate, text: str, begin: int, index: int) -> int:
    """Where the first end-of-turn token at or after `begin` ends."""
    ends = (place + len(token) for token in _end_tokens(chat) if (place := text.find(token, begin)) >= 0)
    end = min(ends, default=None)
    if end is None:
        raise TranscriptError(f"message {index}: the template puts no end-of-turn token behind the answer")
    return end


def _to_row(chat: ChatTemplate, draft: _Draft) -> Row:
    encoded = chat.tokenizer(draft.text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = list(encoded["input_ids"]), encoded["offset_mapping"]
    row = Row(ids)
    for start, end in draft.spans:
        first = next((token for token, (begin, _) in enumerate(offsets) if begin >= start), len(ids))
        last = next((token for token, (begin, _) in enumerate(offsets) if begin >= end), len(ids))
        where = f"the answer at character {start} of the rendered conversation"
        if ids[:first] != chat.tokenize(draft.text[:start]):
            raise TranscriptError(f"{where}: its first token begins before it, or differs from what serving would see")
        if chat.decode(ids[:last]) != chat.decode(ids[:first]) + draft.text[start:end]:
            raise TranscriptError(f"{where}: its tokens do not decode to it")
        row.spans.append((first, last))
        row.finish_reasons.append("given")
    return row


def _common_length(one: str, two: str) -> int:
    return next((index for index, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
