"""evaluate_head on a tiny target: lossless, pooled, and honest about a difference."""

import json
import re
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from eyrie.eagle3.checkpoint import CheckpointError, save_head
from eyrie.engines.reference.engine import Engine
from eyrie.engines.reference.request import Request
from eyrie.engines.reference.sampling import SamplingParams, UniformStream
from eyrie.engines.slots import num_slots
from eyrie.engines.target import load_target
from eyrie.io import read_json, read_jsonl
from eyrie.params import Params
from eyrie.schemas import EvaluationMetrics, EvaluationOutput
from eyrie.stages import evaluate_head
from eyrie.tables import PROMPTS, check_prompt_row, write_table
from tests.conftest import roles_template, tiny_params
from tests.unit.engines.reference.conftest import random_head


def prompt_row(number: int, workload: str, split: str, turns: list[str]) -> dict[str, Any]:
    return {
        "prompt_id": f"{number:032x}",
        "source": "test",
        "workload": workload,
        "split": split,
        "system": "",
        "turns": turns,
        "answers": [],
    }


@pytest.fixture(scope="module")
def head(tiny_target: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random head for the tiny target."""
    folder = tmp_path_factory.mktemp("head")
    target = load_target(tiny_params(tiny_target).target)
    save_head(random_head(target, draft_vocab_size=100, seed=1), folder, model_card="A head for tests.\n")
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clean") / "clean.parquet"
    rows = [prompt_row(number, "chat", "heldout", [f"the user asks {number}"]) for number in range(4)]
    rows += [prompt_row(10, "multi_turn", "heldout", ["the user", "and the assistant"])]
    rows += [prompt_row(11, "code", "train", ["not held out"])]
    write_table(path, rows, PROMPTS, check_prompt_row)
    return path


def evaluate(
    target: Path, head: Path, clean: Path, folder: Path, **changes: Any
) -> tuple[EvaluationMetrics, list[EvaluationOutput]]:
    shape = {"num_steps": 2, "topk": 2, "num_draft_tokens": 4, "max_new_tokens": 12} | changes
    params: Params = tiny_params(target, evaluate_head=shape)
    evaluate_head.run(params, head=head, clean=clean, metrics=folder / "m.json", outputs=folder / "o.jsonl")
    return read_json(folder / "m.json", EvaluationMetrics), read_jsonl(folder / "o.jsonl", EvaluationOutput)


def test_both_arms_answer_every_held_out_prompt_with_the_same_tokens(
    tiny_target: Path, head: Path, clean: Path, tmp_path: Path
) -> None:
    metrics, outputs = evaluate(tiny_target, head, clean, tmp_path)
    assert len(outputs) == 5
    assert all(item.baseline_ids == item.eagle3_ids for item in outputs)
    assert (metrics.overall.num_prompts, metrics.overall.num_identical, metrics.mismatches) == (5, 5, [])
    assert set(metrics.workloads) == {"chat", "multi_turn"}
    weights = load_file(tiny_target / "model.safetensors")
    assert metrics.target_parameters == sum(weight.numel() for weight in weights.values())
    tokens = sum(len(ids) - 1 for item in outputs for ids in item.eagle3_ids)
    assert metrics.overall.num_tokens == tokens
    assert metrics.overall.acceptance_length == tokens / metrics.overall.num_verify_steps >= 1
    assert len(metrics.overall.acceptance_by_position) == 2


def test_few_prompts_still_cover_every_workload(tiny_target: Path, head: Path, clean: Path, tmp_path: Path) -> None:
    metrics, _ = evaluate(tiny_target, head, clean, tmp_path, max_prompts=2)
    assert set(metrics.workloads) == {"chat", "multi_turn"}


def test_answers_of_one_token_have_the_acceptance_of_no_draft() -> None:
    sampling = SamplingParams(8)
    request = Request([7], sampling, UniformStream(0), [0, 0], output_ids=[9], finish_reason="stop")
    conversation: Any = None
    dialogue = evaluate_head._Dialogue("p", "chat", conversation, [[7]], [request], [request])
    found = evaluate_head._pool([dialogue])
    assert (found.num_tokens, found.num_verify_steps, found.num_identical) == (0, 0, 1)
    assert (found.acceptance_length, found.acceptance_by_position) == (1.0, [0.0, 0.0])


def test_a_difference_is_reported_with_its_place_and_margin(
    tiny_target: Path, head: Path, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Engine._emit_verified

    def wrong_fourth_token(self: Engine, request: Request, tokens: list[int]) -> None:
        original(self, request, tokens)
        if request.prompt_ids[-8:] and len(request.output_ids) > 3 and len(request.prompt_ids) % 2 == 0:
            request.output_ids[3] = 9

    monkeypatch.setattr(Engine, "_emit_verified", wrong_fourth_token)
    metrics, outputs = evaluate(tiny_target, head, clean, tmp_path)
    different = [item for item in outputs if item.baseline_ids != item.eagle3_ids]
    assert different
    assert metrics.overall.num_identical == 5 - len(different)
    assert {item.prompt_id for item in metrics.mismatches} == {item.prompt_id for item in different}
    single = [item for item in metrics.mismatches if item.workload == "chat"]
    assert all(item.position == 3 and item.baseline_margin > 0 for item in single)


def test_memory_is_taken_for_the_prompts_that_are_asked_and_once(
    tiny_target: Path, head: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three are asked, one of two turns; the fourth is 50 times as long."""
    path = tmp_path / "clean.parquet"
    turns = [["the user"], ["the user", "and the assistant"], ["the user asks"], ["the user " * 60]]
    rows = [prompt_row(number, "chat", "heldout", asked) for number, asked in enumerate(turns)]
    write_table(path, rows, PROMPTS, check_prompt_row)
    taken: list[tuple[int, int]] = []
    memory: list[weakref.ref[torch.Tensor]] = []
    original = Engine.__init__

    def watched(self: Engine, *args: Any, **kwargs: Any) -> None:
        assert not any(tensor() is not None for tensor in memory), "the other arm's memory is still held"
        original(self, *args, **kwargs)
        taken.append((self.max_running_requests, self.context_length))
        memory.extend(weakref.ref(tensor) for tensor in self._runner.cache.store._both)

    monkeypatch.setattr(Engine, "__init__", watched)
    _, outputs = evaluate(tiny_target, head, path, tmp_path, max_prompts=3)
    assert len(outputs) == 3
    (slots, length), (slots_again, length_again) = taken
    assert (slots, slots_again) == (3, sum(len(item.baseline_ids) for item in outputs))
    assert length == length_again < 100


def test_one_long_prompt_leaves_room_for_fewer_at_a_time() -> None:
    assert [num_slots(100, length) for length in (500, 2000, 15_000, 60_000)] == [32, 16, 2, 1]
    assert [num_slots(number, 500) for number in (0, 1, 20)] == [1, 1, 20]


def test_memory_that_runs_out_is_one_sentence_that_says_what_to_lower(
    tiny_target: Path, head: Path, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(self: Engine, *_args: Any, **_kwargs: Any) -> None:
        torch.zeros(1 << 50, dtype=torch.int8)

    monkeypatch.setattr(Engine, "__init__", too_much)
    says = "out of memory: 1125899906842624 bytes more could not be had; lower evaluate_head.max_new_tokens"
    with pytest.raises(ValueError, match=re.escape(says)):
        evaluate(tiny_target, head, clean, tmp_path)


def test_a_table_without_held_out_prompts_is_refused(tiny_target: Path, head: Path, tmp_path: Path) -> None:
    path = tmp_path / "clean.parquet"
    write_table(path, [prompt_row(1, "chat", "train", ["hello"])], PROMPTS, check_prompt_row)
    with pytest.raises(ValueError, match="no prompt with split heldout"):
        evaluate(tiny_target, head, path, tmp_path)


def test_prompts_that_cannot_be_asked_are_passed_over_for_others_and_said_to_be(
    copy_target: Path, head: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (copy_target / "chat_template.jinja").write_text(roles_template("== 'user'"))
    long, persona = prompt_row(0, "chat", "heldout", ["word " * 2000]), prompt_row(1, "chat", "heldout", ["the user"])
    rows = [long, persona | {"system": "Be brief."}, *(prompt_row(n, "chat", "heldout", ["the"]) for n in range(2, 5))]
    write_table(tmp_path / "clean", rows, PROMPTS, check_prompt_row)
    metrics, outputs = evaluate(copy_target, head, tmp_path / "clean", tmp_path, max_prompts=2)
    assert (metrics.overall.num_prompts, [output.prompt_id for output in outputs]) == (
        2,
        [row["prompt_id"] for row in rows[2:4]],
    )
    said = r"passed over: 1 held-out prompts that the target's chat template refuses, 1 that fill its context"
    assert re.search(said, caplog.text)
    write_table(tmp_path / "clean", rows[:2], PROMPTS, check_prompt_row)
    with pytest.raises(ValueError, match=f"no prompt to evaluate with; {said}"):
        evaluate(copy_target, head, tmp_path / "clean", tmp_path)


def test_a_head_that_could_not_be_served_is_refused_before_anything_is_answered(
    tiny_target: Path, head: Path, clean: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(head, tmp_path / "head"))
    before = json.loads((copy / "config.json").read_text())
    for change, says in (
        ({"max_position_embeddings": 16}, "max_position_embeddings is 16, under the served context of"),
        ({"torch_dtype": "float32", "dtype": "float32"}, "is float32, but the weights are bfloat16"),
    ):
        (copy / "config.json").write_text(json.dumps(before | change))
        with pytest.raises(CheckpointError, match=says):
            evaluate(tiny_target, copy, clean, tmp_path)


def test_a_target_split_over_two_processes_gives_the_answers_of_a_whole_one(
    tiny_target: Path, head: Path, clean: Path, tmp_path: Path
) -> None:
    """Two processes hold half of every matrix. Float32 and a random target: no tie is near."""
    whole = evaluate(tiny_target, head, clean, tmp_path)
    assert evaluate(tiny_target, head, clean, tmp_path, num_processes=2) == whole
