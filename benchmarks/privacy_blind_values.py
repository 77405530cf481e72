"""Identifiers of the two blind sets (`privacy_blind`, `privacy_blind_second`).

Written from the issuers' rules, check digits included, by someone who had not read the screener, its tests or its
other sets.
"""

import hashlib
import ipaddress
import random
import re
import string
from collections.abc import Callable, Sequence

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

Draw = Callable[[random.Random], str]


def words(text: str) -> list[str]:
    return text.split()


_WORD = string.ascii_letters + string.digits
_CLASSES = {"A": _WORD, "B": _WORD + "+/", "C": string.ascii_uppercase, "D": string.digits, "H": "0123456789abcdef"}
_CLASSES |= {"L": string.ascii_lowercase + string.digits, "N": "123456789", "S": "12", "P": string.ascii_lowercase}
_CLASSES |= {"U": string.ascii_uppercase + string.digits, "W": _WORD + "_-", "X": "0123456789ABCDEF"}
_CLASSES |= {"E": string.ascii_letters, "F": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"}
_CLASSES |= {"K": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", "G": "CFGHJKLMNPRTVWXYZ0123456789", "V": "BCDFGLMNPRSTVZ"}
_BECH32 = _CLASSES["K"].lower()
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ODD = dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True))  # of the Italian check letter
_LETTERS_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_ODD |= dict(zip(string.ascii_uppercase, _LETTERS_ODD, strict=True))
_IBANS = words("""
DE[N1][D17] AT[D5][D11] CH[D5][U12] NLINGB[D10] NLRABO[D10] GBBARC[D14] GBNWBK[D14] IEAIBK[D14] SE[N1][D19]
DK[N1][D13] LU[D3][U13] LT[N1][D15] LVHABA[U13] ROBTRL[U16] GR[D7][U16] BGUNCR[D6][U8] TR[D5]0[U16] AE0[D18]
SA[D2][D18] FR[D21] BE[D10] ES[D18] PT[D19] IT[D22] FR[D21] ES[D18] IT[D22]""")
_CARDS = words("""
4[D14] 4[D14] 4[D14] 51[D13] 52[D13] 55[D13] 2[D14] 34[D12] 37[D12] 6011[D11] 65[D13] 36[D11] 3528[D11]
622126[D9]""")
_LICENSES = words("""
[C1][D7] [D8] [D9] [C1][D3]-[D3]-[D2]-[D3]-[D1] [C1][D12] [C1][D3]-[D4]-[D4] [C1][D11] WDL[U9] [C1][D14]
[C1][D8] S[D8] SA[D7] [C2][D6] [D2]-[D3]-[D4]""")  # of a dozen states
_REGIONS = words("""
US US CA GB GB IE DE DE FR FR ES ES IT IT NL BE CH AT PL SE NO DK FI PT GR CZ HU RO TR IL AE SA EG KE NG ZA
IN IN PK BD LK SG MY ID PH TH VN HK JP KR AU NZ BR MX AR CL CO""")
NAMES = words("""
lena tomas priya marco ines oskar fatima noah chloe ravi sofia jonas amelie diego hanna pierre giulia kenji
mwangi zoe okafor lindqvist moreau fischer romano iyer castillo novak dubois keller greco pillai ortega berg hughes
walsh tanaka petrov silva janssen kowalski""")
_DOMAINS = words("""
gmail.com outlook.com yahoo.co.uk proton.me gmx.de web.de orange.fr laposte.net libero.it icloud.com
telefonica.es rediffmail.com fastmail.com hotmail.fr brightwell-tiles.co.uk nordlicht-it.de quayside.io mail.unibo.it
cs.uni-kassel.de atelier-sorel.fr harbourlegal.com.au sales.kestrelpumps.com ridgeline.dev""")


