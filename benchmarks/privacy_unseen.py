"""Held-out identifiers and secrets: spellings and surroundings that no recogniser was mended with before.

Written after privacy_values.py, from what issuers and standards document, without running a recogniser on any line of
it; it shares no generator and no sentence with that set. Check digits are computed here. What the first run found, and
what was mended because of it (so that later runs are no longer unseen), stands in docs/decisions.md.
"""

import hashlib
import random
import string
from collections.abc import Callable

from benchmarks.privacy_sets import Case

_UPPER, _DIGITS = string.ascii_uppercase, string.digits
_ALNUM, _HEX = string.ascii_letters + string.digits, "0123456789abcdef"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BARE = (
    "Draft a polite reply to this: \"Hello, as agreed here is {}. Let me know.\"",
    "Traduis en anglais : « je vous envoie {} comme convenu »",
    "| field | value |\n|---|---|\n| entry | {} |",
    "Is there a typo in {}? The site refuses it",
)  # fmt: skip
_AROUND: dict[str, tuple[str, ...]] = {
    "US_SSN": ("ssn: {}", "The form asks for a social security number, mine's {}. Safe to give?"),
    "US_PASSPORT": ("Renewing passport {} by mail, which form?", "Passport No.: {}\nNationality: USA"),
    "US_DRIVER_LICENSE": ("Driver's license {} was suspended, what now?", "DMV record, DL# {}"),
    "UK_NHS": ("NHS number {} - write a referral letter", "patient {} asks for a repeat prescription (NHS)"),
    "UK_PASSPORT": ("British passport, number {}, issued in 2019", "passport no. {} got lost in Spain"),
    "UK_DRIVING_LICENCE": ("driving licence {} - what do the letters mean?", "DVLA: licence number {}"),
    "DE_TAX_ID": (
        "Steueridentifikationsnummer: {}",
        "Meine IdNr. ist {}, wo trage ich sie ein?",  # codespell:ignore ist,sie
    ),  # codespell:ignore ist,sie
    "DE_SOCIAL_SECURITY": ("Rentenversicherungsnummer {}", "SVNR: {}\nBitte eintragen"),
    "DE_PASSPORT": ("Reisepassnummer: {}", "Mein Reisepass hat die Nummer {}"),
    "DE_ID_CARD": ("Mein Ausweis: {}", "Personalausweisnummer ist {}"),  # codespell:ignore ist
    "ES_PASSPORT": ("Número de pasaporte: {}", "pasaporte español {} caducado"),
    "IT_PASSPORT": ("Passaporto n. {}", "Numero di passaporto: {}"),
    "IT_IDENTITY_CARD": ("Carta d'identità {}", "carta di identità elettronica: {}"),
    "IT_DRIVER_LICENSE": ("Patente di guida: {}", "ho perso la patente {}"),
    "IN_AADHAAR": ("Aadhaar: {}", "link my aadhaar {} to the bank"),
    "IN_PASSPORT": ("Indian passport {} renewal", "Passport number: {}"),
    "IN_VOTER": ("EPIC no. {}", "voter card {} correction"),
    "PHONE_NUMBER": ("Text me at {}", "Tel.: {}", "mobile {}", "Numéro de téléphone : {}", "Handy: {}"),
    "SECRET (env file)": ("DB_HOST=db1\nDB_PASSWORD={}\nDB_PORT=5432", "export API_KEY={}"),
    "SECRET (yaml)": ("database:\n  user: app\n  password: {}\n  port: 5432", "smtp:\n  secret: {}"),
    "SECRET (json)": ('{{"user": "app", "password": "{}"}}', '{{"client_secret": "{}"}}'),
    "SECRET (command line)": ("mysqldump --password={} shop > dump.sql", "curl -u admin:{} https://api.internal/v1"),
    "SECRET (header)": ("x-api-key: {}", "-H 'X-Auth-Token: {}'"),
    "SECRET (words)": ("my wifi password is {} can you make it stronger", "the admin password was {}, is it weak?"),
    "SECRET (french words)": ("mon mot de passe est {}", "Le mot de passe : {}"),  # codespell:ignore mot
    "SECRET (basic)": ("Authorization: Basic {}",),
    "SECRET (url)": ("mongodb+srv://shop:{}@cluster0.mongodb.net/test", "https://bot:{}@git.internal/x.git"),
    "SECRET (azure storage)": ("DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={}",),
}


