"""Several processes compute what one does."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from eyrie.eagle3.processes import Processes
from eyrie.eagle3.spread import whole
from eyrie.eagle3.trainer import Outcome, Trainer
from tests.unit.eagle3.test_trainer import HELDOUT, losses, settings
from tests.unit.eagle3.tiny import MemoryBatches, document, tiny

TRAIN = [document(14, [(3, 8 + seed % 6)], seed) for seed in range(10)]  # processes count different rows
OPTIONS: dict[str, Any] = {"max_steps": 6, "batch_tokens": 56, "micro_batch_tokens": 28, "max_grad_norm": 0.5}


def train(processes: Processes, **changes: Any) -> tuple[Outcome, list[torch.Tensor], int]:
    """Outcome, whole weights, and how many values of weights and optimizer moments this process holds."""
    chosen = settings(**{**OPTIONS, **changes})
    made = tiny()

    def batches(position: Any) -> MemoryBatches:
        return MemoryBatches(
            TRAIN,
            seed=1,
            batch_tokens=chosen.micro_batch_tokens,
            rank=processes.rank,
            world_size=processes.world_size,
            start=position,
        )

    trainer = Trainer(
        made.head,
        made.embedding_VH,
        made.teacher,
        batches=batches,
        heldout=lambda: [[one] for one in HELDOUT[processes.rank :: processes.world_size]],
        settings=chosen,
        processes=processes,
    )
    outcome = trainer.run()
    kept = [*made.head.parameters(), *trainer.optimizer.tensors().values()]
    size = sum((tensor.to_local() if isinstance(tensor, DTensor) else tensor).numel() for tensor in kept)
    return outcome, list(whole(dict(made.head.named_parameters())).values()), size


CASES: dict[str, dict[str, Any]] = {
    "ddp": {},
    "ddp, accumulating": {"ema_decay": 0.5, "batch_tokens": 112},
    "fsdp": {"parallel": "fsdp"},
    "fsdp, accumulating": {
        "parallel": "fsdp",
        "ema_decay": 0.5,
        "batch_tokens": 112,
        "activation_checkpointing": True,
    },
}


def work(rank: int, folder: Path) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    for name, changes in CASES.items():
        torch.save(train(Processes(rank, 2), **changes, num_processes=2), folder / f"{name}-{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case, by two processes: one start for all of them."""
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(work, (folder,), nprocs=2)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_two_processes_have_the_curve_of_one_with_the_same_global_batch(two_processes: Path, name: str) -> None:
    one, weights, whole_size = train(Processes(), **CASES[name])
    for rank in range(2):
        two, shared, size = torch.load(two_processes / f"{name}-{rank}.pt", weights_only=False)
        assert losses(two) == pytest.approx(losses(one), rel=1e-9)
        assert [score.loss for _, score in two.heldout_points] == pytest.approx(
            [score.loss for _, score in one.heldout_points], rel=1e-9
        )
        assert two.best_step == one.best_step
        assert two.tokens_seen == one.tokens_seen
        for ours, theirs in zip(shared, weights, strict=True):
            torch.testing.assert_close(ours, theirs)
        expected = whole_size / 2 if "fsdp" in name else whole_size
        assert size == pytest.approx(expected, rel=0.01), "values of weights and moments that this process holds"
