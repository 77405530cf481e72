"""PERSON and LOCATION by a linear-chain CRF over a gazetteer, without network and in well under a millisecond.

In: a text. Out: Presidio results. The artefacts are beside the analyzer's YAML (resources/privacy/names/), written by
`python -m tools.privacy.build_names`. A token's probability of belonging to a name is the CRF's own marginal
(forward-backward), so a threshold has a meaning; the thresholds per entity are part of the artefacts.

A second pass looks for the found words again: a name that is clear in one sentence is the same name in the next.
"""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pycrfsuite
from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from eyrie.privacy.name_features import FAMOUS, NAME_CODES, TECHNICAL, Featurizer, Lexicon, Token, tokenize

ENTITIES = {"PER": "PERSON", "LOC": "LOCATION"}
_SURE = 0.7  # marginal from which a found word is looked for in the rest of the text
_LOWEST_SCORE, _HIGHEST_SCORE = 0.4, 0.9  # of a span at its type's threshold, and of a certain one
_CAPITALISED = re.compile(r"\w[^\W\d_A-ZÀ-ÖØ-Þ]+(?:[-'’]\w+)*")
_read_lexicon = lru_cache(maxsize=2)(Lexicon.read)  # 250,000 words; two recognisers use the same


class Span(NamedTuple):
    start: int
    end: int
    label: str  # PER or LOC
    probability: float  # the best token's marginal


class NameTagger:
    """The CRF with its lexicon. Raises ValueError when an artefact is missing or damaged."""

    def __init__(self, folder: Path) -> None:
        for name in ("model.crfsuite", "lexicon.tsv", "thresholds.json"):
            if not (folder / name).is_file():
                raise ValueError(f"{folder / name}: no such file; build it with `python -m tools.privacy.build_names`")
        self.thresholds: dict[str, float] = json.loads((folder / "thresholds.json").read_text(encoding="utf-8"))
        self._tagger = pycrfsuite.Tagger()
        self._tagger.open(str(folder / "model.crfsuite"))
        known = frozenset(name.encode() for name in self._tagger.info().attributes)
        self._lexicon = _read_lexicon(folder / "lexicon.tsv")
        self.featurizer = Featurizer(self._lexicon, known)

    def spans(self, text: str) -> list[Span]:
        """Names at or above the thresholds, in order, with the repeats of what was found surely."""
        marked = [(tokens, self._marginals(rows)) for tokens, rows in self.featurizer.sequences(text)]
        found = [span for tokens, best in marked for span in self._decode(text, tokens, best, 1.0)]
        if not any(span.probability >= _SURE for span in found):
            return found
        # Where one name is, others are likelier: the rest of such a text is held to a part of the thresholds.
        ease = self.thresholds["ease"]
        found = [span for tokens, best in marked for span in self._decode(text, tokens, best, ease)]
        return found + self._repeats(found, [token for tokens, _ in marked for token in tokens], text)

    def _marginals(self, rows: list[list[bytes]]) -> list[tuple[str, float]]:
        """Per token its likelier type and the probability that it is a name of either; 0 below every threshold."""
        self._tagger.set(rows)
        marginal = self._tagger.marginal
        lowest = min(self.thresholds[label] for label in ENTITIES) * self.thresholds["ease"]
        best: list[tuple[str, float]] = []
        for i in range(len(rows)):
            outside = marginal("O", i)
            if 1 - outside < lowest:
                best.append(("PER", 0.0))
                continue
            person = marginal("B-PER", i) + marginal("I-PER", i)
            place = marginal("B-LOC", i) + marginal("I-LOC", i)
            # The two types share their mass: "Jordan" may be either, and is a name in both cases.
            label = "PER" if person >= place else "LOC"
            best.append((label, person + place))
        return best

    def _decode(self, text: str, tokens: list[Token], best: list[tuple[str, float]], ease: float) -> list[Span]:
        wanted = {label: self.thresholds[label] * ease for label in ENTITIES}
        spans: list[Span] = []
        run: list[int] = []
        for i in range(len(best) + 1):
            inside = i < len(best) and best[i][1] >= wanted[best[i][0]]
            if inside and (not run or best[i][0] == best[run[0]][0]) and tokens[i].text != "\n":
                run.append(i)
                continue
            if run:
                spans.append(_span(tokens, best, run))
            run = [i] if inside and tokens[i].text != "\n" else []
        return [
            span
            for span in spans
            if self._is_likely(text[span.start : span.end], span.probability, ease)
            and not text.startswith(('":', "':"), span.end)  # a key of JSON or of a dict
        ]

    def _is_likely(self, value: str, probability: float, ease: float) -> bool:
        """Not a number, an identifier of code, nor words that the tagger must be surer of than of a listed name."""
        if not any(char.isalpha() for char in value):
            return False
        if " " in value and _is_term(self._lexicon.codes(value)) and probability < self.thresholds["known"]:
            return False
        codes = [self.featurizer.word(word.strip(".,")).codes for word in value.split() if word[0].isupper()]
        if codes and all(_is_term(code) for code in codes) and probability < self.thresholds["term"]:
            return False
        if " " in value:
            return True
        return not any(char.isdigit() for char in value) and probability >= self._needed(value, ease)

    def _needed(self, word: str, ease: float) -> float:
        codes = self.featurizer.word(word).codes
        if not NAME_CODES.isdisjoint(codes):
            return self.thresholds["listed_term"] if _is_term(codes) else 0.0
        return _SURE if "o" in codes or "m" in codes else self.thresholds["unlisted"] * ease

    def _repeats(self, found: list[Span], seen: list[Token], text: str) -> list[Span]:
        covered = [(span.start, span.end) for span in found]
        sure: dict[str, Span] = {}
        for span in found:
            if span.probability >= _SURE:
                for word in text[span.start : span.end].split():
                    if len(word) > 2 and word[0].isupper():
                        sure.setdefault(word.strip(".,"), span)
        out = []
        for token in seen:
            same = sure.get(token.text)
            if same and not any(start <= token.start < end for start, end in covered):
                codes = self.featurizer.word(token.text).codes
                if "o" not in codes:
                    out.append(Span(token.start, token.end, same.label, same.probability))
        return out


