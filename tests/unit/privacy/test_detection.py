import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eyrie.privacy import detection
from eyrie.privacy.detection import (
    OVERLAP,
    WINDOW,
    Detected,
    PresidioDetector,
    PresidioSettings,
    Texts,
    detect_with,
    safe,
    windows,
    without_partial,
)
from eyrie.privacy.engine import Analyzer, AnalyzerError, Finding, UnscreenableError
from tests.conftest import REPOSITORY

CONFIG = REPOSITORY / "resources/privacy/analyzer.yaml"
CARD = "4111 1111 1111 1111"


def settings_with(**changes: object) -> PresidioSettings:
    values: dict[str, object] = {
        "analyzer_config": CONFIG,
        "fail_closed": False,
        "score_threshold": 0.4,
        "entity_thresholds": {},
    }
    return PresidioSettings(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def presidio(analyzer: Analyzer) -> PresidioDetector:
    return PresidioDetector(settings_with(), analyzer=analyzer)


def found(detector: PresidioDetector, *texts: str) -> Detected:
    ((detected,),) = detector.detect([[texts]])
    return detected


def test_a_value_is_found_where_it_stands_in_each_text(presidio: PresidioDetector) -> None:
    texts = ["", "plain", f"pay {CARD} or jo@corp.com"]
    found_here = found(presidio, *texts).findings
    assert found_here[:2] == [[], []]
    assert [(item.entity, texts[2][item.start : item.end]) for item in found_here[2]] == [
        ("CREDIT_CARD", CARD),
        ("EMAIL_ADDRESS", "jo@corp.com"),
    ]


def test_one_text_that_fails_makes_its_conversation_fail_and_no_other(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = analyzer.find

    def find(text: str, *, score_threshold: float) -> list[Finding]:
        if "unreadable" in text:
            raise UnscreenableError("the analyzer failed with ValueError")
        return real(text, score_threshold=score_threshold)

    monkeypatch.setattr(analyzer, "find", find)
    (answer,) = PresidioDetector(settings_with(), analyzer=analyzer).detect([[[CARD, "unreadable"], [CARD]]])
    assert [item.failure for item in answer] == ["the analyzer failed with ValueError", None]
    assert [len(findings) for findings in answer[1].findings] == [1]


def test_a_type_may_have_its_own_threshold(analyzer: Analyzer) -> None:
    text = "My passport number is 488839667; write to jo@corp.com."
    for threshold, expected in ((0.3, {"EMAIL_ADDRESS", "US_PASSPORT"}), (0.9, {"EMAIL_ADDRESS"})):
        detector = PresidioDetector(settings_with(entity_thresholds={"US_PASSPORT": threshold}), analyzer=analyzer)
        assert {item.entity for item in found(detector, text).findings[0]} == expected


def test_fail_closed_takes_rarely_capitalised_words_for_names_in_every_process(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(CONFIG.parent, tmp_path / "privacy"))
    (folder / "names").mkdir(exist_ok=True)
    (folder / "names/lexicon.tsv").write_text("the\to\ntable\to\n", encoding="utf-8")
    shipped = (folder / "analyzer.yaml").read_text(encoding="utf-8")
    without_names = "\n".join(line for line in shipped.splitlines() if "NameRecognizer" not in line)
    (folder / "analyzer.yaml").write_text(without_names, encoding="utf-8")  # it finds this name by itself
    text = "The Zyxwin table"
    for fail_closed, workers, expected in ((False, 1, []), (True, 1, ["Zyxwin"]), (True, 2, ["Zyxwin"])):
        config = settings_with(analyzer_config=folder / "analyzer.yaml", fail_closed=fail_closed)
        ((detected,),) = PresidioDetector(config, workers=workers).detect([[[text]]])
        words = [text[item.start : item.end] for item in detected.findings[0] if item.entity == "PERSON"]
        assert words == expected


def test_windows_cover_the_text_and_hold_every_value_of_the_overlap_whole() -> None:
    for length in (0, 1, 9, 10, 11, 17, 100, 101):
        text = "".join(chr(ord("a") + number % 26) for number in range(length))
        parts = list(windows(text, size=10, overlap=4))
        assert all(text[offset : offset + len(part)] == part and len(part) <= 10 for offset, part in parts)
        assert all(any(start >= o and start + 4 <= o + len(p) for o, p in parts) for start in range(length - 4))
        assert {o + i for o, p in parts for i in range(len(p))} == set(range(length))


def test_a_value_on_the_border_of_a_window_is_found_once(presidio: PresidioDetector) -> None:
    for start in (WINDOW - 8, WINDOW - OVERLAP - 8, WINDOW - OVERLAP + 8):
        text = "so " * (start // 3) + f"pay {CARD} now " + "so " * 3_000
        (findings,) = found(presidio, text).findings
        assert [text[item.start : item.end] for item in findings] == [CARD]


def test_a_private_key_on_the_border_of_a_window_is_covered_whole(presidio: PresidioDetector) -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC/k1\n" * 80 + "-----END PRIVATE KEY-----"
    text = "word " * ((WINDOW - 1_500) // 5) + key + " word" * 5_000
    spans = [(item.start, item.end) for item in found(presidio, text).findings[0] if item.entity == "SECRET"]
    covered = {position for start, end in spans for position in range(start, end)}
    assert set(range(text.index(key), text.index(key) + len(key))) <= covered


@pytest.mark.parametrize(
    "text",
    [
        "a" * 400_000,
        "1 " * 200_000,
        "my name is " * 30_000,
        "A. " * 130_000,
        "\u202e\u05d0\u05d1\u05d2 " * 80_000,
        "key='" * 80_000,
        "_a" * 200 + "@mail.none",
    ],
    ids=["letters", "digits", "phrases", "initials", "right-to-left", "quotes", "underscores"],
)
def test_a_long_line_takes_bounded_time(presidio: PresidioDetector, text: str) -> None:
    started = time.process_time()
    assert found(presidio, text).failure is None
    assert time.process_time() - started < 60


def test_two_hundred_turns_are_one_conversation(presidio: PresidioDetector) -> None:
    turns = [f"turn {number}" for number in range(200)] + [f"pay {CARD}"]
    detected = found(presidio, *turns)
    assert [number for number, findings in enumerate(detected.findings) if findings] == [200]


def test_nulls_and_lone_surrogates_hide_nothing_and_move_nothing(presidio: PresidioDetector) -> None:
    text = f"\ud83d\0 {CARD}\0and \udc00 My passport number is 488839667"
    findings = found(presidio, text).findings[0]
    assert [text[item.start : item.end] for item in findings] == [CARD, "488839667"]


def check_found_whole(presidio: PresidioDetector, text: str, value: str) -> None:
    start = text.index(value)
    spans = {(item.start, item.end) for item in found(presidio, text).findings[0]}
    assert (start, start + len(value)) in spans


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("mail m\u200barta.kow\u200dal@poc\u00adzta.pl now", "m\u200barta.kow\u200dal@poc\u00adzta.pl"),
        ("call me\u200b07700 900482 now", "07700 900482"),
        ("+44\u206607700\u2069900482", "+44\u206607700\u2069900482"),
        ("pay 4111 1111\u200b 1111 1111 now", "4111 1111\u200b 1111 1111"),
        ("pay 4111\u200b \u200b1111 1111\u2060\n1111 now", "4111\u200b \u200b1111 1111\u2060\n1111"),
        ("to DE89 3704\u200b 0044 0532 0130 00 now", "DE89 3704\u200b 0044 0532 0130 00"),
        ("call +1\u00a0\u200b(415)\u200b 555-2671 now", "+1\u00a0\u200b(415)\u200b 555-2671"),
        ("call (415)\u200e 555-2671 now", "(415)\u200e 555-2671"),
        ("ＪＡＮＥ＠ＥＸＡＭＰＬＥ－ｃｏｒｐ．ｃｏｍ です", "ＪＡＮＥ＠ＥＸＡＭＰＬＥ－ｃｏｒｐ．ｃｏｍ"),
        ("mail 𝗷𝗮𝗻𝗲.𝗱𝗼𝗲𝟴𝟳@𝗲𝘅𝗮𝗺𝗽𝗹𝗲-𝗰𝗼𝗿𝗽.𝗰𝗼𝗺 now", "𝗷𝗮𝗻𝗲.𝗱𝗼𝗲𝟴𝟳@𝗲𝘅𝗮𝗺𝗽𝗹𝗲-𝗰𝗼𝗿𝗽.𝗰𝗼𝗺"),
        ("Please ask 𝑱𝒐𝒏𝒂𝒕𝒉𝒂𝒏 𝑾𝒉𝒊𝒕𝒇𝒊𝒆𝒍𝒅 for it", "𝑱𝒐𝒏𝒂𝒕𝒉𝒂𝒏 𝑾𝒉𝒊𝒕𝒇𝒊𝒆𝒍𝒅"),
        ("هاتفي ٠٥٠٤٨٢٧٧٣١", "٠٥٠٤٨٢٧٧٣١"),
        ("電話番号は090-4821-7735です。留守電", "090-4821-7735"),
        ("请发到wang.fang88@163.com谢谢", "wang.fang88@163.com"),
        ("我的手机号是13812946075，帮我", "13812946075"),
        (f"卡号{CARD}被盗", CARD),
    ],
)
def test_characters_unseen_wide_or_of_scripts_without_spaces_hide_no_value(
    presidio: PresidioDetector, text: str, value: str
) -> None:
    check_found_whole(presidio, text, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"email": "john.miller\u0040acme-tools.com"}', r"john.miller\u0040acme-tools.com"),
        (r"my ssn is 536\u002d90\u002d4399", r"536\u002d90\u002d4399"),
        (r"my ssn is 536\x2d90\x2d4399", r"536\x2d90\x2d4399"),
        ("my ssn is 536&#45;90&#45;4399, why?", "536&#45;90&#45;4399"),
        (
            "<td>jo&period;m&#64;acme-tools&#46;&#x63;&#x6F;&#109;</td>",
            "jo&period;m&#64;acme-tools&#46;&#x63;&#x6F;&#109;",
        ),
        ("call 415&nbsp;867&nbsp;2671 now", "415&nbsp;867&nbsp;2671"),
        ("GET /x?phone=%2B1%20415%20867%202671&y=1", "%2B1%20415%20867%202671"),
        ("pay 4111&nbsp;1111&#160;1111&#xA0;1111 now", "4111&nbsp;1111&#160;1111&#xA0;1111"),
        ("to DE89&nbsp;37040044&nbsp;0532013000 now", "DE89&nbsp;37040044&nbsp;0532013000"),
        ("call +1 <b>415</b> 867<br/>2671 now", "+1 <b>415</b> 867<br/>2671"),
        ('mail jo<wbr>.m@<span class="x">acme-tools</span>.com', 'jo<wbr>.m@<span class="x">acme-tools</span>.com'),
        ("mail m\u200barta&#64;poc\u00adzta.pl now", "m\u200barta&#64;poc\u00adzta.pl"),
        ("call 415\u3164867\u28002671 now", "415\u3164867\u28002671"),
    ],
)
def test_values_that_html_json_or_addresses_spell_are_found_whole(
    presidio: PresidioDetector, text: str, value: str
) -> None:
    check_found_whole(presidio, text, value)


