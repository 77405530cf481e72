import re

import pytest

from eyrie.privacy.dialling import dialled
from eyrie.privacy.surrogates import Surrogates


def test_the_same_value_gets_the_same_surrogate_in_any_spelling() -> None:
    surrogates = Surrogates(seed=1, masked="p", originals=[])
    mail = surrogates.replace("EMAIL_ADDRESS", "Jo.Doe@Corp.com")
    for spelling in (
        "jo.doe@corp.com",
        "j\u200bo.doe@corp.com",
        "ＪＯ．ｄｏｅ＠ｃｏｒｐ．ｃｏｍ",
        "jo&#46;doe\\u0040<b>corp</b>.com",
    ):
        assert surrogates.replace("EMAIL_ADDRESS", spelling) == mail
    national = surrogates.replace("PHONE_NUMBER", "(415) 867-5309")
    international = surrogates.replace("PHONE_NUMBER", "+1 415-867-5309")
    assert re.sub(r"\D", "", international) == "1" + re.sub(r"\D", "", national)


@pytest.mark.parametrize(
    "spellings",
    [
        ("+91 98765 43210", "98765 43210", "0 98765 43210", "0091 9876543210", "919876543210"),
        ("+33 6 12 34 56 78", "06 12 34 56 78", "+33 (0)6.12.34.56.78", "33612345678"),
        ("+44 20 7946 0958", "020 7946 0958", "(020) 7946 0958", "+44 (0)20 7946 0958"),
        ("+1 415 867 2671", "(415) 867-2671", "14158672671", "415.867.2671"),
        ("+49 30 901820", "030 901820", "030/901820"),
        ("+39 06 1234 5678", "06 1234 5678"),
        ("+86 138 1234 5678", "138 1234 5678"),
    ],
)
def test_spellings_of_one_number_get_one_number_and_keep_its_country(spellings: tuple[str, ...]) -> None:
    for order in (spellings, spellings[::-1]):
        surrogates = Surrogates(seed=1, masked="p", originals=[("PHONE_NUMBER", value) for value in spellings])
        made = [surrogates.replace("PHONE_NUMBER", value) for value in order]
        assert len({dialled(new or "").key for new in made}) == 1
        assert dialled(made[0] or "").key != dialled(order[0]).key
        assert [dialled(new or "").country for new in made] == [dialled(value).country for value in order]


def test_a_number_with_an_extension_is_the_same_number_and_keeps_no_digit_of_either() -> None:
    surrogates = Surrogates(seed=1, masked="p", originals=[])
    plain = surrogates.replace("PHONE_NUMBER", "415-867-2671")
    for extension in (" x12", " ext. 12", " extension 12", "x. 12"):
        made = surrogates.replace("PHONE_NUMBER", f"415-867-2671{extension}")
        assert made is not None
        assert made.startswith(str(plain))
        assert not made.endswith("12")


def test_surrogates_differ_from_the_value_and_from_each_other() -> None:
    for number in range(300):
        surrogates = Surrogates(seed=number, masked="p", originals=[])
        values = ["(415) 867-5309", "(212) 555-0142", "+44 20 7946 0958", "030 901820"]
        made = [surrogates.replace("PHONE_NUMBER", value) for value in values]
        assert len(set(made)) == len(values)
        assert all(new != value for new, value in zip(made, values, strict=True))
        assert [re.sub(r"\d", "0", new) for new in made] == [re.sub(r"\d", "0", value) for value in values]


def test_a_surrogate_of_an_american_number_is_fictional() -> None:
    made = Surrogates(seed=1, masked="p", originals=[]).replace("PHONE_NUMBER", "415-867-5309")
    assert re.fullmatch(r"[2-9]\d\d-555-01\d\d", made)


def test_an_email_surrogate_uses_a_reserved_domain() -> None:
    made = Surrogates(seed=1, masked="p", originals=[]).replace("EMAIL_ADDRESS", "jo@corp.com")
    assert re.fullmatch(r"[a-z]+\.[a-z]+\d+@example\.(com|net|org)", made)


def test_surrogates_depend_on_seed_and_conversation_but_not_on_the_value() -> None:
    def first(seed: int, masked: str, value: str) -> str:
        return Surrogates(seed=seed, masked=masked, originals=[]).replace("EMAIL_ADDRESS", value)

    assert first(1, "p", "jo@corp.com") == first(1, "p", "ann@other.net")  # tells nothing about the value
    assert len({first(1, "p", "a@b.com"), first(2, "p", "a@b.com"), first(1, "q", "a@b.com")}) == 3


def test_no_surrogate_is_a_value_of_the_conversation() -> None:
    planned = Surrogates(seed=1, masked="p", originals=[]).replace("EMAIL_ADDRESS", "jo@corp.com")
    assert planned is not None
    originals = [("EMAIL_ADDRESS", "jo@corp.com"), ("EMAIL_ADDRESS", planned.upper())]
    made = Surrogates(seed=1, masked="p", originals=originals).replace("EMAIL_ADDRESS", "jo@corp.com")
    assert made is not None
    assert made != planned


@pytest.mark.parametrize("value", ["1-800-FLOWERS", "no digits", ""])
def test_a_phone_number_with_letters_or_without_digits_gets_none(value: str) -> None:
    assert Surrogates(seed=1, masked="p", originals=[]).replace("PHONE_NUMBER", value) is None


def test_an_extension_is_no_reason_to_redact() -> None:
    assert Surrogates(seed=1, masked="p", originals=[]).replace("PHONE_NUMBER", "415-867-5309 ext. 12")


def test_more_values_than_there_are_surrogates_end_in_none_not_in_a_hang() -> None:
    surrogates = Surrogates(seed=1, masked="p", originals=[])
    made = [surrogates.replace("PHONE_NUMBER", f"{number:05d}") for number in range(12_000)]
    taken = [new for new in made if new is not None]
    assert None in made
    assert len(set(taken)) == len(taken)
