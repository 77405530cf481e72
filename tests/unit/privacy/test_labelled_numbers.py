"""Numbers of countries without a recogniser of their own: by the word beside them, or by their shape. All made up."""

import re
from pathlib import Path

import pytest
import yaml

from eyrie.privacy import labelled_numbers
from eyrie.privacy.engine import Analyzer
from eyrie.privacy.telling_shapes import told_by_shape

PRIVACY = Path(__file__).parents[3] / "resources" / "privacy"


def types_of(analyzer: Analyzer, text: str, value: str) -> set[str]:
    """The types of what covers the whole value."""
    start = text.index(value)
    return {
        item.entity
        for item in analyzer.find(text, score_threshold=0.4)
        if item.start <= start and item.end >= start + len(value)
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SIN 313 916 454 is mine, the employer put one digit wrong", "313 916 454"),
        ("my landlord wants my SIN for the credit check, I almost sent him 754737955", "754737955"),
        ("TFN 744307672, 2 jobs, claimed the threshold on both", "744307672"),
        ("Unique Taxpayer Reference 45160 80141 / letter SA250", "45160 80141"),
        ("St.Nr. 103/2676/8685 / Einspruch gegen Bescheid", "103/2676/8685"),
        ("Führerschein K44EJ63FT51, Klasse B", "K44EJ63FT51"),
        ("permis n°890333943446, stage fait", "890333943446"),
        ("cédula 30.141.735 no aparece", "30.141.735"),
        ("Docnr: NPBT9HCF2\nNat: NLD", "NPBT9HCF2"),
        ("rut_cliente;monto\n18888421-0;12500", "18888421-0"),
        ('{"paciente": "F.", "run": "14921860-2"}', "14921860-2"),
        ("henkilötunnus 100856-8304 ei kelpaa", "100856-8304"),
        ("마이 넘버? 주민번호 840309-2526563 로 조회", "840309-2526563"),
        ("health card # 5499-028-354-AA, walk in clinic said expired", "5499-028-354-AA"),
        ("is 762419497 my SIN or the account?", "762419497"),
    ],
)
def test_a_number_that_a_word_names_is_found_in_any_country(analyzer: Analyzer, text: str, value: str) -> None:
    assert types_of(analyzer, text, value), text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("S/C 110028  A/C 22181291 invoice", "110028"),
        ("pay the babysitter, bank acc 01-0102-0826938-001 ref thursday", "01-0102-0826938-001"),
        ("bsb 032-151 acc 234224800 name D", "032-151"),
        ("utlegg betales til kontonummer 1207.34.70488", "1207.34.70488"),
        ("Transit/Inst/Acct: 27841-002 4463170", "27841-002 4463170"),
        ("subs by transfer to 44521191, put plot number", "44521191"),
    ],
)
def test_an_account_that_a_word_names_is_found_in_any_country(analyzer: Analyzer, text: str, value: str) -> None:
    assert "BANK_ACCOUNT" in types_of(analyzer, text, value), text


@pytest.mark.parametrize(
    "text",
    [
        "sin 30 + cos 60 in degrees, 123456 digits please",
        "ein 12345678 Bytes grosse Datei",
        "expediente 3286/2023 licencia de obra menor",
        "USt-IdNr. DE136695976 der GmbH bei VIES prüfen",
        "réf. pièce 1459.P6 joint de culasse compatible 8113.X3 ?",
        "run 12345678 took 4 s, run 12345679 took 5 s",
        "passport renewal takes 10 weeks, order 48213377 is for the photos; what is the fee?",
        "how is the SSN structured, and which ranges are not in use?",
    ],
)
def test_other_numbers_beside_such_words_are_left_alone(analyzer: Analyzer, text: str) -> None:
    found = {item.entity for item in analyzer.find(text, score_threshold=0.4)}
    assert not found & {"GOVERNMENT_ID", "BANK_ACCOUNT"}, text


# A value of each shape with a fitting check, and the same with another digit where there is one.
_SHAPES = [
    ("MARL770101MGTHMJ04", None),
    ("310105197402082347", "310105197402082346"),
    ("131052-308T", "131052-308U"),
    ("S1234567D", "S1234567E"),
    ("20-12345678-6", "20-12345678-5"),
    ("12.345.678-5", "12.345.678-4"),
    ("811218-9876", "811218-9875"),
    ("736028/5163", "736028/5164"),
    ("1EG4-TE5-MK73", None),
    ("WAC1901831462", None),
    ("12846790553", "12846790554"),
    ("A123456780", "A123456781"),
    ("1237 010180", "1238 010180"),
    ("0081-5636-53-7686064239", "0081-5636-57-7686064239"),
    ("19811218-9876", "19811218-9875"),
    ("046-454-286", "046-454-287"),
    ("20041 01005 0500013M026 06", "20041 01005 0500013M026 07"),
]


@pytest.mark.parametrize(("value", "other"), _SHAPES)
def test_a_shape_with_its_check_needs_no_word(value: str, other: str | None) -> None:
    assert [(start, end) for _, start, end in told_by_shape(f"see {value}, please")] == [(4, 4 + len(value))]
    if other:
        assert not list(told_by_shape(f"see {other}, please"))


@pytest.mark.parametrize(
    "address", ["jane.roe (at) example.com", "jane.roe[at]example[dot]com", "jane_roe{at}mail.example.org"]
)
def test_an_address_that_is_spelled_for_people_is_found(analyzer: Analyzer, address: str) -> None:
    assert "EMAIL_ADDRESS" in types_of(analyzer, f"write to {address} today", address)


def test_both_analyzers_have_the_same_recognisers_but_for_names() -> None:
    def recognisers(name: str) -> dict[str, object]:
        configuration = yaml.safe_load((PRIVACY / name).read_text(encoding="utf-8"))
        return {
            item["name"]: item.get("supported_languages")
            for item in configuration["recognizer_registry"]["recognizers"]
        }

    offline, spacy = recognisers("analyzer.yaml"), recognisers("analyzer-spacy.yaml")
    assert spacy == {name: value for name, value in offline.items() if name != "NameRecognizer"}
    assert re.search("GOVERNMENT_ID: drop", (PRIVACY.parents[1] / "params.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My passport number is 488839667", ("488839667", "US_PASSPORT")),
        ("SIN 313 916 454 is mine", ("313 916 454", "GOVERNMENT_ID")),
    ],
)
def test_where_the_country_is_known_the_general_type_is_left_out(
    analyzer: Analyzer, text: str, expected: tuple[str, str]
) -> None:
    assert [(text[item.start : item.end], item.entity) for item in analyzer.find(text, score_threshold=0.4)] == [
        expected
    ]


def test_a_shape_is_no_part_of_a_longer_number() -> None:
    valid = "3123204943" + f"{3123204943 % 511:03d}"
    assert [(start, end) for _, start, end in told_by_shape(f"see {valid}, please")] == [(4, 17)]
    assert not list(told_by_shape(f"see {valid}7, please"))


def test_every_label_has_a_letter() -> None:
    """Where none stands before a number, labels are not looked for."""
    names = ("_IDS", "_ACRONYMS", "_NO_WORDS", "_NON_LATIN", "_BANKS", "_BANKS_NON_LATIN")
    lists = [getattr(labelled_numbers, name) for name in names]
    labels = [label for text in lists for label in re.split(r"[\n|]", text) if label.strip()]
    assert [label for label in labels if not re.search(r"[^\W\d_]", label)] == []
