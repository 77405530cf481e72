"""The real SGLang server on a machine without a GPU, with a head that was trained here: the kernels that no package has
for CPUs are those of tests/services/no_gpu.

`eyrie serve` starts it, and everything below asks the same server. In float32, so that neither engine's rounding
decides between close logits: outputs and the number of verify steps must then be equal, not alike. SGLang skips a name
that it does not know in silence; a head of which it left any tensor out would draft something else, so equal counts
also say that all of it was loaded.
"""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml

from eyrie.eagle3.checkpoint import load_head
from eyrie.eagle3.head import Eagle3Head
from eyrie.engines.reference.engine import Engine
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.server_facts import server_facts
from eyrie.engines.serving import ServerSpec, running_server
from eyrie.engines.target import TargetModel, load_target
from eyrie.io import read_json, read_jsonl
from eyrie.params import Drafting, Params
from eyrie.schemas import BenchmarkCell, BenchmarkMetrics
from eyrie.stages import benchmark, build_vocab, extract_features, generate_responses, train_head
from eyrie.tables import PROMPTS, RESPONSES, check_prompt_row, read_table, write_table
from tests.conftest import REPOSITORY, tiny_params
from tests.unit.engines.test_launch import is_gone
from tests.unit.stages.test_evaluate_head import prompt_row

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SHAPE = Drafting(num_steps=4, topk=2, num_draft_tokens=8)
NEW_TOKENS = 48
SLOTS = 4
READY_S = 500.0
COMMAND = str(Path(sys.executable).with_name("eyrie"))


def _params() -> Params:
    """The demo target, a run over it that takes seconds, and SGLang as it can be on a CPU."""
    sglang = tiny_params(Path("x")).benchmark.sglang.model_dump() | {
        "attention_backend": "intel_amx",
        "start_timeout_s": READY_S,
        "extra_args": [
            "--skip-server-warmup", "--disable-radix-cache", "--max-total-tokens", "4096",
            "--cuda-graph-backend-decode", "disabled",
        ],
    }  # fmt: skip
    greedy = {"default": {"max_new_tokens": NEW_TOKENS, "temperature": 0.0, "top_p": 1.0}}
    batches = {"batch_tokens": 1024, "micro_batch_tokens": 1024}
    return tiny_params(
        REPOSITORY / "resources/demo-target",
        target={"model": str(REPOSITORY / "resources/demo-target"), "device": "cpu"},
        generate_responses={"num_shards": 1, "concurrency": 16, "sampling": greedy},
        train_head=batches | {"max_steps": 60, "warmup_steps": 6, "eval_every": 60, "decode_prompts": 0},
        benchmark=SHAPE.model_dump()
        | {
            "engine": "sglang",
            "sglang": sglang,
            "workloads": ["chat"],
            "concurrency": [SLOTS],
            "num_prompts": SLOTS,
            "output_tokens": 16,
            "repeats": 1,
        },
    )


def _rows() -> list[dict[str, Any]]:
    """Sample prompts of one turn: of every kind to train on, a few held out, a few to measure with."""
    rows: list[dict[str, Any]] = []
    kinds = ("chat", "code", "extraction", "math")
    takes = [(f"train-{kind}", "train", 24) for kind in kinds] + [
        ("heldout", "heldout", 6),
        ("benchmark", "benchmark", SLOTS),
    ]
    for name, split, count in takes:
        lines = (REPOSITORY / f"resources/prompts/{name}.jsonl").read_text(encoding="utf-8").splitlines()
        for line in lines[:count]:
            turns = [message["content"] for message in json.loads(line)["messages"][:1]]
            rows.append(prompt_row(len(rows), json.loads(line)["workload"], split, turns))
    return rows


