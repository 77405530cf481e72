"""SECRET: passwords, PINs, codes and phrases that people choose or type in, however they tell them.

The grammars of `eyrie.privacy.secrets` know ways of telling; people know more. A CRF, trained on thousands of prompts
that were written for it, reads what a word looks like, what is said around it and what the text speaks of
(`eyrie.privacy.secret_features`). Its model is beside the analyzer's YAML (resources/privacy/secrets/), written by
`python -m tools.privacy.build_secrets`.
"""

from itertools import chain
from pathlib import Path

import numpy as np
from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from eyrie.privacy.crf import Marginals, Weights
from eyrie.privacy.secret_candidates import Candidate
from eyrie.privacy.secret_features import found_in

_THRESHOLD = 0.3  # probability from which a candidate is one: a missed secret is worse than a lost prompt
_LOWEST_SCORE, _HIGHEST_SCORE = 0.4, 0.9  # at the threshold, and of a certain one


class ChosenSecretTagger:
    """The CRF over a text's candidates. Raises ValueError when the model is missing or damaged."""

    def __init__(self, model: Path) -> None:
        if not model.is_file():
            raise ValueError(f"{model}: no such file; build it with `python -m tools.privacy.build_secrets`")
        weights = Weights(model)
        if "S" not in weights.labels:
            raise ValueError(f"{model}: its labels are {', '.join(weights.labels)}; S is missing")
        self._rows = {name.decode(): weights.row(name) for name in weights.features()}
        self._table = weights.table
        self._marginals = Marginals(weights.transitions)
        self._secret = weights.labels.index("S")

    def probabilities(self, text: str) -> list[tuple[Candidate, float]]:
        """Of each candidate of the text, in order, the probability that it is a secret."""
        found, features = found_in(text)
        if not found:
            return []
        row, none = self._rows.get, len(self._table) - 1
        lengths = [len(names) for names in features]
        rows = [row(name, none) for name in chain.from_iterable(features)]
        scores = np.add.reduceat(self._table.take(rows, axis=0), np.cumsum([0, *lengths[:-1]]))
        secret = self._marginals(scores, np.array([len(found)]))[:, self._secret]
        return list(zip(found, secret.tolist(), strict=True))


class ChosenSecretRecognizer(EntityRecognizer):  # type: ignore[misc]
    """SECRET. `load_analyzer` sets `artefacts` to the folder that is beside its YAML file."""

    artefacts: Path | None = None

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        if self.artefacts is None:
            raise ValueError("ChosenSecretRecognizer is built by load_analyzer, which knows where its model is")
        self._tagger = ChosenSecretTagger(self.artefacts / "model.crfsuite")
        super().__init__(["SECRET"], name=name or type(self).__name__, supported_language=supported_language)

    def load(self) -> None:
        """Read in the constructor: a missing model is an error of the configuration."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Offsets are characters of `text`; a score of 0.4 is the threshold, 0.9 is certainty."""
        return [
            RecognizerResult("SECRET", item.start, item.end, _score(probability))
            for item, probability in self._tagger.probabilities(text)
            if probability >= _THRESHOLD
        ]


def _score(probability: float) -> float:
    return _LOWEST_SCORE + (_HIGHEST_SCORE - _LOWEST_SCORE) * (probability - _THRESHOLD) / (1 - _THRESHOLD)
