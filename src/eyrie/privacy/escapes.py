"""Characters of a value that are spelled by others: in HTML, JSON and addresses of pages; and tags inside a value.

People paste pages and log lines, where `jo&#64;corp.com` and `{"ssn": "123\\u002d45\\u002d6789"}` say what they say.
"""

import html
import re

_REFERENCE = r"&(?:\#(?:\d{1,6}|[xX][0-9A-Fa-f]{1,5})|[A-Za-z]{2,8});"
_ESCAPE = r"\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}"
_PERCENT = r"%(?:2[089BDEFbdef]|40)"  # marks alone: a percent sign before a number is common
_TAG = r"</?(?:a|b|big|br|code|em|font|i|kbd|mark|small|span|strong|sub|sup|tt|u|wbr)(?:\s[^<>]{0,200})?/?>"
_TAGS_INSIDE = rf"(?=<)(?:(?<=[\w@.+)/-])|(?<=\d\s))(?:{_TAG})+(?=[\w@.+(/-]|\s\d)"
_SPELLED = re.compile(f"{_REFERENCE}|{_ESCAPE}|{_PERCENT}|{_TAGS_INSIDE}")
_MARKS = "@.+-()/_'\u00a0 "  # that values have beside letters and digits


def unescaped(text: str) -> tuple[str, list[tuple[int, int]]] | None:
    """What `text` spells, and where each of its characters stands in it; None where nothing is spelled."""
    chars: list[str] = []
    spans: list[tuple[int, int]] = []
    end = 0
    for found in _SPELLED.finditer(text):
        char = _char(found[0])
        if char is None:
            continue
        chars += text[end : found.start()], char
        spans += [(place, place + 1) for place in range(end, found.start())]
        spans += [found.span()] * len(char)
        end = found.end()
    if not end:
        return None
    spans += [(place, place + 1) for place in range(end, len(text))]
    return "".join([*chars, text[end:]]), spans


def _char(spelled: str) -> str | None:
    """One character, none for tags that only show how a value looks; None for what no value has."""
    if spelled[0] == "<":
        return " " if "<br" in spelled else ""
    char = html.unescape(spelled) if spelled[0] == "&" else chr(int(spelled.lstrip("\\%ux"), 16))
    # \x is how bytes are written, of keys and programs: their letters and digits are no text
    of_value = len(char) == 1 and (char in _MARKS or (char.isalnum() and spelled[1] != "x"))
    return char if of_value else None
