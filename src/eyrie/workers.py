"""Work spread over processes or threads, answered in order, with a bounded amount of it waiting.

The answers are those of one process, whatever the number of workers. A worker that dies (the kernel kills what takes
too much memory) is one sentence, and everything that was waiting is given up.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from eyrie.children import die_with

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")
SettingsT = TypeVar("SettingsT")


class WorkerError(ValueError):
    """A worker process ended before its work was done."""


def num_cpus() -> int:
    """CPUs this process may use, or fewer when --threads (which sets OMP_NUM_THREADS) says so."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(available, int(wanted)) if wanted.isdecimal() and int(wanted) else available


def map_in_order(
    submit: Callable[[ItemT], "Future[AnswerT]"], items: Iterable[ItemT], *, max_waiting: int
) -> Iterator[AnswerT]:
    """The answers of `submit`'s futures in the order of `items`, of which at most `max_waiting` are taken ahead."""
    waiting: deque[Future[AnswerT]] = deque()
    try:
        for item in items:
            waiting.append(submit(item))
            if len(waiting) >= max_waiting:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def map_in_processes(
    start: Callable[[SettingsT], Callable[[ItemT], AnswerT]],
    settings: SettingsT,
    items: Iterable[ItemT],
    *,
    workers: int,
) -> Iterator[AnswerT]:
    """`start(settings)`, called once in each worker, gives the function that answers items there.

    Raises WorkerError when a worker dies.
    """
    # spawn: the parent has threads (Arrow's, the progress bar's), and a fork would copy their locks.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(os.getpid(), start, settings))
    try:
        yield from map_in_order(lambda item: pool.submit(_answer, item), items, max_waiting=2 * workers + 1)
    except BrokenProcessPool:
        raise WorkerError(
            "a worker process ended before its work was done; nothing was written "
            "(a worker that takes too much memory is killed: try --threads 1)"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_answer_item: Callable[[Any], Any] | None = None


def _start(parent: int, start: Callable[[Any], Callable[[Any], Any]], settings: Any) -> None:
    global _answer_item
    die_with(parent)()  # they hold both ends of their queue, and would wait for a killed parent for ever
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the parent ends the pool
    _answer_item = start(settings)


def _answer(item: Any) -> Any:
    assert _answer_item is not None, "the pool runs _start first"
    return _answer_item(item)
