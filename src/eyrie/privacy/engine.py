"""Presidio's analyzer from one YAML file, without network and without what it does not need.

In: resources/privacy/analyzer.yaml. Out: `Analyzer`, which answers with entity types, offsets and scores.

Six things differ from `AnalyzerEngineProvider(...).create_engine()`:
- a damaged YAML file is an error; Presidio falls back to its default engine and downloads a model;
- model folders are looked up beside the YAML file, and a missing one is an error, not a download;
- context words are looked for in the characters beside a number (`eyrie.privacy.nearby`), not among lemmas;
- tokens are computed only when a recogniser of a language model asks for them;
- recognisers of numbers are not asked about a text without any (`eyrie.privacy.gates`);
- the analyzer's own messages may quote the text, so they stay inside.
"""

import logging
import re
import sys
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from eyrie.privacy.gates import Gates
from eyrie.privacy.nearby import NearbyWords
from eyrie.privacy.spelling import readings

# Presidio imports torch and transformers when they are installed, 15 of its 18 seconds, for engines not in use here.
_OPTIONAL_IMPORTS = ("torch", "transformers")
_USERS_OF_OPTIONAL_IMPORTS = ("transformers", "stanza", "spacy", "gliner", "huggingface")
_LANGUAGE = "en"
_OF_A_COUNTRY = re.compile("[A-Z]{2}_")
_LOGGER = logging.getLogger("presidio-analyzer")


class AnalyzerError(ValueError):
    """The analyzer's configuration cannot be used."""


class UnscreenableError(ValueError):
    """A text could not be fully analyzed. The message never quotes it."""


class Finding(NamedTuple):
    """Characters `start:end` (end exclusive) of one text; `score` in [0, 1]."""

    start: int
    end: int
    entity: str
    score: float


class Analyzer:
    """Presidio's AnalyzerEngine behind values that are ours. Build with `load_analyzer`."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._nlp_engine = engine.nlp_engine
        self._entities = sorted(engine.get_supported_entities(_LANGUAGE))
        self._gates = Gates(engine.registry)
        engine.registry = self._gates
        engine.context_aware_enhancer = NearbyWords()
        self._alarm = _Alarm(level=logging.WARNING)
        _LOGGER.setLevel(logging.WARNING)  # its debug lines quote context words
        _LOGGER.propagate = False
        _LOGGER.addHandler(self._alarm)

    @property
    def entities(self) -> list[str]:
        """Every entity type that can be found, sorted."""
        return self._entities

    def find(self, text: str, *, score_threshold: float) -> list[Finding]:
        """Findings in `text`, by start. Raises UnscreenableError when the analyzer failed or gave a pattern up."""
        found: set[Finding] = set()
        for reading, spans in readings(text):
            for item in self._find(reading, score_threshold):
                found.add(item if spans is None else _at(item, spans))
        return sorted(found)

    def _find(self, text: str, score_threshold: float) -> list[Finding]:
        self._alarm.raised = False
        self._gates.open_for(text)
        try:
            results = self._engine.analyze(
                text,
                language=_LANGUAGE,
                entities=self._entities,
                score_threshold=score_threshold,
                nlp_artifacts=_LazyArtifacts(self._nlp_engine, text),
            )
        except Exception as error:  # whatever a recogniser raises may quote the text
            raise UnscreenableError(f"the analyzer failed with {type(error).__name__}") from None
        if self._alarm.raised:
            raise UnscreenableError("a pattern was given up after its time limit")
        return _without_general(sorted(Finding(item.start, item.end, item.entity_type, item.score) for item in results))


def _at(item: Finding, spans: list[tuple[int, int]]) -> Finding:
    """The finding where it stands in the text of which `spans` are the characters that were read."""
    return item._replace(start=spans[item.start][0], end=spans[item.end - 1][1])


def _without_general(findings: list[Finding]) -> list[Finding]:
    """Without what is only known to be some government's, where a recogniser knows whose; `findings` by start."""
    known = [item for item in findings if _OF_A_COUNTRY.match(item.entity)]
    starts, furthest = [item.start for item in known], list(accumulate((item.end for item in known), max))
    return [
        item
        for item in findings
        if item.entity != "GOVERNMENT_ID"
        or not (before := bisect_right(starts, item.start))
        or furthest[before - 1] < item.end
    ]


