from pathlib import Path

import pytest

from eyrie.privacy.names import CapitalisedWordRecognizer

LEXICON = "table\to\nthe\to\nrose\tmf\npython\tnt\nmarseille\tnp\nécris\tr\nwriting\to\n"


@pytest.fixture
def recogniser(tmp_path: Path) -> CapitalisedWordRecognizer:
    (tmp_path / "lexicon.tsv").write_text(LEXICON, encoding="utf-8")
    return CapitalisedWordRecognizer(tmp_path / "lexicon.tsv")


def words(recogniser: CapitalisedWordRecognizer, text: str) -> list[str]:
    return [text[item.start : item.end] for item in recogniser.analyze(text, ["PERSON"])]


def test_a_capitalised_word_that_is_rarely_capitalised_is_found(recogniser: CapitalisedWordRecognizer) -> None:
    assert words(recogniser, "The Zyxwin table in Marseille, d'Évrard") == ["Zyxwin", "Marseille", "Évrard"]


def test_ordinary_and_technical_words_acronyms_and_identifiers_are_left_alone(
    recogniser: CapitalisedWordRecognizer,
) -> None:
    assert words(recogniser, "Table Python NASA FooBar zyxwin Écris Rose Foo2 Writing") == []


def test_a_missing_lexicon_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"lexicon\.tsv: no such file"):
        CapitalisedWordRecognizer(tmp_path / "lexicon.tsv")