def shape(rng: random.Random, pattern: str) -> str:
    """`[A12]` becomes twelve characters of class A."""
    return re.sub(r"\[(\w)(\d+)\]", lambda m: "".join(rng.choices(_CLASSES[m[1]], k=int(m[2]))), pattern)


def luhn(number: str) -> str:
    """The check digit that `number` lacks."""
    digits = [int(d) for d in reversed(number)]
    return str(-sum(d if i % 2 else sum(divmod(2 * d, 10)) for i, d in enumerate(digits)) % 10)


def weighted(text: str, weights: Sequence[int]) -> int:
    return sum(int(c, 36) * w for c, w in zip(text, weights, strict=True))


def italian_letter(text: str) -> str:
    even = {c: int(c) if c.isdigit() else ord(c) - 65 for c in _ODD}
    return chr(65 + sum(even[c] if i % 2 else _ODD[c] for i, c in enumerate(text)) % 26)


def verhoeff(number: str) -> int:
    """0 for a number whose last digit is right."""
    check, permuted = 0, [int(d) for d in reversed(number)]
    for i in range(len(permuted)):
        permuted[i + 1 :] = [(1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[d] for d in permuted[i + 1 :]]
        j, k = check, permuted[i]
        rotation = (j + k if j < 5 else j - k) % 5
        check = rotation + 5 * ((j >= 5) != (k >= 5))
    return check


def iso_7064(number: str) -> str:
    """Check digit of modulus 11,10: of the German tax number."""
    product = 10
    for d in number:
        product = 2 * ((int(d) + product) % 10 or 10) % 11
    return str((11 - product) % 10)


def iban(country: str, account: str) -> str:
    """With the national check digits that the country puts into the account number."""
    if country in ("FR", "PT"):
        account += f"{(97 if country == 'FR' else 98) - int(account + '00') % 97:02}"
    elif country == "BE":
        account += f"{int(account) % 97 or 97:02}"
    elif country == "IT":
        account = italian_letter(account) + account
    elif country == "ES":
        weights = (1, 2, 4, 8, 5, 10, 9, 7, 3, 6)
        checks = [11 - weighted(part, weights) % 11 for part in ("00" + account[:8], account[8:])]
        account = account[:8] + "".join({10: "1", 11: "0"}.get(c, str(c)) for c in checks) + account[8:]
    digits = "".join(str(int(c, 36)) for c in account + country + "00")
    return f"{country}{98 - int(digits) % 97:02}{account}"


def grouped(rng: random.Random, text: str, sizes: Sequence[int], separators: str = "  -~") -> str:
    """In groups of `sizes`; the separator `~` is none."""
    parts, at = [], 0
    for size in sizes:
        parts.append(text[at : at + size])
        at += size
    return rng.choice(separators).replace("~", "").join(p for p in parts if p)


def _cased(rng: random.Random, text: str) -> str:
    return text.lower() if rng.random() < 0.1 else text


def _card(rng: random.Random) -> str:
    body = shape(rng, rng.choice(_CARDS))
    body = f"2{rng.randint(221, 720)}{body[4:]}" if body[0] == "2" else body
    number = body + luhn(body)
    return grouped(rng, number, {15: (4, 6, 5), 14: (4, 6, 4)}.get(len(number), (4, 4, 4, 4)), "   --~~")


def _iban(rng: random.Random) -> str:
    pattern = rng.choice(_IBANS)
    return _cased(rng, grouped(rng, iban(pattern[:2], shape(rng, pattern[2:])), (4,) * 9, "   ~~~-"))


def _phone(rng: random.Random) -> str:
    region, kind = rng.choice(_REGIONS), rng.choice((PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE))
    sample = phonenumbers.example_number_for_type(region, kind)
    assert sample
    example = phonenumbers.national_significant_number(sample)
    number = None
    while not (number and phonenumbers.is_valid_number(number)):
        number = phonenumbers.parse(example[:3] + shape(rng, f"[D{len(example) - 3}]"), region)
    formats = (PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.E164, PhoneNumberFormat.NATIONAL)
    text = phonenumbers.format_number(number, rng.choices(formats, (4, 1, 4))[0])
    style = rng.random()
    if text[0] == "+" and style < 0.15:
        return "00" + text[1:]
    return text.replace(" ", rng.choice("-.")) if style > 0.8 and "(" not in text and "-" not in text else text


def _email(rng: random.Random) -> str:
    first, last = rng.sample(NAMES, 2)
    styles = (f"{first}.{last}", f"{first[0]}{last}", f"{first}_{last}{rng.randint(60, 99)}", f"{first}-{last}")
    local = rng.choice((*styles, f"{first}{last}+{rng.choice(('news', 'hr', 'shop'))}", f"{first}.{last[0]}"))
    return f"{rng.choice((local, local, local, local.title()))}@{rng.choice(_DOMAINS)}"


def _ip(rng: random.Random) -> str:
    if rng.random() < 0.35:
        prefix = rng.choice(("2001:470:", "2a01:4f8:", "2600:1f18:", "2a02:8109:", "fe80::", "fd12:3456:"))
        address = ipaddress.IPv6Address(prefix + shape(rng, "[H4]:[H4]:[H4]:[H4]" + ":[H4]:[H4]" * (prefix[-2] != ":")))
        return rng.choice((str(address), address.compressed.upper(), address.exploded))
    private = (f"10.{rng.randint(0, 255)}", f"192.168.{rng.randint(0, 255)}", f"172.{rng.randint(16, 31)}")
    head = rng.choice(private) if rng.random() < 0.25 else f"{rng.choice((5, 31, 62, 81, 93, 151, 185, 203, 212))}"
    return ".".join([head, *(str(rng.randint(1, 254)) for _ in range(3 - head.count(".")))])


def _mac(rng: random.Random) -> str:
    octets = "".join(f"{b:02x}" for b in (rng.randrange(256) & 0xFC, *(rng.randrange(256) for _ in range(5))))
    text = rng.choice((":".join, ":".join, "-".join))(re.findall("..", octets))
    return ".".join(re.findall("....", octets)) if rng.random() < 0.15 else rng.choice((text, text.upper()))


def _crypto(rng: random.Random) -> str:
    kind = rng.choice(("base58", "base58", "bech32", "bech32", "ether"))
    if kind == "ether":
        return shape(rng, "0x[H40]")  # in lower case, which carries no checksum
    if kind == "base58":  # Bitcoin (both), Litecoin, Dogecoin, Tron
        raw = bytes([rng.choice((0, 0, 5, 5, 48, 30, 65))]) + rng.randbytes(20)
        raw += hashlib.sha256(hashlib.sha256(raw).digest()).digest()[:4]
        number, text = int.from_bytes(raw, "big"), ""
        while number:
            number, rest = divmod(number, 58)
            text = _BASE58[rest] + text
        return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text
    prefix, version = rng.choice((("bc", 0), ("bc", 0), ("bc", 1), ("ltc", 0)))
    bits = int.from_bytes(program := rng.randbytes(32 if version else 20), "big") << (4 if version else 0)
    data = [version, *(bits >> 5 * i & 31 for i in reversed(range((8 * len(program) + 4) // 5)))]
    check = 1
    for value in (*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix), *data, *(0,) * 6):
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> i & 1 else 0
    check ^= 0x2BC830A3 if version else 1
    return prefix + "1" + "".join(_BECH32[v] for v in (*data, *(check >> 5 * (5 - i) & 31 for i in range(6))))


def _ssn(rng: random.Random) -> str:
    area = rng.choice([n for n in range(1, 900) if n != 666])
    return grouped(rng, f"{area:03}{rng.randint(1, 99):02}{rng.randint(1, 9999):04}", (3, 2, 4), "---- ~")


def _itin(rng: random.Random) -> str:
    group = rng.choice((*range(50, 66), *range(70, 89), 90, 91, 92, *range(94, 100)))
    return grouped(rng, shape(rng, f"9[D2]{group}[D4]"), (3, 2, 4), "--- ~")


def _nhs(rng: random.Random) -> str:
    check = 10
    while check == 10:
        body = shape(rng, rng.choice("467") + "[D8]")
        check = 11 - weighted(body, range(10, 1, -1)) % 11
    return grouped(rng, f"{body}{check % 11}", (3, 3, 4), "   -~")


def _nino(rng: random.Random) -> str:
    pairs = [a + b for a in "ABCEGHJKLMNOPRSTWXYZ" for b in "ABCEGHJKLMNPRSTWXYZ"]
    prefix = rng.choice([p for p in pairs if p not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")])
    return _cased(rng, grouped(rng, shape(rng, prefix + "[D6]" + rng.choice("ABCD")), (2, 2, 2, 2, 1), "  ~~"))


def _uk_licence(rng: random.Random) -> str:
    surname, decade = rng.choice(NAMES[20:]).upper()[:5].ljust(5, "9"), rng.choice("56789")
    month = rng.randint(1, 12) + rng.choice((0, 50))
    rest = f"{decade}{month:02}{rng.randint(1, 28):02}[D1][C1]{rng.choice(('9', '[C1]'))}9[C2]"
    return grouped(rng, _cased(rng, surname + shape(rng, rest)), (5, 6, 5), "~~~ ")


def _nir(rng: random.Random) -> str:
    department = rng.choice((*range(1, 20), *range(21, 96)))
    place = rng.choice(
        (*(f"{department:02}{rng.randint(1, 350):03}",) * 4, "2A0[D2]", "2B1[D2]", "974[S1][N1]", "993[D2]")
    )
    year = "[D2]" if place[0] != "2" or place[1].isdigit() else "8[D1]"  # Corsica was 20 until 1976
    body = shape(rng, f"[S1]{year}{rng.randint(1, 12):02}{place}{rng.randint(1, 620):03}")
    key = 97 - int(body.replace("2A", "19").replace("2B", "18")) % 97
    return grouped(rng, f"{body}{key:02}", (1, 2, 2, 2, 3, 3, 2), "  ~~")


def _tax_id(rng: random.Random) -> str:
    digits = rng.sample(string.digits, 9 - (more := rng.random() < 0.4))
    digits += digits[:1] * (1 + more)
    while digits[0] == "0" or re.search(r"(.)\1\1", "".join(digits)) or rng.random() < 0.5:
        rng.shuffle(digits)
    body = "".join(digits)
    return grouped(rng, body + iso_7064(body), (2, 3, 3, 3), "  ~~")


def _german_document(first: str) -> Draw:
    def draw(rng: random.Random) -> str:
        body = shape(rng, rng.choice(first) + "[G8]")
        check = str(weighted(body, (7, 3, 1) * 3) % 10)
        return _cased(rng, rng.choice((body, body, body + check)))

    return draw


def _german_pension(rng: random.Random) -> str:
    area = rng.choice((2, 3, 4, 8, *range(9, 22), 23, 24, 25, 26, 28, 29, 42, 48, 50, 52, 53, 56, 60, 61, 63, 65, 69))
    letter, serial = rng.choice(string.ascii_uppercase), f"{rng.randint(0, 99):02}"
    birth = f"{rng.randint(1, 28):02}{rng.randint(1, 12):02}{rng.randint(45, 99):02}"
    digits = f"{area:02}{birth}{ord(letter) - 64:02}{serial}"
    products = [int(d) * w for d, w in zip(digits, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True)]
    check = sum(sum(divmod(p, 10)) for p in products) % 10
    return grouped(rng, f"{area:02}{birth}{letter}{serial}{check}", (2, 6, 1, 3), "  ~~")


def _nif(rng: random.Random) -> str:
    number = rng.randint(1_000_000, 78_999_999)
    digits = f"{number:010,}".replace(",", ".") if rng.random() < 0.2 else f"{number:08}"
    return _cased(rng, digits + rng.choice(("", "", "-", " ")) + "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23])


def _nie(rng: random.Random) -> str:
    first, digits = rng.choice("XYZ"), shape(rng, "[D7]")
    letter = "TRWAGMYFPDXBNJZSQVHLCKE"[int(f"{'XYZ'.index(first)}{digits}") % 23]
    return _cased(rng, rng.choice(("", "", "-")).join((first, digits, letter)))


def _fiscal_code(rng: random.Random) -> str:
    month, day = rng.choice("ABCDEHLMPRST"), rng.randint(1, 28) + rng.choice((0, 40))
    place = rng.choice(words("H501 F205 L219 F839 A662 G273 D612 A944 D969 L736 C351 B354"))
    body = shape(rng, f"[V6][D2]{month}{day:02}{place}")
    return _cased(rng, grouped(rng, body + italian_letter(body), (3, 3, 5, 5), " ~~~~"))


def _aadhaar(rng: random.Random) -> str:
    body = shape(rng, rng.choice("23456789") + "[D10]")
    check = next(d for d in string.digits if verhoeff(body + d) == 0)
    return grouped(rng, body + check, (4, 4, 4), "   -~")


def _voter(rng: random.Random) -> str:
    letters, digits = shape(rng, "[C3]"), shape(rng, "[D6]")
    return letters + rng.choice(("", "", " ")) + digits + luhn(digits)


def shaped(*patterns: str) -> Draw:
    return lambda rng: shape(rng, rng.choice(patterns))


VALUES: dict[str, Draw] = {
    "PHONE_NUMBER": _phone,
    "CREDIT_CARD": _card,
    "IBAN_CODE": _iban,
    "EMAIL_ADDRESS": _email,
    "IP_ADDRESS": _ip,
    "MAC_ADDRESS": _mac,
    "CRYPTO": _crypto,
    "US_SSN": _ssn,
    "US_ITIN": _itin,
    "US_PASSPORT": shaped("[N1][D8]", "[C1][D8]"),
    "US_DRIVER_LICENSE": shaped(*_LICENSES),
    "UK_NHS": _nhs,
    "UK_NINO": _nino,
    "UK_PASSPORT": shaped("[N1][D8]"),
    "UK_DRIVING_LICENCE": _uk_licence,
    "FR_NIR": _nir,
    "DE_TAX_ID": _tax_id,
    "DE_ID_CARD": _german_document("LMNPRTVWXY"),
    "DE_PASSPORT": _german_document("CFGHJK"),
    "DE_SOCIAL_SECURITY": _german_pension,
    "ES_NIF": _nif,
    "ES_NIE": _nie,
    "ES_PASSPORT": shaped("PA[C1][D6]", "XD[C1][D6]", "[C3][D6]"),
    "IT_FISCAL_CODE": _fiscal_code,
    "IT_DRIVER_LICENSE": shaped("U1[V1][D2][V1][D3][C1]", "U1[V1][D1][V1][D3][V1][C1]", "RM[D7][C1]", "MI[D7][C1]"),
    "IT_IDENTITY_CARD": shaped("CA[D5][C2]", "CA[D5][C2]", "A[C1][D7]", "[D7]A[C1]"),
    "IT_PASSPORT": shaped("YA[D7]", "YB[D7]", "YC[D7]", "AA[D7]"),
    "IN_AADHAAR": _aadhaar,
    "IN_PAN": lambda rng: _cased(rng, shape(rng, "[C3]" + rng.choice("PPPPPHFC") + "[C1][D4][C1]")),
    "IN_PASSPORT": shaped("[V1][N1][D5][N1]", "[V1][N1][D1] [D4][N1]"),
    "IN_VOTER": _voter,
}
