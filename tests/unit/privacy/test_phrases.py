from hypothesis import given
from hypothesis import strategies as st

from eyrie.privacy.phrases import Phrases

_ONES = Phrases("pin", "pin code", "clé", "=", "phrase de")


@given(st.text(alphabet="pin codéclphrase=d PINCLÉ", max_size=40))
def test_a_phrase_is_found_wherever_the_text_in_small_letters_holds_it(text):
    expected = [one for one in ("=", "clé", "phrase de", "pin", "pin code") if one in text.lower()]
    assert list(_ONES.those_in(text)) == expected
    assert _ONES.occur_in(text) == bool(expected)


def test_phrases_that_are_made_after_a_search_are_found_too():
    text = "a text with the word xylophone in it"
    assert not _ONES.occur_in(text)
    assert Phrases("xylophone").occur_in(text)


def test_the_phrases_of_one_reader_do_not_answer_for_another():
    Phrases("zeppelin")
    assert not _ONES.occur_in("a zeppelin")
