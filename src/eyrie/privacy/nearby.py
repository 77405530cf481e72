"""Words beside a number that say what it is: `passport: 123456789`, `"nhs_number": "..."`, a CSV header.

Takes the place of Presidio's enhancer, which compares lemmas of whole tokens and so reads none of `passport_no`,
`passportNumber`, "passport#" or two words in a row. Here a recogniser's context words are looked for in the characters
around its result, and a result of a low score is lifted where one stands.
"""

import re
from collections.abc import Sequence
from typing import Any

_BEFORE, _AFTER = 72, 56  # characters: half a sentence
_CELL_SIGNS = ("\t", "|", ";", ",")
_CELL, _TABLE = 40, 2000  # characters of a cell, and of a table above it
_LIFT, _LEAST = 0.35, 0.4  # as Presidio's default enhancer scores


class NearbyWords:
    """What Presidio's AnalyzerEngine calls a context aware enhancer."""

    def __init__(self) -> None:
        self._patterns: dict[str, re.Pattern[str]] = {}

    def enhance_using_context(
        self, text: str, raw_results: Sequence[Any], nlp_artifacts: Any, recognizers: Sequence[Any], context: Any = None
    ) -> list[Any]:
        """The results, with the scores of those lifted that stand beside a context word of their recogniser."""
        with_words = {item.id: item for item in recognizers if item.context}
        for result in raw_results:
            recognizer = with_words.get(result.recognition_metadata["recognizer_identifier"])
            if recognizer is None or result.score >= 1 or not self._stands_beside(text, result, recognizer):
                continue
            result.score = min(1.0, max(result.score + _LIFT, _LEAST))
        return list(raw_results)

    def _stands_beside(self, text: str, result: Any, recognizer: Any) -> bool:
        pattern = self._patterns.get(recognizer.id)
        if pattern is None:
            pattern = self._patterns[recognizer.id] = any_of(recognizer.context)
        return stands_beside(pattern, text, result.start, result.end)


def stands_beside(pattern: "re.Pattern[str]", text: str, start: int, end: int) -> bool:
    """Whether one of the words is near the characters `start:end`, or is the header of their column."""
    return bool(
        pattern.search(text, max(0, start - _BEFORE), start)
        or pattern.search(text, end, end + _AFTER)
        or pattern.search(column_header(text, start))
    )


def column_header(text: str, start: int) -> str:
    """What the first row of a table says of the column of the cell that begins at `start`; "" outside tables."""
    begin = text.rfind("\n", 0, start) + 1
    row = text[begin:start]
    sign = next((sign for sign in _CELL_SIGNS if sign in row or text[start : start + _CELL].find(sign) >= 0), None)
    top = text.rfind("\n\n", max(0, begin - _TABLE), begin)
    header = text[top + 2 if top >= 0 else max(0, begin - _TABLE) : begin]
    if sign is None or not header:
        return ""
    names = next((line for line in header.splitlines() if line.count(sign) >= max(1, row.count(sign))), "").split(sign)
    return names[row.count(sign)] if row.count(sign) < len(names) else ""


def any_of(words: Sequence[str]) -> re.Pattern[str]:
    """Whole words, also inside names of code (`passport_no`, `passportNumber`) and with "number" or its like behind."""
    either = "|".join(re.escape(word).replace(r"\ ", r"[ _.-]?") for word in sorted(words, key=len, reverse=True))
    begins = r"(?:(?<![^\W\d_])|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?=[\u3040-\u9fff\uac00-\ud7af]))"
    return re.compile(rf"{begins}(?i:(?:{either})(?:'?s)?(?:numm?ers?|nr|no|num|id|code)?)(?![a-zà-öø-ÿ])")
