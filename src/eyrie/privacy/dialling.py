"""The parts of a written phone number, so that all spellings of one number can be told to be one.

In: a number as somebody wrote it. Out: the digits of the country, those of the number inside it, and its extension.
Whether anybody could dial it is `privacy.phones`' question.
"""

import re
from dataclasses import dataclass

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from eyrie.privacy.spelling import plain

_EXTENSION = re.compile(r"\s*(?:extension|ext|x)\.?\s*\d+$", re.IGNORECASE)
_KEY_DIGITS = 9  # from the right: also agrees when a country code stands there without its plus
_COUNTRY_DIGITS = (1, 2, 3)
_NORTH_AMERICAN_DIGITS = 10


@dataclass(frozen=True)
class Dialled:
    """`national` are digits without a leading 0 of the trunk; `country` is "" unless it is written with + or 00."""

    country: str
    national: str
    north_american: bool

    @property
    def key(self) -> str:
        """The same for all spellings of one number."""
        return self.national[-_KEY_DIGITS:]


def dialled(written: str) -> Dialled:
    """The parts of `written`, its extension left out."""
    base = plain(without_extension(written))
    digits = "".join(char for char in base if char.isdecimal())
    if base.lstrip(" (").startswith("+") or digits.startswith("00"):
        digits = digits.removeprefix("00")
        country = next((code for size in _COUNTRY_DIGITS if _is_country(code := digits[:size])), "")
        national = digits[len(country) :].removeprefix("0")
        return Dialled(country, national, country == "1" and len(national) == _NORTH_AMERICAN_DIGITS)
    national = digits[1:] if len(digits) == _NORTH_AMERICAN_DIGITS + 1 and digits[0] in "01" else digits
    north_american = len(national) == _NORTH_AMERICAN_DIGITS and digits[0] in "123456789" and national[0] not in "01"
    return Dialled("", national if north_american else national.removeprefix("0"), north_american)


def without_extension(written: str) -> str:
    """`written` less ` x12`, `ext. 12` and the like."""
    return _EXTENSION.sub("", written)


def _is_country(code: str) -> bool:
    return bool(code) and int(code) in COUNTRY_CODE_TO_REGION_CODE
