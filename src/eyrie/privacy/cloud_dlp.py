"""Google Cloud's Sensitive Data Protection (Cloud DLP) as a backend.

In: batches of texts. Out: findings with offsets in code points; the service is told not to quote what it found.

Texts travel as tables of one column, one text (or one window of a long text) per row. Limits that decide the shape
(cloud.google.com/sensitive-data-protection/limits): 0.5 MB per request, 50,000 values per table, 3,000 findings per
answer, 600 requests a minute. An answer with `findings_truncated`, and a request that is too large, are asked again in
halves. Quota and availability errors are retried with exponential backoff; every other error ends the run. Messages of
the service are never shown: they could quote a text.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from eyrie.privacy.detection import OVERLAP, Detected, Texts, safe, windows, without_partial
from eyrie.privacy.engine import Finding
from eyrie.workers import map_in_order

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 460_000  # of texts; the limit of 524,288 is for the whole message
_ROW_BYTES = 16  # what a row adds to its text, at most
_MAX_ROWS = 20_000
_WINDOW = 100_000  # characters, at most 400,000 bytes
_SMALLEST = 2 * OVERLAP  # a text shorter than this is not halved
PARALLEL = 8  # requests under way; an answer takes longer than the quota's interval
_SCORES = {"VERY_UNLIKELY": 0.1, "UNLIKELY": 0.3, "POSSIBLE": 0.5, "LIKELY": 0.75, "VERY_LIKELY": 1.0}
_TOO_LARGE = re.compile(r"size|too large|larger than|exceed", re.IGNORECASE)
_HINTS = {
    "PERMISSION_DENIED": "grant the credentials roles/dlp.user on filter_prompts.cloud_dlp.project and enable its API "
    "dlp.googleapis.com",
    "UNAUTHENTICATED": "run `gcloud auth application-default login` or set GOOGLE_APPLICATION_CREDENTIALS",
    "NOT_FOUND": "check filter_prompts.cloud_dlp.project and location",
    "INVALID_ARGUMENT": "check filter_prompts.cloud_dlp.location and info_types",
    "RESOURCE_EXHAUSTED": "lower filter_prompts.cloud_dlp.requests_per_minute or raise the project's quota",
}


class CloudDlpError(ValueError):
    """The service cannot be used, or did not answer in time. The message quotes no text and no credential."""


class _Part(NamedTuple):
    """A text or a window of one: text `text` of conversation `conversation`, from character `offset`."""

    conversation: int
    text: int
    offset: int
    value: str


class Pacer:
    """Lets a call through at most every 60 / `requests_per_minute` seconds, whichever thread asks."""

    def __init__(
        self,
        requests_per_minute: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = 60 / requests_per_minute
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._next = clock()

    def wait(self) -> None:
        with self._lock:
            slot = max(self._clock(), self._next)
            self._next = slot + self._interval
        delay = slot - self._clock()
        if delay > 0:
            self._sleep(delay)


def make_client() -> Any:
    """The real client with application default credentials. Raises CloudDlpError when there are none."""
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.dlp_v2 import DlpServiceClient

    try:
        return DlpServiceClient()
    except GoogleAuthError:
        raise CloudDlpError(f"filter_prompts.backend: no Google credentials; {_HINTS['UNAUTHENTICATED']}") from None


def _silence_client() -> None:
    """Google's clients log whole requests at DEBUG (GOOGLE_SDK_PYTHON_LOGGING_SCOPE), and retries quote errors."""
    for name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "google"]:
        logging.getLogger(name).setLevel(logging.WARNING)


