"""Evaluation set of patterned personal data and secrets: made-up values in short sentences.

Values come from generators that the recognisers do not use: Faker (cards, IBAN, e-mail, IP, national ids with valid
check digits), phonenumbers' example numbers with other digits, and random tokens in the shapes that issuers document.
"""

import random
import string
from collections.abc import Callable

import phonenumbers
from faker import Faker
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from benchmarks.privacy_sets import Case

_REGIONS = ("US", "GB", "FR", "DE", "ES", "IT", "IN", "CA", "BE", "CH", "BR", "AU", "NL", "PT", "MX", "JP")
_ALNUM = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"
_PLAIN = (
    "Please use {} for this.", "{} is what the customer gave me, is it valid?", "Put this in the form: {}",
    "Rewrite: they sent {} yesterday and nobody answered.", "Peux-tu vérifier {} pour moi ?", "ref: {}\nstatus: open",
)  # fmt: skip
_WORDED = {
    "US_PASSPORT": ("My US passport number is {}.", "passport: {}"),
    "US_DRIVER_LICENSE": ("My driver license number is {}.", "DL {} (driver license)"),
    "UK_NHS": ("My NHS number is {}.", "NHS no. {}"),
    "UK_PASSPORT": ("UK passport {} expires soon.", "My passport number is {}."),
    "DE_TAX_ID": ("Meine Steuer-ID lautet {}, Steuernummer siehe Brief.", "German tax id {}"),
    "DE_PASSPORT": ("Reisepass {} abgelaufen.", "My German passport is {}."),
    "DE_ID_CARD": ("Personalausweis {} liegt bei.", "Ausweisnummer {}"),
    "ES_PASSPORT": ("Mi pasaporte es {}.", "passport {}"),
    "IT_PASSPORT": ("Il mio passaporto è {}.", "passaporto {}"),
    "IT_IDENTITY_CARD": ("La mia carta di identità è {}.", "carta identità {}"),
    "IT_DRIVER_LICENSE": ("La mia patente è {}.", "patente n. {}"),
    "IN_AADHAAR": ("My Aadhaar number is {}.", "aadhaar: {}"),
    "IN_PASSPORT": ("My Indian passport is {}.", "passport no {}"),
    "IN_VOTER": ("My voter id is {}.", "voter card {}"),
    "SECRET (bearer)": ("curl -H 'Authorization: Bearer {}' https://api.internal/v1", "Authorization: Bearer {}"),
    "SECRET (url password)": ("postgresql://app:{}@db1.internal:5432/main", "redis://default:{}@10.1.2.3:6379 is down"),
    "SECRET (aws secret)": ("aws_secret_access_key={}", "my AWS secret key is {}"),
    "SECRET (assigned)": ('api_key = "{}"', "SECRET_KEY='{}'", 'auth_token: "{}"', 'DB_PASSWORD = "{}"'),
    "PHONE_NUMBER (bare)": ("Call me on {} tonight.", "my phone is {}", "mon téléphone est le {}"),
}


def values(*, copies: int, seed: int = 11) -> list[Case]:
    """`copies` prompts of each entity type and secret shape; group is the type."""
    rng = random.Random(seed)
    out = []
    for name, make in {**_identifiers(rng, seed), **_secrets(rng)}.items():
        entity = name.split(" (")[0]
        for i in range(copies):
            templates = _WORDED.get(name, _PLAIN)
            before, after = templates[i % len(templates)].split("{}")
            value = make()
            out.append(Case(name, before + value + after, ((len(before), len(before) + len(value), entity),)))
    return out


