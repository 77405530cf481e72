"""What may be a password: not a placeholder, not code, not the name of a thing.

Pure functions of one word; which words are looked at is said by `eyrie.privacy.assignments`, `eyrie.privacy.commands`
and `eyrie.privacy.told`. The less is said beside a word, the more it must look like a password itself: from what is
given to a name (`is_password`) over what a sentence tells (`is_chosen`, `stands_out`) to what stands beside a word for
logins (`looks_made_up`).
"""

import re

from eyrie.privacy.plain_words import is_leet, is_plain, is_said_of_things

MIN_LENGTH, MAX_LENGTH = 4, 128
_SIGNS = "!#^&*+?@$%~"
# What stands for a value, or computes one.
_STANDS_FOR = re.compile(
    r"(?!\$(?!pass|user|token|secret|arg)[a-z]{4,}\d{2,})[${(\[].*[\])}%]?$|[&@][A-Za-z_.-]*$"
    r"|%(?:\w+%|[sdrv](?:\W.*)?$|\(.*)$|!(?:vault|ref|sub|getatt|secret|env|include)\b"
    r"|.*(?:\(|\)|\[|\{\{|\$\{|::|\.\.\.).*|your[-_ ]?|x{3,}|\*{3,}|change_?me|placeholder|redacted"
    r"|\?|example$|none$|null$|true$|false$|process\.env|os\.environ|env\.|(?:secrets|vars|config|self|this|settings"
    r"|request|req|user|data|args|params|options|form|body|props|state|event|var|local|random|string|crypto|hashlib"
    r"|bcrypt)[.\[].*|https?:|.*[-_]goes[-_]here|&(?:#|[a-z]{2,6};)",
    re.IGNORECASE,
)
_NAME_OF_CODE = re.compile(
    r"[A-Za-z_]+\d?|(?:[a-z]+[_.-]){2,}[a-z0-9]+|\w+\.[A-Za-z_]\w*"
    r"|(?i:[a-z_]*(?:pass|pwd|secret|token|key|user|str|int|utf|base|sha|md|arg|var|input|field)[a-z_]*[_-]?\d{1,3})"
)
_ENCODING = re.compile(r"(?i)(?:base|utf|sha|md|iso|latin|argon)[-_]?\d[\w-]*")
_MAIL = re.compile(r"[\w.+-]+@(?:[\w-]+\.)+[A-Za-z]{2,}")
_JOINED_WORDS = re.compile(r"(?i)[a-z]{3,}(?:[-_.][a-z]{3,}){2,}")
_CAMEL_WORDS = re.compile(r"(?:[A-Z][a-z]{2,}){3,}")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
# Parts of the names of code, resources and things with numbers; and what makes a name of the word that it stands in.
_PART_OF_NAMES = re.compile(
    r"(?i)user|key|pwd|prod(?:uction)?|dev|staging|tests?|cred|auth|login|form|field|input|label|error|api|app|page"
    r"|config|name|here|vault|example|default|value|string|file|path|data|server|cluster|service|account|policy"
    r"|manager|reset|the|and|for"
)
_OF_NAMES = ("pass", "secret", "token", "user", "auth", "field", "input", "login", "param", "value", "server", "cred")
# As password managers join words, and not as resources are named.
_WORDS_AND_NUMBER = re.compile(
    r"(?!.*(?:pass|pwd|secret|token|key|user|prod|dev|stag|test|cred))[a-z]{3,}(?:-[a-z]{3,})+-\d{2,}"
)
# codespell:ignore-begin
_WORDS_OF_SENTENCES = """
    the an it you we they he she me us of for and not is are was were be been by with from on at as in to or if but do
    does did has have had will would can could should must may might when while where how what why who which that this
    these those there here my your our their his her its every each any some all no so then than too very just only
    contain contains need needs want wants get gets ask asks asked keep keeps keeping use uses used make makes know
    de par via durch por dal nel all tra fra please enter type ihr sie ich wir der die das ein eine und oder nicht
    ist sind war mit bei von zum zur auf aus für
    wird kann muss soll bitte es er le les une des du et ou est sont pas que qui pour dans sur avec vous nous je il elle
    el los las una del al y o es son no que por para con se lo mi tu il lo gli che non per di da sono ho os um uma do
    dos e ou em com mais het een van en of niet zijn met voor op te
"""
# codespell:ignore-end
_OF_SENTENCES = frozenset(_WORDS_OF_SENTENCES.split())
_SIGN_FOR_LETTER = re.compile(r"\$(?![A-Za-z_]+\d?$)(?=.*[\d@$])[a-z\d@$]{2}")
_JOINED_AND_NUMBER = re.compile(r"(?P<words>[A-Za-z]{3,}(?:[-_.][A-Za-z]{3,})+)[-_.]?\d{1,4}")
_DOTTED = re.compile(r"(?:[a-z_]\w*\.){2,}[A-Z]\w+")
# As Django draws its key: brackets are signs among others there.
_KEY_WITH_SIGNS = re.compile(r"(?!\w+\()(?=(?:.*?\d){3})(?=(?:.*?[!@#$%^&*\-_=+()]){5})[a-z0-9!@#$%^&*\-_=+()]{40,64}")

