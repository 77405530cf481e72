"""What the name tagger takes for names and no reader would."""

from pathlib import Path

import pytest

from eyrie.privacy.names import NameTagger
from eyrie.privacy.no_names import is_german

# codespell:ignore-begin
TAGGER = NameTagger(Path("resources/privacy/names"))


def names(text: str) -> list[str]:
    return [text[span.start : span.end] for span in TAGGER.spans(text)]


@pytest.mark.parametrize(
    ("text", "german"),
    [
        ("Auftrag 66, Position 30, 250 Stück Flansch. Lieferverzug freundlich ankündigen", True),
        ("Checkliste: Schlüssel, Laptop, Zugänge sperren, Zeugnis. was fehlt?", True),
        ("Das Passwort muss mindestens 8 Zeichen haben, eines davon eine Zahl.", True),
        ("Tell Jürgen Schröder and Anna that the meeting is on Monday", False),
        ("Rappelle à Müller que la réunion est lundi", False),
        ("Translate to German: what is the price of this, and can we do it?", False),
        ("", False),
    ],
)
def test_a_text_is_german_by_its_function_words_and_letters(text: str, german: bool) -> None:
    assert is_german(text) == german


@pytest.mark.parametrize(
    "text",
    [
        "Auftrag 6646384, Position 30, 250 Stück Flansch DN80, Liefertermin KW 41. Lieferverzug freundlich ankündigen",
        "Zeichnung KZ9-33517 Blatt 2, Maß 12,5 +0,1/-0,05, Passung H7. Welche Toleranz bei 20 mm?",
        "Das Passwort muss mindestens 8 Zeichen haben, eines davon eine Zahl. Formuliere das freundlicher.",
        "last-modified: Tue, 02 Jul 2024 10:00:00 GMT\n\nbrowser still revalidates on every load, why?",
        "The Eastern Ferry leaves hourly",
        "Summarise: The Northern Canal carries coal.",
        "Region;Orders;Returns\nNorth;1.204;88\nSouth;987;61\nWest;1.530;140\n\nWrite that West has the most returns",
    ],
)
def test_german_nouns_dates_and_points_of_the_compass_are_no_names(text: str) -> None:
    assert names(text) == []


def test_ordinary_words_beside_names_are_none() -> None:
    text = "Peux-tu relire ce message : « Michael m'a promis de passer chez Eva Saudan avant de rentrer à Ligornetto. »"
    assert not any(name.islower() for name in names(text))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Das Kennwort liegt im Tresor, den Schlüssel dazu hat Frau Brandt. Ins Englische bitte.", "Brandt"),
        ("Bitte schreib an Herrn Wrzosek, dass wir den Termin nicht einhalten können.", "Wrzosek"),
        ("Bitte schreib Jessica Thompson, dass wir den Termin nicht einhalten können.", "Jessica Thompson"),
        ("The invoice for Anne Joly (29 Mboya Street, North Bay) is 30 days overdue", "North Bay"),
        ("hey can u tell nadia im late", "nadia"),
        ("Tell Giulia Bertolucci that the meeting moved", "Giulia Bertolucci"),
        ("My aunt lives in Northern Ireland, my uncle Peter Western in Leeds", "Peter Western"),
        ("Remind Jan Novak that the 3 Jan 2025 deadline is firm", "Jan Novak"),
    ],
)
def test_names_in_german_and_beside_dates_stay(text: str, name: str) -> None:
    assert name in " ".join(names(text))


@pytest.mark.parametrize(
    "text",
    [
        "Rewrite the text for the web shop: Cordless drill CD-18X, 18 V, 65 Nm, 2-speed gear, 1.4 kg",
        "Fais un tableau comparatif des offres : Essentiel 19 €/mois 5 utilisateurs, Pro 49 €/mois 20 utilisateurs",
    ],
)
def test_measures_and_prices_in_a_list_of_goods_are_no_addresses(text: str) -> None:
    assert names(text) == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Livrer au 14 Rue des Lilas, Montauban ; total 49 €", "14 Rue des Lilas"),
        ("Send it to 350 W 42nd Street, New York, please.", "350 W 42nd Street"),
        ("My parents live at 221 W Baker Street.", "221 W Baker Street"),
    ],
)
def test_an_address_beside_a_price_or_with_a_point_of_the_compass_stays(text: str, address: str) -> None:
    assert address in " ".join(names(text))


@pytest.mark.parametrize(
    "text",
    [
        "Artikelnr. 505.646.18 nicht lieferbar, Ersatz 508.941.48?",
        "cuánto es 1.250 más 21% de iva menos 15% de irpf",
        "Protokoll: TOP 2 weiter strittig. TOP 3 Sommerfest 12. Juli",
        "Small 12 x 8 cm 3.20\nMedium 18 x 12 cm 4.75",
        "ARPU 41.20 -> 43.75, CAC 310 -> 352, payback 8.1 months",
    ],
)
def test_numbers_sizes_and_days_make_no_address_without_a_street_or_a_listed_name(text: str) -> None:
    assert not any(char.isdecimal() for name in names(text) for char in name)


# codespell:ignore-end
