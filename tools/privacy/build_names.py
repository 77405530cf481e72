"""python -m tools.privacy.build_names OUT: the lexicon and the CRF of `eyrie.privacy.names`, from a seed.

Writes lexicon.tsv, model.crfsuite and thresholds.json. Single-threaded and deterministic. Needs the development
environment and spacy-lookups-data: `uv run --with spacy-lookups-data==1.0.5 python -m tools.privacy.build_names ...`.
"""

import argparse
import json
import random
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pycrfsuite

from eyrie.privacy.name_features import Featurizer, Lexicon
from tools.privacy import corpus, sources
from tools.privacy.corpus import Generator, Names, Prompt
from tools.privacy.lexicon import build_lexicon

SEED = 20
_PACKAGES = ("transformers", "torch", "sympy", "matplotlib", "datasets", "spacy", "aiohttp", "fsspec")
_GROUPS = 8  # each group of prompts does not know a quarter of the names, as at work
_HIDDEN = 0.25
_BLURRED = 0.5
_AROUND = frozenset((b"-1w", b"+1w", b"-2w", b"+2w", b"-3w", b"+3w", b"-12", b"+12", b"-+w"))
# Marginals, chosen on the dev set of benchmarks/privacy.py. `unlisted`: of a single word that is on no list of names;
# `known`: of several words that are on a list of terms or of public figures as they stand. `ease`: the part of PER, LOC
# and `unlisted` that is enough in a text in which one name is sure, where `term` still asks more of words that are all
# known terms, and `listed_term` of a word that is one and on a list of names too.
_THRESHOLDS = {
    "PER": 0.6,
    "LOC": 0.6,
    "unlisted": 0.97,
    "known": 0.97,
    "ease": 0.01,
    "term": 0.1,
    "listed_term": 0.05,
}
_TRAINER = {"c1": 0.05, "c2": 0.05, "max_iterations": 100, "feature.minfreq": 2, "feature.possible_transitions": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--scale", type=float, default=0.4, help="share of the training prompts; the shipped model has 0.4"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    codes = build_lexicon()
    text = "".join(f"{word}\t{value}\n" for word, value in codes.items())
    (options.out / "lexicon.tsv").write_text(text, encoding="utf-8")
    print(f"lexicon: {len(codes)} words, {len(text.encode())} bytes, {time.monotonic() - began:.0f} s")
    rng = random.Random(SEED)
    prompts = training_prompts(codes, rng, scale=options.scale)
    trainer = pycrfsuite.Trainer(verbose=False)
    count = 0
    for rows, labels in examples(prompts, Lexicon(codes), rng):
        trainer.append(rows, labels)
        count += 1
    print(f"{len(prompts)} prompts, {count} sequences, {time.monotonic() - began:.0f} s")
    trainer.set_params(_TRAINER)
    model = options.out / "model.crfsuite"
    trainer.train(str(model))
    (options.out / "thresholds.json").write_text(json.dumps(_THRESHOLDS) + "\n", encoding="utf-8")
    print(f"{model}: {model.stat().st_size} bytes, {time.monotonic() - began:.0f} s")


def training_names(codes: dict[str, str]) -> Names:
    """Names of all locales that are not held out, towns by rough size, and ordinary words."""
    people = [sources.person_names(locale) for locale in sources.train_locales()]
    for locale in ("en_US", "en_GB", "fr_FR"):  # twice: the languages of the prompts
        people += [sources.person_names(locale)] * 4
    near = {"US", "GB", "FR", "CA", "BE", "CH", "IE", "AU"}
    towns = [
        name for name, country, size in sources.towns(15_000) if size > 300_000 or country in near or size % 7 == 0
    ]
    big = [name for name, _, size in sources.towns(15_000) if size > 1_500_000]
    words = [word for word, value in codes.items() if value in ("o", "or") and 3 < len(word) < 11 and word.isascii()]
    return Names(people, towns, [*big, *sources.countries() * 2, *sources.us_states()], words, invented=True)


def training_prompts(codes: dict[str, str], rng: random.Random, *, scale: float) -> list[Prompt]:
    make = Generator(training_names(codes), rng)
    pools = {name: sources.lines(f"train-{name}.txt") for name in ("names-en", "names-fr", "clean-en", "clean-fr")}
    counts = {"names-en": 20_000, "names-fr": 10_000, "clean-en": 17_000, "clean-fr": 6_000}
    prompts = []
    for name, count in counts.items():
        for i in range(int(count * scale)):
            own = make.fill(pools[name][i % len(pools[name])])
            prompts.append(_varied(_surrounded(own, name, pools, make), rng))
    docs = [Prompt(text, []) for text in corpus.documentation(_PACKAGES, limit=int(11_000 * scale), rng=rng)]
    prompts += docs[::2]
    # Names in surroundings that no template has: any place of any clean text.
    loud = [_with_capitals(prompt, rng) for prompt in docs[1::3]]
    plain = [*docs[1::2], *[prompt for prompt in prompts[: -len(docs)] if not prompt.spans][::2]]
    prompts += [*loud, *(_with_name(prompt, make) for prompt in plain)]
    rng.shuffle(prompts)
    return prompts


def _surrounded(own: Prompt, pool: str, pools: dict[str, list[str]], make: Generator) -> Prompt:
    """Most prompts are more than one sentence: others of the same kind or clean ones before or behind."""
    rng, language = make.rng, pool[-2:]
    parts = [own]
    for _ in range(rng.choice((0, 0, 1, 2))):
        kind = f"{'clean' if pool.startswith('clean') or rng.random() < 0.6 else 'names'}-{language}"
        parts.insert(rng.randint(0, len(parts)), make.fill(rng.choice(pools[kind])))
    return corpus.join(parts, [rng.choice((" ", " ", "\n", "\n\n")) for _ in parts[1:]])


def _with_capitals(prompt: Prompt, rng: random.Random) -> Prompt:
    """Ordinary words capitalised at random, as people do with Job Titles and what they find Important."""
    words = prompt.text.split(" ")
    return Prompt(" ".join(word.capitalize() if rng.random() < 0.12 and word.islower() else word for word in words), [])


def _with_name(prompt: Prompt, make: Generator) -> Prompt:
    """A name or a town put between two words, the latter mostly after a preposition."""
    rng = make.rng
    gaps = [i for i, char in enumerate(prompt.text) if char == " "] or [0]
    at = rng.choice(gaps)
    template = rng.choice(("{P}", "{PF}", "{PF}", "{PF}'s", "{PF},", "{PF} and {PF}", "{P}:", "({P})"))
    if rng.random() < 0.4:
        template = rng.choice(
            ("in {L}", "from {L}", "{L}", "near {L}", "at the {L}", "to {L}", "de {L}", "à {L}", "{A}, {L}")
        )
    name = make.fill(f" {template}")
    return corpus.join([Prompt(prompt.text[:at], []), name, Prompt(prompt.text[at:], [])], ["", ""])


def _varied(prompt: Prompt, rng: random.Random) -> Prompt:
    """Some people type in lower case, few in capitals. Lengths are kept, so the spans hold."""
    draw = rng.random()
    changed = prompt.text.lower() if draw < 0.07 else prompt.text.upper() if draw < 0.09 else prompt.text
    return Prompt(changed, prompt.spans) if len(changed) == len(prompt.text) else prompt


def examples(
    prompts: Sequence[Prompt], lexicon: Lexicon, rng: random.Random
) -> Iterator[tuple[list[list[bytes]], list[str]]]:
    """Feature rows and labels of every stretch that the tagger would see."""
    words = sorted(word for word in lexicon.words() if any(code in "flpqtk" for code in lexicon.codes(word)))
    for group in range(_GROUPS):
        hidden = frozenset(rng.sample(words, int(len(words) * _HIDDEN)))
        featurizer = Featurizer(lexicon.without_names(hidden))
        for prompt in prompts[group::_GROUPS]:
            for tokens, rows in featurizer.sequences(prompt.text):
                yield [_blurred(row, rng) for row in rows], labels_of(tokens, prompt.spans)


def _blurred(row: list[bytes], rng: random.Random) -> list[bytes]:
    """Half of the tokens do not see which words are around them: else the templates' words are learned by heart."""
    if rng.random() < _BLURRED:
        return [item for item in row if item[:3] not in _AROUND]
    return row


def labels_of(tokens: Sequence[re.Match[str]], spans: Sequence[tuple[int, int, str]]) -> list[str]:
    out = []
    for token in tokens:
        span = next((span for span in spans if span[0] <= token.start() < span[1]), None)
        out.append("O" if span is None else f"{'B' if token.start() == span[0] else 'I'}-{span[2]}")
    return out


if __name__ == "__main__":
    main()