def unseen_values(*, copies: int, seed: int = 23) -> list[Case]:
    """`copies` prompts of each type and shape; group is the type."""
    rng = random.Random(seed)
    out = []
    for name, make in {**_identifiers(rng), **_secrets(rng)}.items():
        entity = name.split(" (")[0]
        for i in range(copies):
            around = _AROUND.get(name) or _AROUND.get(entity) or _BARE
            before, after = around[i % len(around)].replace("{{", "\1").replace("}}", "\2").split("{}")
            before, after = (part.replace("\1", "{").replace("\2", "}") for part in (before, after))
            value = make()
            out.append(Case(name, before + value + after, ((len(before), len(before) + len(value), entity),)))
    return out


def _identifiers(rng: random.Random) -> dict[str, Callable[[], str]]:
    def pick(count: int, alphabet: str = _DIGITS) -> str:
        return "".join(rng.choices(alphabet, k=count))

    def filled(*patterns: str) -> str:
        """#: a digit, %: one from 2 to 9, &: a capital."""
        draw = {"#": _DIGITS, "%": "23456789", "&": _UPPER}
        return "".join(rng.choice(draw[char]) if char in draw else char for char in rng.choice(patterns))

    word = lambda: rng.choice(("orchid", "lantern", "gravel", "pepper", "mosaic"))  # noqa: E731
    return {
        "EMAIL_ADDRESS": lambda: filled(f"{word()}.{word()}+{word()}@{word()}.co.uk", f"{word()}##@mail.{word()}.fr",
                                        f"{word().upper()}_{word().upper()}@{word().upper()}.DE"),
        "IP_ADDRESS": lambda: filled("198.%%.2#.%%", "2001:db8:%a2e::%c#", "81.%.%#.%"),
        "MAC_ADDRESS": lambda: rng.choice(":-").join(pick(2, _HEX) for _ in range(6)),
        "CREDIT_CARD": lambda: _card(rng),
        "IBAN_CODE": lambda: _iban(rng),
        "CRYPTO": lambda: _bitcoin(rng),
        "PHONE_NUMBER (gb)": lambda: filled("07700 ######", "+44 (0)20 7### ####", "+447700######", "0161 %## ####"),
        "PHONE_NUMBER (us)": lambda: filled("%1%.%2%.####", "(%1%) %2%-####", "+1 %1% %2% ####", "1-%1%-%2%-####"),
        "PHONE_NUMBER (fr)": lambda: filled("06 ## ## ## ##", "06.##.##.##.##", "+33 (0)6 ## ## ## ##", "06########"),
        "PHONE_NUMBER (de)": lambda: filled("0151 %#######", "0049 30 %######", "030/%######", "+49-171-%######"),
        "PHONE_NUMBER (es)": lambda: filled("612 ## ## ##", "+34 6## ### ###", "91 %## ## ##"),
        "PHONE_NUMBER (it)": lambda: filled("347 %######", "+39 06 %### ####", "02-%######"),
        "PHONE_NUMBER (in)": lambda: filled("98### #####", "+91-98###-#####", "098########"),
        "US_SSN": lambda: f"{rng.randint(101, 665)}-{rng.randint(10, 99)}-{rng.randint(1000, 9999)}",
        "US_ITIN": lambda: f"9{pick(2)}-7{pick(1)}-{rng.randint(1000, 9999)}",
        "US_PASSPORT": lambda: filled("&########", "%########"),
        "US_DRIVER_LICENSE": lambda: filled("&#######", "&############", "&########"),
        "UK_NINO": lambda: f"{rng.choice('ABCEHJKLMSTW')}{rng.choice('ABCEHJKLMRT')}" + filled("######", " ## ## ## ")
        + rng.choice("ABCD"),
        "UK_NHS": lambda: _nhs(rng),
        "UK_PASSPORT": lambda: filled("5########", "%########"),
        "UK_DRIVING_LICENCE": lambda: filled("&&&&&") + pick(1) + f"{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"
        + pick(1) + filled("&&#&&"),
        "FR_NIR": lambda: _nir(rng),
        "DE_TAX_ID": lambda: _german_tax_id(rng),
        "DE_SOCIAL_SECURITY": lambda: _german_pension(rng),
        "DE_PASSPORT": lambda: "C" + pick(8, "CFGHJKLMNPRTVWXYZ0123456789012345"),
        "DE_ID_CARD": lambda: "L" + pick(8, "CFGHJKLMNPRTVWXYZ0123456789012345"),
        "ES_NIF": lambda: _spanish(rng, "", 8),
        "ES_NIE": lambda: _spanish(rng, rng.choice("XYZ"), 7),
        "ES_PASSPORT": lambda: filled("&&&######"),
        "IT_FISCAL_CODE": lambda: _fiscal_code(rng),
        "IT_PASSPORT": lambda: filled("Y&#######"),
        "IT_IDENTITY_CARD": lambda: filled("CA#####&&", "A&#######"),
        "IT_DRIVER_LICENSE": lambda: filled("&&#######&", "U1B######&"),
        "IN_AADHAAR": lambda: _aadhaar(rng),
        "IN_PAN": lambda: filled("&&&") + rng.choice("PCH") + filled("&####&"),
        "IN_PASSPORT": lambda: filled("M%#####%", "Z%#####%"),
        "IN_VOTER": lambda: filled("&&&#######"),
    }  # fmt: skip


