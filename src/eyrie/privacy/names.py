"""PERSON and LOCATION by a linear-chain CRF over a gazetteer, without network and in well under a millisecond.

In: a text. Out: Presidio results. The artefacts are beside the analyzer's YAML (resources/privacy/names/), written by
`python -m tools.privacy.build_names`. A token's probability of belonging to a name is the CRF's own marginal
(forward-backward), so a threshold has a meaning; the thresholds per entity are part of the artefacts.

A second pass looks for the found words again: a name that is clear in one sentence is the same name in the next.
"""

import json
import math
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from eyrie.privacy.crf import Marginals, Weights
from eyrie.privacy.name_features import FAMOUS, FIRST, LAST, NAME_CODES, TECHNICAL, Featurizer, Lexicon, tokenize
from eyrie.privacy.name_scores import NameScorer
from eyrie.privacy.no_names import no_name_in
from eyrie.privacy.titles import titled

ENTITIES = {"PER": "PERSON", "LOC": "LOCATION"}
_SURE = 0.7  # marginal from which a found word is looked for in the rest of the text
# Of these verbs the object is hardly ever a thing with a capital; "call Julia" may well be code.
_TO_PEOPLE = {"remind", "e-mail", "email", "text", "invite", "thank", "congratulate", "tell", "ask"}
_TO_PEOPLE |= {"rappelle", "rappelez", "préviens", "prévenez", "remercie"}
_NEXT_WORD = re.compile(r" (\w+)")
_ADDRESSED = 0.03  # marginal that is enough after such a verb
_REMEMBERED = 50_000  # values whose bar is kept
_LOWEST_SCORE, _HIGHEST_SCORE = 0.4, 0.9  # of a span at its type's threshold, and of a certain one
_CAPITALISED = re.compile(r"\w[^\W\d_A-ZÀ-ÖØ-Þ]+(?:[-'’]\w+)*")
_read_lexicon = lru_cache(maxsize=2)(Lexicon.read)  # 250,000 words; two recognisers use the same


class Span(NamedTuple):
    start: int
    end: int
    label: str  # PER or LOC
    probability: float  # the best token's marginal


class _Marked(NamedTuple):
    """Tokens around candidates; for each, its likelier type and the probability that it is a name of either."""

    tokens: list[re.Match[str]]
    is_person: NDArray[np.bool_]
    probability: NDArray[np.float64]
    firsts: frozenset[int]  # which tokens do not follow the one before in the text


