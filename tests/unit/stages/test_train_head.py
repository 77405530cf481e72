"""The training stage end to end on a tiny target: it learns, repeats itself to the byte, and refuses what it must."""

import csv
import json
import logging
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from benchmarks import head_experiments
from eyrie.eagle3.checkpoint import load_head
from eyrie.engines.target import load_config, load_target
from eyrie.engines.target_ends import load_ends
from eyrie.features.store import read_shard, write_shard
from eyrie.io import path_digest, read_json
from eyrie.params import Params, parse_params
from eyrie.schemas import TrainMetrics
from eyrie.stages import build_vocab, extract_features, train_head
from eyrie.tables import RESPONSES, check_response_row, write_table
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
    "decode_prompts": 0,
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

    def outputs(self, name: str) -> dict[str, Path]:
        out = self.folder / name
        files = {"head": "head", "curves": "curves", "metrics": "metrics.json", "scratch": "scratch"}
        return {"vocab": self.vocab, **{key: out / file for key, file in files.items()}}

    def train(self, name: str, features: Sequence[Path] | None = None, **changes: Any) -> tuple[Path, TrainMetrics]:
        outputs = self.outputs(name)
        train_head.run(self.params(**changes), features=list(features or self.features), **outputs)
        shutil.rmtree(outputs["scratch"], ignore_errors=True)
        return self.folder / name, read_json(outputs["metrics"], TrainMetrics)


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
    return workspace.train("first", decode_prompts=3)


def read_curve(out: Path, name: str) -> dict[int, float]:
    with (out / "curves/plots/metrics" / f"{name}.tsv").open(encoding="utf-8") as handle:
        return {int(row.pop("step")): float(*row.values()) for row in csv.DictReader(handle, delimiter="\t")}


def test_training_lowers_the_loss(trained: tuple[Path, TrainMetrics]) -> None:
    out, _ = trained
    losses, rates = read_curve(out, "train/loss"), read_curve(out, "train/learning_rate")
    assert [*losses] == [*rates] == [5, 10, 15, 20, 25, 30]
    assert losses[30] < 0.7 * losses[5]
    assert rates[30] < rates[10] <= 0.01


def test_the_exported_weights_are_those_of_the_best_evaluation(
    workspace: Workspace, trained: tuple[Path, TrainMetrics]
) -> None:
    out, metrics = trained
    lengths = read_curve(out, "heldout/acceptance_length")
    assert [*lengths] == [10, 20, 30]
    assert max(lengths, key=lambda step: lengths[step]) == metrics.best_step
    assert lengths[metrics.best_step] == pytest.approx(metrics.heldout_acceptance_length, abs=1e-4)
    decoded = read_curve(out, "heldout/decoded_acceptance_length")
    assert decoded[metrics.best_step] == pytest.approx(metrics.heldout_decoded_acceptance_length, abs=1e-4)
    accuracy = [read_curve(out, f"heldout/accuracy_{step}")[metrics.best_step] for step in (1, 2, 3)]
    assert accuracy == pytest.approx(metrics.heldout_accuracy, abs=1e-4)
    _, short = workspace.train("short", max_steps=8)
    assert short.best_step == short.steps == 8  # the last step is evaluated whatever eval_every says
    assert [*read_curve(workspace.folder / "short", "train/loss")] == [5, 8]


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


def test_a_held_out_row_that_begins_with_its_answer_is_scored_and_has_no_prompt_to_decode(workspace: Workspace) -> None:
    meta, rows = read_shard(workspace.features[0])
    rows = [replace(row, spans=((0, len(row.input_ids) - 5),)) for row in rows]  # as many teachers as before
    begins = workspace.folder / "begins.arrow"
    write_shard(begins, rows, meta)
    options = {"max_steps": 2, "warmup_steps": 1, "decode_prompts": 8}
    _, mixed = workspace.train("mixed", [begins, workspace.features[1]], **options)
    assert (mixed.heldout_decoded_acceptance_length or 0.0) >= 1.0
    _, none = workspace.train("begins", [begins], **options)
    assert none.heldout_decoded_acceptance_length == 1.0


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_a_split_with_nothing_to_learn_from_is_refused(workspace: Workspace, split: str) -> None:
    other = {"train": "heldout", "heldout": "train"}[split]
    with pytest.raises(ValueError, match=f"rows? of split {split} .*assistant turn"):
        workspace.train("empty", edit_rows(workspace, f"all-{other}", split=other))


