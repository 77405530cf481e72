"""The training stage end to end on a tiny target: it learns, repeats itself to the byte, and refuses what it must."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from eyrie.eagle3.checkpoint import load_head
from eyrie.engines.target import load_config, load_ends, load_target
from eyrie.features.store import read_shard, write_shard
from eyrie.io import path_digest, read_json, write_table
from eyrie.params import Params
from eyrie.schemas import RESPONSES, TrainMetrics, check_response_row
from eyrie.stages import build_vocab, extract_features, train_head
from tests.conftest import make_target, tiny_params

SETTINGS = {
    "intermediate_size": 32,
    "ttt_steps": 3,
    "learning_rate": 0.01,
    "warmup_steps": 2,
    "max_steps": 30,
    "batch_tokens": 256,
    "micro_batch_tokens": 256,
    "max_sequence_tokens": 64,
    "eval_every": 10,
    "log_every": 5,
    "patience": None,
}


def responses(num_rows: int) -> list[dict[str, Any]]:
    """Rows of random ids from a few of the vocabulary; every fifth is held out."""
    generator = torch.Generator().manual_seed(7)
    rows = []
    for index in range(num_rows):
        ids = torch.randint(20, 50, (int(torch.randint(24, 48, (), generator=generator)),), generator=generator)
        rows.append(
            {
                "prompt_id": f"p{index}",
                "row_index": 0,
                "source": "s",
                "workload": "chat",
                "split": "heldout" if index % 5 == 0 else "train",
                "seed": 1,
                "input_ids": ids.tolist(),
                "span_starts": [6],
                "span_ends": [len(ids)],
                "finish_reasons": ["stop"],
            }
        )
    return rows


class Workspace:
    def __init__(self, folder: Path, target: Path) -> None:
        self.folder, self.target = folder, target
        self.features = [folder / f"shard-{index}.arrow" for index in range(2)]
        self.vocab = folder / "vocab_map.safetensors"

    def params(self, **changes: Any) -> Params:
        return tiny_params(self.target, build_vocab={"draft_vocab_size": 64}, train_head={**SETTINGS, **changes})

    def prepare(self) -> None:
        rows, params = responses(40), self.params()
        tables = [self.folder / f"shard-{index}.parquet" for index in range(2)]
        for index, table in enumerate(tables):
            write_table(table, rows[index::2], RESPONSES, check_response_row)
            extract_features.run(params, shard=index, responses=table, features=self.features[index])
        build_vocab.run(params, responses=tables, vocab=self.vocab, metrics=self.folder / "vocab.json")

    def train(self, name: str, features: Sequence[Path] | None = None, **changes: Any) -> tuple[Path, TrainMetrics]:
        out = self.folder / name
        train_head.run(
            self.params(**changes),
            features=list(features or self.features),
            vocab=self.vocab,
            head=out / "head",
            curves=out / "curves",
            metrics=out / "metrics.json",
            scratch=out / "scratch",
        )
        return out, read_json(out / "metrics.json", TrainMetrics)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Matrices this small gain nothing from threads, and lose much when other processes want the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, tiny_target: Path) -> Workspace:
    made = Workspace(tmp_path_factory.mktemp("train"), tiny_target)
    made.prepare()
    return made


@pytest.fixture(scope="module")
def trained(workspace: Workspace) -> tuple[Path, TrainMetrics]:
    return workspace.train("first")


def read_csv(path: Path) -> list[dict[str, float]]:
    with path.open(encoding="utf-8") as handle:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(handle)]


def test_training_lowers_the_loss(trained: tuple[Path, TrainMetrics]) -> None:
    out, _ = trained
    curve = read_csv(out / "curves" / "train.csv")
    assert [row["step"] for row in curve] == [5, 10, 15, 20, 25, 30]
    assert curve[-1]["loss"] < 0.7 * curve[0]["loss"]
    assert curve[-1]["learning_rate"] < curve[1]["learning_rate"] <= 0.01


def test_the_exported_weights_are_those_of_the_best_evaluation(
    workspace: Workspace, trained: tuple[Path, TrainMetrics]
) -> None:
    out, metrics = trained
    curve = read_csv(out / "curves" / "heldout.csv")
    assert [row["step"] for row in curve] == [10, 20, 30]
    best = max(curve, key=lambda row: row["acceptance_length"])
    assert best["step"] == metrics.best_step
    assert best["acceptance_length"] == pytest.approx(metrics.heldout_acceptance_length, abs=1e-5)
    assert [best[f"accuracy_{step}"] for step in (1, 2, 3)] == pytest.approx(metrics.heldout_accuracy, abs=1e-5)
    _, short = workspace.train("short", max_steps=8)
    assert short.best_step == short.steps == 8  # the last step is evaluated whatever eval_every says


def test_the_head_serves_its_target_and_no_other(
    workspace: Workspace, trained: tuple[Path, TrainMetrics], tmp_path: Path
) -> None:
    out, metrics = trained
    config = load_config(workspace.params().target)
    head = load_head(out / "head", config, device=torch.device("cpu"), dtype=torch.float32)
    assert sum(weight.numel() for weight in head.parameters()) == metrics.num_parameters
    raw = json.loads((out / "head" / "config.json").read_text())
    assert raw["eagle_aux_hidden_state_layer_ids"] == [2, 4, 5]
    assert raw["eagle_config"]["eagle_aux_hidden_state_layer_ids"] == [1, 3, 4]
    other = load_config(tiny_params(make_target(tmp_path / "other", num_layers=9)).target)
    with pytest.raises(ValueError, match="another target model"):
        load_head(out / "head", other, device=torch.device("cpu"), dtype=torch.float32)


def test_the_model_card_states_data_figures_and_terms(trained: tuple[Path, TrainMetrics]) -> None:
    out, metrics = trained
    card = (out / "head" / "README.md").read_text()
    assert card.startswith("---\nbase_model: ")
    assert f"**{metrics.heldout_acceptance_length:.3f}**" in card
    assert "Digest of the training and held-out rows: `" in card
    assert "licence" in card


@pytest.mark.parametrize("compute_dtype", ["float32", "bfloat16"])
def test_same_seed_same_bytes_and_another_seed_other_bytes(workspace: Workspace, compute_dtype: str) -> None:
    digests = [
        path_digest(workspace.train(f"{compute_dtype}-{run}", max_steps=12, compute_dtype=compute_dtype, seed=seed)[0])
        for run, seed in enumerate((3, 3, 4))
    ]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def edit_rows(workspace: Workspace, name: str, **changes: Any) -> list[Path]:
    """Copies of the shards whose rows have some fields replaced."""
    paths = []
    for path in workspace.features:
        meta, rows = read_shard(path)
        copy = workspace.folder / f"{name}-{path.name}"
        write_shard(copy, [type(row)(**{**vars(row), **changes}) for row in rows], meta)
        paths.append(copy)
    return paths


def test_a_loss_that_is_no_number_stops_with_step_and_shard(workspace: Workspace) -> None:
    meta, rows = read_shard(workspace.features[1])
    rows[1].aux[3, 5] = torch.nan
    broken = workspace.folder / "broken.arrow"
    write_shard(broken, rows, meta)
    with pytest.raises(ValueError, match=rf"stopped at step \d+: loss nan.*broken.arrow prompt {rows[1].prompt_id}"):
        workspace.train("broken", [workspace.features[0], broken])
    assert not (workspace.folder / "broken" / "head").exists()


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_a_split_with_nothing_to_learn_from_is_refused(workspace: Workspace, split: str) -> None:
    other = {"train": "heldout", "heldout": "train"}[split]
    with pytest.raises(ValueError, match=f"rows? of split {split} .*assistant turn"):
        workspace.train("empty", edit_rows(workspace, f"all-{other}", split=other))


def test_features_of_another_target_are_refused_by_shard(workspace: Workspace) -> None:
    meta, rows = read_shard(workspace.features[0])
    foreign = workspace.folder / "foreign.arrow"
    for changed, complaint in (
        (replace(meta, aux_layer_ids=(1, 4, 5)), r"layers \[1, 4, 5\].* needs layers \[1, 3, 4\]"),
        (replace(meta, target_revision="sha256:0"), r"of target sha256:0, but the target is sha256:"),
    ):
        write_shard(foreign, rows, changed)
        with pytest.raises(ValueError, match=rf"foreign.arrow: features .*{complaint}"):
            workspace.train("foreign", [foreign])


def test_only_the_two_ends_of_the_target_are_read(tiny_target: Path, copy_target: Path) -> None:
    target = load_target(tiny_params(tiny_target).target)
    ends = load_ends(tiny_params(tiny_target).target)
    assert torch.equal(ends.embedding_VH, target.embed_tokens.weight)
    assert torch.equal(ends.lm_head_VH, target.model.get_output_embeddings().weight)
    config = json.loads((copy_target / "config.json").read_text()) | {"tie_word_embeddings": False}
    (copy_target / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"no tensor named ...lm_head.weight"):
        load_ends(tiny_params(copy_target).target)
