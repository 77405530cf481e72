"""Several processes compute what one does."""

import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch.distributed import TCPStore
from torch.distributed.tensor import DTensor

from eyrie.eagle3.batches import Document, DocumentBatches
from eyrie.eagle3.processes import Processes, _meeting
from eyrie.eagle3.resume import Checkpoints
from eyrie.eagle3.spread import whole
from eyrie.eagle3.trainer import Trainer
from tests.unit.eagle3.test_trainer import HELDOUT, losses, settings
from tests.unit.eagle3.tiny import MemoryBatches, document, tiny

TRAIN = [document(14, [(3, 8 + seed % 6)], seed) for seed in range(10)]  # processes count different rows
OPTIONS: dict[str, Any] = {"max_steps": 6, "batch_tokens": 56, "micro_batch_tokens": 28, "max_grad_norm": 0.5}


def trainer_of(processes: Processes, checkpoints: Checkpoints | None = None, **changes: Any) -> Trainer:
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

    return Trainer(
        made.head,
        made.embedding_VH,
        made.teacher,
        batches=batches,
        heldout=lambda: [[one] for one in HELDOUT[processes.rank :: processes.world_size]],
        settings=chosen,
        checkpoints=checkpoints,
        processes=processes,
    )


def train(processes: Processes, **changes: Any) -> dict[str, torch.Tensor]:
    """Losses, counts, whole weights, and how many values of weights and optimizer moments this process holds."""
    trainer = trainer_of(processes, **changes)
    outcome, head = trainer.run(), trainer.head
    kept = [*head.parameters(), *trainer.optimizer.tensors().values()]
    size = sum((tensor.to_local() if isinstance(tensor, DTensor) else tensor).numel() for tensor in kept)
    return {
        "losses": torch.tensor(losses(outcome), dtype=torch.float64),
        "heldout losses": torch.tensor([score.loss for _, score in outcome.heldout_points], dtype=torch.float64),
        "best step and tokens": torch.tensor([outcome.best_step, outcome.tokens_seen]),
        "values held": torch.tensor(size),
        **{name: weight.detach() for name, weight in whole(dict(head.named_parameters())).items()},
    }


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
        save_file(train(Processes(rank, 2), **changes, num_processes=2), folder / f"{name}-{rank}.safetensors")
    resume_from_what_each_sees(Processes(rank, 2), folder)
    dist.destroy_process_group()


def resume_from_what_each_sees(processes: Processes, folder: Path) -> None:
    """The second process does not see the newest checkpoint."""
    seen = Checkpoints(folder / f"seen-{processes.rank}", keep=2)
    trainer_of(Processes(), seen, max_steps=4 - 2 * processes.rank, warmup_steps=1, micro_batch_tokens=56).run()
    try:
        step = str(trainer_of(processes, seen, num_processes=2).progress.step)
    except ValueError as error:
        step = str(error)
    (folder / f"resumed-{processes.rank}").write_text(step)


class _StoppedError(Exception):
    """Every process at the same step, as when a machine is turned off."""


def stop_and_go_on(rank: int, folder: Path) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=3)
    changes = {"num_processes": 3, "batch_tokens": 84, "checkpoint_every": 1}
    for name, stops in (("at once", [None]), ("stopped", [2, None])):
        for stop in stops:
            trainer = trainer_of(Processes(rank, 3), Checkpoints(folder / name, keep=1), **changes)
            if stop is not None:
                trainer.batches = StoppingBatches(trainer.batches, stop)
            with contextlib.suppress(_StoppedError):
                outcome = trainer.run()
        made = dict(trainer.head.named_parameters()) | trainer.optimizer.tensors()
        save_file(made, folder / f"{name}-{rank}.safetensors")
        (folder / f"{name}-{rank}.txt").write_text(str(losses(outcome)))
    dist.destroy_process_group()


