import random
from typing import Any

import numpy as np
import pytest

from eyrie.prompts import duplicates
from eyrie.prompts.duplicates import band_keys, bands_for, near_duplicates, shingles_of
from eyrie.prompts.words import words


def similar(texts: list[str], *, threshold: float) -> list[bool]:
    shingles = shingles_of([words(text) for text in texts])
    keys = band_keys(shingles, bands_for(threshold))
    return list(near_duplicates(keys, np.diff(shingles.starts), list(shingles).__getitem__, threshold=threshold))


def jaccard(left: str, right: str) -> float:
    one, other = (set(zip(found, found[1:], found[2:], strict=False)) for found in map(words, (left, right)))
    return len(one & other) / len(one | other)


def edited(sequence: list[str], num_edits: int, rng: random.Random) -> str:
    changed = list(sequence)
    for position in rng.sample(range(len(changed)), num_edits):
        changed[position] = f"new{rng.random()}"
    return " ".join(changed)


def test_exactly_the_texts_at_or_above_the_threshold_go() -> None:
    rng = random.Random(3)
    vocabulary = [f"w{number}" for number in range(60)]
    originals = [rng.choices(vocabulary, k=rng.randint(3, 60)) for _ in range(60)]
    texts = [" ".join(words) for words in originals]
    texts += [edited(words, min(len(words), rng.randint(0, 4)), rng) for words in originals for _ in range(4)]
    found = similar(texts, threshold=0.8)
    kept: list[int] = []
    for index, text in enumerate(texts):
        assert found[index] == any(jaccard(text, texts[other]) >= 0.8 for other in kept)
        if not found[index]:
            kept.append(index)
    assert 0 < len(kept) < len(texts)


def test_a_text_that_is_like_a_dropped_one_alone_stays() -> None:
    frame = [f"w{number}" for number in range(40)]
    first, middle, last = ("".join(f"{word} " for word in frame[start : start + 34]) for start in (0, 3, 6))
    assert jaccard(first, middle) >= 0.8 > jaccard(first, last)
    assert jaccard(middle, last) >= 0.8
    assert similar([first, middle, last], threshold=0.8) == [False, True, False]


def test_case_and_punctuation_do_not_make_a_text_new() -> None:
    assert similar(["Sort this list, please.", "SORT THIS LIST PLEASE !"], threshold=1.0) == [False, True]


def test_short_texts_are_compared_and_wordless_ones_stay() -> None:
    found = similar(["hi", "Hi!", "hi there", "?!", "...", ""], threshold=0.8)
    assert found == [False, True, False, False, False, False]


def test_scripts_without_spaces_are_compared_by_character() -> None:
    first, second = "请把这句话翻译成英文并解释每个词的意思", "请把这句话翻译成英文并解释每个词的意义"
    assert similar([first, second], threshold=0.8) == [False, True]


def test_the_lowest_threshold_finds_texts_that_share_anything() -> None:
    assert similar(["one two three", "one two three four", "something else here"], threshold=1e-320)[:2] == [
        False,
        True,
    ]


def test_no_texts_give_no_answers() -> None:
    assert similar([], threshold=0.8) == []


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_a_pair_at_the_threshold_is_missed_less_than_once_in_a_thousand(threshold: float) -> None:
    bands = bands_for(threshold)
    assert bands.num_bands * bands.num_rows <= 128
    assert (1 - threshold**bands.num_rows) ** bands.num_bands <= 1e-3


def test_of_a_crowd_in_the_same_buckets_the_likeliest_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_MAX_COMPARED", 1)
    frame = " ".join(f"frame{number}" for number in range(60))
    crowd = [f"{frame} {' '.join(f'own{member}x{number}' for number in range(20))}" for member in range(30)]
    assert similar([*crowd, crowd[17] + " indeed"], threshold=0.8) == [False] * 30 + [True]


def test_of_a_large_crowd_few_are_looked_at_and_a_copy_is_still_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_MAX_MEMBERS", 20, raising=False)
    looked_at: list[int] = []
    candidates = duplicates._Buckets.candidates

    def counted(*arguments: Any) -> list[int]:
        found = candidates(*arguments)
        looked_at.append(len(found))
        return found

    monkeypatch.setattr(duplicates._Buckets, "candidates", counted)
    frame = " ".join(f"frame{number}" for number in range(60))
    crowd = [f"{frame} {' '.join(f'own{member}x{number}' for number in range(20))}" for member in range(200)]
    copies = [crowd[member] + " indeed" for member in (0, 99, 199)]
    assert similar([*crowd, *copies], threshold=0.8) == [False] * 200 + [True] * 3
    assert max(looked_at) <= 20
