"""Credentials in rows without a header: `db1 / app / moonlight`, `root:k1tty` below one another.

Cells of one line, parted by one sign; the last may be a password, the one before names a user. Rows of one form are
judged together: where half of their last cells look chosen or drawn, the others may be words.
"""

import re
from collections.abc import Iterator
from itertools import groupby

from eyrie.privacy.passwords import may_be_told, stands_out
from eyrie.privacy.phrases import Phrases
from eyrie.privacy.plain_words import is_plain
from eyrie.privacy.randomness import looks_random

# codespell:ignore-begin
# In small letters; found first, since looking for plain text is cheap.
_STEMS = Phrases(
    *("login", "passw", "cred", "user", "account", "server", "chpasswd", "zugang", "zugänge", "kennw", "konten"),
    *(
        "identifiant",
        "mot de passe",
        "compte",
        "accès",
        "usuario",
        "usuários",
        "contraseña",
        "cuenta",
        "utenti",
        "accessi",
    ),
    *("senha", "conta", "wachtwoord", "gebruiker", "inlog"),
)
_TOPIC = re.compile(
    r"(?i:\blog-?ins?\b|passw|\bcred(?:ential)?s\b|\busers?\b|\busernames?\b|\baccounts\b|\bservers\b|zugangsdaten"
    r"|zugänge"
    r"|kennw|konten|identifiants|mots? de passe|comptes|accès|usuarios|contraseñas?|cuentas|utenti|accessi|senhas?"
    r"|contas"
    r"|wachtwoord|gebruikers|inlog)"
)
# codespell:ignore-end
# A part of every word that looks chosen or drawn, of which there is one at least.
_CHOSEN = re.compile(r"[0-9](?:[A-Za-zÀ-ɏ_@#$%&*^]|(?<=[A-Za-zÀ-ɏ_@#$%&*^!?+.~-][0-9]))")
_VALUE = r"[^\s\"'`<>|,;/()\[\]{}]{4,64}"
_ROW = re.compile(
    r"^[ \t]*(?:[-*•>]\s|\d{1,2}[.)]\s)?(?P<head>[^\n|/\t]{1,40}?(?P<sign> ?/ ?| [-–—|] |\t|: |, ))?[\w.@+-]{2,40}"
    rf"(?(sign)(?P=sign)|(?P<only> ?/ ?| [-–—|] |:|, | ?= ?))(?P<v>{_VALUE})[ \t]*$",
    re.MULTILINE,
)
# "users = {'ann': '...', 'bob': '...'}"
_MAPPED = re.compile(
    r"(?i:\b(?:users?|accounts?|logins?|passw(?:or)?ds?|credentials?|creds)\w{0,8}[\"']?\s?(?:=|:|=>)\s?(?:array\("
    r"|dict\(|\{|\[))"
    r"(?P<pairs>[^\n{}\[\]]{8,400})"
)
_MAPPED_PAIR = re.compile(rf"[\"'][\w.@+-]{{1,40}}[\"']\s?(?::|=>)\s?[\"'](?P<v>{_VALUE})[\"']")
# As crackers print what they found: a hash or a user, and its password.
_CRACKED = re.compile(
    rf"(?<![\w:])(?:[0-9a-f]{{32,128}}:(?P<v>{_VALUE})(?=\s|$)|[\w.-]{{2,32}}:(?P<w>[^\s:]{{4,64}}):\d+:\d+:[^:\n]*:/)"
)
_REACH = 160  # characters between the rows and a word for them
# "valid user ann/...", "(root / ...)"
_PAIR = re.compile(
    rf"(?:\b(?i:user|login|utente|usuario|benutzer) |\()[\w.@+-]{{2,40}} ?[/:] ?(?P<v>{_VALUE})(?=[\s,;).]|$)"
)
# The file that OpenVPN and its like read: a user, and its password below.
_BELOW = re.compile(
    rf"(?i:pass|login|cred|zugang|kennw)[^\n]*:[ \t]*\n[ \t]*[A-Za-z][\w.@+-]{{1,40}}[ \t]*\n"
    rf"[ \t]*(?P<v>{_VALUE})[ \t]*(?:\n\s*\n|\n?$)"
)


def listed(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of every password of such a row."""
    if not _CHOSEN.search(text):
        return
    if ":" in text:
        for match in _CRACKED.finditer(text):
            yield from (match.span(group) for group in ("v", "w") if match[group] and may_be_told(match[group]))
    if not _STEMS.occur_in(text):
        return
    for match in _PAIR.finditer(text):
        if _looks_chosen(match["v"]):
            yield match.span("v")
    for mapped in _MAPPED.finditer(text):
        for pair in _MAPPED_PAIR.finditer(text, *mapped.span("pairs")):
            if _looks_chosen(pair["v"]) or (may_be_told(pair["v"]) and not is_plain(pair["v"])):
                yield pair.span("v")
    for match in _BELOW.finditer(text):
        if may_be_told(match["v"]) and not is_plain(match["v"]):
            yield match.span("v")
    for _, rows in groupby(_rows(text), key=lambda item: item[0]):
        found = [match for _, match in rows]
        chosen = sum(_looks_chosen(match["v"]) for match in found)
        if chosen == 0 or 2 * chosen < len(found) or not _is_topic(text, found[0].start(), found[-1].end()):
            continue
        yield from (match.span("v") for match in found if may_be_told(match["v"]) or _looks_chosen(match["v"]))


def _rows(text: str) -> Iterator[tuple[tuple[str, int], "re.Match[str]"]]:
    """Rows with what those below one another share: the sign, and where the first of them begins."""
    end, sign, begin = -1, "", 0
    for match in _ROW.finditer(text):
        own = (match["sign"] or match["only"]).strip()
        if match.start() > end + 1 or own != sign:
            sign, begin = own, match.start()
        end = match.end()
        yield (sign, begin), match


def _is_topic(text: str, start: int, end: int) -> bool:
    return _TOPIC.search(text, max(0, start - _REACH), min(len(text), end + _REACH)) is not None


def _looks_chosen(word: str) -> bool:
    return stands_out(word) or looks_random(word)
