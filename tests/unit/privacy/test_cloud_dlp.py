import logging
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eyrie.privacy import cloud_dlp
from eyrie.privacy.cloud_dlp import CloudDlpDetector, CloudDlpError, Pacer
from eyrie.privacy.detection import Detected
from eyrie.privacy.engine import Finding
from tests.unit.privacy.fake_dlp import FakeDlp, serving

INFO_TYPES = {"EMAIL_ADDRESS": "EMAIL_ADDRESS", "PERSON_NAME": "PERSON", "CREDIT_CARD_NUMBER": "CREDIT_CARD"}
VALUE = "nadia@corp-example.com"


@pytest.fixture
def service() -> Iterator[tuple[FakeDlp, Any]]:
    with serving() as pair:
        yield pair


def detector(client: Any, **changes: Any) -> CloudDlpDetector:
    arguments: dict[str, Any] = {
        "project": "a-project",
        "location": "europe-west1",
        "info_types": INFO_TYPES,
        "min_likelihood": "possible",
        "requests_per_minute": 600_000,
        "request_timeout_s": 10.0,
        "retry_timeout_s": 10.0,
        "backoff_s": 0.01,
    }
    return CloudDlpDetector(client=client, **(arguments | changes))


def found(client: Any, *conversations: list[str], **changes: Any) -> list[Detected]:
    return [item for batch in detector(client, **changes).detect([conversations]) for item in batch]


def test_findings_come_back_to_the_turn_and_the_code_points_they_belong_to(service: tuple[FakeDlp, Any]) -> None:
    fake, client = service
    turns = ["", "é😀 ask a@b.com", "Nadia Meyer; c@d.org"]
    one, other = found(client, turns, ["nothing here"])
    assert one.findings == [
        [],
        [Finding(7, 14, "EMAIL_ADDRESS", 0.75)],
        [Finding(0, 11, "PERSON", 0.75), Finding(13, 20, "EMAIL_ADDRESS", 0.75)],
    ]
    assert turns[1][7:14] == "a@b.com"
    assert other == Detected([[]])
    (request,) = fake.requests  # both conversations, and no empty text
    assert fake.texts() == [[*turns[1:], "nothing here"]]
    assert request.parent == "projects/a-project/locations/europe-west1"
    assert {item.name for item in request.inspect_config.info_types} == set(INFO_TYPES)
    assert not request.inspect_config.include_quote
    assert request.inspect_config.min_likelihood == 3


def test_batches_are_answered_in_order_with_several_requests_under_way(service: tuple[FakeDlp, Any]) -> None:
    _, client = service
    batches = [[[f"{'x' * number} a@b.com"]] for number in range(30)]
    answers = list(detector(client).detect(batches))
    assert [batch[0].findings[0][0].start for batch in answers] == [number + 1 for number in range(30)]


def test_no_request_is_larger_than_the_limit_and_large_texts_are_split_with_overlap(
    service: tuple[FakeDlp, Any],
) -> None:
    fake, client = service
    border = cloud_dlp._WINDOW
    filler = "é " * 500_000
    text = filler[: border - 3] + f" {VALUE} " + filler
    (detected,) = found(client, [text, *["word " * 300] * 400])
    ((finding,), *others) = detected.findings
    assert text[finding.start : finding.end] == VALUE
    assert not any(others)
    assert len(fake.requests) > 4
    assert max(request.ByteSize() for request in fake.requests) <= 524_288


def test_truncated_answers_are_asked_again_in_halves_until_nothing_is_missing(service: tuple[FakeDlp, Any]) -> None:
    fake, client = service
    fake.max_findings = 10
    conversations = [[f"a{number}@b.com c{number}@d.com"] for number in range(23)]
    answers = found(client, *conversations)
    assert [len(answer.findings[0]) for answer in answers] == [2] * 23
    assert fake.num_calls > 5