# What names things with numbers, measures, formats and parts of code.
_NUMBERED = (
    r"utf|unicode|ascii|sha|md|aes|rsa|rs|hs|es|ec|ecdsa|ed|hmac|crc|argon|scrypt|pbkdf|pbes|bcrypt|chacha|base"
    r"|pkcs#?|x|salt|iso|rfc|cve|cwe|nist|sp|fips|pci|ieee|din|en|python|py|pip|perl|ruby|php|java|jdk|jre|node|vue"
    r"|angular|react|swift|kotlin|rust|log|neo|windows|win|server|office|outlook|exchange|word|excel|ubuntu|debian"
    r"|centos|rhel|fedora|alpine|linux|macos|osx|ios|android|iphone|ipad|macbook|pixel|galaxy|kindle|ps|xbox|firefox"
    r"|chrome|mysql|mariadb|postgres\w*|psql|oracle|sql|mssql|sqlite|mongo\w*|redis|db|ssl|tls|oauth|saml|socks"
    r"|https?|ipv|ip|tcp|udp|smb|ldap|nfs|usb|hdmi|wpa|wep|wifi|eth|wlan|port|pin|gpio|room|page|step|v|ver|version"
    r"|rev|release|build|figure|fig|table|section|chapter|appendix|part|vol|q|fy|covid|line|level|error|err|code"
    r"|ticket|inc|case|order|invoice|item|user(?:name)?|admin|test|col|column|row|field|var|arg|param|option|day|week"
    r"|month|file|image|img|host|vm|s|h|k|us|eu|ap|gpt|llama|claude|gemini|mistral|qwen|u?int|float|char|varchar"
    r"|string|str|num|id|key|token|auth|microsoft|dynamics|sharepoint|webauthn|fido|ctap|totp|hotp|otp|mfa|fa"
    r"|keepass\w*|urllib|timeout|web|aarch|powerpc|ppc|amd|arm|mips|riscv"
)
_MEASURES = (
    r"[~<>+≥≤]?\d+(?:[.,]\d+)?[-+]?(?:th|st|[nr]d|[kmgt]?i?b?|x|px|ms|hrs?|am|pm|cm|kg|mm|passwords?|char\w*|bits?"
    r"|digits?|letters?|words?|bytes?|min\w*|sec\w*|hours?|days?|weeks?|months?|years?|times?|factor|step|way|fa"
    r"|-?zip\w*)(?:-[a-z]+)*"
)
_NUMBERED_THINGS = re.compile(
    rf"(?i:[a-z]{{2,}}v\d(?:-v\d)?|(?:{_NUMBERED})[-_ .]?\d[\d.]*(?:[-_.]?[a-z]{{0,8}}\d?)?|{_MEASURES}"
    r"|.*(?:pbkdf|hmac|(?<![a-z])sha-?\d|(?<![a-z])aes\d|utf-?8|0-9|a-z).*)"
)
_THINGS = re.compile(
    rf"{_NUMBERED_THINGS.pattern}|(?i:0x[0-9a-f]+|\d+[a-z]\d*"
    r"|(?=.{1,5}$)[a-z]{1,2}\d{1,2}[a-z]{1,3}\d?|[a-z]{1,3}-?\d+)"
    r"|R\.[\w.]+|(?:[a-z0-9]*[_.])+[a-z]+\d?[a-z]*|[#-].*|\d+#.*|.*(?:\._|\.\.|C\+\+).*|(?:[A-Z]?[a-z]+|[A-Z]+)%\d+"
    r"|.*\.(?:[a-z]{2,5}|mp[34]|7z)|\d+(?:[.,:/_-]\d+)*[a-z]?|[\w.]+\.[A-Z][A-Za-z]+|[a-z_]\w*(?:\.[A-Za-z_]\w*)+"
)
# Constants, resources and parts by number, unless a mark at the end says otherwise: `COPPER-99!`.
_NUMBERED_NAMES = re.compile(
    r"[A-Z][A-Z0-9]*(?:[_-][A-Z0-9]+)+|[a-z]+(?:[_.-][a-z]+)*[_.-]\d|(?:[A-Za-z]+|\d)(?:-(?:[A-Za-z]+|\d))+"
)
_NAME_EQUALS = re.compile(r"(?:[a-z][a-z_.-]{2,}|[A-Z][A-Z_]{2,}|[A-Za-z][a-z]+(?:[A-Z][a-z]+)*)\d{0,2}=|[a-z]+_\w+=")
# Digits for letters (`s1lv3r`, `Tr4velMug`), a word beside a number (`monkey123`, `tractor99beam`, `Max-2015`).
_LEET = re.compile(
    r"(?=.{4,20}$)[A-Za-z]?(?:[a-z]*[013457]){1,5}[a-z]+\d{0,4}|(?=.{5,20}$)[A-Za-z](?:[013457][a-z]+)+[013457]"
    r"|(?=.{6,20}$)[A-Za-z]*[a-z][013457][a-z]+[A-Z]?[a-z]+\d{0,4}"
)
_WORD_AND_NUMBER = re.compile(
    r"[A-Za-zÀ-ÿ]{4,}(?:[-_.@&][A-Za-zÀ-ÿ]{3,})*[-_.@]?\d{2,6}|\d{1,4}[-_.@]?[A-Za-zÀ-ÿ]{4,}"
    r"|(?:[A-Z][a-z]{2,}){2,}\d|[A-Za-z][a-z]{2,}\d{2,4}[a-z]{3,}|[A-Z]{3,}\d{1,4}[a-z]{3,}"
)
# Words with one sign between and a number behind (`garten.pumpkin197`), a short one and a date (`Rex_2019`).
_WORDS_AND_LONG_NUMBER = re.compile(
    r"[A-Za-z]{3,}(?P<sign>[-_.])[A-Za-z]{3,}(?:(?P=sign)[A-Za-z]{3,})*\d{2,4}"
    r"|(?!(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))[A-Za-z][a-z]{2}[-_.@]?\d{4,6}"
)
# A walk over the keys of a keyboard with something behind it.
_WALK = re.compile(
    r"(?i)(?=.{7})(?=\S*\d)\d{0,3}(?:qwer|qwea|asdf|yxcv|zxcv|azer|qazw|aqwz|poiu|lkjh|mnbv|1qa[yz]|1q2w|q1w2|zaq1"
    r"|3edc|0okm|147258)[!-~]+"
)
# As Apple draws them: `hzwykq-mnftmT-lvejp2`.
_GROUPS = re.compile(r"(?=.*[A-Z])(?=.*\d)(?:[A-Za-z\d]{6}-){2}[A-Za-z\d]{6}")
_RESOURCE = re.compile(r"[a-z]+\d*(?:-[a-z0-9]+)+")
_HAS_WORD = re.compile(r"[A-Za-zÀ-ÿ]{4,}")
_NUMBER_AND_SIGN = re.compile(r"\d{2}|\d[!?@#$%&*^]|[@#$%&*^!]\d")
_NAME_AT = re.compile(r"[a-z.-]+@[\w.-]+|[a-z._-]{3,}\d{0,3}@[a-z][a-z.-]*\d{0,3}")  # a user at a host, npm's name
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_RUNS = re.compile(r"\d+|[A-Z]+|[a-z]+|[^\dA-Za-z]+")
_END_MARKS = "!?.,;:*_~"


