"""The detector that filter_prompts asks for, and the two backends in a row.

With `both`, Presidio looks first, and only conversations that it does not drop are sent to Cloud DLP, with everything
that Presidio found blanked out: what is known to be personal never leaves the machine.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from eyrie.params import FilterPrompts
from eyrie.privacy.cloud_dlp import PARALLEL, CloudDlpDetector
from eyrie.privacy.detection import (
    Detected,
    Detector,
    PresidioDetector,
    PresidioSettings,
    Texts,
    detect_with,
    without_partial,
)
from eyrie.privacy.engine import Finding
from eyrie.privacy.screening import Policy, check_policy

logger = logging.getLogger(__name__)

# A worker loads its own analyzer, 4 to 8 s, and screens hundreds of conversations a second: with less than this per
# worker, one process is done sooner.
MIN_CONVERSATIONS_PER_WORKER = 20_000


def make_detector(config: FilterPrompts, *, workers: int = 1, stream: bool = False) -> Detector:
    """The backend of `config`, its policy checked against what it can find. `stream`: answer each batch at once.

    Raises AnalyzerError, CloudDlpError or PolicyError.
    """
    presidio = None
    if config.backend != "cloud_dlp":
        settings = PresidioSettings(
            analyzer_config=Path(config.analyzer_config),
            fail_closed=config.fail_closed,
            score_threshold=config.score_threshold,
            entity_thresholds=config.entity_thresholds,
        )
        presidio = PresidioDetector(settings, workers=workers)
        mapped = set(config.cloud_dlp.info_types.values()) if config.backend == "both" else set()
        check_policy(config.policy, presidio.entities, known=sorted({*presidio.entities, *mapped}))
        if config.backend == "presidio":
            return presidio
    dlp = _cloud_dlp(config, stream=stream)
    blind = check_policy(config.policy, dlp.entities)
    if presidio is not None:
        return BothDetector(presidio, dlp, config.policy)
    if blind:
        logger.warning("no infoType of filter_prompts.cloud_dlp stands for %s: not looked for", ", ".join(blind))
    return dlp


def _cloud_dlp(config: FilterPrompts, *, stream: bool) -> CloudDlpDetector:
    settings = config.cloud_dlp
    assert settings.project is not None, "the schema asks for it"
    return CloudDlpDetector(
        project=settings.project,
        location=settings.location,
        info_types=settings.info_types,
        min_likelihood=settings.min_likelihood,
        requests_per_minute=settings.requests_per_minute,
        request_timeout_s=settings.request_timeout_s,
        retry_timeout_s=settings.retry_timeout_s,
        parallel=1 if stream else PARALLEL,
    )


class BothDetector:
    """`first`, then `second` on what `first` lets pass."""

    def __init__(self, first: Detector, second: Detector, policy: Policy) -> None:
        self._first, self._second, self._policy = first, second, policy
        self.batch_rows = second.batch_rows

    @property
    def entities(self) -> Sequence[str]:
        return sorted({*self._first.entities, *self._second.entities})

    def detect(self, batches: Iterable[Sequence[Texts]]) -> Iterator[list[Detected]]:
        first = detect_with(self._first, batches, lambda batch: batch)
        for (_, before), after in detect_with(self._second, first, lambda pair: self._passed(*pair)):
            yield [_joined(*pair) for pair in zip(before, after, strict=True)]

    def _passed(self, batch: Sequence[Texts], found: Sequence[Detected]) -> list[Texts]:
        return [
            [_blanked(text, findings) for text, findings in zip(texts, detected.findings, strict=True)]
            if self._stays(detected)
            else []
            for texts, detected in zip(batch, found, strict=True)
        ]

    def _stays(self, detected: Detected) -> bool:
        return detected.failure is None and not any(
            self._policy[finding.entity] == "drop" for findings in detected.findings for finding in findings
        )


def _blanked(text: str, findings: Sequence[Finding]) -> str:
    for finding in findings:
        text = text[: finding.start] + "_" * (finding.end - finding.start) + text[finding.end :]
    return text


def _joined(first: Detected, second: Detected) -> Detected:
    if first.failure or not second.findings:  # `second` was not asked
        return first
    if second.failure:
        return second
    pairs = zip(first.findings, second.findings, strict=True)
    return Detected([without_partial({*one, *other}) for one, other in pairs])
