"""Synthetic personal data, secrets and near-duplicates to plant into prompts.

Nothing here belongs to anyone: domains and phone numbers are reserved for examples, card numbers
start with the issuers' test ranges and only satisfy the Luhn check, and keys are random. Key
prefixes are assembled from parts so that secret scanners do not flag this file.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable

from tools.demo.words import company, full_name, pick

_ALNUM = string.ascii_letters + string.digits


def luhn_number(rng: random.Random) -> str:
    """A 16-digit card number in groups of four that satisfies the Luhn check."""
    digits = [int(digit) for digit in rng.choice(["4111", "5105", "4242", "5555"])]
    digits += [rng.randint(0, 9) for _ in range(11)]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[::2]]
    digits.append(-(sum(doubled) + sum(digits[1::2])) % 10)
    text = "".join(map(str, digits))
    return rng.choice(["", " ", "-"]).join(text[at : at + 4] for at in range(0, 16, 4))


def iban(rng: random.Random) -> str:
    """An IBAN of Germany or Great Britain with valid check digits."""
    country = rng.choice(["DE", "GB"])
    body = "" if country == "DE" else "".join(rng.choices(string.ascii_uppercase, k=4))
    body += "".join(rng.choices(string.digits, k=18 if country == "DE" else 14))
    value = "".join(str(int(char, 36)) for char in f"{body}{country}00")
    return f"{country}{98 - int(value) % 97:02d}{body}"


def email(rng: random.Random) -> str:
    first, last = full_name(rng).lower().split(" ", 1)
    domain = rng.choice(["example.com", "example.org", "example.net"])
    return f"{first}{rng.choice(['.', '_', ''])}{last}{rng.choice(['', '7', '42'])}@{domain}"


def phone(rng: random.Random) -> str:
    area, line = rng.randint(212, 989), rng.randint(100, 199)
    return rng.choice([f"({area}) 555-0{line}", f"+1 {area}-555-0{line}", f"{area}-555-0{line}"])


def ssn(rng: random.Random) -> str:
    return f"{rng.randint(100, 665)}-{rng.randint(10, 99)}-{rng.randint(1000, 9999)}"


def ip_address(rng: random.Random) -> str:
    net = rng.choice(["192.0.2", "198.51.100", "203.0.113"])
    return f"{net}.{rng.randint(1, 254)}"


def person(rng: random.Random) -> str:
    return full_name(rng)


def location(rng: random.Random) -> str:
    return f"{rng.randint(1, 99)} {pick(rng, 'last_names')} Street, {pick(rng, 'places')}"


def api_key(rng: random.Random) -> str:
    """A random string in the shape of one of several vendors' keys."""
    prefix, count, alphabet = rng.choice(
        [
            ("AK" + "IA", 16, string.ascii_uppercase + "234567"),
            ("gh" + "p_", 36, _ALNUM),
            ("sk" + "_live_", 24, _ALNUM),
            ("sk" + "-proj-", 40, _ALNUM),
            ("AI" + "za", 35, _ALNUM),
            ("xo" + "xb-", 28, string.digits),
            ("hf" + "_", 34, string.ascii_letters),
            ("gl" + "pat-", 20, _ALNUM),
        ]
    )
    return prefix + "".join(rng.choices(alphabet, k=count))


ENTITIES: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "EMAIL_ADDRESS": ("My email is {}.", email),
    "PHONE_NUMBER": ("You can call me at {}.", phone),
    "CREDIT_CARD": ("My card number is {}.", luhn_number),
    "IBAN_CODE": ("Please use the IBAN {}.", iban),
    "US_SSN": ("My social security number is {}.", ssn),
    "IP_ADDRESS": ("The server has the IP address {}.", ip_address),
    "PERSON": ("My name is {}.", person),
    "LOCATION": ("I live at {}.", location),
    "API_KEY": ("My API key is {}.", api_key),
}


def disclosure(rng: random.Random, *, placeholder: bool = False, count: int | None = None) -> tuple[str, list[str]]:
    """Sentences that disclose 1 to 3 entities (or hold `<TYPE>` placeholders), and the types."""
    types = rng.sample(sorted(ENTITIES), count or rng.randint(1, 3))
    sentences = []
    for name in types:
        frame, make = ENTITIES[name]
        value = make(rng)
        sentences.append(frame.format(f"<{name}>" if placeholder else value))
    return " ".join(sentences), types


_SWAPS = (
    ("Please", "Kindly"),
    ("Write", "Compose"),
    ("short", "brief"),
    ("because", "since"),
    ("Explain", "Clarify"),
    ("friend", "colleague"),
    ("told", "advised"),
    ("How many", "Exactly how many"),
    ("Read this", "Look at this"),
    ("The idea", "The plan"),
    ("hired", "employed"),
    ("launched", "released"),
    ("will hold", "will host"),
    ("Questions go", "Queries go"),
    ("I work", "I serve"),
    ("each", "apiece"),
)


def near_duplicate(text: str, rng: random.Random) -> tuple[str, str]:
    """The text with a small edit, and the name of the edit: `words`, `case` or `punctuation`.

    Words are changed only in texts of 40 words or more, where up to 3 words leave the text close.
    """
    if len(text.split()) >= 40:
        edited, changed = text, 0
        for old, new in rng.sample(_SWAPS, len(_SWAPS)):
            if old in edited and changed < 3:
                edited, changed = edited.replace(old, new, 1), changed + 1
        if changed:
            return edited, "words"
        first, *rest = text.split(" ")
        return " ".join([first, *rest[:-1], company(rng).split()[0]]), "words"
    if rng.random() < 0.5:
        first, *rest = text.split(" ")
        edited = rng.choice([text.lower(), " ".join([first.upper(), *rest])])
        return edited if edited != text else text.lower(), "case"
    edited = text.rstrip(".?") + rng.choice(["!", " ...", "!!", " ?"])
    return edited.replace(", ", " , ", 1), "punctuation"
