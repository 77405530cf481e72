"""Keys and tokens without a prefix: a word that looks drawn at random, beside "key", "token", "secret" and their like.

However the two are joined: in JSON, XML, CSV, a URL, a command, a sentence. What is published although it looks the
same (hashes, public keys, identifiers) is told by the word before it.
"""

import re
from collections.abc import Iterator

from eyrie.privacy.randomness import is_uuid, looks_random

_MIN_LENGTH, _MAX_LENGTH = 15, 250
_WORD = re.compile(rf"[A-Za-z0-9+/=_.~%-]{{{_MIN_LENGTH},}}")
_KEYISH = re.compile(
    r"(?i:secret|token|passw(?:or)?d|passphrase|pwd|credential|creds?(?![a-z])|bearer|jwt|authorization|api.?key"
    r"|(?:access|private|signing|encryption|licen[cs]e|auth|account|client|master|shared|session|service|storage|deploy"
    r"|webhook|admin|server|rest|write|ingest|integration|app|user|customer|consumer|subscription|rsa|ssh|hmac|aes)"
    r"[ _.-]?(?:api[ _.-]?)?key|x-[a-z-]*key|clé|clave|schlüssel|chiave|jeton)"
    r"|(?<![a-z])(?:[kK]ey|KEY|[aA]uth|AUTH|[pP]at|PAT|sig|SIG|[cC]ookie|[sS]ession(?:[iI]d|_id)?|sid|SID)(?![a-z])"
    r"|(?<=[a-z])(?:Key|Auth)(?![a-z])"
)
_PUBLIC = re.compile(
    r"(?i:public|pub[_ -]?key|fingerprint|integrity|checksum|sha-?\d{1,3}|md5|digest|hash|commit|etag|nonce|revision"
    r"|(?:primary|foreign|partition|cache|sort|object)[_ -]?key|key[_ -]?(?:id|name|size|code|path)|csrf"
    r"|ssh-(?:rsa|ed25519)|base64,|token[_ -]?(?:ids?|count|url|uri|type)\b|keyid|keyboard|access[_ -]?key[_ -]?id)"
    r"[\W_]{0,12}(?:is |of |was )?[\W_]{0,4}$"
)
_BEFORE, _AFTER = 64, 40  # characters in which the word for keys is looked for
_IN_ADDRESS = re.compile(r"(?i:data:[a-z/+.-]+;base64,|https?://)\S*$")
_TELLING = re.compile(r"\d|[a-z][A-Z]")


def random_keys(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of every such word."""
    for match in _WORD.finditer(text):
        if len(match[0]) > _MAX_LENGTH or not _TELLING.search(match[0]):
            continue
        start, word = match.start(), match[0].rstrip(".-~")
        name, equals, value = word.rpartition("=") if "=" in word.rstrip("=") else ("", "", word)
        if equals and len(value) >= 12:  # name=value in a URL, a shell or a connection string
            start, word = start + len(name) + 1, value
        if (is_uuid(word) or looks_random(word)) and _called_key(text, start, start + len(word), bool(equals)):
            yield start, start + len(word)


def _called_key(text: str, start: int, end: int, in_assignment: bool) -> bool:
    before = text[max(0, start - _BEFORE) : start].rpartition("\n\n")[2]
    if _PUBLIC.search(before) or (_IN_ADDRESS.search(before) and not in_assignment):
        return False
    after = text[end : end + _AFTER].partition("\n")[0]
    return _KEYISH.search(before) is not None or _KEYISH.search(after) is not None
