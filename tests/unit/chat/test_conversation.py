"""Rows are the ids the target saw and produced, and spans are exactly its answers."""

from datetime import date
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from eyrie.chat.conversation import Conversation
from eyrie.chat.template import ChatTemplate, ChatTemplateError
from tests.conftest import LLAMA3_TEMPLATE

EOT = 4
STOP = frozenset({EOT})


def make_chat(folder: Path, template: str = LLAMA3_TEMPLATE, **settings: object) -> ChatTemplate:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    return ChatTemplate(tokenizer, STOP, settings, date(2026, 1, 2))


@pytest.fixture(scope="module")
def chat(tiny_target: Path) -> ChatTemplate:
    return make_chat(tiny_target)


def _answer(chat: ChatTemplate, text: str) -> list[int]:
    return [*chat.tokenizer.encode(text, add_special_tokens=False), EOT]


def test_a_prompt_ends_where_the_answer_begins(chat: ChatTemplate) -> None:
    ids = chat.prompt_ids([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])
    assert chat.tokenizer.decode(ids) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\ns<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nu<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_turns_share_a_row_when_history_renders_as_the_target_saw_it(chat: ChatTemplate) -> None:
    conversation = Conversation(chat, "", ["one", "two"])
    for text in ("the answer", "another"):
        conversation.add_answer(conversation.next_prompt(), _answer(chat, text))
    (row,) = conversation.rows
    assert conversation.finished
    assert row.finish_reasons == ["stop", "stop"]
    answers = [chat.tokenizer.decode(row.input_ids[start:end]) for start, end in row.spans]
    assert answers == ["the answer<|eot_id|>", "another<|eot_id|>"]
    assert row.input_ids[row.spans[0][1]] != EOT, "the template must not add a second end-of-turn"


def test_a_template_that_rewrites_history_starts_a_new_row(tiny_target: Path) -> None:
    strips = "message['content'].split('</think>')[-1] | trim"
    chat = make_chat(tiny_target, LLAMA3_TEMPLATE.replace("message['content'] | trim", strips))
    conversation = Conversation(chat, "", ["one", "two"])
    seen = []
    for text in ("why</think>the answer", "because</think>another"):
        prompt = conversation.next_prompt()
        seen.append([*prompt, *_answer(chat, text)])
        conversation.add_answer(prompt, _answer(chat, text))
    assert [row.input_ids for row in conversation.rows] == seen
    assert [len(row.spans) for row in conversation.rows] == [1, 1]
    assert "why" not in chat.tokenizer.decode(conversation.rows[1].input_ids)


def test_an_answer_whose_text_tokenises_differently_is_never_retokenised_in_its_row(chat: ChatTemplate) -> None:
    conversation = Conversation(chat, "", ["one", "two"])
    letters = [chat.tokenizer.convert_tokens_to_ids(letter) for letter in "the"]
    assert letters != chat.tokenizer.encode("the", add_special_tokens=False)
    first = conversation.next_prompt()
    conversation.add_answer(first, [*letters, EOT])
    second = conversation.next_prompt()
    conversation.add_answer(second, _answer(chat, "x"))
    assert conversation.rows[0].input_ids == [*first, *letters, EOT]
    assert conversation.rows[1].input_ids[: len(second)] == second
    assert len(conversation.rows[1].spans) == 1


def test_an_answer_cut_off_by_length_ends_the_conversation_and_says_so(chat: ChatTemplate) -> None:
    conversation = Conversation(chat, "", ["one", "two"])
    prompt = conversation.next_prompt()
    conversation.add_answer(prompt, _answer(chat, "cut")[:-1])
    assert conversation.finished
    assert conversation.rows[0].finish_reasons == ["length"]


TOOL_TEMPLATE = {
    "version": 1,
    "start_anchor": "<|end_header_id|>",
    "fields": {
        "tool": {"open": "<tool_call>", "close": "</tool_call>", "content": "json"},
        "content": {"content": "text"},
    },
    "defaults": {"role": "assistant"},
}


@pytest.mark.parametrize("broken", ['<tool_call>{"name": two words}</tool_call>', '<tool_call>{"na'])
def test_an_answer_that_breaks_the_response_template_stays_text_in_the_history(tiny_target: Path, broken: str) -> None:
    chat = make_chat(tiny_target)
    chat.tokenizer.response_template = TOOL_TEMPLATE
    conversation = Conversation(chat, "", ["one", "two"])
    first = conversation.next_prompt()
    conversation.add_answer(first, _answer(chat, broken))
    assert chat.decode(conversation.next_prompt()).startswith(chat.decode(first) + broken + "<|eot_id|>")


def test_an_answer_that_keeps_to_the_response_template_is_parsed(tiny_target: Path) -> None:
    chat = make_chat(tiny_target)
    chat.tokenizer.response_template = TOOL_TEMPLATE
    prompt = chat.prompt_ids([{"role": "user", "content": "one"}])
    message = chat.answer_message(prompt, _answer(chat, '<tool_call>{"name": "two"}</tool_call>'))
    assert message["tool"] == {"name": "two"}


def test_an_empty_answer_is_an_empty_message_under_a_response_template(tiny_target: Path) -> None:
    chat = make_chat(tiny_target)
    chat.tokenizer.response_template = TOOL_TEMPLATE
    assert chat.answer_message([], []) == {"role": "assistant", "content": ""}


@pytest.mark.parametrize(("turns", "cut"), [(["one"], False), (["one", "two"], True)])
def test_the_answer_that_ends_a_conversation_is_not_parsed(
    chat: ChatTemplate, monkeypatch: pytest.MonkeyPatch, turns: list[str], cut: bool
) -> None:
    monkeypatch.setattr(ChatTemplate, "answer_message", lambda *_: pytest.fail("no later prompt holds this answer"))
    conversation = Conversation(chat, "", turns)
    answer = _answer(chat, "the answer")
    conversation.add_answer(conversation.next_prompt(), answer[:-1] if cut else answer)
    assert conversation.finished


def test_a_template_that_refuses_a_role_is_one_sentence(tiny_target: Path) -> None:
    chat = make_chat(tiny_target, "{{ raise_exception('System role not supported') }}")
    with pytest.raises(ChatTemplateError, match=r"\(system, user\): System role not supported"):
        Conversation(chat, "be brief", ["one"]).next_prompt()


def test_a_name_that_a_template_lacks_is_said(tiny_target: Path) -> None:
    chat = make_chat(tiny_target, "{{ messages[0].style.prefix }}")
    with pytest.raises(ChatTemplateError, match=r"refuses the roles \(user\): 'dict object' has no attribute 'style'"):
        chat.prompt_ids([{"role": "user", "content": "x"}])


@pytest.mark.parametrize(
    ("template", "kind"),
    [
        ("{{ raise_exception('cannot take ' + messages[0].content[:12]) }}", "TemplateError"),
        ("{% set styles = {} %}{{ styles[messages[0].content].prefix }}", "UndefinedError"),
    ],
)
def test_a_template_that_quotes_what_it_refuses_is_not_quoted(tiny_target: Path, template: str, kind: str) -> None:
    chat = make_chat(tiny_target, template)
    with pytest.raises(ChatTemplateError, match=rf"refuses the roles \(user\): {kind}$"):
        chat.prompt_ids([{"role": "user", "content": " my private question\n"}])
    with pytest.raises(ChatTemplateError, match=rf"refuses the roles \(user\): {kind}$"):
        chat.prompt_ids([{"role": "user", "content": "it's my private question"}])  # Python quotes it with "
