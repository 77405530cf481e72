"""The real SGLang server, launched as the benchmark launches it, drafting trees with a head of ours, on a machine
without a GPU: the kernels that no package has for CPUs are those of tests/services/no_gpu.

In float32, so that neither engine's rounding decides between close logits: outputs and the number of verify steps must
then be equal, not alike. SGLang skips a name that it does not know in silence; a head of which it left any tensor out
would draft something else, so equal counts also say that all of it was loaded.
"""

import json
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from eyrie.bench.client import Load
from eyrie.bench.sglang_client import run_sglang_client
from eyrie.eagle3.checkpoint import load_head, save_head
from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.head import Eagle3Head
from eyrie.engines.reference.engine import Engine
from eyrie.engines.reference.request import Request
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.server_facts import server_facts
from eyrie.engines.serving import RunningServer, ServerSpec, running_server
from eyrie.engines.target import TargetModel, load_target
from eyrie.params import Drafting
from tests.conftest import REPOSITORY, make_target, tiny_params

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SHAPE = Drafting(num_steps=3, topk=2, num_draft_tokens=6)
NEW_TOKENS = 48
SLOTS = 4


@dataclass(frozen=True)
class Served:
    server: RunningServer
    target: TargetModel
    head: Path
    folder: Path


def _head(target: TargetModel) -> Eagle3Head:
    """Random weights with EAGLE-3.1's norms, none of them 1, so that leaving one out would change what is accepted."""
    torch.manual_seed(11)
    config = HeadConfig.from_target(
        target.config, draft_vocab_size=160, intermediate_size=48, fc_norm=True, norm_output=True
    )
    head = Eagle3Head(config).eval().requires_grad_(False)
    for parameter in head.parameters():
        parameter.normal_(std=0.3) if parameter.ndim == 2 else parameter.uniform_(0.5, 1.5)
    ids = torch.arange(0, 320, 2)
    head.d2t.copy_(ids - torch.arange(160))
    head.t2d[ids] = True
    return head


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("sglang")
    named = tiny_params(make_target(folder / "target")).target.model_copy(update={"device": "cpu"})
    target = load_target(named)
    save_head(_head(target), folder / "head", model_card="A head for tests.\n")
    settings = tiny_params(folder).benchmark.sglang.model_copy(
        update={
            "attention_backend": "intel_amx",
            "start_timeout_s": 550.0,
            "extra_args": [
                "--skip-server-warmup", "--disable-radix-cache", "--max-total-tokens", "4096",
                "--cuda-graph-backend-decode", "disabled",
            ],
        }
    )  # fmt: skip
    spec = ServerSpec("eagle3", named, folder / "head", SHAPE, SLOTS, 512)
    kernels = str(REPOSITORY / "tests/services/no_gpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([kernels, os.environ.get("PYTHONPATH", "")]))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("TORCH_COMPILE_DISABLE", "1")
        with running_server(spec, engine="sglang", settings=settings, folder=folder) as server:
            server.wait_until_healthy()
            yield Served(server, target, folder / "head", folder)


def _prompts() -> list[list[int]]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(6, 320, (length,), generator=generator).tolist() for length in (5, 40, 1, 17, 23, 9)]


def _ask(server: RunningServer, prompts: list[list[int]]) -> list[dict[str, Any]]:
    sampling = {"max_new_tokens": NEW_TOKENS, "temperature": 0, "ignore_eos": True}
    body = json.dumps({"input_ids": prompts, "sampling_params": sampling}).encode()
    request = urllib.request.Request(f"{server.base_url}/generate", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as response:
        answers: list[dict[str, Any]] = json.loads(response.read())
    return answers


@pytest.fixture(scope="module")
def answers(served: Served) -> list[dict[str, Any]]:
    return _ask(served.server, _prompts())


@pytest.fixture(scope="module")
def expected(served: Served) -> list[Request]:
    """The reference engine's."""
    head = load_head(served.head, served.target.config, device=served.target.device, dtype=served.target.dtype)
    engine = Engine(served.target, head=head, drafting=SHAPE, max_running_requests=SLOTS, context_length=512)
    requests = engine.generate(_prompts(), SamplingParams(max_new_tokens=NEW_TOKENS, ignore_eos=True))
    engine.close()
    return requests


def test_greedy_output_is_the_targets_own(served: Served, answers: list[dict[str, Any]]) -> None:
    for prompt, answer in zip(_prompts(), answers, strict=True):
        ids = torch.tensor([prompt])
        whole = served.target.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            pad_token_id=5,
            eos_token_id=None,
        )
        assert answer["output_ids"] == whole[0, len(prompt) :].tolist()


def test_every_request_takes_as_many_verify_steps_as_on_the_reference_engine(
    answers: list[dict[str, Any]], expected: list[Request]
) -> None:
    steps = [answer["meta_info"]["spec_verify_ct"] for answer in answers]
    assert steps == [request.num_verify_steps for request in expected]
    assert sum(steps) < len(steps) * (NEW_TOKENS - 1), "no draft was accepted: nothing was compared"


def test_the_servers_own_account_is_read(served: Served) -> None:
    facts = server_facts(served.server.base_url)
    assert (facts.engine, facts.version, facts.drafting) == ("sglang", "0.5.23", SHAPE)
    assert (facts.max_running_requests, facts.context_length, facts.dtype) == (SLOTS, 512, "float32")


def test_sglangs_own_client_measures_it(served: Served) -> None:
    result = run_sglang_client(
        served.server.base_url,
        str(served.folder / "target"),
        [[{"role": "user", "content": text}] for text in ("the user asks", "the assistant answers")],
        Load(2, 8, temperature=0.0, seed=1, timeout_s=120.0, template_settings={}),
        tokenizer=served.folder / "target",
        folder=served.folder / "client",
    )
    assert [record.error for record in result.records] == [None, None]
    assert all(0 < record.output_tokens <= 8 for record in result.records)
