"""Passwords that are words, given to a label: "pw: l0ve", "login: bob / moonlight", a line of a file of settings.

A label that says password stands alone with its value, in a line or in a part of one; where nothing but a space is
between, a user stands before it or the value looks chosen.
"""

import re
from collections.abc import Iterator, Sequence

from eyrie.privacy.passwords import looks_made_up, may_be_told, stands_out
from eyrie.privacy.phrases import Phrases
from eyrie.privacy.plain_told import END, MORE, NAME, OPEN, SHUT, SIGNS, VALUE, accepted
from eyrie.privacy.plain_words import is_plain

# codespell:ignore-begin
# In small letters; found first, since looking for plain text is cheap.
_LOGINS = Phrases(
    *("login", "log in", "cred", "basic auth", "zugang", "anmelde", "identifiant", "usuario", "acceso", "accesso"),
    *("acesso", "inlog", "wifi", "wi-fi", "wlan", "user/pass", "username/pass", "vpn", "rdp", "ssh", "nas "),
    *("nas:", "admin panel"),
)
_USERS = Phrases(
    *(
        "root",
        "admin",
        "postgres",
        "ubuntu",
        "guest",
        "demo",
        "oracle",
        "mysql",
        "sa/",
        "sa:",
        "sa /",
        "pi/",
        "pi:",
        "pi /",
    ),
    *("test/", "test:", "test /", "user/", "user:", "user /"),
)
_NETWORKS = Phrases(
    "ssid", "wifi", "wi-fi", "wlan", "network", "netz", "réseau", " red ", " rete ", " rede ", "netwerk"
)
_WHOLE = rf"{OPEN}{VALUE}{SIGNS}{SHUT}"
_SPEAKER = r"(?:(?:\[[\d:. -]{4,20}\] ?)?[*_<]{0,2}[\w.]{1,16}(?: \([\d:]{4,8}\))?[*_>]{0,2}: ?|\w{1,16} ?> ?|[>-] ?)"
_LABEL = re.compile(
    rf"(?:{NAME}|\b(?i:pass|clave)(?=\W)(?!\W{{0,3}}\n))[\"'`*_]{{0,3}}(?:\)(?=: ))?(?: \([^()\n]{{1,30}}\)|{MORE})?"
    rf"(?P<gives>[\"'`*_]{{0,3}} ?(?:[:=|]|[-=–—]*[>→⇒]+|›|»)[\"'`*_]{{0,3}} {{0,4}}(?:\n {{0,8}})?|\s[–—-]+ "
    rf"|(?:(?: \w+){{0,3}}\"?[?!]{{1,3}}\"?|(?: \w+){{0,3}}(?=\n{_SPEAKER})) *\n?[>\"\s]{{0,4}}{_SPEAKER}?[\"']?"
    rf"|:?[*_]{{0,2}} ?\n {{0,8}})"
    rf"(?i:(?:it|that)(?:['’]s| is) )?{_WHOLE}"
    r"(?= ?(?:[.!]?\s*$|\s*\n|[,;|)](?!\S)| [/|(–—-]|[.!] | [A-ZÄÖÜ][a-zäöü]+ |,? (?i:and|und|et|y|e|or|but|btw) "
    r"|,? [\w-]{2,20}(?: [\w-]{2,12})?[:=]))",
    re.MULTILINE,
)
_BEGINS = re.compile(
    r"(?:^|[,;|/(•>.:] ?|[-*] |\b(?i:and|und|et|y|e) |\w {2,}|[:=] ?[\w.@+-]{2,40},? (?:[/-] )?)[>*_#\s\"'-]{0,6}"
    r"(?:[^\W\d_][\w.'’-]{0,20} ){0,4}$",
    re.MULTILINE,
)
_PASSES = re.compile(r"(?i:tests?|checks?|builds?|all|bus|season|boarding|will|to) $")
_ANSWERS = frozenset(
    [
        "yeah",
        "nope",
        "sure",
        "sorry",
        "dunno",
        "okay",
        "thanks",
        "wait",
        "hold",
        "what",
        "same",
        "which",
        "none",
        "that",
        "this",
        "there",
        "here",
    ]
)
# A line of a file of settings.
_SETTING = re.compile(
    r"(?:^[ \t]*(?:[-+] |export |set |setx |ARG |ENV )?|(?<=[ ;&?]))\"?[\w.-]{0,40}?"
    r"(?i:passw(?:or)?d|pass(?:phrase)?|(?<![a-z])pwd?|kennwort|mdp)\"?(?P<gives>[ \t]{0,20}[:=][ \t]{0,20}|(?=\n["
    r" \t]+value: )| )"
    rf"(?:\n[ \t]+value: )?{VALUE}{SIGNS}(?=[ \t]*$|[ ;&](?=\S+=))",
    re.MULTILINE,
)
_SPACED = re.compile(r"^[ \t]*(?:setx|ENV) ", re.MULTILINE)
_SCRIPT = re.compile(r"[(){}]|;$|^\s*(?:def|import|from|return|class|if|for|const|let|var|val|func?)\b", re.MULTILINE)
_WORD_FOR_USERS = (
    r"user(?:name)?|login|e-?mail|account|name|ssid|utente|usu[aá]rio|utili[sz]ad?or|utilisateur|benutzer(?:name)?"
    r"|gebruiker(?:snaam)?|konto|compte|cuenta|conta|identifiant|użytkownik|användare"
)
# After a user: "user bob, password moonlight", "log in as bob with the password moonlight"
_BESIDE = re.compile(
    rf"(?:(?i:\b(?:{_WORD_FOR_USERS})(?:[:=]| is)? [\w.@+-]{{2,40}}|connect \S+)|[\w.+-]@[\w.-]+|\bas \w+)[\"']?"
    r"\s{0,2}(?:[,;/|(–-]|\n|and|with|using|und|et|y|e)?\s{0,3}(?i:the |mit |my |con |avec |con la |la |el |le |il "
    r"|a |o |de |het |das )?"
    rf"(?:{NAME}|(?i:\b(?:pass|clave))(?=\W))[:=]? {{1,3}}{OPEN}{VALUE}(?:{END}|(?=\"|'))"
)
_WEAK, _STRONG = Phrases("pass", "clave"), Phrases("passw", "_pass")
_WEAK_NAME = re.compile(r"\b(?i:pass|clave)(?=\W)")
_IN_NAME = re.compile(r"[(\w.\"']")
# In quotes, brackets or bold beside the name.
_QUOTED = re.compile(
    rf"{NAME},? ?(?:[\"“„«`]|\*\*|(?<=\s)'|\((?=[a-z]+\)))(?P<v>[^\s\"'“”»`*()<>=]{{4,40}})"
    r"[!?.]{0,3}(?:[\"”“»`'),]|\*\*)"
)
# Without a sign between: "staging pw k1tty", "(pw moonlight)"
_BARE = re.compile(rf"(?P<name>{NAME}|(?i:\bpass)(?=\W)) {VALUE}{SIGNS}(?=\s*$|[),;]|\. |\.$)", re.MULTILINE)
_USER_NEAR = re.compile(
    rf"(?i:\b(?:{_WORD_FOR_USERS}|wi-?fi|wlan|network|netz\w*|réseau|red|rete|rede|ssh|vpn|encrypted|protected"
    rf"|locked|zip|pdf"
    r"|excel|archive|attachment|file|with the)\b|@)"
)
_BEGIN = re.compile(r"(?:^|[(,;:] ?|^(?:[\w.-]{1,20} ){1,3})$", re.MULTILINE)
_PUNCTUATED = re.compile(r"[(,;:] ?$")
_NEAR = 90  # characters
_NETWORK = re.compile(
    r"(?i:\b(?:ssid|wi-?fi|wlan|network|netz\w*|réseau|red|rete|rede|netwerk)\b)[^\n]{0,40}\n?[ \t*•,;-]{0,4}"
    r"(?i:\b(?:key|\w*schlüssel|code|clé(?: de sécurité)?|chiave|chave|sleutel|pass)(?: \([^()]{1,12}\))?)[*_]{0,2}"
    rf"(?: ?[:=–-][*_]{{0,2}} ?| (?:(?i:is|ist|est|es|è|é) )?(?=\S*\d|\S*[A-Z_.]\S*[a-z])){_WHOLE}"
    r"(?=\s*$|\s*\n|[,.;)]| \()"
)
# A user that is one by its name, or an address.
_KNOWN_USER = re.compile(
    r"(?i:\b(?<![\w/.-])(?:root|admin\w*|sa|postgres|pi|ubuntu|test|guest|demo|oracle|mysql|user\d*|sysadmin))"
    r"(?P<sign> ?/ ?|: ?| [|–-] )(?P<v>[^\s\"'`<>|,;/]{4,40})(?=[\s\"'`),.]|$)"
)
_LOGIN_BEFORE = re.compile(r"(?i:log[ -]?in|cred|passw|\bpw\b|zugang|identifiant|acces|acceso|router)")
_ADDRESS = re.compile(
    rf"(?<=[\w+-])@[\w-]+(?:\.[\w-]+)+(?: ?//? ?|:| [|–-] ?|;)(?!\d+\b){VALUE}{SIGNS}(?=\s*$)", re.MULTILINE
)
# A user and a password, parted by a slash or the like, after a label for logins.
_PAIR = re.compile(
    r"(?:^|(?<=\W))(?i:log[ -]?ins?|cred(?:ential)?s?|basic auth|zugang(?:sdaten)?|anmeldedaten|identifiants?|usuario"
    r"|acc?ess?o|inloggegevens|wi-?fi(?= \"| ?[:=–-]| is)|wlan|user(?:name)?/pass(?:word)?|vpn|rdp|ssh|nas"
    r"|admin panel)(?: [\w.'’-]{1,20}){0,5}?"
    r"(?: ?[:=–—-]>?| ?→| is| ist| est| es| è| using| with| as| mit| avec| con|(?= \")) "
    rf"{OPEN}(?!(?i:the|a|an|my|your)\b)[A-Za-z][\w.@+-]{{1,40}}{SHUT}"
    rf"(?: ?//? ?| ?[:|] ?|, | (?i:and|und|et|y|e|with|mit) ){_WHOLE}(?=[.!?]?(?:\s*$|\n|[,;)](?!\S)|[.!] | -| \())",
    re.MULTILINE,
)
_CODE = re.compile(
    r"(?<!\w )[({]|(?!^<\w+> )[\[<;$](?!\d\d:|sudo)|\w=>"
)  # before a label: what it is given is a variable
_LINE_OF_TABLE = re.compile(r"\s*(?:[|+]|[-=]{3})")
_PARTS = re.compile(r"[A-Z]?[a-z]+")
# codespell:ignore-end


