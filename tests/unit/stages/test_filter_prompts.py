import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from eyrie.io import read_json, read_table, write_json, write_table
from eyrie.params import Params, parse_params
from eyrie.privacy import screening
from eyrie.privacy.engine import Analyzer, load_analyzer
from eyrie.privacy.screening import Conversation, PolicyError, Rules, Screener
from eyrie.prompts.turns import prompt_id
from eyrie.schemas import PROMPTS, PromptMetrics, SchemaError, check_prompt_row
from eyrie.stages import filter_prompts
from tests.conftest import REPOSITORY

PROMPT_FILES = REPOSITORY / "resources/prompts"
CONFIG = REPOSITORY / "resources/privacy/analyzer.yaml"


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return load_analyzer(CONFIG)


def shipped_params(**changes: Any) -> Params:
    raw = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    raw["filter_prompts"]["analyzer_config"] = str(CONFIG)
    raw["filter_prompts"].update(changes)
    return parse_params(raw, origin="params.yaml")


def prompt(*turns: str, split: str = "train", workload: str = "chat", system: str = "") -> dict[str, Any]:
    return {
        "prompt_id": prompt_id(system, list(turns)),
        "source": "s",
        "workload": workload,
        "split": split,
        "system": system,
        "turns": list(turns),
    }


class Run:
    """One run of the stage over given prompts, and what it wrote."""

    def __init__(self, folder: Path, prompts: list[dict[str, Any]], params: Params) -> None:
        selection = PromptMetrics(
            funnel=[],
            by_workload={"chat": len(prompts)},
            by_split={},
            mix_distance_before=0.9,
            mix_distance_after=0.5,
            entities={},
            sources={
                "s": {
                    "license": "mit",
                    "provenance": "a|b.jsonl",
                    "denied_provenance": "sharegpt",
                    "override": "own traffic",
                    "split": "train",
                    "raw": 9,
                    "kept": 5,
                }
            },
        )
        self.clean_path, self.card_path, self.metrics_path = (folder / name for name in ("clean", "card.md", "m.json"))
        write_table(folder / "selected", prompts, PROMPTS, check_prompt_row)
        write_json(folder / "selection.json", selection)
        filter_prompts.run(
            params,
            selected=folder / "selected",
            selection_metrics=folder / "selection.json",
            clean=self.clean_path,
            data_card=self.card_path,
            metrics=self.metrics_path,
        )
        self.rows = read_table(self.clean_path, PROMPTS)
        self.metrics = read_json(self.metrics_path, PromptMetrics)
        self.card = self.card_path.read_text()


VALUES = ["4111 1111 1111 1111", "mail@corp-example.com", "203.0.113.77", "(415) 867-5309", "Nadia Meyer"]
PROMPTS_WITH_VALUES = [
    prompt("Plain question about rivers."),
    prompt("Charge 4111 1111 1111 1111 now."),
    prompt("Reply to mail@corp-example.com", "and again mail@corp-example.com or (415) 867-5309"),
    prompt("Ping 203.0.113.77 please", system="You run 203.0.113.77."),
    prompt("My name is Nadia Meyer.", split="heldout"),
    prompt("A held-out question.", split="heldout"),
]


@pytest.fixture
def shared_analyzer(analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "load_analyzer", lambda _: analyzer)


@pytest.mark.usefixtures("shared_analyzer")
def test_conversations_are_dropped_or_rewritten_as_the_policy_says(tmp_path: Path) -> None:
    run = Run(tmp_path, PROMPTS_WITH_VALUES, shipped_params())
    texts = [[item["system"], *item["turns"]] for item in run.rows]
    assert len(texts) == 4
    assert texts[2] == ["You run <IP_ADDRESS>.", "Ping <IP_ADDRESS> please"]
    mail = texts[1][1].split()[-1]
    assert mail.split("@")[1].startswith("example.")
    assert mail in texts[1][2]
    assert all(item["prompt_id"] == prompt_id(item["system"], item["turns"]) for item in run.rows)
    assert run.metrics.funnel[0].dropped == {"CREDIT_CARD": 1, "PERSON": 1}
    assert run.metrics.entities["EMAIL_ADDRESS"] == {"surrogate": 2}
    assert run.metrics.entities["IBAN_CODE"] == {"drop": 0}
    assert run.metrics.by_split == {"heldout": 1, "train": 3}


@pytest.mark.usefixtures("shared_analyzer")
def test_no_value_reaches_the_card_the_metrics_or_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        run = Run(tmp_path, PROMPTS_WITH_VALUES, shipped_params())
    written = run.card + run.metrics_path.read_text() + caplog.text + "".join(capfd.readouterr())
    assert not [value for value in VALUES if value in written]


