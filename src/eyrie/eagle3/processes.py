"""The processes that train one head together: how they start, and the few things they tell each other.

One process is a group of one, without any set-up. Several are started by torchrun on this machine; they share gradients
through DistributedDataParallel, and sums and JSON values through here.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from eyrie.io import write_text

ERROR = "error-{rank}.txt"


class ProcessesError(ValueError):
    """One of the processes failed; its own message, where it had one."""


@dataclass(frozen=True)
class Processes:
    """This process is number `rank` of `world_size`."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def device(self, device: torch.device) -> torch.device:
        """This process's own device of the kind of `device`."""
        if device.type != "cuda" or self.world_size == 1:
            return device
        own = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(own)
        return own

    def sum(self, values: Sequence[float]) -> list[float]:
        """Element by element over all processes."""
        if self.world_size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        return [float(value) for value in total]

    def gather(self, value: Any) -> list[Any]:
        """Every process's JSON value, in order of rank."""
        values: list[Any] = [value]
        if self.world_size > 1:
            values = [None] * self.world_size
            dist.all_gather_object(values, value)
        return values


def launch(module: str, job: Path, *, num_processes: int) -> None:
    """Run `python -m module job` in `num_processes` processes under torchrun. Raises ProcessesError when one fails."""
    for old in job.parent.glob(ERROR.format(rank="*")):
        old.unlink()
    threads = max(torch.get_num_threads() // num_processes, 1)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
    done = subprocess.run(  # noqa: S603 - this interpreter, this package
        [*torchrun, "-m", module, str(job)], env={**os.environ, "OMP_NUM_THREADS": str(threads)}, check=False
    )
    if done.returncode:
        messages = sorted(job.parent.glob(ERROR.format(rank="*")))
        if messages:
            raise ProcessesError(messages[0].read_text(encoding="utf-8"))
        raise ProcessesError(f"a training process ended with status {done.returncode}; what it said is above")


@contextmanager
def joined(job: Path) -> Iterator[Processes]:
    """This process's place among those that `launch` started. An error inside is left for `launch` to raise."""
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    rank = dist.get_rank()
    try:
        yield Processes(rank, dist.get_world_size())
    except ValueError as error:
        write_text(job.parent / ERROR.format(rank=rank), str(error))
        raise SystemExit(1) from None
    finally:
        dist.destroy_process_group()
