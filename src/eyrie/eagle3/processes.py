"""The processes that train one head, or hold one target, together: how they start, and what they tell each other.

One process is a group of one, without any set-up. Several are started by torchrun; they share gradients through
eagle3/spread.py, and sums, choices and JSON values through here. Over several machines with one file system,
`EYRIE_NODES` says how many and `EYRIE_MASTER` (host:port) where they meet: this machine starts its part, and says the
command that starts the part of each of the others. In a Slurm job of several nodes it starts all of them by srun. The
environment holds it, because where processes run is no part of a result.
"""

import errno
import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import TCPStore, run  # type: ignore[attr-defined]
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import RendezvousError

from eyrie.children import die_with
from eyrie.io import canonical_json, write_text

logger = logging.getLogger(__name__)

NODES, MASTER = "EYRIE_NODES", "EYRIE_MASTER"
ERROR = "error-{rank}.txt"
_TORCHRUN = [sys.executable, "-m", "eyrie.eagle3.processes"]  # see the end of this module


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

    def agree(self, choice: Tensor) -> Tensor:
        """What the first process chose; here it has the same shape and type, and may differ where rounding does."""
        if self.world_size > 1:
            choice = choice.contiguous()
            dist.broadcast(choice, 0)
        return choice

    def gather(self, value: Any) -> list[Any]:
        """Every process's JSON value, in order of rank."""
        values: list[Any] = [value]
        if self.world_size > 1:
            values = [None] * self.world_size
            dist.all_gather_object(values, value)
        return values


def launch(module: str, job: Path, *, num_processes: int) -> None:
    """Run `module.work(job)` in `num_processes` processes under torchrun, those of other machines included.

    Raises ProcessesError when one fails, or they cannot be dealt to the machines that the environment names.
    """
    meeting = _meeting()
    num_nodes = meeting.num_nodes
    if num_processes % num_nodes:
        raise ProcessesError(
            f"train_head.num_processes ({num_processes}) must be a multiple of the number of machines ({num_nodes}): "
            "as many on each"
        )
    here = num_processes // num_nodes
    command, work = [*_TORCHRUN, *meeting.options], [f"--nproc-per-node={here}", *_work(module, job)]
    if meeting.by_hand:
        _check_listenable(*meeting.by_hand)
        other = shlex.join([*command, "--node-rank=K", *work])
        logger.info("on the other machines, here on the same file system, K from 1 to %d: %s", num_nodes - 1, other)
        command.append("--node-rank=0")
    _run([*meeting.starter, *command, *work], job, num_here=here)


def launch_here(module: str, job: Mapping[str, Any], *, num_processes: int) -> None:
    """Run `module.work(FILE)`, a file with `job` as JSON, in `num_processes` processes of this machine.

    Raises ProcessesError when one fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        write_text(path, canonical_json(job))
        options = ["--standalone", f"--nproc-per-node={num_processes}"]
        _run([*_TORCHRUN, *options, *_work(module, path)], path, num_here=num_processes)


def _work(module: str, job: Path) -> list[str]:
    """What each process runs. torchrun gives it a session of its own, where nothing else ends it with torchrun."""
    return ["-m", "eyrie.children", module, str(job)]


def _run(command: list[str], job: Path, *, num_here: int) -> None:
    for old in job.parent.glob(ERROR.format(rank="*")):
        old.unlink()
    threads = max(torch.get_num_threads() // num_here, 1)
    done = subprocess.run(  # noqa: S603 - this interpreter, this package
        command,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        # SIGTERM, not SIGKILL: on it torchrun ends its processes, and srun passes it on
        preexec_fn=die_with(os.getpid(), signal.SIGTERM),
        check=False,
    )
    if done.returncode:
        messages = sorted(job.parent.glob(ERROR.format(rank="*")))
        if messages:
            raise ProcessesError(messages[0].read_text(encoding="utf-8"))
        raise ProcessesError(f"one of the processes ended with status {done.returncode}; what it said is above")


@dataclass(frozen=True)
class _Meeting:
    """Where machines meet: torchrun's `options`, and what starts it on each of them, if a person does not: then
    `by_hand` is the host and port that was chosen. `store` is in this process and listens while this object is kept.
    """

    num_nodes: int
    options: list[str]
    starter: list[str] = field(default_factory=list)
    by_hand: tuple[str, int] | None = None
    store: TCPStore | None = None


def _meeting() -> _Meeting:
    """From EYRIE_NODES, else from a Slurm job of several nodes, else this machine alone. Raises ProcessesError."""
    if NODES in os.environ:
        count, master = os.environ[NODES], os.environ.get(MASTER, "")
        if not count.isdecimal() or int(count) < 1:
            raise ProcessesError(f"{NODES} must be a number of machines, 1 or more, not {count!r}")
        if int(count) > 1:
            host, _, port = master.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65536:
                raise ProcessesError(
                    f"{MASTER} must be host:port of this machine when {NODES} is {count}, not {master!r}"
                )
            options = [f"--nnodes={count}", f"--master-addr={host}", f"--master-port={port}"]
            return _Meeting(int(count), options, by_hand=(host, int(port)))
    elif (num_nodes := int(os.environ.get("SLURM_JOB_NUM_NODES", "1"))) > 1:
        return _slurm_meeting(num_nodes, os.environ["SLURM_JOB_ID"])
    return _Meeting(1, ["--standalone"])


def _check_listenable(host: str, port: int) -> None:
    """Raises ProcessesError when `host` has no address or `port` is not free here, which PyTorch tells after minutes or
    as a traceback. An address that is not of this machine may be one that leads to it."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise ProcessesError(f"{MASTER} ({host}:{port}) cannot be where machines meet: {error}") from None


def _slurm_meeting(num_nodes: int, job_id: str) -> _Meeting:
    """One torchrun per node of the job, meeting here at a port that was free. The step shares what this one holds:
    Snakemake runs a job's command in a step of one task on its first node."""
    starter = ["srun", "--overlap", f"--nodes={num_nodes}", f"--ntasks={num_nodes}", "--ntasks-per-node=1"]
    if cpus := os.environ.get("SLURM_CPUS_PER_TASK"):
        starter.append(f"--cpus-per-task={cpus}")  # srun does not take it over
    host = socket.gethostname()
    store = TCPStore(host, 0, is_master=True, wait_for_workers=False)
    options = [f"--nnodes={num_nodes}", "--rdzv-backend=c10d", f"--rdzv-endpoint={host}:{store.port}"]
    options += ["--rdzv-conf=is_host=false", f"--rdzv-id={job_id}"]
    return _Meeting(num_nodes, options, starter, store=store)


@contextmanager
def joined(job: Path) -> Iterator[Processes]:
    """This process's place among those that `launch` started. An error inside is left for `launch` to raise."""
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    rank = dist.get_rank()
    try:
        yield Processes(rank, dist.get_world_size())
    except (ValueError, OSError) as error:
        write_text(job.parent / ERROR.format(rank=rank), str(error))
        raise SystemExit(1) from None
    except Exception:
        if any(job.parent.glob(ERROR.format(rank="*"))):  # of another that has said what is wrong, and is gone
            raise SystemExit(1) from None
        raise
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":  # torchrun; its traceback would hide what the processes said
    try:
        sys.exit(run.main())
    except ChildFailedError:
        sys.exit(1)
    except (dist.DistError, RendezvousError) as error:
        sys.exit(f"the machines of this training could not meet: {error.__cause__ or error}")