def _secrets(rng: random.Random) -> dict[str, Callable[[], str]]:
    def token(count: int, alphabet: str = _ALNUM) -> str:
        return "".join(rng.choices(alphabet, k=count - 1)) + rng.choice(sorted(set(alphabet) & set(_DIGITS)) or "x")

    url_safe = _ALNUM + "-_"
    password = lambda: f"{token(7, string.ascii_letters)}{rng.randint(10, 99)}!"  # noqa: E731
    shapes: dict[str, Callable[[], str]] = {
        "google oauth": lambda: f"ya29.a0{token(60, url_safe)}",
        "google client secret": lambda: f"GOCSPX-{token(28, url_safe)}",
        "slack webhook": lambda: "https://hooks.slack.com" + f"/services/T{token(8)}/B{token(10)}/{token(24)}",
        "slack app": lambda: f"xapp-1-A{token(10)}-{token(13, _DIGITS)}-{token(64, _HEX)}",
        "pypi": lambda: f"pypi-AgEIcHlwaS5vcmc{token(80, url_safe)}",
        "openrouter": lambda: f"sk-or-v1-{token(64, _HEX)}",
        "openai service": lambda: f"sk-svcacct-{token(70, url_safe)}",
        "anthropic admin": lambda: f"sk-ant-admin01-{token(93, url_safe)}",
        "groq": lambda: f"gsk_{token(52)}",
        "replicate": lambda: f"r8_{token(37)}",
        "digitalocean": lambda: f"dop_v1_{token(64, _HEX)}",
        "shopify": lambda: f"shpat_{token(32, _HEX)}",
        "databricks": lambda: f"dapi{token(32, _HEX)}",
        "stripe restricted": lambda: "rk" + f"_live_{token(99)}",
        "mailgun": lambda: f"key-{token(32, _HEX)}",
        "mailchimp": lambda: f"{token(32, _HEX)}-us{rng.randint(1, 21)}",
        "square": lambda: f"sq0csp-{token(43, url_safe)}",
        "discord": lambda: f"M{token(25)}.G{token(5)}.{token(38, url_safe)}",
        "gitlab runner": lambda: f"glrt-{token(20, url_safe)}",
        "docker hub": lambda: f"dckr_pat_{token(27, url_safe)}",
        "atlassian": lambda: f"ATATT3xFfGF0{token(171, url_safe)}={token(8, '0123456789ABCDEF')}",
        "linear": lambda: f"lin_api_{token(40)}",
        "notion": lambda: f"ntn_{token(46)}",
        "airtable": lambda: f"pat{token(14)}.{token(64, _HEX)}",
        "new relic": lambda: f"NRAK-{token(27, _UPPER + _DIGITS)}",
        "sentry": lambda: f"sntrys_eyJ{token(80)}_{token(43)}",
        "grafana": lambda: f"glsa_{token(32)}_{token(8, _HEX)}",
        "terraform cloud": lambda: f"{token(14)}.atlasv1.{token(67)}",
        "doppler": lambda: f"dp.pt.{token(43)}",
        "planetscale": lambda: f"pscale_tkn_{token(43)}",
        "supabase": lambda: f"sbp_{token(40, _HEX)}",
        "postman": lambda: f"PMAK-{token(24, _HEX)}-{token(34, _HEX)}",
        "age": lambda: f"AGE-SECRET-KEY-1{token(58, 'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L')}",
        "azure client secret": lambda: f"{token(3)}8Q~{token(34, url_safe)}",
        "facebook": lambda: f"EAA{token(120)}",
        "openssh key": lambda: "-----BEGIN OPENSSH " + f"PRIVATE KEY-----\n{token(70)}\n-----END OPENSSH "
        + "PRIVATE KEY-----",
        "azure storage": lambda: token(86, _ALNUM + "+/") + "==",
        "basic": lambda: token(24) + "==",
        "url": password, "env file": lambda: token(16), "yaml": password, "json": password, "command line": password,
        "header": lambda: token(32), "words": password, "french words": password,
    }  # fmt: skip
    return {f"SECRET ({name})": make for name, make in shapes.items()}