class StoppingBatches:
    """The first few of other batches, then an error."""

    def __init__(self, batches: DocumentBatches, number: int) -> None:
        self._batches, self._left = batches, number

    @property
    def position(self) -> Any:
        return self._batches.position

    def __next__(self) -> list[Document]:
        self._left -= 1
        if self._left < 0:
            raise _StoppedError
        return next(self._batches)

    def close(self) -> None:
        self._batches.close()


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case, by two processes: one start for all of them."""
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(work, (folder,), nprocs=2)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_two_processes_have_the_curve_of_one_with_the_same_global_batch(two_processes: Path, name: str) -> None:
    one = train(Processes(), **CASES[name])
    whole_size = int(one.pop("values held"))
    for rank in range(2):
        two = load_file(two_processes / f"{name}-{rank}.safetensors")
        size = int(two.pop("values held"))
        assert two.keys() == one.keys()
        for key, expected in one.items():
            exactly = {"rtol": 1e-9, "atol": 0.0} if "losses" in key else {}
            torch.testing.assert_close(two[key], expected, **exactly)
        held = whole_size / 2 if "fsdp" in name else whole_size
        assert size == pytest.approx(held, rel=0.01), "values of weights and moments that this process holds"


def test_three_processes_that_were_stopped_end_bit_for_bit_as_if_they_had_not(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(stop_and_go_on, (tmp_path,), nprocs=3)
    for rank in range(3):
        at_once, resumed = (load_file(tmp_path / f"{name}-{rank}.safetensors") for name in ("at once", "stopped"))
        assert all(torch.equal(resumed[name], weight) for name, weight in at_once.items())
        assert (tmp_path / f"at once-{rank}.txt").read_text() == (tmp_path / f"stopped-{rank}.txt").read_text()


def test_all_processes_go_on_from_the_checkpoint_that_the_first_one_found(two_processes: Path) -> None:
    first, second = ((two_processes / f"resumed-{rank}").read_text() for rank in range(2))
    assert first == "4"
    assert re.search(r"seen-1/step-00000004: cannot be read .*, but the first process went on from it", second)


def test_jobs_of_one_number_in_two_clusters_meet_at_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port made of the number may be somebody's: two nodes then waited for two minutes."""
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "2")
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    meetings = [_meeting() for _ in range(2)]
    for number, meeting in enumerate(meetings):
        assert "--rdzv-conf=is_host=false" in meeting.options, "no node tries to listen there too"
        (endpoint,) = re.findall(r"--rdzv-endpoint=(\S+):(\d+)", " ".join(meeting.options))
        TCPStore(endpoint[0], int(endpoint[1])).set("which", str(number))
    assert [meeting.store.get("which") for meeting in meetings if meeting.store] == [b"0", b"1"]


PARENT = """
import sys
from pathlib import Path
from eyrie.eagle3.processes import launch
launch("sleeper", Path(sys.argv[1]), num_processes=2)
"""
SLEEPER = """
import os, sys, time
from pathlib import Path
(Path(sys.argv[2]).parent / f"started-{os.getpid()}").touch()
from eyrie.eagle3.processes import joined
def work(job):
    with joined(job):
        (job.parent / f"joined-{os.getpid()}").touch()
        time.sleep(120)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
@pytest.mark.parametrize("when", ["started", "joined"])
@pytest.mark.parametrize("killed", ["the one that started them", "torchrun too"])
def test_no_process_goes_on_when_the_one_that_started_them_is_killed(tmp_path: Path, killed: str, when: str) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "job.json")], env={**os.environ, "PYTHONPATH": path}
    )
    deadline = time.monotonic() + 100
    while len(list(tmp_path.glob(f"{when}-*"))) < 2:
        assert parent.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started = psutil.Process(parent.pid).children(recursive=True)
    (torchrun,) = psutil.Process(parent.pid).children()
    if killed == "torchrun too":
        torchrun.kill()
    parent.kill()
    parent.wait()
    _, left = psutil.wait_procs(started, timeout=20)
    alive = [process for process in left if process.status() != psutil.STATUS_ZOMBIE]
    for process in alive:
        process.kill()
    assert len(started) >= 3, "torchrun and two processes"
    assert not alive
