"""What might be a secret that somebody chose: a word, a group of digits, a phrase in quotes.

In: a text. Out: its tokens, and candidates with their places. Where nobody speaks of secrets only what looks like
nothing else is one; words of letters are candidates only near a word for passwords or codes (`secret_topics`).
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from eyrie.privacy.passwords import is_resource, looks_made_up, stands_out
from eyrie.privacy.plain_words import is_plain
from eyrie.privacy.random_keys import PUBLISHED
from eyrie.privacy.secret_topics import FUNCTION_WORDS, HINTING, OPENING, TELLING, TELLING_STEMS, topic_of

_TOKEN = re.compile(r"\w+(?:['’]\w+)?|\n|[^\w\s]")
_PIECE = re.compile(r"[^\s\"'`“”„«»‘’()\[\]{}<>|;,=]{4,}")
_CHUNK = re.compile(r"\S+")
# With what parts pieces inside it, as drawn passwords have it.
_DRAWN = re.compile(r"(?=\S*[a-z])(?=\S*[A-Z])(?=\S*\d)\S*[=,;|()\[\]{}<>:/]\S*")
_CAMEL = re.compile(r"(?:[A-ZÀ-Þ][a-zß-ÿ]{2,}){3,}")
_SENTENCE = ".,:;!?…\"'`“”„«»‘’()-–—"
# Of a sentence: a word, or two that are joined, with its marks.
_OF_LETTERS = re.compile(r"[^\W\d_]+(?:[-'’_][^\W\d_]+)?[!?.,:;…*~]*")
_DIVIDED = re.compile(r"[:/]+|->|=>|→|–|—")
_DIGIT_GROUPS = re.compile(
    r"(?<![\w.,:/+-])(?!(?:19|20)\d\d-[01]\d-[0-3]\d)\d{2,4}(?:(?:[ -]| - )\d{2,4}){1,5}(?![\w:/]|[.,-]\d)"
)
_OPTION = re.compile("[a-z]+(?:-[a-z]+)+")
_PHRASES = (
    re.compile(r"(?<!\w)[\"'`“„«‘*](?P<v>[^\W\d_][^\n\"'`“”„«»‘’*<>{}=;]{8,80}?)[\"'`”“»’*](?!\w)"),
    re.compile(
        r"(?:[:=→]|->|=>) ?(?P<v>[^\W\d_][^\n:=;<>{}()\"'`]{10,80})$|^(?P<w>[a-zà-ÿ][^\n:=;<>{}()\"'`]{10,80})$",
        re.MULTILINE,
    ),
)
# Dates, measures, variables, and what nobody chooses: UUIDs and digests, which are told by what is beside them.
_NEVER = re.compile(
    # and a version of a package, an amount of memory, a setting of Java's, a case of an American court
    r"[\w/.-]+@[~^]?\d+(?:\.\d+)+|\d+(?:[KMGT]i?[Bb]?|[mµn]?s|px|r?em|vh|vw|[kM])|Xm[xsn]\d+[kmgKMG]|(?:\d:)?\d\d-(?:cv|cr|mc|md|mj|bk|ap)-\d{3,6}|"
    r"[+-]?\d+(?:[.,:/-]\d+)*[%€$£]?|\d{4}-\d\d-\d\dT[\d:.]+Z?|[€$£]\d+(?:[.,]\d+)*"
    r"|\$\{?[A-Z][A-Z0-9_]*\}?|[0-9a-fA-F]{24,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=\S*\d)[A-Za-z0-9+/]{36,}=*"
)
LINE = "<n>"  # a dump of a model has a feature per line
_OPENERS = frozenset("\"'`“„«‘([{<|:=>→/*\n")
_LEADING, _TRAILING = ".,:;*_~¿¡-", ".,:;…*~"
_MIN, _MAX, _MAX_DIGITS = 4, 64, 24
_NEAR, _NEAR_AFTER = 10, 4  # tokens behind a telling word, and before one, where a word of letters may be a secret


class Candidate(NamedTuple):
    """Characters `start:end` of the text; `kind` is word, number or phrase."""

    start: int
    end: int
    kind: str


class Tokens(NamedTuple):
    """Words, numbers and signs of a text."""

    starts: list[int]
    words: list[str]  # as features name them: a word in small letters, the length of a number, a sign
    topics: dict[str, list[int]]  # which tokens speak of each


@lru_cache(maxsize=50_000)
def _described(written: str) -> tuple[str, str]:
    """How features name a token, and its topic."""
    if written == "\n":
        return LINE, ""
    if written.isdecimal():
        return f"#{min(len(written), 9)}", ""
    lower = written.lower()
    topic = topic_of(lower)
    if any(map(str.isdecimal, written)) and not topic:
        return "#x", ""
    return lower, topic


def tokens_of(text: str) -> Tokens:
    matches = list(_TOKEN.finditer(text))
    described = [_described(match[0]) for match in matches]
    topics: dict[str, list[int]] = {}
    for i, (_, topic) in enumerate(described):
        if topic:
            topics.setdefault(topic, []).append(i)
    return Tokens([match.start() for match in matches], [word for word, _ in described], topics)


def candidates_in(text: str) -> tuple[Tokens | None, list[Candidate]]:
    """The tokens of the text and its candidates, in order; no tokens are made where there can be no candidate."""
    telling = TELLING_STEMS.occur_in(text)
    signed = list(_signed(text))
    if not telling and not signed:
        return None, []
    tokens = tokens_of(text)
    if not tokens.topics:
        # Nobody speaks of secrets or of what they open: only what looks like nothing else.
        signed = [item for item in signed if _is_striking(text[item.start : item.end])]
    places = sorted(i for topic in TELLING & tokens.topics.keys() for i in tokens.topics[topic])
    opening = sorted(i for topic in OPENING & tokens.topics.keys() for i in tokens.topics[topic])
    if places or HINTING & tokens.topics.keys():
        signed += _words_of_letters(text, tokens.starts, places, opening)
        signed += _phrases(text)
    elif opening:
        signed += (item for item in _words_of_letters(text, tokens.starts, (), opening) if not _is_word(text, item))
    found = sorted({(item.start, item.end): item for item in signed}.values())
    return tokens, found


@lru_cache(maxsize=20_000)
def _is_striking(value: str) -> bool:
    return stands_out(value) or looks_made_up(value)


def _is_word(text: str, item: Candidate) -> bool:
    return is_plain(text[item.start : item.end].rstrip("!?"))


def _signed(text: str) -> Iterator[Candidate]:
    """Numbers, and words with a digit or a sign."""
    grouped = False
    for match in _CHUNK.finditer(text):
        chunk = match[0]
        if chunk.isalpha() or (core := chunk.strip(_SENTENCE)).isalpha():
            continue
        grouped = grouped or core[:2].isdecimal()
        if len(core) < _MIN or _OF_LETTERS.fullmatch(core) or "://" in core or PUBLISHED.match(core):
            continue
        if 2 * _MIN <= len(core) <= _MAX and _DRAWN.fullmatch(core):
            start = match.start() + chunk.index(core)
            yield Candidate(start, start + len(core), "word")
        for piece in _PIECE.finditer(text, *match.span()):
            start, end = piece.span()
            in_brackets = text[start - 1 : start] == "<" and text[end : end + 1] == ">"  # a placeholder
            if not (in_brackets or _OF_LETTERS.fullmatch(piece[0])):
                yield from _with_signs(text, start, end)
    for match in _DIGIT_GROUPS.finditer(text) if grouped else ():
        if 4 <= sum(map(str.isdecimal, match[0])) <= _MAX_DIGITS:
            yield Candidate(*match.span(), "number")


def _words_of_letters(
    text: str, starts: list[int], telling: Sequence[int], opening: Sequence[int]
) -> Iterator[Candidate]:
    """Words in quotes, after a sign, alone on their line, of words, or near a telling word.

    What no list of words has is one also near a word for what is opened.
    """
    for piece in _PIECE.finditer(text):
        value = piece[0].rstrip(_TRAILING + "?")
        start = piece.start()
        end = start + len(value)
        if not _MIN <= len(value) <= _MAX or not _OF_LETTERS.fullmatch(value) or value.lower() in FUNCTION_WORDS:
            continue
        before = text[max(0, start - 2) : start].rstrip(" ")[-1:]
        if (
            start > 0
            and before not in _OPENERS
            and text[end : end + 1] not in ("|", "/")
            and not _CAMEL.fullmatch(value)
        ):
            at = bisect_left(starts, start)
            if not _is_near(telling, at) and (not _is_near(opening, at) or is_plain(value)):
                continue
        yield Candidate(start, end, "word")


def _is_near(places: Sequence[int], at: int) -> bool:
    near = bisect_left(places, at - _NEAR)
    return near < len(places) and places[near] <= at + _NEAR_AFTER


def _phrases(text: str) -> Iterator[Candidate]:
    """Words in quotes, behind a label, or alone on their line."""
    for pattern in _PHRASES:
        for match in pattern.finditer(text):
            group = match.lastgroup or "v"
            if 2 <= match[group].count(" ") <= 11:
                yield Candidate(*match.span(group), "phrase")


def _with_signs(text: str, start: int, end: int) -> Iterator[Candidate]:
    """The piece without the marks of the sentence, and the parts of it that a colon, a slash or an arrow divides."""
    bounds = [(start, end)]
    if signs := list(_DIVIDED.finditer(text, start, end)):
        edges = [start, *(edge for sign in signs for edge in sign.span()), end]
        bounds += zip(edges[::2], edges[1::2], strict=True)
    for first, last in bounds:
        kept = text[first:last].lstrip(_LEADING)
        start = last - len(kept)
        kept = kept.rstrip(_TRAILING)
        core = kept.rstrip("!?")
        if len(core) < _MIN - (core != kept) or len(kept) > _MAX:
            continue
        if core.isdecimal():
            if len(core) <= _MAX_DIGITS:
                yield Candidate(start, start + len(core), "number")
        elif text[start - 2 : start] == "--" and _OPTION.fullmatch(core):
            continue
        elif not ((core.isalpha() and core == kept) or _NEVER.fullmatch(kept) or is_resource(core)):
            yield Candidate(start, start + len(kept), "word")