@dataclass(frozen=True)
class Project:
    """A folder with parameters, prompts, the target's answers and a head trained on them."""

    folder: Path
    params: Params
    target: TargetModel

    @property
    def head(self) -> Path:
        return self.folder / "models/head"

    @property
    def prompts(self) -> list[list[int]]:
        """Held-out ones, as ids."""
        rows = [row for row in read_table(self.folder / "clean.parquet", PROMPTS) if row["split"] == "heldout"]
        return [self.target.chat.prompt_ids([{"role": "user", "content": row["turns"][0]}]) for row in rows]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    torch.set_num_threads(1)
    folder, params = tmp_path_factory.mktemp("project"), _params()
    (folder / "scratch").mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")), encoding="utf-8")
    write_table(folder / "clean.parquet", _rows(), PROMPTS, check_prompt_row)
    responses, features, vocab = folder / "r.parquet", folder / "f.arrow", folder / "v.safetensors"
    generate_responses.run(
        params, shard=0, clean=folder / "clean.parquet", responses=responses, scratch=folder / "scratch"
    )
    build_vocab.run(params, responses=[responses], vocab=vocab, metrics=folder / "vocab.json")
    extract_features.run(params, shard=0, responses=responses, features=features)
    files = {"curves": folder / "curves", "metrics": folder / "train.json", "scratch": folder / "scratch"}
    train_head.run(params, features=[features], vocab=vocab, head=folder / "models/head", **files)
    return Project(folder, params, load_target(params.target))


@dataclass(frozen=True)
class Served:
    """What `eyrie serve` started, and said."""

    process: "subprocess.Popen[str]"
    said: list[str]

    @property
    def base_url(self) -> str:
        found = re.search(r"http://[\d.]+:\d+", self.said[-1])
        assert found is not None
        return found[0]


