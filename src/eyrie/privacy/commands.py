"""Passwords given to programs: options of commands, arguments of calls, `user:password` pairs.

By the grammar of command lines: what follows an option that says password, or the password's letter among a program's
options; what follows a user and a colon; what is piped into a program that asks for a password. Such values are meant
literally, so they may look like names. What looks made up by itself counts after any option. What stands for a value
(`$PASS`, `<password>`) is left alone by `eyrie.privacy.passwords`; the line is read by `eyrie.privacy.told` besides.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from eyrie.privacy.passwords import is_password, is_thing, is_words, looks_made_up, may_be_told, stands_out
from eyrie.privacy.phrases import Phrases
from eyrie.privacy.plain_words import is_plain

# What every way here has, cheapest first: a sign of commands and code, or one of the words that need none; a letter or
# a sign at a digit, or words joined.
_CODE = re.compile(r"[=(<|]| (?:--?|/)\w|:(?=\S)")
_BARE = Phrases(
    *("net user", "rootpw", "auth", "machine ", "connect ", "sqlplus", "passw", "secret", "rasdial"),
    *("pass ", "snmp-", "expdp", "impdp", "sqlldr", "ctl ", "psk", "pw ", "pre-shared", "isakmp", "radius"),
    *("tacacs", "wpa personal", "obscure", "wpa_pass", "rabbitmqctl", "option key", "requirepass"),
    *("masterauth", "protect ", ": eap", ": xauth"),
)
_PASSWORD_LIKE = re.compile(  # begins with one set of characters, which is looked for fast
    r"[\dA-Z!#$%&*^@~_.-](?:(?<=\d)(?:[^\W\d]|[!#$%&*^@~]|(?<=[^\W\d].))|(?<=[!#$%&*^@~])(?:\d|(?<=\w.)\w)"
    r"|(?<=[-_.])(?:[a-z]+[-_.][a-z]|(?<=[a-z].)\d)|(?<=[a-z][A-Z])|(?<=-)p ?\d)"
)

# Beside these a word may be a password.
_WORDS = Phrases(
    *("pass", "login", "sudo", "mysql", "redis", "openssl", "ldap", "zip", "rar ", "-u", "net u", "auth"),
    *("snmp-", "wifi", "cred", "sign", "connect", "ctl ", "assword", "crypt", "snmp", "-p ", "/p:", "psk"),
    *("expdp", "pw ", "pdo(", "sequelize", "btoa", "b64", "noop", "decrypt", "sign", "obscure"),
)


def _literal(value: str) -> bool:
    return is_password(value, quoted=True)


def _no_word(value: str) -> bool:
    """After a letter with which a program may take something else than a password."""
    is_port = len(value) < 6 and value.replace(":", "").isdigit()
    return _literal(value) and not is_port and (is_words(value) or not is_plain(value))


class _Way(NamedTuple):
    """One group of `pattern` is the value. Tried where one of `words` occurs in a text."""

    words: Phrases
    pattern: "re.Pattern[str]"
    accepts: Callable[[str], bool]  # of the value


def _ways(words: tuple[str, ...], *patterns: str, accepts: Callable[[str], bool] = _literal) -> _Way:
    """The alternatives as one pattern; `VALUE` in each becomes a group."""
    text = "|".join(patterns)
    for number in range(text.count("VALUE")):
        text = text.replace("VALUE", rf"[\"'`]?(?P<v{number}>{_VALUE})", 1)
    return _Way(Phrases(*words), re.compile(text, re.MULTILINE), accepts)


_VALUE = r"(?!-)(?!\S+\.(?:7z|zip|rar|sql|pdf|txt|gz)\b)[^\s\"'`<>|]{4,128}"
_OPTION = r"(?:[\w.]+-)*\w*?(?:pass(?:w(?:or)?d|phrase|code|in|out)?|pw|pwd|secret|token|api-?key|access-?key)"
_LINE = r"[^\n|]{0,120}?"
# The letters of the options with which programs take a password.
_LETTERS = {
    r"mysql\w*|mariadb[\w-]*|sshpass|7z\w*|(?:un)?zip|mongo\w*|cqlsh|cypher-shell|useradd|[\w ]{2,24} login": "[pP]",
    r"(?:un)?rar": "h?p",
    r"redis-cli": "a",
    r"ldap\w+": "[wy]",
    r"openssl": "[kK]",
    r"ssh-keygen": "[NP]",
    r"snmp\w+(?: [^\n|]{0,80}? -A \S+)?": "[AXc]",
}
_WAYS = (
    _ways(
        ("-", "/p"),
        rf"(?i:(?:^|[\s\"'(,])(?:--?{_OPTION}(?:[ =]\s{{0,3}}|\", ?)VALUE))",
        *(rf"\b(?:{program})\b{_LINE}\s-(?:{letters}) ?VALUE" for program, letters in _LETTERS.items()),
        # A user before, whatever the program.
        r"\s(?:-[uUl]|--?user(?:name)?|--login)[ =]?[\"']?[\w.@\\-]+[\"']?\s(?:[^\n|]{0,80}?\s)?-[pPw][ =]?(?!/)VALUE",
        r"\s(?:-[uUaA]|--?(?:proxy-)?user(?:pass)?|--?(?:basic-)?auth)[ =]?[\"']?(?:\w+/)?[A-Za-z][\w.@\\-]*[:,%]VALUE",
        r"\s/p(?:ass(?:word)?)?:VALUE",
        accepts=_no_word,
    ),
    # A word, where nothing else than a password can stand
    _ways(
        (
            *("--", "storepass", "-pw", "askpass", "-p", "/p", "-u", "redis", "ldap", "openssl", "ssh-"),
            *("&p=", "zip", "auth"),
        ),
        r"(?i:(?:^|[\s\"'(,])--?(?:[\w.]+-)*\w*?(?:pass(?:w(?:or)?d|phrase)?|pwd?|askpass)(?:[ =]|\", ?)VALUE)",
        rf"\b(?:mysql\w*|mariadb[\w-]*|7z\w*|(?:un)?rar)\b{_LINE}\s-h?p(?!(?:ort|ass|roto\w*|lugin\S*|ipe|rint"
        rf"|ath)\b)VALUE",
        rf"\b(?:sshpass|cqlsh|cypher-shell|mongo\w*|psexec|ncftp\w*|(?:docker|podman|registry|az|oc) login\b{_LINE}"
        rf" -u)\b"
        rf"{_LINE}\s-p VALUE|\b(?:zip|unzip|mosquitto_\w+|ssh-keygen)\b{_LINE}\s-P VALUE",
        rf"\bredis-cli\b{_LINE}\s-a VALUE|\bldap\w+\b{_LINE}\s-w VALUE|\bopenssl\b{_LINE}\s-[kK] VALUE"
        rf"|\bssh-keygen\b{_LINE}\s-N VALUE|\bsnmp\w+\b{_LINE}\s-[AXc] VALUE(?:{_LINE}\s-X VALUE)?"
        r"|\bopenssl passwd(?: -\w+)* VALUE",
        r"\s(?:-[uUaA]|--?(?:proxy-)?user(?:pass)?|--?auth)[ =]?[\"']?"
        r"(?:\w+/)?(?P<user>[A-Za-z][\w.@\\-]*)[:,%](?!(?P=user))VALUE",
        r"\s/p(?:ass(?:word)?)?:VALUE|[?&]user?=[^&\s\"']+&p=VALUE",
        # After a user, but not where the letter means a directory, a port or that a password will be asked for.
        r"^(?![^\n]*\b(?:mysql\w*|maria\w*|mkdir|cp|ssh|scp|docker (?:run|exec)|nmap|ps|kill|python\d?|node|git)\b)"
        rf"{_LINE}\s(?:-[uUln]|--?user(?:name)?|--login)[ =]?[\"']?[\w.@\\-]+[\"']?\s(?:[^\n|]{{0,80}}?\s)?-[pPw]"
        rf" VALUE",
        accepts=is_plain,
    ),
    _ways((" -", " /"), r"\s(?:-{1,2}[A-Za-z]\w{0,24}|/\w{1,12}[: ])[ =]?VALUE", accepts=looks_made_up),
    _ways((" -p ", " -w "), r"\s-[pPw] VALUE", accepts=stands_out),
    # Said to standard input
    _ways(
        ("echo", "printf", "<<<"),
        r"\b(?:echo|printf)(?: -[ne]+)? (?:[\"']%s(?:\\n)?[\"'] )?[\"']?(?:[\w.-]+:)?VALUE[\"']? ?\|[^\n|]{0,60}?"
        r"(?:sudo -S|passw|login|stdin|cryptsetup|gpg|kinit|openssl|\bsu\b)",
        r"\b(?:sudo|\w*passwd|kinit|cryptsetup|su|sshfs|gpg\w*|open(?:connect|vpn)|\w*login)\b[^\n]{0,80}<<< ?VALUE",
    ),
    # At a place of its own: after the user, the file or the network
    _ways(
        (
            *("net ", "rabbitmqctl", "ejabberdctl", "prosodyctl", "add_user", "htpasswd", "mosquitto_passwd"),
            *("rootpw", "wpa_passphrase", "rasdial", "snmp-server"),
        ),
        r"(?i:\bnet user \S+ (?!/)VALUE|\brasdial \S+ \S+ VALUE|\bnet use\b[^\n]{0,60}?(?:/user:\S+ VALUE"
        r"|\s(?![\\/])VALUE /user))",
        r"\brabbitmqctl \w+ \S+ VALUE|\b(?:ejabberd|prosody)ctl (?:register|adduser|passwd) \S+ (?:\S+ )?VALUE"
        r"|\bhtpasswd(?:\s+-\w+)+\s+\S+\s+(?:\S+\s+)?VALUE(?=\s|$)",
        r"\bmosquitto_passwd\s+-b\s+\S+\s+\S+\s+VALUE|\brootpw(?: --plaintext)? VALUE|\bsnmp-server community VALUE",
        r"\bwpa_passphrase\s+[\"']?[^\n\"']{1,32}?[\"']?\s+VALUE",
    ),
    # In the languages of configurations
    _ways(("password ",), r"(?i:\bwith\s+password\s+VALUE)", accepts=_no_word),
    _ways(
        ("machine ", "requirepass", "masterauth", "identified", "secret ", "password ", "pass:", "auth "),
        r"(?i:^\s*(?:requirepass|masterauth)\s+VALUE|\bmachine\s+\S+\s+login\s+\S+\s+password\s+VALUE"
        r"|\bidentified\s+(?:with\s+\S+\s+)?by\s+VALUE|\bpass(?:in|out)?\s+pass:VALUE"
        r"|\b(?:secret|password) [057] VALUE|\bprivilege \d+ (?:secret|password) VALUE|^AUTH VALUE$)",
    ),
    _ways(
        ("wifi:", "keymaterial", "option key", "netsh"),
        r"(?i:\bwifi:[^\n]{0,60}?;?P:(?P<p>[^\s;]{4,128})|<keymaterial>(?P<k>[^<\s]{4,128})|^\s*option key VALUE"
        r"|\bnetsh wlan\b[^\n]{0,120}? key=VALUE)",
    ),
    # user:password, user/password@
    _ways(
        ("oracle:thin", "sqlplus", "expdp", "impdp", "sqlldr", "connect ", "impacket"),
        r"\b(?:oracle:thin:|(?:sqlplus|expdp|impdp|sqlldr|connect|conn|impacket-\w+) [^\n]{0,40}?)"
        r"[\"']?\w+[/:][\"']?(?P<p>[^\s/@\"']{4,128})(?=[\"']?@)",
    ),
    _ways(
        ("login", "user", "cred", "identifi", "zugangsdaten", "usuario", "auth", "static:"),
        r"(?i:\b(?:login|user(?:name)?|\w*auth|credentials?|creds|identifiants?|zugangsdaten|usuario|static)"
        r"[\"']?\s{0,3}[:=])"
        r"\s{0,3}[\"']?[\w.@+-]{2,64}\s{0,3}[/|:,]\s{0,3}(?=\S*\d)(?=\S*[A-Za-z])(?P<p>[^\s\"'<>|,;/]{6,128})",
        accepts=stands_out,
    ),
    _ways(("@tcp(", "@unix(", "@("), r"[\"'][\w.-]+:(?P<p>[^\s\"'/@]{4,64})(?=@(?:tcp|unix)?\()"),  # Go's databases
    _ways(
        ("@",), r"(?:^|[\"'\s=])[A-Za-z][\w.-]*:(?P<p>[^\s\"'/:@]{4,64})(?=@(?!sha)[\w.-]*[:/(])", accepts=stands_out
    ),
    _ways((":",), r"^[\w.*-]+:(?:\d{2,5}|\*):[\w*]+:[\w.-]+:(?P<p>[^\s\"'<>:/]{5,64})$"),  # .pgpass
    _ways(
        (":",),
        r"(?:^|[\s\"'])(?:root|admin\w*|\[[\w.-]+\]:\d+ [\w.@-]+)"
        r":(?P<p>[^\s\"'<>:/]{5,64})(?=[\"'\s]|$)",
        accepts=stands_out,
    ),
    # A key or a password after its name at a place of its own
    _ways(
        (
            ": eap",
            ": xauth",
            "psk",
            "pre-shared-key",
            "_pw ",
            "bindpw",
            "isakmp",
            "radius",
            "tacacs",
            "wpa personal",
            "requirepass",
        ),
        r"(?i:\b(?:(?:wpa-|sec\.|: )psk|(?<=: )(?:eap|xauth)|pre-shared-key|(?:input|user|owner)_pw|bindpw"
        r"|isakmp key|requirepass|wpa"
        r" personal"
        r"|(?:radius|tacacs)(?:-server)? [^\n]{0,40}?key) VALUE)",
    ),
    _ways(
        ("password ",),
        r"(?i:^[ \t]{0,8}(?:set )?password VALUE$|\bconfig set [^\n]{0,40}?password VALUE$)",
        accepts=may_be_told,
    ),
    _ways(
        (
            *("signtool", "schtasks", "certutil", "obscure", "btoa", "b64encode", "base64_encode"),
            *("buffer.from", "{noop}", "decrypt("),
        ),
        rf"(?i:\b(?:signtool|schtasks)\b{_LINE} /r?p VALUE|\bcertutil\b{_LINE}\s-p VALUE|\brclone obscure VALUE"
        r"|\b(?:btoa|b64encode|base64_encode|buffer\.from)\(b?[\"'][\w.@-]+:VALUE|\{noop\}VALUE"
        r"|\b(?:\w*reader|pdf\w*|doc\w*|wb|zf|zip\w*)\.(?:decrypt|authenticate|setpassword)\((?=[\"'])VALUE)",
    ),
    # In SQL
    _ways(
        ("crypt(", "sym_", "addlogin"),
        r"(?i:\bcrypt\((?=')VALUE|\bpgp_sym_\w+\([^\n']{1,60}, ?(?=')VALUE"
        r"|\baes_(?:en|de)crypt\([^\n']{1,40}, ?(?=')VALUE|\bsp_addlogin (?:@\w+ ?= ?)?'[^']{1,40}', ?(?:@\w+ ?="
        r" ?)?(?=')VALUE)",
    ),
    # What signs or encrypts
    _ways(
        ("jwt", "hmac", "fernet", "aes."),
        r"(?i:\b(?:jwt|jsonwebtoken)\.(?:sign|encode|verify|decode)\([^\n\"']{1,40},\s?(?=[\"'])VALUE"
        r"|\baes\.(?:en|de)crypt\([^\n\"']{1,40},\s?(?=[\"'])VALUE|\b(?:hmac\.new|fernet|aes\.new)\(b?(?=[\"'])VALUE"
        r"|\b(?:create|hash_)hmac\([\"'][\w-]+[\"'],\s?(?:\$\w+, ?)?(?=[\"'])VALUE)",
    ),
    # Hashed or compared as it stands, or typed in by a test
    _ways(
        ("assw", "bcrypt", "protect", "matches(", "pwd", "securestring", "md5(", "pass'", 'pass"'),
        r"(?i:\b(?:\w*bcrypt\w*\.\w+|\w*hash\w*|md5|sha\d+|\w*verify\w*|compare\w*|checkpw|matches|send_?keys|send"
        r"|type|fill"
        r"|typeText|enter_text)\((?:[\w.#\[\]$]{1,40},\s?|[\"'][#.\w\[\]=@-]{1,40}[\"'],\s?)?b?)(?=[\"'])VALUE"
        r"|(?i:securestring(?: -\w+){0,3} )(?=[\"'])VALUE|(?i:\bpass\w*[\"']?\)\.\w+\()(?=[\"'])VALUE"
        r"|assword:?[\"']\)?\s*\{?\s*\n?[\w.]*send(?:line)?[ (]VALUE|(?i:\b(?:un)?protect[ (]+)(?=[\"'])VALUE",
    ),
)

# A call that signs in: each of its literals but the first may be the password.
_CALL_WORDS = Phrases(
    *("auth", "basic", "cred", "login", "sign", "connect", "user(", "account(", "pdo(", "mysqli("),
    *("sequelize", "begin(", "pw_set("),
)
_CALL = re.compile(
    r"(?i:\b(?:\w*(?:auth|creds?|credentials|login)\w*\s{0,3}[=:]\s{0,3}[(\[{]|\w*basic_?(?:auth)?\s?[(\"']"
    r"|\w*(?:credentials?|authenticat\w+"
    r"|auth|log_?in|sign_?in|(?:create|add)_?(?:super)?user|connect(?:ion)?|mysqli|pdo|sequelize|ftp|wifi\.begin"
    r"|username_pw_set"
    r"|account)"
    r"\s?\())(?P<arguments>[^\n]{4,200})"
)
# ... of which the second may be a word; the third where the first is a server or a name and an address.
_SIGNS_IN = re.compile(
    r"(?i)(?:\w+\.)?\w*(?:log_?in|sign_?in|auth\w*|credentials?|basic|begin|user\w*|connect(?:ion)?|mysqli|pdo"
    r"|sequelize)\W"
)
_THIRD = re.compile(r"(?i)(?!wifi|wlan)(?:\w+\.)?\w*(?:connect(?:ion)?|mysqli|pdo|sequelize|create_?(?:super)?user)\W")
_LITERAL = re.compile(r"(?P<q>[\"'])(?P<v>[^\s\"']{1,128})(?P=q)(?!\s?[:=\]])")
# A host, an address or a name with an underscore.
_PLACE = re.compile(
    r"[a-z\d-]+(?:\.[a-z\d-]+)*\.[a-z]{2,}(?::\d+)?|[\d.:]+|\S+@[\w-]+\.[\w.-]+|[a-z\d]+(?:_[a-z\d]+)+|[A-Z\d_]+"
)


def given_to_programs(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of every password in a command, a call or a pair."""
    if not (_CODE.search(text) or _BARE.occur_in(text)):
        return
    if not (_WORDS.occur_in(text) or _PASSWORD_LIKE.search(text)):
        return
    if _CALL_WORDS.occur_in(text):
        yield from _in_calls(text)
    for way in _WAYS:
        for match in way.pattern.finditer(text) if way.words.occur_in(text) else ():
            for group in match.re.groupindex:
                start, end = match.span(group)
                value = re.sub(r"\\[rn]$", "", text[start:end].rstrip(",;)"))
                if value and group != "user" and way.accepts(value):
                    yield start, start + len(value)


def _in_calls(text: str) -> Iterator[tuple[int, int]]:
    for call in _CALL.finditer(text):
        for number, match in enumerate(_LITERAL.finditer(text, *call.span("arguments"))):
            is_first = number == 0 and text[call.start("arguments") : match.start()].strip(" bNu(") == ""
            value = match["v"]
            position = text.count(",", call.start("arguments"), match.start())
            is_place = position == (2 if _THIRD.match(call[0]) else 1) and _SIGNS_IN.match(call[0]) is not None
            if is_plain(value) and (not is_place or ");" in text[call.start("arguments") : match.start()]):
                continue
            if is_first or not is_password(value, quoted=True):
                continue
            if is_plain(value) or not ((is_thing(value) and not is_place) or _is_place(value)):
                yield match.span("v")


def _is_place(value: str) -> bool:
    return "/" in value or (not is_words(value) and (_PLACE.fullmatch(value) is not None and not stands_out(value)))
