import json
import logging
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from eyrie.io import read_json
from eyrie.params import Params, parse_params
from eyrie.prompts import comparing
from eyrie.prompts.licenses import LicenseError
from eyrie.prompts.sources import SourceError
from eyrie.prompts.turns import prompt_id
from eyrie.prompts.words import words
from eyrie.schemas import SelectionMetrics
from eyrie.stages import select_prompts
from eyrie.tables import PROMPTS, read_table
from tests.conftest import REPOSITORY

PROMPT_FILES = REPOSITORY / "resources/prompts"


def row(text: str, workload: str = "chat", *, answer: str = "ANSWER") -> dict[str, Any]:
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
    return {"workload": workload, "messages": messages}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in rows))
    return path


def params_with(folder: Path, **changes: Any) -> Params:
    """params.yaml with its first three sources read from `folder` and `changes` to select_prompts."""
    raw = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    section = raw["select_prompts"]
    section["sources"] = section["sources"][:3]
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
WORDS = [f"{first}{second}" for first in "abcdefgh" for second in "klmnop"]


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
        rows, metrics = select(params_with(folder, workload_mix=MIX, max_prompts=20))
    assert "workload code: 10 training prompts wanted, the sources have 6" in caplog.text
    assert Counter(item["workload"] for item in rows if item["split"] == "train") == {"chat": 10, "code": 6}
    assert [item.model_dump() for item in metrics.shortfalls] == [
        {"workload": "code", "part": "", "wanted": 10, "available": 6}
    ]


def test_a_workload_that_the_mix_does_not_name_is_left_out_and_said_to_be(
    folder: Path, select: Select, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        rows, _ = select(params_with(folder, workload_mix={"chat": 1.0}, max_prompts=20))
    assert "workload code: none of its 6 training prompts is wanted by the mix" in caplog.text
    assert caplog.text.count("is wanted by the mix") == 1
    assert {item["workload"] for item in rows if item["split"] == "train"} == {"chat"}


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


def test_answers_are_kept_with_a_written_reason_and_only_where_every_turn_has_one(folder: Path, select: Select) -> None:
    turns = row("and now for something else entirely")["messages"]
    write(folder / "train-b.jsonl", [row("write code that sorts", "code"), {"workload": "code", "messages": turns[:1]}])
    params = params_with(folder, workload_mix=MIX).model_dump()
    params["select_prompts"]["sources"][0]["keep_answers"] = "our own assistant's, see contract 7"
    rows, metrics = select(parse_params(params, origin="test"))
    assert {tuple(item["answers"]) for item in rows if item["split"] == "train"} == {("ANSWER",)}
    assert {tuple(item["answers"]) for item in rows if item["split"] != "train"} == {()}
    assert [item.reason for item in metrics.malformed_rows] == ["turns and answers do not alternate"]
    assert metrics.sources["eyrie-samples"]["answers"] == "our own assistant's, see contract 7"


FORMATS = {
    "messages": {"messages": [{"role": "user", "content": "QUESTION"}, {"role": "assistant", "content": "CANARY"}]},
    "conversations": {"messages": [{"from": "human", "value": "QUESTION"}, {"from": "gpt", "value": "CANARY"}]},
    "alpaca": {"instruction": "QUESTION", "input": "", "output": "CANARY"},
    "text": {"messages": "QUESTION", "response": "CANARY"},
    "openai_log": {
        "body": {"messages": [{"role": "user", "content": "QUESTION"}, {"role": "assistant", "content": "CANARY"}]},
        "response": {"body": {"choices": [{"message": {"role": "assistant", "content": "CANARY"}}]}},
    },
}
BROKEN = [
    b'{"messages": "CANARY',
    b'{"messages": [{"role": "CANARY", "content": "CANARY"}]}',
    b'["CANARY"]',
    b"CANARY\xff",
]


@pytest.mark.parametrize("turns", FORMATS)
def test_no_byte_of_an_answer_or_a_broken_row_is_in_an_output_a_metric_or_a_log(
    folder: Path,
    select: Select,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    turns: str,
) -> None:
    rows = [json.dumps(FORMATS[turns] | {"workload": "chat"}).encode(), *BROKEN]
    (folder / "logs.jsonl").write_bytes(b"\n".join(rows))
    raw = params_with(folder, workload_mix=MIX).model_dump(mode="json")
    column = None if turns in ("alpaca", "openai_log") else "messages"
    raw["select_prompts"]["sources"][0] |= {"path": str(folder / "logs.jsonl"), "turns": turns, "column": column}
    with caplog.at_level(logging.DEBUG):
        found, metrics = select(parse_params(raw, origin="params"))
    assert [item["turns"] for item in found if item["split"] == "train"] == [["QUESTION"]]
    assert metrics.num_malformed == len(BROKEN)
    written = [path.read_bytes() for path in (tmp_path / "out").iterdir()]
    written += [caplog.text.encode(), *(stream.encode() for stream in capfd.readouterr())]
    plain = json.dumps(found).encode()  # the table's pages are compressed
    assert not [part for part in [*written, plain] if b"CANARY" in part]


def test_malformed_rows_are_listed_in_the_metrics_and_refused_when_params_say_so(folder: Path, select: Select) -> None:
    (folder / "train-c.jsonl").write_bytes(b'\n{oops\n{"messages": 3}\n')
    _, metrics = select(params_with(folder, workload_mix=MIX))
    assert [(item.source, item.file, item.number, item.reason) for item in metrics.malformed_rows] == [
        ("eyrie-samples", "train-c.jsonl", 1, "empty line"),
        ("eyrie-samples", "train-c.jsonl", 2, "not JSON"),
        ("eyrie-samples", "train-c.jsonl", 3, "turns are not a list"),
    ]
    assert metrics.sources["eyrie-samples"]["malformed"] == metrics.num_malformed == 3
    with pytest.raises(SourceError, match=r"eyrie-samples: 3 malformed rows .* 'refuse'"):
        select(params_with(folder, workload_mix=MIX, malformed_rows="refuse"))


def test_a_failure_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    (folder / "benchmark.jsonl").write_text("{oops\n")
    out = tmp_path / "fresh"
    with pytest.raises(SourceError):
        select_prompts.run(params_with(folder, workload_mix=MIX), selected=out / "s", metrics=out / "m")
    assert [*out.iterdir()] == []


@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_processes_gives_the_same_bytes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    rng = random.Random(5)
    texts = [" ".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 30))) for _ in range(300)]
    write(folder / "train-c.jsonl", [row(text + more) for text in texts for more in ("", " indeed")])
    params = params_with(folder, workload_mix=MIX)
    outputs = []
    for name, count in (("one", 1), ("many", workers)):
        monkeypatch.setattr(comparing, "num_cpus", lambda count=count: count)
        monkeypatch.setattr(comparing, "_BATCH_TEXTS", 64)
        monkeypatch.setattr(comparing, "_BATCHES_WITHOUT_WORKERS", 1)
        select_prompts.run(params, selected=tmp_path / name, metrics=tmp_path / f"{name}.json")
        outputs.append((tmp_path / name).read_bytes() + (tmp_path / f"{name}.json").read_bytes())
    assert outputs[0] == outputs[1]


