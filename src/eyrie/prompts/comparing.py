"""What every training prompt is compared by, computed in as many processes as there are cores.

In: texts. Out: one `Traits` per batch of texts, in order. A batch's traits depend on its texts alone, so the number of
processes changes nothing.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyrie.prompts.contamination import Measuring
from eyrie.prompts.duplicates import Bands, band_keys, shingles_of
from eyrie.prompts.words import Runs, words

_BATCH_TEXTS = 512
# A worker takes 2 s to start and handles 15,000 texts a second: fewer batches than this are done sooner without one.
_BATCHES_WITHOUT_POOL = 60
_MAX_PROCESSES = 16


class Traits(NamedTuple):
    """Of K texts: their band keys [K, B], their 3-grams, and what they share with the measuring prompts."""

    keys: NDArray[np.uint64]
    shingles: Runs
    matches: list[bytes]


@dataclass(frozen=True)
class Comparer:
    """Plain values, so that worker processes can have it."""

    measuring: Measuring
    bands: Bands

    def __call__(self, texts: list[str]) -> Traits:
        found = [words(text) for text in texts]
        shingles = shingles_of(found)
        matches = [match.to_bytes() for match in self.measuring.match(found)]
        return Traits(band_keys(shingles, self.bands), shingles, matches)


def traits_of(texts: Iterable[str], comparer: Comparer) -> Iterator[Traits]:
    """Raises OSError when a worker process dies."""
    remaining = _batches(texts)
    yield from map(comparer, islice(remaining, _BATCHES_WITHOUT_POOL))
    num_processes = min(available_cores(), _MAX_PROCESSES)
    if num_processes == 1:
        yield from map(comparer, remaining)
        return
    first = next(remaining, None)
    if first is None:
        return
    # spawn: the parent has threads (Arrow's, the progress bar's), and a fork would copy their locks.
    with ProcessPoolExecutor(
        num_processes, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(comparer,)
    ) as pool:
        pending: deque[Future[Traits]] = deque([pool.submit(_compare, first)])
        try:
            for batch in remaining:
                pending.append(pool.submit(_compare, batch))
                if len(pending) > 2 * num_processes:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool:
            raise OSError("select_prompts: a worker process was killed; is there enough memory?") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(texts)
    while batch := list(islice(remaining, _BATCH_TEXTS)):
        yield batch


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_comparer: Comparer | None = None


def _start_worker(comparer: Comparer) -> None:
    global _comparer
    os.environ["RAYON_NUM_THREADS"] = "1"  # rensa's own threads; there is a process per core already
    _comparer = comparer


def _compare(texts: list[str]) -> Traits:
    assert _comparer is not None, "the initializer ran"
    return _comparer(texts)
