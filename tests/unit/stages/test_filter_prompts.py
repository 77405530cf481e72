import json
import logging
import stat
import traceback
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from eyrie.io import read_json, write_json
from eyrie.params import Params, parse_params
from eyrie.privacy import backends, cloud_dlp, detection
from eyrie.privacy.detection import PresidioDetector, PresidioSettings
from eyrie.privacy.engine import Analyzer, Finding, load_analyzer
from eyrie.privacy.screening import Conversation, PolicyError, Screened, screen
from eyrie.prompts.turns import prompt_id
from eyrie.schemas import MixDistance, PromptMetrics, SchemaError, SelectionMetrics
from eyrie.stages import filter_prompts
from eyrie.tables import PROMPTS, TableWriter, check_prompt_row, read_table, write_table
from eyrie.workers import WorkerError
from tests.conftest import REPOSITORY
from tests.unit.privacy import dying_worker
from tests.unit.privacy.fake_dlp import FakeDlp, serving

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
        "answers": [],
    }


class Run:
    """One run of the stage over given prompts, and what it wrote."""

    def __init__(
        self, folder: Path, prompts: list[dict[str, Any]], params: Params, workloads: Sequence[str] = ()
    ) -> None:
        measured = params.benchmark.model_copy(update={"workloads": list(workloads)})
        params = params.model_copy(update={"benchmark": measured})
        selection = SelectionMetrics(
            funnel=[],
            by_workload={"chat": len(prompts)},
            by_split={},
            mix_distance_before=0.9,
            mix_distance_after=0.5,
            wanted_mix=params.select_prompts.workload_mix,
            mix_axes={"workload": MixDistance(before=0.9, after=0.5)},
            shortfalls=[],
            num_malformed=0,
            malformed_rows=[],
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
        numbered = [item | {"source": str(number)} for number, item in enumerate(prompts)]
        write_table(folder / "selected", numbered, PROMPTS, check_prompt_row)
        write_json(folder / "selection.json", selection)
        filter_prompts.run(
            params,
            selected=folder / "selected",
            selection_metrics=folder / "selection.json",
            clean=self.clean_path,
            data_card=self.card_path,
            metrics=self.metrics_path,
        )
        self.written = read_table(self.clean_path, PROMPTS)
        self.rows = sorted(self.written, key=lambda row: int(row["source"]))  # in the order of `prompts`
        self.metrics = read_json(self.metrics_path, PromptMetrics)
        self.card = self.card_path.read_text()


HELDOUT = prompt("A held-out question.", split="heldout")
VALUES = ["4111 1111 1111 1111", "mail@corp-example.com", "203.0.113.77", "(415) 867-5309", "Nadia Meyer"]
PROMPTS_WITH_VALUES = [
    prompt("Plain question about rivers."),
    prompt("Charge 4111 1111 1111 1111 now."),
    prompt("Reply to mail@corp-example.com", "and again mail@corp-example.com or (415) 867-5309"),
    prompt("Ping 203.0.113.77 please", system="You run 203.0.113.77."),
    prompt("My name is Nadia Meyer.", split="heldout"),
    HELDOUT,
]


@pytest.fixture
def shared_analyzer(analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "load_analyzer", lambda *_, **__: analyzer)


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
def test_answers_that_a_source_brought_are_screened_like_turns(tmp_path: Path) -> None:
    prompts = [
        prompt("Who do I write to?") | {"answers": ["Write to mail@corp-example.com"]},
        prompt("Which card?") | {"answers": ["Charge 4111 1111 1111 1111 now."]},
        prompt("One", "Two") | {"answers": ["first", "second"]},
        HELDOUT,
    ]
    run = Run(tmp_path, prompts, shipped_params())
    assert run.metrics.funnel[0].dropped == {"CREDIT_CARD": 1}
    written, plain, _ = run.rows
    assert written["turns"] == ["Who do I write to?"]
    assert "corp-example" not in written["answers"][0]
    assert (plain["turns"], plain["answers"]) == (["One", "Two"], ["first", "second"])


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
    assert "| s | train | mit | a\\|b.jsonl | 9 | 0 | 5 |" in card
    assert "- s (mit, provenance sharegpt): own traffic" in card
    assert "| screening | 4 | CREDIT_CARD: 1, PERSON: 1 |" in card
    assert "| CREDIT_CARD | drop | 1 |" in card
    assert "| workload | 0.9000 | 0.5000 |" in card


@pytest.mark.usefixtures("shared_analyzer")
def test_prompts_that_redaction_makes_equal_are_kept_once(tmp_path: Path) -> None:
    run = Run(tmp_path, [prompt("Ping 203.0.113.77"), prompt("Ping 203.0.113.78"), HELDOUT], shipped_params())
    assert [item["turns"] for item in run.rows[:-1]] == [["Ping <IP_ADDRESS>"]]
    assert run.metrics.funnel[0].dropped == {"equal after redaction": 1}


@pytest.mark.usefixtures("shared_analyzer")
def test_the_order_of_rows_tells_nothing_of_what_was_taken_out(tmp_path: Path) -> None:
    orders = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        prompts = [prompt(f"Write to jo@{name}-example.com about {topic}") for topic in ("rivers", "hills", "roads")]
        run = Run(tmp_path / name, [*sorted(prompts, key=lambda row: row["prompt_id"]), HELDOUT], shipped_params())
        orders.append([row["turns"] for row in run.written])
        keys = [(row["split"], row["prompt_id"]) for row in run.written]
        assert keys == sorted(keys)
    assert orders[0] == orders[1]


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
@pytest.mark.parametrize("workloads", [("chat", "math"), ("chat", "code")])
def test_a_workload_that_could_not_be_measured_ends_the_run_here(tmp_path: Path, workloads: tuple[str, ...]) -> None:
    prompts = [
        prompt("Plain question about rivers."),
        HELDOUT,
        prompt("Which river is longest?", split="benchmark"),
        prompt("Charge 4111 1111 1111 1111 now.", split="benchmark", workload="math"),
    ]
    refused = {
        "math": r"the 1 to measure workload math with: \{'CREDIT_CARD': 1\}",
        "code": "the 0 to measure workload code",
    }
    with pytest.raises(ValueError, match=f"no prompt is left of {refused[workloads[1]]}") as caught:
        Run(tmp_path, prompts, shipped_params(), workloads)
    assert "4111" not in str(caught.value)
    assert not (tmp_path / "clean").exists()


@pytest.mark.usefixtures("shared_analyzer")
def test_training_prompts_without_a_held_out_one_are_refused(tmp_path: Path) -> None:
    prompts = [prompt("Plain question about rivers."), prompt("Charge 4111 1111 1111 1111 now.", split="heldout")]
    with pytest.raises(ValueError, match=r"no held-out prompt is left of 2 prompts: .*digest_split") as caught:
        Run(tmp_path, prompts, shipped_params())
    assert "4111" not in str(caught.value)
    assert not (tmp_path / "clean").exists()


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


@pytest.mark.usefixtures("shared_analyzer")
def test_the_card_says_which_screening_made_it(tmp_path: Path) -> None:
    params = shipped_params(
        entity_thresholds={"PERSON": 0.9}, policy=dict(shipped_params().filter_prompts.policy, LOCATION="keep")
    )
    card = Run(tmp_path, PROMPTS_WITH_VALUES, params).card
    assert "| backend | presidio |" in card
    assert "| score threshold | 0.4; PERSON 0.9 |" in card
    assert "Left in place by the policy: LOCATION." in card
    digests = {line for line in card.splitlines() if line.startswith("| policy digest |")}
    (tmp_path / "other").mkdir()
    other = Run(tmp_path / "other", PROMPTS_WITH_VALUES, shipped_params()).card
    assert digests.isdisjoint(other.splitlines())


@pytest.mark.usefixtures("shared_analyzer")
def test_a_conversation_over_max_chars_is_dropped_unread(
    tmp_path: Path, analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = analyzer.find

    def find(text: str, *, score_threshold: float) -> list[Finding]:
        read.append(text)
        return real(text, score_threshold=score_threshold)

    monkeypatch.setattr(analyzer, "find", find)
    prompts = [prompt("short"), HELDOUT, prompt("long " * 100, "and more")]
    run = Run(tmp_path, prompts, shipped_params(max_chars=500))
    assert run.metrics.funnel[0].dropped == {"could not be analyzed: longer than max_chars": 1}
    assert not any("long" in text for text in read)


def test_batches_are_bounded_in_rows_and_in_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter_prompts, "READ_ROWS", 3)
    monkeypatch.setattr(filter_prompts, "MAX_BATCH_CHARS", 100)
    sizes = [30, 30, 30, 30, 5, 5, 5, 5, 5, 250, 1]
    rows = [prompt("x" * size, split="train") for size in sizes]
    write_table(tmp_path / "selected", rows, PROMPTS, check_prompt_row)
    batches = list(filter_prompts._batches(tmp_path / "selected", 4))
    assert [[len(row["turns"][0]) for row in batch] for batch in batches] == [[30] * 4, [5] * 4, [5, 250], [1]]
    assert [row for batch in batches for row in batch] == rows


@pytest.mark.usefixtures("shared_analyzer")
def test_odd_prompts_pass_unchanged_or_are_rewritten_only_where_something_was_found(tmp_path: Path) -> None:
    odd = [
        prompt("null \0 inside", system="\u202e\u05d0\u05d1 right to left \u0627\u0644"),
        prompt(*[f"turn {number}" for number in range(200)]),
        prompt("one line of many words " * 15_000),
        prompt("\U0001f600\u200d\U0001f525 \0 ping 203.0.113.77\0 \u05d0"),
        HELDOUT,
    ]
    run = Run(tmp_path, odd, shipped_params())
    expected = [*(item["turns"] for item in odd[:3]), ["\U0001f600\u200d\U0001f525 \0 ping <IP_ADDRESS>\0 \u05d0"]]
    assert [row["turns"] for row in run.rows[:-1]] == expected
    assert run.rows[0]["system"] == odd[0]["system"]


PAY = ["Pay 4111 1111 1111 1111"]
MANY = [
    prompt(
        f"Question {number}: write to user{number}@corp-example.com",
        *(["Pay 4111 1111 1111 1111"] if number % 7 == 0 else []),
        split="heldout" if number == 1 else "train",
    )
    for number in range(900)
]


def test_two_processes_write_the_bytes_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = []
    for name, minimum in (("one", 10_000), ("two", 300)):
        monkeypatch.setattr(backends, "MIN_CONVERSATIONS_PER_WORKER", minimum)
        monkeypatch.setattr(filter_prompts, "MIN_CONVERSATIONS_PER_WORKER", minimum)
        monkeypatch.setattr(filter_prompts, "num_cpus", lambda: 2)
        (tmp_path / name).mkdir()
        run = Run(tmp_path / name, MANY, shipped_params())
        outputs.append([path.read_bytes() for path in (run.clean_path, run.card_path, run.metrics_path)])
    assert outputs[0] == outputs[1]
    assert len(run.rows) == 900 - 129


def test_a_worker_that_dies_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter_prompts, "MIN_CONVERSATIONS_PER_WORKER", 300)
    monkeypatch.setattr(filter_prompts, "num_cpus", lambda: 2)
    monkeypatch.setattr(detection, "_batch_worker", dying_worker.start)
    with pytest.raises(WorkerError, match="nothing was written"):
        Run(tmp_path, MANY, shipped_params(quarantine=str(tmp_path / "aside.jsonl")))
    assert {path.name for path in tmp_path.iterdir()} == {"selected", "selection.json"}


