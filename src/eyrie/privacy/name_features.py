"""Tokens, lexicon and features of the name tagger; training and screening share every line of this module.

In: a text and a `Lexicon`. Out: tokens with offsets, which of them could belong to a name, and the features that the
linear-chain CRF sees for each (Lafferty et al., 2001; features after Tjong Kim Sang and De Meulder, CoNLL-2003).

The lexicon holds one line per lower-cased word: what lists it is on and how often it is written in lower case.
A word's identity is a feature only when it is an ordinary word: names are known by list, spelling and surroundings.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# Elided French words and the English possessive are tokens of their own; hyphenated names are one.
TOKEN = re.compile(
    r"(?:[ldjmtscn]|qu|jusqu|lorsqu|puisqu)['’](?=\w)|\w+(?:-\w+|['’](?!s\b)\w+)*|['’]s\b|\n|[^\w\s]",
    re.IGNORECASE,
)
# Codes of the lexicon. Case classes: how large a share of the word's uses is written in lower case.
FIRST, LAST, PLACE, PLACE_PART, REGION, FAMOUS, TECHNICAL = "f", "l", "p", "q", "c", "k", "t"
ORDINARY, MOSTLY, MIXED, PROPER, FRENCH = "o", "m", "x", "n", "r"
NAME_CODES = frozenset((FIRST, LAST, PLACE, PLACE_PART, REGION))
_SENTENCE_END = frozenset(".!?:;\n\"“”«»-–—•*#>(|'‘")
_CODE_BEFORE = frozenset("_./\\@$`=([{<:#")
_CODE_AFTER = frozenset("_(/\\@=[{`<")
_WINDOW = 3  # tokens around a candidate that the tagger sees as one sequence


class Token(NamedTuple):
    """Characters `start:end` of the text."""

    text: str
    start: int
    end: int


class Lexicon:
    """Lower-cased word -> its codes."""

    def __init__(self, codes: dict[str, str]) -> None:
        self._codes = codes

    @classmethod
    def read(cls, path: Path) -> "Lexicon":
        """Lines of `word<TAB>codes`. Raises ValueError naming the path and line of a damaged one."""
        codes = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            word, tab, value = line.partition("\t")
            if not tab:
                raise ValueError(f"{path}:{number}: not `word<TAB>codes`")
            codes[word] = value
        return cls(codes)

    def codes(self, word: str) -> str:
        """Codes of `word` in any case; of a hyphenated word, those that all its parts have when it is not listed."""
        lower = word.lower()
        found = self._codes.get(lower)
        if found is None and "-" in lower:
            parts = [self._codes.get(part, "") for part in lower.split("-")]
            found = "".join(code for code in parts[0] if all(code in part for part in parts[1:]))
        return found or ""

    def words(self) -> list[str]:
        return list(self._codes)

    def without_names(self, words: frozenset[str]) -> "Lexicon":
        """A lexicon in which `words` are on no list of names: in training, the names that no list has."""
        kept = {word: "".join(code for code in self._codes[word] if code in "omxnr") for word in words}
        return Lexicon({**self._codes, **kept})


class Word(NamedTuple):
    """What is known of a word wherever it stands."""

    own: tuple[bytes, ...]  # features of the token itself
    near: bytes  # the most telling of what its neighbours see of it
    around: tuple[tuple[bytes, ...], ...]  # all of it, as the neighbours at +1, -1, +2 and -2 list it
    codes: str
    capitalised: bool
    lower: str


def _word(own: tuple[str, ...], near: tuple[str, ...], codes: str, capitalised: bool, lower: str) -> Word:
    around = tuple(tuple(f"{place}{item}".encode() for item in near) for place in ("-1", "+1", "-2", "+2"))
    return Word(tuple(item.encode() for item in own), near[-1].encode(), around, codes, capitalised, lower)


_BEGIN = _word((), ("<s>",), "", False, "")
_END = _word((), ("</s>",), "", False, "")


def tokenize(text: str) -> list[Token]:
    return [Token(match.group(), match.start(), match.end()) for match in TOKEN.finditer(text)]


def shape(word: str) -> str:
    """`X` capital, `x` lower, `d` digit; runs shortened, so that Jean-Luc is `Xx-Xx` and McDonald `XxXx`."""
    out: list[str] = []
    for char in word:
        kind = "X" if char.isupper() else "x" if char.isalpha() else "d" if char.isdigit() else char
        if not out or out[-1] != kind:
            out.append(kind)
    if len(word) > 1 and word.isupper():
        return "XX" + "".join(out[1:])
    return "".join(out)[:8]


class Featurizer:
    """Features of tokens under one lexicon. Words are looked at once and remembered (bounded)."""

    _REMEMBERED = 50_000

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._words: dict[str, Word] = {}

    def word(self, text: str) -> Word:
        known = self._words.get(text)
        if known is None:
            if len(self._words) >= self._REMEMBERED:
                self._words.clear()
            known = self._words[text] = self._describe(text)
        return known

    def _describe(self, text: str) -> Word:
        lower, form, codes = text.lower(), shape(text), self._lexicon.codes(text)
        if not text[0].isalnum():
            return _word((f"w={text}",), (text,), "", False, text)
        lists = "".join(code for code in codes if code in "flpqckt")
        case = next((code for code in codes if code in "omxn"), "")
        french = FRENCH if FRENCH in codes else ""
        own = [f"s={form}", f"g={lists}", f"c={case}{french}", f"sgc={form}|{lists}|{case}{french}"]
        own += [f"g.{code}" for code in lists]
        near = [f"{form}|{lists}", f"c{case}{french}"]
        ordinary = case in ("o", "m") or french or (case == "x" and not lists)
        if ordinary and not any(char.isdigit() for char in text):
            own.append(f"w={lower}")
            near.append(f"w{lower}")
        else:
            own += [f"p2={lower[:2]}", f"p3={lower[:3]}", f"e1={lower[-1:]}", f"e2={lower[-2:]}", f"e3={lower[-3:]}"]
            own += [f"e4={lower[-4:]}", f"n={min(len(text), 12)}"]
        return _word(tuple(own), tuple(near), codes, text[0].isupper(), lower)

    def is_candidate(self, word: Word, *, starts: bool) -> bool:
        """Whether a token could belong to a name; the rest of a text is never shown to the tagger."""
        named = not NAME_CODES.isdisjoint(word.codes)
        if word.capitalised:
            ordinary = "o" in word.codes or ("r" in word.codes and starts) or ("m" in word.codes and starts)
            return named or not ordinary
        return named and word.lower.isalpha() and not any(code in word.codes for code in "omxr")

    def sequences(self, text: str) -> list[tuple[list[Token], list[list[bytes]]]]:
        """Stretches of tokens around candidates, with the features of each token."""
        tokens = tokenize(text)
        words = [self.word(token.text) for token in tokens]
        starts = [i == 0 or tokens[i - 1].text in _SENTENCE_END for i in range(len(tokens))]
        wanted = bytearray(len(tokens))
        for i, word in enumerate(words):
            if self.is_candidate(word, starts=starts[i]):
                low, high = max(0, i - _WINDOW), min(len(tokens), i + _WINDOW + 1)
                wanted[low:high] = b"\1" * (high - low)
        if not any(wanted):
            return []
        return self._stretches(text, tokens, words, starts, wanted)

    def _stretches(
        self, text: str, tokens: list[Token], words: list[Word], starts: list[bool], wanted: bytearray
    ) -> list[tuple[list[Token], list[list[bytes]]]]:
        lowered = {word.lower for word in words if not word.capitalised}
        cased = any(word.capitalised for word in words)
        lines = _capital_lines(words)
        out = []
        low = wanted.find(1)
        while low >= 0:
            high = wanted.find(0, low)
            high = len(tokens) if high < 0 else high
            rows = []
            for i in range(low, high):
                row = self._row(words, i)
                word, token = words[i], tokens[i]
                if starts[i]:
                    row.append(b"start")
                    row.append(b"start|" + word.around[0][0][2:])
                if not cased:
                    row.append(b"uncased")
                if word.capitalised and word.lower in lowered:
                    row.append(b"alsolower")
                if lines[i] and word.capitalised:
                    row.append(b"title")
                before = text[token.start - 1 : token.start]
                after = text[token.end : token.end + 1]
                if before in _CODE_BEFORE and before:
                    row.append(f"cb{before}".encode())
                if after in _CODE_AFTER and after:
                    row.append(f"ca{after}".encode())
                rows.append(row)
            out.append((tokens[low:high], rows))
            low = wanted.find(1, high)
        return out

    @staticmethod
    def _row(words: Sequence[Word], i: int) -> list[bytes]:
        last = len(words) - 1
        before = words[i - 1] if i > 0 else _BEGIN
        after = words[i + 1] if i < last else _END
        before2 = words[i - 2] if i > 1 else _BEGIN
        after2 = words[i + 2] if i + 1 < last else _END
        row = [*words[i].own, *before.around[0], *after.around[1], *before2.around[2], *after2.around[3]]
        row.append(b"-12%b|%b" % (before2.near, before.near))
        row.append(b"-+w%b|%b" % (before.near, after.near))
        row.append(b"+12%b|%b" % (after.near, after2.near))
        if i > 2:
            row.append(b"-3" + words[i - 3].near)
        if i + 2 < last:
            row.append(b"+3" + words[i + 3].near)
        return row


def _capital_lines(words: Sequence[Word]) -> list[bool]:
    """Per token, whether most words of its line are capitalised: a heading, or a line of a form."""
    out: list[bool] = []
    begin = 0
    for i in range(len(words) + 1):
        if i < len(words) and words[i].lower != "\n":
            continue
        letters = [word for word in words[begin:i] if word.lower[:1].isalpha()]
        capital = sum(word.capitalised for word in letters)
        out += [len(letters) > 1 and capital * 3 >= len(letters) * 2] * (i + 1 - begin)
        begin = i + 1
    return out[: len(words)]