def is_placeholder(value: str) -> bool:
    """Whether a value is left out or computed: `<password>`, `${DB_PASSWORD}`, `os.environ[...]`."""
    return _STANDS_FOR.match(value) is not None


def is_words(value: str) -> bool:
    """Three or more words as people join them for a password: `copper-lemon-tiger`, `CopperLemonTiger`."""
    if not (_JOINED_WORDS.fullmatch(value) or _CAMEL_WORDS.fullmatch(value)):
        return False
    return not _is_of_names(value)


def _is_of_names(value: str) -> bool:
    lower = value.lower().replace("compass", "")
    return any(map(lower.__contains__, _OF_NAMES)) or any(map(_PART_OF_NAMES.fullmatch, _PART.findall(value)))


def is_password(value: str, *, quoted: bool) -> bool:
    """Of what is given to a name or an option for passwords: something with a digit or a sign, or joined words.

    `quoted`: it is meant literally and can be no variable, so it may look like one.
    """
    if len(value) < MIN_LENGTH or (is_placeholder(value) and not (quoted and _KEY_WITH_SIGNS.fullmatch(value))):
        return False
    if value[0] == "/" or any(form.fullmatch(value) for form in (_DOTTED, _MAIL, _ENCODING)):
        return False
    digits = sum(map(str.isdigit, value))
    if digits == len(value):
        return quoted
    if not digits and not any(char in _SIGNS for char in value):
        return quoted and (is_words(value) or is_plain(value))
    if value.rstrip(_END_MARKS).isalpha():  # a word and what ends a sentence: "there?"
        return is_plain(value.rstrip(_END_MARKS))
    if quoted:
        return True
    is_name = _NAME_OF_CODE.fullmatch(value) and not _WORDS_AND_NUMBER.fullmatch(value)
    return any(map(str.isalpha, value)) and not is_name


