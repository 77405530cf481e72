"""The shipped tagger of chosen secrets: what it finds, what it leaves alone, how its model is made and checked."""

import random
import shutil
from pathlib import Path

import pytest

from eyrie.privacy.chosen_secrets import ChosenSecretTagger
from eyrie.privacy.engine import Analyzer, AnalyzerError, load_analyzer
from eyrie.privacy.secret_features import found_in
from tests.conftest import REPOSITORY
from tools.privacy import build_secrets, sources

PRIVACY = REPOSITORY / "resources/privacy"


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return load_analyzer(PRIVACY / "analyzer.yaml")


def secrets(analyzer: Analyzer, text: str) -> list[str]:
    found = analyzer.find(text, score_threshold=0.4)
    return [text[item.start : item.end] for item in found if item.entity == "SECRET"]


# codespell:ignore-begin
@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Handover: timesheet portal (user kchen / zxc!@#1dra), the rest goes by SSO.", "zxc!@#1dra"),
        ("ben: I changed it last week sorry, now +bailey96BA\nmeg: thx, the login works", "+bailey96BA"),
        ("Is Sommer+1 strong enough for the tax account?", "Sommer+1"),
        ("- Safe with the spare car key: 798427\n- Bins: green on Tuesday", "798427"),
        (
            "Agent: Please read me the code we just sent you.\nCustomer: 528 600\nAgent: Thank you, that worked.",
            "528 600",
        ),
        ("gpg: Bad passphrase. It is 'mountain marble station window', I am sure", "mountain marble station window"),
        ("AUTH_FAILED\nauth.txt contains\nextern.becker\nCo2orCz&YY_J^g\nIs the line break right?", "Co2orCz&YY_J^g"),
        ("Die Alarmanlage im Büro: Code ist 4711, danach die Raute. Bitte als Aushang formulieren.", "4711"),
        ("il wifi della casa vacanze è CasaBlu e la chiave girasole2019, fammi un cartello", "girasole2019"),
    ],
)
# codespell:ignore-end
def test_a_secret_is_found_however_it_is_told(analyzer: Analyzer, text: str, secret: str) -> None:
    assert any(secret in item or item in secret for item in secrets(analyzer, text))
    assert all(part in " ".join(secrets(analyzer, text)) for part in secret.split())


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t ",
        "The password must have 12 characters and one digit. Is that still good advice?",
        "Why does Outlook ask for my password again after update 16.0.17328?",
        "case no. 3:21-cv-04829: how do I cite this in Bluebook?",
        "git reset --hard 4d9b47e and my login branch is gone, how do I get it back?",
        "Which lock grade, 3 or 4, does the insurer want for a door that is 90 cm wide?",
        "Gate 27, boarding 18:45, booking reference K7XP2Q: is 40 minutes enough for security?",
        "app.listen(8080)\n\nthe browser cannot connect, is the port open?",
        "SELECT id, login FROM users WHERE id = 48213; is slow, which index do I need?",
    ],
)
def test_what_only_stands_near_talk_of_secrets_is_left_alone(analyzer: Analyzer, text: str) -> None:
    assert secrets(analyzer, text) == []


def test_candidates_lie_in_the_text_and_have_features_in_their_order() -> None:
    for text in (
        "pw:\n\nhunter2",
        "pin\u00a01234",
        "😀 password «é1ö!x» ",
        "password " * 3000 + "x1y2z3",
        "a=b=c:d/e password",
    ):
        found, features = found_in(text)
        assert len(found) == len(features)
        assert found == sorted(found)
        assert all(0 <= item.start < item.end <= len(text) and text[item.start : item.end].strip() for item in found)
        assert all("\n" not in name for row in features for name in row)  # a dump of a model has a feature per line


def test_one_line_of_half_a_million_characters_is_read_to_its_end() -> None:
    # With a look back over the whole line for each candidate this took minutes.
    text = "the login code and the key of the app " * 13_000 + "password: x1y2!z3"
    found, features = found_in(text)
    assert text[found[-1].start : found[-1].end] == "x1y2!z3"
    assert "label=password" in features[-1]


def test_a_secret_behind_thousands_of_numbers_is_still_looked_at() -> None:
    text = "password\n" + "\n".join(f"{i:06d}" for i in range(2000)) + "\nx1y2!z3"
    found, _ = found_in(text)
    assert text[found[-1].start : found[-1].end] == "x1y2!z3"


# codespell:ignore-begin
@pytest.mark.parametrize(
    "text",
    ["pin 19²3 password", "code ١٢٣٤ pin", "pin ①②③④ x¹²³", "mot de passe e\u0301te\u03011!", "PİN İ1234 password"],
)
# codespell:ignore-end
def test_digits_that_are_no_decimals_stop_nothing(text: str) -> None:
    found, features = found_in(text)
    assert len(found) == len(features)


def test_a_missing_model_is_an_error_that_says_how_to_build_it(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(PRIVACY, tmp_path / "privacy"))
    (folder / "secrets" / "model.crfsuite").unlink()
    with pytest.raises(AnalyzerError, match=r"model\.crfsuite: no such file; build it with"):
        load_analyzer(folder / "analyzer.yaml")


def test_every_line_of_the_training_text_is_filled_with_values_that_lie_where_it_says() -> None:
    rng = random.Random(1)
    for part in build_secrets.PARTS:
        for line in sources.lines(f"secrets-{part}.txt"):
            assert line[:3] in ("P| ", "N| "), line
            filled = build_secrets.fill(line, rng)
            assert bool(filled.secrets) == (line[0] == "P"), line
            assert all(filled.text[start:end].strip() for start, end in filled.secrets)


def test_a_slot_with_a_number_has_one_value_and_others_have_their_own() -> None:
    filled = build_secrets.fill("P| <gen:1> and <gen:1> or <gen:2> by <user>", random.Random(3))
    first, again, other = (filled.text[start:end] for start, end in filled.secrets)
    assert first == again != other
    assert "<" not in filled.text.replace(first, "").replace(other, "")


def test_a_model_finds_in_unread_values_what_it_was_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_secrets, "_COPIES", 1)
    monkeypatch.setattr(build_secrets, "_PACKAGES", ("aiohttp",))  # reading all of them takes a minute
    monkeypatch.setattr(build_secrets, "_DOCUMENTS", 20)
    build_secrets.train(["hard"], tmp_path / "model.crfsuite")
    tagger = ChosenSecretTagger(tmp_path / "model.crfsuite")
    rng = random.Random(7)
    hits = []
    for line in sources.lines("secrets-hard.txt"):
        filled = build_secrets.fill(line, rng)
        of_text = tagger.probabilities(filled.text)
        hits += [
            probability > 0.4
            for item, probability in of_text
            if any(start <= item.start and item.end <= end for start, end in filled.secrets)
        ]
    assert len(hits) > 150
    assert sum(hits) > 0.7 * len(hits)
