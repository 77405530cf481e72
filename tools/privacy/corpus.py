"""Made-up prompts with marked names: templates of tools/privacy/text filled from word lists.

In: a random generator, so that the same seed gives the same prompts. Out: `Prompt`s, a text with its spans.
The template files of training and of `benchmarks/` share no sentence; slots are explained in train-names-en.txt.
"""

import ast
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from tools.privacy import sources

_SLOT = re.compile(r"\{([A-Z]+)\}")
_CHOICE = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_MONTHS_FR = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_STREETS = [
    "Street",
    "St",
    "Road",
    "Rd",
    "Avenue",
    "Ave",
    "Lane",
    "Ln",
    "Drive",
    "Dr",
    "Court",
    "Way",
    "Place",
    "Boulevard",
    "Blvd",
    "Close",
    "Terrace",
    "Crescent",
]
_RUES = ["rue", "avenue", "boulevard", "place", "impasse", "allée", "chemin", "quai", "route"]
_COMPANIES = [
    "Google",
    "Apple",
    "Amazon",
    "Microsoft",
    "Netflix",
    "Airbus",
    "Boeing",
    "Siemens",
    "Toyota",
    "Carrefour",
    "Danone",
    "Renault",
    "Ikea",
    "Nike",
    "Adidas",
    "Samsung",
    "Sony",
    "Intel",
    "Nvidia",
    "OpenAI",
    "Anthropic",
    "Meta",
    "Facebook",
    "Twitter",
    "Uber",
    "Airbnb",
    "Spotify",
    "Walmart",
    "Tesco",
    "Lidl",
    "Starbucks",
    "Pfizer",
    "Bayer",
    "Nestlé",
    "Unilever",
    "Shell",
    "Total",
    "Orange",
    "Vodafone",
    "Visa",
    "Mastercard",
    "PayPal",
    "Stripe",
    "Shopify",
]
_TAILS = [
    "Labs",
    "Bank",
    "Group",
    "Foods",
    "Motors",
    "Logistics",
    "Health",
    "Energy",
    "Media",
    "Systems",
    "Insurance",
    "Airlines",
    "Studios",
    "Partners",
]
_PREFIXES = ["Open", "Py", "Auto", "Micro", "Super", "Meta", "Cloud", "Data", "Quick", "Hyper", "Web", "Next", "e", "i"]
_SUFFIXES = ["DB", "ify", "ly", "JS", "Lab", "Hub", "SQL", "Flow", "Kit", "io", "OS", "X", "Net", "Base", "Stack", "ML"]


class Prompt(NamedTuple):
    text: str
    spans: list[tuple[int, int, str]]  # start, end, PER or LOC


class Names(NamedTuple):
    """Where a generator takes its values from."""

    people: Sequence[tuple[Sequence[str], Sequence[str]]]  # per locale: first names, last names
    towns: Sequence[str]
    big_places: Sequence[str]
    words: Sequence[str]  # ordinary words, for headings and identifiers
    invented: bool  # also names that are on no list


