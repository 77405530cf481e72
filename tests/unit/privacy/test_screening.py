from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from eyrie.privacy import screening
from eyrie.privacy.engine import Analyzer, Finding, UnscreenableError
from eyrie.privacy.screening import Action, Conversation, PolicyError, Rules, Screener, screen_all
from tests.conftest import REPOSITORY

CONFIG = REPOSITORY / "resources/privacy/analyzer.yaml"


class FakeAnalyzer:
    """Finds the given words: word -> (entity, score)."""

    def __init__(self, words: Mapping[str, tuple[str, float]]) -> None:
        self._words = words
        self.entities = sorted({entity for entity, _ in words.values()})

    def find(self, text: str, *, score_threshold: float) -> list[Finding]:
        if "unreadable" in text:
            raise UnscreenableError("the analyzer failed with ValueError")
        return [
            Finding(text.index(word), text.index(word) + len(word), entity, score)
            for word, (entity, score) in self._words.items()
            if word in text
        ]


def screener(words: Mapping[str, tuple[str, float]], policy: Mapping[str, Action]) -> Screener:
    rules = Rules(analyzer_config=Path("unused"), policy=policy, score_threshold=0.4, seed=1)
    return Screener(rules, analyzer=FakeAnalyzer(words))  # type: ignore[arg-type]


def test_one_dropping_entity_drops_the_whole_conversation() -> None:
    outcome = screener({"s3cret": ("SECRET", 0.9)}, {"SECRET": "drop"}).screen(
        Conversation("p", "be kind", ["hello", "it is s3cret"])
    )
    assert (outcome.drop_reason, outcome.system, outcome.turns) == ("SECRET", "", [])
    assert outcome.findings == Counter({"SECRET": 1})


def test_redaction_and_surrogates_reach_the_system_prompt_and_every_turn() -> None:
    outcome = screener(
        {"10.1.2.3": ("IP_ADDRESS", 0.9), "a@b.com": ("EMAIL_ADDRESS", 1.0)},
        {"IP_ADDRESS": "redact", "EMAIL_ADDRESS": "surrogate"},
    ).screen(Conversation("p", "server 10.1.2.3", ["ask a@b.com now", "again a@b.com at 10.1.2.3!"]))
    assert outcome.system == "server <IP_ADDRESS>"
    assert outcome.turns[1].endswith(" at <IP_ADDRESS>!")
    mail = outcome.turns[0].split()[1]
    assert mail in outcome.turns[1]
    assert "a@b.com" not in " ".join(outcome.turns)


def test_keep_counts_and_changes_nothing() -> None:
    outcome = screener({"Oslo": ("LOCATION", 0.7)}, {"LOCATION": "keep"}).screen(Conversation("p", "", ["in Oslo"]))
    assert (outcome.turns, outcome.findings) == (["in Oslo"], Counter({"LOCATION": 1}))


def test_findings_that_overlap_in_part_are_redacted_as_one_span() -> None:
    words = {"555-0132 x": ("PHONE_NUMBER", 0.5), "0132 x77": ("IP_ADDRESS", 0.9)}
    outcome = screener(words, {"PHONE_NUMBER": "surrogate", "IP_ADDRESS": "redact"}).screen(
        Conversation("p", "", ["call 555-0132 x77 today"])
    )
    assert outcome.turns == ["call <IP_ADDRESS> today"]


def test_a_nested_finding_yields_to_the_longer_one_of_equal_score() -> None:
    words = {"jo@corp.com": ("EMAIL_ADDRESS", 0.9), "corp": ("ORGANIZATION", 0.9)}
    outcome = screener(words, {"EMAIL_ADDRESS": "surrogate", "ORGANIZATION": "redact"}).screen(
        Conversation("p", "", ["to jo@corp.com"])
    )
    assert "@example." in outcome.turns[0]


def test_a_conversation_that_cannot_be_analyzed_is_dropped() -> None:
    outcome = screener({"x": ("SECRET", 1.0)}, {"SECRET": "keep"}).screen(Conversation("p", "", ["fine", "unreadable"]))
    assert outcome.drop_reason == "could not be analyzed: the analyzer failed with ValueError"
    assert outcome.turns == []


def test_the_policy_must_list_exactly_what_can_be_found() -> None:
    words = {"x": ("SECRET", 1.0), "y": ("PERSON", 1.0)}
    with pytest.raises(PolicyError, match="the analyzer finds PERSON"):
        screener(words, {"SECRET": "drop"})
    with pytest.raises(PolicyError, match="no recogniser finds PERSONS"):
        screener(words, {"SECRET": "drop", "PERSON": "drop", "PERSONS": "drop"})
    with pytest.raises(PolicyError, match=r"policy\.SECRET: surrogates exist for EMAIL_ADDRESS, PHONE_NUMBER"):
        screener(words, {"SECRET": "surrogate", "PERSON": "drop"})


def test_workers_give_the_outcomes_of_one_process_in_order(analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    policy: dict[str, Action] = dict.fromkeys(analyzer.entities, "redact")
    rules = Rules(analyzer_config=CONFIG, policy=policy, score_threshold=0.4, seed=1)
    conversations = [Conversation(str(number), "", [f"{number}: mail u{number}@corp.com"]) for number in range(6)]
    monkeypatch.setattr(screening, "load_analyzer", lambda _: analyzer)
    alone = list(screen_all(conversations, rules))
    monkeypatch.setattr(screening, "_MIN_CONVERSATIONS_PER_WORKER", 3)
    monkeypatch.setattr(screening, "_num_cpus", lambda: 2)
    monkeypatch.setattr(screening, "_CHUNK", 2)
    assert list(screen_all(conversations, rules)) == alone
    assert alone[5].turns == ["5: mail <EMAIL_ADDRESS>"]