def test_one_text_with_too_many_findings_is_halved_with_overlap(service: tuple[FakeDlp, Any]) -> None:
    fake, client = service
    fake.max_findings = 1_000
    text = "x1@b.com " * 3_000
    (detected,) = found(client, [text])
    assert [text[item.start : item.end] for item in detected.findings[0]] == ["x1@b.com"] * 3_000


def test_a_text_that_cannot_be_reported_whole_makes_its_conversation_unscreenable(
    service: tuple[FakeDlp, Any],
) -> None:
    fake, client = service
    fake.max_findings = 5
    bad, good = found(client, ["a@b.com " * 50], ["a@b.com"])
    assert bad == Detected([[]], "Cloud DLP found more in one text than it can report")
    assert len(good.findings[0]) == 1


def test_a_request_that_the_service_calls_too_large_is_sent_in_halves(service: tuple[FakeDlp, Any]) -> None:
    fake, client = service
    fake.max_bytes = 2_000
    answers = found(client, *[[f"{'w' * 300} a@b.com"]] * 20)
    assert all(len(answer.findings[0]) == 1 for answer in answers)
    assert max(request.ByteSize() for request in fake.requests) <= 2_000


def test_a_limit_that_no_smaller_request_meets_ends_the_run_instead_of_dropping_every_prompt(
    service: tuple[FakeDlp, Any],
) -> None:
    fake, client = service
    fake.max_bytes = 10
    with pytest.raises(CloudDlpError, match="INVALID_ARGUMENT; check"):
        found(client, *[["a@b.com"]] * 500)
    assert fake.num_calls <= 10


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
    ],
)
def test_quota_and_availability_errors_are_retried_and_told_once(
    service: tuple[FakeDlp, Any], code: grpc.StatusCode, caplog: pytest.LogCaptureFixture
) -> None:
    fake, client = service
    fake.script.extend([(code, "later")] * 3)
    (detected,) = found(client, ["a@b.com"])
    assert len(detected.findings[0]) == 1
    assert fake.num_calls == 4
    assert [record.getMessage() for record in caplog.records] == [
        f"Cloud DLP answers {code.name}; trying again, for at most 10 s"
    ]


