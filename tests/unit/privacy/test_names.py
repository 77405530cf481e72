"""The shipped tagger: what it finds, what it leaves alone, how its artefacts are checked. All names are made up."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import spacy
import yaml
from spacy.training import Example

from eyrie.privacy.crf import Weights
from eyrie.privacy.engine import Analyzer, AnalyzerError, load_analyzer
from eyrie.privacy.name_features import Featurizer, Lexicon, shape, tokenize
from eyrie.privacy.name_scores import NameScorer
from tests.conftest import REPOSITORY

PRIVACY = REPOSITORY / "resources/privacy"


def found(analyzer: Analyzer, text: str) -> list[tuple[str, str]]:
    return [(text[item.start : item.end], item.entity) for item in analyzer.find(text, score_threshold=0.4)]


@pytest.mark.parametrize(
    ("text", "name", "entity"),
    [
        ("Draft a short reply to Annika Sundqvist about the broken lift.", "Annika Sundqvist", "PERSON"),
        ("Can you ask Mr. Okonjo whether the gate was locked?", "Okonjo", "PERSON"),
        ("Rédige une carte pour Maëlle Kerbrat, qui part à la retraite.", "Maëlle Kerbrat", "PERSON"),
        ("L'anniversaire d'Élodie est samedi, une idée de cadeau ?", "Élodie", "PERSON"),
        ("We are moving to Wolverhampton in spring and need a school.", "Wolverhampton", "LOCATION"),
        ("Je cherche un dentiste à Montauban pour ma mère.", "Montauban", "LOCATION"),
    ],
)
def test_names_and_places_that_occur_are_found(analyzer: Analyzer, text: str, name: str, entity: str) -> None:
    assert any(name in value and kind == entity for value, kind in found(analyzer, text))


@pytest.mark.parametrize(
    "text",
    [
        "How do I deploy Kubernetes with Terraform on Azure?",
        "Explain the Monty Hall problem and Bayes' theorem.",
        "Write a Python function that sorts a list of tuples by the second item.",
        "Quelle est la différence entre Docker et Ansible ?",
        "# Project Plan\n## Goals\n## Timeline",
        '{"Key": "value", "Name": "id"}',
    ],
)
def test_technical_names_headings_and_code_are_left_alone(analyzer: Analyzer, text: str) -> None:
    assert found(analyzer, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Translate this into French and German.",
        "Traduis cette phrase en allemand puis en Espagnol.",
        "Put Keycloak in front of Grafana.",
        "Is Mixtral better than Qwen for code?",
        "Pair a Zigbee sensor with Home Assistant.",
        "Explain Quicksort and Paxos to me.",
        "Why is OrderRepository null in OrderServiceTest?",
        "Is Jupiter larger than Saturn?",
        "Write a cover letter for a Marketing Assistant.",
        "Input: a list\nExpected Output: its sum\nExplanation: add them up",
        "Give me a recipe for Ratatouille and Tiramisu.",
    ],
)
def test_languages_software_planets_roles_and_dishes_are_no_names(analyzer: Analyzer, text: str) -> None:
    assert found(analyzer, text) == []


@pytest.mark.parametrize(
    ("person", "term"),
    [
        ("My colleague Julia wants Friday off.", "Write a Julia function that adds two matrices."),
        ("My sister Cassandra keeps borrowing my car.", "Create a Cassandra keyspace with three replicas."),
        ("Reply to Mr. Jenkins that the flat is taken.", "Why does the Jenkins pipeline fail at the build stage?"),
    ],
)
def test_a_word_that_is_both_a_term_and_a_name_is_decided_by_its_surroundings(
    analyzer: Analyzer, person: str, term: str
) -> None:
    assert [entity for _, entity in found(analyzer, person)] == ["PERSON"]
    assert found(analyzer, term) == []


def test_a_name_beside_a_sure_one_is_held_to_less(analyzer: Analyzer) -> None:
    alone, beside = "Veneranda disagrees.", "Annika Sundqvist says yes. Veneranda disagrees."
    assert found(analyzer, alone) == []
    assert ("Veneranda", "PERSON") in found(analyzer, beside)


TEXTS = (
    "Ask Anna Berg in Montauban, now.",
    "|| anna | Berg | \n\n Berlin|x ||",
    "THE WHOLE LINE IN CAPITALS\nMarie-Claire d'Artagnan's _private(self.Paris) <b>Tom</b> @jane\nl'Élysée",
    "remind tom and anna to call bob",
    "😀 İstanbul ﬁ 𝒳 Jean\u202bDupont",
    "Sofia. " + "and some words that are none of these " * 30 + "Vienna" + " Anna Tom" * 40,
)


def test_scores_from_tables_are_the_weights_of_the_features_by_name() -> None:
    weights = Weights(PRIVACY / "names" / "model.crfsuite")
    featurizer = Featurizer(Lexicon.read(PRIVACY / "names" / "lexicon.tsv"))
    scorer = NameScorer(featurizer, weights)
    for text in TEXTS * 2:
        found = scorer.stretches(text)
        by_name = featurizer.sequences(text)
        assert found is not None
        assert [token.span() for token in found.tokens] == [token.span() for part, _ in by_name for token in part]
        assert found.lengths.tolist() == [len(part) for part, _ in by_name]
        expected = np.array([weights.total(row) for _, rows in by_name for row in rows])
        assert np.abs(expected).max() > 1
        np.testing.assert_allclose(found.scores, expected, atol=1e-12)


def test_words_that_are_forgotten_are_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = Weights(PRIVACY / "names" / "model.crfsuite")
    featurizer = Featurizer(Lexicon({"ask": "o", "anna": "f", "now": "o"}))
    scores = [found.scores for text in TEXTS if (found := NameScorer(featurizer, weights).stretches(text)) is not None]
    monkeypatch.setattr("eyrie.privacy.name_scores._REMEMBERED", 3)
    scorer = NameScorer(featurizer, weights)
    again = [found.scores for text in TEXTS if (found := scorer.stretches(text)) is not None]
    assert all(map(np.array_equal, scores, again))


def test_a_name_that_is_sure_once_is_found_again_in_the_same_text(analyzer: Analyzer) -> None:
    text = "My sister Annika Sundqvist called. Later: Sundqvist versus the bank."
    assert [name for name, _ in found(analyzer, text)].count("Sundqvist") + text.count("Annika Sundqvist") == 2


def test_scores_stay_below_those_of_disclosures(analyzer: Analyzer) -> None:
    scores = [item.score for item in analyzer.find("Ask Annika Sundqvist in Montauban.", score_threshold=0.4)]
    assert scores
    assert all(0.4 <= score <= 0.9 for score in scores)


def test_offsets_hold_in_long_and_odd_texts(analyzer: Analyzer) -> None:
    for noise in ("\u202bשלום\u202c ", "\x00\x01", "𝒳 😀 ", "- \n\n", "ﬁ ", "İ "):
        text = noise * 50 + "Draft a reply to Annika Sundqvist now."
        assert ("Annika Sundqvist", "PERSON") in found(analyzer, text)


def test_tokens_split_elisions_and_possessives_but_not_names() -> None:
    text = "L'ami d'Élodie, Jean-Luc O'Brien's"
    assert [token.text for token in tokenize(text)] == ["L'", "ami", "d'", "Élodie", ",", "Jean-Luc", "O'Brien", "'s"]
    assert all(text[token.start : token.end] == token.text for token in tokenize(text))
    assert (shape("Jean-Luc"), shape("McDonald"), shape("NATO"), shape("x1")) == ("Xx-Xx", "XxXx", "XX", "xd")


def test_a_text_without_a_candidate_is_not_tagged() -> None:
    featurizer = Featurizer(Lexicon({"explain": "o", "this": "o", "anna": "f"}))
    scorer = NameScorer(featurizer, Weights(PRIVACY / "names" / "model.crfsuite"))
    for text in ("", " ", "Explain this. explain this!"):
        assert featurizer.sequences(text) == []
        assert scorer.stretches(text) is None
    assert [token[0] for tokens, _ in featurizer.sequences("explain anna") for token in tokens] == ["explain", "anna"]


@pytest.mark.parametrize("name", ["model.crfsuite", "lexicon.tsv", "thresholds.json"])
def test_a_missing_artefact_is_an_error_that_says_how_to_build_it(tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(PRIVACY, tmp_path / "privacy"))
    (folder / "names" / name).unlink()
    with pytest.raises(AnalyzerError, match=rf"{name}: no such file; build it with"):
        load_analyzer(folder / "analyzer.yaml")


def test_a_damaged_lexicon_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "lexicon.tsv").write_text("anna\tf\nno tab here\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"lexicon\.tsv:2"):
        Lexicon.read(tmp_path / "lexicon.tsv")


_CUT_OFF = """
import socket, sys
def refuse(*_, **__):
    raise SystemExit("a network call")
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = socket.create_connection = refuse
from pathlib import Path
from eyrie.privacy.engine import load_analyzer
analyzer = load_analyzer(Path(sys.argv[1]))
found = analyzer.find("Ask Annika Sundqvist, jo@some-company.co.uk, 10.1.2.3, about it.", score_threshold=0.4)
print(sorted(item.entity for item in found))
"""


def test_the_offline_default_makes_no_network_call_in_a_fresh_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _CUT_OFF, str(PRIVACY / "analyzer.yaml")]
    isolated = subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode == 0
    done = subprocess.run(
        [*(["unshare", "-rn"] if isolated else []), *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {"EMAIL_ADDRESS", "IP_ADDRESS", "PERSON"} <= set(json.loads(done.stdout.replace("'", '"')))


def test_the_example_configuration_takes_the_names_of_a_spacy_model(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    ner = nlp.add_pipe("ner")
    for label in ("PERSON", "GPE"):
        ner.add_label(label)
    rows = [("Ask Zyx about it", (4, 7, "PERSON")), ("They left Qov today", (10, 13, "GPE"))]
    examples = [Example.from_dict(nlp.make_doc(text), {"entities": [span]}) for text, span in rows]
    nlp.initialize(lambda: examples)
    for _ in range(30):
        nlp.update(examples)
    nlp.to_disk(tmp_path / "my-model")
    shutil.copytree(PRIVACY / "secrets", tmp_path / "secrets")
    configuration = yaml.safe_load((PRIVACY / "analyzer-spacy.yaml").read_text(encoding="utf-8"))
    configuration["nlp_configuration"]["models"][0]["model_name"] = "my-model"
    (tmp_path / "analyzer.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    analyzer = load_analyzer(tmp_path / "analyzer.yaml")
    assert found(analyzer, "Ask Zyx about it") == [("Zyx", "PERSON")]
    assert found(analyzer, "They left Qov today") == [("Qov", "LOCATION")]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Email Cassandra Jenkins about it", "Cassandra Jenkins"),
        ("Remind Tom to call", "Tom"),
        ("Tell Sue that I am late", "Sue"),
    ],
)
def test_a_first_name_after_what_is_done_to_people_is_found(analyzer: Analyzer, text: str, name: str) -> None:
    found = [text[item.start : item.end] for item in analyzer.find(text, score_threshold=0.4)]
    assert found == [name]


@pytest.mark.parametrize(
    "text",
    [
        "Ask Julia to plot this",
        "Ask Jenkins to rebuild",
        "Tell Alexa to stop",
        "Text Mining with Python",
        "Thank God it is Friday",
        "Write a job ad for a Junior Accountant",
        "Junior Accountant",
    ],
)
def test_tools_and_titles_are_no_people(analyzer: Analyzer, text: str) -> None:
    assert analyzer.find(text, score_threshold=0.4) == []