class _Alarm(logging.Handler):
    """Presidio skips a pattern that times out and only logs it; an unfinished search must not pass for a clean one."""

    raised = False

    def emit(self, record: logging.LogRecord) -> None:
        self.raised = self.raised or "timed out" in str(record.msg)


class _LazyArtifacts:
    """Presidio's NlpArtifacts, computed at the first attribute read: tokenising cost 350 of 1,400 us per prompt."""

    def __init__(self, nlp_engine: Any, text: str) -> None:
        self._nlp_engine, self._text = nlp_engine, text

    def __getattr__(self, name: str) -> Any:
        if "_artifacts" not in self.__dict__:
            self._artifacts = self._nlp_engine.process_text(self._text, _LANGUAGE)
        return getattr(self._artifacts, name)


def load_analyzer(config: Path, *, fail_closed: bool = False) -> Analyzer:
    """Build the analyzer that `config` describes.

    With `fail_closed`, every capitalised word that English and French rarely capitalise is a PERSON too. Raises
    AnalyzerError naming the path and what is wrong.
    """
    configuration = _read(config)
    gitleaks = configuration.pop("gitleaks_config", None)
    _LOGGER.setLevel(logging.ERROR)  # it announces every recogniser; Analyzer listens to its warnings later
    with _hidden(() if _needs_optional_imports(configuration) else _OPTIONAL_IMPORTS):
        import tldextract
        from presidio_analyzer import AnalyzerEngineProvider

        # Imported for their classes: Presidio finds recognisers by name among EntityRecognizer's subclasses.
        from eyrie.privacy import (  # noqa: F401
            accounts,
            bank_accounts,
            chosen_secrets,
            disclosures,
            identifiers,
            labelled_numbers,
            mail_addresses,
            names,
            national_numbers,
            phones,
            secrets,
        )
        from eyrie.privacy.gitleaks import GitleaksRecognizer

    # Else the first e-mail address fetches the public suffix list from the network.
    offline = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    tldextract.extract = offline  # type: ignore[assignment]
    names.NameRecognizer.artefacts = config.parent / "names"
    chosen_secrets.ChosenSecretRecognizer.artefacts = config.parent / "secrets"
    try:
        provider = AnalyzerEngineProvider()  # of its defaults nothing is used
        provider.configuration = configuration
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it adds SpacyRecognizer, which the YAML then disables
            engine = provider.create_engine()
        if gitleaks is not None:
            engine.registry.add_recognizer(GitleaksRecognizer(config.parent / str(gitleaks)))
        if fail_closed:
            engine.registry.add_recognizer(names.CapitalisedWordRecognizer(config.parent / "names" / "lexicon.tsv"))
        return Analyzer(engine)
    except Exception as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise AnalyzerError(f"{config}: Presidio cannot build this analyzer: {reason}") from None


def _read(config: Path) -> dict[str, Any]:
    """The YAML mapping, with model folders made absolute."""
    try:
        configuration = yaml.safe_load(config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AnalyzerError(f"{config}: no such file (filter_prompts.analyzer_config)") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AnalyzerError(f"{config}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    missing = {"nlp_configuration", "recognizer_registry"} - set(
        configuration if isinstance(configuration, dict) else ()
    )
    if missing:
        raise AnalyzerError(f"{config}: missing {', '.join(sorted(missing))}")
    for model in configuration["nlp_configuration"].get("models", []):
        name = model.get("model_name")
        folder = config.parent / str(name)
        if folder.is_dir():
            model["model_name"] = str(folder)
        elif configuration["nlp_configuration"].get("nlp_engine_name") in ("slim", "spacy") and not _installed(
            str(name)
        ):
            raise AnalyzerError(
                f"{config}: model {name!r} is neither a folder beside this file nor an installed package"
            )
    return dict(configuration)


def _installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def _needs_optional_imports(configuration: dict[str, Any]) -> bool:
    recognizers = configuration["recognizer_registry"].get("recognizers") or []
    enabled = [item for item in recognizers if not (isinstance(item, dict) and item.get("enabled") is False)]
    names = [str(item.get("name") if isinstance(item, dict) else item) for item in enabled]
    chosen = " ".join([str(configuration["nlp_configuration"].get("nlp_engine_name")), *names]).lower()
    return any(user in chosen for user in _USERS_OF_OPTIONAL_IMPORTS)


@contextmanager
def _hidden(modules: tuple[str, ...]) -> Iterator[None]:
    """Make `import` of the not yet imported `modules` fail inside the block, as if they were not installed."""
    hidden = [name for name in modules if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
