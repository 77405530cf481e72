"""Passwords told in a looser grammar than `eyrie.privacy.plain_told` reads: "the password? ThunderMaison, I think".

What a pronoun says after a sentence on passwords, what stands beside the name without a verb, what something was
changed to. A single word may be anything there, so only what people put together for a password counts: joined words,
or a word with a digit or a sign in it.
"""

import re
from collections.abc import Iterator, Sequence

from eyrie.privacy.passwords import is_thing
from eyrie.privacy.phrases import Phrases
from eyrie.privacy.plain_told import END, NAME, OPEN, SHUT, SIGNS, VALUE, accepted
from eyrie.privacy.plain_words import is_plain, is_said_of_things

# codespell:ignore-begin
_PUT_TOGETHER = re.compile(
    r"[A-ZÀ-Þ][a-zß-ɏ]{2,}(?:[-_.+]?[A-ZÀ-Þ][a-zß-ɏ]{2,})+|[A-Za-zß-ɏ]{3,}(?:[_.+][A-Za-zß-ɏ]{3,})+"
    r"|[a-zß-ɏ]{3,}(?:-[a-zß-ɏ]{3,}){2,}|(?i:i(?:ch)?(?:love|luv|liebe)|teamo|tiamo|tequiero|jetaime)[A-Za-z]{3,}"
    r"|[a-z]{14,}(?<!al)(?<!ure)(?<!ty)"
)
_COPULA = (
    r"(?i:is|was|are|were|stays?|remains?|ist|war|lautete?|heißt|bleibt|est|était|reste|es|era|è|sarà|é|foi|fica"
    r"|sempre stata|toujours été|blijft|will be|has always been|used to be)"
)
_ADVERBS = (
    r"(?:(?i:still|now|just|always|apparently|übrigens|jetzt|nun|noch|immer|nach wie vor|toujours|siempre|ahora|sempre"
    r"|ora|agora|nog|steeds) ){0,2}"
)
_BY_NAME = (
    # "my password ThunderMaison expired"
    re.compile(rf"{NAME} {OPEN}{VALUE}{SHUT}(?= [a-zà-ÿ]|[.,?!;)]|\s*$)"),
    # "alice's password: ..., bob's: ..."
    re.compile(rf"{NAME}[^\n]{{4,80}}?\w['’]s:? {OPEN}{VALUE}{END}"),
    # "my netflix password is ... and", "the password (it's ..."
    re.compile(rf"{NAME}[^\n.?!;=]{{0,60}}?[ ('’]{_COPULA}:? {_ADVERBS}{OPEN}{VALUE}{SHUT}(?![\w/:=(])"),
    # "... my password, ThunderMaison, ...", "the temporary password ThunderMaison."
    re.compile(
        rf"{NAME}(?:,|:|\?)? (?:(?i:tempor\w+|initial\w*|provis\w+|inicial|provvisori[ao]|actuel"
        rf"|atual) )?{OPEN}{VALUE}{END}"
    ),
    # "the password? It was ...", "... password. It is ..., it stays ..."
    re.compile(
        rf"{NAME}[^\n]{{0,90}}?\b(?i:it|that|this|es|das|c['’]|il|elle|esa|quella|essa|dat|(?:new|temp\w*|old|next"
        rf"|other"
        rf"|right|correct) one)(?: ?{_COPULA}|['’]s) {_ADVERBS}{OPEN}{VALUE}{END}"
        rf"(?:[,;] (?:and )?(?i:it|es|elle|il) {_COPULA} {OPEN}(?P<w>[^\s\"'<>|,;:()]{{4,40}}))?"
    ),
)
# "changed the laptop login to ..."
_CHANGED = re.compile(
    r"\b(?i:chang\w+|set|reset\w*|updat\w+|switch\w+|geändert|ändern|changé|cambi\w+|mud\w+"
    r"|veranderd)\b(?: [\w'’-]{1,16}){1,6}? "
    rf"(?i:to|auf|en|a|para|in|naar) {OPEN}{VALUE}{END}"
)
# "... as the ... password"
_AS = re.compile(
    rf"(?<=\s){OPEN}{VALUE}{SIGNS}{SHUT} (?i:as|als|comme|como|come|en|de|for|in|into|im|dans|nel|in het)"
    rf" (?:[\w'’-]{{1,14}} ){{0,3}}?[\"“]?{NAME}"
)
# codespell:ignore-end
_NEAR = 120  # characters
_STEMS = Phrases("chang", "set ", "update", "switch", "änder", "cambi", "mud", "verander")


def loosely_told(text: str, names: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(start, end) of every such password; `names` is of `names_in`."""
    for start in names:
        for pattern in _BY_NAME:
            if match := pattern.match(text, start):
                yield from _put_together(match)
    if not names:
        return
    for match in _AS.finditer(text):
        yield from _put_together(match)
    if _STEMS.occur_in(text):
        for match in _CHANGED.finditer(text):
            if any(match.start() - _NEAR <= start <= match.end() + _NEAR for start in names):
                yield from _put_together(match)


def _put_together(match: "re.Match[str]") -> Iterator[tuple[int, int]]:
    for start, end in accepted(match):
        word = match.string[start:end].rstrip("!?.*$#%&+~^@")
        if is_plain(word):
            chosen = _PUT_TOGETHER.fullmatch(word) is not None and not is_said_of_things(word)
        else:
            chosen = not is_thing(word) and not word.isdigit()
        if chosen:
            yield start, end
