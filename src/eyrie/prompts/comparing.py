"""What every training prompt is compared by, computed in as many processes as there are cores.

In: prompts. Out: one `Traits` per batch of prompts, in order. A batch's traits depend on its texts alone, so the number
of processes changes nothing.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyrie.prompts.contamination import Measuring
from eyrie.prompts.duplicates import Bands, band_keys, shingles_of
from eyrie.prompts.words import Runs, words
from eyrie.workers import map_in_processes, num_cpus

_BATCH_TEXTS = 512
# A worker takes 2 s to start and handles 15,000 texts a second: fewer batches than this are done sooner without one.
_BATCHES_WITHOUT_WORKERS = 60
_MAX_WORKERS = 16


class Compared(NamedTuple):
    """A prompt's turns, and what a row holds beside them: prompts of one persona are no duplicates of each other."""

    turns: str
    beside: str


class Traits(NamedTuple):
    """Of K prompts: their band keys [K, B], their 3-grams, and what they share with the measuring prompts."""

    keys: NDArray[np.uint64]
    shingles: Runs
    matches: list[bytes]


@dataclass(frozen=True)
class Comparer:
    """Plain values, so that worker processes can have it."""

    measuring: Measuring
    bands: Bands

    def __call__(self, prompts: list[Compared]) -> Traits:
        turns = [words(prompt.turns) for prompt in prompts]
        beside = [words(prompt.beside) for prompt in prompts]
        shingles = shingles_of(turns)
        matches = [match.to_bytes() for match in self.measuring.match(turns, beside)]
        return Traits(band_keys(shingles, self.bands), shingles, matches)


def traits_of(prompts: Iterable[Compared], comparer: Comparer) -> Iterator[Traits]:
    """Raises WorkerError when a worker process dies."""
    remaining = _batches(prompts)
    yield from map(comparer, islice(remaining, _BATCHES_WITHOUT_WORKERS))
    workers = min(num_cpus(), _MAX_WORKERS)
    first = next(remaining, None)
    if first is not None:
        batches = chain([first], remaining)
        yield from (
            map_in_processes(_start, comparer, batches, workers=workers) if workers > 1 else map(comparer, batches)
        )


def _batches(prompts: Iterable[Compared]) -> Iterator[list[Compared]]:
    remaining = iter(prompts)
    while batch := list(islice(remaining, _BATCH_TEXTS)):
        yield batch


def _start(comparer: Comparer) -> Comparer:
    os.environ["RAYON_NUM_THREADS"] = "1"  # rensa's own threads; there is a worker per core already
    return comparer
