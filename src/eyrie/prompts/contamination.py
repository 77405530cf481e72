"""Keeps training prompts apart from the prompts that measure: held-out and benchmark items.

A training prompt is contaminated when, case, punctuation and numbers aside, it equals an item or holds it whole; when
it shares a long run of words with one; or when it has at least 40% of an item's 4-word runs. The wording of a task
("answer with the letter of the") is not an item's own: runs that occur in more than 10 training prompts are left out
of the last two tests, as GPT-3's decontamination does (arXiv 2005.14165, appendix C). Give it near-unique training
prompts, else many copies of an item would pass for wording.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from eyrie.prompts.words import masked_words, ngrams

Run = tuple[str, ...]

_SHORT_RUN_WORDS = 4
_MAX_SHARE = 0.4
_WORDING_PROMPTS = 10  # a run in more training prompts than this is wording
# Too little text to judge: an item of fewer words is only compared as a whole, one with fewer own runs not by share.
_MIN_HELD_WORDS = 8
_MIN_OWN_RUNS = 4


def contaminated(training: Sequence[str], measured: Sequence[str], *, run_words: int) -> list[str | None]:
    """Per training prompt why it must go, or None. A shared run of `run_words` words (at least 4) is enough."""
    items = [masked_words(text) for text in measured]
    prompts = [masked_words(text) for text in training]
    whole = set(items)
    long_runs = _own_runs([ngrams(item, run_words) for item in items], prompts, run_words)
    short = _ShortRuns([ngrams(item, _SHORT_RUN_WORDS) for item in items], items, prompts)
    distinct_long = set().union(*long_runs)
    reasons: list[str | None] = []
    for prompt in prompts:
        if prompt in whole:
            reasons.append("equals a measuring prompt up to numbers")
        elif not distinct_long.isdisjoint(ngrams(prompt, run_words)):
            reasons.append(f"shares {run_words} words in a row with a measuring prompt")
        else:
            reasons.append(short.reason(ngrams(prompt, _SHORT_RUN_WORDS)))
    return reasons


class _ShortRuns:
    """The items' 4-word runs: all of them, to find an item held whole, and their own, to find large parts of it."""

    def __init__(self, runs: list[set[Run]], items: Sequence[Run], prompts: Sequence[Run]) -> None:
        own = _own_runs(runs, prompts, _SHORT_RUN_WORDS)
        self._num_runs = [
            len(item_runs) if len(item) >= _MIN_HELD_WORDS else 0 for item, item_runs in zip(items, runs, strict=True)
        ]
        self._num_own = [len(item_runs) for item_runs in own]
        self._items_with = _index(runs)
        self._items_owning = _index(own)

    def reason(self, runs: set[Run]) -> str | None:
        held = Counter(item for run in runs for item in self._items_with.get(run, ()))
        if any(0 < self._num_runs[item] == count for item, count in held.items()):
            return "holds a measuring prompt"
        shared = Counter(item for run in runs for item in self._items_owning.get(run, ()))
        for item, count in shared.items():
            if self._num_own[item] >= _MIN_OWN_RUNS and count >= _MAX_SHARE * self._num_own[item]:
                return f"has {_MAX_SHARE:.0%} of a measuring prompt's own {_SHORT_RUN_WORDS}-word runs"
        return None


def _own_runs(runs: Sequence[set[Run]], prompts: Sequence[Run], size: int) -> list[set[Run]]:
    """Per item its runs without the wording that many training prompts share."""
    sought = set().union(*runs)
    counts = Counter(run for prompt in prompts for run in ngrams(prompt, size) if run in sought)
    return [{run for run in item_runs if counts[run] <= _WORDING_PROMPTS} for item_runs in runs]


def _index(runs: Sequence[set[Run]]) -> dict[Run, list[int]]:
    items_with: dict[Run, list[int]] = defaultdict(list)
    for item, item_runs in enumerate(runs):
        for run in item_runs:
            items_with[run].append(item)
    return items_with
