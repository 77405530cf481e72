"""Scores of the name tagger's labels for each token of a text: the weights of `name_features`, summed by table look-up.

A word's features are looked at once (`Featurizer.word`); what they weigh, for itself and for each of its neighbours, is
a row of a table. Scoring a text is then a few sums over arrays. `Featurizer.sequences` gives the same features by name,
for training; that both agree is a test.
"""

import re
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyrie.privacy.crf import Scores, Weights
from eyrie.privacy.name_features import CODE_AFTER, CODE_BEFORE, SENTENCE_END, TOKEN, WINDOW, Featurizer, Word

_REMEMBERED = 50_000  # words
_CANDIDATE, _CANDIDATE_AT_START, _ENDS_SENTENCE, _CAPITALISED, _NEWLINE, _CODE_BEFORE, _CODE_AFTER = (
    np.uint8(1 << i) for i in range(7)
)
_MANY = 1 << 20  # more than the words of a line; tallies count words in units of it and capitalised ones in ones
_STARTS = np.array([_ENDS_SENTENCE])
_NEIGHBOURS = np.ones(2 * WINDOW + 1, np.intp)
_TEXT = itemgetter(0)
_PLACES = 3  # tokens on either side that are seen
_ROLES = 8  # a word itself; as seen from +1, -1, +2, -2, +3 and -3; itself at the start of a sentence
_PAIRS = (b"-12", b"-+w", b"+12")


class Stretches(NamedTuple):
    """Tokens around the candidates of a text, stretch after stretch."""

    tokens: list[re.Match[str]]
    lengths: NDArray[np.intp]  # of each stretch
    scores: Scores  # [tokens, labels]


