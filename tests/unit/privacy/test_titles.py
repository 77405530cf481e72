"""Names behind a form of address, on a list or not. All of them are made up."""

import pytest

from eyrie.privacy.engine import Analyzer
from eyrie.privacy.name_features import Lexicon
from eyrie.privacy.titles import titled
from tests.conftest import REPOSITORY

LEXICON = Lexicon.read(REPOSITORY / "resources/privacy/names/lexicon.tsv")


def behind_titles(text: str) -> list[str]:
    return [text[start:end] for start, end in titled(text, LEXICON.codes)]


def people(analyzer: Analyzer, text: str) -> str:
    """What is found of names, in order."""
    found = analyzer.find(text, score_threshold=0.4)
    return " ".join(text[item.start : item.end] for item in found if item.entity == "PERSON")


# codespell:ignore-begin
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Herr Krüger hat angerufen", "Krüger"),
        ("Herr Schulze hat angerufen.", "Schulze"),
        ("Frau Yildiz hat angerufen.", "Yildiz"),
        ("Frau Hoppenstedt möchte kündigen.", "Hoppenstedt"),
        ("Ich habe mit Frau Dr. Hoppenstedt gesprochen.", "Hoppenstedt"),
        ("Mein Chef Herr Wojciechowski ist unzufrieden, wie soll ich reagieren?", "Wojciechowski"),
        ("Bitte schreibe eine Mahnung an Herrn Zwetschgenbaum.", "Zwetschgenbaum"),
        ("Sehr geehrte Frau Zwetschgenbaum,\n\nvielen Dank", "Zwetschgenbaum"),
        ("Liebe Frau von Hoppenstedt, danke", "Hoppenstedt"),
        ("Hr. Krüger und Herr Prof. Dr. med. Hoppenstedt kommen.", "Krüger Hoppenstedt"),
        ("Der Termin bei Dr. Zwetschgenbaum fällt aus.", "Zwetschgenbaum"),
        ("Das sagt Prof. Dr. Hoppenstedt.", "Hoppenstedt"),
        ("Herr und Frau Krüger-Yildiz ziehen um", "Krüger-Yildiz"),
        ("Frau Ministerin Müller hat angerufen", "Müller"),
        ("Meine Frau Müller ist krank", "Müller"),
        ("Herr Richter ruft an", "Richter"),
    ],
)
def test_a_german_name_behind_a_title_is_found_on_a_list_or_not(analyzer: Analyzer, text: str, name: str) -> None:
    assert name in people(analyzer, text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mr Zwetschgenbaum called yesterday.", "Zwetschgenbaum"),
        ("Mrs. Quenouille called yesterday.", "Quenouille"),
        ("Please write a reminder to Ms Brinkmoller about the invoice.", "Brinkmoller"),
        ("I saw Mrs. Quenouille's car and Miss Zwetschgenbaum.", "Quenouille Zwetschgenbaum"),
        ("Mrs J. Quenouille called", "Quenouille"),
        ("Mr. van der Zwetsch called", "Zwetsch"),
        ("My tutor Prof. Brinkmoller left", "Brinkmoller"),
        ("Mme Quenouille a appelé", "Quenouille"),
        ("J'ai écrit à Madame Quenouille et Monsieur d'Hoppenstedt", "Quenouille Hoppenstedt"),
        ("Mlle QUENOUILLE est absente", "QUENOUILLE"),
        ("Le rendez-vous avec M. Quenouille est reporté", "Quenouille"),
        ("El señor Zwetschgenbaum y la Sra. Quenouillez han llamado", "Zwetschgenbaum Quenouillez"),
        ("Estimado Sr. Quenouillez: le escribo", "Quenouillez"),
        ("La signora Brinkmolleri e il dott. Zwetschini", "Brinkmolleri Zwetschini"),
        ("A senhora Brinkmoller ligou", "Brinkmoller"),
        ("Mevrouw Zwetschenboom en de heer Van Brinkmoller", "Zwetschenboom Van Brinkmoller"),
        ("M. Quenouille a appelé ce matin", "Quenouille"),
    ],
)
def test_a_name_behind_a_title_of_other_languages_is_found_on_a_list_or_not(
    analyzer: Analyzer, text: str, name: str
) -> None:
    assert name in people(analyzer, text)


