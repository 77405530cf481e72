import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from eyrie.workers import WorkerError, map_in_order, map_in_processes, num_cpus


def adder(amount: int) -> Callable[[int], int]:
    return partial(add, amount)


def add(amount: int, item: int) -> int:
    if item == 13:
        os._exit(9)  # as the kernel ends a process that takes too much memory
    return item + amount


def test_answers_of_processes_come_in_the_order_of_the_items() -> None:
    assert list(map_in_processes(adder, 100, iter(range(12)), workers=2)) == list(range(100, 112))


PARENT = """
from tests.unit.test_workers import adder
from eyrie.workers import map_in_processes
import multiprocessing, time
if __name__ == "__main__":
    for answer in map_in_processes(adder, 100, iter(range(10)), workers=2):
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        time.sleep(60)
"""


def test_no_worker_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    command = [sys.executable, str(tmp_path / "parent.py")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(workers) == 2
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


def test_a_worker_that_dies_ends_in_one_sentence() -> None:
    with pytest.raises(WorkerError, match="a worker process ended before its work was done") as error:
        list(map_in_processes(adder, 100, iter(range(10, 40)), workers=2))
    assert "\n" not in str(error.value)
    assert error.value.__suppress_context__


def test_only_so_many_items_are_taken_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(2) as pool:
        for number, answer in enumerate(map_in_order(lambda item: pool.submit(add, 0, -item), items(), max_waiting=5)):
            assert answer == -number
            assert len(taken) <= number + 5


def test_threads_bound_the_number_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    for value, expected in (("3", 3), ("64", 8), ("", 8), ("0", 8), ("2,1", 8)):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert num_cpus() == expected
