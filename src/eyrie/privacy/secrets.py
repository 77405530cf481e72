"""SECRET: keys, tokens and passwords.

Three ways to tell one: by an issuer's prefix (`eyrie.privacy.issuers`), by a syntax (a password in a URL, a private key
block), and by what is said beside it (`eyrie.privacy.assignments`,
`eyrie.privacy.random_keys`). Entropy alone is none: the entropy plug-ins of
detect-secrets flagged 195 of 197 clean prompts.
"""

import re

from presidio_analyzer import RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from eyrie.privacy.assignments import given_secrets
from eyrie.privacy.issuers import PREFIXED
from eyrie.privacy.phrases import Phrases
from eyrie.privacy.random_keys import random_keys
from eyrie.privacy.shapes import Shape, ShapeRecognizer

# The phrases without which a pattern has nothing to find, and the pattern.
_SYNTAX = {
    "private key": (
        ("-----begin",),
        r"-----BEGIN OpenVPN Static key V1-----(?:[\s\S]*?-----END OpenVPN Static key V1-----|[\s\S]*)"
        r"|-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[\s\S]*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\\{1,2}[rn])?|[\s\S]*)",
    ),
    "putty key": (("putty",), r"PuTTY-User-Key-File-\d[\s\S]*?Private-MAC: [0-9a-f]+"),
    # A literal password: `user:pass@host` with placeholders such as <pass>, {pass}, $PASS is left alone.
    "password in url": (
        ("://",),
        r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s:/@<>{}$\[\]()]*:(?!(?:pass|password|pwd|secret|\*+)@)"
        r"(?!\$)(?:[^\s:/@<>{}\[\]()]|@(?=[^\s/@<>{}]{0,64}@)){3,}@[^\s/@<>{}$]+(?:/[\w.%?=&+/-]+)?",
    ),
    "token in url": (("://",), r"://(?=[A-Za-z_-]*\d[A-Za-z_-]*\d)[A-Za-z0-9_-]{20,}(?=@[\w-])"),
    "webhook": (
        ("hook", "/trigger"),
        r"https?://[\w.-]*(?:/[\w.@%-]+)*?(?:hooks?(?:\.[\w-]+){1,4}|/\w*(?:hooks?|trigger)\w*)(?:/[\w.@%=-]+)*?"
        r"/(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{16,}[\w./@%=-]*",
    ),
    "bot": (("/bot",), r"/bot\d{6,12}:[\w-]{20,}"),
    "hash to crack": (
        ("hashcat", "ntlm", "john "),
        r"(?i:\b(?:hashcat|ntlm|john)\b)[^\n]{0,40}?\b[0-9a-fA-F]{32,128}\b|\b[0-9a-fA-F]{32}\b(?= \(?(?i:ntlm))",
    ),
    "registry": (("auths",), r"\"auth\"\s*:\s*\"[A-Za-z0-9+/]{8,}={0,2}"),
    "bearer token": (
        ("bearer",),
        r"(?i:\bbearer)\s+(?=[A-Za-z0-9._~+/-]*\d)[A-Za-z0-9._~+/-]{20,}=*",
    ),
    "basic authorization": (
        ("basic",),
        r"(?i:\bauthorization[\"']?\s*[:=,]\s*[\"']?basic)\s+[A-Za-z0-9+/]{8,}=*"
        r"|\bBasic (?=[A-Za-z+/]*\d)[A-Za-z0-9+/]{12,}={1,2}",
    ),
    "aws secret key": (
        ("aws",),
        r"(?i:\baws[\w ]{0,20}secret[\w ]{0,20})[\"']?\s*(?:[=:]|is)\s*"
        r"[\"']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
    ),
    "azure": (
        ("accesskey=", "accountkey="),
        r"(?:DefaultEndpointsProtocol=[^\s\"']{1,200}?)?(?:AccountKey|Access_?Key)=[A-Za-z0-9+/]{40,}={0,2}(?:;\w+=[\w.:/-]+)*",
    ),
    # Whole: what is left of it without the password says where it opens what.
    "connection string": (
        ("password=", "pwd="),
        r"(?i:\b(?:server|data source|host)=[^\"'\n]{3,200}?;\s?(?:password|pwd)=)(?![{<$%*])[^;\"'\n]{3,64}"
        r"(?:;\s?[\w ]{1,40}=[^;\"'\n]{0,100})*;?",
    ),
    "session": (
        ("sess", "connect.sid", "auth", "wordpress_", "wordpress_"),
        r"(?i:\b(?:\w*sess(?:ion)?(?:[_.-]?(?:id|token))?|connect\.sid|wordpress_\w+"
        r"|\w*auth[\w.-]{0,12}))(?:[\"']?\s?[:=]\s?[\"']?|%3D)"
        r"(?=[\w%.+/-]*\d[\w%.+/-]*\d)[\w%.+/-]{20,}",
    ),
    # As programs keep passwords: with the sign of the algorithm before them.
    "hash of a password": (
        ("$", "{s", "pbkdf2", "scrypt:", "scram-", "{crypt}", "{bcrypt}"),
        r"\$(?:2[abxy]?|1|5|6|7|8|9|y|gy|apr1|md5|sha1|argon2i?d?|s?crypt|pbkdf2[\w-]*|bcrypt-sha256|P|H|S)\$"
        r"[\w./,=+$-]{20,}|\$[PHS]\$[\w./]{20,}|\{(?:S?SHA(?:256|384|512)?|S?MD5|CRYPT|BCRYPT)\}[\w+/.$]{16,}={0,2}"
        r"|\b(?:pbkdf2_sha\d+|bcrypt(?:_sha256)?|argon2|scrypt|sha1|md5|django_\w+)\$[\w./,=+$-]{20,}={0,2}"
        r"|\b(?:pbkdf2:sha\d+|scrypt)(?::\d+)+\$[\w./+=]+\$[0-9a-f]{32,}|\bSCRAM-SHA-\d+\$\d+:[\w+/=]+\$[\w+/=:]{40,}",
    ),
    # What Django draws has brackets and signs in it, which elsewhere tell code from a key.
    "django": (
        ("secret_key", "django-insecure"),
        r"django-insecure-[^\s\"'`]{20,}|SECRET_KEY"
        r"[\"'\]]{0,2}\s?[=:,]\s?(?:[\w.]+\([^)\n]{0,30}?)?[\"'](?=[^\"'\n]*\d)"
        r"[^\s\"'\n]{30,}",
    ),
    "link that lets in": (
        (
            "reset",
            "invit",
            "magic",
            "verif",
            "confirm",
            "activat",
            "recover",
            "passw",
            "recuper",
            "mot-de-passe",
            "reinit",
            "restable",
            "wachtw",
            "signup",
            "senha",
        ),
        r"https?://[^\s\"'<>?]{0,120}(?:reset|invit|magic|verif|confirm|activat|recover|passw|recuper|mot-de-passe|reinit"
        r"|restable|wachtw|signup|senha)[\w./-]{0,40}?"
        r"(?:/|\?[\w=&@.-]{0,60}?(?<=[?&])(?:t|token|code|key)=)(?=[\w-]*\d)(?![a-z]+-[a-z]+-)[\w-]{20,}",
    ),
    "cisco": (("type 7", "type-7"), r"(?i:type[ -]7)[^\n]{0,20}? [0-9A-F]{10,}\b"),
    "aws pair": (
        ("akia", "asia"),
        r"A[KS]IA[A-Z0-9]{16}[\s,;:/|\"']{1,5}(?:[\w ]{0,24}[:=]\s?)?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
    ),
    "user of curl": (
        (" -u ", " --user "),
        r"\s(?:-u|--user) [\"']?[A-Za-z][\w.@-]*:(?![${<%*])(?=[^\s\"']*\d)[^\s\"'`<>|]{6,}",
    ),
    "hashes of passwords": (
        ("hash", "md5", "unsalted"),
        r"(?i:passw\w*[ _-]?hash\w*|hash\w* [^\n]{0,30}?(?:passw|mots? de passe|contrase|kennw)|unsalted"
        r"|crack\w*[^\n]{0,20}?(?:md5|hash|sha)|hash\w* dump\w*|dump\w*[^\n]{0,12}? hash\w*)"
        r"[\s\S]{0,160}?\b[0-9a-f]{32,128}\b(?:[\s,;:\w@.-]{1,40}?\b[0-9a-f]{32,128}\b){0,20}",
    ),
    "signature in url": (
        ("signature=", "sig=", "appid=", "access_token="),
        r"(?i:[?&](?:x-(?:amz|goog)-)?(?:signature|sig|hmac|appid|access_token)=)(?=[\w%.+~-]*\d)[\w%.+~-]{20,}={0,2}",
    ),
    "calendar": (("/private-",), r"/private-(?P<v>[0-9a-f]{24,})(?=/)"),
    "token of oauth": (
        ("_token", 'token"', "token'"),
        r"(?i:(?:refresh|access|id)[_-]?token)[\"']?\s*[:=]\s*[\"']?(?P<v>(?=[\w.~+/-]*\d)[\w.~+/-]{20,}={0,2})",
    ),
    "twilio": (("ac",), r"\bAC[0-9a-f]{32}[\"']?[,\s:]{1,4}[\"']?(?P<v>[0-9a-f]{32})\b"),
    "weather": (("appid", "app_id"), r"(?i:app_?id)[\"']?\s*[:=]\s*[\"'](?P<v>[0-9a-f]{32})[\"']"),
    "redis": (("redis-cli",), r"\bredis-cli\b[^\n]{0,60}?\s-a\s+[\"']?(?P<v>(?![$<{])[^\s\"']{6,})"),
    "one-time code": (("g-",), r"(?<![\w-])G-\d{6}(?![\w-])"),
    "wireguard": (
        ("genkey", "genpsk", "wireguard", "wg "),
        r"(?i:\bwg gen(?:key|psk)[^\n]{0,40}\n|\b(?:wg|wireguard)\b[^\n]{0,20}?(?:priv\w*|psk)[ :=\"']{1,5})"
        r"(?P<v>[A-Za-z0-9+/]{43}=)",
    ),
    "dump of windows": ((":::",), r"[\w.$\\-]+:\d+:[0-9a-fA-F]{32}:[0-9a-fA-F]{32}:::"),
    "key of ethereum": (
        ("wallet", "private", "privkey", "accounts"),
        r"(?i:\bwallet\(|private[_ -]?keys?\b|privkey|\baccounts[\"']?: ?\[)[^\n]{0,24}?"
        r"(?P<v>\b(?:0x)?[0-9a-fA-F]{64}\b)",
    ),
    "key in jwk": (('"kty"',), r"\"d\"\s*:\s*\"(?P<v>[\w-]{40,})\""),
    "certificate with its key": (
        ("pfx", "p12", "pkcs12"),
        r"(?i:pfx|p12|pkcs12)\w{0,16}[\"']?\s*[:=]\s*[\"']?(?P<v>(?=[A-Za-z+/]*\d)[A-Za-z0-9+/]{40,}={0,2})",
    ),
    "option": (
        ("-secret", "secret-", "-token", "api-key"),
        r"--(?:[a-z]+-){0,3}(?:secret(?:-key)?|secret-access-key|token|api-key)(?:[ =]|\s)[\"']?"
        r"(?P<v>(?=[\w+/.-]*\d)[\w+/.-]{16,}={0,2})",
    ),
    "licence key": (
        ("icence", "icense", "activation", "lizenz", "licenza", "licencia", "licença"),
        r"(?i:\b(?:licen[cs]e|product|activation)[ -]key|lizenzschlüssel|clé de licence|clave de licencia)"
        r"[^\n]{0,40}?(?:\bis|\bist|\best|\bes|[:=])\s[\"'`]?(?P<v>(?=[A-Z-]*\d)[A-Z0-9]{2}[A-Z0-9-]{6,}[A-Z0-9])(?![\w-])",
    ),
    "community of snmp": (
        ("snmp",),
        r"(?i:community)\b[^\n]{0,24}?(?:(?i:\bis|\bist|\best|\bes|è)|[:=])\s[\"'`]?"
        r"(?P<v>(?!(?i:public|private)\b)(?=[\w.-]*[\d_])[\w.-]{5,})",
    ),
    # Drawn from all signs, which elsewhere tell a sentence or code from a key.
    "salt of WordPress": (
        ("_key'", "_salt'", '_key"', '_salt"'),
        r"\b(?:(?:SECURE_)?AUTH|LOGGED_IN|NONCE)_(?:KEY|SALT)[\"'],\s*(?P<q>[\"'])(?P<v>[^\n]{16,128}?)(?P=q)\s*\)",
    ),
    "header": (
        ("x-",),
        r"(?i:\bx-(?:[a-z]+-){0,2}(?:key|token|secret))[\"']?\s*:\s*[\"']?(?=[\w.~+/-]*\d)[\w.~+/-]{16,}=*",
    ),
}
# After a letter only where that is an escape: `\\n`, `%3D`.
_PREFIX = re.compile(
    r"(?:(?<![A-Za-z0-9_])|(?<=\\[abfnrtv0])|(?<=%[0-9A-Fa-f]{2})|(?<=\\x[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"
    r"(?:" + "|".join(PREFIXED.values()) + r")(?![A-Za-z0-9])"
)
# Product keys of Windows, and BitLocker's keys of recovery.
_GROUPED_KEY = re.compile(
    r"(?<![\w-])(?:(?:[BCDFGHJKMNPQRTVWXY2346789]{5}-){4}[BCDFGHJKMNPQRTVWXY2346789]{5}|(?:\d{6}-){7}\d{6})(?![\w-])"
)
_GROUPS = re.compile(r"-(?:[A-Z0-9]{5}-|\d{6}-\d{6}-)")
# codespell:ignore-begin
# Keys of wallets in Base58, and seeds of two-factor apps in groups of four.
_WALLET_KEY = re.compile(
    r"(?<!\w)(?:[KL][1-9A-HJ-NP-Za-km-z]{51}|5[1-9A-HJ-NP-Za-km-z]{50}"
    r"|(?=[1-9A-HJ-NP-Z]*[a-km-z])(?=[1-9a-km-z]*[A-HJ-NP-Z])[1-9A-HJ-NP-Za-km-z]{86,88})(?!\w)"
)
_LONG_BASE58 = re.compile(r"(?<!\w)[1-9A-HJ-NP-Za-km-z]{51}")
_SEED_IN_FOURS = re.compile(r"(?<!\w)(?=(?:[a-z ]{0,39}[2-7]){2})(?:[a-z2-7]{4} ){5,7}[a-z2-7]{4}(?!\w)")
_APP_PASSWORD = re.compile(  # as Google and Yahoo give them
    r"(?i:app(?:lication)?[ -]?(?:specific )?(?:password|passwor[dt]|passcode)|mot de passe d['’]application"
    r"|contraseña de aplicaci|password per l['’]app|app-wachtwoord|senha de app)[^\n]{0,40}?"
    r"(?<!\w)(?P<v>(?:[a-z]{4} ){3}[a-z]{4}|[a-z]{16})(?!\w)"
)
# codespell:ignore-end
_FOURS = re.compile(r"[2-7][a-z2-7]{0,3} [a-z2-7]{4} [a-z2-7]{4}(?!\w)")
# A part of everything that has a prefix.
_LONG = re.compile(r"(?<![\w+/=.~%-])(?=[\w+/=.~%-]{15})[a-zA-Z+/=.~%-]*(?:[\d_]|[A-Z]{4})")


