"""Keeps training prompts apart from the prompts that measure: held-out and benchmark items, and sets named in params.

All that a head would learn from is looked at: turns, system prompt and kept answers. A training prompt is contaminated
when, case, punctuation and numbers aside, its turns equal an item or it holds one whole; when it shares a long run of
words with one; or when it has at least 40% of an item's 4-word runs. The wording of a task ("answer with the letter of
the") is not an item's own: runs that occur in more than 10 training prompts are left out of the last two tests, as
GPT-3's decontamination does (arXiv 2005.14165, appendix C). Give it near-unique training prompts, else many copies of
an item would pass for wording.

Two steps, so that texts are read once and in any number of processes: `Measuring.match` notes which runs of the items a
prompt has; `contaminated` counts the runs over all prompts and judges.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyrie.prompts.words import Hashes, Runs, distinct, hash_words, masked, runs_of, words

_SHORT_RUN_WORDS = 4
_MAX_SHARE = 0.4
_WORDING_PROMPTS = 10  # a run in more training prompts than this is wording
# Too little text to judge: an item of fewer words is only compared as a whole, one with fewer own runs not by share.
_MIN_HELD_WORDS = 8
_MIN_OWN_RUNS = 4

Numbers = NDArray[np.int32]


class Match(NamedTuple):
    """What one training prompt has of the items. Runs are numbers into `Measuring.long_runs` and `.short_runs`."""

    whole: bool
    long_runs: Numbers
    short_runs: Numbers

    def to_bytes(self) -> bytes:
        return (
            np.concatenate([[self.whole, len(self.long_runs)], self.long_runs, self.short_runs]).astype("i4").tobytes()
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "Match":
        values = np.frombuffer(data, dtype=np.int32)
        return cls(bool(values[0]), values[2 : 2 + values[1]], values[2 + values[1] :])


@dataclass(frozen=True)
class Measuring:
    """The items. Hashes are ascending and distinct; `short_runs_of[i]` numbers the 4-word runs of item i."""

    run_words: int
    whole: Hashes
    long_runs: Hashes
    short_runs: Hashes
    short_runs_of: list[Numbers]
    num_words: list[int]

    @classmethod
    def of(cls, items: Iterable[str], *, run_words: int) -> "Measuring":
        """`run_words` is the length of a run that is enough to condemn, at least 4."""
        texts = [masked(words(item)) for item in items]
        hashed = hash_words(texts)
        short = distinct(runs_of(hashed, _SHORT_RUN_WORDS))
        short_runs = np.unique(short.hashes)
        return cls(
            run_words=run_words,
            whole=np.unique(_whole(hashed)),
            long_runs=np.unique(runs_of(hashed, run_words).hashes),
            short_runs=short_runs,
            short_runs_of=[np.searchsorted(short_runs, runs).astype(np.int32) for runs in short],
            num_words=[len(text) for text in texts],
        )

    def match(self, turns: Sequence[Sequence[str]], beside: Sequence[Sequence[str]]) -> list[Match]:
        """What each prompt has of the items, given as the words of its turns and those of its system prompt and answers
        `beside` them: its turns equal an item, or all of it holds runs of one."""
        texts = [masked(text) for text in turns]
        hashed = hash_words(texts)
        whole = np.isin(_whole(hashed), self.whole).tolist()
        if any(beside):
            hashed = hash_words([text + masked(more) for text, more in zip(texts, beside, strict=True)])
        long = _found(distinct(runs_of(hashed, self.run_words)), self.long_runs)
        short = _found(distinct(runs_of(hashed, _SHORT_RUN_WORDS)), self.short_runs)
        return [Match(*found) for found in zip(whole, long, short, strict=True)]


def contaminated(measuring: Measuring, prompts: Sequence[int], match_of: Callable[[int], Match]) -> dict[int, str]:
    """Which of the training prompts must go, and why. `match_of` gives a prompt's match; it is asked twice."""
    times_long = np.zeros(len(measuring.long_runs), dtype=np.int64)
    times_short = np.zeros(len(measuring.short_runs), dtype=np.int64)
    for prompt in prompts:
        match = match_of(prompt)
        times_long[match.long_runs] += 1
        times_short[match.short_runs] += 1
    own_long = times_long <= _WORDING_PROMPTS
    judge = _ShortRuns(measuring, times_short)
    reasons: dict[int, str] = {}
    for prompt in prompts:
        match = match_of(prompt)
        if match.whole:
            reasons[prompt] = "equals a measuring prompt up to numbers"
        elif own_long[match.long_runs].any():
            reasons[prompt] = f"shares {measuring.run_words} words in a row with a measuring prompt"
        elif (reason := judge.reason(match.short_runs)) is not None:
            reasons[prompt] = reason
    return reasons


class _ShortRuns:
    """The items by their 4-word runs: all of an item's runs, to find it held whole; its own, to find large parts."""

    def __init__(self, measuring: Measuring, times: NDArray[np.int64]) -> None:
        self._runs_of = measuring.short_runs_of
        self._own = times <= _WORDING_PROMPTS
        self._num_own = [int(self._own[runs].sum()) for runs in self._runs_of]
        self._owners: dict[int, list[int]] = {}
        self._by_rarest: dict[int, list[int]] = {}  # whoever holds an item whole has its rarest run
        for item, runs in enumerate(self._runs_of):
            for run in runs[self._own[runs]].tolist():
                self._owners.setdefault(run, []).append(item)
            if len(runs) and measuring.num_words[item] >= _MIN_HELD_WORDS:
                self._by_rarest.setdefault(int(runs[np.argmin(times[runs])]), []).append(item)

    def reason(self, found: Numbers) -> str | None:
        held = (item for run in found.tolist() for item in self._by_rarest.get(run, ()))
        if any(np.isin(self._runs_of[item], found, assume_unique=True).all() for item in held):
            return "holds a measuring prompt"
        shared = Counter(item for run in found[self._own[found]].tolist() for item in self._owners[run])
        for item, count in shared.items():
            if self._num_own[item] >= _MIN_OWN_RUNS and count >= _MAX_SHARE * self._num_own[item]:
                return f"has {_MAX_SHARE:.0%} of a measuring prompt's own {_SHORT_RUN_WORDS}-word runs"
        return None


def _whole(hashed: Runs) -> Hashes:
    """One hash per text of all its words in order."""
    digests = [hashlib.blake2b(text.tobytes(), digest_size=8).digest() for text in hashed]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _found(runs: Runs, sought: Hashes) -> list[Numbers]:
    """Per text the numbers of its runs in `sought`."""
    at = np.searchsorted(sought, runs.hashes)
    hit = np.flatnonzero(at < len(sought))
    hit = hit[sought[at[hit]] == runs.hashes[hit]]
    bounds = np.searchsorted(hit, runs.starts)
    numbers = at[hit].astype(np.int32)
    return [numbers[start:end] for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]
