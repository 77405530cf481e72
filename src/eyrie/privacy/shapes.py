"""One recogniser for everything that a list of regular expressions describes without Presidio's context words.

In: a text. Out: Presidio results with one score. A pattern that has a group `v` reports that group,
else its whole match.
"""

import re
from collections.abc import Sequence
from typing import Any

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts


class ShapeRecognizer(EntityRecognizer):  # type: ignore[misc]
    """Subclasses say which entity, which patterns (of `re` or `regex`) and which score."""

    ENTITY = ""
    PATTERNS: Sequence[Any] = ()
    SCORE = 0.0

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        super().__init__([self.ENTITY], name=name or type(self).__name__, supported_language=supported_language)
        self._patterns = [(pattern, "v" if "v" in pattern.groupindex else 0) for pattern in self.PATTERNS]

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Offsets are characters of `text`."""
        return [self.result(match, group) for pattern, group in self._patterns for match in pattern.finditer(text)]

    def result(self, match: "re.Match[str]", group: str | int) -> RecognizerResult:
        # Without an explanation: the analyzer copies it deeply for every result, and throws it away.
        return RecognizerResult(self.ENTITY, *match.span(group), self.SCORE)