_JOINED_BEFORE = re.compile(r"[\w|!$%-]*[\w-][:|!$%]$")
_JOINED_AFTER = re.compile(r"(?:[\w+/=~%|!$@\\-]|[.:](?=[\w+/=-]))+")
_MAX_JOINED = 200
# A whole finding in place of a secret, in documentation: what only holds such a run may hold a secret besides.
_MADE_UP = re.compile(r"[\w:/.-]*?(?:X{8,}|x{8,})|put your unique phrase here")


class SecretRecognizer(ShapeRecognizer):
    """SECRET: API keys, access tokens, private keys and passwords."""

    ENTITY = "SECRET"
    SHAPES = (
        Shape(_PREFIX, gate=_LONG),
        Shape(_GROUPED_KEY, gate=_GROUPS),
        Shape(_WALLET_KEY, gate=_LONG_BASE58),
        Shape(_SEED_IN_FOURS, gate=_FOURS),
        Shape(_APP_PASSWORD, Phrases("app", "aplicaci")),
        *(Shape(re.compile(item), Phrases(*phrases)) for phrases, item in _SYNTAX.values()),
    )
    SCORE = 0.9

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        found = [
            item
            for item in super().analyze(text, entities, nlp_artifacts)
            if not _MADE_UP.fullmatch(text, item.start, item.end)
        ]
        spans = {*given_secrets(text), *random_keys(text)}
        return [*found, *(RecognizerResult(self.ENTITY, *_whole(text, *span), self.SCORE) for span in sorted(spans))]


def _whole(text: str, start: int, end: int) -> tuple[int, int]:
    """The span with what signs join to it: `123456:AAE...`, `364303|eoU...`, `access_token$production$...`."""
    before = _JOINED_BEFORE.search(text, max(0, start - _MAX_JOINED), start)
    after = _JOINED_AFTER.match(text, end, end + _MAX_JOINED)
    return before.start() if before else start, after.end() if after else end
