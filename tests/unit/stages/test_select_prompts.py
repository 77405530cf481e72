import json
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from eyrie.io import read_json, read_table
from eyrie.params import Params, parse_params
from eyrie.prompts.licenses import LicenseError
from eyrie.prompts.sources import SourceError
from eyrie.prompts.turns import prompt_id
from eyrie.prompts.words import words
from eyrie.schemas import PROMPTS, SelectionMetrics
from eyrie.stages import select_prompts
from tests.conftest import REPOSITORY

PROMPT_FILES = REPOSITORY / "resources/prompts"


def row(text: str, workload: str = "chat", *, answer: str = "ANSWER") -> dict[str, Any]:
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
    return {"workload": workload, "messages": messages}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in rows))
    return path


def params_with(folder: Path, **changes: Any) -> Params:
    """params.yaml with its three sources read from `folder` and `changes` to select_prompts."""
    raw = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    section = raw["select_prompts"]
    for source in section["sources"]:
        source["path"] = str(folder / Path(source["path"]).name)
    section.update(changes)
    return parse_params(raw, origin="params.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """12 chat and 6 code training prompts, 2 held-out, 1 benchmark."""
    chats = [row(f"{word} {word}ing about {word}s with my {word} friend") for word in "abcdefghijkl"]
    codes = [row(f"write {word}{word} code that sorts {word} lists", "code") for word in "mnopqr"]
    write(tmp_path / "train-a.jsonl", chats)
    write(tmp_path / "train-b.jsonl", codes)
    write(tmp_path / "heldout.jsonl", [row("what is a held out prompt"), row("another one of these", "code")])
    write(tmp_path / "benchmark.jsonl", [row("measure the speed of this prompt")])
    return tmp_path


Select = Callable[[Params], tuple[list[dict[str, Any]], SelectionMetrics]]


@pytest.fixture
def select(tmp_path: Path) -> Select:
    def run(params: Params) -> tuple[list[dict[str, Any]], SelectionMetrics]:
        selected, metrics = tmp_path / "out/selected.parquet", tmp_path / "out/metrics.json"
        select_prompts.run(params, selected=selected, metrics=metrics)
        return read_table(selected, PROMPTS), read_json(metrics, SelectionMetrics)

    return run


MIX = {"chat": 0.5, "code": 0.5}


def test_training_prompts_get_the_wanted_shares_and_measuring_prompts_all_stay(folder: Path, select: Select) -> None:
    rows, metrics = select(params_with(folder, workload_mix=MIX, max_prompts=8))
    assert Counter((item["split"], item["workload"]) for item in rows) == {
        ("train", "chat"): 4,
        ("train", "code"): 4,
        ("heldout", "chat"): 1,
        ("heldout", "code"): 1,
        ("benchmark", "chat"): 1,
    }
    assert metrics.mix_distance_before == pytest.approx(1 / 6)
    assert metrics.mix_distance_after == 0.0
    assert metrics.funnel[-1].dropped == {"over the share of chat": 8, "over the share of code": 2}


def test_a_share_that_cannot_be_filled_is_said_and_not_made_up_for(
    folder: Path, select: Select, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        rows, _ = select(params_with(folder, workload_mix=MIX, max_prompts=20))
    assert "workload code: 10 training prompts wanted, the sources have 6" in caplog.text
    assert Counter(item["workload"] for item in rows if item["split"] == "train") == {"chat": 10, "code": 6}


def test_the_same_seed_and_inputs_give_the_same_bytes_and_another_seed_another_choice(
    folder: Path, tmp_path: Path
) -> None:
    files = []
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        params = params_with(folder, workload_mix=MIX, max_prompts=6, seed=seed)
        select_prompts.run(params, selected=tmp_path / name, metrics=tmp_path / f"{name}.json")
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1] != files[2]


def test_answers_never_reach_the_output(folder: Path, select: Select, tmp_path: Path) -> None:
    rows, _ = select(params_with(folder, workload_mix=MIX))
    assert "ANSWER" not in json.dumps(rows)
    assert all(item["prompt_id"] == prompt_id(item["system"], item["turns"]) for item in rows)


def test_the_system_prompt_goes_before_a_conversations_own(folder: Path, select: Select) -> None:
    own = {
        "workload": "chat",
        "messages": [{"role": "system", "content": "Own."}, {"role": "user", "content": "hello"}],
    }
    write(folder / "heldout.jsonl", [own])
    rows, _ = select(params_with(folder, workload_mix=MIX, system_prompt="All."))
    assert {item["split"]: item["system"] for item in rows} == {
        "train": "All.",
        "benchmark": "All.",
        "heldout": "All.\n\nOwn.",
    }


def test_repeats_and_copies_of_measuring_prompts_leave_the_training_set(folder: Path, select: Select) -> None:
    extra = [
        row("what is a held out prompt"),
        row("A aing, about as with my a friend!"),
        row("Measure the speed of this prompt"),
    ]
    write(folder / "train-c.jsonl", extra)
    _, metrics = select(params_with(folder, workload_mix=MIX))
    dropped = {step.name: step.dropped for step in metrics.funnel}
    assert dropped["exact duplicates"] == {"repeats another prompt": 1}
    assert dropped["near duplicates"] == {"near duplicate of another": 1}
    assert dropped["decontamination"] == {"equals a measuring prompt up to numbers": 1}


def test_malformed_rows_are_counted_by_reason_and_skipped(folder: Path, select: Select) -> None:
    bad = [b"{oops", b'{"messages": 3, "workload": "chat"}', b'"text"', b"\xff", json.dumps(row("x", "poems")).encode()]
    (folder / "train-c.jsonl").write_bytes(b"\n".join(bad))
    _, metrics = select(params_with(folder, workload_mix=MIX))
    assert metrics.funnel[0].kept == 21
    assert metrics.funnel[0].dropped == {
        "invalid UTF-8": 1,
        "not JSON": 1,
        "not an object": 1,
        "turns are not a list": 1,
        "unknown workload": 1,
    }
    assert metrics.sources["eyrie-samples"]["raw"] == 23


def test_longer_conversations_are_left_out(folder: Path, select: Select) -> None:
    write(folder / "train-c.jsonl", [row("word " * 200)])
    _, metrics = select(params_with(folder, workload_mix=MIX, max_chars=500))
    assert metrics.funnel[1].dropped == {"longer than max_chars": 1}


def test_a_source_without_a_readable_row_is_one_sentence_with_reasons(folder: Path, select: Select) -> None:
    (folder / "heldout.jsonl").write_text('{oops\n{"messages": []}\n')
    with pytest.raises(SourceError, match=r"eyrie-heldout: no readable row in .* \(not JSON: 1, no user turn: 1\)"):
        select(params_with(folder, workload_mix=MIX))


def test_a_refused_licence_stops_before_anything_is_read(folder: Path, select: Select) -> None:
    (folder / "heldout.jsonl").unlink()
    with pytest.raises(LicenseError, match=r"eyrie-samples: licence 'apache-2.0' is not one of mit"):
        select(params_with(folder, allowed_licenses=["mit"]))


def test_an_override_is_recorded_with_its_reason(folder: Path, select: Select) -> None:
    params = params_with(folder, workload_mix=MIX)
    raw = params.model_dump()
    raw["select_prompts"]["sources"][0] |= {"license": None, "license_override": "collected by us, with consent"}
    _, metrics = select(parse_params(raw, origin="params"))
    assert metrics.sources["eyrie-samples"]["override"] == "collected by us, with consent"
    assert metrics.sources["eyrie-samples"]["license"] == "not stated"


def jaccard(left: str, right: str) -> float:
    one, other = (set(zip(found, found[1:], found[2:], strict=False)) for found in map(words, (left, right)))
    return len(one & other) / len(one | other)


def test_of_the_repositorys_planted_pairs_at_the_threshold_at_most_one_stays(select: Select) -> None:
    rows, metrics = select(params_with(PROMPT_FILES))
    turns = {
        item["id"]: [message["content"] for message in item["messages"]]
        for path in PROMPT_FILES.glob("train-*.jsonl")
        for item in map(json.loads, path.read_text().splitlines())
    }
    kept = {item["prompt_id"] for item in rows}
    pairs = [
        (turns[pair["id"]], turns[pair["of"]])
        for pair in json.loads((PROMPT_FILES / "planted.json").read_text())["near_duplicates"]
    ]
    close = [pair for pair in pairs if jaccard(*map("\n".join, pair)) >= 0.8]
    assert len(close) >= 60
    assert not [pair for pair in close if pair[0] != pair[1] and {prompt_id("", text) for text in pair} <= kept]
    config = params_with(PROMPT_FILES).select_prompts
    assert config.workload_mix is not None
    assert metrics.by_split["train"] == config.max_prompts
    assert metrics.mix_distance_after is not None
    assert metrics.mix_distance_after <= len(config.workload_mix) / config.max_prompts
    for split in ("heldout", "benchmark"):
        assert metrics.by_split[split] == len((PROMPT_FILES / f"{split}.jsonl").read_text().splitlines())
