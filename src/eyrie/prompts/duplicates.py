"""Near-duplicate removal: of texts whose word 3-grams overlap too much, the first stays.

Similarity is the exact Jaccard index of the sets of word 3-grams. Candidates come from the prefix filter (Xiao et al.,
PPJoin, 2008): order every set by rarity; two sets with Jaccard >= t share a 3-gram among the first
|s| - ceil(t |s|) + 1 of each. So no pair at or above the threshold is missed, which a MinHash sketch cannot promise.

Shape legend: S the distinct 3-grams of one text.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eyrie.prompts.words import words

_SHINGLE_WORDS = 3
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplication permutes 64-bit values


def near_duplicates(texts: Sequence[str], *, threshold: float) -> list[int | None]:
    """Per text the index of the earlier, kept text it duplicates, or None when it stays. `threshold` in (0, 1]."""
    shingles = _shingles(texts)
    rarity = _rarity(shingles)
    kept_by_shingle: dict[int, list[int]] = defaultdict(list)
    result: list[int | None] = []
    for index, shingles_S in enumerate(shingles):
        size = len(shingles_S)
        prefix = rarity[index][: size - math.ceil(threshold * size) + 1] if size else []
        candidates = sorted({other for shingle in prefix for other in kept_by_shingle.get(shingle, ())})
        original = next(
            (other for other in candidates if _jaccard_at_least(shingles_S, shingles[other], threshold)), None
        )
        result.append(original)
        if original is None:
            for shingle in prefix:
                kept_by_shingle[shingle].append(index)
    return result


def _shingles(texts: Sequence[str]) -> list[NDArray[np.uint64]]:
    """Per text its distinct 3-grams as sorted 64-bit values [S]; the same whatever the process's hash seed."""
    numbers: dict[str, int] = {}
    found = []
    for text in texts:
        ids = np.fromiter((numbers.setdefault(word, len(numbers) + 1) for word in words(text)), dtype=np.uint64)
        if 0 < len(ids) < _SHINGLE_WORDS:
            ids = np.concatenate([ids, np.zeros(_SHINGLE_WORDS - len(ids), dtype=np.uint64)])
        mixed = ids[:-2] if len(ids) else ids
        for offset in range(1, _SHINGLE_WORDS if len(ids) else 1):
            mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX + ids[offset : len(ids) - 2 + offset]
        found.append(np.unique(mixed * _MIX))
    return found


def _rarity(shingles: list[NDArray[np.uint64]]) -> list[list[int]]:
    """Per text its 3-grams, rarest of the whole collection first, ties by value."""
    values, counts = np.unique(np.concatenate([*shingles, np.empty(0, np.uint64)]), return_counts=True)
    return [
        shingles_S[np.argsort(counts[np.searchsorted(values, shingles_S)], kind="stable")].tolist()
        for shingles_S in shingles
    ]


def _jaccard_at_least(left_S: NDArray[np.uint64], right_S: NDArray[np.uint64], threshold: float) -> bool:
    shorter, longer = sorted((len(left_S), len(right_S)))
    if shorter < threshold * longer:
        return False
    shared = len(np.intersect1d(left_S, right_S, assume_unique=True))
    return shared >= threshold * (len(left_S) + len(right_S) - shared)