def _is_term(codes: str) -> bool:
    """Known as a name of technology, a work, a brand, or a public figure."""
    return TECHNICAL in codes or FAMOUS in codes


def _span(tokens: list[Token], best: list[tuple[str, float]], run: list[int]) -> Span:
    return Span(tokens[run[0]].start, tokens[run[-1]].end, best[run[0]][0], max(best[i][1] for i in run))


class NameRecognizer(EntityRecognizer):  # type: ignore[misc]
    """PERSON and LOCATION. `load_analyzer` sets `artefacts` to the folder that is beside its YAML file."""

    artefacts: Path | None = None

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        if self.artefacts is None:
            raise ValueError("NameRecognizer is built by load_analyzer, which knows where its artefacts are")
        self._tagger = NameTagger(self.artefacts)
        super().__init__(
            sorted(ENTITIES.values()), name=name or type(self).__name__, supported_language=supported_language
        )

    def load(self) -> None:
        """Read in the constructor: a missing artefact is an error of the configuration."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Offsets are characters of `text`; a score of 0.4 is the type's own threshold, 0.9 is certainty."""
        return [self._result(span) for span in self._tagger.spans(text)]

    def _result(self, span: Span) -> RecognizerResult:
        threshold = self._tagger.thresholds[span.label]
        above = (span.probability - threshold) / max(1e-9, 1 - threshold)
        score = _LOWEST_SCORE + (_HIGHEST_SCORE - _LOWEST_SCORE) * min(1.0, max(0.0, above))
        return RecognizerResult(ENTITIES[span.label], span.start, span.end, score)


class CapitalisedWordRecognizer(EntityRecognizer):  # type: ignore[misc]
    """PERSON for every capitalised word that English and French rarely capitalise: the tier of `fail_closed`.

    For those who would rather lose four clean prompts than train on one name. Left out are words that are ordinary or
    known technical names, identifiers of code, and acronyms.
    """

    SCORE = 0.5

    def __init__(self, lexicon: Path) -> None:
        super().__init__(["PERSON"], name=type(self).__name__)
        if not lexicon.is_file():
            raise ValueError(f"{lexicon}: no such file; fail_closed needs it")
        self._lexicon = _read_lexicon(lexicon)

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """One result a word."""
        return [
            RecognizerResult("PERSON", token.start, token.end, self.SCORE)
            for token in tokenize(text)
            if self._is_rare(token.text)
        ]

    def _is_rare(self, word: str) -> bool:
        if len(word) < 3 or not word[0].isupper() or not _CAPITALISED.fullmatch(word):
            return False
        return not any(code in "omrt" for code in self._lexicon.codes(word))
