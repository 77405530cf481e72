"""Whether a word looks drawn at random, as keys and tokens are, or chosen by a person, as identifiers are.

Entropy alone does not tell: `getUserNameFromRequest2` has as much of it as a key. What tells is how letters and digits
alternate and how much of the word reads as words.
"""

import math
import re
from collections import Counter
from itertools import pairwise

_SEGMENT = re.compile(r"[A-Za-z0-9]+")
_DIGIT_GROUP = re.compile(r"\d+")
_LETTERS = re.compile(r"[A-Z]?[a-z]{4,}|[A-Z]{4,}")
_UNREADABLE = re.compile(
    r"(?i:[bcdfghjklmnpqrstvwxz]{5}|[aeiou]{4}|(?!ck|sch)[bcdfgjkpqvwxz][bcdfghjkmnpqtvwxz][bcdfgjkpqvwxz])"
)
_ALTERNATION = re.compile(r"[A-Za-z]\d{1,2}[A-Za-z]|\d[A-Za-z]{1,2}\d")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"(?:0x)?(?:[0-9a-f]+|[0-9A-F]+)")
_MIN_SEGMENT = 12
_MIN_ENTROPY = 2.8  # bits a character; a hexadecimal key of 16 characters seldom has less


def entropy(value: str) -> float:
    """Shannon entropy in bits a character."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())


def is_uuid(word: str) -> bool:
    return _UUID.fullmatch(word) is not None


def _readable(word: str) -> float:
    """The share of `word` that may be words: stretches of at least four letters without heaps of consonants."""
    runs = (run for run in _LETTERS.findall(word) if not _UNREADABLE.search(run))
    return sum(map(len, runs)) / len(word)


def may_be_key(word: str) -> bool:
    """Of a value that is given to a name for keys: not plainly a word, a name or a number."""
    letters = "".join(_SEGMENT.findall(word))
    if letters.isdigit() or entropy(word) < _MIN_ENTROPY:
        return False
    if not any(map(str.isdigit, letters)):
        changes = sum(a.islower() != b.islower() for a, b in pairwise(letters))
        return len(letters) >= 20 and changes > 0.3 * len(letters) and _readable(letters) < 0.3
    return _ALTERNATION.search(word) is not None and _readable(letters) < 0.75


def is_drawn_letters(word: str) -> bool:
    """Letters of randomly changing case: no words joined in camel case, which are to be read."""
    if len(word) < 12 or not (word.isascii() and word.isalpha()):
        return False
    changes = sum(a.islower() != b.islower() for a, b in pairwise(word))
    return changes > 0.3 * len(word) and _readable(word) < 0.3


def is_mixed(word: str) -> bool:
    """Small and capital letters and digits throughout, in no order: more than a name with a number."""
    groups = len(_DIGIT_GROUP.findall(word))
    readable = _readable(word)
    return groups >= 3 and readable < 0.3 and word.lower() != word and word.upper() != word


def looks_random(word: str) -> bool:
    """Of a word of at least 12 characters: whether one of its stretches of letters and digits looks drawn."""
    segments = [segment for segment in _SEGMENT.findall(word) if len(segment) >= _MIN_SEGMENT]
    return any(map(_drawn, segments)) or (len(word) >= 24 and _drawn("".join(_SEGMENT.findall(word)), strict=True))


def _drawn(segment: str, *, strict: bool = False) -> bool:
    if entropy(segment) < _MIN_ENTROPY:
        return False
    if _HEX.fullmatch(segment):
        letters = sum(map(str.isalpha, segment))
        return letters >= 2 and len(segment) - letters >= 2
    groups = len(_DIGIT_GROUP.findall(segment))
    mixed = segment.lower() != segment and segment.upper() != segment
    readable = _readable(segment)
    changes = sum(a.islower() != b.islower() for a, b in pairwise(segment))
    if strict or readable > 0.5:  # parts of identifiers joined, or words with numbers between them
        return readable < 0.3 and (groups >= 4 or (mixed and len(segment) >= 32 and changes > 0.3 * len(segment)))
    if groups >= 3 or (groups == 2 and (mixed or len(segment) < 20)):
        return True
    # Digits are few or none: only a random change of case is left, faster than that of words joined in camel case.
    return (
        mixed and len(segment) >= 20 and readable < 0.3 and changes > (0.3 if len(segment) > 25 else 0.4) * len(segment)
    )
