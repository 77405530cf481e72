import logging
import socket
from pathlib import Path

import pytest
import yaml

from eyrie.privacy.engine import Analyzer, AnalyzerError, UnscreenableError, load_analyzer
from tests.conftest import REPOSITORY

CONFIG = REPOSITORY / "resources/privacy/analyzer.yaml"


def test_loading_and_screening_need_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network call")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    analyzer = load_analyzer(CONFIG)
    found = analyzer.find("Write to jo@some-company.co.uk.", score_threshold=0.4)
    assert [finding.entity for finding in found] == ["EMAIL_ADDRESS"]


def test_offline_recognisers_need_no_tokens(analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    process = analyzer._nlp_engine.process_text

    def counted(text: str, language: str) -> object:
        calls.append(text)
        return process(text, language)

    monkeypatch.setattr(analyzer._nlp_engine, "process_text", counted)
    analyzer.find("Explain recursion with a short example.", score_threshold=0.4)
    assert calls == []
    assert analyzer.find("My passport number is 488839667.", score_threshold=0.4)
    assert calls == []  # words beside a number are read without tokens


def test_context_words_raise_a_weak_pattern_over_the_threshold(analyzer: Analyzer) -> None:
    assert analyzer.find("The factory made 488839667 screws.", score_threshold=0.4) == []
    assert analyzer.find("My passports: 488839667.", score_threshold=0.4)


def test_a_failing_recogniser_is_reported_without_the_text(analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("Did not find word 'hunter2' in the list")

    monkeypatch.setattr(analyzer._engine, "analyze", fail)
    with pytest.raises(UnscreenableError) as caught:
        analyzer.find("hunter2", score_threshold=0.4)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_pattern_that_times_out_makes_the_text_unscreenable(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object, **__: object) -> list[object]:
        logging.getLogger("presidio-analyzer").warning(
            "Regex pattern '%s' timed out after %s seconds, skipping.", "x", 60
        )
        return []

    monkeypatch.setattr(analyzer._engine, "analyze", slow)
    with pytest.raises(UnscreenableError, match="time limit"):
        analyzer.find("anything", score_threshold=0.4)


def test_the_analyzer_logs_nothing(analyzer: Analyzer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        analyzer.find("My passport number is 488839667, mail jo@example.org.", score_threshold=0.4)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recognizer_registry: [", "cannot be read as YAML"),
        ("just text", "missing nlp_configuration, recognizer_registry"),
    ],
)
def test_a_damaged_configuration_is_refused_instead_of_replaced_by_presidios_own(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "analyzer.yaml").write_text(text)
    with pytest.raises(AnalyzerError, match=message):
        load_analyzer(tmp_path / "analyzer.yaml")


def test_a_missing_file_model_or_recogniser_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnalyzerError, match="no such file"):
        load_analyzer(tmp_path / "nowhere.yaml")
    configuration = yaml.safe_load(CONFIG.read_text())
    path = tmp_path / "analyzer.yaml"
    path.write_text(yaml.safe_dump(configuration))  # the model folder is not beside this copy
    with pytest.raises(AnalyzerError, match="'lemmas-en' is neither a folder"):
        load_analyzer(path)
    configuration["nlp_configuration"]["models"][0]["model_name"] = str(CONFIG.parent / "lemmas-en")
    configuration["recognizer_registry"]["recognizers"].append({"name": "NoSuchRecognizer", "type": "predefined"})
    path.write_text(yaml.safe_dump(configuration))
    with pytest.raises(AnalyzerError, match="NoSuchRecognizer"):
        load_analyzer(path)