def test_a_source_can_be_split_by_digest(folder: Path, select: Select) -> None:
    write(folder / "heldout.jsonl", [row(f"{word} tell me all about {word} and {word}s") for word in WORDS])
    raw = params_with(folder, workload_mix={"chat": 1.0}, max_prompts=1000).model_dump(mode="json")
    raw["select_prompts"]["digest_split"] = {"train": 0.5, "heldout": 0.3, "benchmark": 0.2}
    raw["select_prompts"]["sources"][1]["split"] = "by_digest"
    rows, metrics = select(parse_params(raw, origin="params"))
    splits = {item["turns"][0]: item["split"] for item in rows if item["source"] == "eyrie-heldout"}
    assert set(splits.values()) == {"train", "heldout", "benchmark"}
    again, _ = select(parse_params(raw | {"select_prompts": raw["select_prompts"] | {"seed": 9}}, origin="params"))
    assert {item["turns"][0]: item["split"] for item in again if item["source"] == "eyrie-heldout"} == splits
    assert metrics.sources["eyrie-heldout"]["kept"] == len(splits)


def test_prompts_that_measure_elsewhere_are_kept_out_and_never_selected(folder: Path, select: Select) -> None:
    write(folder / "exam.jsonl", [row("A aing about as with my a friend"), row("an exam question of another kind")])
    exam = (
        params_with(folder)
        .select_prompts.sources[0]
        .model_dump(exclude={"split", "license", "license_override", "keep_answers"})
    )
    exam |= {"name": "exam", "path": str(folder / "exam.jsonl")}
    rows, metrics = select(params_with(folder, workload_mix=MIX, decontaminate_against=[exam]))
    assert metrics.funnel[4].name == "decontamination"
    assert metrics.funnel[4].dropped == {"equals a measuring prompt up to numbers": 1}
    assert not [item for item in rows if "exam question" in item["turns"][0]]


def turns(*texts: str) -> dict[str, Any]:
    return {"workload": "chat", "messages": [{"role": "user", "content": text} for text in texts]}


