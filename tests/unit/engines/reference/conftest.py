"""A tiny target and random heads for it, loaded once."""

from pathlib import Path

import pytest
import torch

from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.head import Eagle3Head
from eyrie.engines.reference.engine import Engine
from eyrie.engines.target import TargetModel, load_target
from eyrie.params import Drafting
from tests.conftest import make_target, tiny_params


def random_head(target: TargetModel, *, draft_vocab_size: int, seed: int) -> Eagle3Head:
    """A head with random weights whose draft vocabulary is spread over the target's."""
    torch.manual_seed(seed)
    config = HeadConfig.from_target(target.config, draft_vocab_size=draft_vocab_size, intermediate_size=48)
    head = Eagle3Head(config).eval().requires_grad_(False)
    for parameter in head.parameters():
        if parameter.ndim == 2:
            parameter.normal_(std=0.3)
    ids = torch.linspace(0, target.config.vocab_size - 1, draft_vocab_size).long()
    head.d2t.copy_(ids - torch.arange(draft_vocab_size))
    head.t2d[ids] = True
    return head


def make_engine(
    target: TargetModel, head: Eagle3Head | None, shape: tuple[int, int, int] | None, *, slots: int = 3
) -> Engine:
    """`shape` is (num_steps, topk, num_draft_tokens)."""
    drafting = None
    if shape is not None:
        drafting = Drafting(num_steps=shape[0], topk=shape[1], num_draft_tokens=shape[2])
    return Engine(target, head=head, drafting=drafting, max_running_requests=slots, context_length=None)


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> TargetModel:
    """Eight layers and 300 tokens, hidden 32, float32 on the CPU."""
    torch.set_num_threads(1)
    folder: Path = make_target(tmp_path_factory.mktemp("engine-target"), vocab_size=300, seed=3)
    params = tiny_params(folder)
    return load_target(params.target.model_copy(update={"device": "cpu"}))


@pytest.fixture(scope="session")
def head(target: TargetModel) -> Eagle3Head:
    return random_head(target, draft_vocab_size=120, seed=7)


@pytest.fixture(scope="session")
def prompts(target: TargetModel) -> list[list[int]]:
    """Seven prompts of 1 to 40 tokens."""
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(6, 300, (length,), generator=generator).tolist() for length in (5, 40, 1, 17, 23, 2, 9)]
