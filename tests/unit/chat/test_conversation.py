"""Rows are the ids the target saw and produced, and spans are exactly its answers."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from eyrie.chat.conversation import Conversation
from eyrie.chat.template import ChatTemplateError, render_prompt
from tests.conftest import LLAMA3_TEMPLATE

EOT = 4
STOP = frozenset({EOT})


@pytest.fixture(scope="module")
def tokenizer(tiny_target: Path):  # type: ignore[no-untyped-def]
    return AutoTokenizer.from_pretrained(tiny_target)


def _answer(tokenizer, text: str) -> list[int]:  # type: ignore[no-untyped-def]
    return [*tokenizer.encode(text, add_special_tokens=False), EOT]


def test_a_prompt_ends_where_the_answer_begins(tokenizer) -> None:  # type: ignore[no-untyped-def]
    ids = render_prompt(tokenizer, [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])
    assert tokenizer.decode(ids) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\ns<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nu<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_turns_share_a_row_when_history_renders_as_the_target_saw_it(tokenizer) -> None:  # type: ignore[no-untyped-def]
    conversation = Conversation("", ["one", "two"])
    for text in ("the answer", "another"):
        conversation.add_answer(tokenizer, conversation.next_prompt(tokenizer), _answer(tokenizer, text), STOP)
    (row,) = conversation.rows
    assert conversation.finished
    assert row.finish_reasons == ["stop", "stop"]
    answers = [tokenizer.decode(row.input_ids[start:end]) for start, end in row.spans]
    assert answers == ["the answer<|eot_id|>", "another<|eot_id|>"]
    assert row.input_ids[row.spans[0][1]] != EOT, "the template must not add a second end-of-turn"


def test_a_template_that_rewrites_history_starts_a_new_row(tiny_target: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_target)
    tokenizer.chat_template = LLAMA3_TEMPLATE.replace(
        "message['content'] | trim", "message['content'].split('</think>')[-1] | trim"
    )
    conversation = Conversation("", ["one", "two"])
    seen = []
    for text in ("why</think>the answer", "because</think>another"):
        prompt = conversation.next_prompt(tokenizer)
        seen.append([*prompt, *_answer(tokenizer, text)])
        conversation.add_answer(tokenizer, prompt, _answer(tokenizer, text), STOP)
    assert [row.input_ids for row in conversation.rows] == seen
    assert [len(row.spans) for row in conversation.rows] == [1, 1]
    assert "why" not in tokenizer.decode(conversation.rows[1].input_ids)


def test_an_answer_whose_text_tokenises_differently_is_never_retokenised_in_its_row(tokenizer) -> None:  # type: ignore[no-untyped-def]
    conversation = Conversation("", ["one", "two"])
    letters = [tokenizer.convert_tokens_to_ids(letter) for letter in "the"]
    assert letters != tokenizer.encode("the", add_special_tokens=False)
    first = conversation.next_prompt(tokenizer)
    conversation.add_answer(tokenizer, first, [*letters, EOT], STOP)
    second = conversation.next_prompt(tokenizer)
    conversation.add_answer(tokenizer, second, _answer(tokenizer, "x"), STOP)
    assert conversation.rows[0].input_ids == [*first, *letters, EOT]
    assert conversation.rows[1].input_ids[: len(second)] == second
    assert len(conversation.rows[1].spans) == 1


def test_an_answer_cut_off_by_length_ends_the_conversation_and_says_so(tokenizer) -> None:  # type: ignore[no-untyped-def]
    conversation = Conversation("", ["one", "two"])
    prompt = conversation.next_prompt(tokenizer)
    conversation.add_answer(tokenizer, prompt, _answer(tokenizer, "cut")[:-1], STOP)
    assert conversation.finished
    assert conversation.rows[0].finish_reasons == ["length"]


def test_a_template_that_refuses_a_role_is_one_sentence(tiny_target: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_target)
    tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(ChatTemplateError, match=r"\(system, user\): System role not supported"):
        Conversation("be brief", ["one"]).next_prompt(tokenizer)
