"""What escapes spell, and where it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyrie.privacy.escapes import unescaped

PIECES = ["a", "4", " ", "&#64;", "&nbsp;", "&lt;", "&amp", "&#x2d;", "\\u0040", "\\u12", "\\x2d", "\\x41", "%20", "%4"]
TAGS = ["<b>", "</b>", "<br/>", '<span class="x">', "<", ">"]


@given(st.lists(st.sampled_from([*PIECES, *TAGS])).map("".join))
def test_every_character_has_its_place_in_the_text_and_those_that_spell_nothing_are_kept(text: str) -> None:
    found = unescaped(text)
    if found is None:
        return
    read, spans = found
    assert len(spans) == len(read) < len(text)
    end = 0
    for char, (start, stop) in zip(read, spans, strict=True):
        assert end <= start < stop <= len(text)
        assert stop - start > 1 or char == text[start]
        end = stop


@pytest.mark.parametrize(
    "text", ["50% of 4", "a < b && c", "&lt;p&gt;", r"\x41\x42", r"\ud83d\ude00", "<b>bold</b> word", "%zz", "&nosuch;"]
)
def test_what_spells_no_character_of_a_value_is_left_alone(text: str) -> None:
    assert unescaped(text) is None


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("jo&#64;corp&period;com", "jo@corp.com"),
        (r"536\u002d90\x2d4399", "536-90-4399"),
        ("%2B1%20415", "+1 415"),
        ("+1 <b>415</b> 867<br>2671", "+1 415 867 2671"),
        ('jo<wbr>hn@<i id="a"><b>corp</b></i>.com', "john@corp.com"),
        ("caf&eacute;", "café"),
    ],
)
def test_characters_of_values_are_read(text: str, read: str) -> None:
    found = unescaped(text)
    assert found is not None
    assert found[0] == read