@pytest.mark.usefixtures("shared_analyzer")
def test_the_card_shows_licence_override_funnel_and_mix(tmp_path: Path) -> None:
    card = Run(tmp_path, PROMPTS_WITH_VALUES, shipped_params()).card
    assert "| s | train | mit | a\\|b.jsonl | 9 | 5 |" in card
    assert "- s (mit, provenance sharegpt): own traffic" in card
    assert "| screening | 4 | CREDIT_CARD: 1, PERSON: 1 |" in card
    assert "| CREDIT_CARD | drop | 1 |" in card
    assert "| after selection | 0.5000 |" in card


@pytest.mark.usefixtures("shared_analyzer")
def test_prompts_that_redaction_makes_equal_are_kept_once(tmp_path: Path) -> None:
    run = Run(tmp_path, [prompt("Ping 203.0.113.77"), prompt("Ping 203.0.113.78")], shipped_params())
    assert [item["turns"] for item in run.rows] == [["Ping <IP_ADDRESS>"]]
    assert run.metrics.funnel[0].dropped == {"equal after redaction": 1}


@pytest.mark.usefixtures("shared_analyzer")
def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_surrogates(tmp_path: Path) -> None:
    outputs = []
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        outputs.append(Run(tmp_path / name, PROMPTS_WITH_VALUES, shipped_params(seed=seed)).clean_path.read_bytes())
    assert outputs[0] == outputs[1] != outputs[2]


@pytest.mark.usefixtures("shared_analyzer")
def test_an_entity_missing_from_the_policy_stops_the_stage(tmp_path: Path) -> None:
    policy = dict(shipped_params().filter_prompts.policy)
    del policy["US_SSN"]
    with pytest.raises(PolicyError, match="the analyzer finds US_SSN"):
        Run(tmp_path, PROMPTS_WITH_VALUES, shipped_params(policy=policy))


@pytest.mark.usefixtures("shared_analyzer")
def test_an_empty_result_is_an_error_that_quotes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no training prompt is left of 1 prompts") as caught:
        Run(tmp_path, [PROMPTS_WITH_VALUES[1]], shipped_params())
    assert "4111" not in str(caught.value)
    assert not (tmp_path / "clean").exists()


def test_a_damaged_input_is_refused(tmp_path: Path) -> None:
    (tmp_path / "selected").write_text("not parquet")
    paths = {name: tmp_path / name for name in ("selected", "selection_metrics", "clean", "data_card", "metrics")}
    with pytest.raises(SchemaError, match="damaged or not Parquet"):
        filter_prompts.run(shipped_params(), **paths)


@pytest.fixture(scope="module")
def sample_outcomes(analyzer: Analyzer) -> dict[str, screening.Screened]:
    """Row id -> outcome, for every prompt that ships with the repository."""
    config = shipped_params().filter_prompts
    rules = Rules(
        analyzer_config=CONFIG, policy=config.policy, score_threshold=config.score_threshold, seed=config.seed
    )
    screener = Screener(rules, analyzer)
    return {
        item["id"]: screener.screen(Conversation(item["id"], "", [message["content"] for message in item["messages"]]))
        for path in sorted(PROMPT_FILES.glob("*.jsonl"))
        for item in map(json.loads, path.read_text().splitlines())
    }


def planted() -> dict[str, list[str]]:
    disclosures = json.loads((PROMPT_FILES / "planted.json").read_text())["disclosures"]
    return {item["id"]: ["SECRET" if name == "API_KEY" else name for name in item["types"]] for item in disclosures}


def test_every_planted_disclosure_is_found_with_its_type(sample_outcomes: dict[str, screening.Screened]) -> None:
    missed = {
        row: [name for name in types if name not in sample_outcomes[row].findings] for row, types in planted().items()
    }
    assert {row: types for row, types in missed.items() if types} == {}


def test_other_sample_prompts_are_left_as_they_are(sample_outcomes: dict[str, screening.Screened]) -> None:
    flagged = {
        row: dict(outcome.findings)
        for row, outcome in sample_outcomes.items()
        if outcome.findings and row not in planted()
    }
    # The generator lets some characters of chat prompts introduce themselves, which is a disclosure.
    assert {row: found for row, found in flagged.items() if set(found) != {"PERSON"} or "-chat-" not in row} == {}
    assert len(flagged) <= 0.01 * len(sample_outcomes)
