from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eyrie.privacy.detection import Detected
from eyrie.privacy.engine import Finding
from eyrie.privacy.screening import Action, Conversation, PolicyError, Screened, check_policy, screen

Words = Mapping[str, tuple[str, float]]  # word -> (entity, score)


def found_in(texts: list[str], words: Words) -> Detected:
    return Detected(
        [
            [
                Finding(text.index(word), text.index(word) + len(word), entity, score)
                for word, (entity, score) in words.items()
                if word in text
            ]
            for text in texts
        ]
    )


def outcome_of(conversation: Conversation, words: Words, policy: Mapping[str, Action]) -> Screened:
    return screen(conversation, found_in(conversation.texts, words), policy, seed=1)


def test_one_dropping_entity_drops_the_whole_conversation() -> None:
    outcome = outcome_of(
        Conversation("be kind", ["hello", "it is s3cret"]), {"s3cret": ("SECRET", 0.9)}, {"SECRET": "drop"}
    )
    assert (outcome.drop_reason, outcome.system, outcome.turns) == ("SECRET", "", [])
    assert outcome.findings == Counter({"SECRET": 1})


def test_redaction_and_surrogates_reach_the_system_prompt_and_every_turn() -> None:
    outcome = outcome_of(
        Conversation("server 10.1.2.3", ["ask a@b.com now", "again a@b.com at 10.1.2.3!"]),
        {"10.1.2.3": ("IP_ADDRESS", 0.9), "a@b.com": ("EMAIL_ADDRESS", 1.0)},
        {"IP_ADDRESS": "redact", "EMAIL_ADDRESS": "surrogate"},
    )
    assert outcome.system == "server <IP_ADDRESS>"
    assert outcome.turns[1].endswith(" at <IP_ADDRESS>!")
    mail = outcome.turns[0].split()[1]
    assert mail in outcome.turns[1]
    assert "a@b.com" not in " ".join(outcome.turns)


def test_a_surrogate_tells_nothing_of_the_value() -> None:
    def of(mail: str) -> list[str]:
        return outcome_of(
            Conversation("", [f"Remind {mail} of the invoice"]),
            {mail: ("EMAIL_ADDRESS", 1.0)},
            {"EMAIL_ADDRESS": "surrogate"},
        ).turns

    # else the one of a company's addresses that gives the surrogate is the one that was replaced
    assert of("jo@corp.com") == of("ann.other@corp.com")


def test_a_value_that_was_found_once_is_replaced_wherever_it_is_said_again() -> None:
    texts = [
        "",
        "My phone number is 415 555 2671.",
        "Is 4155552671 divisible by 3? The host is 10.20.30.40",
        "10.20.30.40",
    ]
    detected = Detected([[], [Finding(19, 31, "PHONE_NUMBER", 0.6)], [], [Finding(0, 11, "IP_ADDRESS", 0.6)]])
    outcome = screen(
        Conversation("", texts[1:]), detected, {"PHONE_NUMBER": "surrogate", "IP_ADDRESS": "redact"}, seed=1
    )
    number = outcome.turns[0][19:31]
    assert outcome.turns[1] == f"Is {number.replace(' ', '')} divisible by 3? The host is <IP_ADDRESS>"
    assert outcome.findings == Counter({"PHONE_NUMBER": 2, "IP_ADDRESS": 2})


def test_keep_counts_and_changes_nothing() -> None:
    outcome = outcome_of(Conversation("", ["in Oslo"]), {"Oslo": ("LOCATION", 0.7)}, {"LOCATION": "keep"})
    assert (outcome.drop_reason, outcome.turns) == (None, ["in Oslo"])
    assert outcome.findings == Counter({"LOCATION": 1})


def test_findings_that_overlap_in_part_are_redacted_as_one_span() -> None:
    outcome = outcome_of(
        Conversation("", ["call 555-0132 x77 today"]),
        {"555-0132 x": ("PHONE_NUMBER", 0.5), "0132 x77": ("IP_ADDRESS", 0.9)},
        {"PHONE_NUMBER": "surrogate", "IP_ADDRESS": "redact"},
    )
    assert outcome.turns == ["call <IP_ADDRESS> today"]


