"""SECRET by the rules of a gitleaks configuration that the user supplies (`gitleaks_config` in the analyzer's YAML).

In: a gitleaks.toml (https://github.com/gitleaks/gitleaks). Read of each rule: `regex`, `keywords`, `secretGroup`,
`entropy`, and its allow-lists' `regexes` and `stopwords`, with the global ones. Rules about paths say
nothing about text.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import regex  # type: ignore[import-untyped]
from presidio_analyzer import RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from eyrie.privacy.phrases import Phrases
from eyrie.privacy.randomness import entropy
from eyrie.privacy.shapes import ShapeRecognizer


class _Rule(NamedTuple):
    pattern: Any
    keywords: Phrases | None
    group: int
    min_entropy: float
    allowed: tuple[Any, ...]
    stopwords: tuple[str, ...]


class GitleaksRecognizer(ShapeRecognizer):
    """Raises ValueError naming the file and the rule that cannot be used."""

    ENTITY = "SECRET"
    SCORE = 0.9

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ValueError(f"gitleaks_config {path}: {' '.join(str(error).split())}") from None
        everywhere = _allow_lists(document)
        self._rules = [_rule(rule, everywhere, path) for rule in document.get("rules", []) if "regex" in rule]
        if not self._rules:
            raise ValueError(f"gitleaks_config {path}: no rule with a regex")

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Offsets of the secret itself, the group that gitleaks would report."""
        return [
            self.result(match, group)
            for rule in self._rules
            if rule.keywords is None or rule.keywords.occur_in(text)
            for match, group in _matches(rule, text)
        ]


def _matches(rule: _Rule, text: str) -> Iterator[tuple[Any, int]]:
    for match in rule.pattern.finditer(text):
        # Without secretGroup gitleaks takes the first group that holds something.
        group = rule.group or next((i for i, value in enumerate(match.groups(), 1) if value), 0)
        secret = match.group(group) or ""
        if rule.min_entropy and entropy(secret) <= rule.min_entropy:
            continue
        if any(pattern.search(secret) for pattern in rule.allowed):
            continue
        if not any(word in secret.lower() for word in rule.stopwords):
            yield match, group


def _allow_lists(table: dict[str, Any]) -> list[dict[str, Any]]:
    """Newer files have `[[allowlists]]`, older ones one `[allowlist]`."""
    return [*table.get("allowlists", []), *([table["allowlist"]] if "allowlist" in table else [])]


def _rule(rule: dict[str, Any], everywhere: list[dict[str, Any]], path: Path) -> _Rule:
    keywords = [word.lower() for word in rule.get("keywords", [])]
    lists = [*everywhere, *_allow_lists(rule)]
    try:
        return _Rule(
            pattern=_compiled(rule["regex"]),
            keywords=Phrases(*keywords) if keywords else None,
            group=int(rule.get("secretGroup", 0)),
            min_entropy=float(rule.get("entropy", 0)),
            allowed=tuple(_compiled(item) for entry in lists for item in entry.get("regexes", [])),
            stopwords=tuple(word.lower() for entry in lists for word in entry.get("stopwords", [])),
        )
    except (regex.error, TypeError, ValueError) as error:
        raise ValueError(f"gitleaks_config {path}: rule {rule.get('id', '?')!r}: {error}") from None


def _compiled(pattern: str) -> Any:
    # Version 1 gives inline flags the scope that Go's RE2 gives them; `\z` is Go's end of text.
    return regex.compile(pattern.replace(r"\z", r"\Z"), regex.V1)
