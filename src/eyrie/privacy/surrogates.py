"""Stand-ins for values that a prompt needs but nobody's prompt should carry: e-mail addresses and phone numbers.

A surrogate is drawn from (seed, what is left of the conversation, type, order of first appearance), never from the
value, so it tells nothing about the original: from the text as it was, whoever has the seed could try values until one
gives the surrogate. Within a conversation the same value always gets the same surrogate, whatever its spelling.
E-mail domains are reserved (RFC 2606) and North American numbers use the fictional 555-0100 to 555-0199 block; a
general fake-data library gives addresses and numbers that may be somebody's, and changes them between releases.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from eyrie.params.prompts import SURROGATE_ENTITIES
from eyrie.privacy.dialling import dialled, without_extension
from eyrie.privacy.spelling import bare

_FIRST = ("alex", "blake", "casey", "dana", "ellis", "frankie", "gray", "harper", "indigo", "jamie", "kelly", "logan")
_LAST = ("archer", "barlow", "carver", "dalton", "ellery", "fenwick", "garland", "hollis", "ingram", "jarvis", "keller")
_TLDS = ("com", "net", "org")
_MAX_ATTEMPTS = 50
_NORTH_AMERICAN_DIGITS = 10
_MOST_OTHER_DIGITS, _FEWEST_OTHER_DIGITS = 9, 4  # of other countries' numbers; the first digit stays where it can


def _email(rng: random.Random) -> str:
    return f"{rng.choice(_FIRST)}.{rng.choice(_LAST)}{rng.randint(1, 999)}@example.{rng.choice(_TLDS)}"


@dataclass(frozen=True)
class _Shape:
    """Which digits of a phone number are exchanged: the last `num_digits`."""

    north_american: bool
    num_digits: int


def _phone(written: str, shape: _Shape, rng: random.Random) -> str:
    """The original's punctuation around new digits, filled from the right so that other spellings agree."""
    area = f"{rng.randint(2, 9)}{rng.randint(0, 9)}{rng.randint(1, 9)}"
    line = f"01{rng.randint(0, 99):02d}"
    other = "".join(str(rng.randint(0, 9)) for _ in range(20))
    number = without_extension(written)
    fresh = (area + "555" + line if shape.north_american else other)[-shape.num_digits :]
    return _exchanged(number, fresh) + _exchanged(written[len(number) :], other)


def _exchanged(text: str, fresh: str) -> str:
    """`text` with its last digits exchanged for those of `fresh`."""
    digits = [char for char in text if char.isdecimal()]
    fresh = fresh[max(len(fresh) - len(digits), 0) :]
    replacement = iter([*digits[: len(digits) - len(fresh)], *fresh])
    return "".join(next(replacement) if char.isdecimal() else char for char in text)


def _key_of(entity: str, value: str) -> str:
    return dialled(value).key if entity == "PHONE_NUMBER" else bare(value).lower()


def _shape_of(spellings: Iterable[str]) -> _Shape:
    """One for all spellings of a number: a country or a trunk's 0 in one of them says what the others are."""
    numbers = [dialled(spelling) for spelling in spellings]
    if all(number.north_american for number in numbers):
        return _Shape(True, _NORTH_AMERICAN_DIGITS)
    shortest = min(len(number.national) for number in numbers)
    return _Shape(False, min(_MOST_OTHER_DIGITS, max(shortest - 1, min(shortest, _FEWEST_OTHER_DIGITS))))


class Surrogates:
    """The surrogates of one conversation. `masked` names it and is the same whatever the values; `originals` are the
    (type, value) pairs that will be replaced in it."""

    def __init__(self, *, seed: int, masked: str, originals: Iterable[tuple[str, str]]) -> None:
        self._origin = f"{seed}/{masked}"
        self._order: dict[tuple[str, str], int] = {}
        self._used: dict[tuple[str, str], tuple[str, str]] = {}  # surrogate -> whose it is
        self._spellings: dict[tuple[str, str], set[str]] = {}
        for entity, value in originals:
            if entity in SURROGATE_ENTITIES:
                self._spellings.setdefault((entity, _key_of(entity, value)), set()).add(value)

    def replace(self, entity: str, value: str) -> str | None:
        """A plausible value of type `entity`: no value of this conversation, and nobody else's surrogate.

        None when the value has no digits to exchange, has letters beside them (a vanity number), or when this many
        attempts met values that are taken: better redacted.
        """
        key = (entity, _key_of(entity, value))
        is_phone = entity == "PHONE_NUMBER"
        if is_phone and (not key[1] or any(char.isalpha() for char in without_extension(value))):
            return None
        index = self._order.setdefault(key, len(self._order))
        for attempt in range(_MAX_ATTEMPTS):
            rng = random.Random(f"{self._origin}/{entity}/{index}/{attempt}")  # noqa: S311  reproducible, not a cipher
            surrogate = _phone(value, _shape_of(self._spellings.get(key, {value})), rng) if is_phone else _email(rng)
            made = (entity, _key_of(entity, surrogate))
            if made not in self._spellings and self._used.setdefault(made, key) == key:
                return surrogate
        return None
