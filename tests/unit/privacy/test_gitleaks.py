from pathlib import Path

import pytest
import yaml

from eyrie.privacy.engine import AnalyzerError, load_analyzer
from eyrie.privacy.gitleaks import GitleaksRecognizer, entropy
from tests.conftest import REPOSITORY

RULES = r"""
[allowlist]
stopwords = ["example"]

[[rules]]
id = "acme"
regex = '''(?i)\bacme[_-]?key\s*=\s*"?([a-z0-9]{12})(?:["\s]|\z)'''
keywords = ["acme"]
entropy = 2.5
[[rules.allowlists]]
regexes = ['''^0000''']

[[rules]]
id = "paths only"
path = '''\.pem$'''
"""


def found(text: str, path: Path) -> list[str]:
    return [text[item.start : item.end] for item in GitleaksRecognizer(path).analyze(text, ["SECRET"])]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "gitleaks.toml").write_text(RULES)
    return tmp_path / "gitleaks.toml"


def test_a_rule_reports_the_secret_and_not_the_syntax_around_it(rules: Path) -> None:
    assert found("use ACME_KEY = q7w8e9r0t1y2", rules) == ["q7w8e9r0t1y2"]


@pytest.mark.parametrize("value", ["aaaaaaaaaaaa", "0000w8e9r0t1", "example9r0t1"])
def test_low_entropy_and_allowed_values_are_left_alone(rules: Path, value: str) -> None:
    assert found(f"acme_key={value}", rules) == []


def test_entropy_is_in_bits_a_character() -> None:
    assert entropy("abcd") == pytest.approx(2.0)


def test_the_analyzers_yaml_names_the_rules(rules: Path) -> None:
    configuration = yaml.safe_load((REPOSITORY / "resources/privacy/analyzer.yaml").read_text())
    model = configuration["nlp_configuration"]["models"][0]
    model["model_name"] = str(REPOSITORY / "resources/privacy" / model["model_name"])
    configuration["gitleaks_config"] = "gitleaks.toml"
    configuration["recognizer_registry"]["recognizers"] = [
        item
        for item in configuration["recognizer_registry"]["recognizers"]
        if item["name"] not in ("NameRecognizer", "ChosenSecretRecognizer")
    ]
    config = rules.parent / "analyzer.yaml"
    config.write_text(yaml.safe_dump(configuration))
    text = "acme_key=q7w8e9r0t1y2"
    assert [item.entity for item in load_analyzer(config).find(text, score_threshold=0.4)] == ["SECRET"]
    rules.write_text("[[rules]]\nid = 'broken'\nregex = '''(unclosed'''")
    with pytest.raises(AnalyzerError, match=r"gitleaks\.toml: rule 'broken'"):
        load_analyzer(config)
