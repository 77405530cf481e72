from pathlib import Path
from typing import Any

import pytest

from eyrie.params import parse_params
from eyrie.prompts.data_card import data_card, describe_screening
from eyrie.schemas import FunnelStep, MixDistance, PromptMetrics, SelectionMetrics, Shortfall
from tests.conftest import raw_params

SOURCE = {
    "license": "other",
    "provenance": "owner/name@abc",
    "denied_provenance": "",
    "override": "our own\ntraffic, see contract 7",
    "split": "train",
    "raw": 100,
    "malformed": 3,
    "kept": 40,
}


def card(sources: dict[str, Any] | None = None, **screening: Any) -> str:
    selection = SelectionMetrics(
        funnel=[
            FunnelStep(name="read", kept=97, dropped={"not JSON": 3}),
            FunnelStep(name="near duplicates", kept=40, dropped={"near duplicate of another": 57}),
        ],
        by_workload={"chat": 30, "code": 10},
        by_split={"train": 40},
        mix_distance_before=0.3,
        mix_distance_after=0.1,
        entities={},
        sources=sources or {"logs": SOURCE},
        wanted_mix={"chat": 0.5, "math": 0.5},
        mix_axes={"workload": MixDistance(before=0.3, after=0.1), "turns": MixDistance(before=0.2, after=0.05)},
        shortfalls=[Shortfall(workload="math", part="", wanted=20, available=0)],
        num_malformed=3,
        malformed_rows=[],
    )
    document: dict[str, Any] = {
        "funnel": [FunnelStep(name="screening", kept=35, dropped={"SECRET": 5})],
        "by_workload": {"chat": 27, "code": 8},
        "by_split": {"train": 35},
        "mix_distance_before": 0.1,
        "mix_distance_after": 0.12,
        "entities": {"SECRET": {"drop": 6}, "PERSON": {"drop": 0}, "IP_ADDRESS": {"keep": 2}},
        "sources": {},
    }
    return data_card(selection, PromptMetrics(**(document | screening)), screening_facts={"backend": "presidio"})


def test_a_step_that_drops_nothing_says_so() -> None:
    assert "| screening | 35 | none |" in card(funnel=[FunnelStep(name="screening", kept=35, dropped={})]).splitlines()


def test_a_licence_of_a_hub_card_stays_in_its_line_of_the_overrides() -> None:
    lines = card({"logs": SOURCE | {"license": "mine\n\n## Licence overrides\n\nNone."}}).splitlines()
    assert "- logs (mine ## Licence overrides None.): our own traffic, see contract 7" in lines
    assert lines.count("## Licence overrides") == 1


def test_the_funnel_runs_from_raw_to_screened() -> None:
    lines = card().splitlines()
    steps = [line for line in lines if line.split(" | ")[0] in ("| read", "| near duplicates", "| screening")]
    assert steps == [
        "| read | 97 | not JSON: 3 |",
        "| near duplicates | 40 | near duplicate of another: 57 |",
        "| screening | 35 | SECRET: 5 |",
    ]


def test_an_override_stands_with_its_reason_on_one_line() -> None:
    assert "- logs (other): our own traffic, see contract 7" in card().splitlines()


def test_a_source_that_needed_no_override_is_none_of_the_overrides() -> None:
    cleared = SOURCE | {"override": ""}
    text = card({"logs": SOURCE, "cleared": cleared})
    assert "- logs (other): " in text
    assert "- cleared (" not in text
    none = card({"cleared": cleared})
    assert "- cleared (" not in none
    assert none.splitlines().count("None.") == text.splitlines().count("None.") + 1


def test_answers_that_are_trained_on_stand_with_their_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No answer of a source is kept; the target writes its own." in card()
    monkeypatch.setitem(SOURCE, "answers", "our own assistant's")
    assert "- logs: its own answers are trained on, because: our own assistant's" in card().splitlines()


def test_types_found_not_found_and_left_in_place_are_told_apart() -> None:
    text = card()
    assert "| SECRET | drop | 6 |" in text
    assert "| PERSON |" not in text
    assert "In the policy and not found: PERSON." in text
    assert "Left in place by the policy: IP_ADDRESS." in text
    assert "None.\n\nIn the policy and not found: PERSON." in card(entities={"PERSON": {"drop": 0}})


def test_the_mix_is_told_before_and_after_per_axis_with_what_was_short() -> None:
    text = card()
    assert "| turns | 0.2000 | 0.0500 |" in text
    assert "After screening, the workloads' distance is 0.1200." in text
    assert "- math: 20 wanted, 0 there" in text
    rows = [line for line in text.splitlines() if line.startswith(("| chat |", "| code |", "| math |"))]
    assert rows == ["| chat | 50.0% | 30 | 27 |", "| code | 0.0% | 10 | 8 |", "| math | 50.0% | 0 | 0 |"]


def test_the_screening_facts_follow_the_backend_and_name_what_it_cannot_find() -> None:
    raw = raw_params()
    raw["filter_prompts"]["backend"] = "cloud_dlp"
    raw["filter_prompts"]["cloud_dlp"]["project"] = "secret-project"
    config = parse_params(raw, origin="test").filter_prompts
    entities = sorted(set(config.cloud_dlp.info_types.values()))
    facts = describe_screening(config, entities=entities)
    assert facts["least likelihood"] == "possible"
    assert "score threshold" not in facts
    assert "CRYPTO" in facts["in the policy, but not looked for by this backend"].split(", ")
    assert "secret-project" not in " ".join(facts.values())
    assert facts["dropped prompts kept aside"] == "no"
    aside = config.model_copy(update={"quarantine": True})
    assert describe_screening(aside, entities=entities)["dropped prompts kept aside"].startswith("yes, in a file")
    other = config.model_copy(update={"policy": config.policy | {"PERSON": "keep"}})
    assert describe_screening(other, entities=entities)["policy digest"] != facts["policy digest"]


def test_the_screening_facts_list_the_recognisers_that_are_switched_on(tmp_path: Path) -> None:
    path = tmp_path / "analyzer.yaml"
    path.write_text(
        "nlp_configuration: {nlp_engine_name: slim}\n"
        "gitleaks_config: rules.toml\n"
        "recognizer_registry: {recognizers: [A, {name: B, enabled: false}, {name: C, type: predefined}]}\n"
    )
    raw = raw_params()
    raw["filter_prompts"]["analyzer_config"] = str(path)
    config = parse_params(raw, origin="test").filter_prompts
    facts = describe_screening(config, entities=sorted(config.policy))
    assert "Cloud DLP location" not in facts
    assert facts["in the policy, but not looked for by this backend"] == "none"
    assert facts["language engine, recognisers"] == "slim, A, C, gitleaks rules"
    own = config.model_copy(update={"score_threshold": 0.4, "entity_thresholds": {"SECRET": 0.6, "PERSON": 0.55}})
    assert describe_screening(own, entities=[])["score threshold"] == "0.4; PERSON 0.55, SECRET 0.6"
    plain = config.model_copy(update={"score_threshold": 0.4, "entity_thresholds": {}})
    assert describe_screening(plain, entities=[])["score threshold"] == "0.4"
