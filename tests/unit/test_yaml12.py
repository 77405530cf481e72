"""YAML is read as DVC reads it, and what DVC would stop at is refused before anything runs."""

from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eyrie.params import load_yaml

PLAIN = """a b x:y x?y :: 12:30 1:2.5 gs://a/b/*.gz 1 017 0o17 0x1F 0b11 1_0 1e5 5e-05 .5 +.5e3 +.5e+3 1. yes no on off
    True false null ~ .inf .nan = << 2026-01-01 2026-13-01 é 😀"""
SIGNS = """? : - -- & * # % @ ` { } [ ] , 'q' 'x:y' "d" "x:y" "\\/" "\\x41" &a *a !!str !!int 'k': 'k':"""
SPACED = (" ", "\n", "\n  ", "\n- ", ": ", "- ", ", ", "k: ", "j: ", "|\n  ", ">-\n  ", "\t", "\u2028", " # c\n")
PIECES = [*PLAIN.split(), *SIGNS.split(), *SPACED]
STARTS = ("", "a: ", "a: {k: ", "a: {", "a: [", "a:\n  b: ", "- ")
DOCUMENTS = st.builds(
    lambda start, pieces, end: start + "".join(pieces) + end,
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(PIECES), max_size=6),
    st.sampled_from(("", "}", "]", "\n")),
)


def read(document: str, **options: Any) -> Any:
    """The document's value as text, which tells 1 from True and knows nan; None where it is refused."""
    try:
        return repr(load_yaml(document, **options))
    except yaml.YAMLError:
        return None


def read_by_dvc(document: str) -> Any:
    from dvc.utils.serialize import loads_yaml
    from ruamel.yaml import YAMLError

    try:
        return repr(loads_yaml(document))
    except (YAMLError, ValueError, LookupError):  # the last two for 2026-13-01 and an empty !!int
        return None


@settings(max_examples=500)
@given(DOCUMENTS)
@example("a: {today: 12:30}")
@example("a: [x?y]")
@example("a: &x 12:30\nb: [*x]")
def test_a_document_is_read_as_dvc_reads_it_or_refused(document: str) -> None:
    found = read(document, as_dvc=True)
    assert found in (None, read_by_dvc(document))
    if read(document) == read_by_dvc(document):  # nothing is refused that both would read
        assert found == read(document)


@settings(max_examples=300)
@given(st.sampled_from(PIECES) | st.text(max_size=5) | st.floats() | st.integers())
def test_what_dvc_writes_is_read_as_dvc_reads_it(value: Any) -> None:
    from dvc.utils.serialize import dumps_yaml

    written = dumps_yaml({"stages": {"value": value}})
    assert read(written) == read_by_dvc(written)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("a:\n  b: {c: 12:30}", r"a text with ':' inside {...} or \[...\] needs quotes: '12:30'"),
        ("a:\n  b: 2026-13-01", "2026-13-01 is no timestamp"),
        ("a:\n  b: !!timestamp monday", "monday is no timestamp"),
        ("a:\n  b: 0b_", "0b_ is no int"),
    ],
)
def test_what_dvc_would_stop_at_is_named_with_its_line(document: str, problem: str) -> None:
    with pytest.raises(yaml.YAMLError, match=rf"(?s){problem}.* line 2, column "):
        load_yaml(document, as_dvc=True)
