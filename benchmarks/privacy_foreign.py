"""Identifiers and secrets in the surroundings of files, forms and letters: a third set, new at its first run.

Values are Faker's (with valid check digits) or drawn from what an issuer publishes; labels are the infoTypes of
Google's Cloud DLP in params.yaml and the names of services, so that no label was chosen for the recognisers; each value
stands in fourteen surroundings that the other sets do not have. Its author wrote the
recognisers too. What the first run found stands in docs/decisions.md.
"""

import random
import re
import string
from functools import partial

import phonenumbers
from faker import Faker

from benchmarks.privacy_sets import Case

_ALNUM, _HEX = string.ascii_letters + string.digits, "0123456789abcdef"
# Labels are those of params.yaml's info_types, in small letters; a few have none there.
_LABELS = {
    "PHONE_NUMBER": "phone number", "EMAIL_ADDRESS": "email address", "CREDIT_CARD": "credit card number",
    "IBAN_CODE": "iban code", "IP_ADDRESS": "ip address", "US_SSN": "us social security number",
    "US_ITIN": "us individual taxpayer identification number", "US_PASSPORT": "us passport",
    "UK_NINO": "uk national insurance number", "UK_PASSPORT": "uk passport",
    "UK_DRIVING_LICENCE": "uk drivers license number", "US_DRIVER_LICENSE": "us drivers license number",
    "FR_NIR": "france nir", "ES_NIF": "spain nif number", "ES_NIE": "spain nie number", "ES_PASSPORT": "spain passport",
    "IT_FISCAL_CODE": "italy fiscal code", "IT_PASSPORT": "italy passport", "IN_PAN": "india pan individual",
    "IN_PASSPORT": "india passport", "DE_PASSPORT": "germany passport", "DE_ID_CARD": "germany identity card number",
}  # fmt: skip
_SERVICES = (
    "Algolia", "Bitbucket", "Cloudflare", "Contentful", "Datadog", "Fastly", "Finnhub", "Intercom", "Mixpanel",
    "Netlify",
    "Okta", "Pusher", "Segment", "Sendbird", "Snyk", "Twitch", "Zendesk", "internal billing", "warehouse", "staging",
)  # fmt: skip
_KINDS = ("api key", "access token", "client secret", "auth token", "secret key", "signing key", "webhook secret")
_PASSWORDS = ("password", "db password", "smtp password", "admin passwd", "wifi password", "vpn password")

_SHAPES = {
    "hex": (_HEX, 32),
    "letters and digits": (_ALNUM, 40),
    "small": (string.digits + string.ascii_lowercase, 24),
    "url-safe": (_ALNUM + "-_", 43),
    "capitals": (string.ascii_uppercase + string.digits, 32),
}


def _surroundings(label: str, value: str) -> list[str]:
    words = re.findall(r"\w+", label)
    snake, camel = "_".join(words).lower(), words[0].lower() + "".join(word.title() for word in words[1:])
    return [
        f"Ticket 4711: the {label} is {value}. Please summarise it.",
        f"{label.title()}\t{value}\nStatus\topen",
        f'[{{"row": 1}}, {{"{snake}": "{value}"}}]',
        f"--- \n{camel}: '{value}'\nretries: 3",
        f"{snake.upper()}={value}\nLOG_LEVEL=info",
        f'<field name="{snake}">{value}</field>',
        f'def check():\n    {snake} = "{value}"\n    assert valid({snake})',
        f"{label.upper()} : {value};",
        f"Dear team,\nmy {label} has changed to {value}\nKind regards",
        f"* **{label}**: `{value}`\n* done",
        f"Bonjour, voici mon {label} : {value}, merci de le corriger.",
        f"INSERT INTO t ({snake}) VALUES ('{value}');",
        f"GET /v1/items?{snake}={value}&page=2 returns 400, why?",
        f"id;{snake};state\n1;{value};new\n",
    ]