def _identifiers(rng: random.Random, seed: int) -> dict[str, Callable[[], str]]:
    fakers = {name: Faker(name) for name in ("en_US", "en_GB", "fr_FR", "es_ES", "it_IT", "en_IN", "de_DE")}
    for faker in fakers.values():
        faker.seed_instance(seed)
    us, gb, fr = fakers["en_US"], fakers["en_GB"], fakers["fr_FR"]

    def digits(count: int) -> str:
        return str(rng.randint(1, 9)) + "".join(rng.choices(string.digits, k=count - 1))

    def letters(count: int) -> str:
        return "".join(rng.choices(string.ascii_uppercase, k=count))

    return {
        "EMAIL_ADDRESS": lambda: rng.choice((us, gb, fr)).email(safe=False),
        "IP_ADDRESS": lambda: us.ipv4_public() if rng.random() < 0.7 else us.ipv6(),
        "CREDIT_CARD": lambda: _grouped(us.credit_card_number(), rng),
        "IBAN_CODE": lambda: rng.choice((gb, fr, fakers["de_DE"], fakers["es_ES"], fakers["it_IT"])).iban(),
        "PHONE_NUMBER (international)": lambda: _phone(rng, PhoneNumberFormat.INTERNATIONAL),
        "PHONE_NUMBER (national)": lambda: _phone(rng, PhoneNumberFormat.NATIONAL, grouped=True),
        "PHONE_NUMBER (bare)": lambda: "".join(filter(str.isdigit, _phone(rng, PhoneNumberFormat.NATIONAL))),
        "US_SSN": us.ssn,
        "US_ITIN": us.itin,
        "US_PASSPORT": lambda: digits(9),
        "US_DRIVER_LICENSE": lambda: letters(1) + digits(rng.choice((7, 8, 12))),
        "UK_NINO": lambda: _nino(rng),
        "UK_NHS": lambda: _nhs(rng),
        "UK_PASSPORT": lambda: letters(2) + digits(7) if rng.random() < 0.3 else digits(9),
        "FR_NIR": fr.ssn,
        "DE_TAX_ID": lambda: _german_tax_id(rng),
        "DE_PASSPORT": lambda: _german_document(rng),
        "DE_ID_CARD": lambda: _german_document(rng),
        "ES_NIF": fakers["es_ES"].nif,
        "ES_NIE": fakers["es_ES"].nie,
        "ES_PASSPORT": lambda: letters(3) + digits(6),
        "IT_FISCAL_CODE": fakers["it_IT"].ssn,
        "IT_PASSPORT": lambda: "Y" + letters(1) + digits(7),
        "IT_IDENTITY_CARD": lambda: "C" + letters(1) + digits(5) + letters(2),
        "IT_DRIVER_LICENSE": lambda: "U1" + rng.choice("BCDEFGHLJKMNPRST") + digits(6) + letters(1),
        "IN_AADHAAR": lambda: _aadhaar(rng),
        "IN_PAN": lambda: letters(3) + rng.choice("PCHFAT") + letters(1) + digits(4) + letters(1),
        "IN_PASSPORT": lambda: rng.choice("JKLMNPRSTUVZ") + digits(6) + str(rng.randint(1, 9)),
        "IN_VOTER": lambda: letters(3) + digits(7),
    }


def _secrets(rng: random.Random) -> dict[str, Callable[[], str]]:
    def token(count: int, alphabet: str = _ALNUM) -> str:
        return "".join(rng.choices(alphabet, k=count))

    shapes = {
        "openai": lambda: "sk" + f"-proj-{token(60, _ALNUM + '-_')}{rng.randint(0, 9)}x",
        "anthropic": lambda: "sk" + f"-ant-api03-{token(93, _ALNUM + '-_')}AA",
        "google": lambda: "AI" + f"za{token(34, _ALNUM + '-_')}x",
        "github": lambda: "gh" + f"{rng.choice('pousr')}_{token(36)}",
        "github fine-grained": lambda: "github" + f"_pat_{token(22)}_{token(59)}",
        "gitlab": lambda: "gl" + f"pat-{token(20)}",
        "aws key": lambda: "AK" + f"IA{token(16, string.ascii_uppercase + '234567')}",
        "aws secret": lambda: token(40),
        "slack": lambda: "xo" + f"xb-{token(12, string.digits)}-{token(12, string.digits)}-{token(24)}",
        "hugging face": lambda: "hf" + f"_{token(34, string.ascii_letters)}",
        "npm": lambda: "np" + f"m_{token(36)}",
        "stripe": lambda: "sk" + f"_live_{token(24)}",
        "vault": lambda: "hv" + f"s.{token(24)}",
        "sendgrid": lambda: "SG" + f".{token(22)}.{token(43)}",
        "twilio": lambda: "SK" + token(32, _HEX),
        "telegram": lambda: f"{rng.randint(10**8, 10**10 - 1)}:AA{token(33)}",
        "jwt": lambda: f"eyJ{token(30)}.eyJ{token(60)}.{token(43)}",
        "bearer": lambda: f"{token(38)}7x",
        "private key": lambda: (
            "-----BEGIN " + f"PRIVATE KEY-----\n{token(64)}\n{token(64)}\n-----END " + "PRIVATE KEY-----"
        ),
        "url password": lambda: token(12),
        "assigned": lambda: f"{token(20)}1",
    }
    return {f"SECRET ({name})": make for name, make in shapes.items()}


