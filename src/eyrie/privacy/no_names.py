"""What the name tagger takes for names and no reader would: dates, measures, the compass, verbs, German nouns.

Asked only of texts in which something was found. German capitalises every noun, so there a capital says nothing: the
tagger, which reads English and French, takes nouns that are on no list for names. What is left of a German text are
listed names and what follows a form of address.
"""

import re
from collections.abc import Callable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_DATE = re.compile(rf"\b(?:{_DAY},?\s+)?(?:\d{{1,2}}[ -]{_MONTH}|{_MONTH}\s+\d{{1,2}})\b(?:[ -]\d{{4}})?[ \d:]*")
_DATE_WORD = re.compile(rf"\b(?:{_MONTH}|{_DAY})\b")
_COMPASS = _words("North South East West Nord Sud Est Ouest")
_TOWARDS = re.compile(r"(?:[Tt]he )?(?:North|South|East|West)ern\b ?")
_FROM = re.compile(r"(?i:\b(?:north|south|east|west)ern $)")
# the first three letters of points of the compass, months and days
_BEGIN_NO_NAME = frozenset(word[:3] for word in _COMPASS) | frozenset(re.findall(r"[A-Z][a-z]{2}", _MONTH + _DAY))
# codespell:ignore-begin
# Words of German that English and French do not share.
_GERMAN = _words("""
aber auch auf bei beim bis bitte dem der dich ein eine einem einen einer fehlt für haben hat ich ihr im ist kann kein
keine mein meine meinen meiner mir mit muss nach nicht noch nur oder sich sie sind und uns unser unsere vom von warum
welche welcher welches wenn werden wie wieso wir wird wurde zum zur zwischen über
""")
_BEGINNINGS = _GERMAN | _words("das die was wo wer")
_ELSEWHERE = _words("""
a and are can de do does for from have how i in is it la le les my not of on or our that the this to we what with you
your
""")
# codespell:ignore-end
_WORD = re.compile(r"[^\W\d_]+")
_UMLAUT = re.compile(r"[äöüß]")
# "Pro 49 €/month", "Cordless drill CD-18X, 18 V": a list of goods reads like an address.
_MEASURE = re.compile(r"[€$£] ?\d|\d ?[€$£%]|\d ?(?:Nm|m?Ah|kWh?|[GM]?Hz|kg|[cm]m|ml|°C)\b")
_NUMBER = re.compile(r"\d")
# codespell:ignore-begin
_SIZE_OR_DAY = re.compile(
    r"\d ?[x×] ?\d|\b\d{1,2}\.? (?:de |di )?(?i:januari?|februari?|märz|maart|april|mai|mei|juni|juli|august(?:us)?"
    r"|o[ck]tober|dezember|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre"
    r"|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|novembre|dicembre|janeiro|fevereiro|março|maio"
    r"|junho|julho|setembro|outubro|novembro|dezembro)\b"
)
# With one of these a number is that of a house.
_OF_STREETS = re.compile(
    r"(?i:\b(?:street|st|road|rd|avenue|ave|av|lane|ln|drive|dr|way|court|ct|place|pl|square|sq|terrace|close"
    r"|crescent|boulevard|blvd|bd|highway|hwy|parkway|pkwy|rue|chemin|all[ée]e|impasse|route|quai|cours|via|viale|piazza"
    r"|corso|calle|avenida|plaza|paseo|carrer|rua|travessa|praça|apt|flat|suite|unit|floor|box|bât|lot|cedex)\b"
    r"|(?:stra(?:ße|sse|at)|str\.|weg|gasse|platz|ufer|damm|laan|plein|kade|gracht|park|hof)\b)"
    r"|\b[A-Z]{1,2}\d{1,2}[A-Z]? ?\d[A-Z]{2}\b"
)
# codespell:ignore-end
_ADDRESSED = re.compile(r"\b(?:Herrn?|Frau|Familie|Dr\.|Prof\.)\s+[^\W\d_]")
_ENOUGH = 2  # words


def is_german(text: str) -> bool:
    """Two words that only German has, or that are spelt with its letters, and no more of English or French."""
    words = set(text.split())
    german = len(_GERMAN & words)
    if _UMLAUT.search(text):
        german += sum(_UMLAUT.search(word) is not None for word in words)
    return german >= _ENOUGH and german >= len(_ELSEWHERE & words)


def no_name_in(
    text: str, is_listed: Callable[[str], bool], is_thing: Callable[[str], bool]
) -> Callable[[int, int], bool]:
    """Whether the characters `start:end` of a text are no name; `is_listed` tells words on lists of names, `is_thing`
    those that are written small as well."""
    german = is_german(text)

    def is_no_name(start: int, end: int) -> bool:
        if _NUMBER.search(text, start, end):
            words = _WORD.findall(text, start, end)
            listed = any(word[0].isupper() and is_listed(word) for word in words)
            measured = _MEASURE.search(text, start, end) or not _OF_STREETS.search(text, start, end)
            if (measured and not listed) or _SIZE_OR_DAY.search(text, start, end):
                return True
        towards = _TOWARDS.match(text, start, end)
        if towards or text.endswith("ern ", 0, start):  # the Northern Canal, the Eastern Ferry
            things = _WORD.findall(text, towards.end() if towards else start, end)
            if all(map(is_thing, things)) and (towards or _FROM.search(text, max(0, start - 9), start)):
                return True
        first = text[start]
        if not german and first.isupper() and text[start : start + 3] not in _BEGIN_NO_NAME:
            return False  # nearly all of them
        words = text[start:end].split()
        compass = words[0] in _COMPASS
        if (compass or words[0].islower() or words[0].isdigit()) and all(map(str.islower, words[1:])):
            is_ordinary = compass or not any(map(is_listed, words))
        else:
            is_ordinary = _DATE_WORD.search(text, start, end) is not None and _is_in_a_date(text, start, end)
        if is_ordinary:
            return True
        if not german or _ADDRESSED.search(text, max(0, start - 12), end):
            return False
        capitalised = [word for word in _WORD.findall(text, start, end) if word[0].isupper()]
        return not any(is_listed(word) for word in capitalised if word.lower() not in _BEGINNINGS)

    return is_no_name


def _is_in_a_date(text: str, start: int, end: int) -> bool:
    return any(date.start() <= start and end <= date.end() for date in _DATE.finditer(text))
