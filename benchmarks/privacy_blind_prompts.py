"""Prompts of the two blind sets (`privacy_blind`, `privacy_blind_second`) from lines of text, and their secrets.

Secrets are random characters in the shapes that the services document, never real keys.
"""

import base64
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.privacy_blind_values import NAMES, VALUES, Draw, shape, shaped, words
from benchmarks.privacy_sets import Case

_NOUNS = words("Marigold Lantern Otter Copper Saffron Glacier Pepper Tunnel Biscuit Harbor Falcon Velvet Cactus Meadow")


def build(
    rng: random.Random, group: str, frames: Sequence[tuple[str, str]], slots: Mapping[str, tuple[str, Draw]], count: int
) -> Iterator[Case]:
    """`count` different texts: each frame in turn, with the words that its `<L>` is one of.

    Other slots are drawn and become spans: those of `slots`, and `<TYPE>` of an identifier. A backslash with n is a
    new line.
    """
    slots = {name: (name, draw) for name, draw in VALUES.items()} | dict(slots)
    seen: set[str] = set()
    turn: list[tuple[str, str]] = []
    while len(seen) < count:
        turn = turn or rng.sample(list(frames), len(frames))
        frame, labels = turn.pop()
        text, spans = "", []
        parts = re.split(r"<([A-Z_]+)>", frame.replace("<L>", rng.choice(labels.split(", "))).replace("\\n", "\n"))
        for i, part in enumerate(parts):
            if i % 2:
                entity, draw = slots[part]
                value = draw(rng)
                spans.append((len(text), len(text) + len(value), entity))
                part = value  # noqa: PLW2901
            text += part
        if text not in seen:
            seen.add(text)
            yield Case(group, text, tuple(spans))


def lines(text: str) -> list[str]:
    """A line that begins with two spaces goes on from the one before it."""
    return text.strip().replace("\n  ", " ").splitlines()


def identifiers(
    rng: random.Random, labels: str, frames: str, code: str, local: str, special: str, count: int
) -> Iterator[Case]:
    """`count` texts per identifier type, three times as many of phone numbers.

    `labels`: lines `TYPE|label, label|key, key|de:label, label|fr:label`; the labels fill `<L>` of `frames`, the keys
    that of `code`, the others that of the lines of `local` with their language. `special`: lines `TYPE|frame`, used
    four times as often. `<V>` is the value.
    """
    for line in lines(labels):
        entity, names, keys, *foreign = line.split("|")
        own = [(frame.partition("|")[2], names) for frame in lines(special) if frame.startswith(entity + "|")]
        pool = [(f, names) for f in lines(frames)] + [(f, keys) for f in lines(code)] + own * 4
        for language, _, local_names in (entry.partition(":") for entry in foreign):
            pool += [(f[3:], local_names) for f in lines(local) if f.startswith(language + ":")]
        slots = {"V": (entity, VALUES[entity])}
        yield from build(rng, entity, pool, slots, count * (3 if entity == "PHONE_NUMBER" else 1))


def password(rng: random.Random) -> str:
    """As people choose them: words with digits and signs, or what a manager makes."""
    one, two = rng.sample(_NOUNS, 2)
    mark, year, leet = rng.choice("!?#$*&"), rng.randint(11, 9999), one.translate(str.maketrans("aeio", "4310"))
    own = (f"{one}{mark}{year}", f"{leet}{mark}{two}{year % 100}", f"{one}-{two}-{year}".lower(), f"{leet}{year}{mark}")
    return rng.choice(
        (*own, shape(rng, "[A5]#[A4]%[A3]"), shape(rng, "[C1][P3][D2]![A6]"), shape(rng, "[C1][W13][D2]"))
    )


def url_password(rng: random.Random) -> str:
    """Without the characters that a URL would escape."""
    noun = rng.choice(_NOUNS)
    return shape(rng, rng.choice(("[A14]", "[A20]", "[W17]X", noun + "[D4]", noun + "_[A6]")))


def plain_key(rng: random.Random) -> str:
    """A key without prefix."""
    patterns = ("[H32]", "[H40]", "[H64]", "[A32]", "[A40]", "[W43]", "[B43]=", "[L24]", "[U20]", "[A24]")
    return shape(rng, rng.choice((*patterns, "[H8]-[H4]-4[H3]-a[H3]-[H12]")))


