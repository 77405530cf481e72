import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eyrie.privacy.engine import Finding
from eyrie.privacy.mentions import with_further_mentions

VALUE_TYPES = ("PHONE_NUMBER", "IP_ADDRESS")


def mentions(entity: str, value: str, text: str) -> list[str]:
    """What is found in `text` when `value` was found in another turn."""
    found = with_further_mentions([value, text], [[Finding(0, len(value), entity, 0.7)], []], {entity})
    assert [item.score for item in found[1]] == [0.7] * len(found[1])
    return [text[item.start : item.end] for item in found[1]]


@pytest.mark.parametrize(
    ("value", "mention"),
    [
        ("4155552671", "4155552671"),
        ("(415) 555-2671 x12", "415.555.2671"),
        ("415-555-2671", "+1 415 555 2671"),
        ("+91 98765 43210", "98765 43210"),
        ("98765 43210", "+91 98765-43210"),
        ("06 12 34 56 78", "+33 6 12 34 56 78"),
        ("+49 171 2345678", "01712345678"),
        ("+1 415 555 2671", "415\u00a0555\u00a02671"),
    ],
)
def test_a_phone_number_is_found_again_in_any_spelling(value: str, mention: str) -> None:
    assert mentions("PHONE_NUMBER", value, f"is {mention} divisible by 3?") == [mention]


@pytest.mark.parametrize("text", ["is 84155552671 prime?", "is 41555526712 prime?", "4155 and 552671", "5552671"])
def test_another_number_is_not_taken_for_a_phone_number_that_was_found(text: str) -> None:
    assert mentions("PHONE_NUMBER", "4155552671", text) == []


@pytest.mark.parametrize(
    ("entity", "value", "text", "expected"),
    [
        ("IP_ADDRESS", "192.168.10.77", "ssh root@192.168.10.77x", ["192.168.10.77"]),
        ("IP_ADDRESS", "10.1.2.3", "10.1.2.34 and 110.1.2.3", []),
        ("EMAIL_ADDRESS", "jo@corp.com", "JO@CORP.COM, not banjo@corp.com", ["JO@CORP.COM"]),
        ("PERSON", "Hunter", "Hunter, a hunter; Hunters", ["Hunter"]),
        ("PERSON", "Will", "Will you?", []),  # too short: a word of any text
        ("MAC_ADDRESS", "00:1b:44:11:3a:b7", "00:1B:44:11:3A:B7", ["00:1B:44:11:3A:B7"]),
    ],
)
def test_another_value_is_found_again_as_it_was_written(
    entity: str, value: str, text: str, expected: list[str]
) -> None:
    assert mentions(entity, value, text) == expected


def test_numbers_of_different_lengths_are_each_found_again() -> None:
    longer, shorter = "+1 415 555 0172", "30 901820"
    findings = [[Finding(0, len(value), "PHONE_NUMBER", 0.7)] for value in (longer, shorter)]
    text = "4155550172, 30901820"
    found = with_further_mentions([longer, shorter, text], [*findings, []], {"PHONE_NUMBER"})[2]
    assert [text[item.start : item.end] for item in found] == ["4155550172", "30901820"]


def test_values_of_one_beginning_are_each_found_again() -> None:
    longer, shorter = "192.168.1.10", "192.168.1.1"
    findings = [[Finding(0, len(value), "IP_ADDRESS", 0.7)] for value in (longer, shorter)]
    text = "192.168.1.10 is not 192.168.1.1"
    found = with_further_mentions([longer, shorter, text], [*findings, []], {"IP_ADDRESS"})[2]
    assert [text[item.start : item.end] for item in found] == [longer, shorter]


@settings(max_examples=40)
@given(st.lists(st.text("12", max_size=4).map("555.1234".__add__), min_size=1), st.sampled_from(VALUE_TYPES))
def test_whatever_was_found_mentions_lie_in_the_text(values: list[str], entity: str) -> None:
    texts = [*values, " ".join(values), "".join(reversed(values))]
    findings = [[Finding(0, len(value), entity, 0.7)] for value in values]
    found = with_further_mentions(texts, [*findings, [], []], {entity})
    assert all(0 <= item.start < item.end <= len(texts[i]) for i, items in enumerate(found) for item in items)


def test_what_is_inside_a_finding_is_no_further_mention() -> None:
    text = "jo@corp.com"
    findings = [[Finding(0, 11, "EMAIL_ADDRESS", 0.9)], [Finding(0, 11, "EMAIL_ADDRESS", 1.0)]]
    assert with_further_mentions([text, text], findings, {"EMAIL_ADDRESS"}) == findings


def test_values_of_types_that_are_kept_are_not_looked_for() -> None:
    findings: list[list[Finding]] = [[Finding(0, 6, "LOCATION", 0.9)], []]
    assert with_further_mentions(["Berlin", "Berlin"], findings, {"EMAIL_ADDRESS"}) == findings


@pytest.mark.parametrize("entity", ["PHONE_NUMBER", "EMAIL_ADDRESS"])
def test_ten_thousand_values_are_looked_for_in_one_go(entity: str) -> None:
    values = [f"415{number:07d}" if entity == "PHONE_NUMBER" else f"user{number}@corp.com" for number in range(10_000)]
    text, findings, position = "\n".join(values), [], 0
    for value in values:
        findings.append(Finding(position, position + len(value), entity, 0.7))
        position += len(value) + 1
    started = time.process_time()
    found = with_further_mentions([text, text], [findings, []], {entity})
    assert len(found[1]) == len(values)
    assert time.process_time() - started < 10  # a pattern for each takes minutes
