"""One recogniser for everything that a list of regular expressions describes without Presidio's context words.

In: a text. Out: Presidio results with one score. A pattern that has a group `v` reports that group,
else its whole match.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from eyrie.privacy.phrases import Phrases


class Shape(NamedTuple):
    """`pattern` (of `re` or `regex`) is tried on texts that can hold it; looking for plain text is 50 times cheaper.

    Necessary for every match: one of `phrases`, or else a match of `gate`.
    """

    pattern: Any
    phrases: Phrases | None = None
    gate: "re.Pattern[str] | None" = None

    def may_match(self, text: str) -> bool:
        if self.phrases:
            return self.phrases.occur_in(text)
        return self.gate is None or self.gate.search(text) is not None


class ShapeRecognizer(EntityRecognizer):  # type: ignore[misc]
    """Subclasses say which entity, which shapes and which score."""

    ENTITY = ""
    SHAPES: Sequence[Shape] = ()
    SCORE = 0.0

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        super().__init__([self.ENTITY], name=name or type(self).__name__, supported_language=supported_language)
        self._shapes = [(shape, "v" if "v" in shape.pattern.groupindex else 0) for shape in self.SHAPES]

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Offsets are characters of `text`."""
        return [
            self.result(match, group)
            for shape, group in self._shapes
            if shape.may_match(text)
            for match in shape.pattern.finditer(text)
        ]

    def result(self, match: "re.Match[str]", group: str | int) -> RecognizerResult:
        # Without an explanation: the analyzer copies it deeply for every result, and throws it away.
        return RecognizerResult(self.ENTITY, *match.span(group), self.SCORE)
