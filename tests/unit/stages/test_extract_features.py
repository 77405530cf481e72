"""Stored features are those of each row run alone, from the right layers, before any padding."""

import logging
import re
from pathlib import Path

import pytest
import torch

from eyrie.engines.target import TargetModel, load_target
from eyrie.features.store import read_shard
from eyrie.io import read_json
from eyrie.params import Target
from eyrie.schemas import FeatureMetrics
from eyrie.stages import extract_features
from eyrie.tables import RESPONSES, check_response_row, teacher_positions, write_table
from tests.conftest import tiny_params

LENGTHS = [9, 40, 3, 41]


def _row(index: int, length: int) -> dict[str, object]:
    return {
        "prompt_id": f"{index:032x}",
        "row_index": 0,
        "source": "test",
        "workload": "chat",
        "split": "train",
        "seed": 1,
        "input_ids": [(index * 31 + position * 7) % 300 + 6 for position in range(length)],
        "span_starts": [1],
        "span_ends": [length],
        "finish_reasons": ["stop"],
    }


@pytest.fixture
def responses(tmp_path: Path) -> Path:
    rows = [_row(index, length) for index, length in enumerate(LENGTHS)]
    write_table(tmp_path / "responses.parquet", rows, RESPONSES, check_response_row)
    return tmp_path / "responses.parquet"


@pytest.mark.parametrize("max_batch_tokens", [1, 100, 10_000])
def test_features_are_those_of_the_unpadded_row(tiny_target: Path, responses: Path, max_batch_tokens: int) -> None:
    params = tiny_params(tiny_target, extract_features={"max_batch_tokens": max_batch_tokens, "encoding": "bf16"})
    extract_features.run(params, shard=0, responses=responses, features=responses.parent / "f")
    meta, rows = read_shard(responses.parent / "f")
    target = load_target(params.target)
    assert meta.aux_layer_ids == (1, 3, 4)
    assert [len(row.input_ids) for row in rows] == LENGTHS
    for row in rows:
        with torch.inference_mode():
            output = target.model(row.input_ids[None], output_hidden_states=True)
        states = [output.hidden_states[layer][0] for layer in (2, 4, 5)]  # inputs of the layers after
        torch.testing.assert_close(row.aux.float(), torch.cat(states, dim=-1), rtol=1e-2, atol=1e-2)
        kept = teacher_positions(row.spans)
        torch.testing.assert_close(row.teachers.float(), output.hidden_states[-1][0][kept], rtol=1e-2, atol=1e-2)
        assert row.spans == ((1, len(row.input_ids)),)


def test_metrics_sum_the_shards(tiny_target: Path, responses: Path) -> None:
    params = tiny_params(tiny_target)
    paths = [responses.parent / name for name in ("f0", "f1")]
    for path in paths:
        extract_features.run(params, shard=0, responses=responses, features=path)
    extract_features.gather(params, features=paths, metrics=responses.parent / "m.json")
    metrics = read_json(responses.parent / "m.json", FeatureMetrics)
    assert (metrics.num_rows, metrics.num_tokens) == (8, 2 * sum(LENGTHS))
    assert metrics.num_bytes == sum(path.stat().st_size for path in paths)


@pytest.mark.parametrize(
    ("megabytes", "num_shards", "wanted"),
    [(90, 2, None), (400, 100, None), (501, 1, 2), (1200, 2, 3), (1000, 2, None), (600, 13, 12), (5000, 1000, 100)],
)
def test_another_number_of_shards_is_advised_when_they_are_too_large_or_many_and_small(
    megabytes: int, num_shards: int, wanted: int | None
) -> None:
    advised = extract_features.better_num_shards(megabytes * 1_000_000, num_shards)
    assert advised == wanted
    assert advised is None or extract_features.better_num_shards(megabytes * 1_000_000, advised) is None


def test_a_row_longer_than_the_target_s_context_is_refused(tiny_target: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "r", [_row(0, 513)], RESPONSES, check_response_row)
    with pytest.raises(ValueError, match="has 513 tokens, the target takes 512"):
        extract_features.run(tiny_params(tiny_target), shard=0, responses=tmp_path / "r", features=tmp_path / "f")