def jwt(rng: random.Random) -> str:
    claims = {"sub": shape(rng, "[H12]"), "iat": (now := rng.randint(1_690_000_000, 1_790_000_000)), "exp": now + 3600}
    claims |= rng.choice(({"scope": "read:all"}, {"role": "admin"}, {"tenant": rng.randint(1, 999)}))
    algorithm, length = rng.choice((("HS256", 43), ("RS256", 342), ("ES256", 86)))
    texts = [json.dumps(part, separators=(",", ":")) for part in ({"alg": algorithm, "typ": "JWT"}, claims)]
    parts = [base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") for text in texts]
    return ".".join((*parts, shape(rng, f"[W{length}]")))


def private_key(rng: random.Random) -> str:
    """A block in the right shape that no program could read."""
    kinds = {"RSA PRIVATE KEY": ("MIIEpAIBAAKCAQEA", 1592), "PRIVATE KEY": ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", 1624)}
    kinds |= {"EC PRIVATE KEY": ("MHcCAQEEI", 164), "ENCRYPTED PRIVATE KEY": ("MIIFHDBOBgkqhkiG9w0BBQ0wQTApBgkq", 1700)}
    kinds |= {"OPENSSH PRIVATE KEY": ("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ", 384)}
    kinds |= {"PGP PRIVATE KEY BLOCK": ("lQPGBF", 900)}
    name = rng.choice(list(kinds))
    start, length = kinds[name]
    body = start + shape(rng, f"[B{length - len(start) - 1}]") + "="
    rows = "\n".join(re.findall(".{1,64}", body))
    return f"-----BEGIN {name}-----\n{chr(10) * name.startswith('PGP')}{rows}\n-----END {name}-----"


def basic(rng: random.Random) -> str:
    """User and password of the header `Authorization: Basic`."""
    return base64.b64encode(f"{rng.choice(NAMES)}:{url_password(rng)}".encode()).decode()


def secrets(
    rng: random.Random, services: str, named: str, key_frames: str, name_frames: str, kinds: str, copies: int
) -> Iterator[Case]:
    """`copies` texts of each shape of `services` (lines `kind|shape shape`), in `key_frames`, whose `<S>` is the key;

    of each entry `NAME=shape` of `named`, in `name_frames`, whose `<L>` is the name; and of each frame of `kinds`
    (lines `kind|frame`), whose slots are below.
    """
    draws: dict[str, tuple[str, Draw]] = {"PASSWORD": ("SECRET", password), "URL_PASSWORD": ("SECRET", url_password)}
    draws |= {"KEY": ("SECRET", plain_key), "JWT": ("SECRET", jwt), "PEM": ("SECRET", private_key)}
    draws |= {"STORAGE": ("SECRET", shaped("[B86]==")), "BEARER": ("SECRET", shaped("[A40]", "[A64]", "[H48]"))}
    draws |= {"SHARED": ("SECRET", shaped("[B43]=")), "AWS_SECRET": ("SECRET", shaped("[B40]"))}
    draws |= {"AWS_ID": ("SECRET", shaped("AKIA[F16]"))}
    draws |= {"BASIC": ("SECRET", basic), "PEM_LINE": ("SECRET", lambda rng: private_key(rng).replace("\n", "\\n"))}
    for kind, _, patterns in (line.partition("|") for line in lines(services)):
        for pattern in words(patterns):
            frames = [(f, "") for f in lines(key_frames)]
            yield from build(rng, f"SECRET ({kind})", frames, {"S": ("SECRET", shaped(pattern))}, copies)
    for name, _, pattern in (entry.partition("=") for entry in words(named)):
        frames = [(f, name) for f in lines(name_frames)]
        yield from build(rng, "SECRET (key by its name)", frames, {"S": ("SECRET", shaped(pattern))}, copies)
    for kind in dict.fromkeys(line.partition("|")[0] for line in lines(kinds)):
        frames = [(f.partition("|")[2], "") for f in lines(kinds) if f.partition("|")[0] == kind]
        yield from build(rng, f"SECRET ({kind})", frames, draws, copies * len(frames))
