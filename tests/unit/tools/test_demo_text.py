"""The demo generator, the sample prompts on disk, and the demo target's folder."""

from __future__ import annotations

import json
import random
import re
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tools.demo import math_text
from tools.demo.build_prompts import LONG_TOKENS, MAX_JACCARD, build, prompt_text, shingles
from tools.demo.generator import WORKLOADS, sample, samples
from tools.demo.planted import ENTITIES, disclosure, iban, luhn_number
from tools.demo.words import article, joined, kinds, word_lists

ROOT = Path(__file__).parents[3]
PROMPTS = ROOT / "resources" / "prompts"
TARGET = ROOT / "resources" / "demo-target"
MAX_TARGET_BYTES = 15_000_000
MAX_PROMPTS_BYTES = 3_000_000


def read_rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (PROMPTS / name).read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def train_rows() -> list[dict[str, Any]]:
    return [row for workload in WORKLOADS for row in read_rows(f"train-{workload}.jsonl")]


@pytest.fixture(scope="module")
def planted() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PROMPTS / "planted.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(TARGET)


def test_equal_seeds_give_equal_text() -> None:
    first, again, other = (list(islice(samples(seed), 200)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_the_five_workloads_are_generated() -> None:
    assert WORKLOADS == ("chat", "code", "math", "extraction", "multi_turn")
    assert {made.workload for made in islice(samples(1), 300)} == set(WORKLOADS)


def test_every_turn_has_text_and_multi_turn_has_two_to_five_turns() -> None:
    for made in islice(samples(2), 1000):
        assert all(user.strip() and assistant.strip() for user, assistant in made.turns)
        if made.workload == "multi_turn":
            assert 2 <= len(made.turns) <= 5


def test_vocabulary_is_wide() -> None:
    words = {word for kind in kinds() for word in kind.items}
    words |= {word for words in word_lists().values() for word in words}
    assert len(words) > 1000


@pytest.mark.parametrize("problem", math_text.PROBLEMS)
def test_arithmetic_is_correct(problem: Any) -> None:
    equation = re.compile(r"(\d+) ([-+*/]) (\d+)(?: / (\d+))? = (\d+)")
    for seed in range(200):
        _, answer = problem(random.Random(seed))
        found = equation.findall(answer)
        assert len(found) == answer.count(" = ") > 0
        for a, sign, b, divisor, result in found:
            left, right = int(a), int(b)
            value: float = {"+": left + right, "-": left - right, "*": left * right}.get(sign, left / right)
            assert value / int(divisor or 1) == int(result), answer
        # The last line repeats the result of the last step.
        assert found[-1][-1] in answer.splitlines()[-1]


def test_running_totals_are_correct() -> None:
    rng = random.Random(0)
    for _ in range(300):
        for _, answer in sample("multi_turn", rng).turns:
            for a, sign, b, result in re.findall(r": (\d+) ([-+]) (\d+) = (\d+)\.", answer):
                assert int(result) == int(a) + int(f"{sign}{b}")
                assert f"**{result} " in answer


def test_extraction_answers_copy_from_the_passage() -> None:
    rng = random.Random(0)
    for _ in range(200):
        ((user, assistant),) = sample("extraction", rng).turns
        quoted = re.search(r'The text says: "(.*)"$', assistant)
        if quoted:
            assert quoted.group(1) in user
        if assistant.startswith("```json"):
            facts = json.loads(assistant.removeprefix("```json").removesuffix("```"))
            assert all(value in user for value in facts.values())


def test_small_helpers() -> None:
    assert article("owl") == "an owl"
    assert article("uniform") == "a uniform"
    assert joined(["a"]) == "a"
    assert joined(["a", "b", "c"]) == "a, b and c"


def test_planted_card_numbers_and_ibans_have_valid_check_digits() -> None:
    rng = random.Random(0)
    for _ in range(100):
        digits = [int(char) for char in luhn_number(rng) if char.isdigit()]
        doubled = [sum(divmod(2 * digit, 10)) for digit in digits[::2]]
        assert len(digits) == 16
        assert (sum(doubled) + sum(digits[1::2])) % 10 == 0
        account = iban(rng)
        assert int("".join(str(int(char, 36)) for char in account[4:] + account[:4])) % 97 == 1


def test_placeholders_disclose_no_value() -> None:
    text, types = disclosure(random.Random(0), placeholder=True, count=len(ENTITIES))
    assert sorted(types) == sorted(ENTITIES)
    assert all(f"<{name}>" in text for name in types)


def test_prompt_counts_and_splits(train_rows: list[dict[str, Any]]) -> None:
    assert len(train_rows) >= 2200
    for name, count in (("heldout.jsonl", 20), ("benchmark.jsonl", 12)):
        rows = read_rows(name)
        assert {w: sum(row["workload"] == w for row in rows) for w in WORKLOADS} == dict.fromkeys(WORKLOADS, count)
    rows = train_rows + read_rows("heldout.jsonl") + read_rows("benchmark.jsonl")
    assert len({row["id"] for row in rows}) == len(rows)


def test_prompts_hold_user_turns_only(train_rows: list[dict[str, Any]]) -> None:
    for row in train_rows + read_rows("heldout.jsonl") + read_rows("benchmark.jsonl"):
        assert set(row) == {"id", "workload", "messages"}
        assert all(set(message) == {"role", "content"} for message in row["messages"])
        assert {message["role"] for message in row["messages"]} == {"user"}
    several = [row for row in train_rows if len(row["messages"]) > 1]
    assert all(len(r["messages"]) > 1 for r in train_rows if r["workload"] == "multi_turn")
    assert {"multi_turn", "chat", "code", "math"} <= {row["workload"] for row in several}


def test_no_evaluation_prompt_is_close_to_a_train_prompt(train_rows: list[dict[str, Any]]) -> None:
    train = [shingles(prompt_text(row)) for row in train_rows]
    for row in read_rows("heldout.jsonl") + read_rows("benchmark.jsonl"):
        own = shingles(prompt_text(row))
        assert max(len(own & other) / len(own | other) for other in train) <= MAX_JACCARD


def test_planted_rows_are_what_they_are_said_to_be(
    train_rows: list[dict[str, Any]], planted: dict[str, Any], tokenizer: PreTrainedTokenizerFast
) -> None:
    rows = {row["id"]: row for row in train_rows}
    assert len(planted["long"]) >= 40
    for name in planted["long"]:
        assert len(tokenizer.encode(prompt_text(rows[name]))) >= LONG_TOKENS
    assert len(planted["near_duplicates"]) == 80
    for entry in planted["near_duplicates"]:
        copy, original = prompt_text(rows[entry["id"]]), prompt_text(rows[entry["of"]])
        assert copy != original
        if entry["edit"] == "case":
            assert copy.lower() == original.lower()
    assert len(planted["disclosures"]) == 80
    assert {name for entry in planted["disclosures"] for name in entry["types"]} == set(ENTITIES)
    assert all(set(entry) == {"id", "types"} for entry in planted["disclosures"])


def test_prompts_on_disk_equal_a_rebuild(tmp_path: Path) -> None:
    build(tmp_path, TARGET)
    for path in sorted(tmp_path.iterdir()):
        assert path.read_bytes() == (PROMPTS / path.name).read_bytes(), path.name
    assert sum(path.stat().st_size for path in PROMPTS.iterdir()) <= MAX_PROMPTS_BYTES


def test_target_folder_is_small() -> None:
    total = sum(path.stat().st_size for path in TARGET.rglob("*") if path.is_file())
    assert (TARGET / "model.safetensors").exists()
    assert total <= MAX_TARGET_BYTES


def test_chat_template(tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": " Hello\n"},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": "Bye"},
    ]
    expected = (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nHi!<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
    )
    assert tokenizer.apply_chat_template(messages, tokenize=False) == expected
    asked = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert asked == expected + "<|start_header_id|>assistant<|end_header_id|>\n\n"
    ids = tokenizer.apply_chat_template(messages, return_dict=False)
    assert tokenizer.decode(ids) == expected


def test_tokenizer_round_trip_and_ids(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(tokenizer) == 6144
    for text in ("def f(x):\n    return x\n", "caf\u00e9 \u2014 na\u00efve  12345", "a\n\n\nb"):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    config = json.loads((TARGET / "config.json").read_text("utf-8"))
    assert config["bos_token_id"] == tokenizer.bos_token_id
    assert config["eos_token_id"][0] == tokenizer.eos_token_id
    assert config["pad_token_id"] == tokenizer.pad_token_id
    assert config["num_hidden_layers"] >= 16
