"""A bug and a rounding are told apart, and a difference is shown where it begins."""

from pathlib import Path

import pytest

from eyrie.bench.gate import GateAnswer, check_answers
from eyrie.bench.lossless import first_difference, near_tie_margin
from eyrie.chat.template import ChatTemplate
from eyrie.engines.target import load_chat
from tests.conftest import tiny_params


@pytest.fixture(scope="module")
def chat(tiny_target: Path) -> ChatTemplate:
    return load_chat(tiny_params(tiny_target).target)


def answer(output: list[int], *, top: list[list[tuple[int, float]]] | None = None, prompt_id: str = "p") -> GateAnswer:
    return GateAnswer(prompt_id, "chat", 0, [], [7, 8], output, None, top or [])


def test_the_first_difference_is_a_token_or_an_early_end() -> None:
    assert first_difference([1, 2, 3], [1, 2, 3]) is None
    assert first_difference([1, 2, 3], [1, 9, 3]) == 1
    assert first_difference([1, 2], [1, 2, 3]) == 2


def test_the_margin_of_a_near_tie_follows_the_dtypes_rounding() -> None:
    assert near_tie_margin("float32") == pytest.approx(1e-3, rel=0.05)
    assert near_tie_margin("bfloat16") == 0.5
    assert near_tie_margin("float16") == 0.0625


@pytest.mark.parametrize(
    ("gap", "dtype", "near_tie"), [(0.3, "bfloat16", True), (0.3, "float32", False), (2.0, "bfloat16", False)]
)
def test_a_difference_is_a_near_tie_when_rounding_explains_its_margin(
    chat: ChatTemplate, gap: float, dtype: str, near_tie: bool
) -> None:
    tokens = [int(token) for token in chat.tokenize("the user asks and the assistant")]
    other = chat.tokenize(" system")[0]
    top = [[(token, -0.1)] for token in tokens]
    top[2] = [(tokens[2], -0.5), (other, -0.5 - gap)]
    branch = [*tokens[:2], other, *tokens[3:]]
    check = check_answers(chat, [answer(tokens, top=top)], [answer(branch)], dtype=dtype)
    (mismatch,) = check.mismatches
    assert (check.num_answers, check.num_identical) == (1, 0)
    assert (mismatch.position, mismatch.near_tie) == (2, near_tie)
    assert mismatch.baseline_margin == pytest.approx(gap)
    assert mismatch.shared_text + mismatch.baseline_text == chat.decode(tokens[:10])
    assert mismatch.eagle3_text.startswith(" system")


def test_a_token_that_was_not_among_the_likeliest_is_no_near_tie(chat: ChatTemplate) -> None:
    top = [[(10, -0.1), (11, -3.0)]]
    (mismatch,) = check_answers(chat, [answer([10], top=top)], [answer([12])], dtype="bfloat16").mismatches
    assert mismatch.baseline_margin == pytest.approx(2.9)
    assert not mismatch.near_tie


def test_a_baseline_that_passed_over_its_own_likeliest_token_is_no_near_tie(chat: ChatTemplate) -> None:
    """Rounding explains neither a large margin nor one of the other sign: what answered was not greedy."""
    top = [[(11, -0.1), (10, -4.0)]]
    (mismatch,) = check_answers(chat, [answer([10], top=top)], [answer([11])], dtype="bfloat16").mismatches
    assert mismatch.baseline_margin == pytest.approx(-3.9)
    assert not mismatch.near_tie
    top = [[(11, -0.8), (10, -0.9)]]
    (mismatch,) = check_answers(chat, [answer([10], top=top)], [answer([11])], dtype="bfloat16").mismatches
    assert mismatch.near_tie


def test_where_all_that_is_known_is_a_near_tie_a_token_beyond_is_not_excused(chat: ChatTemplate) -> None:
    top = [[(10, -1.5), (11, -1.6), (13, -1.7)]]
    (mismatch,) = check_answers(chat, [answer([10], top=top)], [answer([12])], dtype="bfloat16").mismatches
    assert (mismatch.baseline_margin, mismatch.near_tie) == (None, False)


@pytest.mark.parametrize(("baseline", "drafted"), [([10, 11], [10]), ([10], [10, 11])])
def test_an_answer_that_ends_early_has_no_margin_and_is_no_near_tie(
    chat: ChatTemplate, baseline: list[int], drafted: list[int]
) -> None:
    top = [[(token, -0.1), (12, -0.2)] for token in baseline]
    (mismatch,) = check_answers(chat, [answer(baseline, top=top)], [answer(drafted)], dtype="bfloat16").mismatches
    assert (mismatch.position, mismatch.baseline_margin, mismatch.near_tie) == (1, None, False)


def test_positions_count_over_the_answers_of_a_conversation(chat: ChatTemplate) -> None:
    pairs = ([answer([10, 11, 12]), answer([13, 14])], [answer([10, 11, 12]), answer([13, 15])])
    pairs[0][1].top.extend([[], []])  # a server that gives no log-probabilities there
    (mismatch,) = check_answers(chat, *pairs, dtype="float32").mismatches
    assert (mismatch.position, mismatch.baseline_margin, mismatch.near_tie) == (4, None, False)