def test_missing_held_out_rows_are_noticed_before_anything_is_loaded(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_head, "load_ends", lambda _target: pytest.fail("training was prepared"))
    with pytest.raises(ValueError, match=r"no row of split heldout .*assistant turn"):
        workspace.train("none", edit_rows(workspace, "without-heldout", split="train"))


@pytest.mark.parametrize("truncated_answers", ["keep", "drop"])
def test_missing_held_out_rows_are_laid_to_truncated_answers_only_where_those_were_dropped(
    workspace: Workspace, truncated_answers: str
) -> None:
    params = workspace.params().model_dump(mode="json")
    params["extract_features"]["truncated_answers"] = truncated_answers
    with pytest.raises(ValueError, match="no row of split heldout") as caught:
        train_head.run(
            parse_params(params, origin="test"),
            features=edit_rows(workspace, "no-heldout", split="train"),
            **workspace.outputs("no-heldout"),
        )
    is_told = "extract_features.truncated_answers" in str(caught.value)
    assert is_told == (truncated_answers == "drop")


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


RUN = """
import json, pathlib, sys
from eyrie.params import parse_params
from eyrie.stages import train_head
raw = json.loads(pathlib.Path(sys.argv[1]).read_text())
files = {key: pathlib.Path(path) for key, path in raw["files"].items()}
features = [pathlib.Path(path) for path in raw["features"]]
train_head.run(parse_params(raw["params"], origin="test"), features=features, **files)
"""


def kill_while_training(workspace: Workspace, name: str, at: str, **changes: Any) -> None:
    """Train in a process of its own, and kill it -9 once the checkpoint `at` is there."""
    outputs = workspace.outputs(name)
    job = workspace.folder / f"{name}.json"
    document = {
        "params": workspace.params(**changes).model_dump(mode="json"),
        "features": [str(path) for path in workspace.features],
        "files": {key: str(path) for key, path in outputs.items()},
    }
    job.write_text(json.dumps(document))
    process = subprocess.Popen([sys.executable, "-c", RUN, str(job)], start_new_session=True)
    try:
        deadline = time.monotonic() + 200
        while not (outputs["scratch"] / at).exists():
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_run_killed_twice_gives_the_bytes_of_one_that_was_not(workspace: Workspace) -> None:
    options = {"max_steps": 60, "checkpoint_every": 2}
    straight, _ = workspace.train("straight", **options)
    kill_while_training(workspace, "killed", "step-00000006", **options)
    kill_while_training(workspace, "killed", "step-00000020", **options)
    assert not (workspace.folder / "killed/head").exists()
    resumed, _ = workspace.train("killed", **options)
    assert path_digest(resumed) == path_digest(straight)


def test_two_processes_with_a_part_of_the_head_each_have_the_curve_of_one_and_resume(
    workspace: Workspace, trained: tuple[Path, TrainMetrics]
) -> None:
    options = {"num_processes": 2, "parallel": "fsdp", "micro_batch_tokens": 128, "max_steps": 24}
    out, metrics = workspace.train("two", **options)
    alone, _ = workspace.train("one", **options | {"num_processes": 1, "parallel": "ddp"})
    losses, expected = (read_curve(folder, "train/loss") for folder in (out, alone))
    assert losses == pytest.approx(expected, rel=1e-3)  # float32, added up in another order
    assert losses[20] < 0.8 * losses[5]
    with (
        safe_open(out / "head/model.safetensors", "pt") as ours,
        safe_open(trained[0] / "head/model.safetensors", "pt") as theirs,
    ):
        assert ours.keys() == theirs.keys()
        for name in theirs.keys():  # noqa: SIM118 - not a mapping
            assert ours.get_tensor(name).shape == theirs.get_tensor(name).shape
            assert ours.get_tensor(name).dtype == theirs.get_tensor(name).dtype
    assert (out / "head/config.json").read_bytes() == (trained[0] / "head/config.json").read_bytes()
    kill_while_training(workspace, "two-killed", "step-00000012", checkpoint_every=4, **options)
    resumed, again = workspace.train("two-killed", checkpoint_every=4, **options)
    assert again == metrics
    assert path_digest(resumed / "curves") == path_digest(out / "curves")


