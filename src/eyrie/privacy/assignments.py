"""Passwords and the like: a value that is given to a name that says so.

`password = ...`, `mdp : ...`, "the password is ...", `mysql -p...`, a column of a CSV file. The value may be anything
with a digit or a sign in it that is neither code nor a placeholder. Keys beside weaker words are found by how they look
(`eyrie.privacy.random_keys`).
"""

import re
from collections.abc import Iterator

# What the names are made of; found first, since looking for plain text is cheap.
_STEMS = (
    *(
        "passw",
        "passp",
        "passc",
        "pass",
        "pwd",
        "pw",
        "pin",
        "psk",
        "secret",
        "cred",
        "mot de passe",  # codespell:ignore mot
        "mdp",
        "kennwort",
    ),
    *("contrase", "clave", "senha", "wachtwoord", "parola d", "hasło", "identified by", "requirepass", "masterauth"),
)
# A name may be the end of a longer one: DB_PASSWORD, clientSecret, smtp-pass.
_START = r"(?:(?<![^\W\d_])|(?<=[a-z])(?=[A-Z])|(?<=\bPG)(?=PASS)|(?<=\bSSH)(?=PASS))"
_NAME = (
    r"(?i:passw(?:or)?d|passphrase|passcode|pass_?key|passwort|pwd|pass|pw|pin(?: code)?|psk|secret|credentials?|creds?"
    r"|mot de passe|mdp|kennwort|contrase[nñ]a|clave|senha|wachtwoord|parola d['’]ordine|hasło|"  # codespell:ignore mot
    r"identified by|requirepass|masterauth)"
    r"(?:s|_?(?:key|value|token|hash|base|text|old|new|\d{1,3}))?"
)
_GIVES = (
    r"[\"'`\\\])*}»”]{0,4}(?:: ?(?:str|string|String|SecretStr)(?= ?=))?"
    r"(?:[ \t]{0,20}(?::=|=>|->|={1,3}|:|\|)[ \t]{0,20}(?:\n[ \t]{1,12})?"
    r"|[ \t]?>[ \t]{0,3}|\"?\s{1,3}value=|\((?=[\"'`])|,[ \t]?(?=[\"'])"
    r"|(?: [^\W\d_]{1,12}){0,3}? (?i:is|was|are|to|=|est|était|es|ist|lautet|war|è"  # codespell:ignore ist
    r"|is:|c'est|é)(?: ?:)? "
    r"|\s?(?i:values)\s?\((?=[\"'])|(?: [^\W\d_]{1,12}){0,3} \((?=[^\s()]{0,40}\d)|[ \t]{1,3}(?=[\"'`]))"
)
_GIVEN = re.compile(
    rf"{_START}{_NAME}{_GIVES}(?P<open>[\"'`\\(<\[{{*«“]{{0,4}}[ \t]?)(?P<v>[^\s\"'`<>,;|«»“”]{{4,128}})"
)
# Nothing but a space between: only for what no word looks like.
_BESIDE = re.compile(
    rf"{_START}{_NAME}[ \t]{{1,3}}(?P<v>(?=\S*\d)(?=\S*[a-z])(?=\S*[A-Z!#$%&*@^]|[a-z]+-[a-z-]+-\d)"
    r"[^\s\"'`<>,;|()\[\]{}=:]{8,64})"
)
_OPTIONS = "password|passwd|pass|token|secret|api-?key|access-?key|auth-?token|client-?secret|requirepass|pw"
_COMMANDS = re.compile(
    r"(?im:(?:^|[\s\"'])(?:machine\s+\S+\s+login\s+\S+\s+password|env\s+\w*passw(?:or)?d|requirepass|masterauth"
    rf"|identified\s+by|with\s+password|--?(?:{_OPTIONS}))[ =]\s{{0,3}}[\"']?(?P<a>[^\s\"'<>|]{{4,128}}))"
    r"|(?<=\s)(?:-u|--user)[ =][\"']?[\w.@-]+:(?P<b>[^\s\"'<>|]{4,128})"
    r"|\b(?:mysql\w*|mariadb\w*|sshpass|7z|unzip|zip|(?:docker|podman|registry) login)\b"
    r"[^\n|]{0,80}?\s-p ?[\"']?(?P<c>[^\s\"'<>|-][^\s\"'<>|]{3,127})"
    r"|(?i:\bauth\s{0,3}[=:]\s{0,3}[(\[{]|(?:credentials?|basic_?auth|\blogin|authenticate)\()"
    r"\s{0,3}[\"'][^\"'\n]{1,64}[\"']\s{0,3}[,:]\s{0,3}[\"'](?P<d>[^\s\"']{4,128})"
    r"|(?i:\b(?:login|user(?:name)?|credentials?|creds|identifiants?|zugangsdaten|usuario))\s{0,3}[:=]\s{0,3}"
    r"[\w.@+-]{2,64}\s{0,3}[/|:,]\s{0,3}(?=\S*\d)(?=\S*[A-Za-z])(?P<e>[^\s\"'<>|,;/]{6,128})"
    r"|/user:\S+\s+(?P<f>[^\s/]{4,128})|\boracle:thin:\w+/(?P<g>[^\s@]{4,128})(?=@)"
)
# Ways that have "pass" in them: a helper of web servers, an entry field that is typed into, a value before its name.
_BESIDE_PASS = re.compile(
    r"\bhtpasswd(?:\s+-\w+)+\s+\S+\s+\S+\s+(?P<a>\S{4,128})"
    r"|(?i:passw\w{0,4}[\"']\)\.\w{4,12}\([\"'])(?P<b>[^\s\"']{4,128})"
    r"|(?<!\S)[\"'`]?(?P<c>(?=\S*\d)(?=\S*[A-Z!#$%&*@^?]|[a-z]+-[a-z-]+-\d)[^\s\"'`<>()\[\]{}=:]{6,64})[\"'`]? as"
    r" (?:my|our|the|a|her|his|their)(?: [a-z-]{1,12}){0,2} pass(?:word|phrase|code)\b"
)
_COMMAND_WORDS = (
    *(
        "auth=",
        "auth =",
        "auth:",
        "auth :",
        "login:",
        "login=",
        "login =",
        "login :",
        "user:",
        "user=",
        "user =",
        "user :",
    ),
    *("username", "creds", "credential", "identifi", "zugangsdaten", "usuario", "--", " -p", "-u ", "machine ", "env "),
    *("requirepass", "masterauth", "with password", "basicauth", "basic_auth", "login(", "authenticate("),
    *("/user:", "oracle:thin"),
)
_COLUMN = re.compile(rf"(?:\w+[_ -])?{_NAME}")
_MAX_ROWS = 50
# What stands for a value, or computes one.
_STANDS_FOR = re.compile(
    r"[${(\[&@].*[\])}%]?$|%(?:\w+%|[sdrv]|\(.*)$"
    r"|.*(?:\(|\)|\[|\{\{|\$\{|::).*|your[-_ ]?|x{3,}|\*{3,}|\.{3}|change_?me|placeholder|redacted"
    r"|example$|none$|null$|true$|false$|process\.env|os\.environ|env\.|(?:secrets|vars|config|self|this|settings|request"
    r"|req|user|data|args|params|options|form|body|props|state|event|var|local|random|string|crypto|hashlib|bcrypt)"
    r"[.\[].*|https?:|.*[-_]goes[-_]here",
    re.IGNORECASE,
)
_NAME_OF_CODE = re.compile(
    r"[A-Za-z_]+\d?|(?:[a-z]+[_.-]){2,}[a-z0-9]+|\w+\.[A-Za-z_]\w*"
    r"|(?i:[a-z_]*(?:pass|pwd|secret|token|key|user|str|int|utf|base|sha|md|arg|var|input|field)[a-z_]*[_-]?\d{1,3})"
)
# As password managers join words, and not as resources are named.
_WORDS_AND_NUMBER = re.compile(
    r"(?!.*(?:pass|pwd|secret|token|key|user|prod|dev|stag|test|cred))[a-z]{3,}(?:-[a-z]{3,})+-\d{2,}"
)
# What stands before `password=` in a connection string, whose values are meant literally.
_DSN = re.compile(r"(?i:user(?:name| id)?|uid|host|server|dbname|database|port)=[^\s=;&]{1,64}(?:[;&] ?| )$")
_DSN_WIDTH = 80
_SENTENCE_END = ".,;:!?)]}*_~"
_QUOTES = "\"'`«“"


