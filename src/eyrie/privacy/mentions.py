"""Further mentions of a value that was found: said once as what it is, it stands bare elsewhere in the conversation.

In: a conversation's texts and what was found in them. Out: the findings, and one more for every other place where a
value that will be replaced stands too. A phone number is looked for in any spelling, all else as it was written. All
values at once, by look-up: a pattern for each would cost their number times the length of the text.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase, ascii_uppercase

from eyrie.privacy.dialling import dialled
from eyrie.privacy.engine import Finding
from eyrie.privacy.spelling import bare, plain

_SHORTEST = 6  # characters: shorter ones are words and numbers of any text
_FEWEST_DIGITS = 7
_GAP = r"[ ().\-/]{0,3}"
_DIGITS = re.compile(rf"\d(?:{_GAP}\d){{{_FEWEST_DIGITS - 1},}}")
_BEFORE_NATIONAL = re.compile(rf"(?<![\d+])(?:(?:\+|00)\d{{1,3}}{_GAP}(?:0{_GAP})?|[01]{_GAP})?\Z")
_BEFORE_WIDTH = 16
_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)  # keeps the length, as str.lower does not


@dataclass
class _Values:
    """What is looked for. Keys are national digits of phone numbers, and other values in small letters."""

    numbers: dict[str, Finding] = field(default_factory=dict)
    words: dict[str, dict[str, Finding]] = field(default_factory=lambda: defaultdict(dict))  # -> as written -> finding
    lengths: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))  # first characters -> of `words`

    def add(self, value: str, finding: Finding) -> None:
        digits = dialled(value).national if finding.entity == "PHONE_NUMBER" else ""
        if len(digits) >= _FEWEST_DIGITS:
            self.numbers[digits] = max(finding, self.numbers.get(digits, finding), key=_rank)
        elif len(value) >= _SHORTEST:
            small = value.translate(_SMALL)
            # without a digit it is a name, and in small letters a word
            as_written = "" if any(char in "@0123456789" for char in value) else value
            known = self.words[small]
            known[as_written] = max(finding, known.get(as_written, finding), key=_rank)
            self.lengths[small[:_SHORTEST]].add(len(small))


def with_further_mentions(
    texts: Sequence[str], findings: Sequence[Sequence[Finding]], entities: Collection[str]
) -> list[list[Finding]]:
    """`findings` of each text, sorted, and the further mentions of values of the types `entities`."""
    values = _Values()
    for text, found in zip(texts, findings, strict=True):
        for item in found:
            if item.entity in entities:
                values.add(bare(text[item.start : item.end]), item)
    if not (values.numbers or values.words):
        return [list(found) for found in findings]
    return [
        sorted([*found, *_further(plain(text), [item for item in found if item.entity in entities], values)])
        for text, found in zip(texts, findings, strict=True)
    ]


def _rank(finding: Finding) -> tuple[float, str]:
    return finding.score, finding.entity


def _further(text: str, found: Sequence[Finding], values: _Values) -> Iterator[Finding]:
    covered = bytearray(len(text))
    for item in found:
        covered[item.start : item.end] = b"\1" * (item.end - item.start)
    for mention in (*_numbers(text, values), *_words(text, values)):
        size = mention.end - mention.start
        if covered.count(1, mention.start, mention.end) < size:
            covered[mention.start : mention.end] = b"\1" * size
            yield mention


def _numbers(text: str, values: _Values) -> Iterator[Finding]:
    lengths = sorted({len(digits) for digits in values.numbers}, reverse=True)
    for run in _DIGITS.finditer(text) if lengths else ():
        places = [place for place in range(*run.span()) if text[place].isdecimal()]
        digits = "".join(text[place] for place in places)
        for first in range(len(digits)):
            for length in lengths:
                finding = values.numbers.get(digits[first : first + length])
                if finding is None or first + length > len(digits):
                    continue
                end = places[first + length - 1] + 1
                start = places[first]
                before = _BEFORE_NATIONAL.search(text, max(0, start - _BEFORE_WIDTH), start)
                if before is not None and not text[end : end + 1].isdecimal():
                    yield Finding(before.start(), end, finding.entity, finding.score)
                    break


def _words(text: str, values: _Values) -> Iterator[Finding]:
    small = text.translate(_SMALL)
    for start in range(len(text) - _SHORTEST + 1) if values.words else ():
        for length in sorted(values.lengths.get(small[start : start + _SHORTEST], ()), reverse=True):
            end = start + length
            if end > len(text):
                continue
            known = values.words.get(small[start:end], {})
            finding = known.get("") or known.get(text[start:end])
            goes_on = _goes_on(text[max(start - 1, 0) : start], text[start]) or _goes_on(
                text[end : end + 1], text[end - 1]
            )
            if finding and not goes_on:
                yield Finding(start, end, finding.entity, finding.score)
                break


def _goes_on(beside: str, edge: str) -> bool:
    """Whether `beside` makes a longer number or a longer word of a value that begins or ends with `edge`."""
    if edge.isdecimal():
        return beside.isdecimal()
    return edge.isalnum() and (beside.isalnum() or beside == "_")
