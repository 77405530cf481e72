"""The target's own answers: ids in and ids out, the same alone as in a batch."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    FalconConfig,
    Gemma3nTextConfig,
    GPTNeoXConfig,
    LlamaConfig,
    OlmoConfig,
    PhiConfig,
    Qwen3NextConfig,
)

from eyrie.eagle3.config import HeadConfigError
from eyrie.engines import answering
from eyrie.engines.generate import local_generator
from eyrie.engines.launch import free_port, launch_server
from eyrie.engines.reference.engine import Engine
from eyrie.engines.reference.sampling import SamplingParams, UniformStream
from eyrie.engines.servers import ServerError
from eyrie.engines.target import TargetModel, load_chat, load_target
from eyrie.engines.transformers import _Request, take_batch, transformers_generator
from eyrie.io import read_json
from eyrie.params import Params
from eyrie.schemas import ResponseMetrics
from eyrie.stages import generate_responses
from eyrie.tables import PROMPTS, RESPONSES, check_prompt_row, read_table, write_table
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


DYNAMIC: dict[str, Any] = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}


@pytest.fixture(scope="module")
def target(tiny_target: Path) -> TargetModel:
    return load_target(tiny_params(tiny_target).target)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    write_table(tmp_path / "clean.parquet", PROMPT_ROWS, PROMPTS, check_prompt_row)
    return tmp_path / "clean.parquet"


def test_a_target_that_no_head_fits_answers_nothing(copy_target: Path, clean: Path, tmp_path: Path) -> None:
    (copy_target / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_layer": 8}))
    with pytest.raises(HeadConfigError, match="an EAGLE-3 head turns by the target's rotary positions"):
        generate_responses.run(
            tiny_params(copy_target), shard=0, clean=clean, responses=tmp_path / "rows", scratch=tmp_path / "scratch"
        )
    assert not (tmp_path / "scratch").exists()


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (FalconConfig(num_hidden_layers=8), {}, "FalconForCausalLM has no list of layers whose outputs could be read"),
        (
            GPTNeoXConfig(num_hidden_layers=8),
            {},
            r"GPTNeoXForCausalLM has no embedding named \.\.\.embed_tokens",
        ),
        (
            Gemma3nTextConfig(num_hidden_layers=8, num_kv_shared_layers=0, activation_sparsity_pattern=[0.0] * 8),
            {},
            "layers of Gemma3nForCausalLM hand on several hidden states per token",
        ),
        (PhiConfig(num_hidden_layers=8), {}, "its output matrix has a bias"),
        (Qwen3NextConfig(num_hidden_layers=8), {}, r"not evaluated: set train_head\.decode_prompts to 0, and run"),
        (
            LlamaConfig(num_hidden_layers=8, rope_parameters=DYNAMIC),
            {"engine": "sglang"},
            r"its rope_type is dynamic, .*; set benchmark\.engine to reference",
        ),
        (OlmoConfig(num_hidden_layers=8), {"engine": "sglang"}, "no EAGLE-3 head for .* OlmoForCausalLM"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_target_that_a_later_stage_cannot_work_with_answers_nothing(
    copy_target: Path, clean: Path, tmp_path: Path, config: Any, changes: dict[str, Any], message: str
) -> None:
    """Nor is it asked by a server that would answer, whose GPU hours would be for nothing."""
    config.architectures = [type(config).__name__.replace("Config", "ForCausalLM")]
    config.save_pretrained(copy_target)
    with pytest.raises(ValueError, match=message):
        generate_responses.run(
            tiny_params(copy_target, benchmark=changes),
            shard=0,
            clean=clean,
            responses=tmp_path / "rows",
            scratch=tmp_path / "scratch",
        )
    assert not (tmp_path / "scratch").exists()


OPENERS = {"reference": local_generator, "transformers": transformers_generator}
ENGINES = pytest.mark.parametrize("engine", list(OPENERS))


def _answer(
    engine: str, target: TargetModel, prompts: list[list[int]], *samplings: SamplingParams, context_length: int = 200
) -> list[list[int]]:
    async def run() -> list[list[int]]:
        async with OPENERS[engine](target, concurrency=3, context_length=context_length) as generator:
            each = samplings * len(prompts) if len(samplings) == 1 else samplings
            return await asyncio.gather(*map(generator.generate, prompts, each))

    return asyncio.run(run())


def _is_argmax_without_a_cache(target: TargetModel, prompt: list[int], answer: list[int]) -> bool:
    with torch.inference_mode():
        hidden = target.forward(torch.tensor([[*prompt, *answer[:-1]]]))[0, len(prompt) - 1 :]
        return answer == target.logits(hidden).argmax(-1).tolist()


@ENGINES
def test_an_answer_is_the_same_alone_and_beside_others(target: TargetModel, engine: str) -> None:
    prompts = [[0, 10, 11], [0, *range(20, 60)], [0, 9], [0, 12]]
    samplings = [SamplingParams(12), SamplingParams(5, 0.9, seed=3), SamplingParams(9, 0.7, 0.8, 4), SamplingParams(12)]
    alone = [_answer(engine, target, [prompt], one)[0] for prompt, one in zip(prompts, samplings, strict=True)]
    assert _answer(engine, target, prompts, *samplings) == alone


@ENGINES
def test_greedy_answers_are_what_the_model_argmaxes_without_a_cache(target: TargetModel, engine: str) -> None:
    (answer,) = _answer(engine, target, [[0, 10, 11]], SamplingParams(6))
    assert _is_argmax_without_a_cache(target, [0, 10, 11], answer)


@ENGINES
def test_an_answer_ends_with_its_stop_token_its_budget_or_the_context(target: TargetModel, engine: str) -> None:
    stops = frozenset(range(6, 16))
    target = replace(target, chat=replace(target.chat, stop_ids=stops))
    prompts = [[0, 10 + index] for index in range(6)]
    long = _answer(engine, target, prompts, SamplingParams(60, 2.0, seed=1, ignore_eos=True))
    assert {len(answer) for answer in long} == {60}
    for found, whole in zip(_answer(engine, target, prompts, SamplingParams(60, 2.0, seed=1)), long, strict=True):
        first = next((index for index, token in enumerate(whole) if token in stops), 59)
        assert found == whole[: first + 1]
    assert any(set(answer) & stops for answer in long)
    short = _answer(engine, target, prompts[:2], SamplingParams(9, ignore_eos=True), context_length=6)
    assert [len(answer) for answer in short] == [4, 4]


def test_transformers_answers_for_a_target_whose_layers_keep_other_state(copy_target: Path) -> None:
    from transformers import Lfm2Config, Lfm2ForCausalLM

    torch.manual_seed(0)
    config = Lfm2Config(
        vocab_size=320, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.2, eos_token_id=4, pad_token_id=5,
        layer_types=["conv", "full_attention", "conv", "full_attention"],
    )  # fmt: skip
    (copy_target / "model.safetensors").unlink()
    Lfm2ForCausalLM(config).save_pretrained(copy_target)
    target = load_target(tiny_params(copy_target).target)
    prompts = [[0, 10, 11], [0, 9, 8, 7, 30], [0, 12, 13, 14]]
    for prompt, answer in zip(prompts, _answer("transformers", target, prompts, SamplingParams(10)), strict=True):
        assert _is_argmax_without_a_cache(target, prompt, answer)


def test_a_penalty_that_the_target_s_files_ask_for_changes_no_answer(target: TargetModel, copy_target: Path) -> None:
    settings = {"eos_token_id": 4, "do_sample": True, "temperature": 0.3, "repetition_penalty": 9.0}
    (copy_target / "generation_config.json").write_text(json.dumps(settings))
    prompts, sampling = [[0, 10, 11], [0, 9, 8]], SamplingParams(20)
    penalised = load_target(tiny_params(copy_target).target)
    assert _answer("transformers", penalised, prompts, sampling) == _answer("transformers", target, prompts, sampling)


def test_a_batch_of_transformers_holds_no_prompt_twice_as_long_as_another() -> None:
    async def run() -> list[list[int]]:
        future: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        lengths = [3, 40, 21, 20, 19, 8, 8, 90]
        waiting = [_Request([0] * length, SamplingParams(1), 1, UniformStream(1), future) for length in lengths]
        batches = []
        while waiting:
            batches.append([len(request.prompt_ids) for request in take_batch(waiting, 2)])
        return batches

    assert asyncio.run(run()) == [[90], [40, 21], [20, 19], [8, 8], [3]]


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
    answer = answering._answer

    async def counted(generator: Any, chat: Any, prompt: Any, *rest: Any) -> Any:
        asked.append(prompt["prompt_id"])
        if len(asked) == 3:
            raise KeyboardInterrupt
        return await answer(generator, chat, prompt, *rest)

    monkeypatch.setattr(answering, "_answer", counted)
    with pytest.raises(KeyboardInterrupt):
        _run(params, clean, "resumed")
    assert _run(params, clean, "resumed").read_bytes() == whole
    assert len(asked) == 5  # four prompts, one of them twice
    assert sorted(set(asked)) == [row["prompt_id"] for row in PROMPT_ROWS[:4]]


def test_kill_9_loses_no_answer_but_those_in_flight(
    tiny_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [_prompt(index, f"question {index}") for index in range(30)]
    write_table(tmp_path / "clean.parquet", rows, PROMPTS, check_prompt_row)
    params = _tiny(tiny_target, max_new_tokens=20, concurrency=4)
    journal = tmp_path / "killed.scratch" / "answered.jsonl"
    journal.parent.mkdir()
    program = (
        "import sys; from pathlib import Path; from eyrie.params import Params\n"
        "from eyrie.stages import generate_responses as stage\n"
        "params, clean, shard, scratch = Params.model_validate_json(sys.argv[1]), *map(Path, sys.argv[2:])\n"
        "stage.run(params, shard=0, clean=clean, responses=shard, scratch=scratch)"
    )
    files = [str(tmp_path / "clean.parquet"), str(tmp_path / "killed"), str(journal.parent)]
    process = subprocess.Popen([sys.executable, "-c", program, params.model_dump_json(), *files])
    while process.poll() is None and (not journal.exists() or journal.read_bytes().count(b"\n") < 4):
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    kept = [json.loads(line) for line in journal.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    asked: list[str] = []
    answer = answering._answer

    async def counted(generator: Any, chat: Any, prompt: Any, *rest: Any) -> Any:
        asked.append(prompt["prompt_id"])
        return await answer(generator, chat, prompt, *rest)

    monkeypatch.setattr(answering, "_answer", counted)
    resumed = _run(params, tmp_path / "clean.parquet", "killed").read_bytes()
    assert 4 <= len(kept) < len(rows)
    assert len(asked) == len(set(asked)) == len(rows) - len(kept)
    assert resumed == _run(params, tmp_path / "clean.parquet", "whole").read_bytes()


def test_answers_that_a_source_brought_are_taken_as_they_are_and_the_target_is_not_asked(
    tiny_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "load_target", lambda _: pytest.fail("the target was loaded"))
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


def test_a_kept_conversation_that_is_left_out_is_counted_in_the_metrics_and_its_reason_is_in_the_log(
    tiny_target: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ends_early = {"answers": ["Llama ends a turn with <|eot_id|> and nothing else does so."]}
    rows = [_prompt(0, "one") | {"answers": ["the first"]}, _prompt(1, "how does a turn end?") | ends_early]
    write_table(tmp_path / "clean.parquet", rows, PROMPTS, check_prompt_row)
    params = _tiny(tiny_target)
    path = _run(params, tmp_path / "clean.parquet")
    assert "shard 0: 1 conversations were cut short: message 1: the answer holds the text of an end" in caplog.text
    generate_responses.gather(
        params, clean=tmp_path / "clean.parquet", responses=[path], metrics=tmp_path / "metrics.json"
    )
    [(reason, count)] = read_json(tmp_path / "metrics.json", ResponseMetrics).skipped.items()
    assert "a source's answer without an exact place in the rendering" in reason
    assert count == 1


def test_prompts_over_the_limit_are_counted_and_left_out(tiny_target: Path, clean: Path) -> None:
    params = _tiny(tiny_target, max_new_tokens=4, max_prompt_tokens=40)
    path = _run(params, clean)
    generate_responses.gather(params, clean=clean, responses=[path], metrics=clean.parent / "m.json")
    assert max(row["span_starts"][0] for row in read_table(path, RESPONSES)) <= 40
    assert sum(read_json(clean.parent / "m.json", ResponseMetrics).skipped.values()) == 1


def test_both_engines_of_this_process_write_the_same_shard(tiny_target: Path, clean: Path) -> None:
    batched = _run(_tiny(tiny_target, temperature=0.8, engine="transformers"), clean, "batched").read_bytes()
    assert batched == _run(_tiny(tiny_target, temperature=0.8), clean, "slots").read_bytes()


@contextlib.contextmanager
def _reference_server(target: Path, *, dtype: str, log: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "eyrie.engines.reference", "--model", str(target), "--dtype", dtype]
    command += ["--device", "cpu", "--threads", "1", "--max-running-requests", "4", "--port", str(port)]
    with launch_server(command, port=port, log=log, env={}) as server:
        server.wait_until_healthy(120)
        yield server.base_url


def test_servers_write_the_shard_that_this_process_writes(
    tiny_target: Path, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _reference_server(tiny_target, dtype="float32", log=clean.parent / "log") as base_url:
        monkeypatch.setenv("EYRIE_SERVERS", base_url)
        served = _run(_tiny(tiny_target, temperature=0.8, engine="sglang"), clean, "served").read_bytes()
    assert served == _run(_tiny(tiny_target, temperature=0.8), clean, "here").read_bytes()


def test_memory_is_taken_for_no_more_conversations_than_there_are_and_running_out_is_one_sentence(
    tiny_target: Path, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(self: Engine) -> None:
        assert self.max_running_requests == len(PROMPT_ROWS) - 1
        torch.zeros(1 << 50, dtype=torch.int8)

    monkeypatch.setattr(Engine, "step", too_much)
    says = "^out of memory: 1125899906842624 bytes more could not be had; lower generate_responses.concurrency"
    with pytest.raises(ValueError, match=says):
        _run(_tiny(tiny_target, concurrency=64), clean, "one")


def test_a_server_that_does_not_serve_the_target_writes_no_answer(
    tiny_target: Path, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _reference_server(tiny_target, dtype="bfloat16", log=clean.parent / "log") as base_url:
        monkeypatch.setenv("EYRIE_SERVERS", base_url)
        with pytest.raises(ServerError, match=r"named for generate_responses, but its dtype is bfloat16, not float32"):
            _run(_tiny(tiny_target, engine="sglang"), clean, "served")
    assert (clean.parent / "served.scratch/answered.jsonl").read_text() == ""


@pytest.mark.parametrize(("launched_with", "room"), [(None, 512), (300, 300)])
def test_sglang_is_asked_for_no_more_than_its_context_leaves(
    tiny_target: Path, clean: Path, monkeypatch: pytest.MonkeyPatch, launched_with: int | None, room: int
) -> None:
    settings = tiny_params(tiny_target).generate_responses.sglang.model_dump() | {"context_length": launched_with}
    params = _tiny(tiny_target, max_new_tokens=400, max_prompt_tokens=400, engine="sglang", sglang=settings)
    asked: list[tuple[int, int]] = []

    class Generator:
        async def generate(self, prompt_ids: list[int], sampling: SamplingParams) -> list[int]:
            asked.append((len(prompt_ids), sampling.max_new_tokens))
            return [9]

    @contextlib.asynccontextmanager
    async def opened(*_: object, **__: object) -> AsyncIterator[Generator]:
        yield Generator()

    monkeypatch.setenv("EYRIE_SERVERS", "http://127.0.0.1:1")
    monkeypatch.setattr(answering, "sglang_generator", opened)
    rows = [_prompt(index, "x " * index) for index in range(1, 400, 3)]
    write_table(clean, rows, PROMPTS, check_prompt_row)
    _run(params, clean)
    # SGLang 0.5.23: input_len < max_req_input_len = context - 6, max_new_tokens <= context - 1 - input_len - 1
    assert all(length < room - 6 and 1 <= new <= room - 2 - length for length, new in asked)
    assert any(new < 400 for _, new in asked)
    assert max(length for length, _ in asked) > min(400, room) - 20
