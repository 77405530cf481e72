import random
from collections import Counter

import pytest

from eyrie.params import Split
from eyrie.prompts.splits import split_of

SHARES: dict[Split, float] = {"train": 0.8, "heldout": 0.15, "benchmark": 0.05}


def test_splits_have_their_shares_and_a_prompt_stays_in_its_own() -> None:
    rng = random.Random(1)
    texts = ["".join(rng.choices("abcdefg hijk", k=30)) for _ in range(4000)]
    first = [split_of([text], SHARES) for text in texts]
    assert [split_of([text], dict(reversed(SHARES.items()))) for text in texts] == first
    counts = Counter(first)
    assert all(abs(counts[split] / len(texts) - share) < 0.02 for split, share in SHARES.items())


def test_scripts_without_capitals_or_spaces_are_split_by_their_words_too() -> None:
    rng = random.Random(1)
    texts = [
        "，".join("".join(rng.choices("请把这句话翻译成英文并解释每个词的意思", k=5)) for _ in "ab")
        for _ in range(1000)
    ]
    counts = Counter(split_of([text], SHARES) for text in texts)
    assert all(abs(counts[split] / len(texts) - share) < 0.04 for split, share in SHARES.items())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("write to {} about the parcel", "<EMAIL_ADDRESS>"),
        ("call {}, ask for the parcel", "<PHONE_NUMBER>"),
        ("请把报价单发到{}，谢谢", "<EMAIL_ADDRESS>"),
        ("the host {}: no answer", "<IP_ADDRESS>"),
        ("tell {} that the parcel came", "<PERSON>"),
    ],
)
def test_the_split_does_not_depend_on_what_screening_takes_out(text: str, left: str) -> None:
    values = ["jane.roe@mail.example", "ann-lee+x@a.example", "+44 7700 900123", "(415) 555-0172", "1-800-FLOWERS"]
    values += ["de:ad:be:ef:00:aa", "fe80::1", "dead:beef::c", "10.1.2.3", "Jane", "Ann Lee", "Jean-Luc", "O'Neil"]
    seen = {split_of([text.format(value)], dict.fromkeys(SHARES, 1 / 3)) for value in [left, *values]}
    assert len(seen) == 1


def test_a_share_of_nothing_gets_nothing() -> None:
    texts = ["".join(random.Random(number).choices("abc", k=8)) for number in range(100)]
    assert {split_of([text], {"train": 1.0, "heldout": 0.0}) for text in texts} == {"train"}