def is_thing(word: str) -> bool:
    """Whether a word names a format, a measure, a file, an option or a part of code."""
    return _THINGS.fullmatch(word) is not None


def is_resource(word: str) -> bool:
    """Whether a word is named as resources are: `db-credentials-01`."""
    return _RESOURCE.fullmatch(word) is not None and _is_of_names(word)


def is_chosen(word: str) -> bool:
    """Of what a sentence says is a password: letters with a digit that name nothing else (`hunter2`), joined words."""
    core = word.rstrip(_END_MARKS)
    if is_words(core) and "-" in core:
        return True
    return _may_be_one(word, core) and len(core) >= 6 and not _is_of_names(core)


def may_be_told(word: str) -> bool:
    """Of a word that is said to be a password in the strictest grammar: any but what is said of passwords."""
    core = word.rstrip(_SIGNS + _END_MARKS)
    if word[:1] == "$" and _SIGN_FOR_LETTER.match(word):  # `$had0w` is no variable
        word, core = "s" + word[1:], "s" + core[1:]
    if is_placeholder(word) or len(core) < 4:
        return False
    if core.isdigit():
        return True
    joined = _JOINED_AND_NUMBER.fullmatch(core)
    if is_plain(core) or is_leet(core) or (joined is not None and is_plain(joined["words"])):
        return True
    return is_words(core) or is_chosen(word) or stands_out(word) or _is_no_name(core, word)


