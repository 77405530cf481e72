"""python -m tools.privacy.build_secrets OUT: the CRF of `eyrie.privacy.chosen_secrets`, from a seed.

Trained on prompts that were written for it (tools/privacy/text/secrets-*.txt), filled several times, and on technical
documentation as text without secrets. Single-threaded and deterministic.
"""

import argparse
import random
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pycrfsuite

from eyrie.privacy.secret_candidates import Candidate
from eyrie.privacy.secret_features import found_in
from tools.privacy import corpus, secret_values, sources

SEED = 21
PARTS = (
    "office",
    "private",
    "code",
    "de-nl",
    "fr-es",
    "it-pt",
    "hard",
    "technical",
    "everyday",
    "talk",
    "work",
    "home",
    "systems",
    "typical-de-nl",
    "typical-fr-es",
    "typical-it-pt",
    "daily",
    "daily-languages",
    "plain",
    "none",
)
_COPIES = 6
_PACKAGES = ("transformers", "torch", "sympy", "matplotlib", "datasets", "spacy", "aiohttp", "fsspec")
_DOCUMENTS = 4_000
_SLOT = re.compile(r"<([a-z]+\d?s?|[#@h]\d+)(?::(\d))?>")
_BLURRED = 0.3  # share of candidates that do not see the words around them
_SEEN_WORDS = ("-", "+", "b=", "a=", "u=", "k-", "t=", "up", "l0", "label", "near")
_TRAINER = {"c1": 0.5, "c2": 0.1, "max_iterations": 120, "feature.minfreq": 3, "feature.possible_transitions": True}


class Filled(NamedTuple):
    text: str
    secrets: list[tuple[int, int]]


def fill(line: str, rng: random.Random) -> Filled:
    """One reading of a line of tools/privacy/text/secrets-*.txt."""
    template = sources.unescaped(line[3:])
    text, at = "", 0
    secrets = []
    kept: dict[str, str] = {}
    for slot in _SLOT.finditer(template):
        text += template[at : slot.start()]
        at = slot.end()
        if not secret_values.is_slot(slot[1]):
            text += slot[0]
            continue
        value = kept[slot[0]] if slot[2] and slot[0] in kept else secret_values.make(slot[1], rng)
        kept[slot[0]] = value
        if slot[1] in secret_values.SECRETS:
            secrets.append((len(text), len(text) + len(value)))
        text += value
    return Filled(text + template[at:], secrets)


def labels_of(found: Sequence[Candidate], secrets: Sequence[tuple[int, int]]) -> list[str]:
    """S of a candidate that is a secret, a part of one, or mostly one; else O."""
    out = []
    for item in found:
        shared = sum(max(0, min(item.end, end) - max(item.start, start)) for start, end in secrets)
        out.append("S" if shared * 10 >= 7 * (item.end - item.start) else "O")
    return out


def prompts(parts: Sequence[str], rng: random.Random) -> Iterator[Filled]:
    """Lines in all their copies, some with another line without a secret before or behind, and documentation."""
    lines = [line for part in parts for line in sources.lines(f"secrets-{part}.txt")]
    clean = [line for line in lines if line[0] == "N"]
    for _ in range(_COPIES):
        for line in lines:
            own = fill(line, rng)
            if rng.random() < 0.25:
                other = fill(rng.choice(clean), rng).text + rng.choice(("\n", "\n\n", " "))
                own = Filled(other + own.text, [(a + len(other), b + len(other)) for a, b in own.secrets])
            elif rng.random() < 0.15:
                own = Filled(
                    own.text + rng.choice(("\n", "\n\n", " ")) + fill(rng.choice(clean), rng).text, own.secrets
                )
            yield own
    for text in corpus.documentation(_PACKAGES, limit=_DOCUMENTS, rng=rng):
        yield Filled(text, [])


def _blurred(row: list[str], rng: random.Random) -> list[str]:
    if rng.random() < _BLURRED:
        return [item for item in row if not item.startswith(_SEEN_WORDS)]
    return row


def train(parts: Sequence[str], path: Path) -> None:
    rng = random.Random(SEED)
    trainer = pycrfsuite.Trainer(verbose=False)
    count = 0
    for own in prompts(parts, rng):
        found, rows = found_in(own.text)
        if found:
            trainer.append([_blurred(row, rng) for row in rows], labels_of(found, own.secrets))
            count += 1
    trainer.set_params(_TRAINER)
    trainer.train(str(path))
    print(f"{count} prompts with candidates")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    model = options.out / "model.crfsuite"
    train(PARTS, model)
    print(f"{model}: {model.stat().st_size} bytes, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