class Generator:
    """Fills templates. Every draw comes from `rng`."""

    def __init__(self, names: Names, rng: random.Random) -> None:
        self.names, self.rng = names, rng
        self._chains = {
            "first": _chain(names.people, 0),
            "last": _chain(names.people, 1),
            "town": _chain_of(names.towns),
            "technical": _chain_of(sources.technical_names()),
        }
        person, place = "PER", "LOC"
        self._slots: dict[str, tuple[Callable[[], str], str]] = {
            "P": (self.person, person), "PF": (self.first, person), "PL": (self.last, person),
            "PFV": (self.vowel_first, person), "L": (self.town, place), "LV": (self.vowel_town, place),
            "R": (self.big_place, place), "A": (self.address, place),
        }  # fmt: skip
        plain: dict[str, Callable[[], str]] = {
            "T": self.technical,
            "TERM": lambda: rng.choice(sources.phrases("everyday.txt")),
            "NAT": lambda: rng.choice(sources.phrases("nationalities.txt")),
            "K": lambda: rng.choice(sources.phrases("famous.txt")),
            "MATH": lambda: rng.choice(sources.phrases("mathematicians.txt")),
            "PROD": lambda: rng.choice(sources.phrases("products.txt")),
            "LANG": lambda: rng.choice(sources.phrases("languages.txt")),
            "G": self.big_place,
            "GF": lambda: rng.choice(sources.phrases("places-fr.txt")),
            "ORG": self.company,
            "M": lambda: rng.choice(_MONTHS),
            "EP": self.last,  # of a law or a disease, not of a person
            "MF": lambda: rng.choice(_MONTHS_FR),
            "D": lambda: rng.choice(_DAYS),
            "N": lambda: str(rng.randint(2, 90)),
            "Y": lambda: str(rng.randint(1950, 2026)),
            "CP": lambda: f"{rng.randint(1, 95):02d}{rng.randint(0, 99) * 10:03d}",
            "PHONE": lambda: f"+1 415 555 01{rng.randint(0, 99):02d}",
            "EMAIL": lambda: f"{rng.choice(names.words)}@example.org",
            "HEAD": self.heading,
            "HEADF": lambda: self.heading().capitalize(),
            "COL": lambda: "_".join(rng.sample(names.words, rng.randint(1, 2))),
            "CAMEL": lambda: "".join(word.capitalize() for word in rng.sample(names.words, rng.randint(1, 3))),
            "UP": lambda: "".join(rng.choices("ABCDEFGHILMNOPRST", k=rng.randint(2, 5))),
        }
        self._slots |= {name: (make, "") for name, make in plain.items()}

    def fill(self, template: str) -> Prompt:
        """One random reading of `template`."""
        while (match := _CHOICE.search(template)) is not None:
            template = template[: match.start()] + self.rng.choice(match.group(1).split("|")) + template[match.end() :]
        template = template.replace("\\n", "\n")
        text, spans, position = "", [], 0
        for match in _SLOT.finditer(template):
            text += template[position : match.start()]
            make, label = self._slots[match.group(1)]
            value = make()
            if label:
                spans.append((len(text), len(text) + len(value), label))
            text += value
            position = match.end()
        return Prompt(text + template[position:], spans)

    def first(self) -> str:
        if self.names.invented and self.rng.random() < 0.12:
            return _walk(self._chains["first"], self.rng)
        return self.rng.choice(self.rng.choice(self.names.people)[0])

    def last(self) -> str:
        if self.names.invented and self.rng.random() < 0.12:
            return _walk(self._chains["last"], self.rng)
        return self.rng.choice(self.rng.choice(self.names.people)[1])

    def vowel_first(self) -> str:
        return next(name for name in iter(self.first, "") if name[0] in "AEIOUÉ")

    def vowel_town(self) -> str:
        return next(name for name in iter(self.town, "") if name[0] in "AEIOUÉ")

    def person(self) -> str:
        first, last = self.rng.choice(self.names.people)
        given, family = self.rng.choice(first), self.rng.choice(last)
        if self.names.invented and self.rng.random() < 0.15:
            given, family = self.first(), self.last()
        form = self.rng.random()
        if form < 0.72:
            return f"{given} {family}"
        if form < 0.80:
            return f"{given} {self.rng.choice('ABCDEFGHJKLMNPRST')}. {family}"
        if form < 0.85:
            return f"{given} {family}-{self.rng.choice(last)}"
        if form < 0.89:
            return f"{given[0]}. {family}"
        if form < 0.92:
            return f"{family}, {given}"
        if form < 0.95:
            return f"{given} {family.upper()}"
        return f"{given} {self.rng.choice(first)} {family}"

    def town(self) -> str:
        if self.names.invented and self.rng.random() < 0.08:
            return _walk(self._chains["town"], self.rng)
        return self.rng.choice(self.names.towns)

    def big_place(self) -> str:
        return self.rng.choice(self.names.big_places)

    def address(self) -> str:
        rng = self.rng
        name = self.last() if rng.random() < 0.5 else rng.choice(self.names.words).capitalize()
        number, form = rng.randint(1, 400), rng.random()
        if form < 0.55:
            unit = rng.choice(["", "", f", Apt {rng.randint(1, 40)}", f" Unit {rng.randint(1, 9)}"])
            return f"{number} {name} {rng.choice(_STREETS)}{unit}"
        if form < 0.85:
            particle = rng.choice(["", "de ", "du ", "des "])
            return f"{number}{rng.choice(['', '', ' bis', ','])} {rng.choice(_RUES)} {particle}{name}"
        if form < 0.93:
            return f"{name}{rng.choice(['straße', 'weg', 'strasse', 'platz'])} {number}"
        return f"{rng.choice(['Calle', 'Via', 'Avenida', 'Rua', 'Plaza'])} {name} {number}"

    def company(self) -> str:
        if self.rng.random() < 0.5:
            return self.rng.choice(_COMPANIES)
        return f"{self.rng.choice(self.names.words).capitalize()} {self.rng.choice(_TAILS)}"

    def technical(self) -> str:
        """Of software or a standard; some are invented, because next year's are on no list."""
        rng, form = self.rng, self.rng.random()
        if not self.names.invented or form > 0.25:
            return rng.choice(sources.technical_names())
        if form < 0.10:
            return _walk(self._chains["technical"], rng)
        word = rng.choice(self.names.words)
        if form < 0.16:
            return f"{word}{rng.choice(self.names.words)}".capitalize()
        affixed = f"{rng.choice(_PREFIXES)}{word}" if form < 0.20 else f"{word.capitalize()}{rng.choice(_SUFFIXES)}"
        return affixed if form < 0.23 else word.capitalize()

    def heading(self) -> str:
        words = self.rng.sample(self.names.words, self.rng.randint(1, 5))
        return " ".join(word.capitalize() if self.rng.random() < 0.9 else word for word in words)


