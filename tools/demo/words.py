"""Word lists of the demo text generator.

In: `words/lists.txt` (named, comma-separated lists) and `words/topics.txt` (kinds of things with
their purpose, parts, risk and care, and the items of each kind). Out: typed, cached values.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

WORDS_DIR = Path(__file__).parent / "words"


@dataclass(frozen=True)
class Kind:
    """What all items of one kind share; answers about an item are composed from it."""

    name: str
    use: str
    parts: tuple[str, ...]
    risk: str
    care: tuple[str, ...]
    items: tuple[str, ...]


@cache
def word_lists() -> dict[str, tuple[str, ...]]:
    """The named lists of `lists.txt`."""
    lists: dict[str, tuple[str, ...]] = {}
    name = ""
    for line in (WORDS_DIR / "lists.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            name = line.strip("[]")
        elif line.strip():
            lists[name] = tuple(dict.fromkeys(word.strip() for word in line.split(",")))
    return lists


@cache
def kinds() -> tuple[Kind, ...]:
    """The kinds of `topics.txt`."""
    found: list[Kind] = []
    text = (WORDS_DIR / "topics.txt").read_text(encoding="utf-8")
    for block in text.strip().split("\n\n"):
        head, items = block.split("\nitems: ")
        facts = dict(part.split(": ", 1) for part in head.split(" | "))
        found.append(
            Kind(
                name=facts["kind"],
                use=facts["use"],
                parts=tuple(facts["parts"].split("; ")),
                risk=facts["risk"],
                care=tuple(facts["care"].split("; ")),
                items=tuple(items.strip().split(", ")),
            )
        )
    return tuple(found)


def pick(rng: random.Random, name: str) -> str:
    """One word of a named list."""
    return rng.choice(word_lists()[name])


def picks(rng: random.Random, name: str, count: int) -> list[str]:
    """`count` different words of a named list."""
    return rng.sample(word_lists()[name], count)


def topic(rng: random.Random) -> tuple[str, Kind]:
    """An item and its kind."""
    kind = rng.choice(kinds())
    return rng.choice(kind.items), kind


def full_name(rng: random.Random) -> str:
    """An invented first and last name."""
    return f"{pick(rng, 'first_names')} {pick(rng, 'last_names')}"


def company(rng: random.Random) -> str:
    """An invented company name."""
    return f"{pick(rng, 'org_heads')} {pick(rng, 'org_tails')}"


def article(noun: str) -> str:
    """The noun with its indefinite article."""
    vowel = noun[0].lower() in "aeiou" and not noun.lower().startswith(("uni", "use", "uku", "one"))
    return f"{'an' if vowel else 'a'} {noun}"


def joined(words: Sequence[str]) -> str:
    """`a`, `a and b`, or `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def capital(text: str) -> str:
    """The text with an upper-case first letter and the rest unchanged."""
    return text[:1].upper() + text[1:]


def numbered(lines: Sequence[str]) -> str:
    """A numbered list, one line each."""
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))