def _is_no_name(core: str, word: str) -> bool:
    """`admin1952!`, `1qay2wsx534`, `wei1010`: more digits than names have, or a sign, or all kinds of characters."""
    if "://" in word or _MAIL.fullmatch(word) or _NAME_EQUALS.match(word) or "/" in word:
        return False
    if _NUMBERED_THINGS.fullmatch(core) and word[-1] not in "!#$%&*":
        return False
    digits, letters = sum(map(str.isdigit, core)), sum(map(str.isalpha, core))
    signed = any(char in _SIGNS for char in word)
    if letters and (digits >= 4 or (digits >= 2 and signed)):
        return True
    mixed = core.lower() != core and core.upper() != core and (digits > 0 or signed)
    return mixed and len(core) >= 8 and len(_RUNS.findall(core)) >= 4


def is_phrase(words: str, *, quoted: bool) -> bool:
    """Whether words with spaces between were drawn for a password: none that a sentence needs, few said of things."""
    parts = words.split()
    said = sum(map(is_said_of_things, parts))
    return (
        len(parts) > (2 if quoted else 3)
        and 2 * said <= len(parts)
        and not any(part.lower() in _OF_SENTENCES for part in parts)
    )


def stands_out(word: str) -> bool:
    """Of a word in a sentence on passwords: whether it is chosen as people choose these, and names nothing else.

    `Summer2024!`, `s1lv3r`, `monkey123`, `Xk9$mQ2v`; not `SHA256`, `Windows11`, `8-character`, `app-prod-01`.
    """
    core = word.rstrip(_END_MARKS)
    if _WALK.fullmatch(core):
        return True
    if _WORDS_AND_LONG_NUMBER.fullmatch(core):
        return not (_is_of_names(core) or _NUMBERED_THINGS.fullmatch(core))
    if not _may_stand_out(word, core):
        return False
    if _RESOURCE.fullmatch(core) and word[-1] not in "!?":
        return _WORDS_AND_NUMBER.fullmatch(core) is not None
    return bool(_WORD_AND_NUMBER.fullmatch(core.rstrip(_SIGNS)) or _LEET.fullmatch(core)) or _is_mixed(word, core)


def looks_made_up(word: str) -> bool:
    """Nothing but a password or a key looks so: a word with a number and a sign, or letters and digits mixed."""
    core = word.rstrip(_END_MARKS)
    return _may_stand_out(word, core) and len(word) >= 6 and _is_mixed(word, core) and not _RESOURCE.fullmatch(core)


def _may_stand_out(word: str, core: str) -> bool:
    return _may_be_one(word, core) and (word[-1] == "!" or not _NUMBERED_NAMES.fullmatch(core))


def _may_be_one(word: str, core: str) -> bool:
    if not MIN_LENGTH <= len(word) <= 64 or not any(map(str.isdigit, word)) or not any(map(str.isalpha, word)):
        return False
    if any(sign in word for sign in "/\\:") or _NAME_EQUALS.match(word):
        return False
    return not (is_thing(core) or is_placeholder(word) or _MAIL.fullmatch(word))


def _is_mixed(word: str, core: str) -> bool:
    if _GROUPS.fullmatch(core):
        return True
    signed = word[-1] in "!?" or any(char in _SIGNS for char in core)
    if signed and _HAS_WORD.search(core) and (_NUMBER_AND_SIGN.search(word) or _LEET.fullmatch(core)):
        return not _NAME_AT.fullmatch(core)
    kinds = {"digit" if c.isdigit() else "capital" if c.isupper() else "small" if c.islower() else "sign" for c in word}
    if len(kinds) < 3 or not {"digit", "small"} <= kinds or len(core) < 8:
        return False
    runs = len(_RUNS.findall(core))
    return (runs >= 5 and not _is_name(core)) or (runs == 4 and _is_unreadable(core))


def _is_unreadable(core: str) -> bool:
    """Whether letters change their case and digits stand as in no name: `otz7vrxF`."""
    return len(core) < 2.5 * len(_PARTS.findall(core))


def _is_name(core: str) -> bool:
    """A name in code with a number in it: `OAuth2PasswordForm`; not `CM7iQStgAT`, of which no part is a word."""
    if not re.fullmatch(r"[\w-]+", core) or not _HAS_WORD.search(core):
        return False
    if _is_unreadable(core):
        return False
    return len(re.findall(r"\d+", core)) < (2 if re.search(r"[a-z][013457][a-z]", core) else 3)