@pytest.fixture(scope="module")
def served(project: Project) -> Iterator[Served]:
    path = os.pathsep.join([str(REPOSITORY / "tests/services/no_gpu"), str(REPOSITORY / "src")])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TORCH_COMPILE_DISABLE": "1"}
    process = subprocess.Popen(
        [COMMAND, "serve"],
        cwd=project.folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores Ctrl-C
    )
    assert process.stdout is not None
    said: list[str] = []
    try:
        for line in process.stdout:  # ends with the process, should it fail
            said.append(line.strip())
            if line.startswith("curl "):
                break
        yield Served(process, said)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def _ask(server: Served, prompts: list[list[int]]) -> list[dict[str, Any]]:
    sampling = {"max_new_tokens": NEW_TOKENS, "temperature": 0, "ignore_eos": True}
    body = json.dumps({"input_ids": prompts, "sampling_params": sampling}).encode()
    request = urllib.request.Request(f"{server.base_url}/generate", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as response:
        answers: list[dict[str, Any]] = json.loads(response.read())
    return answers


@pytest.fixture(scope="module")
def answers(served: Served, project: Project) -> list[dict[str, Any]]:
    return _ask(served, project.prompts)


def _steps_of_the_reference_engine(project: Project, head: Eagle3Head) -> list[int]:
    engine = Engine(project.target, head=head, drafting=SHAPE, max_running_requests=SLOTS, context_length=512)
    requests = engine.generate(project.prompts, SamplingParams(max_new_tokens=NEW_TOKENS, ignore_eos=True))
    engine.close()
    return [request.num_verify_steps for request in requests]


def test_serve_says_what_it_serves_and_its_curl_line_works(served: Served) -> None:
    assert served.said[0] == "Serving by the draft shape of params.yaml's benchmark."
    assert served.said[2] == "Ready. Ctrl-C ends it. Try:"
    done = subprocess.run(["/bin/sh", "-c", served.said[3]], capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_greedy_output_is_the_targets_own(project: Project, answers: list[dict[str, Any]]) -> None:
    for prompt, answer in zip(project.prompts, answers, strict=True):
        ids = torch.tensor([prompt])
        whole = project.target.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            pad_token_id=5,
            eos_token_id=None,
        )
        assert answer["output_ids"] == whole[0, len(prompt) :].tolist()


def _acceptance_length(steps: list[int]) -> float:
    return len(steps) * (NEW_TOKENS - 1) / sum(steps)


def test_every_request_takes_as_many_verify_steps_as_on_the_reference_engine(
    project: Project, answers: list[dict[str, Any]]
) -> None:
    target = project.target
    trained = load_head(project.head, target.config, device=target.device, dtype=target.dtype)
    untrained = Eagle3Head(trained.config).eval().requires_grad_(False)
    untrained.d2t.copy_(trained.d2t)
    untrained.t2d.copy_(trained.t2d)
    steps = [answer["meta_info"]["spec_verify_ct"] for answer in answers]
    assert steps == _steps_of_the_reference_engine(project, trained)
    random = _steps_of_the_reference_engine(project, untrained)
    assert _acceptance_length(steps) > 1.5 * _acceptance_length(random), "the head learnt nothing"


def test_the_servers_own_account_is_read(served: Served, project: Project) -> None:
    facts = server_facts(served.base_url)
    assert (facts.engine, facts.version, facts.drafting) == ("sglang", "0.5.23", SHAPE)
    assert (facts.max_running_requests, facts.model, facts.dtype) == (SLOTS, project.params.target.model, "float32")


def test_shards_are_answered_by_it_as_by_the_reference_engine(
    served: Served, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row for row in read_table(project.folder / "clean.parquet", PROMPTS) if row["split"] == "heldout"]
    write_table(tmp_path / "clean.parquet", rows, PROMPTS, check_prompt_row)
    monkeypatch.setenv("EYRIE_SERVERS", served.base_url)
    section = project.params.generate_responses.model_copy(update={"engine": "sglang"})
    generate_responses.run(
        project.params.model_copy(update={"generate_responses": section}),
        shard=0,
        clean=tmp_path / "clean.parquet",
        responses=tmp_path / "r.parquet",
        scratch=tmp_path,
    )
    before = {row["prompt_id"]: row["input_ids"] for row in read_table(project.folder / "r.parquet", RESPONSES)}
    after = {row["prompt_id"]: row["input_ids"] for row in read_table(tmp_path / "r.parquet", RESPONSES)}
    assert len(after) == len(rows)
    assert after == {prompt_id: before[prompt_id] for prompt_id in after}


def test_the_benchmark_measures_it_with_sglangs_own_client_and_finds_the_answers_of_both_arms_equal(
    served: Served, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The baseline is a server of the reference engine: another real SGLang takes a minute more."""
    monkeypatch.delenv("EYRIE_NAMED_SERVERS", raising=False)
    spec = ServerSpec("baseline", project.params.target, None, None, SLOTS, 512)
    settings = project.params.benchmark.sglang
    with running_server(spec, engine="reference", settings=settings, folder=tmp_path) as baseline:
        baseline.wait_until_healthy()
        monkeypatch.setenv("EYRIE_NAMED_SERVERS", f"baseline={baseline.base_url},eagle3={served.base_url}")
        files = {"cells": tmp_path / "cells.jsonl", "metrics": tmp_path / "metrics.json", "scratch": tmp_path}
        benchmark.run(project.params, head=project.head, clean=project.folder / "clean.parquet", **files)
    metrics = read_json(files["metrics"], BenchmarkMetrics)
    check = metrics.answers["eagle3"]
    assert (metrics.engine, metrics.client, metrics.num_errors) == ("sglang", "sglang", 0)
    assert (check.num_answers, check.num_identical) == (SLOTS, SLOTS)
    assert all(comparison.acceptance_length > 1.2 for comparison in metrics.comparisons)
    cells = read_jsonl(files["cells"], BenchmarkCell)
    assert [(cell.arm, cell.num_requests) for cell in cells] == [("baseline", SLOTS), ("eagle3", SLOTS)]
    assert cells[0].output_tokens == cells[1].output_tokens


def test_ctrl_c_ends_serve_and_every_process_of_the_server(served: Served) -> None:
    family = psutil.Process(served.process.pid).children(recursive=True)
    assert len(family) > 2  # the server, its scheduler, its detokenizer
    served.process.send_signal(signal.SIGINT)
    rest, _ = served.process.communicate(timeout=30)
    assert (served.process.returncode, rest) == (0, "Stopped.\n")
    assert all(is_gone(process.pid) for process in family)