def test_two_machines_train_one_head(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Both are this one. The second runs the command that the first says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("EYRIE_NODES", "2")
    monkeypatch.setenv("EYRIE_MASTER", f"127.0.0.1:{port}")
    options = {"num_processes": 2, "micro_batch_tokens": 128, "max_steps": 4}
    with caplog.at_level(logging.INFO), ThreadPoolExecutor(1) as pool:
        first = pool.submit(workspace.train, "machines", **options)
        while not (said := re.findall(r"K from 1 to 1: (.*)", caplog.text)):
            assert not first.done(), first.result()
            time.sleep(0.05)
        second = subprocess.run(shlex.split(said[0].replace("--node-rank=K", "--node-rank=1")), check=False)
        out, metrics = first.result()
    assert second.returncode == 0
    assert metrics.steps == 4
    assert (out / "head/model.safetensors").exists()


@pytest.mark.parametrize(
    ("nodes", "master", "complaint"),
    [
        ("two", "", "EYRIE_NODES must be a number of machines"),
        ("2", "host", "EYRIE_MASTER must be host:port of this machine when EYRIE_NODES is 2, not 'host'"),
        ("2", "host:70000", "EYRIE_MASTER must be host:port of this machine"),
        ("2", "no.invalid:29500", r"EYRIE_MASTER \(no.invalid:29500\) cannot be where machines meet: .*not known"),
        ("2", "127.0.0.1:busy", r"EYRIE_MASTER \(127.0.0.1:\d+\) cannot be where .* in use"),
        ("3", "host:1", r"num_processes \(2\) must be a multiple of the number of machines \(3\)"),
    ],
)
def test_machines_that_cannot_meet_are_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, nodes: str, master: str, complaint: str
) -> None:
    monkeypatch.setenv("EYRIE_NODES", nodes)
    with socket.create_server(("127.0.0.1", 0)) as busy:
        monkeypatch.setenv("EYRIE_MASTER", master.replace("busy", str(busy.getsockname()[1])))
        with pytest.raises(ValueError, match=complaint):
            workspace.train("apart", num_processes=2, micro_batch_tokens=128)


def test_an_error_in_one_of_two_processes_ends_in_its_sentence(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="max_sequence_tokens"):
        workspace.train(
            "two-broken", edit_rows(workspace, "none", split="train"), num_processes=2, micro_batch_tokens=128
        )
    assert "Traceback" not in capfd.readouterr().err


def test_a_file_that_one_of_two_processes_cannot_write_is_named(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    head = workspace.outputs("two-blocked")["head"]
    head.parent.mkdir()
    head.touch()  # where a folder should be
    with pytest.raises(ValueError, match=rf"File exists: '{head}'"):
        workspace.train("two-blocked", num_processes=2, micro_batch_tokens=128, max_steps=3)
    assert "Traceback" not in capfd.readouterr().err


def test_a_process_that_another_left_alone_adds_no_traceback_to_its_sentence(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EYRIE_LOGGERS", "nonsense")  # noticed by the first process alone
    with pytest.raises(ValueError, match="EYRIE_LOGGERS: nonsense is none of"):
        workspace.train("two-alone", num_processes=2, micro_batch_tokens=128)
    assert "Traceback" not in capfd.readouterr().err


def test_training_goes_on_from_an_exported_head(workspace: Workspace, trained: tuple[Path, TrainMetrics]) -> None:
    out, metrics = trained
    _, further = workspace.train(
        "further", init_from=str(out / "head"), warmup_steps=1, max_steps=2, learning_rate=1e-6
    )
    assert further.heldout_loss == pytest.approx(metrics.heldout_loss, rel=0.02)  # the export is bfloat16
    with pytest.raises(ValueError, match=r"midlayer.mlp.down_proj.weight is \[32, 32\], but the head to train has"):
        workspace.train("other", init_from=str(out / "head"), intermediate_size=48)
    with pytest.raises(ValueError, match="needs a pinned init_revision"):
        workspace.train("hub", init_from="someone/a-head")


@pytest.mark.parametrize("variant", ["base", "late_rows", "muon"])
def test_an_experiment_trains_and_scores_a_head_on_the_pipelines_data(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variant: str
) -> None:
    for kind, suffix in (("features", ".arrow"), ("responses", ".parquet")):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for shard in workspace.folder.glob(f"shard-*{suffix}"):
            (tmp_path / "data" / kind / shard.name).symlink_to(shard)
    monkeypatch.chdir(tmp_path)
    found = head_experiments.run(workspace.params(), variant, seed=1, steps=2)
    assert (found["variant"], found["seed"], found["steps"]) == (variant, 1, 2)
    assert 1 <= found["acceptance_length"] <= 1 + head_experiments.CHAIN
