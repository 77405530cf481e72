"""Where in a conversation's texts there is something: the interface of the backends, and Presidio behind it.

In: batches of conversations, each the list of its texts. Out: for each batch, in order, what was found per text. A
backend only finds; `privacy.screening` decides what is done about it.

Two things are the same for every backend. Characters that can stop a search or a request (null, lone surrogates) are
exchanged for harmless ones of the same length, so that offsets stay. Long texts are searched in overlapping windows,
so that a pattern of quadratic time costs a bounded time; a bound in seconds would make the outcome depend on the
machine.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from eyrie.privacy.engine import Analyzer, Finding, UnscreenableError, load_analyzer
from eyrie.workers import map_in_processes

WINDOW = 16_384
OVERLAP = 4_096  # longer than a private key of 4,096 bits in PEM, 3,300 characters

BatchT = TypeVar("BatchT")
Texts = Sequence[str]  # of one conversation


@dataclass(frozen=True)
class Detected:
    """`findings[i]` are those of text i, sorted. `failure` says why a text could not be analyzed, without a value."""

    findings: list[list[Finding]]
    failure: str | None = None


class Detector(Protocol):
    """A backend. `batch_rows` is how many conversations it likes to see at a time."""

    batch_rows: int

    @property
    def entities(self) -> Sequence[str]:
        """Every entity type that can be found, sorted."""

    def detect(self, batches: Iterable[Sequence[Texts]]) -> Iterator[list[Detected]]:
        """One list per batch, in order. May read some batches ahead."""


def detect_with(
    detector: Detector, batches: Iterable[BatchT], texts_of: Callable[[BatchT], Sequence[Texts]]
) -> Iterator[tuple[BatchT, list[Detected]]]:
    """Each batch beside what was found in it."""
    waiting: deque[BatchT] = deque()

    def texts() -> Iterator[Sequence[Texts]]:
        for batch in batches:
            waiting.append(batch)
            yield texts_of(batch)

    for detected in detector.detect(texts()):
        yield waiting.popleft(), detected


_UNSAFE = re.compile("[\0\ud800-\udfff]")


def safe(text: str) -> str:
    """The text with a space for each null and U+FFFD for each lone surrogate: the same length, valid in UTF-8."""
    return _UNSAFE.sub(lambda match: " " if match[0] == "\0" else "\ufffd", text)


def windows(text: str, *, size: int, overlap: int) -> Iterator[tuple[int, str]]:
    """(offset, part) pairs that cover the text; neighbours share `overlap` characters."""
    start = 0
    while True:
        yield start, text[start : start + size]
        if start + size >= len(text):
            return
        start += size - overlap


def without_partial(findings: Iterable[Finding]) -> list[Finding]:
    """Sorted, less those inside another of their type: what a window cut off, when its neighbour has it whole."""
    kept = []
    last: dict[str, int] = {}
    for finding in sorted(findings, key=lambda item: (item.start, -item.end, item.entity, -item.score)):
        if finding.end > last.get(finding.entity, 0):
            last[finding.entity] = finding.end
            kept.append(finding)
    return sorted(kept)


@dataclass(frozen=True)
class PresidioSettings:
    """Plain values, so that worker processes can have them. `entity_thresholds` override `score_threshold` by type."""

    analyzer_config: Path
    fail_closed: bool
    score_threshold: float
    entity_thresholds: Mapping[str, float]


class PresidioDetector:
    """Presidio's analyzer, in this process or in `workers` of them. Raises AnalyzerError."""

    batch_rows = 200

    def __init__(self, settings: PresidioSettings, *, workers: int = 1, analyzer: Analyzer | None = None) -> None:
        # Also when workers will do the work: settings that cannot work fail here, in one sentence.
        self._analyzer = analyzer or _load(settings)
        self._settings, self._workers = settings, workers

    @property
    def entities(self) -> Sequence[str]:
        return self._analyzer.entities

    def detect(self, batches: Iterable[Sequence[Texts]]) -> Iterator[list[Detected]]:
        if self._workers > 1:
            return map_in_processes(_batch_worker, self._settings, batches, workers=self._workers)
        return map(partial(_detect_batch, self._analyzer, self._settings), batches)


def _load(settings: PresidioSettings) -> Analyzer:
    return load_analyzer(settings.analyzer_config, fail_closed=settings.fail_closed)


def _batch_worker(settings: PresidioSettings) -> Callable[[Sequence[Texts]], list[Detected]]:
    """Runs once in each worker process."""
    return partial(_detect_batch, _load(settings), settings)


def _detect_batch(analyzer: Analyzer, settings: PresidioSettings, batch: Sequence[Texts]) -> list[Detected]:
    return [_detect(analyzer, settings, texts) for texts in batch]


def _detect(analyzer: Analyzer, settings: PresidioSettings, texts: Texts) -> Detected:
    try:
        return Detected([_find(analyzer, settings, safe(text)) for text in texts])
    except UnscreenableError as error:
        return Detected([[] for _ in texts], str(error))


def _find(analyzer: Analyzer, settings: PresidioSettings, text: str) -> list[Finding]:
    thresholds = settings.entity_thresholds
    lowest = min([settings.score_threshold, *thresholds.values()])
    found = {
        Finding(finding.start + offset, finding.end + offset, finding.entity, finding.score)
        for offset, part in (windows(text, size=WINDOW, overlap=OVERLAP) if text else ())
        for finding in analyzer.find(part, score_threshold=lowest)
        if finding.score >= thresholds.get(finding.entity, settings.score_threshold)
    }
    return without_partial(found)
