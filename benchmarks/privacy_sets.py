"""Evaluation sets for prompt screening: prompts with every span marked, and clean prompts.

Names and places: the sentences of benchmarks/text/{dev,test}-names-*.txt were written by hand for this purpose and
share no sentence with the training templates (tools/privacy/text). Slots are filled with names of Faker locales that
the lexicon and the training leave out, and with towns of which half are too small to be on its lists. `dev` was used
to choose features and thresholds; `test` was run at the end only. Clean prompts were written by hand the same way:
those of `first` were looked at while the lists of terms were made necessary by them, so `test` has new ones.
"""

import random
from pathlib import Path
from typing import NamedTuple

from tools.privacy import sources
from tools.privacy.corpus import Generator, Names

_TEXT = Path(__file__).parent / "text"
_TOWN_COUNTRIES = {
    "en": {"US", "GB", "IE", "CA", "AU", "NZ", "IN", "ZA", "NG", "DE", "ES", "IT", "SE", "HR", "RO"},
    "fr": {"FR", "BE", "CH", "CA", "MA", "SN"},
}
_ENTITY = {"PER": "PERSON", "LOC": "LOCATION"}


class Case(NamedTuple):
    """One prompt; `spans` are characters with their entity type, empty for a clean prompt."""

    group: str
    text: str
    spans: tuple[tuple[int, int, str], ...]


def _lines(name: str) -> list[str]:
    return [line for line in (_TEXT / name).read_text("utf-8").splitlines() if line]


def _names(part: str, language: str) -> Names:
    locales = sources.DEV_LOCALES if part == "dev" else sources.TEST_LOCALES
    french = {"fr_BE", "fr_CA", "fr_CH"}
    chosen = [name for name in locales if language == "en" or name in french]
    people = [lists for lists in map(sources.person_names, chosen) if min(map(len, lists)) >= 10]
    listed = {name.lower() for name, *_ in sources.towns(15_000)}
    wanted = [town for town in sources.towns(1_000) if town[1] in _TOWN_COUNTRIES[language]]
    large = [name for name, _, size in wanted if size >= 15_000]
    small = [name for name, _, size in wanted if size < 15_000 and name.lower() not in listed]
    rng = random.Random(f"towns {part} {language}")
    size = 1_500
    towns = rng.sample(large, min(size, len(large))) + rng.sample(small, min(size, len(small)))
    words = ["garden", "river", "bridge", "market", "winter", "silver", "orchard", "harbour", "castle", "school"]
    return Names(people, towns, towns, words, invented=False)


def names_and_places(part: str, *, copies: int, seed: int = 7) -> list[Case]:
    """Every sentence of `part` filled `copies` times."""
    out = []
    for language in ("en", "fr"):
        make = Generator(_names(part, language), random.Random(f"{seed} {part} {language}"))
        for line in _lines(f"{part}-names-{language}.txt"):
            for _ in range(copies):
                prompt = make.fill(line)
                spans = tuple((start, end, _ENTITY[label]) for start, end, label in prompt.spans)
                out.append(Case(language, prompt.text, spans))
    return out


def clean(part: str) -> list[Case]:
    """Prompts without personal data of `part` (dev, test or first), by kind (dev: by language)."""
    out = []
    for language in ("en", "fr"):
        for line in _lines(f"{part}-clean-{language}.txt"):
            group, bar, text = line.partition("|") if part != "dev" else (language, "|", line)
            assert bar, line
            out.append(Case(group, text.replace("\\n", "\n"), ()))
    return out