class CloudDlpDetector:
    """Raises CloudDlpError, also when built: infoTypes that the service does not have are named at once."""

    batch_rows = 1_000

    def __init__(
        self,
        *,
        project: str,
        location: str,
        info_types: Mapping[str, str],
        min_likelihood: str,
        requests_per_minute: int,
        request_timeout_s: float,
        retry_timeout_s: float,
        parallel: int = PARALLEL,
        client: Any = None,
        backoff_s: float = 1.0,
    ) -> None:
        self._client = make_client() if client is None else client
        _silence_client()
        self._location, self._parent = location, f"projects/{project}/locations/{location}"
        self._info_types, self._min_likelihood = dict(info_types), min_likelihood.upper()
        self._request_timeout_s, self._retry_timeout_s, self._backoff_s = request_timeout_s, retry_timeout_s, backoff_s
        self._parallel = parallel
        self._told: set[str] = set()
        self._pacer = Pacer(requests_per_minute)
        self._check_info_types()

    @property
    def entities(self) -> Sequence[str]:
        return sorted(set(self._info_types.values()))

    def detect(self, batches: Iterable[Sequence[Texts]]) -> Iterator[list[Detected]]:
        """With one request at a time nothing is read ahead."""
        if self._parallel == 1:
            yield from map(self._detect, batches)
            return
        pool = ThreadPoolExecutor(self._parallel)
        try:
            yield from map_in_order(
                lambda batch: pool.submit(self._detect, batch), batches, max_waiting=self._parallel + 1
            )
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _detect(self, batch: Sequence[Texts]) -> list[Detected]:
        found: list[list[set[Finding]]] = [[set() for _ in texts] for texts in batch]
        failed: set[int] = set()
        for parts in _requests(_parts(batch)):
            for part, finding in self._inspect(parts):
                if finding is None:
                    failed.add(part.conversation)
                else:
                    found[part.conversation][part.text].add(finding)
        return [
            Detected([[] for _ in texts], "Cloud DLP found more in one text than it can report")
            if number in failed
            else Detected([without_partial(findings) for findings in texts])
            for number, texts in enumerate(found)
        ]

    def _inspect(self, parts: Sequence[_Part]) -> Iterator[tuple[_Part, Finding | None]]:
        """Every finding beside its part; None for a part that cannot be asked about in smaller pieces."""
        result = self._ask(parts)
        if result is None or result.findings_truncated:
            pieces = _halves(parts)
            if pieces is None and result is None:  # the text is not what is too large
                raise CloudDlpError(_sentence("INVALID_ARGUMENT"))
            if pieces is None:
                yield parts[0], None
                return
            for piece in pieces:
                yield from self._inspect(piece)
            return
        for item in result.findings:
            yield self._mapped(item, parts)

    def _mapped(self, item: Any, parts: Sequence[_Part]) -> tuple[_Part, Finding]:
        """Raises CloudDlpError on an answer that belongs to no row: losing a finding would pass for a clean text."""
        entity = self._info_types.get(item.info_type.name)
        locations = item.location.content_locations
        row = locations[0].record_location.table_location.row_index if locations else -1
        if entity is None or not 0 <= row < len(parts):
            raise CloudDlpError("Cloud DLP answered with a finding that belongs to no row or infoType of the request")
        part = parts[row]
        start, end = item.location.codepoint_range.start, item.location.codepoint_range.end
        if not 0 <= start < end <= len(part.value):  # somewhere in this row, then: all of it
            start, end = 0, len(part.value)
        return part, Finding(start + part.offset, end + part.offset, entity, _SCORES.get(item.likelihood.name, 1.0))

    def _ask(self, parts: Sequence[_Part]) -> Any:
        """The service's InspectResult; None when it says that the request is too large."""
        from google.api_core.exceptions import InvalidArgument

        request = {
            "parent": self._parent,
            "inspect_config": {
                "info_types": [{"name": name} for name in sorted(self._info_types)],
                "min_likelihood": self._min_likelihood,
                "include_quote": False,
            },
            "item": {
                "table": {
                    "headers": [{"name": "text"}],
                    "rows": [{"values": [{"string_value": part.value}]} for part in parts],
                }
            },
        }
        try:
            return self._call(self._client.inspect_content, request).result
        except InvalidArgument as error:
            if _TOO_LARGE.search(error.message or ""):
                return None
            raise CloudDlpError(_sentence("INVALID_ARGUMENT")) from None

    def _check_info_types(self) -> None:
        from google.api_core.exceptions import InvalidArgument

        request = {"parent": f"locations/{self._location}"}
        try:
            answer = self._call(self._client.list_info_types, request)
        except InvalidArgument:
            raise CloudDlpError(_sentence("INVALID_ARGUMENT")) from None
        known = {description.name for description in answer.info_types}
        if unknown := sorted(set(self._info_types) - known):
            raise CloudDlpError(
                f"filter_prompts.cloud_dlp.info_types: Cloud DLP has no {', '.join(unknown)} in this location"
            )

    def _call(self, method: Callable[..., Any], request: Mapping[str, Any]) -> Any:
        """`method(request)`, paced, retried while that can help. Raises InvalidArgument or CloudDlpError."""
        from google.api_core import exceptions
        from google.api_core.retry import Retry, if_exception_type
        from google.auth.exceptions import GoogleAuthError

        def paced() -> Any:
            self._pacer.wait()
            return method(request=request, retry=None, timeout=self._request_timeout_s)

        retryable = if_exception_type(
            exceptions.ResourceExhausted,
            exceptions.ServiceUnavailable,
            exceptions.DeadlineExceeded,
            exceptions.InternalServerError,
            exceptions.Aborted,
        )
        retry = Retry(
            retryable,
            initial=self._backoff_s,
            maximum=60,
            multiplier=2,
            timeout=self._retry_timeout_s,
            on_error=self._tell_once,
        )
        try:
            return retry(paced)()
        except exceptions.InvalidArgument:
            raise
        except exceptions.RetryError as error:
            code = _code(error.cause)
            raise CloudDlpError(_sentence(code, f"still, after {self._retry_timeout_s:g} s of retries")) from None
        except exceptions.GoogleAPICallError as error:
            raise CloudDlpError(_sentence(_code(error))) from None
        except GoogleAuthError:
            raise CloudDlpError(_sentence("UNAUTHENTICATED")) from None

    def _tell_once(self, error: Exception) -> None:
        """A run that waits for its quota says so, once per status."""
        code = _code(error)
        if code not in self._told:
            self._told.add(code)
            logger.warning("Cloud DLP answers %s; trying again, for at most %g s", code, self._retry_timeout_s)