@pytest.mark.usefixtures("shared_analyzer")
def test_dropped_prompts_are_put_aside_only_when_asked(tmp_path: Path) -> None:
    Run(tmp_path, PROMPTS_WITH_VALUES, shipped_params())
    assert not [path for path in tmp_path.iterdir() if "aside" in path.name]
    path = tmp_path / "private/aside.jsonl"
    Run(tmp_path, PROMPTS_WITH_VALUES, shipped_params(quarantine=str(path)))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["reason"], row["turns"]) for row in rows] == [
        ("CREDIT_CARD", ["Charge 4111 1111 1111 1111 now."]),
        ("PERSON", ["My name is Nadia Meyer."]),
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def dlp_params(backend: str) -> Params:
    section = shipped_params().filter_prompts.cloud_dlp.model_dump()
    section |= {"project": "a-project", "requests_per_minute": 600_000, "retry_timeout_s": 5.0}
    section["info_types"] = {
        "EMAIL_ADDRESS": "EMAIL_ADDRESS",
        "PERSON_NAME": "PERSON",
        "CREDIT_CARD_NUMBER": "CREDIT_CARD",
    }
    return shipped_params(backend=backend, cloud_dlp=section)


@pytest.fixture
def dlp(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDlp]:
    with serving() as (fake, client):
        monkeypatch.setattr(cloud_dlp, "make_client", lambda: client)
        yield fake


@pytest.mark.usefixtures("dlp")
def test_cloud_dlp_screens_with_the_same_policy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = Run(tmp_path, PROMPTS_WITH_VALUES, dlp_params("cloud_dlp"))
    assert run.metrics.funnel[0].dropped == {"CREDIT_CARD": 1, "PERSON": 1}
    assert run.metrics.entities["EMAIL_ADDRESS"] == {"surrogate": 2}
    assert [row["turns"] for row in run.rows][2] == ["Ping 203.0.113.77 please"]  # not among the infoTypes, and said:
    assert "not looked for" in caplog.text
    assert "IP_ADDRESS" in next(line for line in run.card.splitlines() if "not looked for by this backend" in line)


@pytest.mark.usefixtures("shared_analyzer")
def test_both_backends_send_only_what_presidio_passes_and_nothing_it_found(tmp_path: Path, dlp: FakeDlp) -> None:
    dlp.patterns["PERSON_NAME"] = "Question about"
    prompts = [*PROMPTS_WITH_VALUES, prompt("Question about Nadia")]
    run = Run(tmp_path, prompts, dlp_params("both"))
    sent = " ".join(text for request in dlp.texts() for text in request)
    assert not [value for value in VALUES if value in sent]
    assert "Reply to ____________________" in sent
    assert run.metrics.funnel[0].dropped == {"CREDIT_CARD": 1, "PERSON": 2}
    assert run.metrics.entities["IP_ADDRESS"] == {"redact": 2}


@pytest.mark.usefixtures("shared_analyzer")
@pytest.mark.parametrize("backend", ["presidio", "cloud_dlp", "both"])
@pytest.mark.parametrize("failure", ["none", "recogniser", "service", "disk", "policy", "empty"])
def test_no_value_is_written_anywhere_whatever_fails(
    tmp_path: Path,
    dlp: FakeDlp,
    analyzer: Analyzer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    backend: str,
    failure: str,
) -> None:
    params, prompts = dlp_params(backend), PROMPTS_WITH_VALUES
    if failure == "recogniser":

        def fail(text: str, **_: object) -> list[object]:
            raise RuntimeError(f"cannot read {text!r}")

        monkeypatch.setattr(analyzer._engine, "analyze", fail)
    elif failure == "service":
        dlp.script.extend([(grpc.StatusCode.PERMISSION_DENIED, " ".join(VALUES))] * 9)
    elif failure == "disk":
        monkeypatch.setattr(filter_prompts, "TableWriter", FullDisk)
    elif failure == "policy":
        params = params.model_copy(
            update={"filter_prompts": params.filter_prompts.model_copy(update={"policy": {"PERSON": "drop"}})}
        )
    elif failure == "empty":
        prompts = [item for item in prompts if any(value in item["turns"][0] for value in (VALUES[0], VALUES[4]))]
    message = ""
    with caplog.at_level(logging.DEBUG):
        try:
            Run(tmp_path, prompts, params)
        except (ValueError, OSError) as error:
            message = "".join(traceback.format_exception(error))
    (tmp_path / "selected").unlink()  # the one file that may hold them: the stage's input
    kept = [read_table(tmp_path / "clean", PROMPTS)] if (tmp_path / "clean").exists() else []
    written = [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    everything = "".join([message, caplog.text, *capfd.readouterr(), *written, json.dumps(kept)])
    looked_for = {"cloud_dlp": [VALUES[0], VALUES[1], VALUES[4]]}.get(backend, VALUES)
    assert not [value for value in looked_for if value in everything]
    fails = {
        "none": False,
        "recogniser": backend != "cloud_dlp",  # every prompt is dropped
        "service": backend != "presidio",
    }
    assert bool(message) == fails.get(failure, True)


class FullDisk(TableWriter):
    def _flush(self) -> None:
        raise OSError(28, "No space left on device")


@pytest.fixture(scope="module")
def sample_outcomes(analyzer: Analyzer) -> dict[str, Screened]:
    """Row id -> outcome, for every prompt that ships with the repository."""
    config = shipped_params().filter_prompts
    detector = PresidioDetector(
        PresidioSettings(CONFIG, config.fail_closed, config.score_threshold, config.entity_thresholds),
        analyzer=analyzer,
    )
    items = [
        item for path in sorted(PROMPT_FILES.glob("*.jsonl")) for item in map(json.loads, path.read_text().splitlines())
    ]
    conversations = [Conversation("", [message["content"] for message in item["messages"]]) for item in items]
    (found,) = detector.detect([[conversation.texts for conversation in conversations]])
    return {
        item["id"]: screen(conversation, detected, config.policy, seed=config.seed)
        for item, conversation, detected in zip(items, conversations, found, strict=True)
    }


def planted() -> dict[str, list[str]]:
    disclosures = json.loads((PROMPT_FILES / "planted.json").read_text())["disclosures"]
    return {item["id"]: ["SECRET" if name == "API_KEY" else name for name in item["types"]] for item in disclosures}


def test_every_planted_disclosure_is_found_with_its_type(sample_outcomes: dict[str, Screened]) -> None:
    missed = {
        row: [name for name in types if name not in sample_outcomes[row].findings] for row, types in planted().items()
    }
    assert {row: types for row, types in missed.items() if types} == {}


def test_other_sample_prompts_are_left_as_they_are(sample_outcomes: dict[str, Screened]) -> None:
    flagged = {
        row: dict(outcome.findings)
        for row, outcome in sample_outcomes.items()
        if outcome.findings and row not in planted()
    }
    # The generator lets some characters of chat prompts introduce themselves, which is a disclosure.
    assert {row: found for row, found in flagged.items() if set(found) != {"PERSON"} or "-chat-" not in row} == {}
    assert len(flagged) <= 0.01 * len(sample_outcomes)


def test_memory_grows_by_little_more_than_the_digest_of_each_prompt_that_stays() -> None:
    tally = filter_prompts._Tally()
    count = 15_000
    tracemalloc.start()
    try:
        for number in range(count):
            row = json.loads(json.dumps(prompt(f"prompt {number}")))  # as from a table: each with strings of its own
            tally.add(row, Screened("", row["turns"], None))
        per_prompt = tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()
    assert tally.train == {"chat": count}
    assert per_prompt < 140