def _grouped(number: str, rng: random.Random) -> str:
    separator = rng.choice(("", " ", "-"))
    return separator.join(number[i : i + 4] for i in range(0, len(number), 4))


def _phone(rng: random.Random, form: int, *, grouped: bool = False) -> str:
    """A number valid in its region; `grouped`: written with separators, as people write national numbers."""
    while True:
        region = rng.choice(_REGIONS)
        kind = rng.choice((PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE))
        example = phonenumbers.example_number_for_type(region, kind)
        national = str(example.national_number)
        national = national[:-5] + "".join(rng.choices(string.digits, k=5))
        try:
            number = phonenumbers.parse(national, region)
        except phonenumbers.NumberParseException:
            continue
        text = phonenumbers.format_number(number, form)
        if phonenumbers.is_valid_number(number) and not (grouped and text.isdigit()):
            return text


def _nino(rng: random.Random) -> str:
    first = "".join(rng.choices("ABCEGHJKLMNOPRSTWXYZ", k=1)) + rng.choice("ABCEGHJKLMNPRSTWXYZ")
    if first in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ"):
        first = "AB"
    number = "".join(rng.choices(string.digits, k=6))
    return (
        f"{first}{number}{rng.choice('ABCD')}"
        if rng.random() < 0.5
        else (f"{first} {number[:2]} {number[2:4]} {number[4:]} {rng.choice('ABCD')}")
    )


def _nhs(rng: random.Random) -> str:
    while True:
        body = [rng.randint(0, 9) for _ in range(9)]
        check = 11 - sum(digit * (10 - i) for i, digit in enumerate(body)) % 11
        if check != 10 and len(set(body)) > 3:
            text = "".join(map(str, [*body, check % 11]))
            return f"{text[:3]} {text[3:6]} {text[6:]}" if rng.random() < 0.5 else text


def _german_tax_id(rng: random.Random) -> str:
    """Ten digits of which one occurs twice, and the ISO 7064 MOD 11,10 check digit."""
    while True:
        body = rng.sample(range(10), 9)
        body.append(rng.choice(body))
        rng.shuffle(body)
        if body[0]:
            break
    product = 10
    for digit in body:
        total = (digit + product) % 10 or 10
        product = total * 2 % 11
    return "".join(map(str, [*body, (11 - product) % 10]))


def _german_document(rng: random.Random) -> str:
    """Serial number of a passport or identity card with its check digit (ICAO 9303)."""
    alphabet = "CFGHJKLMNPRTVWXYZ0123456789"
    body = rng.choice("CFGHJK") + "".join(rng.choices(alphabet, k=8))
    if sum(char.isdigit() for char in body) < 3:
        return _german_document(rng)
    numbers = [int(char, 36) for char in body]
    return body + str(sum(number * weight for number, weight in zip(numbers, (7, 3, 1) * 3, strict=True)) % 10)


def _aadhaar(rng: random.Random) -> str:
    """Twelve digits with the Verhoeff check digit."""
    body = [rng.randint(2, 9), *(rng.randint(0, 9) for _ in range(10))]
    table = [[(i + j) % 5 if i < 5 and j < 5 else 0 for j in range(10)] for i in range(10)]
    for i in range(10):
        for j in range(10):
            if i < 5:
                table[i][j] = (i + j) % 5 if j < 5 else 5 + (i + j - 5) % 5
            else:
                table[i][j] = 5 + (i - j - 5) % 5 if j < 5 else (i - j) % 5
    permutation, check = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4), 0
    for i, digit in enumerate(reversed(body), 1):
        permuted = digit
        for _ in range(i % 8):
            permuted = permutation[permuted]
        check = table[check][permuted]
    inverse = (0, 4, 3, 2, 1, 5, 6, 7, 8, 9)
    text = "".join(map(str, [*body, inverse[check]]))
    return f"{text[:4]} {text[4:8]} {text[8:]}" if rng.random() < 0.5 else text
