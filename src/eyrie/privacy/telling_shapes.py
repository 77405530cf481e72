"""Identifiers whose spelling is proof enough: a check digit, a date of birth or a mixture that nothing else has.

Of countries that no recogniser of Presidio covers. In: a text. Out: spans.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import NamedTuple

from eyrie.privacy.accounts import luhn_valid
from eyrie.privacy.national_numbers import weighted


def _is_day(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def _is_chinese(number: str) -> bool:
    """GB 11643-1999."""
    rest = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(number[:17])) % 11
    return _is_day(number[10:12], number[12:14]) and "10X98765432"[rest] == number[17].upper()


def _is_finnish(number: str) -> bool:
    digits = int(number[:6] + number[7:10])
    return _is_day(number[2:4], number[:2]) and "0123456789ABCDEFHJKLMNPRSTUVWXY"[digits % 31] == number[10]


def _is_singaporean(number: str) -> bool:
    total = weighted(number[1:8], (2, 7, 6, 5, 4, 3, 2)) + 4 * (number[0] in "TG")
    return ("JZIHGFEDCBA" if number[0] in "ST" else "XWUTRQPNMLK")[total % 11] == number[8]


def _is_argentine(number: str) -> bool:
    digits = "".join(filter(str.isdecimal, number))
    return (-weighted(digits[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 10 == int(digits[10])


def _is_chilean(number: str) -> bool:
    body, check = number.replace(".", "").split("-")
    rest = -sum(int(digit) * weight for digit, weight in zip(reversed(body), cycle(range(2, 8)), strict=False)) % 11
    return "0123456789K"[rest] == check.upper()


def _is_austrian(number: str) -> bool:
    """Versicherungsnummer: the fourth digit checks the others, the last six are a day."""
    digits = number.replace(" ", "").replace("-", "")
    total = weighted(digits[:3] + digits[4:], (3, 7, 9, 5, 8, 4, 2, 1, 6))
    return _is_day(digits[6:8], digits[4:6]) and total % 11 == int(digits[3])


def _is_swedish(number: str) -> bool:
    return _is_day(number[2:4], number[4:6]) and luhn_valid(number[:6] + number[7:])


def _is_spanish_account(number: str) -> bool:
    """The Spanish CCC: a digit checks bank and branch, another one the account."""
    digits = "".join(filter(str.isdecimal, number))
    weights = (1, 2, 4, 8, 5, 10, 9, 7, 3, 6)
    checks = (-weighted(part, weights) % 11 for part in ("00" + digits[:8], digits[10:]))
    return [1 if check == 10 else check for check in checks] == [int(digits[8]), int(digits[9])]


def _is_french_account(number: str) -> bool:
    """A relevé d'identité bancaire and its key, 1 to 9 for A to I and J to R, 2 to 9 for S to Z: a multiple of 97."""
    digits = "".join(
        str((int(char, 36) - 10 + (char >= "S")) % 9 + 1) if char.isalpha() else char
        for char in filter(str.isalnum, number.upper())
    )
    return len(digits) == 23 and int(digits) % 97 == 0


def _is_french_taxpayer(number: str) -> bool:
    """Numéro fiscal (SPI): the last three digits are the first ten modulo 511."""
    digits = number.replace(" ", "")
    return int(digits[:10]) % 511 == int(digits[10:])


def _is_german_insured(number: str) -> bool:
    """Krankenversichertennummer: the letter as two digits, weights 1 and 2 in turn."""
    digits = f"{ord(number[0]) - 64:02d}{number[1:9]}"
    products = (int(digit) * (1 + place % 2) for place, digit in enumerate(digits))
    return sum(value // 10 + value % 10 for value in products) % 10 == int(number[9])


def _is_german_tax_id(number: str) -> bool:
    """One digit of the first ten stands twice or thrice, the others at most once; ISO 7064, MOD 11,10."""
    digits = number.replace(" ", "")
    counts = sorted(Counter(digits[:10]).values())
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return counts[-1] in (2, 3) and counts[-2] == 1 and (11 - product) % 10 == int(digits[10])


class _Shape(NamedTuple):
    entity: str
    pattern: "re.Pattern[str]"
    fits: Callable[[str], bool] = lambda _: True


def _shape(pattern: str, fits: Callable[[str], bool] = lambda _: True, entity: str = "GOVERNMENT_ID") -> _Shape:
    return _Shape(entity, re.compile(rf"(?<![\w./-])(?:{pattern})(?![\w-]|[./]\d)"), fits)


_SHAPES = (
    _shape(r"[A-Z][AEIOUX][A-Z]{2}\d{2}(?:0[1-9]|1[0-2])\d{2}[HMX][A-Z]{5}[A-Z0-9]\d"),  # Mexico, CURP
    _shape(r"[1-9]\d( ?)\d{3}\1\d{3}\1\d{3}", _is_german_tax_id),
    _shape(r"[0-3]\d{12}|[0-3]\d \d\d \d{3} \d{3} \d{3}", _is_french_taxpayer),
    _shape(r"[A-Z]\d{9}", _is_german_insured),
    _shape(r"\d{6}(?:19|20)\d{9}[\dXx]", _is_chinese),
    _shape(r"\d{6}[-+A]\d{3}[0-9A-FHJ-NPR-Y]", _is_finnish),
    _shape(r"\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])-[1-4]\d{6}"),  # Korea
    _shape(r"[STFG]\d{7}[A-Z]", _is_singaporean),
    _shape(r"(?:2[0347]|3[034])-\d{8}-\d", _is_argentine),
    _shape(r"\d{1,2}\.\d{3}\.\d{3}-[\dkK]", _is_chilean),
    _shape(r"\d{6}-\d{4}", _is_swedish),
    _shape(r"(?:19|20)\d{6}-?\d{4}", lambda number: _is_swedish(number[2:8] + "-" + number[-4:])),
    _shape(r"\d{3}-\d{3}-\d{3}", lambda number: luhn_valid(number.replace("-", ""))),  # Canada's SIN
    _shape(r"[1-9]\d{3}[ -]?\d{6}", _is_austrian),
    _shape(
        r"\d{2}(?:[05][1-9]|[16][0-2])\d{2}/\d{4}", lambda number: int(number.replace("/", "")) % 11 == 0
    ),  # Czechia
    _shape(
        r"[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y]{2}\d{2}"
    ),
    _shape(r"(?:WAC|LIN|SRC|EAC|MSC|NBC|IOE|YSC)\d{10}"),  # a case of American immigration
    _shape(r"A[- ]?\d{3}-\d{3}-\d{3}"),  # its number of a person
    _shape(r"[A-Z]{4} \d{2}(?:[05][1-9]|[16][0-2])(?: ?\d{2}){2} ?\d{0,2}"),  # Quebec's health card
    _shape(r"\d{4}([ -]?)\d{4}\1\d{2}\1\d{10}", _is_spanish_account, "BANK_ACCOUNT"),
    _shape(r"\d{5}-\d{3}-\d{7,12}", entity="BANK_ACCOUNT"),  # Canada
    _shape(r"\d{5}( ?-? ?)\d{5}\1[A-Z0-9]{11}\1\d{2}", _is_french_account, "BANK_ACCOUNT"),
)


def told_by_shape(text: str) -> Iterator[tuple[str, int, int]]:
    """(entity, start, end) of every such identifier."""
    for shape in _SHAPES:
        for match in shape.pattern.finditer(text):
            if shape.fits(match[0]):
                yield shape.entity, *match.span()
