"""Keeps training prompts apart from the prompts that measure: held-out and benchmark.

A training prompt is contaminated when an item of the measuring sets equals it up to numbers, shares a run of 8 words
with it, or has at least 40% of its own distinct 4-word runs inside it. The numbers are masked in all three. Runs that
occur in many measuring items are the wording of a task ("answer with the letter of the"), not of an item, and are left
out of the second and third test, as GPT-3's decontamination does (arXiv 2005.14165, appendix C).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from eyrie.prompts.words import masked_words, ngrams

_RUN_WORDS = 8
_OVERLAP_WORDS = 4
_MAX_OVERLAP = 0.4
_TASK_WORDING_ITEMS = 10  # a run in more items than this is wording


class Measured:
    """The measuring sets, indexed once; `reason` then tells why a training prompt must go."""

    def __init__(self, items: Sequence[str]) -> None:
        masked = [masked_words(item) for item in items]
        self._exact = set(masked)
        self._runs = _distinctive([ngrams(list(item), _RUN_WORDS) for item in masked if len(item) >= _RUN_WORDS])
        overlaps = [ngrams(list(item), _OVERLAP_WORDS) for item in masked]
        distinctive = _distinctive(overlaps)
        self._sizes: list[int] = []
        self._items_with: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for index, item in enumerate(overlaps):
            kept = item & distinctive
            self._sizes.append(len(kept))
            for run in kept:
                self._items_with[run].append(index)

    def reason(self, text: str) -> str | None:
        """Which test a training prompt fails, or None."""
        masked = masked_words(text)
        if masked in self._exact:
            return "equal up to numbers"
        if len(masked) >= _RUN_WORDS and not self._runs.isdisjoint(ngrams(list(masked), _RUN_WORDS)):
            return f"shared run of {_RUN_WORDS} words"
        shared: Counter[int] = Counter()
        for run in ngrams(list(masked), _OVERLAP_WORDS):
            shared.update(self._items_with.get(run, ()))
        if any(count >= _MAX_OVERLAP * self._sizes[index] for index, count in shared.items()):
            return f"shares {_MAX_OVERLAP:.0%} of an item's {_OVERLAP_WORDS}-word runs"
        return None


def _distinctive(items: Sequence[set[tuple[str, ...]]]) -> set[tuple[str, ...]]:
    """The runs that occur in at most `_TASK_WORDING_ITEMS` items."""
    counts = Counter(run for item in items for run in item)
    return {run for run, count in counts.items() if count <= _TASK_WORDING_ITEMS}
