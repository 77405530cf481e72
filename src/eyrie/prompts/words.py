"""Words and word n-grams, as duplicate removal and decontamination compare them: case and punctuation aside."""

import re
from collections.abc import Sequence

# Scripts written without spaces give one word per character, else a whole sentence would be one word.
_WORD = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_]+")
_DIGITS = re.compile(r"\d+")


def words(text: str) -> list[str]:
    """Lower-case words in order."""
    return _WORD.findall(text.lower())


def masked_words(text: str) -> tuple[str, ...]:
    """Words with every number written 0: the same question about other numbers is the same."""
    return tuple(words(_DIGITS.sub("0", text)))


def ngrams(sequence: Sequence[str], size: int) -> set[tuple[str, ...]]:
    """Distinct runs of `size` words; none when the sequence is shorter."""
    return {tuple(sequence[at : at + size]) for at in range(len(sequence) - size + 1)}
