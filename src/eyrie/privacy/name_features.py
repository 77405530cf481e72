"""Tokens, lexicon and features of the name tagger; `eyrie.privacy.name_scores` sums their weights for screening.

In: a text and a `Lexicon`. Out: tokens with offsets, which of them could belong to a name, and the features that the
linear-chain CRF sees for each (Lafferty et al., 2001; features after Tjong Kim Sang and De Meulder, CoNLL-2003).

The lexicon holds one line per lower-cased word: what lists it is on and how often it is written in lower case.
A word's identity is a feature only when it is an ordinary word: names are known by list, spelling and surroundings.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

# Elided French words and the English possessive are tokens of their own; hyphenated names are one.
TOKEN = re.compile(
    r"(?:[ldjmtscn]|qu|jusqu|lorsqu|puisqu)['’](?=\w)|\w+(?:-\w+|['’](?!s\b)\w+)*|['’]s\b|\n|[^\w\s]",
    re.IGNORECASE,
)
# Codes of the lexicon. Case classes: how large a share of the word's uses is written in lower case.
FIRST, LAST, PLACE, PLACE_PART, REGION, FAMOUS, TECHNICAL, PACKAGE = "f", "l", "p", "q", "c", "k", "t", "h"
ORDINARY, MOSTLY, MIXED, PROPER, FRENCH = "o", "m", "x", "n", "r"
NAME_CODES = frozenset((FIRST, LAST, PLACE, PLACE_PART, REGION))
SENTENCE_END = frozenset(".!?:;\n\"“”«»-–—•*#>(|'‘")
CODE_BEFORE = frozenset("_./\\@$`=([{<:#")
CODE_AFTER = frozenset("_(/\\@=[{`<")
_REMEMBERED = 50_000  # words
WINDOW = 3  # tokens around a candidate that the tagger sees as one sequence


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
        kept = {word: "".join(code for code in self._codes[word] if code in "omxnrh") for word in words}
        return Lexicon({**self._codes, **kept})


class Word(NamedTuple):
    """What is known of a word wherever it stands."""

    own: tuple[bytes, ...]  # features of the token itself
    near: bytes  # the most telling of what its neighbours see of it
    third: tuple[tuple[bytes, ...], tuple[bytes, ...]]  # that, as the words at +3 and -3 list it
    around: tuple[tuple[bytes, ...], ...]  # all of it, as the neighbours at +1, -1, +2 and -2 list it
    start: bytes  # feature of the token when a sentence starts with it
    candidate: bool  # whether it could belong to a name
    candidate_at_start: bool  # and when a sentence starts with it
    codes: str
    capitalised: bool
    lower: str
    letter: bool  # begins with one


def _word(own: tuple[str, ...], near: tuple[str, ...], codes: str, capitalised: bool, lower: str) -> Word:
    around = tuple(tuple(f"{place}{item}".encode() for item in near) for place in ("-1", "+1", "-2", "+2"))
    start = f"start|{near[0]}".encode()
    at_start, elsewhere = (_is_candidate(codes, capitalised, lower, starts=starts) for starts in (True, False))
    return Word(
        own=tuple(item.encode() for item in own),
        near=near[-1].encode(),
        third=((f"-3{near[-1]}".encode(),), (f"+3{near[-1]}".encode(),)) if own else ((), ()),
        around=around,
        start=start,
        candidate=elsewhere,
        candidate_at_start=at_start,
        codes=codes,
        capitalised=capitalised,
        lower=lower,
        letter=lower[:1].isalpha(),
    )


def _is_candidate(codes: str, capitalised: bool, lower: str, *, starts: bool) -> bool:
    """Whether a token could belong to a name; the rest of a text is never shown to the tagger."""
    named = not NAME_CODES.isdisjoint(codes)
    if capitalised:
        ordinary = "o" in codes or ("r" in codes and starts) or ("m" in codes and starts)
        return named or not ordinary
    return named and lower.isalpha() and not any(code in codes for code in "omxr")


_BEGIN = _word((), ("<s>",), "", False, "")
_LINE_END = _word((), ("<n>",), "", False, "\n")
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
    """Features of tokens under one lexicon."""

    begin, end = _BEGIN, _END  # what stands around a text

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._word = lru_cache(maxsize=_REMEMBERED)(self.word)

    def word(self, text: str) -> Word:
        """What a token is, wherever it stands."""
        lower, form, codes = text.lower(), shape(text), self._lexicon.codes(text)
        if not text[0].isalnum():
            written = "<n>" if text == "\n" else text
            return _word((f"w={written}",), (written,), "", False, text)
        lists = "".join(code for code in codes if code in "flpqckth")
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
            if not lists and self._is_compound(lower):
                own.append("compound")
        return _word(tuple(own), tuple(near), codes, text[0].isupper(), lower)

    def _is_compound(self, word: str) -> bool:
        """Two ordinary words written as one: Keystone, Dropbox, Blackwood."""
        codes = self._lexicon.codes
        return any("o" in codes(word[:i]) and "o" in codes(word[i:]) for i in range(3, len(word) - 2))

    def sequences(self, text: str) -> list[tuple[list[re.Match[str]], list[list[bytes]]]]:
        """Stretches of tokens (matches of TOKEN) around candidates, with the features of each token."""
        matches = list(TOKEN.finditer(text))
        texts = [match[0] for match in matches]
        words = list(map(self._word, texts))
        starts = [True, *(item in SENTENCE_END for item in texts[:-1])]
        wanted = bytearray(len(words))
        for i, word in enumerate(words):
            if word.candidate_at_start if starts[i] else word.candidate:
                low, high = max(0, i - WINDOW), min(len(words), i + WINDOW + 1)
                wanted[low:high] = b"\1" * (high - low)
        if not any(wanted):
            return []
        return self._stretches(text, matches, words, starts, wanted)

    def _stretches(
        self, text: str, matches: list[re.Match[str]], words: list[Word], starts: list[bool], wanted: bytearray
    ) -> list[tuple[list[re.Match[str]], list[list[bytes]]]]:
        lowered = {word.lower for word in words if not word.capitalised}
        cased = any(word.capitalised for word in words)
        lines = _capital_lines(words)
        out = []
        low = wanted.find(1)
        while low >= 0:
            high = wanted.find(0, low)
            high = len(words) if high < 0 else high
            rows = self._rows(words, low, high)
            for i, row in enumerate(rows, low):
                word = words[i]
                if starts[i]:
                    row.append(b"start")
                    row.append(word.start)
                if not cased:
                    row.append(b"uncased")
                if word.capitalised:
                    if word.lower in lowered:
                        row.append(b"alsolower")
                    if lines[i]:
                        row.append(b"title")
                start, end = matches[i].span()
                if start and text[start - 1] in CODE_BEFORE:
                    row.append(f"cb{text[start - 1]}".encode())
                if end < len(text) and text[end] in CODE_AFTER:
                    row.append(f"ca{text[end]}".encode())
            out.append((matches[low:high], rows))
            low = wanted.find(1, high)
        return out

    def _rows(self, words: list[Word], low: int, high: int) -> list[list[bytes]]:
        """What words `low:high` are, and what is around each: up to three words on either side."""
        begin, end = [self.begin] * 3, [self.end] * 3
        around = [*begin, *words[max(0, low - 3) : high + 3], *end][low if low < 3 else 3 :]
        shifted = (around[shift : shift + high - low] for shift in range(7))
        rows = []
        for before3, before2, before, word, after, after2, after3 in zip(*shifted, strict=True):
            row = [*word.own, *before.around[0], *after.around[1], *before2.around[2], *after2.around[3]]
            row.append(b"-12%b|%b" % (before2.near, before.near))
            row.append(b"-+w%b|%b" % (before.near, after.near))
            row.append(b"+12%b|%b" % (after.near, after2.near))
            row += before3.third[0]
            row += after3.third[1]
            rows.append(row)
        return rows


def _capital_lines(words: Sequence[Word]) -> list[bool]:
    """Per token, whether most words of its line are capitalised: a heading, or a line of a form."""
    out: list[bool] = []
    begin = letters = capital = 0
    for i, word in enumerate((*words, _LINE_END)):
        if word.lower == "\n":
            out += [letters > 1 and capital * 3 >= letters * 2] * (i + 1 - begin)
            begin, letters, capital = i + 1, 0, 0
        elif word.letter:
            letters += 1
            capital += word.capitalised
    return out[: len(words)]