def test_retries_wait_longer_each_time_and_end_in_one_sentence(
    service: tuple[FakeDlp, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.api_core.retry import retry_unary

    waits: list[float] = []
    monkeypatch.setattr(retry_unary.time, "sleep", waits.append)
    fake, client = service
    fake.script.extend([(grpc.StatusCode.RESOURCE_EXHAUSTED, f"quota; the text was {VALUE}")] * 200)
    # Full jitter draws each wait between nothing and a bound that doubles; with its upper end drawn, the bounds show.
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    with pytest.raises(
        CloudDlpError, match=r"RESOURCE_EXHAUSTED still, after 0\.5 s of retries; lower filter_"
    ) as error:
        found(client, [VALUE], retry_timeout_s=0.5, parallel=1)
    assert waits[:5] == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16])
    assert VALUE not in str(error.value)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, r"PERMISSION_DENIED; grant the credentials roles/dlp\.user"),
        (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED; run `gcloud auth"),
        (grpc.StatusCode.INVALID_ARGUMENT, r"INVALID_ARGUMENT; check filter_prompts\.cloud_dlp\.location"),
        (grpc.StatusCode.NOT_FOUND, r"NOT_FOUND; check filter_prompts\.cloud_dlp\.project"),
    ],
)
def test_other_errors_end_at_once_in_one_sentence_that_quotes_nothing(
    service: tuple[FakeDlp, Any], code: grpc.StatusCode, hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    fake, client = service
    fake.script.append((code, f"wrong: {VALUE}"))
    with caplog.at_level(logging.DEBUG), pytest.raises(CloudDlpError, match=hint) as error:
        found(client, [f"mail {VALUE}"])
    assert fake.num_calls == 1
    assert "\n" not in str(error.value)
    assert VALUE not in str(error.value) + caplog.text
    assert error.value.__suppress_context__


def test_the_client_s_debug_logs_which_hold_whole_requests_stay_off(
    service: tuple[FakeDlp, Any], caplog: pytest.LogCaptureFixture
) -> None:
    fake, client = service
    transport = "google.cloud.dlp_v2.services.dlp_service.transports.grpc"
    for name in ("google", transport):  # as GOOGLE_SDK_PYTHON_LOGGING_SCOPE does
        caplog.set_level(logging.DEBUG, logger=name)
    fake.script.append((grpc.StatusCode.UNAVAILABLE, f"wrong: {VALUE}"))
    assert found(client, [f"mail {VALUE}"])[0].findings[0]
    assert VALUE not in str([record.__dict__ for record in caplog.records])


def test_an_unknown_infotype_is_named_before_any_text_is_sent(service: tuple[FakeDlp, Any]) -> None:
    fake, client = service
    with pytest.raises(CloudDlpError, match=r"info_types: Cloud DLP has no PERSON_NAMES in this location"):
        detector(client, info_types=INFO_TYPES | {"PERSON_NAMES": "PERSON"})
    assert fake.num_calls == 0


def test_an_answer_that_fits_no_row_is_not_taken_for_a_clean_text(
    service: tuple[FakeDlp, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, client = service
    inspect = fake.inspect

    def misplaced(request: Any, context: Any) -> Any:
        response = inspect(request, context)
        response.result.findings[0].location.content_locations[0].record_location.table_location.row_index = 7
        return response

    pieces = detector(client)
    monkeypatch.setattr(pieces._client, "inspect_content", lambda request, **_: _answer(misplaced, request))
    with pytest.raises(CloudDlpError, match="belongs to no row"):
        list(pieces.detect([[["a@b.com"]]]))


def _answer(method: Any, request: dict[str, Any]) -> Any:
    from google.cloud import dlp_v2

    message = dlp_v2.InspectContentRequest(request)
    return dlp_v2.InspectContentResponse.wrap(method(dlp_v2.InspectContentRequest.pb(message), None))


def test_calls_are_paced_over_all_threads(service: tuple[FakeDlp, Any]) -> None:
    fake, client = service
    batches = [[["a@b.com"]]] * 12
    list(detector(client, requests_per_minute=1_200).detect(batches))
    assert len(fake.times) == 12
    assert fake.times[-1] - fake.times[0] >= 11 * 0.05 * 0.8


def test_the_pacer_gives_one_slot_per_interval_and_saves_up_none() -> None:
    now = [0.0]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    pacer = Pacer(60, clock=lambda: now[0], sleep=sleep)
    pacer.wait()
    pacer.wait()
    now[0] = 100.0
    pacer.wait()
    pacer.wait()
    assert waits == [1.0, 1.0]


@pytest.fixture(scope="module")
def shared_service() -> Iterator[tuple[FakeDlp, Any]]:
    with serving() as pair:
        yield pair


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text(st.characters(exclude_categories=())), max_size=4), max_size=5))
def test_any_text_is_screened_and_offsets_stay_inside_it(
    shared_service: tuple[FakeDlp, Any], conversations: list[list[str]]
) -> None:
    _, client = shared_service
    marked = [[f"{text} x@y.com" for text in texts] for texts in conversations]
    for texts, detected in zip(marked, found(client, *marked), strict=True):
        assert detected.failure is None
        for text, findings in zip(texts, detected.findings, strict=True):
            assert any(text[item.start : item.end].endswith("x@y.com") for item in findings)


def test_missing_credentials_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from google.auth import exceptions
    from google.cloud import dlp_v2

    def refuse(*_: object, **__: object) -> None:
        raise exceptions.DefaultCredentialsError("secret path")

    monkeypatch.setattr(dlp_v2, "DlpServiceClient", refuse)
    with pytest.raises(CloudDlpError, match="no Google credentials; run `gcloud auth") as error:
        cloud_dlp.make_client()
    assert "secret" not in str(error.value)