def labelled(text: str, names: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(start, end) of every word that a label gives; `names` is of `names_in`."""
    weak = [match.start() for match in _WEAK_NAME.finditer(text)] if _WEAK.occur_in(text) else ()
    for start in {*names, *weak}:
        if (match := _QUOTED.match(text, start)) and not _IN_NAME.match(text[start - 1 : start]):
            yield from accepted(match)
        if (match := _BARE.match(text, start)) and _is_beside(text, match):
            yield from accepted(match)
        if (match := _LABEL.match(text, start)) and _is_label(text, match) and not _is_code(text, match):
            yield from accepted(match)
    if names or weak or _STRONG.occur_in(text):
        for match in _BESIDE.finditer(text):
            yield from accepted(match)
        for match in _SETTING.finditer(text):
            if _is_setting(text, match):
                yield from accepted(match)
    if _LOGINS.occur_in(text):
        for match in _PAIR.finditer(text):
            yield from accepted(match)
    if _NETWORKS.occur_in(text):
        for match in _NETWORK.finditer(text):
            yield from accepted(match)
    if _USERS.occur_in(text):
        for match in _KNOWN_USER.finditer(text):
            yield from _of_known_user(match)
    for match in _ADDRESS.finditer(text) if "@" in text else ():
        if not (" - " in match[0] or " – " in match[0]) or not is_plain(match["v"]):
            yield from accepted(match)


def _is_beside(text: str, match: "re.Match[str]") -> bool:
    """A word without a digit needs a user before it, or a label that is an abbreviation and begins something."""
    start = match.start()
    if match["name"].lower() == "pass" and (
        "_" in match["v"] or not _PUNCTUATED.search(text, max(0, start - 3), start)
    ):
        return _USER_NEAR.search(text, max(0, start - _NEAR), start) is not None
    if match["v"].isdigit() or is_plain(match["v"]):
        near = _USER_NEAR.search(text, max(0, start - _NEAR), start)
        few = len(match["name"]) < 4 or len(_PARTS.findall(match["v"])) > 2
        return near is not None or (few and _BEGIN.search(text, max(0, start - _NEAR), start) is not None)
    return True


def _of_known_user(match: "re.Match[str]") -> Iterator[tuple[int, int]]:
    value = match["v"]
    told = " " in match["sign"] and _LOGIN_BEFORE.search(match.string, max(0, match.start() - _NEAR), match.start())
    judge = may_be_told if told else stands_out if " " in match["sign"] else looks_made_up
    if judge(value) and not value.startswith("//"):
        yield match.start("v"), match.start("v") + len(value.rstrip(".,)"))


def _is_label(text: str, match: "re.Match[str]") -> bool:
    start, before = match.start(), max(0, match.start() - 60)
    gives = match["gives"]
    if match[0][:4].lower() == "pass" and not match[0][4:5].isalpha() and _PASSES.search(text, before, start):
        return False
    if "\n" in gives and gives.strip(" *_\"'`")[:1] not in (":", "="):
        return match["v"].lower() not in _ANSWERS and (":" in gives or _BEGINS.search(text, before, start) is not None)
    if gives.strip() in ("-", "–", "—") and match["v"][0].isupper() and is_plain(match["v"]):
        return start == 0 or text[start - 1] == "\n"
    return gives.strip(" *_\"'`") in (":", "=") or _BEGINS.search(text, before, start) is not None


def _is_setting(text: str, match: "re.Match[str]") -> bool:
    if match["gives"] == " ":
        return _SPACED.match(match[0]) is not None
    start = text.rfind("\n", 0, max(0, match.start() - 1)) + 1
    end = text.find("\n", match.end() + 1)
    return _SCRIPT.search(text[start : len(text) if end < 0 else end]) is None


def _is_code(text: str, match: "re.Match[str]") -> bool:
    """Whether a label stands in code or in a table of what fields mean, where a word is a name."""
    start = text.rfind("\n", 0, match.start()) + 1
    line = text[start : match.start("v")].partition("\n")[0]
    return _CODE.search(line) is not None or _LINE_OF_TABLE.match(line) is not None
