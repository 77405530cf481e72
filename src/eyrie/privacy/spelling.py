"""The many ways to type a space, a hyphen, a letter or a digit, as one: patterns know ASCII, people paste from PDF and
phones. Escaped white space before a value, of which its letter would read as a part (`\\t123-45-6789` in a log line).
And what parts or joins a value without being seen: characters of no width, letters of scripts without spaces. Escapes
are read too (eyrie/privacy/escapes.py).
"""

import re
import unicodedata
from typing import NamedTuple

from eyrie.privacy.escapes import unescaped

_SPACES = (
    "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
    "\u115f\u1160\u2800\u3164\uffa0"  # letters that look like one
)
_WIDE = {ord(char) + 0xFEE0: char for char in map(chr, range(0x21, 0x7F))}
_DIGITS = {
    place: str(int(char)) for place in range(0x80, 0x20000) if (char := chr(place)).isdecimal()
}  # there is no other
_STYLED = {  # bold, cursive and other letters for mathematics, which people write for show
    place: letter
    for place in range(0x1D400, 0x1D7CE)
    if (letter := unicodedata.normalize("NFKC", chr(place))).isascii()
}
_ONE_FOR_ONE = str.maketrans({**dict.fromkeys(map(ord, _SPACES), " "), **_WIDE, **_STYLED, **_DIGITS})
# A dash between words is left alone: it joins or parts names.
_DASH = re.compile(r"(?<=[\dA-Z])[\u2010-\u2015\u2212](?=\d)|(?<=\d)[\u2010-\u2015\u2212](?=[A-Z])")
_ESCAPED = re.compile(r"\\[nrt](?=[\dA-Z+(])")
_ODD = re.compile(rf"[{_SPACES}\u2010-\u2015\u2212\uff01-\uff5e\U0001d400-\U0001d7ff{''.join(map(chr, _DIGITS))}]")

# Soft hyphens, joiners, marks of direction, variation selectors, tags: inside a value they hide it.
_UNSEEN = (
    r"[\u00ad\u034f\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff"
    r"\U000e0000-\U000e0fff]"
)
_ANY_UNSEEN = re.compile(_UNSEEN)
_OF_VALUES = r"[\w@.+()/\s-]"  # the gaps between their groups too
_UNSEEN_INSIDE = re.compile(rf"(?<={_OF_VALUES}){_UNSEEN}+(?={_OF_VALUES})")
_UNSPACED = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
_TOUCHING = re.compile(rf"{_UNSPACED}(?=[A-Za-z0-9+(])|(?<=[A-Za-z0-9)]){_UNSPACED}")


class Reading(NamedTuple):
    """A text as patterns should see it. `spans[i]` is where its character i stands in the text; None: at i."""

    text: str
    spans: list[tuple[int, int]] | None = None


def readings(text: str) -> list[Reading]:
    """The text as it is, and again where something unseen may join or part its values, or escapes spell them."""
    found = _with_unseen(text)
    if spelled := unescaped(text):
        text, spans = spelled
        for reading, of_spelled in _with_unseen(text):
            found.append(Reading(reading, spans if of_spelled is None else [spans[place] for place, _ in of_spelled]))
    return found


def _with_unseen(text: str) -> list[Reading]:
    found = [Reading(plain(text))]
    if text.isascii():
        return found
    spans = None
    if _UNSEEN_INSIDE.search(text):
        unseen = {place for run in _UNSEEN_INSIDE.finditer(text) for place in range(*run.span())}
        spans = [(place, place + 1) for place in range(len(text)) if place not in unseen]
        text = "".join(text[place] for place, _ in spans)
    spaced = _TOUCHING.sub(" ", plain(text))
    return found if spaced == found[0].text else [*found, Reading(spaced, spans)]


def bare(value: str) -> str:
    """A value as all its spellings have it; shorter, where something unseen or escaped stood inside."""
    if spelled := unescaped(value):
        value = spelled[0]
    return value if value.isascii() else _ANY_UNSEEN.sub("", plain(value))


def plain(text: str) -> str:
    """`text` with such characters exchanged for ASCII ones: the same length, so that offsets stay."""
    if "\\" in text:
        text = _ESCAPED.sub("  ", text)
    if text.isascii() or not _ODD.search(text):
        return text
    return _DASH.sub("-", text.translate(_ONE_FOR_ONE))
