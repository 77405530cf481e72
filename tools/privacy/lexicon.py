"""The tagger's lexicon: lower-cased word -> the lists it is on, and how often English writes it in lower case.

Case classes come from the case-sensitive word probabilities of spacy-lookups-data (1 M English words): `rose` is
written in lower case less than half the time, `table` nearly always. French has forms only, no counts.
"""

import math
import re
from collections import defaultdict

from eyrie.privacy.name_features import (
    FAMOUS,
    FIRST,
    FRENCH,
    LAST,
    MIXED,
    MOSTLY,
    ORDINARY,
    PACKAGE,
    PLACE,
    PLACE_PART,
    PROPER,
    REGION,
    TECHNICAL,
)
from tools.privacy import corpus, sources

_DOCUMENTED = ("transformers", "torch", "sympy", "matplotlib", "datasets", "numpy", "snakemake", "dvc", "pygments")
_NUM_WORDS = 60_000  # of English, by frequency
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
# Literary tenses and rare persons: two thirds of the French forms, and nearly none of what people type.
_RARE_FRENCH = re.compile(
    r".*(?:âmes|âtes|èrent|ss(?:e|es|ions|iez|ent)|îmes|îtes|ûmes|ûtes|r(?:ions|iez|aient|ais|as))$"
)
_MAX_FRENCH = 13


def build_lexicon() -> dict[str, str]:
    """Word -> codes, sorted by word."""
    codes: dict[str, set[str]] = defaultdict(set)
    for locale in sources.train_locales():
        for names, code in zip(sources.person_names(locale), (FIRST, LAST), strict=True):
            for name in names:
                for part in name.replace(".", " ").split():
                    if len(part) > 2:
                        codes[part.lower()].add(code)
    for town, _, population in sources.towns(15_000):
        _add_place(codes, town, PLACE, known=population > 0)
    for name in [*sources.countries(), *sources.us_states(), *sources.phrases("places-fr.txt")]:
        _add_place(codes, name, REGION, known=True)
    for name in [*sources.phrases("famous.txt"), *sources.phrases("mathematicians.txt")]:
        codes_of_parts(codes, name, FAMOUS)
    terms = [*sources.phrases("products.txt"), *sources.phrases("everyday.txt"), *sources.phrases("languages.txt")]
    for name in [*sources.technical_names(), *terms, *sources.phrases("nationalities.txt")]:
        codes_of_parts(codes, name, TECHNICAL)
    for name in sources.lines("packages.txt"):
        codes[name].add(PACKAGE)
    cases = _case_classes()
    for word in corpus.capitalised_words(_DOCUMENTED):
        if codes.get(word, {PACKAGE}) == {PACKAGE} and cases.get(word, PROPER) == PROPER:
            codes[word].add(TECHNICAL)
    for word, case in cases.items():
        codes[word].add(case)
    for word in _french():
        codes[word].add(FRENCH)
    return {word: "".join(sorted(codes[word])) for word in sorted(codes)}


def codes_of_parts(codes: dict[str, set[str]], name: str, code: str) -> None:
    """Its words, and a name of several words as a whole: a surname alone is no public figure."""
    parts = _WORD.findall(name)
    for part in parts:
        if len(part) > 2:
            codes[part.lower()].add(code)
    if len(parts) > 1:
        codes[name.lower()].add(code)


def _add_place(codes: dict[str, set[str]], name: str, code: str, *, known: bool) -> None:
    parts = name.split()
    if len(parts) == 1:
        codes[parts[0].lower()].add(code)
        return
    for part in parts:
        if len(part) > 2 and part[0].isupper():
            codes[part.lower()].add(PLACE_PART)


def _case_classes() -> dict[str, str]:
    """The commonest English words with their share of lower-case uses, from log probabilities."""
    lower: dict[str, float] = defaultdict(float)
    upper: dict[str, float] = defaultdict(float)
    for word, log_probability in sources.lookups("en_lexeme_prob").items():
        if _WORD.fullmatch(word):
            probability = math.exp(float(str(log_probability)))
            if word == word.lower():
                lower[word] += probability
            elif word == word.title() or word == word.capitalize():
                upper[word.lower()] += probability
    total = {word: lower[word] + upper[word] for word in {*lower, *upper}}
    common = sorted(total, key=lambda word: (-total[word], word))[:_NUM_WORDS]
    out = {}
    for word in common:
        share = lower[word] / total[word]
        out[word] = ORDINARY if share > 0.85 else MOSTLY if share > 0.5 else MIXED if share > 0.15 else PROPER
    return out


def _french() -> list[str]:
    forms = sources.lookups("fr_lemma_lookup")
    return sorted(
        word
        for word in forms
        if word.islower() and 1 < len(word) <= _MAX_FRENCH and _WORD.fullmatch(word) and not _RARE_FRENCH.match(word)
    )