def test_bytes_and_markup_spell_no_value(presidio: PresidioDetector) -> None:
    """Letters and digits of byte strings are programs; what HTML says of itself is no text."""
    for text in (r"b'\x34\x31\x35\x38\x36\x37\x32\x36\x37\x31'", "if a &lt; b &amp;&amp; c &gt; 4: &quot;x&quot;"):
        assert found(presidio, text).findings == [[]]


def test_what_a_window_cut_off_yields_to_the_whole_of_its_type() -> None:
    whole, cut, other = Finding(5, 20, "A", 0.5), Finding(9, 20, "A", 0.9), Finding(6, 9, "B", 0.5)
    assert without_partial([cut, other, whole, Finding(18, 25, "A", 0.5)]) == [whole, other, Finding(18, 25, "A", 0.5)]


@given(st.text(st.characters(exclude_categories=())))
def test_safe_text_has_the_same_length_and_is_valid(text: str) -> None:
    assert len(safe(text)) == len(text)
    assert "\0" not in safe(text)
    assert safe(text).encode("utf-8")[:0] == b""


@settings(max_examples=60, deadline=None)
@given(before=st.text(st.characters(exclude_categories=()), max_size=80), after=st.text(max_size=80))
def test_any_text_around_a_value_is_analyzed_without_an_error(
    presidio: PresidioDetector, before: str, after: str
) -> None:
    text = f"{before} -- jo@corp.com -- {after}"
    detected = found(presidio, text)
    assert detected.failure is None
    covered = {position for item in detected.findings[0] for position in range(item.start, item.end)}
    start = len(before) + 4
    assert set(range(start, start + len("jo@corp.com"))) <= covered
    assert max(covered) < len(text)