def test_a_nested_finding_yields_to_the_longer_one_of_equal_score() -> None:
    outcome = outcome_of(
        Conversation("", ["to jo@corp.com"]),
        {"jo@corp.com": ("EMAIL_ADDRESS", 0.9), "corp": ("ORGANIZATION", 0.9)},
        {"EMAIL_ADDRESS": "surrogate", "ORGANIZATION": "redact"},
    )
    assert "@example." in outcome.turns[0]


def test_a_value_without_a_possible_surrogate_is_redacted() -> None:
    outcome = outcome_of(
        Conversation("", ["call 1-800-FLOWERS"]),
        {"1-800-FLOWERS": ("PHONE_NUMBER", 0.9)},
        {"PHONE_NUMBER": "surrogate"},
    )
    assert outcome.turns == ["call <PHONE_NUMBER>"]


def test_a_conversation_that_cannot_be_analyzed_is_dropped() -> None:
    detected = Detected([[], []], "the analyzer failed with ValueError")
    outcome = screen(Conversation("", ["text"]), detected, {"SECRET": "keep"}, seed=1)
    assert outcome.drop_reason == "could not be analyzed: the analyzer failed with ValueError"
    assert outcome.turns == []


def test_the_policy_must_list_exactly_what_can_be_found() -> None:
    with pytest.raises(PolicyError, match="the analyzer finds PERSON"):
        check_policy({"SECRET": "drop"}, ["PERSON", "SECRET"])
    with pytest.raises(PolicyError, match="no recogniser finds PERSONS"):
        check_policy({"PERSON": "drop", "PERSONS": "drop"}, ["PERSON"], known=["PERSON"])
    with pytest.raises(PolicyError, match=r"policy\.SECRET: surrogates exist for EMAIL_ADDRESS, PHONE_NUMBER"):
        check_policy({"SECRET": "surrogate"}, ["SECRET"])


def test_types_of_the_policy_that_a_backend_cannot_find_are_told() -> None:
    assert check_policy({"PERSON": "drop", "CRYPTO": "drop"}, ["PERSON"]) == ["CRYPTO"]


TYPES = ("EMAIL_ADDRESS", "PHONE_NUMBER", "SECRET")


@st.composite
def screened_texts(draw: st.DrawFn) -> tuple[str, list[Finding]]:
    text = draw(st.text(st.characters(exclude_categories=()), min_size=1, max_size=60))
    finding = st.tuples(
        st.integers(0, len(text) - 1), st.integers(1, 20), st.sampled_from(TYPES), st.sampled_from([0.4, 0.7, 1.0])
    )
    spans = draw(st.lists(finding, max_size=8))
    return text, [Finding(start, min(start + size, len(text)), name, score) for start, size, name, score in spans]


@settings(max_examples=300, deadline=None)
@given(screened_texts(), st.randoms())
def test_any_overlap_is_resolved_the_same_in_any_order_and_no_covered_character_survives(
    drawn: tuple[str, list[Finding]], order: object
) -> None:
    text, findings = drawn
    policy: dict[str, Action] = {"EMAIL_ADDRESS": "surrogate", "PHONE_NUMBER": "surrogate", "SECRET": "redact"}
    shuffled = list(findings)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    outcomes = [
        screen(Conversation("", [text]), Detected([[], variant]), policy, seed=1) for variant in (findings, shuffled)
    ]
    assert outcomes[0] == outcomes[1]
    # What no finding covers stays, in order, around the replacements.
    covered = {position for finding in findings for position in range(finding.start, finding.end)}
    position, rewritten = 0, outcomes[0].turns[0]
    for index, char in enumerate(text):
        if index not in covered:
            position = rewritten.index(char, position) + 1
