"""The target's own answers: ids in and ids out, the same alone as in a batch."""

from pathlib import Path

import pytest
import torch

from eyrie.engines.generate import generate_batch
from eyrie.engines.target import TargetModel, load_target
from eyrie.io import read_json, read_table, write_table
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


def test_an_answer_is_the_same_alone_and_in_a_padded_batch(target: TargetModel) -> None:
    prompts = [[0, 10, 11], [0, *range(20, 60)], [0, 9]]
    settings = {"max_new_tokens": 12, "temperature": 0.0, "top_p": 1.0, "seed": 1}
    together = generate_batch(target, prompts, **settings)
    assert together == [generate_batch(target, [prompt], **settings)[0] for prompt in prompts]


def test_greedy_answers_are_what_the_model_argmaxes_without_a_cache(target: TargetModel) -> None:
    (answer,) = generate_batch(target, [[0, 10, 11]], max_new_tokens=6, temperature=0.0, top_p=1.0, seed=1)
    ids = [0, 10, 11]
    with torch.inference_mode():
        for token in answer:
            logits = target.logits(target.forward(torch.tensor([ids]))[0, -1])
            assert token == int(logits.argmax())
            ids.append(token)


def test_sampling_repeats_from_its_seed(target: TargetModel) -> None:
    settings = {"max_new_tokens": 12, "temperature": 1.0, "top_p": 0.9}
    first, again, other = (generate_batch(target, [[0, 10]], seed=seed, **settings) for seed in (1, 1, 2))
    assert first == again != other


def test_shards_cover_every_prompt_but_those_of_the_benchmark_once(tiny_target: Path, clean: Path) -> None:
    params = tiny_params(tiny_target, generate_responses={"num_shards": 2, "max_new_tokens": 8, "batch_size": 2})
    shards = [clean.parent / f"shard-{shard}" for shard in range(2)]
    for shard, path in enumerate(shards):
        generate_responses.run(params, shard=shard, clean=clean, responses=path)
    rows = [row for path in shards for row in read_table(path, RESPONSES)]
    assert sorted({row["prompt_id"] for row in rows}) == [row["prompt_id"] for row in PROMPT_ROWS[:4]]
    generate_responses.gather(params, clean=clean, responses=shards, metrics=clean.parent / "m.json")
    metrics = read_json(clean.parent / "m.json", ResponseMetrics)
    assert metrics.num_conversations == 4
    assert metrics.num_response_tokens == sum(sum(row["span_ends"]) - sum(row["span_starts"]) for row in rows)
    assert sum(metrics.finish_reasons.values()) == sum(len(row["span_starts"]) for row in rows)


def test_a_shard_is_byte_identical_when_made_again(tiny_target: Path, clean: Path) -> None:
    params = tiny_params(tiny_target, generate_responses={"max_new_tokens": 8, "temperature": 0.8})
    for name in ("one", "two"):
        generate_responses.run(params, shard=0, clean=clean, responses=clean.parent / name)
    assert (clean.parent / "one").read_bytes() == (clean.parent / "two").read_bytes()


def test_prompts_over_the_limit_are_counted_and_left_out(tiny_target: Path, clean: Path) -> None:
    params = tiny_params(
        tiny_target, generate_responses={"num_shards": 1, "max_prompt_tokens": 40, "max_new_tokens": 4}
    )
    path = clean.parent / "shard"
    generate_responses.run(params, shard=0, clean=clean, responses=path)
    generate_responses.gather(params, clean=clean, responses=[path], metrics=clean.parent / "m.json")
    assert max(row["span_starts"][0] for row in read_table(path, RESPONSES)) <= 40
    assert sum(read_json(clean.parent / "m.json", ResponseMetrics).skipped.values()) == 1
