"""Stand-ins for values that a prompt needs but nobody's prompt should carry: e-mail addresses and phone numbers.

A surrogate is drawn from (seed, prompt, type, order of first appearance), never from the value, so it tells nothing
about the original. Within a conversation the same value always gets the same surrogate, whatever its spelling.
E-mail domains are reserved (RFC 2606) and North American numbers use the fictional 555-0100 to 555-0199 block; a
general fake-data library gives addresses and numbers that may be somebody's, and changes them between releases.
"""

import random
import re
from collections.abc import Callable, Iterable

_FIRST = ("alex", "blake", "casey", "dana", "ellis", "frankie", "gray", "harper", "indigo", "jamie", "kelly", "logan")
_LAST = ("archer", "barlow", "carver", "dalton", "ellery", "fenwick", "garland", "hollis", "ingram", "jarvis", "keller")
_TLDS = ("com", "net", "org")
_MAX_ATTEMPTS = 50
_EXTENSION = re.compile(r"\s*(?:ext\.?|extension|x)\s*\d+$", re.IGNORECASE)
_KEPT_PREFIX = 3  # country or trunk code and the first area digit of other countries' numbers


def _email(_: str, rng: random.Random) -> str:
    return f"{rng.choice(_FIRST)}.{rng.choice(_LAST)}{rng.randint(1, 999)}@example.{rng.choice(_TLDS)}"


def _phone(original: str, rng: random.Random) -> str:
    """The original's punctuation around new digits, filled from the right so that other spellings agree."""
    digits = [char for char in original if char.isdecimal()]
    north_american = (len(digits) == 10 and digits[0] in "23456789") or (len(digits) == 11 and digits[0] == "1")
    area = f"{rng.randint(2, 9)}{rng.randint(0, 9)}{rng.randint(1, 9)}"
    line = f"01{rng.randint(0, 99):02d}"
    other = "".join(str(rng.randint(0, 9)) for _ in range(20))
    fresh = list(area + "555" + line) if north_american else list(other[: max(len(digits) - _KEPT_PREFIX, 4)])
    digits[len(digits) - len(fresh) :] = fresh
    replacement = iter(digits)
    return "".join(next(replacement) if char.isdecimal() else char for char in original)


def _email_key(value: str) -> str:
    return value.lower()


def _phone_key(value: str) -> str:
    return "".join(char for char in value if char.isdecimal())[-9:]


def _without_extension(value: str) -> str:
    return _EXTENSION.sub("", value)


_MAKERS: dict[str, tuple[Callable[[str, random.Random], str], Callable[[str], str]]] = {
    "EMAIL_ADDRESS": (_email, _email_key),
    "PHONE_NUMBER": (_phone, _phone_key),
}
SURROGATE_ENTITIES = frozenset(_MAKERS)


class Surrogates:
    """The surrogates of one conversation. `originals` are the (type, value) pairs that will be replaced in it."""

    def __init__(self, *, seed: int, prompt_id: str, originals: Iterable[tuple[str, str]]) -> None:
        self._origin = f"{seed}/{prompt_id}"
        self._order: dict[tuple[str, str], int] = {}
        self._used: dict[str, tuple[str, str]] = {}  # surrogate -> whose it is
        self._originals = {(entity, _MAKERS[entity][1](value)) for entity, value in originals if entity in _MAKERS}

    def replace(self, entity: str, value: str) -> str | None:
        """A plausible value of type `entity`: no value of this conversation, and nobody else's surrogate.

        None when the value has no digits to exchange, has letters beside them (a vanity number), or when this many
        attempts met values that are taken: better redacted.
        """
        make, key_of = _MAKERS[entity]
        key = (entity, key_of(value))
        if entity == "PHONE_NUMBER" and (not key[1] or any(char.isalpha() for char in _without_extension(value))):
            return None
        index = self._order.setdefault(key, len(self._order))
        for attempt in range(_MAX_ATTEMPTS):
            rng = random.Random(f"{self._origin}/{entity}/{index}/{attempt}")  # noqa: S311  reproducible, not a cipher
            surrogate = make(value, rng)
            if (entity, key_of(surrogate)) not in self._originals and self._used.setdefault(surrogate, key) == key:
                return surrogate
        return None