def _code(error: Any) -> str:
    status = getattr(error, "grpc_status_code", None)
    return str(status.name) if status is not None else type(error).__name__


def _sentence(code: str, more: str = "") -> str:
    hint = _HINTS.get(code)
    return f"Cloud DLP refused the request: {code}{f' {more}' if more else ''}{f'; {hint}' if hint else ''}"


def _parts(batch: Sequence[Texts]) -> Iterator[_Part]:
    for number, texts in enumerate(batch):
        for index, text in enumerate(texts):
            if text.strip():
                for offset, value in windows(safe(text), size=_WINDOW, overlap=OVERLAP):
                    yield _Part(number, index, offset, value)


def _requests(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    """As many parts per request as the limits allow."""
    request: list[_Part] = []
    size = 0
    for part in parts:
        part_size = len(part.value.encode()) + _ROW_BYTES
        if request and (size + part_size > MAX_REQUEST_BYTES or len(request) == _MAX_ROWS):
            yield request
            request, size = [], 0
        request.append(part)
        size += part_size
    if request:
        yield request


def _halves(parts: Sequence[_Part]) -> list[list[_Part]] | None:
    """Half the rows each; of one row, two overlapping halves of its text; None when it is too short for that."""
    if len(parts) > 1:
        middle = len(parts) // 2
        return [list(parts[:middle]), list(parts[middle:])]
    part = parts[0]
    length = len(part.value)
    if length <= _SMALLEST:
        return None
    pieces = windows(part.value, size=(length + OVERLAP + 1) // 2, overlap=OVERLAP)
    return [[part._replace(offset=part.offset + offset, value=value)] for offset, value in pieces]
