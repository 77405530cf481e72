"""Rendering a conversation under the target's own chat template, as token ids.

Ids are never made from rendered text by hand: the tokenizer renders and tokenises in one call, as serving engines do.
"""

from typing import Any


class ChatTemplateError(ValueError):
    """The target's chat template refuses this conversation."""


def render_prompt(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    """Ids of `messages` and the generation prompt: what the target sees before it answers. Raises ChatTemplateError."""
    try:
        ids: list[int] = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=False
        )
    except Exception as error:  # jinja2 raises TemplateError subclasses, templates call raise_exception
        roles = ", ".join(message["role"] for message in messages)
        raise ChatTemplateError(f"the chat template refuses the roles ({roles}): {error}") from None
    return list(ids)