@pytest.mark.parametrize("where", ["heldout.jsonl", "benchmark.jsonl", "exam.jsonl"])
def test_the_first_turn_of_a_conversation_that_measures_is_kept_out_too(
    folder: Path, select: Select, where: str
) -> None:
    """It is asked as a request of its own."""
    opening = "Describe the harbour of a northern fishing town in winter"
    write(folder / "exam.jsonl", [row("an exam question of another kind")])
    with (folder / where).open("a") as file:
        file.write(json.dumps(turns(opening, "Now in two sentences, please", "And in the style of a sailor")) + "\n")
    write(folder / "train-b.jsonl", [turns(opening), turns(opening.upper(), "and what do people eat there?")])
    exam = (
        params_with(folder)
        .select_prompts.sources[0]
        .model_dump(exclude={"split", "license", "license_override", "keep_answers"})
    )
    exam |= {"name": "exam", "path": str(folder / "exam.jsonl")}
    _, metrics = select(params_with(folder, workload_mix={"chat": 1.0}, decontaminate_against=[exam]))
    assert metrics.funnel[4].dropped == {"equals a measuring prompt up to numbers": 1, "holds a measuring prompt": 1}


def test_a_greeting_that_opens_a_conversation_that_measures_takes_only_its_equals(folder: Path, select: Select) -> None:
    write(folder / "heldout.jsonl", [turns("Hello there!", "what is a held out prompt")])
    others = [turns(f"hello there, {word}{word} is my {word} question") for word in "abcdefghijkl"]
    write(folder / "train-b.jsonl", [turns("Hello there"), turns("Hello there", "how are the bees?"), *others])
    _, metrics = select(params_with(folder, workload_mix={"chat": 1.0}, max_prompts=100))
    assert metrics.funnel[4].dropped == {"equals a measuring prompt up to numbers": 1}


QUESTION = (
    "A train leaves the harbour town at noon carrying crates of oranges and reaches the mountain village after hours "
    "of climbing; how fast did it go on average?"
)


def conversation(*texts: str) -> dict[str, Any]:
    """A system prompt, a turn and an answer."""
    messages = [
        {"role": role, "content": text} for role, text in zip(("system", "user", "assistant"), texts, strict=True)
    ]
    return {"workload": "chat", "messages": messages}


def test_a_measuring_prompt_in_a_system_prompt_or_a_kept_answer_never_reaches_training(
    folder: Path, select: Select
) -> None:
    write(folder / "benchmark.jsonl", [row(QUESTION)])
    rows = [
        conversation(f"Solve this: {QUESTION}", "Go ahead, give me the number please", "ok"),
        conversation("Be nice.", "Quote me a word problem about speed", f"{QUESTION} It is 26 km/h."),
    ]
    write(folder / "train-c.jsonl", rows)
    raw = params_with(folder, workload_mix=MIX).model_dump(mode="json")
    _, metrics = select(parse_params(raw, origin="params"))
    assert metrics.funnel[4].dropped == {"shares 13 words in a row with a measuring prompt": 1}
    raw["select_prompts"]["sources"][0]["keep_answers"] = "a test"
    _, metrics = select(parse_params(raw, origin="params"))
    assert metrics.funnel[4].dropped == {"shares 13 words in a row with a measuring prompt": 2}


def test_a_persona_that_prompts_share_makes_them_neither_duplicates_nor_copies(folder: Path, select: Select) -> None:
    persona = f"You are a patient teacher of physics who never gives a number away. {' '.join(WORDS)}"
    write(folder / "train-c.jsonl", [conversation(persona, f"tell me about {word}", "ok") for word in WORDS[:12]])
    write(folder / "heldout.jsonl", [conversation(persona, "what is a held out prompt", "ok")])
    _, metrics = select(params_with(folder, workload_mix=MIX))
    assert [step.dropped for step in metrics.funnel[3:5]] == [{}, {}]


def test_the_system_prompt_of_every_conversation_condemns_none(folder: Path, select: Select) -> None:
    write(folder / "benchmark.jsonl", [row(QUESTION)])
    _, metrics = select(params_with(folder, workload_mix=MIX, system_prompt=QUESTION))
    assert metrics.funnel[4].dropped == {}


@pytest.mark.parametrize("by_digest", [False, True])
def test_training_prompts_without_a_held_out_one_are_refused(folder: Path, tmp_path: Path, by_digest: bool) -> None:
    raw = params_with(folder, workload_mix=MIX).model_dump(mode="json")
    if by_digest:
        raw["select_prompts"]["digest_split"] = {"train": 1.0}
    raw["select_prompts"]["sources"][1]["split"] = "by_digest" if by_digest else "benchmark"
    with pytest.raises(ValueError, match=r"no held-out prompt beside \d+ training prompts; .* digest_split\.heldout"):
        select_prompts.run(parse_params(raw, origin="params"), selected=tmp_path / "out/s", metrics=tmp_path / "out/m")
    assert [*(tmp_path / "out").iterdir()] == []