def _card(rng: random.Random) -> str:
    prefix, size = rng.choice((("4539", 16), ("2230", 16), ("5412", 16), ("6011", 16), ("3566", 16), ("3714", 15)))
    body = prefix + "".join(rng.choices(_DIGITS, k=size - len(prefix) - 1))
    total = sum(int(d) if i % 2 else (int(d) * 2 - 9 * (int(d) > 4)) for i, d in enumerate(reversed(body)))
    number = body + str(-total % 10)
    groups = (4, 6, 5) if size == 15 else (4, 4, 4, 4)
    parts, at = [], 0
    for group in groups:
        parts.append(number[at : at + group])
        at += group
    return rng.choice((" ", "-", "")).join(parts)


def _iban(rng: random.Random) -> str:
    country, size = rng.choice((("AT", 16), ("BE", 12), ("CH", 17), ("PT", 21), ("PL", 24), ("SE", 20), ("LU", 16)))
    body = "".join(rng.choices(_DIGITS, k=size))
    check = 98 - int("".join(str(int(char, 36)) for char in f"{body}{country}00")) % 97
    code = f"{country}{check:02d}{body}"
    return " ".join(code[i : i + 4] for i in range(0, len(code), 4)) if rng.random() < 0.6 else code


def _bitcoin(rng: random.Random) -> str:
    """A pay-to-public-key-hash address: version, 20 bytes, four bytes of the double SHA-256, in base 58."""
    payload = b"\0" + rng.randbytes(20)
    payload += hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, out = int.from_bytes(payload, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        out = _BASE58[digit] + out
    return "1" + out


def _nhs(rng: random.Random) -> str:
    while True:
        body = rng.choices(range(10), k=9)
        check = -sum(digit * weight for digit, weight in zip(body, range(10, 1, -1), strict=True)) % 11
        if check < 10 and len(set(body)) > 3:
            text = "".join(map(str, [*body, check]))
            return rng.choice(("-", " ")).join((text[:3], text[3:6], text[6:]))


def _nir(rng: random.Random) -> str:
    parts = [rng.choice("12"), f"{rng.randint(30, 99)}", f"{rng.randint(1, 12):02d}", f"{rng.randint(1, 95):02d}",
             f"{rng.randint(1, 599):03d}", f"{rng.randint(1, 999):03d}"]  # fmt: skip
    parts.append(f"{97 - int(''.join(parts)) % 97:02d}")
    return rng.choice((" ", "")).join(parts)


def _german_tax_id(rng: random.Random) -> str:
    """Eleven digits (ISO 7064 MOD 11,10) in the groups of the letters that announce it."""
    first = rng.sample(range(1, 10), 9)
    body, product = [*first, first[3]], 10
    for digit in body:
        product = ((digit + product) % 10 or 10) * 2 % 11
    text = "".join(map(str, [*body, (11 - product) % 10]))
    return f"{text[:2]} {text[2:5]} {text[5:8]} {text[8:]}" if rng.random() < 0.6 else text


def _german_pension(rng: random.Random) -> str:
    """Area, birth date, letter, serial, check digit (VKVV, paragraph 4)."""
    area, date = (
        rng.choice(("12", "65", "15")),
        f"{rng.randint(1, 28):02d}{rng.randint(1, 12):02d}{rng.randint(40, 99)}",
    )
    letter, serial = rng.choice(_UPPER), f"{rng.randint(1, 99):02d}"
    digits = f"{area}{date}{ord(letter) - 64:02d}{serial}"
    weights = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    check = sum(sum(divmod(int(d) * w, 10)) for d, w in zip(digits, weights, strict=True)) % 10
    return rng.choice((f"{area}{date}{letter}{serial}{check}", f"{area} {date} {letter} {serial}{check}"))


def _spanish(rng: random.Random, prefix: str, size: int) -> str:
    number = f"{rng.randint(10 ** (size - 1), 10**size - 1)}"
    letter = "TRWAGMYFPDXBNJZSQVHLCKE"[int({"X": "0", "Y": "1", "Z": "2"}.get(prefix, "") + number) % 23]
    dash = rng.choice(("", "-"))
    return f"{prefix}{dash if prefix else ''}{number}{dash}{letter}"


def _fiscal_code(rng: random.Random) -> str:
    """Decree of 23 December 1976: odd places by a table, even ones by value, modulo 26."""
    consonants = "BCDFGLMNPRSTV"
    body = "".join(rng.choices(consonants, k=6)) + f"{rng.randint(40, 99)}" + rng.choice("ABCDEHLMPRST")
    body += f"{rng.randint(1, 28):02d}" + rng.choice("AFHL") + f"{rng.randint(100, 999)}"
    odd = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]
    values = [int(char) if char.isdigit() else ord(char) - 65 for char in body]
    total = sum(odd[value] if i % 2 == 0 else value for i, value in enumerate(values))
    code = body + _UPPER[total % 26]
    return code.lower() if rng.random() < 0.3 else code


def _aadhaar(rng: random.Random) -> str:
    """The last digit is found by trying: Verhoeff's table by the dihedral group's own rule."""

    def times(a: int, b: int) -> int:
        if a < 5:
            return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
        return 5 + (a - b) % 5 if b < 5 else (a - b) % 5

    body = f"{rng.randint(2, 9)}" + "".join(rng.choices(_DIGITS, k=10))
    step = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
    for last in _DIGITS:
        check = 0
        for i, char in enumerate(reversed(body + last)):
            digit = int(char)
            for _ in range(i % 8):
                digit = step[digit]
            check = times(check, digit)
        if check == 0:
            text = body + last
            return rng.choice((" ", "-", "")).join((text[:4], text[4:8], text[8:]))
    raise AssertionError("one of ten digits fits")