def test_hidden_states_that_are_no_numbers_stop_the_shard(
    tiny_target: Path, responses: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = extract_features.load_target

    def broken(settings: Target, *_: object) -> TargetModel:
        target = load(settings)
        target.model.get_decoder().layers[3].mlp.down_proj.weight.data[0, 0] = torch.inf
        return target

    monkeypatch.setattr(extract_features, "load_target", broken)
    with pytest.raises(ValueError, match=r"prompt 0{32}: the target's hidden states are not all finite .* float32"):
        extract_features.run(tiny_params(tiny_target), shard=0, responses=responses, features=responses.parent / "f")
    assert sorted(path.name for path in responses.parent.iterdir()) == ["responses.parquet"]


@pytest.mark.parametrize(("encoding", "bound"), [("int8", 1e-4), ("int4", 0.02)])
def test_smaller_encodings_stay_close_to_the_exact_states(
    tiny_target: Path, responses: Path, encoding: str, bound: float
) -> None:
    rows = {}
    for name in ("bf16", encoding):
        params = tiny_params(tiny_target, extract_features={"encoding": name})
        extract_features.run(params, shard=0, responses=responses, features=responses.parent / name)
        rows[name] = read_shard(responses.parent / name)[1]
    for row, exact in zip(rows[encoding], rows["bf16"], strict=True):
        for found, wanted in ((row.aux, exact.aux), (row.teachers, exact.teachers)):
            error = (found.float() - wanted.float()).square().sum()
            assert error < bound * wanted.float().square().sum()
    assert (responses.parent / encoding).stat().st_size < (responses.parent / "bf16").stat().st_size


def test_answers_that_ran_out_of_tokens_can_be_left_out(tiny_target: Path, tmp_path: Path) -> None:
    cut_twice = {"span_starts": [3, 20], "span_ends": [9, 30], "finish_reasons": ["stop", "length"]}
    rows = [_row(0, 30) | cut_twice, _row(1, 12) | {"finish_reasons": ["length"]}, _row(2, 15)]
    write_table(tmp_path / "r", rows, RESPONSES, check_response_row)
    kept = {}
    for choice in ("keep", "drop"):
        params = tiny_params(tiny_target, extract_features={"truncated_answers": choice, "encoding": "bf16"})
        extract_features.run(params, shard=0, responses=tmp_path / "r", features=tmp_path / choice)
        kept[choice] = [(len(row.input_ids), row.spans) for row in read_shard(tmp_path / choice)[1]]
    assert kept["keep"] == [(30, ((3, 9), (20, 30))), (12, ((1, 12),)), (15, ((1, 15),))]
    assert kept["drop"] == [(9, ((3, 9),)), (15, ((1, 15),))]


@pytest.mark.parametrize(
    ("all_ran_out", "level", "told"),
    [(False, logging.INFO, "2 answers .* and with them 1 of 3 rows"), (True, logging.WARNING, "2 answers .* 2 of 2")],
)
def test_how_many_answers_ran_out_of_tokens_and_were_left_out_is_told(
    tiny_target: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, all_ran_out: bool, level: int, told: str
) -> None:
    cut_twice = {"span_starts": [3, 20], "span_ends": [9, 30], "finish_reasons": ["stop", "length"]}
    cut = [_row(index, 12) | {"finish_reasons": ["length"]} for index in range(2)]
    rows = cut if all_ran_out else [_row(0, 30) | cut_twice, cut[1], _row(2, 15)]
    write_table(tmp_path / "r", rows, RESPONSES, check_response_row)
    params = tiny_params(tiny_target, extract_features={"truncated_answers": "drop"})
    with caplog.at_level(logging.INFO):
        extract_features.run(params, shard=0, responses=tmp_path / "r", features=tmp_path / "f")
    [record] = [record for record in caplog.records if "truncated_answers" in record.message]
    assert record.levelno == level
    assert re.search(told, record.message)
    assert "generate_responses.sampling.*.max_new_tokens" in record.message


def test_a_target_split_over_two_processes_has_the_features_of_a_whole_one(tiny_target: Path, responses: Path) -> None:
    """Two processes hold half of every matrix; their sums are rounded in another order."""
    shards = []
    for num_processes in (1, 2):
        params = tiny_params(tiny_target, extract_features={"num_processes": num_processes, "encoding": "bf16"})
        path = responses.parent / f"f{num_processes}"
        extract_features.run(params, shard=0, responses=responses, features=path)
        shards.append(read_shard(path))
    (one_meta, one), (two_meta, two) = shards
    assert one_meta == two_meta
    assert [row.input_ids.tolist() for row in one] == [row.input_ids.tolist() for row in two]
    for whole, split in zip(one, two, strict=True):
        torch.testing.assert_close(split.aux.float(), whole.aux.float(), rtol=1e-2, atol=1e-2)
        torch.testing.assert_close(split.teachers.float(), whole.teachers.float(), rtol=1e-2, atol=1e-2)