def given_secrets(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of every value given to a name that says it is secret; one may come twice."""
    lower = text.lower()
    if len(lower) != len(text):  # a few capitals have two small characters
        lower = text
    yield from _named(text, lower)
    if any(word in lower for word in _COMMAND_WORDS):
        for match in _COMMANDS.finditer(text):
            yield from _accepted(text, *match.span(match.lastgroup or 0))
    if "pass" in lower:
        for match in _BESIDE_PASS.finditer(text):
            yield from _accepted(text, *match.span(match.lastgroup or 0))
    if "pass" in lower or "pwd" in lower or "secret" in lower:
        for start, end in _in_columns(text):
            yield from _accepted(text, start, end)


def _named(text: str, lower: str) -> Iterator[tuple[int, int]]:
    for stem in _STEMS:
        position = lower.find(stem)
        while position >= 0:
            if match := _GIVEN.match(text, position):
                start, end = match.span("v")
                kept = match["v"].rstrip(_SENTENCE_END)
                # A sign at the end may belong to a password or to the sentence: it goes with the password.
                end = end if match["v"][-1] in "!?*_~" else start + len(kept)
                literal = any(char in _QUOTES for char in match["open"]) or _is_shell(text[position:start])
                if text[start - 1] == "=" and _DSN.search(text, max(0, position - _DSN_WIDTH), position):
                    if not _STANDS_FOR.match(match["v"]):
                        yield start, end
                else:
                    yield from _accepted(text, start, end, quoted=literal)
            elif match := _BESIDE.match(text, position):
                yield from _accepted(text, *match.span("v"))
            position = lower.find(stem, position + 1)


def _is_shell(name: str) -> bool:
    """Whether `DB_PASSWORD=` and not a variable of code stands before a value."""
    return name.endswith("=") and name[:-1].replace("_", "").isalnum() and name.isupper()


def _accepted(text: str, start: int, end: int, *, quoted: bool = False) -> Iterator[tuple[int, int]]:
    if _is_password(text[start:end], quoted=quoted):
        yield start, end


def _in_columns(text: str) -> Iterator[tuple[int, int]]:
    """The cells under a header that says password, in CSV and its like."""
    lines = text.splitlines(keepends=True)
    position = 0
    for number, line in enumerate(lines):
        position += len(line)
        sign = next((sign for sign in ("\t", ";", ",") if sign in line), None)
        names = [] if sign is None else [name.strip(" \"'\r\n") for name in line.split(sign)]
        columns = [i for i, name in enumerate(names) if _COLUMN.fullmatch(name)]
        start = position
        for row in lines[number + 1 : number + 1 + _MAX_ROWS] if columns else ():
            cells = row.split(sign)
            for column in columns if len(cells) == len(names) else ():
                value = cells[column].strip(" \"'\r\n")
                begin = start + sum(len(cell) + 1 for cell in cells[:column]) + cells[column].find(value)
                yield begin, begin + len(value)
            start += len(row)


def _is_password(value: str, *, quoted: bool) -> bool:
    """Not a placeholder, not code; with a digit or a sign, as people are told to choose them."""
    if len(value) < 4 or _STANDS_FOR.match(value):
        return False
    digits = sum(map(str.isdigit, value))
    letters = sum(map(str.isalpha, value))
    signs = sum(char in "!#^&*+?@$%~" for char in value)
    if digits == len(value):
        return quoted
    if quoted:
        return bool(digits or signs)
    is_name = _NAME_OF_CODE.fullmatch(value) and not _WORDS_AND_NUMBER.fullmatch(value)
    return bool(digits or signs) and letters > 0 and not is_name