def test_a_first_name_behind_a_title_brings_the_last_name_and_no_noun() -> None:
    assert behind_titles("Herr Thomas Zwetschgenbaum hat angerufen") == ["Thomas Zwetschgenbaum"]
    assert behind_titles("Mr Ximaro Zwetschgenbaum called") == ["Ximaro Zwetschgenbaum"]
    assert behind_titles("Hat Herr Zwetschgenbaum Termine?") == ["Zwetschgenbaum"]


def test_surnames_in_the_form_of_an_office_and_behind_two_titles_are_names() -> None:
    assert behind_titles("Frau Severin und Herr Baumeister rufen an") == ["Severin", "Baumeister"]
    assert behind_titles("Sehr geehrte(r) Herr/Frau Krüger") == ["Krüger"]


def test_a_name_behind_a_title_merely_occurs(analyzer: Analyzer) -> None:
    """Its score stays below that of what users say of themselves."""
    assert analyzer.find("Herr Krüger hat angerufen", score_threshold=0.92) == []


@pytest.mark.parametrize(
    "text",
    [
        "Frau und Mann sind gleich",
        "Der Herr der Ringe ist lang. Herr der Fliegen auch.",
        "Sehr geehrte Frau Präsidentin, sehr geehrte Frau Bundestagspräsidentin",
        "Frau Lehrerin, ich weiß was. Frau Kollegin, danke. Frau Nachbarin!",
        "Frau Bundeskanzlerin, Frau Bürgermeisterin, Frau Rechtsanwältin, Frau Vorsitzende",
        "Herr Doktor, mein Knie schmerzt",
        "Ja, Herr Bundespräsident. Herr Minister! Herr Kollege, Herr Oberbürgermeister",
        "Herr Doktor Termin morgen",
        "Herr Gott und Frau Welt",
        "Hat meine Frau Anspruch auf Elterngeld?",
        "Wie schenke ich meiner Frau Blumen?",
        "Soll ich als Frau Karriere machen?",
        "Unterschiede zwischen Mann und Frau Übersicht",
        "Für eine Frau Kleidung entwerfen",
        "Er bringt seiner Frau Kaffee. Und Adam und seiner Frau Kleider.",
        "Anrede: Herr\nVorgang: 12",
        "Sehr geehrter Herr Mustermann, sehr geehrte Frau Nachname",
        "Sehr geehrte Damen und Herren",
        "Do. und Fr. Schwimmkurs",
        "Den Dr. Titel und die Dr. Arbeit",
        "Eine Pizza von Dr. Oetker",
        "Herr Sie haben recht",
    ],
)
def test_offices_wives_and_idioms_behind_a_german_title_are_no_names(text: str) -> None:
    assert behind_titles(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Mr. President, Mr Speaker, Madam Chairwoman, Mr. Chairman and Mr. Mayor",
        "Miss Universe and Miss World and Miss Germany",
        "Miss you. Miss Monday again",
        "Who is Dr. Who?",
        "Watch Mr. Robot with me",
        "Open Ms Word, Ms Excel, MS Excel and MS Teams",
        "Latency is 10 ms Median and 20 ms Average",
        "Dr. Martens boots",
        "Explain Madame Bovary",
        "Compare Mr. Right and Mr. Big",
        "Our Sr. Developer and a Sr. Brinkmoller role",
        "Dear Mr. Lastname",
        "Send it to Mr. X",
        "The 24 Hr. Zwetsch",
        "She has an M. Sc. degree",
        "The method of Philip M. Brinkmollerian statistics",
        "les auteurs A. Asadpour, M. Brinkmoller, A. Madry",
        "Madame la Présidente, Monsieur le Ministre, Madame, Monsieur,",
        "Monsieur Propre nettoie. Madame Présidente",
        "Señor Presidente, El Señor de los Anillos",
        "Signor Presidente, signora Direttrice",
        "Mevrouw de Voorzitter, mijnheer de voorzitter",
        "Mr.Foo(bar) and Dr.Find('x')",
        "Mr. CEO",
    ],
)
def test_offices_titles_of_works_and_abbreviations_are_no_names(text: str) -> None:
    assert behind_titles(text) == []


# codespell:ignore-end
