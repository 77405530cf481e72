"""Near-duplicate removal: of texts whose word 3-grams overlap too much, the first stays.

Candidates come from MinHash sketches (rensa, Broder 1997) cut into bands: texts that agree in all rows of a band are
compared. Similarity itself is exact: the Jaccard index of the two sets of 3-grams. The bands are chosen from the
threshold so that a pair at the threshold is missed less than once in a thousand times, and pairs above it more rarely.

Shape legend: K texts, B bands, R rows of a band, S the distinct 3-grams of one text.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from eyrie.prompts.words import Hashes, Runs, distinct, hash_words, mix_columns, runs_of

_SHINGLE_WORDS = 3
_PERMUTATIONS = 128
_MISSED = 1e-3
_SEED = 1
# Texts of one template can share a band by the thousand, and work per text must not grow with them: so many members of
# its buckets are looked at, and the likeliest of these are compared.
_MAX_MEMBERS = 1024
_MAX_COMPARED = 256


class Bands(NamedTuple):
    num_bands: int
    num_rows: int


def bands_for(threshold: float) -> Bands:
    """The longest bands of at most 128 permutations that miss a pair at the threshold less than once in a thousand."""
    fitting = [
        Bands(_PERMUTATIONS // num_rows, num_rows)
        for num_rows in range(1, _PERMUTATIONS + 1)
        if (1 - threshold**num_rows) ** (_PERMUTATIONS // num_rows) <= _MISSED
    ]
    return fitting[-1] if fitting else Bands(_PERMUTATIONS, 1)


def shingles_of(texts: Sequence[list[str]]) -> Runs:
    """The distinct 3-grams of each text's words, ascending; a text of one or two words is one 3-gram."""
    padded = [text + [""] * (_SHINGLE_WORDS - len(text)) if text else text for text in texts]
    return distinct(runs_of(hash_words(padded), _SHINGLE_WORDS))


def band_keys(shingles: Runs, bands: Bands) -> NDArray[np.uint64]:
    """One value per text and band [K, B]: equal where the sketches agree in all rows of the band."""
    num_permutations = bands.num_bands * bands.num_rows
    sketch = RMinHash.digest_matrix_from_flat_token_hashes(
        shingles.hashes, shingles.starts.tolist(), num_permutations, _SEED
    )
    rows = np.array(sketch.to_rows(), dtype=np.uint64).reshape(-1, bands.num_bands, bands.num_rows)
    return mix_columns(rows)


def near_duplicates(
    keys: NDArray[np.uint64], sizes: NDArray[np.int64], shingles: Callable[[int], Hashes], *, threshold: float
) -> Iterator[bool]:
    """For each text in turn, whether it is a near duplicate of an earlier text that is none.

    `keys` [K, B] are the texts' band keys, `sizes` [K] how many 3-grams each has, `shingles(k)` gives those of text k.
    """
    buckets = _Buckets(keys, sizes)
    for text, size in enumerate(sizes.tolist()):
        found = False
        mine = buckets.of(text)
        if len(mine):
            own = shingles(text)
            low, high = math.ceil(threshold * size), size / threshold
            found = any(
                low <= sizes[other] <= high and _jaccard_at_least(own, shingles(other), threshold)
                for other in buckets.candidates(mine)
            )
            if not found:
                buckets.keep(text, mine)
        yield found


class _Buckets:
    """Which kept texts share a band with a text. Buckets that one text alone would be in do not exist."""

    def __init__(self, keys: NDArray[np.uint64], sizes: NDArray[np.int64]) -> None:
        self._bucket_KB = np.full(keys.shape, -1, dtype=np.int32)
        starts, num_buckets, num_members = [np.zeros(1, np.int64)], 0, 0
        with_words = np.flatnonzero(sizes)  # texts without words are not alike
        for band in range(keys.shape[1]):
            _, bucket, counts = np.unique(keys[with_words, band], return_inverse=True, return_counts=True)
            shared = counts > 1
            number = np.where(shared, num_buckets + np.cumsum(shared) - 1, -1)
            self._bucket_KB[with_words, band] = number[bucket]
            starts.append(num_members + np.cumsum(counts[shared]))
            num_buckets += int(shared.sum())
            num_members += int(counts[shared].sum())
        self._starts = np.concatenate(starts)
        self._num_kept = np.zeros(num_buckets, dtype=np.int32)
        self._members = np.empty(num_members, dtype=np.int32)

    def of(self, text: int) -> NDArray[np.int32]:
        row: NDArray[np.int32] = self._bucket_KB[text]
        shared: NDArray[np.int32] = row[row >= 0]
        return shared

    def candidates(self, buckets: NDArray[np.int32]) -> list[int]:
        """Kept texts in these buckets, those in most of them first, then the earliest.

        Of more than _MAX_MEMBERS members those of the smallest buckets are taken: texts in a large one agree in the
        words of their template, texts in a small one in their own.
        """
        counts = self._num_kept[buckets]
        if not counts.any():
            return []
        by_size = np.argsort(counts, kind="stable")
        starts, counts = self._starts[buckets[by_size]], counts[by_size]
        counts = np.clip(_MAX_MEMBERS - (np.cumsum(counts) - counts), 0, counts)
        pairs = zip(starts.tolist(), counts.tolist(), strict=True)
        parts = [self._members[start : start + count] for start, count in pairs]
        texts, shared = np.unique(np.concatenate(parts), return_counts=True)
        order = np.lexsort((texts, -shared))[:_MAX_COMPARED]
        candidates: list[int] = texts[order].tolist()
        return candidates

    def keep(self, text: int, buckets: NDArray[np.int32]) -> None:
        self._members[self._starts[buckets] + self._num_kept[buckets]] = text
        self._num_kept[buckets] += 1


def _jaccard_at_least(left_S: Hashes, right_S: Hashes, threshold: float) -> bool:
    both = np.concatenate([left_S, right_S])
    both.sort()
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return shared >= threshold * (len(both) - shared)