class Slow:
    """A detector that reads all batches before it answers the first."""

    batch_rows = 1
    entities: Sequence[str] = ()

    def detect(self, batches: object) -> object:
        return iter([[Detected([[] for _ in texts]) for texts in batch] for batch in list(batches)])  # type: ignore[call-overload]


def test_each_batch_comes_back_beside_its_answer_however_far_a_detector_reads_ahead() -> None:
    batches = [["a", "b"], [], ["c"]]

    def texts_of(batch: list[str]) -> list[Texts]:
        return [[text, text] for text in batch]

    pairs = list(detect_with(Slow(), iter(batches), texts_of))  # type: ignore[arg-type]
    assert [batch for batch, _ in pairs] == batches
    assert [[len(item.findings) for item in answer] for _, answer in pairs] == [[2, 2], [], [2]]


def test_workers_give_the_answers_of_one_process_in_order(presidio: PresidioDetector) -> None:
    batches = [
        [["", f"{number}: mail u{number}@corp.com"] for number in range(first, first + 3)] for first in (0, 3, 6)
    ]
    assert list(PresidioDetector(settings_with(), workers=2).detect(batches)) == list(presidio.detect(batches))


def test_a_configuration_that_cannot_work_fails_before_any_worker_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detection, "map_in_processes", None)
    with pytest.raises(AnalyzerError, match="no such file"):
        PresidioDetector(settings_with(analyzer_config=tmp_path / "none.yaml"), workers=2)
