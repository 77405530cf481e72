"""The target's own answers: ids in and ids out, the same alone as in a batch."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from eyrie.engines.generate import local_generator
from eyrie.engines.launch import free_port, launch_server
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.target import TargetModel, load_chat, load_target
from eyrie.io import read_json, read_table, write_table
from eyrie.params import Params
from eyrie.schemas import PROMPTS, RESPONSES, ResponseMetrics, check_prompt_row
from eyrie.stages import generate_responses
from tests.conftest import tiny_params


def _prompt(index: int, *turns: str, split: str = "train") -> dict[str, object]:
    return {
        "prompt_id": f"{index:032x}",
        "source": "test",
        "workload": "chat",
        "split": split,
        "system": "",
        "turns": list(turns),
        "answers": [],
    }


PROMPT_ROWS = [
    _prompt(0, "hello"),
    _prompt(1, "one", "two"),
    _prompt(2, "a much longer question than the others, which needs padding"),
    _prompt(3, "held", split="heldout"),
    _prompt(4, "measured", split="benchmark"),
]


@pytest.fixture(scope="module")
def target(tiny_target: Path) -> TargetModel:
    return load_target(tiny_params(tiny_target).target)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    write_table(tmp_path / "clean.parquet", PROMPT_ROWS, PROMPTS, check_prompt_row)
    return tmp_path / "clean.parquet"


def _answer(target: TargetModel, prompts: list[list[int]], sampling: SamplingParams) -> list[list[int]]:
    async def run() -> list[list[int]]:
        async with local_generator(target, concurrency=3, context_length=200) as generator:
            return await asyncio.gather(*(generator.generate(prompt, sampling) for prompt in prompts))

    return asyncio.run(run())


def test_an_answer_is_the_same_alone_and_beside_others(target: TargetModel) -> None:
    prompts = [[0, 10, 11], [0, *range(20, 60)], [0, 9], [0, 12]]
    sampling = SamplingParams(12)
    assert _answer(target, prompts, sampling) == [_answer(target, [prompt], sampling)[0] for prompt in prompts]


def test_greedy_answers_are_what_the_model_argmaxes_without_a_cache(target: TargetModel) -> None:
    (answer,) = _answer(target, [[0, 10, 11]], SamplingParams(6))
    ids = [0, 10, 11]
    with torch.inference_mode():
        for token in answer:
            logits = target.logits(target.forward(torch.tensor([ids]))[0, -1])
            assert token == int(logits.argmax())
            ids.append(token)


def _tiny(target: Path, max_new_tokens: int = 8, temperature: float = 0.0, **changes: object) -> Params:
    sampling = {"default": {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": 1.0}}
    return tiny_params(target, generate_responses={"num_shards": 1, "sampling": sampling, **changes})


def _run(params: Params, clean: Path, name: str = "shard", shard: int = 0) -> Path:
    scratch = clean.parent / f"{name}.scratch"
    scratch.mkdir(exist_ok=True)
    generate_responses.run(params, shard=shard, clean=clean, responses=clean.parent / name, scratch=scratch)
    return clean.parent / name


def test_shards_cover_every_prompt_but_those_of_the_benchmark_once(tiny_target: Path, clean: Path) -> None:
    params = _tiny(tiny_target, num_shards=2, concurrency=2)
    shards = [_run(params, clean, f"shard-{shard}", shard) for shard in range(2)]
    rows = [row for path in shards for row in read_table(path, RESPONSES)]
    assert sorted({row["prompt_id"] for row in rows}) == [row["prompt_id"] for row in PROMPT_ROWS[:4]]
    generate_responses.gather(params, clean=clean, responses=shards, metrics=clean.parent / "m.json")
    metrics = read_json(clean.parent / "m.json", ResponseMetrics)
    assert metrics.num_conversations == 4
    assert metrics.num_response_tokens == sum(sum(row["span_ends"]) - sum(row["span_starts"]) for row in rows)
    assert sum(metrics.finish_reasons.values()) == sum(len(row["span_starts"]) for row in rows)
    lengths = [end - start for row in rows for start, end in zip(row["span_starts"], row["span_ends"], strict=True)]
    assert metrics.response_tokens["all"]["max"] == max(lengths)
    assert sorted(lengths)[(len(lengths) - 1) // 2] == metrics.response_tokens["all"]["p50"]


def test_a_shard_is_byte_identical_when_made_again(tiny_target: Path, clean: Path) -> None:
    params = _tiny(tiny_target, temperature=0.8)
    assert _run(params, clean, "one").read_bytes() == _run(params, clean, "two").read_bytes()


def test_sampling_depends_on_the_seed_and_not_on_what_runs_beside_it(tiny_target: Path, clean: Path) -> None:
    together = _run(_tiny(tiny_target, temperature=0.8, concurrency=4), clean, "one").read_bytes()
    assert together == _run(_tiny(tiny_target, temperature=0.8, concurrency=1), clean, "two").read_bytes()
    assert together != _run(_tiny(tiny_target, temperature=0.8, seed=2), clean, "three").read_bytes()


def test_a_workload_is_sampled_as_params_say(tiny_target: Path, clean: Path) -> None:
    sampling = {
        "default": {"max_new_tokens": 8, "temperature": 0.0, "top_p": 1.0},
        "chat": {"max_new_tokens": 3, "temperature": 0.0, "top_p": 1.0},
    }
    path = _run(_tiny(tiny_target, sampling=sampling), clean)
    assert {row["span_ends"][0] - row["span_starts"][0] for row in read_table(path, RESPONSES)} <= {1, 2, 3}


def test_a_killed_shard_asks_only_for_what_was_in_flight(
    tiny_target: Path, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = _tiny(tiny_target, concurrency=1)
    whole = _run(params, clean, "whole").read_bytes()
    asked: list[str] = []
    answer = generate_responses._answer

    async def counted(generator: Any, chat: Any, prompt: Any, *rest: Any) -> Any:
        asked.append(prompt["prompt_id"])
        if len(asked) == 3:
            raise KeyboardInterrupt
        return await answer(generator, chat, prompt, *rest)

    monkeypatch.setattr(generate_responses, "_answer", counted)
    with pytest.raises(KeyboardInterrupt):
        _run(params, clean, "resumed")
    assert _run(params, clean, "resumed").read_bytes() == whole
    assert len(asked) == 5  # four prompts, one of them twice
    assert sorted(set(asked)) == [row["prompt_id"] for row in PROMPT_ROWS[:4]]


def test_answers_that_a_source_brought_are_taken_as_they_are_and_the_target_is_not_asked(
    tiny_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate_responses, "load_target", lambda _: pytest.fail("the target was loaded"))
    rows = [
        _prompt(0, "one", "two") | {"answers": ["the first", "the second"]},
        _prompt(1, "long") | {"answers": ["the answer " * 400]},
    ]
    write_table(tmp_path / "clean.parquet", rows, PROMPTS, check_prompt_row)
    (row,) = read_table(_run(_tiny(tiny_target), tmp_path / "clean.parquet"), RESPONSES)
    chat = load_chat(tiny_params(tiny_target).target)
    spans = zip(row["span_starts"], row["span_ends"], strict=True)
    answers = [chat.tokenizer.decode(row["input_ids"][start:end]) for start, end in spans]
    assert answers == ["the first<|eot_id|>", "the second<|eot_id|>"]
    assert row["finish_reasons"] == ["given", "given"]


def test_prompts_over_the_limit_are_counted_and_left_out(tiny_target: Path, clean: Path) -> None:
    params = _tiny(tiny_target, max_new_tokens=4, max_prompt_tokens=40)
    path = _run(params, clean)
    generate_responses.gather(params, clean=clean, responses=[path], metrics=clean.parent / "m.json")
    assert max(row["span_starts"][0] for row in read_table(path, RESPONSES)) <= 40
    assert sum(read_json(clean.parent / "m.json", ResponseMetrics).skipped.values()) == 1


def test_servers_write_the_shard_that_this_process_writes(
    tiny_target: Path, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "eyrie.engines.reference", "--model", str(tiny_target), "--dtype", "float32"]
    command += ["--device", "cpu", "--threads", "1", "--max-running-requests", "4", "--port", str(port)]
    with launch_server(command, port=port, log=clean.parent / "log", env={}) as server:
        server.wait_until_healthy(120)
        monkeypatch.setenv("EYRIE_SERVERS", server.base_url)
        served = _run(_tiny(tiny_target, temperature=0.8, engine="sglang"), clean, "served").read_bytes()
    assert served == _run(_tiny(tiny_target, temperature=0.8), clean, "here").read_bytes()
