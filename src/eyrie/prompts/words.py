"""Texts as the comparing steps see them: words, case, punctuation and typeface aside, as 64-bit hashes.

Many texts are handled at once. `Runs` holds values of several texts one after the other. Hashes are rensa's, so they
are the same in every process; that two different words or runs get the same 64 bits is left out of account.

Shape legend: N values of all texts together, K texts.
"""

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

# Scripts written without spaces give one word per character, else a whole sentence would be one word.
_WORD = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_]+")
_UNSEEN = re.compile("[\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]")
_DIGITS = re.compile(r"\d+")
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplication permutes 64-bit values

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Runs:
    """Text k has `hashes[starts[k]:starts[k + 1]]`; `hashes` [N], `starts` [K + 1]."""

    hashes: Hashes
    starts: NDArray[np.int64]

    def __iter__(self) -> Iterator[Hashes]:
        """The hashes of each text."""
        for start, end in pairwise(self.starts.tolist()):
            yield self.hashes[start:end]


def words(text: str) -> list[str]:
    """Lower-case words in order.

    Accents of two characters, wide letters, soft hyphens and what HTML writes for a character make no other word.
    """
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
    return _WORD.findall(text.lower())


def masked(words: Sequence[str]) -> list[str]:
    """Every number written 0: the same question about other numbers is the same."""
    return [word if word.isalpha() else _DIGITS.sub("0", word) for word in words]


def hash_words(texts: Sequence[Sequence[str]]) -> Runs:
    """One hash per word."""
    flat = [word for text in texts for word in text]
    hashes = np.array(RMinHash.hash_token_sets([flat])[0], dtype=np.uint64)
    return Runs(hashes, _starts(np.fromiter(map(len, texts), np.int64, len(texts))))


def runs_of(words: Runs, size: int) -> Runs:
    """One hash per run of `size` words inside a text, in order; none when the text is shorter."""
    num_positions = max(len(words.hashes) - size + 1, 0)
    mixed = words.hashes[:num_positions].copy()
    for offset in range(1, size):
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX + words.hashes[offset : num_positions + offset]
    lengths = np.diff(words.starts)
    counts = np.maximum(lengths - size + 1, 0)
    text = np.repeat(np.arange(len(lengths)), lengths)[:num_positions]
    inside = np.arange(num_positions) - words.starts[text] < counts[text]
    return Runs(mixed[inside] * _MIX, _starts(counts))


def distinct(runs: Runs) -> Runs:
    """Each text's hashes once, in ascending order."""
    num_texts = len(runs.starts) - 1
    # By hash, then stably by text: small integers are sorted by radix, a fifth of the time of one sort by both.
    text = np.repeat(np.arange(num_texts, dtype=np.min_scalar_type(num_texts)), np.diff(runs.starts))
    order = np.argsort(runs.hashes)
    order = order[np.argsort(text[order], kind="stable")]
    text, hashes = text[order], runs.hashes[order]
    first = np.ones(len(hashes), dtype=bool)
    first[1:] = (text[1:] != text[:-1]) | (hashes[1:] != hashes[:-1])
    return Runs(hashes[first], _starts(np.bincount(text[first], minlength=num_texts)))


def mix_columns(values: Hashes) -> Hashes:
    """One hash per row of the last axis, order counting: [..., N] -> [...]."""
    mixed = values[..., 0].copy()
    for column in range(1, values.shape[-1]):
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX + values[..., column]
    return mixed * _MIX


def _starts(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
