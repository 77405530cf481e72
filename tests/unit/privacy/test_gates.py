"""A gate may only close where nothing would have been found."""

import random

import pytest

from eyrie.privacy.engine import Analyzer, load_analyzer
from eyrie.privacy.shapes import Shape
from tests.conftest import REPOSITORY
from tests.unit.privacy.test_recognizers import IDENTIFIERS, SECRETS

SHAPES = [
    "C01X00T47",
    "AB 12 34 56 C",
    "T220001293",
    "RSSMRA85M01H501Q",
    "+33 1 23 45 67 89",
    "12-34-56",
    "ab:cd:ef:01:23:45",
]
DISCLOSURES = [
    "MY NAME IS",
    "my maiden name:",
    "my landlord is called",
    "I am",
    "I’m",
    "This is",
    "Cardholder:",
    "Account holder name:",
    "me llamo",
    "Mi nombre es",
    "je m’appelle",
    "Mon nom est",
    "Ich heiße",
    "ich heisse",
    "mi chiamo",
    "Mein Name ist",  # codespell:ignore ist
    "meu nome é",  # codespell:ignore meu,nome
    "Kind regards,\n",
    "Sincerely yours\n",
    "Yours faithfully,\n",
]
ADDRESSES = [
    "12 Elm Street, Springfield, IL 62704",
    "Lange Straße 5",
    "Lindenallee 12, 80331 München",
    "5 bis rue de la Paix",
    "12, Place Bellecour",
    "Calle Mayor 4",  # codespell:ignore calle
    "Rua Augusta, n. 12",
    "I live in Qovnik",
    "My postal address is Qovnik",
    "I’m from Qovnik",
    "I was born in Qovnik",
    "P.O. Box 123",
]
WORDS = [
    "passport",
    "number",
    "my",
    "phone",
    "NHS",
    "is",
    "Ausweis",
    "a.b@c.de",
    "2001:db8::1",
    "10.0.0.1",
    "licence",
    "DNI",
]


def test_closed_gates_lose_no_finding(analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(3)
    texts = [text for text, _ in IDENTIFIERS.values()] + list(SECRETS.values())
    texts += [f"{phrase} Zyxa Qovnik, and I am here" for phrase in DISCLOSURES] + ADDRESSES
    texts += [text.upper() for text in texts]
    for _ in range(400):
        made = ["".join(rng.choices("0123456789ABCXZ -./:", k=rng.randint(3, 22))) for _ in range(2)]
        texts.append(" ".join(rng.sample([*WORDS, *SHAPES, *made], 8)))
    gated = [analyzer.find(text, score_threshold=0) for text in texts]
    gates = analyzer._gates
    monkeypatch.setattr(gates, "get_recognizers", lambda **_: [recognizer for _, recognizer in gates._gated])
    monkeypatch.setattr(Shape, "may_match", lambda *_: True)
    assert [analyzer.find(text, score_threshold=0) for text in texts] == gated
    assert sum(map(len, gated)) > 400


def test_a_text_without_numbers_asks_few_recognisers(analyzer: Analyzer) -> None:
    analyzer.find("Explain recursion with a short example.", score_threshold=0.4)
    few = {type(recognizer).__name__ for recognizer in analyzer._gates.get_recognizers()}
    assert "NameRecognizer" in few
    assert not few & {
        "PhoneNumberRecognizer",
        "SocialSecurityRecognizer",
        "MailAddressRecognizer",
        "AnyCaseIbanRecognizer",
    }
    analyzer.find("Call 020 7946 0958", score_threshold=0.4)
    assert len(analyzer._gates.get_recognizers()) > len(few)


def test_every_gate_names_a_recogniser_that_the_shipped_analyzer_has(analyzer: Analyzer) -> None:
    from eyrie.privacy.gates import _GATES

    assert set(_GATES) <= {type(recognizer).__name__ for _, recognizer in analyzer._gates._gated}
    assert load_analyzer(REPOSITORY / "resources/privacy/analyzer.yaml").entities == analyzer.entities
