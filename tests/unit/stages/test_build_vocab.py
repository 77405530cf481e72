"""The stage that counts answers and writes the draft vocabulary."""

from pathlib import Path
from typing import Any

import pytest

from eyrie.eagle3.vocab import read_vocab
from eyrie.io import read_json
from eyrie.schemas import VocabMetrics
from eyrie.stages import build_vocab
from eyrie.tables import RESPONSES, check_response_row, write_table
from tests.conftest import tiny_params


def response(index: int, input_ids: list[int], spans: list[tuple[int, int]], split: str = "train") -> dict[str, Any]:
    return {
        "prompt_id": f"p{index}",
        "row_index": 0,
        "source": "s",
        "workload": "chat",
        "split": split,
        "seed": 1,
        "input_ids": input_ids,
        "span_starts": [start for start, _ in spans],
        "span_ends": [end for _, end in spans],
        "finish_reasons": ["stop"] * len(spans),
    }


ROWS = [
    response(0, [90, 90, 90, 50, 50, 51, 4], [(3, 7)]),
    response(1, [91, 60, 60, 92, 50, 51], [(1, 3), (4, 6)]),
    response(2, [70, 70, 70, 70, 50], [(0, 5)], split="heldout"),
]


def run(target: Path, folder: Path, rows: list[dict[str, Any]], draft_vocab_size: int) -> tuple[Path, VocabMetrics]:
    paths = [folder / f"shard-{index}.parquet" for index in range(2)]
    for index, path in enumerate(paths):
        write_table(path, rows[index::2], RESPONSES, check_response_row)
    vocab, metrics = folder / "vocab_map.safetensors", folder / "metrics.json"
    params = tiny_params(target, build_vocab={"draft_vocab_size": draft_vocab_size})
    build_vocab.run(params, responses=paths, vocab=vocab, metrics=metrics)
    return vocab, read_json(metrics, VocabMetrics)


def test_only_assistant_tokens_of_the_train_split_are_counted(tiny_target: Path, tmp_path: Path) -> None:
    vocab, metrics = run(tiny_target, tmp_path, ROWS, 4)
    read = read_vocab(vocab, vocab_size=320)
    # 50 three times, 51 and 60 twice, the end-of-turn id 4 in any case
    assert read.target_ids.tolist() == [4, 50, 51, 60]
    assert metrics.digest == read.digest
    assert (metrics.vocab_size, metrics.draft_vocab_size) == (320, 4)
    assert metrics.coverage_train == 1.0
    assert metrics.coverage_heldout == 1 / 5


def test_every_end_id_of_the_target_is_in(copy_target: Path, tmp_path: Path) -> None:
    (copy_target / "generation_config.json").write_text('{"eos_token_id": [4, 1, 7]}')
    vocab, _ = run(copy_target, tmp_path, ROWS, 4)
    assert {1, 4, 7} < set(read_vocab(vocab, vocab_size=320).target_ids.tolist())


def test_a_target_without_generation_config_still_has_its_end_id(copy_target: Path, tmp_path: Path) -> None:
    (copy_target / "generation_config.json").unlink()
    vocab, _ = run(copy_target, tmp_path, ROWS, 3)
    assert 4 in read_vocab(vocab, vocab_size=320).target_ids.tolist()


def test_the_targets_weights_are_not_needed(copy_target: Path, tmp_path: Path) -> None:
    (copy_target / "model.safetensors").unlink()
    run(copy_target, tmp_path, ROWS, 4)


def test_more_draft_ids_than_the_target_has_are_refused(tiny_target: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"build_vocab.draft_vocab_size: 321 .* 320"):
        run(tiny_target, tmp_path, ROWS, 321)
    assert not (tmp_path / "vocab_map.safetensors").exists()


def test_answers_of_another_target_are_refused_by_shard(tiny_target: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"shard-0.parquet: prompt p0 holds token id 999, .* has 320"):
        run(tiny_target, tmp_path, [response(0, [1, 2, 999, 4], [(1, 4)])], 4)
