"""The many ways to type a space, a hyphen or a digit, as one: patterns know ASCII, people paste from PDF and phones.

And escaped white space before a value, of which its letter would read as a part (`\\t123-45-6789` in a log line).
"""

import re

_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_WIDE: dict[int, str] = {0xFF10 + digit: str(digit) for digit in range(10)} | {
    0xFF21 + i: chr(65 + i) for i in range(26)
}
_ONE_FOR_ONE = str.maketrans({**dict.fromkeys(map(ord, _SPACES), " "), **_WIDE, 0xFF0B: "+", 0xFF20: "@", 0xFF0E: "."})
# A dash between words is left alone: it joins or parts names.
_DASH = re.compile(r"(?<=[\dA-Z])[\u2010-\u2015\u2212\uff0d](?=\d)|(?<=\d)[\u2010-\u2015\u2212\uff0d](?=[A-Z])")
_ESCAPED = re.compile(r"\\[nrt](?=[\dA-Z+(])")
_ODD = re.compile(r"[\u00a0\u1680\u2000-\u2015\u202f\u205f\u2212\u3000\uff0b-\uff3a]")


def plain(text: str) -> str:
    """`text` with such characters exchanged for ASCII ones: the same length, so that offsets stay."""
    if "\\" in text:
        text = _ESCAPED.sub("  ", text)
    if text.isascii() or not _ODD.search(text):
        return text
    return _DASH.sub("-", text.translate(_ONE_FOR_ONE))
