"""Passwords and the like: a value that is given to a name that says so.

`password = ...`, `mdp : ...`, "the password is ...", a column of a CSV file. The value may be anything with a digit or
a sign in it that is neither code nor a placeholder. What commands are given is read by `eyrie.privacy.commands`, looser
telling by `eyrie.privacy.told`; keys beside weaker words are found by how they look (`eyrie.privacy.random_keys`).
"""

import re
from collections.abc import Iterator

from eyrie.privacy.codes import told_codes
from eyrie.privacy.commands import given_to_programs
from eyrie.privacy.labels import labelled
from eyrie.privacy.listings import listed
from eyrie.privacy.loosely_told import loosely_told
from eyrie.privacy.passwords import is_password, is_placeholder, is_words, may_be_told
from eyrie.privacy.phrases import Phrases
from eyrie.privacy.plain_told import names_in, plainly_told
from eyrie.privacy.plain_words import is_plain
from eyrie.privacy.randomness import is_drawn_letters
from eyrie.privacy.short_codes import short_codes
from eyrie.privacy.told import told_secrets

# What the names are made of; found first, since looking for plain text is cheap.
_STEMS = Phrases(
    *("passw", "passp", "passc", "pass", "pwd", "pw", "pin", "psk", "secret", "cred", "mdp", "kennwort", "contrase"),
    *("mot de passe", "clave", "senha", "wachtwoord", "parola d", "hasło"),  # codespell:ignore mot
    *("lösenord", "adgangskode", "heslo", "парол", "şifre", "密码", "密碼", "パスワード", "비밀번호"),
    *("identified by", "requirepass", "masterauth"),
)
# A name may be the end of a longer one: DB_PASSWORD, clientSecret, smtp-pass.
_START = (
    r"(?:(?<![^\W\d_])|(?<=[a-z])(?=[A-Z])|(?<=\bPG)(?=PASS)|(?<=\bSSH)(?=PASS)|(?<=[a-z])(?=passw|pwd)"
    r"|(?<=[a-z]{2})(?<!by)(?<!om)(?<!ni)(?=(?:pass|pw)\b))"
)
_NAME = (
    r"(?i:passw(?:or)?d|passphrase|passcode|pass_?key|passwort|pwd|pass|pw|pin(?: code)?|psk|secret|credentials?|creds?"
    r"|mot de passe|mdp|kennwort|contrase[nñ]a|clave|senha|wachtwoord|parola d['’]ordine|hasło|"  # codespell:ignore mot
    r"lösenord|adgangskode|heslo|пароль|şifre|密码|密碼|パスワード|비밀번호|"
    r"identified by|requirepass|masterauth)"
    r"(?i:s|_?(?:key|value|token|hash|base|text|old|new|confirm(?:ation)?|\d{1,3})){0,2}"
)
# codespell:ignore-begin
_GIVES = (
    r"[\"'`\\\])*}»”]{0,4}(?:\.(?:[tT]ext|[vV]alue))?(?:: ?(?:&?(?:'static )?str|string|String|SecretStr)(?= ?=))?"
    r"(?: \([^()\n]{1,30}\))?(?:[ \t]{0,20}(?::=|=>|->|={1,3}|:|\||–|—)[ \t]{0,20}(?:</b>|\n[ \t]{0,12})?"
    r"|[ \t]?>[ \t]{0,3}(?:<!\[CDATA\[)?|\"?,?\s{1,20}\"?value\"?[=:] ?|\"?>\s{0,8}<value>|</key>\s{0,12}<string>"
    r"|\" \{(?:\s{1,8}\w+ ?= ?[^\n]{1,60}){0,3}?\s{1,8}default ?= ?"
    r"|\{(?=[\"'])|[ \t]?<-[ \t]?(?=[\"'])|\((?=[\"'`])|,["
    r" \t]?(?=[\"'])"
    r"|(?:,? [\w'’@.+-]{1,30}){1,6}?(?: ?[:=] | (?i:to|is) )(?=\S*\d)"
    r"|(?: [^\W\d_]{1,12}){0,3}? (?i:is|was|are|to|=|still|est|était|es|ist|lautet|heißt|war|è"  # codespell:ignore ist
    r"|era|is:|c'est|é)(?: ?:)? "
    r"|\s?(?i:values)\s?\((?=[\"'])|(?: [^\W\d_]{1,12}){0,3} \((?=[^\s()]{0,40}\d)|[ \t]{1,3}(?=[\"'`]))"
)
# codespell:ignore-end
# A call that passes its literal on: `String::from("...")`, `Hash::make('...')`.
_CALL = (
    r"(?:new )?(?:[\w.]{1,30}(?:::|\.))?"
    r"(?:from|make|of|new|string|String|secret\w*|Secret\w*|password|Password|bytes|hash\w*|encrypt\w*)\("
)
_GIVEN = re.compile(
    rf"{_START}{_NAME}{_GIVES}(?:[Nbfru@](?=[\"'])|{_CALL}(?=[\"']))?"
    rf"(?P<open>[\"'`\\(<\[{{*«“]{{0,4}}[ \t]?)(?P<v>[^\s\"'`<>,;"
    rf"|«»“”]{{4,128}})"
)
# Nothing but a space between: only for what no word looks like.
_BESIDE = re.compile(
    rf"{_START}{_NAME}[ \t]{{1,3}}(?P<v>(?=\S*\d)(?=\S*[a-z])(?=\S*[A-Z!#$%&*@^]|[a-z]+-[a-z-]+-\d)"
    r"[^\s\"'`<>,;|()\[\]{}=:]{8,64}|[a-z]{4,12}(?:-[a-z]{4,12}){2,}(?![\w-]))"
)
_COLUMN = re.compile(rf"(?:\w+[_ -])?{_NAME}|(?i:secret[_ ]access[_ ]key)")
_MAX_ROWS = 50
_HEADER_STEMS = Phrases(
    "pass",
    "pwd",
    "pw",
    "secret",
    "mdp",
    "kennw",
    "contrase",
    "clave",
    "senha",
    "wachtw",
    "hasło",
    "parola",
)
_HEADER = re.compile(r"(?i)pass|pwd|pw\b|secret|cred|pin|psk|mdp|kennw|contrase|clave|senha|wachtw|hasło|parola")
# codespell:ignore-begin
# Names with which a word is a password, others only where nothing but a sign stands between.
_MAY_BE_WORD = re.compile(
    r"(?i:passw|pwd|(?<![a-z])pw(?![a-z])|pass[ _-]?(?:phrase|code)|kennw|mdp|mot de|contra|senha|wacht|parola|hasło"
    r"|identified|requirepass|masterauth)"  # codespell:ignore mot
)
_WORD_BELOW = re.compile(rf"{_MAY_BE_WORD.pattern}|(?i:\bpass$|^clave$)")
_SAYS_ALL = re.compile(
    r"(?i:pass|psk|secret(?:_key)?|clave)[\"'\]]{0,2}(?:: ?&?\w+)?\s?(?:=>|:=|[:=>])\s?[\"'`]?(?:<!\[CDATA\[)?$"
)
# codespell:ignore-end
_PART, _SINGLE = re.compile(r"\S+(?: \S+)*"), re.compile(r"\S+")
_NO_TABLE = re.compile(r"[:=(){}<>\"']|\w\.\s*$")
# What stands before `password=` in a connection string, whose values are meant literally.
_DSN = re.compile(r"(?i:user(?:name| id)?|uid|host|server|dbname|database|port)=[^\s=;&]{1,64}(?:[;&] ?| )$")
_DSN_WIDTH = 80
# An option of a command that has the name in its argument: `--set auth.adminPassword=`, `-e MYSQL_PASSWORD=`.
_OPTION = re.compile(r"\s--?[A-Za-z][\w-]{0,30}[ =]?[\"']?[\w.,=\[\]-]{0,30}$")
_TOLD = re.compile(
    r"(?i:^pass(?:w|c|p)|^pwd?\b|^kennw|^mot|^mdp|^contra|^senha|^wacht|^clave).*"  # codespell:ignore mot
    r"(?:[:=]|[a-zé]) ?[\"'`*]?$|\bis $",
    re.DOTALL,
)
_SENTENCE_END = ".,;:)]}"
_INSERTED = re.compile(r"(?i:\((?P<names>[^()]{3,200})\)\s{0,3}values)(?=\s{0,3}\()")
_VALUES = Phrases("values")
_INSERTED_ROW = re.compile(r"\s{0,12},?\s{0,12}\((?P<values>[^()]{3,400})\)")
_CELL = re.compile(r"\s*(?:N?'(?P<v>[^']*)'|[^,]*)\s*(?:,|$)")
_DEFINES = re.compile(
    r"(?i:define|setdefault|set_?env|put_?env|put|setProperty)\( ?[\"'][\w.-]+[\"'], ?[\"'][^\"',()]*$"
)
_QUOTES = "\"'`«“"


