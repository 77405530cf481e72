"""Rows and masks under the template shapes of well-known families, against masks written by hand.

In an expected row, ⟦ and ⟧ stand where an answer begins and ends; every byte and every special token is one token.
"""

import pytest

from eyrie.chat.conversation import Conversation, Row
from eyrie.chat.template import ChatTemplate, ChatTemplateError
from eyrie.chat.transcript import TranscriptError, rows_of
from tests.unit.chat.shapes import SHAPES, byte_tokenizer

L3 = "<|begin_of_text|>"
LLAMA31_SYSTEM = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
    "Today Date: 02 Jan 2026\n\nS<|eot_id|>"
)


def _l3(role: str, text: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n{text}"


def _ml(role: str, text: str) -> str:
    return f"<|im_start|>{role}\n{text}"


ONE_ROW_L3 = (
    _l3("user", "Q1<|eot_id|>")
    + _l3("assistant", "⟦A1<|eot_id|>⟧")
    + _l3("user", "Q2<|eot_id|>")
    + _l3("assistant", "⟦A2<|eot_id|>⟧")
)
HARMONY_SYSTEM = (
    "<|start|>system<|message|>Current date: 2026-01-02\n\nReasoning: low<|end|>"
    "<|start|>developer<|message|># Instructions\n\nS<|end|><|start|>user<|message|>Q1<|end|><|start|>assistant"
)
DS = "<｜begin▁of▁sentence｜>S<｜User｜>Q1<｜Assistant｜>"
DS_END = "<｜end▁of▁sentence｜>"
QWEN3_SYSTEM = _ml("system", "S<|im_end|>\n") + _ml("user", "Q1<|im_end|>\n")

# shape -> what the target answers to Q1 (A2 and why2 for Q2), and the rows that come of the two turns
EXPECTED: dict[str, tuple[str, list[str]]] = {
    "llama3": ("A1<|eot_id|>", [L3 + _l3("system", "S<|eot_id|>") + ONE_ROW_L3]),
    "llama3.1-date": ("A1<|eot_id|>", [LLAMA31_SYSTEM + ONE_ROW_L3]),
    "llama4": (
        "A1<|eot|>",
        [
            "<|begin_of_text|><|header_start|>system<|header_end|>\n\nS<|eot|>"
            "<|header_start|>user<|header_end|>\n\nQ1<|eot|><|header_start|>assistant<|header_end|>\n\n⟦A1<|eot|>⟧"
            "<|header_start|>user<|header_end|>\n\nQ2<|eot|><|header_start|>assistant<|header_end|>\n\n⟦A2<|eot|>⟧"
        ],
    ),
    "chatml-default-system": (
        "A1<|im_end|>",
        [
            _ml("system", "S<|im_end|>\n")
            + _ml("user", "Q1<|im_end|>\n")
            + _ml("assistant", "⟦A1<|im_end|>⟧\n")
            + _ml("user", "Q2<|im_end|>\n")
            + _ml("assistant", "⟦A2<|im_end|>⟧")
        ],
    ),
    "qwen3-thinking": (
        "<think>\nwhy1\n</think>\n\nA1<|im_end|>",
        [
            QWEN3_SYSTEM + _ml("assistant", "⟦<think>\nwhy1\n</think>\n\nA1<|im_end|>⟧"),
            QWEN3_SYSTEM
            + _ml("assistant", "A1<|im_end|>\n")
            + _ml("user", "Q2<|im_end|>\n")
            + _ml("assistant", "⟦<think>\nwhy2\n</think>\n\nA2<|im_end|>⟧"),
        ],
    ),
    "qwen3-no-thinking": (
        "A1<|im_end|>",
        [
            QWEN3_SYSTEM + _ml("assistant", "<think>\n\n</think>\n\n⟦A1<|im_end|>⟧"),
            QWEN3_SYSTEM
            + _ml("assistant", "A1<|im_end|>\n")
            + _ml("user", "Q2<|im_end|>\n")
            + _ml("assistant", "<think>\n\n</think>\n\n⟦A2<|im_end|>⟧"),
        ],
    ),
    "gemma3": (
        "A1<end_of_turn>",
        [
            "<bos><start_of_turn>user\nS\n\nQ1<end_of_turn>\n<start_of_turn>model\n⟦A1<end_of_turn>⟧\n"
            "<start_of_turn>user\nQ2<end_of_turn>\n<start_of_turn>model\n⟦A2<end_of_turn>⟧"
        ],
    ),
    "mistral": (
        " A1</s>",
        [
            "<s>[INST] S\n\nQ1[/INST]⟦ A1</s>⟧",
            "<s>[INST] Q1[/INST] A1</s>[INST] S\n\nQ2[/INST]⟦ A2</s>⟧",
        ],
    ),
    "phi4": (
        "A1<|end|>",
        ["<|system|>S<|end|><|user|>Q1<|end|><|assistant|>⟦A1<|end|>⟧<|user|>Q2<|end|><|assistant|>⟦A2<|end|>⟧"],
    ),
    "harmony": (
        "<|channel|>analysis<|message|>why1<|end|><|start|>assistant<|channel|>final<|message|>A1<|return|>",
        [
            HARMONY_SYSTEM + "⟦<|channel|>analysis<|message|>why1<|end|><|start|>assistant<|channel|>final<|message|>"
            "A1<|return|>⟧",
            HARMONY_SYSTEM + "<|channel|>final<|message|>A1<|end|><|start|>user<|message|>Q2<|end|><|start|>assistant"
            "⟦<|channel|>analysis<|message|>why2<|end|><|start|>assistant<|channel|>final<|message|>A2<|return|>⟧",
        ],
    ),
    "deepseek-r1": (
        "why1\n</think>\n\nA1" + DS_END,
        [
            DS + "<think>\n⟦why1\n</think>\n\nA1" + DS_END + "⟧",
            DS + "\n\nA1" + DS_END + "<｜User｜>Q2<｜Assistant｜><think>\n⟦why2\n</think>\n\nA2" + DS_END + "⟧",
        ],
    ),
    "deepseek-v3": (
        "A1" + DS_END,
        [DS + "⟦A1" + DS_END + "⟧<｜User｜>Q2<｜Assistant｜>⟦A2" + DS_END + "⟧"],
    ),
}


def _row(chat: ChatTemplate, marked: str, finish_reason: str = "stop") -> Row:
    """The row that a marked text stands for, tokenised piece by piece."""
    row = Row([])
    for index, piece in enumerate(marked.replace("⟧", "⟦").split("⟦")):
        start = len(row.input_ids)
        row.input_ids += chat.tokenize(piece)
        if index % 2:
            row.spans.append((start, len(row.input_ids)))
            row.finish_reasons.append(finish_reason)
    return row


@pytest.mark.parametrize("name", EXPECTED)
def test_what_the_target_answers_gets_the_mask_computed_by_hand(name: str) -> None:
    chat = SHAPES[name].chat()
    answer, rows = EXPECTED[name]
    conversation = Conversation(chat, "S", ["Q1", "Q2"])
    for text in (answer, answer.replace("1", "2")):
        conversation.add_answer(conversation.next_prompt(), chat.tokenize(text))
    assert conversation.rows == [_row(chat, marked) for marked in rows]


# Two shapes render an answer in the history otherwise than where it was asked for: see the refusal below.
@pytest.mark.parametrize("name", sorted(EXPECTED.keys() - {"deepseek-r1", "mistral"}))
def test_answers_taken_as_they_are_get_the_same_mask_as_the_target_s_own(name: str) -> None:
    chat = SHAPES[name].chat()
    answer, rows = EXPECTED[name]
    messages = [{"role": "system", "content": "S"}]
    for number in "12":
        answered = chat.answer_message([], chat.tokenize(answer.replace("1", number)))
        messages += [{"role": "user", "content": f"Q{number}"}, answered]
    assert rows_of(chat, messages) == [_row(chat, marked, "given") for marked in rows]


def test_a_template_without_a_system_role_takes_prompts_without_one() -> None:
    chat = SHAPES["gemma"].chat()
    conversation = Conversation(chat, "", ["Q1"])
    conversation.add_answer(conversation.next_prompt(), chat.tokenize("A1<end_of_turn>"))
    expected = "<bos><start_of_turn>user\nQ1<end_of_turn>\n<start_of_turn>model\n⟦A1<end_of_turn>⟧"
    assert conversation.rows == [_row(chat, expected)]
    with pytest.raises(ChatTemplateError, match="System role not supported"):
        Conversation(chat, "S", ["Q1"]).next_prompt()


def test_a_template_s_own_system_prompt_is_part_of_the_row_and_not_supervised() -> None:
    chat = SHAPES["chatml-default-system"].chat()
    (row,) = rows_of(chat, [{"role": "user", "content": "Q1"}, {"role": "assistant", "content": "A1"}])
    expected = _ml("system", "You are a helpful assistant.<|im_end|>\n") + _ml("user", "Q1<|im_end|>\n")
    assert row == _row(chat, expected + _ml("assistant", "⟦A1<|im_end|>⟧"), "given")


@pytest.mark.parametrize("name", ["deepseek-r1", "mistral"])
def test_an_answer_that_the_target_would_not_have_begun_so_is_refused(name: str) -> None:
    messages = [{"role": role, "content": f"{role} why</think>"} for role in ("system", "user", "assistant")]
    with pytest.raises(TranscriptError, match=r"message 2: the template renders the answer otherwise"):
        rows_of(SHAPES[name].chat(), messages)


def test_a_template_that_moves_the_system_prompt_takes_answers_of_a_conversation_without_one() -> None:
    chat = SHAPES["mistral"].chat()
    messages = [{"role": role, "content": role} for role in ("user", "assistant")]
    assert rows_of(chat, messages) == [_row(chat, "<s>[INST] user[/INST]⟦ assistant</s>⟧", "given")]


def test_a_token_across_the_border_of_an_answer_is_refused() -> None:
    chat = SHAPES["chatml-default-system"].chat()
    merging = byte_tokenizer([("Ċ", "Ċ")])
    merging.chat_template = chat.tokenizer.chat_template
    stops = frozenset(merging.convert_tokens_to_ids(["<|im_end|>"]))
    chat = ChatTemplate(merging, stops, {}, chat.day)
    messages = [{"role": "user", "content": "Q1"}, {"role": "assistant", "content": "A1"}]
    assert len(rows_of(chat, messages)[0].spans) == 1
    messages[1]["content"] = "\nA1"
    with pytest.raises(TranscriptError, match="its first token begins before it"):
        rows_of(chat, messages)


def test_a_template_that_never_ends_a_turn_is_refused() -> None:
    chat = SHAPES["llama3"].chat()
    chat.tokenizer.chat_template = chat.tokenizer.chat_template.replace("<|eot_id|>", "")
    with pytest.raises(TranscriptError, match="no end-of-turn token behind the answer"):
        rows_of(chat, [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}])


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("llama3", {"content": "Llama ends a turn with <|eot_id|> and nothing else does so."}),
        ("harmony", {"content": "A1", "thinking": "why <|return|> not"}),
        ("harmony", {"content": "A1", "tool_calls": [{"function": {"arguments": {"q": "<|call|>"}}}]}),
    ],
)
def test_an_answer_that_holds_an_end_of_turn_token_is_refused_and_not_cut_there(
    name: str, answer: dict[str, object]
) -> None:
    messages = [{"role": "user", "content": "Q1"}, {"role": "assistant", **answer}]
    with pytest.raises(
        TranscriptError, match=r"^message 1: the answer holds the text of an end-of-turn token"
    ) as caught:
        rows_of(SHAPES[name].chat(), messages)
    assert "<|" not in str(caught.value)


def test_the_day_of_a_template_is_the_one_of_the_parameters() -> None:
    ids = SHAPES["llama3.1-date"].chat().prompt_ids([{"role": "user", "content": "Q"}])
    assert "Today Date: 02 Jan 2026" in SHAPES["llama3.1-date"].chat().tokenizer.decode(ids)