class NameTagger:
    """The CRF with its lexicon. Raises ValueError when an artefact is missing or damaged."""

    def __init__(self, folder: Path) -> None:
        for name in ("model.crfsuite", "lexicon.tsv", "thresholds.json"):
            if not (folder / name).is_file():
                raise ValueError(f"{folder / name}: no such file; build it with `python -m tools.privacy.build_names`")
        self.thresholds: dict[str, float] = json.loads((folder / "thresholds.json").read_text(encoding="utf-8"))
        weights = Weights(folder / "model.crfsuite")
        if not {"B-PER", "B-LOC"} <= set(weights.labels):
            raise ValueError(f"{folder / 'model.crfsuite'}: its labels are {', '.join(weights.labels)}")
        self._types = np.array([[float(label[2:] == kind) for kind in ENTITIES] for label in weights.labels])
        self._marginals = Marginals(weights.transitions)
        self._lexicon = _read_lexicon(folder / "lexicon.tsv")
        self._scorer = NameScorer(Featurizer(self._lexicon), weights)
        self._lowest = min(self.thresholds[label] for label in ENTITIES) * self.thresholds["ease"]
        self._needed = lru_cache(maxsize=_REMEMBERED)(self._needed_uncached)

    def spans(self, text: str) -> list[Span]:
        """Names at or above the thresholds, with the repeats of what was found surely, then those behind a title."""
        if found := self._found(text):
            is_no_name = no_name_in(text, self._is_on_a_list, self._is_thing)
            found = [span for span in found if not is_no_name(span.start, span.end)]
        return found + self._titled(text, found)

    def _titled(self, text: str, found: list[Span]) -> list[Span]:
        """Names behind a title that no span of `found` covers: the title says so, the tagger need not."""
        return [
            Span(start, end, "PER", _SURE)
            for start, end in titled(text, self._lexicon.codes)
            if not any(span.start <= start and end <= span.end for span in found)
        ]

    def _is_on_a_list(self, word: str) -> bool:
        codes = self._lexicon.codes(word)
        return not NAME_CODES.isdisjoint(codes) and (word[0].isupper() or "o" not in codes)

    def _is_thing(self, word: str) -> bool:
        codes = self._lexicon.codes(word)
        return "o" in codes or "m" in codes

    def _found(self, text: str) -> list[Span]:
        if (marked := self._marked(text)) is None:
            return []
        runs = self._runs(marked, 1.0)
        if not any(run.probability >= _SURE and self._is_name(text, run, 1.0) for run in runs):
            found = [run for run in runs if self._is_name(text, run, 1.0)]
            return found + self._addressed(marked, found)
        # Where one name is, others are likelier: the rest of such a text is held to a part of the thresholds.
        ease = self.thresholds["ease"]
        found = [run for run in self._runs(marked, ease) if self._is_name(text, run, ease)]
        found += self._addressed(marked, found)
        return found + self._repeats(text, found, marked.tokens)

    def _addressed(self, marked: _Marked, found: list[Span]) -> list[Span]:
        """First names after what is done to people ("Remind Tom to"), with the last name behind, at the type's bar."""
        covered = {span.start for span in found}
        tokens, firsts = marked.tokens, marked.firsts
        out = []
        for i in (marked.probability >= _ADDRESSED).nonzero()[0].tolist():
            name = tokens[i]
            if i in firsts or tokens[i - 1][0].lower() not in _TO_PEOPLE or name.start() in covered:
                continue
            behind = i + 1 < len(tokens) and i + 1 not in firsts
            last = tokens[i + 1] if behind and self._may_be_last(tokens[i + 1][0]) else None
            # A tool is asked and told things too: one of its name alone stays with the tagger.
            term = TECHNICAL in self._lexicon.codes(name[0])
            if self._is_listed(name[0], FIRST) and (last or not term):
                out.append(Span(name.start(), (last or name).end(), "PER", self.thresholds["PER"]))
        return out

    def _is_title(self, text: str, span: Span) -> bool:
        """An ordinary word before a capitalised term that is no name: "Junior" of a Junior Accountant."""
        behind = _NEXT_WORD.match(text, span.end)
        if behind is None or not behind[1][0].isupper():
            return False
        own, codes = self._lexicon.codes(text[span.start : span.end]), self._lexicon.codes(behind[1])
        return ("o" in own or "m" in own) and TECHNICAL in codes and NAME_CODES.isdisjoint(codes)

    def _may_be_last(self, word: str) -> bool:
        """Behind a first name: on the list, or on none."""
        return word[0].isupper() and (not (codes := self._lexicon.codes(word)) or LAST in codes)

    def _is_listed(self, word: str, code: str) -> bool:
        return word[0].isupper() and code in self._lexicon.codes(word)

    def _marked(self, text: str) -> _Marked | None:
        """None where nothing reaches the lowest threshold."""
        if (found := self._scorer.stretches(text)) is None:
            return None
        person, place = (self._marginals(found.scores, found.lengths) @ self._types).T
        # The two types share their mass: "Jordan" may be either, and is a name in both cases.
        probability = person + place
        if probability.max() < self._lowest:
            return None
        return _Marked(found.tokens, person >= place, probability, frozenset((0, *found.lengths.cumsum().tolist())))

    def _runs(self, marked: _Marked, ease: float) -> list[Span]:
        """Tokens in a row that reach the part `ease` of their type's threshold and are of one type."""
        tokens, is_person, probability, firsts = marked
        bars = np.where(is_person, self.thresholds["PER"] * ease, self.thresholds["LOC"] * ease)
        reached = (probability >= bars).nonzero()[0]
        runs: list[Span] = []
        last, last_label = -1, ""
        for i, person, value in zip(
            reached.tolist(), is_person[reached].tolist(), probability[reached].tolist(), strict=True
        ):
            token = tokens[i]
            if token[0] == "\n":
                continue
            label = "PER" if person else "LOC"
            if i == last + 1 and label == last_label and i not in firsts:
                run = runs[-1]
                runs[-1] = Span(run.start, token.end(), label, max(run.probability, value))
            else:
                runs.append(Span(token.start(), token.end(), label, value))
            last, last_label = i, label
        return runs

    def _is_name(self, text: str, run: Span, ease: float) -> bool:
        return (
            run.probability >= self._needed(text[run.start : run.end], ease)
            and not text.startswith(('":', "':"), run.end)  # a key of JSON or of a dict
            and not self._is_title(text, run)
        )

    def _needed_uncached(self, value: str, ease: float) -> float:
        """What the best token of `value` must reach: more for known terms and words on no list; a number never does."""
        words = value.split()
        single = " " not in value
        if not any(char.isalpha() for char in value) or (single and any(char.isdigit() for char in value)):
            return math.inf
        needed = 0.0
        if not single and _is_term(self._lexicon.codes(value)):
            needed = self.thresholds["known"]
        codes = [self._lexicon.codes(word.strip(".,")) for word in words if word[0].isupper()]
        if codes and all(_is_term(code) for code in codes):
            needed = max(needed, self.thresholds["term"])
        return max(needed, self._needed_of_word(value, ease)) if single else needed

    def _needed_of_word(self, word: str, ease: float) -> float:
        codes = self._lexicon.codes(word)
        if not NAME_CODES.isdisjoint(codes):
            return self.thresholds["listed_term"] if _is_term(codes) else 0.0
        return _SURE if "o" in codes or "m" in codes else self.thresholds["unlisted"] * ease

    def _repeats(self, text: str, found: list[Span], tokens: list[re.Match[str]]) -> list[Span]:
        covered = bytearray(len(text))
        for span in found:
            covered[span.start : span.end] = b"\1" * (span.end - span.start)
        sure: dict[str, Span] = {}
        for span in found:
            if span.probability >= _SURE:
                for word in text[span.start : span.end].split():
                    if len(word) > 2 and word[0].isupper():
                        sure.setdefault(word.strip(".,"), span)
        out = []
        for token in tokens:
            same = sure.get(token[0])
            if same and not covered[token.start()]:
                codes = self._lexicon.codes(token[0])
                if "o" not in codes:
                    out.append(Span(*token.span(), same.label, same.probability))
        return out


def _is_term(codes: str) -> bool:
    """Known as a name of technology, a work, a brand, or a public figure."""
    return TECHNICAL in codes or FAMOUS in codes


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
