"""Features by which a tagger tells a secret that somebody chose; shared by training and screening.

In: a text. Out: its candidates (`eyrie.privacy.secret_candidates`) with the features that the CRF of
`eyrie.privacy.chosen_secrets` sees: what a candidate looks like, the words around it, and how far the next word is that
speaks of passwords, logins, numbers to type in, locks, networks or ciphers.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache

from eyrie.privacy.passwords import is_placeholder, is_thing, looks_made_up, may_be_told, stands_out
from eyrie.privacy.plain_words import is_plain
from eyrie.privacy.secret_candidates import LINE, Candidate, Tokens, candidates_in
from eyrie.privacy.secret_topics import FUNCTION_WORDS

_RUN = re.compile(r"[A-ZÀ-Þ]+|[a-zß-ÿ]+|\d+|[^A-Za-zÀ-ÿ\d]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_SHORT = 4  # letters; fewer say nothing of a word
_BEFORE, _AFTER = 12, 6  # tokens whose words are seen, in no order
_DISTANCES = (1, 2, 3, 5, 8, 14, 30, 70, 1 << 30)  # bounds of how far a topic is


def found_in(text: str) -> tuple[list[Candidate], list[list[str]]]:
    """What might be a secret, in order of the text, and the features of each."""
    tokens, found = candidates_in(text)
    return found, [] if tokens is None else _features(text, tokens, found)


def _features(text: str, tokens: Tokens, found: list[Candidate]) -> list[list[str]]:
    """Of each candidate its features, by name."""
    starts, words, topics = tokens
    everywhere = [f"t={word}" for word in _distinct(words[i] for places in topics.values() for i in places)]
    everywhere += [f"T={topic}" for topic in topics]
    lines = [0, *(starts[i] + 1 for i, word in enumerate(words) if word == LINE)]
    signs = [i for i, word in enumerate(words) if word in (":", "=")]
    padded = ["<>"] * 4 + words + ["<>"] * 4
    out = []
    for item in found:
        first, after = bisect_left(starts, item.start), bisect_left(starts, item.end)
        out.append([
            *_of_value(text[item.start : item.end], item.kind),
            *everywhere,
            *_of_surroundings(text, item, padded[first : first + 4], padded[after + 4 : after + 7]),
            *(f"b={word}" for word in _distinct(words[max(0, first - _BEFORE) : first])),
            *(f"a={word}" for word in _distinct(words[after : after + _AFTER])),
            *_of_topics(words, topics, first, after),
            *_of_line(text, tokens, item, lines, signs),
        ])  # fmt: skip
    return out


@lru_cache(maxsize=20_000)
def _of_value(value: str, kind: str) -> tuple[str, ...]:
    out = [f"k={kind}", f"n={min(len(value), 20)}"]
    if kind == "number":
        digits = "".join(filter(str.isdecimal, value))
        out += [f"d={min(len(digits), 13)}", f"f={re.sub(r'[0-9]', 'd', value)}"]
        if len(digits) == 4 and 1900 <= int(digits) <= 2035:
            out.append("year")
        if digits.endswith("00"):
            out.append("round")
        return tuple(out)
    if kind == "phrase":
        words = value.split()
        out += [
            f"words={len(words)}",
            f"functional={min(sum(word.lower() in FUNCTION_WORDS for word in words), 3)}",
            f"capitals={min(sum(word[:1].isupper() for word in words), 3)}",
            f"plain={sum(map(is_plain, words)) * 4 // len(words)}",
            f"marks={any(char in ',.!?;()' for char in value)}",
        ]
        return tuple(out)
    return (*out, *_of_word(value))


def _of_word(value: str) -> Iterator[str]:
    core = value.rstrip("!?")
    kinds = [_kind_of(char) for char in value]
    shape = "".join(_kind_of(run[0]) for run in _RUN.findall(value))
    classes = "".join(sorted({kind if kind in "Xxd" else "s" for kind in kinds}))
    yield from (f"s={shape[:10]}", f"c={classes}", f"cn={classes}|{min(len(value), 16)}", f"r={min(len(shape), 8)}")
    yield from (f"sign={char}" for char in sorted(set(kinds) - {"X", "x", "d"}))
    yield from (f"first={kinds[0]}", f"last={kinds[-1]}", f"digits={min(kinds.count('d'), 8)}")
    judged = "".join(
        name
        for name, yes in (
            ("thing,", is_thing(core)),
            ("placeholder,", is_placeholder(value)),
            ("stands,", stands_out(value)),
            ("made,", looks_made_up(value)),
            ("told,", may_be_told(value)),
        )
        if yes
    )
    yield f"j:{judged}"
    yield from (f"j={name}" for name in judged.split(",") if name)
    letters = max(_LETTERS.findall(value), key=len, default="")
    if len(letters) >= _SHORT:
        yield f"plain={is_plain(letters)}"
    if core.isalpha():
        yield from (f"v={core.lower()}", "alpha")


_distinct = dict.fromkeys  # in their order, unlike a set: the model is the same at each build


def _kind_of(char: str) -> str:
    return "X" if char.isupper() else "x" if char.isalpha() else "d" if char.isdecimal() else char


def _of_surroundings(text: str, item: Candidate, before: list[str], after: list[str]) -> tuple[str, ...]:
    """The words at each place around it, and some of them together."""
    b4, b3, b2, b1 = before
    a1, a2, a3 = after
    left, right = _sign(text[item.start - 1 : item.start]), _sign(text[item.end : item.end + 1])
    return (
        *(f"-1={b1}", f"-2={b2}", f"-3={b3}", f"-4={b4}", f"+1={a1}", f"+2={a2}", f"+3={a3}"),
        *(f"-21={b2}|{b1}", f"-32={b3}|{b2}", f"-321={b3}|{b2}|{b1}", f"+12={a1}|{a2}", f"-+={b1}|{a1}"),
        *(f"L={left}", f"R={right}", f"LR={left}{right}", f"k-1={item.kind}|{b1}", f"k-21={item.kind}|{b2}|{b1}"),
    )


def _sign(char: str) -> str:
    """Of the character beside a candidate."""
    return "|" if not char or char == "\n" else "_" if char.isspace() else "x" if char.isalnum() else char


def _of_topics(words: list[str], topics: dict[str, list[int]], first: int, after: int) -> list[str]:
    """How far the nearest word of each topic is, on either side, and which word the nearest of all is."""
    out = []
    nearest, name = 1 << 30, ""
    for topic, places in topics.items():
        at = bisect_left(places, first)
        if at:
            distance = first - places[at - 1]
            out.append(f"<{topic}={bisect_left(_DISTANCES, distance)}")
            if distance < nearest:
                nearest, name = distance, f"<{topic}|{words[places[at - 1]]}"
        at = bisect_left(places, after)
        if at < len(places):
            distance = places[at] - after + 1
            out.append(f">{topic}={bisect_left(_DISTANCES, distance)}")
            if distance < nearest:
                nearest, name = distance, f">{topic}|{words[places[at]]}"
    if name:
        out += [f"near={name}", f"near={name}|{bisect_left(_DISTANCES, nearest)}"]
    return out


def _of_line(text: str, tokens: Tokens, item: Candidate, lines: list[int], signs: list[int]) -> list[str]:
    """What its line is like: how it begins, a label, nothing else on it; and what the line before says."""
    starts, words, _ = tokens
    at = bisect_left(lines, item.start + 1) - 1
    begin, end = lines[at], lines[at + 1] - 1 if at + 1 < len(lines) else len(text)
    i, j = bisect_left(starts, begin), bisect_left(starts, item.start)
    out = [f"l0={words[i] if i < j else '-'}", f"place={min(j - i, 6)}"]
    after = bisect_left(starts, item.end)
    if i == j and (after == len(starts) or starts[after] >= end) and not text[item.end : item.end + 1].strip():
        out.append("alone")
    if at and i >= 2:
        above = bisect_left(starts, lines[at - 1])
        out += [f"up={words[i - 2]}", f"up0={words[above]}"]
        out += [f"u={word}" for word in _distinct(words[above : max(above, i - 1)][-10:])]
    last = bisect_left(signs, j) - 1
    if last >= 0 and signs[last] > i:
        label = signs[last]
        out += [f"label={words[label - 1]}", f"label2={words[label - 2] if label > 1 else ''}|{words[label - 1]}"]
    return out