def _chain(people: Sequence[tuple[Sequence[str], Sequence[str]]], which: int) -> dict[str, list[str]]:
    return _chain_of([name for lists in people for name in lists[which]])


def _chain_of(names: Sequence[str]) -> dict[str, list[str]]:
    """Order-3 character chain of the names."""
    chain: dict[str, list[str]] = {}
    for name in names:
        if name.isalpha():
            padded = f"^^^{name.lower()}$"
            for i in range(3, len(padded)):
                chain.setdefault(padded[i - 3 : i], []).append(padded[i])
    return chain


def _walk(chain: dict[str, list[str]], rng: random.Random) -> str:
    while True:
        out = "^^^"
        while not out.endswith("$") and len(out) < 16:
            out += rng.choice(chain[out[-3:]])
        if out.endswith("$") and len(out) > 6:
            return out[3:-1].capitalize()


def join(prompts: Sequence[Prompt], separators: Sequence[str]) -> Prompt:
    text, spans = "", []
    for prompt, separator in zip(prompts, ["", *separators], strict=True):
        text += separator
        spans += [(start + len(text), end + len(text), label) for start, end, label in prompt.spans]
        text += prompt.text
    return Prompt(text, spans)


def documentation(packages: Sequence[str], *, limit: int, rng: random.Random) -> Iterator[str]:
    """Paragraphs of the packages' docstrings: technical English full of capitalised words that are no names.

    Paragraphs that may speak of a person are left out: they are used as text without names.
    """
    personal = re.compile(r"@|[Aa]uthor|[Cc]opyright|et al|live in|name is|[A-Z]\. [A-Z]|Contributed|arxiv|doi|http")
    paragraphs = [item for item in _docstrings(packages) if 60 < len(item) < 500 and not personal.search(item)]
    rng.shuffle(paragraphs)
    yield from paragraphs[:limit]


def capitalised_words(packages: Sequence[str]) -> list[str]:
    """Lower-cased words that docstrings write with a capital within a sentence, at least four times."""
    within = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,14}\b(?! [A-Z])")
    seen = Counter(word for text in _docstrings(packages) for word in within.findall(text))
    return sorted(word.lower() for word, count in seen.items() if count >= 4)


def _docstrings(packages: Sequence[str]) -> list[str]:
    return [paragraph for package in packages for paragraph in _docstrings_of(package)]


@cache
def _docstrings_of(package: str) -> list[str]:
    """Paragraphs of every third module, in a fixed order."""
    paragraphs: list[str] = []
    spec = find_spec(package)
    assert spec is not None, package
    assert spec.origin is not None, package
    for path in sorted(Path(spec.origin).parent.rglob("*.py"))[::3]:
        try:
            tree = ast.parse(path.read_text("utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.Module)):
                paragraphs += (ast.get_docstring(node) or "").split("\n\n")
    return paragraphs