def foreign_values(*, copies: int, seed: int = 41) -> list[Case]:
    """`copies` prompts of each type and, three times as many, of each shape of secret; group is the type."""
    rng = random.Random(seed)
    out = []
    for entity, values in _identifiers(rng, seed, copies).items():
        for i, value in enumerate(values):
            out.append(_case(entity, entity, _surroundings(_LABELS[entity], value)[i % 14], value))
    for shape, (alphabet, size) in _SHAPES.items():
        for i in range(3 * copies):
            label = f"{rng.choice(_SERVICES)} {rng.choice(_KINDS)}"
            value = rng.choice("abcdef") + "".join(rng.choices(alphabet, k=size - 3))
            value += rng.choice(string.digits) + rng.choice(_HEX)
            out.append(_case(f"SECRET ({shape})", "SECRET", _surroundings(label, value)[i % 14], value))
    for i in range(3 * copies):
        value = "".join(rng.choices(string.ascii_letters, k=6)) + rng.choice("!#%+")
        value += f"{rng.randint(10, 9999)}" + rng.choice("aXk")
        label = rng.choice(_PASSWORDS)
        out.append(_case("SECRET (password)", "SECRET", _surroundings(label, value)[i % 14], value))
    return out


def _case(group: str, entity: str, text: str, value: str) -> Case:
    start = text.rindex(value)
    return Case(group, text, ((start, start + len(value), entity),))


def _identifiers(rng: random.Random, seed: int, copies: int) -> dict[str, list[str]]:
    fakers = {name: Faker(name) for name in ("en_US", "en_GB", "fr_FR", "de_DE", "es_ES", "it_IT", "nl_NL", "pl_PL")}
    for faker in fakers.values():
        faker.seed_instance(seed)
    us, gb, fr, es = fakers["en_US"], fakers["en_GB"], fakers["fr_FR"], fakers["es_ES"]

    def filled(*patterns: str) -> str:
        """#: a digit, %: one from 2 to 9, &: a capital."""
        draw = {"#": string.digits, "%": "23456789", "&": string.ascii_uppercase}
        return "".join(rng.choice(draw[char]) if char in draw else char for char in rng.choice(patterns))

    def card() -> str:
        while len(number := us.credit_card_number()) < 13:
            continue
        return rng.choice(("", " ", "-")).join(re.findall(".{1,4}", number))

    def nino() -> str:
        first = rng.choice("ABCEHJLMRSTWXY") + rng.choice("ABCEHJLMRSTWXY")
        return first + filled("######", " ## ## ## ", "-##-##-##-", " ###### ") + rng.choice("ABCD")

    def german(first: str) -> str:
        return rng.choice(first) + "".join(rng.choices("CFGHJKLMNPRTVWXYZ0123456789", k=7)) + rng.choice("0123456789")

    makers = {
        "PHONE_NUMBER": partial(_phone, rng, fakers),
        "EMAIL_ADDRESS": lambda: rng.choice((us, fr, gb)).email(safe=False),
        "CREDIT_CARD": card,
        "IBAN_CODE": lambda: rng.choice(list(fakers.values())).iban(),
        "IP_ADDRESS": lambda: us.ipv4_public() if rng.random() < 0.7 else us.ipv6(),
        "US_SSN": us.ssn,
        "US_ITIN": us.itin,
        "US_PASSPORT": us.passport_number,
        "UK_NINO": nino,
        "UK_PASSPORT": lambda: filled("%########"),
        "UK_DRIVING_LICENCE": lambda: (
            filled("&&&&&#") + f"{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}" + filled("#&&#&&")
        ),
        "US_DRIVER_LICENSE": lambda: filled(
            "&#######", "&###-####-####", "########", "&############", "&&######", "&##-##-####"
        ),
        "FR_NIR": fr.ssn,
        "ES_NIF": es.nif,
        "ES_NIE": es.nie,
        "ES_PASSPORT": lambda: filled("&&&######"),
        "IT_FISCAL_CODE": fakers["it_IT"].ssn,
        "IT_PASSPORT": lambda: filled("Y&#######"),
        "IN_PAN": lambda: filled("&&&P&####&"),
        "IN_PASSPORT": lambda: filled("&%#####%"),
        "DE_PASSPORT": lambda: german("CFGHJK"),
        "DE_ID_CARD": lambda: german("LMNPRTVWXY"),
    }
    return {entity: [make() for _ in range(copies)] for entity, make in makers.items()}


def _phone(rng: random.Random, fakers: dict[str, Faker]) -> str:
    """A number that its country could dial, as Faker writes it."""
    while True:
        name = rng.choice(list(fakers))
        number = fakers[name].phone_number()
        try:
            if phonenumbers.is_possible_number(phonenumbers.parse(number, name[-2:])):
                return str(number)
        except phonenumbers.NumberParseException:
            continue