def test_when_no_training_prompt_is_left_the_steps_are_told_with_how_many_each_left_of_them(
    folder: Path, select: Select
) -> None:
    (folder / "train-b.jsonl").unlink()
    rows = [row("word " * 200), row("what is a held out prompt"), row("Measure the speed of this prompt!")]
    write(folder / "train-a.jsonl", rows)
    told = "read 3, length 2, exact duplicates 1, near duplicates 1, decontamination 0, workload mix 0"
    with pytest.raises(ValueError, match=f"no training prompt is left; how many each step left: {told}$"):
        select(params_with(folder, workload_mix=MIX, max_chars=500))


def test_the_mix_can_follow_a_sample_of_real_traffic(folder: Path, select: Select) -> None:
    def chat(word: str, num_chars: int, num_turns: int) -> dict[str, Any]:
        content = " ".join(f"{word}{number}" for number in range(num_chars))[:num_chars]
        return {
            "workload": "chat",
            "messages": [{"role": "user", "content": f"{n}{content}"} for n in range(num_turns)],
        }

    shapes = [(30, 1)] * 60 + [(300, 1)] * 30 + [(100, 3)] * 30
    write(folder / "train-a.jsonl", [chat(f"w{at}x", *shape) for at, shape in enumerate(shapes)])
    (folder / "train-b.jsonl").unlink()
    write(folder / "traffic.jsonl", [chat("t", 30, 1), *[chat("u", 300, 1)] * 2, chat("v", 100, 3)])
    sample = (
        params_with(folder)
        .select_prompts.sources[0]
        .model_dump(exclude={"split", "license", "license_override", "keep_answers"})
    )
    sample |= {"name": "traffic", "path": str(folder / "traffic.jsonl")}
    rows, metrics = select(params_with(folder, workload_mix=None, traffic_sample=sample, max_prompts=40))
    shapes_taken = Counter(
        (len(item["turns"]), len(item["turns"][0]) > 200) for item in rows if item["split"] == "train"
    )
    assert shapes_taken == {(1, False): 10, (1, True): 20, (3, False): 10}
    assert set(metrics.mix_axes) == {"workload", "length", "turns"}
    for distance in metrics.mix_axes.values():
        assert distance.after == pytest.approx(0.0)
    assert metrics.mix_axes["length"].before > 0.2
    assert metrics.wanted_mix == {"chat": 1.0}
    assert metrics.shortfalls == []
    _, metrics = select(params_with(folder, workload_mix=None, traffic_sample=sample, max_prompts=60))
    assert metrics.shortfalls == []  # 30 long ones are wanted, and there are 30
    _, metrics = select(params_with(folder, workload_mix=None, traffic_sample=sample, max_prompts=80))
    [short] = metrics.shortfalls
    assert (short.workload, short.wanted, short.available) == ("chat", 40, 30)
    assert metrics.by_split["train"] == 80
    assert metrics.mix_axes["length"].after > 0.0


def test_kept_answers_do_not_lengthen_a_prompt_against_a_traffic_sample_that_has_none(
    folder: Path, select: Select
) -> None:
    rows = [row(f"{word}{word} asks about the {word} bees", answer="An answer. " * 40) for word in "abcdefghijkl"]
    write(folder / "train-a.jsonl", rows)
    (folder / "train-b.jsonl").unlink()
    write(folder / "traffic.jsonl", [row("zz asks about the y bees")])
    logs, *others = params_with(folder).select_prompts.sources
    sources = [logs.model_dump() | {"keep_answers": "ours"}, *(source.model_dump() for source in others)]
    sample = logs.model_dump(exclude={"split", "license", "license_override", "keep_answers"})
    sample |= {"name": "traffic", "path": str(folder / "traffic.jsonl")}
    changes = {"sources": sources, "workload_mix": None, "traffic_sample": sample, "max_prompts": 5}
    _, metrics = select(params_with(folder, **changes))
    assert metrics.by_split["train"] == 5
    assert metrics.mix_axes["length"].before == metrics.mix_axes["length"].after == 0.0
    assert metrics.shortfalls == []
    with pytest.raises(ValueError, match="read 12, length 0"):
        select(params_with(folder, **changes, max_chars=440))  # where the answers count


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
    bad = [
        b"{oops",
        b'{"messages": 3, "workload": "chat"}',
        b'"text"',
        b"\xff",
        json.dumps(row("x", "Poems!")).encode(),
    ]
    (folder / "train-c.jsonl").write_bytes(b"\n".join(bad))
    _, metrics = select(params_with(folder, workload_mix=MIX))
    assert metrics.funnel[0].kept == 21
    assert metrics.funnel[0].dropped == {
        "invalid UTF-8": 1,
        "not JSON": 1,
        "not an object": 1,
        "turns are not a list": 1,
        "the workload is no name of at most 32 of a-z, 0-9 and _": 1,
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