def given_secrets(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of every value given to a name that says it is secret; one may come twice."""
    lower = text.lower()
    if len(lower) != len(text):  # a few capitals have two small characters
        lower = text
    yield from _named(text, lower)
    yield from given_to_programs(text)
    yield from told_secrets(text)
    names = names_in(text, lower)
    yield from plainly_told(text, names)
    yield from loosely_told(text, names)
    yield from labelled(text, names)
    yield from told_codes(text)
    yield from short_codes(text)
    yield from listed(text)
    if _HEADER_STEMS.occur_in(text):
        for start, end, may_be_word in _in_columns(text):
            yield from _accepted(text, start, end, quoted=may_be_word and may_be_told(text[start:end]))
        for start, end in _inserted(text) if _VALUES.occur_in(text) else ():
            yield from _accepted(text, start, end, quoted=True)


def _named(text: str, lower: str) -> Iterator[tuple[int, int]]:
    for stem in _STEMS.those_in(text):
        position = lower.find(stem)
        while position >= 0:
            if match := _GIVEN.match(text, position):
                start, end = match.span("v")
                # Another sign at the end may belong to a password or to the sentence: it goes with the password.
                kept = match["v"].rstrip(_SENTENCE_END)
                end = start + len(kept)
                before = text[position:start]
                literal = any(char in _QUOTES for char in match["open"]) or _is_shell(before)
                literal = literal or text.startswith("</", start + len(match["v"]))
                literal = literal or (
                    text[start - 1] == "=" and bool(_OPTION.search(text, max(0, position - 60), position))
                )
                # Joined words may be a name in code, but not after "is", nor where code would have a quote.
                literal = literal or (_TOLD.search(before) is not None and is_words(kept.rstrip("!?*_~")))
                if text[start - 1] == "=" and _DSN.search(text, max(0, position - _DSN_WIDTH), position):
                    if not is_placeholder(match["v"]):
                        yield start, end
                elif "{{" not in match["open"] and not (is_plain(kept) and _is_name(before, kept, text, match.end())):
                    yield from _accepted(text, start, end, quoted=literal)
            elif match := _BESIDE.match(text, position):
                yield from _accepted(text, *match.span("v"), quoted=is_words(match["v"]))
            position = lower.find(stem, position + 1)


def _is_name(given: str, kept: str, text: str, end: int) -> bool:
    """Of a word that is given: whether it may be a name in code, as in a list of fields, or what a call is passed."""
    if "\n" in given and ")" in given:  # a function and what is said of it
        return True
    if given.rstrip(" \"'").endswith(","):
        return _DEFINES.search(text, max(0, end - 120), end) is None
    return not (is_words(kept) or _MAY_BE_WORD.search(given) or _SAYS_ALL.search(given))


def _is_shell(name: str) -> bool:
    """Whether `DB_PASSWORD=` and not a variable of code stands before a value."""
    return name.endswith("=") and name[:-1].replace("_", "").isalnum() and name.isupper()


def _accepted(text: str, start: int, end: int, *, quoted: bool = False) -> Iterator[tuple[int, int]]:
    if is_password(text[start:end], quoted=quoted) or is_drawn_letters(text[start:end]):
        yield start, end


def _inserted(text: str) -> Iterator[tuple[int, int]]:
    """The literals of an INSERT whose columns say password."""
    for match in _INSERTED.finditer(text):
        names = [name.strip(' `"[]\n') for name in match["names"].split(",")]
        row, rows = _INSERTED_ROW.match(text, match.end()), 0
        while row is not None and rows < _MAX_ROWS:
            for name, cell in zip(names, _CELL.finditer(text, *row.span("values")), strict=False):
                if _COLUMN.fullmatch(name) and cell["v"]:
                    yield cell.span("v")
            row, rows = _INSERTED_ROW.match(text, row.end()), rows + 1


def _in_columns(text: str) -> Iterator[tuple[int, int, bool]]:
    """The cells under a header that says password, in CSV and its like, and whether they may be words."""
    lines = text.splitlines(keepends=True)
    position = 0
    for number, line in enumerate(lines):
        position += len(line)
        sign = next((sign for sign in ("\t", "|", ";", ",") if sign in line), None)
        names = [name for _, name in _cells(line, sign)] if _HEADER.search(line) else []
        named = sum(map(bool, names)) > 1
        columns = [i for i, name in enumerate(names) if named and _COLUMN.fullmatch(name)]
        start = position
        may_be_word = _WORD_BELOW if sign else _MAY_BE_WORD
        for row in lines[number + 1 : number + 1 + _MAX_ROWS] if columns else ():
            cells = list(_cells(row, sign))
            for column in columns if len(cells) == len(names) else ():
                begin, value = cells[column]
                if value and " " not in value:
                    yield start + begin, start + begin + len(value), may_be_word.search(names[column]) is not None
            start += len(row)


def _cells(line: str, sign: str | None) -> Iterator[tuple[int, str]]:
    """(start, content) of the cells of a row; without a sign two spaces part them, or one between single words."""
    if sign is None:
        parts = [] if _NO_TABLE.search(line) else list(_PART.finditer(line))
        parts = parts if len(parts) != 1 else list(_SINGLE.finditer(line))
        yield from ((part.start(), part[0]) for part in parts)
        return
    position = 0
    for cell in line.split(sign):
        value = cell.strip(" \"'`\r\n")
        yield position + cell.find(value), value
        position += len(cell) + 1
