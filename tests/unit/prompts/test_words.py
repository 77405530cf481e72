from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from eyrie.prompts.words import distinct, hash_words, masked, runs_of, words

TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=8), max_size=6)


def test_words_are_lower_case_without_punctuation_and_scripts_without_spaces_give_characters() -> None:
    assert words("It's GROß, isn't_it? 24th 请问 ไทย") == [
        "it",
        "s",
        "groß",
        "isn",
        "t",
        "it",
        "24th",
        "请",
        "问",
        "ไ",
        "ท",
        "ย",
    ]


def test_a_word_is_the_same_however_its_letters_are_encoded() -> None:
    plain = words("the café at nine")
    assert (
        words("the cafe\u0301 at nine")
        == words("ｔｈｅ café at ｎｉｎｅ")
        == words("th\u200be ca\u00adfé at nine")
        == words("the&nbsp;caf&eacute; at&#32;nine")
        == plain
    )


def test_numbers_are_masked_wherever_they_are() -> None:
    assert masked(["24", "24th", "b12", "word", "٣"]) == ["0", "0th", "b0", "word", "0"]


@given(texts=TEXTS, size=st.integers(1, 4))
def test_runs_are_equal_where_their_words_are_and_never_cross_texts(texts: list[list[str]], size: int) -> None:
    runs = runs_of(hash_words(texts), size)
    expected = [[tuple(text[at : at + size]) for at in range(len(text) - size + 1)] for text in texts]
    assert [len(found) for found in runs] == [len(found) for found in expected]
    meaning = dict(zip(runs.hashes.tolist(), (run for found in expected for run in found), strict=True))
    assert [[meaning[value] for value in found.tolist()] for found in runs] == expected
    assert len(meaning) == len({run for found in expected for run in found})


@given(texts=TEXTS)
def test_distinct_runs_are_each_texts_own_in_ascending_order(texts: list[list[str]]) -> None:
    runs = hash_words(texts)
    for all_of_text, once in zip(runs, distinct(runs), strict=True):
        assert set(once.tolist()) == set(all_of_text.tolist())
        assert all(left < right for left, right in pairwise(once.tolist()))