class NameScorer:
    """Looks words up under one model. Remembers a bounded number of words."""

    def __init__(self, featurizer: Featurizer, weights: Weights) -> None:
        self._featurizer, self._weights = featurizer, weights
        self._start, self._uncased, self._also_lower, self._title = (
            weights.total([name]) for name in (b"start", b"uncased", b"alsolower", b"title")
        )
        self._before = {char: weights.total([f"cb{char}".encode()]) for char in CODE_BEFORE}
        self._after = {char: weights.total([f"ca{char}".encode()]) for char in CODE_AFTER}
        self._near_numbers, self._pairs, self._pair_weights = _pair_table(weights)
        self._forget()

    def _forget(self) -> None:
        self._numbers: dict[str, int] = {}
        self._lowers: dict[str, int] = {}
        self._grow(1024)
        self._count = 0
        self._begin, self._end = self._add(self._featurizer.begin), self._add(self._featurizer.end)

    def _grow(self, size: int) -> None:
        def longer(name: str, shape: tuple[int, ...], dtype: type) -> Any:
            out: NDArray[Any] = np.zeros((size, *shape), dtype)
            if self._numbers:
                out[: self._count] = getattr(self, name)
            return out

        self._table = longer("_table", (_ROLES, len(self._weights.labels)), np.float64)
        self._flags = longer("_flags", (), np.uint8)
        self._tally = longer("_tally", (), np.float64)
        self._near = longer("_near", (), np.intp)
        self._lower = longer("_lower", (), np.intp)
        self._seen = np.zeros(size, bool)  # by number of a lower-cased word; scratch

    def _number(self, text: str) -> int:
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = self._add(self._featurizer.word(text))
        return number

    def _add(self, word: Word) -> int:
        if self._count == len(self._flags):
            self._grow(2 * self._count)
        number, total = self._count, self._weights.total
        self._count += 1
        self._table[number] = [
            *map(total, (word.own, *word.around, *word.third)),
            total((word.start,)) + self._start,
        ]
        self._tally[number] = word.letter * (_MANY + word.capitalised)
        self._near[number] = self._near_numbers.get(word.near, 0)
        self._lower[number] = self._lowers.setdefault(word.lower, len(self._lowers))
        self._flags[number] = (
            _CANDIDATE * word.candidate
            | _CANDIDATE_AT_START * word.candidate_at_start
            | _ENDS_SENTENCE * (word.lower in SENTENCE_END)
            | _CAPITALISED * word.capitalised
            | _NEWLINE * (word.lower == "\n")
            | _CODE_BEFORE * (word.lower[-1:] in CODE_BEFORE)
            | _CODE_AFTER * (word.lower[:1] in CODE_AFTER)
        )
        return number

    def stretches(self, text: str) -> Stretches | None:
        """None where no token could belong to a name."""
        if len(self._numbers) >= _REMEMBERED:
            self._forget()
        matches = list(TOKEN.finditer(text))
        if not matches:
            return None
        texts = list(map(_TEXT, matches))
        numbers = list(map(self._numbers.get, texts))
        if None in numbers:
            numbers = [self._number(item) for item in texts]
        words = np.array([self._begin] * _PLACES + numbers + [self._end] * _PLACES)
        flags = self._flags[words[_PLACES:-_PLACES]]
        starts = np.concatenate((_STARTS, flags[:-1])) & _ENDS_SENTENCE != 0
        candidates = flags & np.where(starts, _CANDIDATE_AT_START, _CANDIDATE) != 0
        if not candidates.any():
            return None
        (wanted,) = np.convolve(candidates, _NEIGHBOURS)[WINDOW:-WINDOW].nonzero()
        (breaks,) = (wanted[1:] - wanted[:-1] > 1).nonzero()
        ends = np.append(breaks + 1, len(wanted))
        lengths = ends.copy()
        lengths[1:] -= ends[:-1]
        scores = self._scores(matches, words, flags, starts)
        return Stretches([matches[i] for i in wanted.tolist()], lengths, scores[wanted])

    def _scores(
        self,
        matches: list[re.Match[str]],
        words: NDArray[np.intp],
        flags: NDArray[np.uint8],
        starts: NDArray[np.bool_],
    ) -> Scores:
        count = len(matches)
        table: Scores = self._table.take(words, axis=0)  # [places, roles, labels]
        out: Scores = table[3 : count + 3, 0] + table[2 : count + 2, 1]
        for role, place in enumerate((4, 1, 5, 0, 6), 2):
            out += table[place : place + count, role]
        out += table[3 : count + 3, 7] * starts[:, None]
        near = self._near[words]
        for pairs, (first, second) in zip(self._pairs, ((1, 2), (2, 4), (4, 5)), strict=True):
            rows = pairs[near[first : first + count], near[second : second + count]]
            out += self._pair_weights.take(rows, axis=0)
        (capitals,) = (flags & _CAPITALISED).nonzero()
        if len(capitals):
            inner = words[3:-3]
            lower, plain = self._lower[inner], self._lower[inner[flags & _CAPITALISED == 0]]
            self._seen[plain] = True
            out[capitals] += self._seen[lower[capitals], None] * self._also_lower
            self._seen[plain] = False
            newline = flags & _NEWLINE != 0
            line = newline.cumsum() - newline
            out[capitals] += _is_capital(np.bincount(line, self._tally[inner]))[line[capitals], None] * self._title
        else:
            out += self._uncased
        # Only characters of code that touch a word count.
        for i in (flags[:-1] & _CODE_BEFORE).nonzero()[0].tolist():
            if matches[i].end() == matches[i + 1].start():
                out[i + 1] += self._before[matches[i][0][-1]]
        for i in (flags[1:] & _CODE_AFTER).nonzero()[0].tolist():
            if matches[i].end() == matches[i + 1].start():
                out[i] += self._after[matches[i + 1][0][0]]
        return out


def _is_capital(tallies: NDArray[Any]) -> NDArray[np.bool_]:
    """Of each line, whether most of its words are capitalised: a heading, or a line of a form."""
    letters = tallies // _MANY
    return np.asarray((letters > 1) & ((tallies - _MANY * letters) * 3 >= letters * 2))


def _pair_table(weights: Weights) -> tuple[dict[bytes, int], NDArray[np.uint16], Scores]:
    """Numbers from 1 of what words are in pairs, [kinds, first, second] rows of weights, the weights; row 0 is zero."""
    known = []
    for feature in weights.features():
        for kind, prefix in enumerate(_PAIRS):
            if feature.startswith(prefix) and b"|" in feature:
                known.append((kind, *_parts(feature.removeprefix(prefix)), weights.total([feature])))
    names = dict.fromkeys(name for _, *both, _ in known for name in both)
    numbers = {name: number for number, name in enumerate(names, 1)}
    table = np.zeros((len(_PAIRS), len(numbers) + 1, len(numbers) + 1), np.uint16)
    for row, (kind, first, second, _) in enumerate(known, 1):
        table[kind, numbers[first], numbers[second]] = row
    return numbers, table, np.stack([np.zeros(len(weights.labels)), *(total for *_, total in known)])


def _parts(pair: bytes) -> tuple[bytes, bytes]:
    """`first|second`, of which either may be the bar itself."""
    cut = 1 if pair.startswith(b"||") else pair.index(b"|")
    return pair[:cut], pair[cut + 1 :]
