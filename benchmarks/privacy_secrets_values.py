"""Fresh credentials of about sixty kinds: `VALUES[kind](random.Random)` gives a value that was never issued.

Lengths, prefixes and alphabets are those of the issuers; passwords follow the ways in which people make them.
"""

import base64
import json
import random
import string
import zlib
from collections.abc import Callable

LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
ALNUM = string.ascii_letters + DIGITS
URLSAFE = ALNUM + "-_"
HEX = "0123456789abcdef"

# fmt: off
WORDS = """
sunset marmalade tractor lantern pickle walrus thunder velvet biscuit cactus compass otter dragon panther sailor
blanket pepper cobalt meadow anchor falcon ginger hammer igloo jigsaw kettle lemon mustard noodle orchid parrot quartz
raccoon saddle teapot umbrella violin waffle yellow zebra almond bottle candle dolphin engine forest guitar hazel
island jungle kitten ladder magnet nickel oyster pirate rabbit shadow turtle uncle volcano wizard badger coffee
summer winter autumn spring monkey princess football soccer hockey chocolate cookie butter cheese purple orange
silver golden freedom password welcome letmein secret admin buddy bella charlie pumpkin starwars batman pokemon
schatz sommer urlaub kaffee garten hamster fussball bayern drachen katze hund regenbogen schmetterling bergziege
soleil maison chaton jardin fromage montagne papillon bonjour voiture citron doudou etoile mamie chouchou
corazon princesa estrella familia gatito verano mariposa tequiero montana perrito playa guapa naranja
amore ciao stella gattino juventus farfalla cielo nonna pizza mare bambola tesoro
saudade benfica estrela coracao gatinho praia cachorro flamengo bolinha amizade
welkom zomer fiets hagelslag poesje ajax vlinder konijn stroopwafel
""".split()
FIRST = """
emma lucas sophie max anna leon marie julien camille hugo carmen diego lucia pablo giulia marco chiara luca joao
ines tiago beatriz daan sanne bram lotte oliver amelia jack isla mohamed fatima aisha yusuf priya arjun mei wei
kenji yuki olga ivan katya piotr zofia lars ingrid nora rex milo luna simba rocky coco oscar tilly biscuit bruno
jessica ashley michael daniel robert karen linda thomas stefan petra sabine jordan taylor kevin dylan
""".split()
PHRASE = """
correct copper window garage marble silent hungry broken gentle purple rapid wooden clumsy honest frozen velvet
river mirror tunnel pocket carpet basket planet spoon island ticket ladder pencil bridge candle stapler battery
walks sings jumps eats paints breaks forgets carries under over beside without behind across nine seven forty
""".split()
SEED = """
abandon ability absent absorb abstract accuse acid acoustic actor adapt adjust afraid agent airport alarm album alley
amateur anchor ancient angle apple arctic arena armor artist aspect autumn balance bamboo banner barrel basket beach
behave benefit bicycle blanket blossom border bracket brave breeze bronze bubble buffalo burden cabin cactus camera
canal canvas carbon castle casual census cereal chaos cherry chunk citizen clarify clinic cluster coconut column
coral cotton cousin cradle crater crisp cruise crystal curtain cushion dance debris decade decline deer denial depth
derive desert diesel digital dinner display divert dolphin donkey dragon drift dune dutch eagle easily echo ecology
elbow elder electric elegant emerge empower endless energy enforce engage erosion essay eternal evidence exile
fabric fatigue fiction filter finger fiscal flame float fluid fossil fragile frozen fruit furnace gadget galaxy
garment gather genius giant glance globe gospel gravity guitar harvest hazard hockey humble hybrid icon impact
""".split()
WALKS = """
qwerty qwertz azerty asdfgh asdf yxcvbn zxcvbn 1qaz2wsx qazwsx 1q2w3e4r q1w2e3r4 zaq12wsx qweasdzxc poiuyt lkjhgf
1qay2wsx 3edc4rfv mnbvcxz 147258369 qwer1234 asdf4321 !QAZ2wsx ZAQ!2wsx aqwzsx edcrfv 0okm9ijn
""".split()
# fmt: on


def chars(rng: random.Random, alphabet: str, size: int) -> str:
    return "".join(rng.choice(alphabet) for _ in range(size))


def mixed(rng: random.Random, alphabet: str, size: int) -> str:
    """Like chars, with a letter and a digit for certain."""
    while True:
        text = chars(rng, alphabet, size)
        if (
            any(c.isdigit() for c in text)
            and any(c.isalpha() for c in text)
            and text[0].isalnum()
            and text[-1].isalnum()
        ):
            return text


def b64(rng: random.Random, size: int) -> str:
    return base64.b64encode(rng.randbytes(size)).decode()


def b64url(rng: random.Random, size: int) -> str:
    return base64.urlsafe_b64encode(rng.randbytes(size)).decode().rstrip("=")


def uuid(rng: random.Random) -> str:
    text = chars(rng, HEX, 32)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{rng.choice('89ab')}{text[17:20]}-{text[20:]}"


def checksummed(rng: random.Random, prefix: str) -> str:
    body = chars(rng, ALNUM, 30)
    number, digits = zlib.crc32(body.encode()), ""
    order = DIGITS + UPPER + LOWER
    while number:
        number, rest = divmod(number, 62)
        digits = order[rest] + digits
    return prefix + body + digits.rjust(6, "0")


def github(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.3:
        return f"github_pat_11{chars(rng, UPPER + DIGITS, 20)}_{chars(rng, ALNUM, 59)}"
    return checksummed(rng, "ghp_" if kind < 0.85 else rng.choice(["gho_", "ghs_", "ghu_"]))


def slack(rng: random.Random) -> str:
    def number() -> str:
        return rng.choice("12345678") + chars(rng, DIGITS, rng.choice([10, 11, 12]))

    kind = rng.random()
    if kind < 0.7:
        return f"xoxb-{number()}-{number()}-{chars(rng, ALNUM, 24)}"
    if kind < 0.9:
        return f"xoxp-{number()}-{number()}-{number()}-{chars(rng, HEX, 32)}"
    return f"xapp-1-A0{chars(rng, UPPER + DIGITS, 9)}-{number()}-{chars(rng, HEX, 64)}"


def stripe(rng: random.Random) -> str:
    prefix = rng.choice(["sk_live_", "sk_live_", "sk_test_", "rk_live_"])
    if rng.random() < 0.3:
        return prefix + chars(rng, ALNUM, 24)
    return prefix + "51" + chars(rng, ALNUM, 14) + chars(rng, ALNUM, 73) + "00" + chars(rng, ALNUM, 8)


def openai(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.3:
        return f"sk-{chars(rng, ALNUM, 20)}T3BlbkFJ{chars(rng, ALNUM, 20)}"
    prefix = "sk-proj-" if kind < 0.85 else "sk-svcacct-"
    return f"{prefix}{mixed(rng, URLSAFE, 74)}T3BlbkFJ{mixed(rng, URLSAFE, 74)}"


def llm_key(rng: random.Random) -> str:
    return rng.choice(
        [
            lambda: f"sk-ant-api03-{mixed(rng, URLSAFE, 93)}AA",
            lambda: f"sk-ant-api03-{mixed(rng, URLSAFE, 93)}AA",
            lambda: "gsk_" + chars(rng, ALNUM, 20) + "WGdyb3FY" + chars(rng, ALNUM, 24),
            lambda: "pplx-" + chars(rng, ALNUM, 48),
            lambda: "r8_" + chars(rng, ALNUM, 37),
            lambda: "xai-" + chars(rng, ALNUM, 80),
            lambda: "sk-or-v1-" + chars(rng, HEX, 64),
            lambda: "sk-" + chars(rng, HEX, 32),
        ]
    )()


def pypi(rng: random.Random) -> str:
    scope = f'[2,"{uuid(rng)}"]'.encode()
    body = b"\x02\x01\x08pypi.org\x02$" + uuid(rng).encode() + b"\x00\x02*" + scope + b"\x00\x06 " + rng.randbytes(32)
    return "pypi-" + base64.urlsafe_b64encode(body).decode().rstrip("=")


def vendor_key(rng: random.Random) -> str:
    """The long tail of issuers with a prefix."""
    return rng.choice(
        [
            lambda: "lin_api_" + chars(rng, ALNUM, 40),
            lambda: "ntn_" + chars(rng, DIGITS, 11) + chars(rng, ALNUM, 35),
            lambda: "secret_" + chars(rng, ALNUM, 43),
            lambda: f"glsa_{chars(rng, ALNUM, 32)}_{chars(rng, HEX, 8)}",
            lambda: "dckr_pat_" + mixed(rng, URLSAFE, 27),
            lambda: "sntryu_" + chars(rng, HEX, 64),
            lambda: "sbp_" + chars(rng, HEX, 40),
            lambda: "PMAK-" + chars(rng, HEX, 24) + "-" + chars(rng, HEX, 34),
            lambda: "figd_" + mixed(rng, URLSAFE, 40),
            lambda: "pat" + chars(rng, ALNUM, 14) + "." + chars(rng, HEX, 64),
            lambda: "NRAK-" + chars(rng, UPPER + DIGITS, 27),
            lambda: "dapi" + chars(rng, HEX, 32),
            lambda: "xkeysib-" + chars(rng, HEX, 64) + "-" + chars(rng, ALNUM, 16),
            lambda: "rubygems_" + chars(rng, HEX, 48),
            lambda: "re_" + chars(rng, ALNUM, 8) + "_" + chars(rng, ALNUM, 24),
            lambda: "tfp_" + chars(rng, ALNUM, 44),
            lambda: chars(rng, ALNUM, 14) + ".atlasv1." + mixed(rng, URLSAFE, 67),
            lambda: "ATATT3xFfGF0" + mixed(rng, URLSAFE, 171) + "=" + chars(rng, HEX, 8).upper(),
            lambda: "phx_" + chars(rng, ALNUM, 43),
            lambda: "EAAA" + mixed(rng, URLSAFE, 60),
        ]
    )()


def jwt(rng: random.Random) -> str:
    def part(data: dict) -> str:
        return base64.urlsafe_b64encode(json.dumps(data, separators=(",", ":")).encode()).decode().rstrip("=")

    issued = rng.randrange(1_690_000_000, 1_790_000_000)
    payload: dict = {"sub": rng.choice([uuid(rng), str(rng.randrange(10, 99999)), f"user_{chars(rng, ALNUM, 12)}"])}
    if rng.random() < 0.5:
        payload["role"] = rng.choice(["admin", "service_role", "editor", "user"])
    if rng.random() < 0.5:
        payload["iss"] = f"https://auth.{rng.choice(WORDS)}.io/"
    payload |= {"iat": issued, "exp": issued + rng.choice([3600, 86400, 604800])}
    if rng.random() < 0.6:
        return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(payload)}.{b64url(rng, 32)}"
    header = {"alg": "RS256", "typ": "JWT", "kid": chars(rng, HEX, 16)}
    return f"{part(header)}.{part(payload)}.{b64url(rng, 256)}"


_PEM = [
    ("RSA PRIVATE KEY", "MIIEpAIBAAKCAQEA", 1592, "="),
    ("RSA PRIVATE KEY", "MIIEowIBAAKCAQEA", 1588, ""),
    ("PRIVATE KEY", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ", 1624, "=="),
    ("EC PRIVATE KEY", "MHcCAQEEI", 164, "=="),
    (
        "OPENSSH PRIVATE KEY",
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQyNTUxOQAAACA",
        348,
        "=",
    ),
]


def pem(rng: random.Random, use: str = "KEY") -> str:
    """A private key in armour; `use` is a part of the labels that fit."""
    label, head, size, end = rng.choice([form for form in _PEM if use in form[0]])
    body = head + chars(rng, ALNUM + "+/", size - len(head) - len(end)) + end
    width = 70 if "OPENSSH" in label else 64
    lines = [body[at : at + width] for at in range(0, len(body), width)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"])


def pkcs8(rng: random.Random) -> str:
    while not (text := pem(rng)).startswith("-----BEGIN PRIVATE"):
        pass
    return text


def leet(rng: random.Random, word: str) -> str:
    table = {"a": "4@", "e": "3", "i": "1!", "o": "0", "s": "5$", "t": "7", "l": "1"}
    return "".join(rng.choice(table[c]) if c in table and rng.random() < 0.65 else c for c in word)


def tail(rng: random.Random) -> str:
    """What people put behind a word."""
    return rng.choice(
        [
            lambda: str(rng.randrange(1950, 2027)),
            lambda: str(rng.randrange(1950, 2027)) + "!",
            lambda: f"{rng.randrange(0, 100):02}",
            lambda: f"{rng.randrange(0, 100):02}!",
            lambda: rng.choice(["123", "1234", "12345", "123!", "007", "69", "321", "1", "99"]),
            lambda: str(rng.randrange(100, 1000)),
            lambda: rng.choice("@#_-.") + str(rng.randrange(1, 3000)),
            lambda: (
                rng.choice(["!", "!!", "?", "*", "$", "#1"])
                if rng.random() < 0.4
                else str(rng.randrange(10, 9999)) + "#"
            ),
        ]
    )()


def word_digits(rng: random.Random) -> str:
    word = rng.choice(WORDS)
    return (word.capitalize() if rng.random() < 0.65 else word) + tail(rng)


def name_year(rng: random.Random) -> str:
    name, year = rng.choice(FIRST), rng.randrange(1948, 2026)
    name = name.capitalize() if rng.random() < 0.6 else name
    second = rng.choice(FIRST).capitalize()
    date = f"{rng.randrange(1, 29):02}{rng.randrange(1, 13):02}"
    return rng.choice(
        [
            f"{name}{year}",
            f"{name}{year % 100:02}",
            f"{name}{second}{year}",
            f"{name}_{year}",
            f"{name}{date}",
            f"{name}+{second}",
            f"ilove{name}",
            f"{name}{date}{year % 100:02}",
            f"{name}.{year}!",
        ]
    )


def joined(rng: random.Random) -> str:
    words = rng.sample(WORDS, rng.choice([2, 2, 3, 3, 4]))
    if rng.random() < 0.6:
        words = [word.capitalize() for word in words]
    text = rng.choice(["", "", "-", "_", "."]).join(words)
    return text + (str(rng.randrange(1, 999)) if rng.random() < 0.5 else "")


def generated(rng: random.Random, specials: str = "!@#$%^*-_+=?") -> str:
    size = rng.choice([8, 10, 12, 12, 14, 16, 16, 20, 24])
    while True:
        text = chars(rng, ALNUM + specials, size)
        if text[0].isalnum() and text[-1].isalnum() and sum(map(str.isdigit, text)) and sum(map(str.isupper, text)):
            return text


def apple(rng: random.Random) -> str:
    """What browsers and telephones propose."""
    text = list("-".join(chars(rng, LOWER, 6) for _ in range(3)))
    spots = [at for at, c in enumerate(text) if c != "-"]
    one, two = rng.sample(spots, 2)
    text[one], text[two] = rng.choice(DIGITS), rng.choice(UPPER)
    return "".join(text)


def walk(rng: random.Random) -> str:
    text = rng.choice(WALKS)
    return rng.choice([text + tail(rng), text.capitalize() + tail(rng), text + rng.choice(WALKS)])


def passphrase(rng: random.Random) -> str:
    words = rng.sample(PHRASE, rng.choice([4, 4, 5, 6]))
    sep = rng.choice([" ", " ", "-", "-", ".", "_"])
    if rng.random() < 0.3:
        words = [word.capitalize() for word in words]
    return sep.join(words)


def initials(rng: random.Random) -> str:
    """The first letters of a sentence."""
    text = "".join(rng.choice(LOWER + UPPER) for _ in range(rng.randrange(6, 11)))
    return text + rng.choice("!?&%$") + str(rng.randrange(1, 100))


def personal_password(rng: random.Random) -> str:
    makers = [
        word_digits,
        name_year,
        lambda r: leet(r, r.choice(WORDS)) + tail(r),
        walk,
        joined,
        generated,
        apple,
        initials,
        lambda r: r.choice(WORDS),
    ]
    return rng.choices(makers, [26, 16, 10, 6, 13, 14, 5, 4, 6])[0](rng)


def url_password(rng: random.Random) -> str:
    """A password that needs no escaping in URLs, shells, XML or configuration without quotes."""
    while True:
        text = rng.choice(
            [
                word_digits,
                joined,
                name_year,
                lambda r: generated(r, ""),
                lambda r: generated(r, "-_."),
                lambda r: generated(r, "-_"),
                lambda r: chars(r, HEX, r.choice([16, 24, 32])),
                lambda r: mixed(r, ALNUM, r.choice([16, 20, 32])),
            ]
        )(rng)
        if all(c in ALNUM + "-_." for c in text) and len(text) >= 6:
            return text


def db_password(rng: random.Random) -> str:
    """For places with quotes around."""
    service = rng.choice(["postgres", "mysql", "Admin", "Root", "App", "Prod", "Db", "Staging", "Backup", "Grafana"])
    return rng.choice(
        [
            generated,
            generated,
            word_digits,
            personal_password,
            url_password,
            url_password,
            lambda r: f"{service}{r.choice('@_!#-')}{r.randrange(2015, 2027)}",
            lambda r: leet(r, "password") + tail(r),
            lambda r: leet(r, service) + tail(r),
        ]
    )(rng)


def wifi_password(rng: random.Random) -> str:
    makers = [
        lambda: chars(rng, DIGITS, rng.choice([8, 16, 20])),
        lambda: chars(rng, UPPER + DIGITS, rng.choice([8, 10, 12])),
        lambda: mixed(rng, ALNUM, rng.choice([10, 12, 16])),
        lambda: joined(rng),
        lambda: word_digits(rng),
        lambda: word_digits(rng),
        lambda: f"{rng.choice(WORDS)}-{rng.choice(WORDS)}-{rng.randrange(10, 1000)}",
        lambda: f"{rng.choice(PHRASE)}{rng.choice(PHRASE)}{rng.randrange(100, 1000)}",
    ]
    while len(text := rng.choice(makers)()) < 8:
        pass
    return text


def pin(rng: random.Random) -> str:
    return chars(rng, DIGITS, rng.choices([4, 5, 6, 8], [55, 10, 27, 8])[0])


def recovery_code(rng: random.Random) -> str:
    return rng.choice(
        [
            lambda: f"{chars(rng, HEX, 5)}-{chars(rng, HEX, 5)}",
            lambda: f"{chars(rng, DIGITS, 4)} {chars(rng, DIGITS, 4)}",
            lambda: f"{chars(rng, LOWER + DIGITS, 4)}-{chars(rng, LOWER + DIGITS, 4)}-{chars(rng, LOWER + DIGITS, 4)}",
            lambda: "-".join(chars(rng, UPPER + DIGITS, 5) for _ in range(5)),
            lambda: mixed(rng, UPPER + DIGITS, 10),
        ]
    )()


def totp(rng: random.Random) -> str:
    return chars(rng, UPPER + "234567", rng.choice([16, 16, 32, 32, 52]))


def crypt(rng: random.Random) -> str:
    text = ALNUM + "./"
    return rng.choice(
        [
            lambda: f"$6${chars(rng, text, 16)}${chars(rng, text, 86)}",
            lambda: f"$y$j9T${chars(rng, text, 22)}${chars(rng, text, 43)}",
            lambda: f"$5${chars(rng, text, 16)}${chars(rng, text, 43)}",
        ]
    )()


def htpasswd(rng: random.Random) -> str:
    text = ALNUM + "./"
    return rng.choice(
        [
            lambda: f"$apr1${chars(rng, text, 8)}${chars(rng, text, 22)}",
            lambda: f"$2y$05${chars(rng, text, 53)}",
            lambda: f"$2y$10${chars(rng, text, 53)}",
            lambda: "{SHA}" + b64(rng, 20),
        ]
    )()


def bcrypt(rng: random.Random) -> str:
    return f"$2{rng.choice('aby')}${rng.choice(['10', '11', '12'])}${chars(rng, ALNUM + './', 53)}"


def framework_hash(rng: random.Random) -> str:
    """A password's hash as web frameworks keep it."""
    salt = chars(rng, ALNUM, 22)
    if rng.random() < 0.5:
        return f"$argon2id$v=19$m=65536,t=3,p=4${b64(rng, 16).rstrip('=')}${b64(rng, 32).rstrip('=')}"
    return f"pbkdf2_sha256${rng.choice(['600000', '720000', '870000'])}${salt}${b64(rng, 32)}"


def google_app_password(rng: random.Random) -> str:
    return " ".join(chars(rng, LOWER, 4) for _ in range(4))


def discord_token(rng: random.Random) -> str:
    number = str(rng.randrange(10**17, 13 * 10**17))
    head = base64.b64encode(number.encode()).decode().rstrip("=")
    return f"{head}.G{mixed(rng, URLSAFE, 5)}.{mixed(rng, URLSAFE, 38)}"


def generic_key(rng: random.Random) -> str:
    return rng.choice(
        [
            lambda: chars(rng, HEX, rng.choice([32, 40, 64])),
            lambda: mixed(rng, ALNUM, rng.choice([20, 24, 32, 40, 48])),
            lambda: uuid(rng),
            lambda: b64(rng, rng.choice([24, 30, 48])),
            lambda: b64url(rng, rng.choice([24, 32, 33])),
            lambda: chars(rng, LOWER + DIGITS, rng.choice([24, 32])),
        ]
    )()


def text_key(rng: random.Random) -> str:
    """Secrets that developers type themselves for signing: words as often as noise."""
    return rng.choice(
        [
            lambda: f"{rng.choice(WORDS)}-{rng.choice(WORDS)}-secret-{rng.randrange(1, 2000)}",
            lambda: f"my{rng.choice(WORDS).capitalize()}{rng.choice(WORDS).capitalize()}JwtKey{rng.randrange(1, 100)}",
            lambda: chars(rng, HEX, rng.choice([32, 64])),
            lambda: mixed(rng, ALNUM, rng.choice([32, 50])),
            lambda: b64url(rng, 32),
            lambda: mixed(rng, ALNUM + "!@^*-_=+", 50),
        ]
    )()


def seed_phrase(rng: random.Random) -> str:
    return " ".join(rng.sample(SEED, rng.choice([12, 12, 12, 24])))


def webhook_path(rng: random.Random) -> str:
    return b64url(rng, 24)


VALUES: dict[str, Callable[[random.Random], str]] = {
    "aws_secret": lambda r: mixed(r, ALNUM + "/+", 40),
    "aws_key_id": lambda r: "AKIA" + chars(r, UPPER + "234567", 16),
    "aws_temporary_id": lambda r: "ASIA" + chars(r, UPPER + "234567", 16),
    "aws_session_token": lambda r: "IQoJb3JpZ2luX2Vj" + b64(r, 300),
    "github_token": github,
    "gitlab_token": lambda r: r.choice(["glpat-", "glpat-", "gldt-", "glrt-"]) + mixed(r, URLSAFE, 20),
    "slack_token": slack,
    "slack_webhook": lambda r: chars(r, ALNUM, 24),
    "discord_token": discord_token,
    "discord_webhook": lambda r: mixed(r, URLSAFE, 68),
    "telegram_token": lambda r: f"{r.randrange(10**8, 79 * 10**8)}:AA{r.choice('EFGH')}{mixed(r, URLSAFE, 32)}",
    "stripe_key": stripe,
    "signing_secret": lambda r: "whsec_" + (chars(r, ALNUM, 32) if r.random() < 0.6 else chars(r, HEX, 64)),
    "openai_key": openai,
    "llm_key": llm_key,
    "hf_token": lambda r: "hf_" + chars(r, string.ascii_letters, 34),
    "google_api_key": lambda r: "AIzaSy" + mixed(r, URLSAFE, 33),
    "google_oauth_secret": lambda r: "GOCSPX-" + mixed(r, URLSAFE, 28),
    "google_app_password": google_app_password,
    "npm_token": lambda r: checksummed(r, "npm_"),
    "pypi_token": pypi,
    "twilio_token": lambda r: chars(r, HEX, 32),
    "sendgrid_key": lambda r: f"SG.{mixed(r, URLSAFE, 22)}.{mixed(r, URLSAFE, 43)}",
    "mailgun_key": lambda r: (
        "key-" + chars(r, HEX, 32) if r.random() < 0.5 else f"{chars(r, HEX, 32)}-{chars(r, HEX, 8)}-{chars(r, HEX, 8)}"
    ),
    "azure_storage_key": lambda r: b64(r, 64),
    "azure_shared_key": lambda r: b64(r, 32),
    "azure_client_secret": lambda r: f"{chars(r, ALNUM, 3)}8Q~{mixed(r, ALNUM + '-_.~', 34)}",
    "digitalocean_token": lambda r: r.choice(["dop_v1_", "dop_v1_", "doo_v1_"]) + chars(r, HEX, 64),
    "shopify_token": lambda r: r.choice(["shpat_", "shpat_", "shpss_", "shpca_"]) + chars(r, HEX, 32),
    "datadog_key": lambda r: chars(r, HEX, 32),
    "heroku_key": uuid,
    "cloudflare_token": lambda r: mixed(r, URLSAFE, 40),
    "vault_token": lambda r: "hvs.CAES" + mixed(r, URLSAFE, 86) if r.random() < 0.6 else "hvs." + chars(r, ALNUM, 24),
    "vendor_key": vendor_key,
    "generic_hex": lambda r: chars(r, HEX, r.choice([32, 32, 40, 48, 64])),
    "generic_base64": lambda r: b64(r, r.choice([32, 32, 32, 32, 16, 24, 64])),
    "generic_uuid": uuid,
    "generic_key": generic_key,
    "text_key": text_key,
    "opaque_token": lambda r: b64url(r, r.choice([24, 32, 48, 64])),
    "jwt": jwt,
    "pem": pem,
    "pem_tls": lambda r: pem(r, r.choice(["RSA", "EC "])) if r.random() < 0.6 else pkcs8(r),
    "pem_escaped": lambda r: pkcs8(r).replace("\n", "\\n"),
    "db_password": db_password,
    "url_password": url_password,
    "personal_password": personal_password,
    "passphrase": passphrase,
    "wifi_password": wifi_password,
    "pin": pin,
    "session_php": lambda r: chars(r, LOWER + DIGITS, 26),
    "session_java": lambda r: chars(r, HEX, 32).upper(),
    "session_express": lambda r: (
        f"s%3A{mixed(r, URLSAFE, 32)}.{b64(r, 32).rstrip('=').replace('/', '%2F').replace('+', '%2B')}"
    ),
    "session_django": lambda r: chars(r, LOWER + DIGITS, 32),
    "csrf_token": lambda r: chars(r, ALNUM, r.choice([32, 64])),
    "totp_seed": totp,
    "recovery_code": recovery_code,
    "seed_phrase": seed_phrase,
    "htpasswd_hash": htpasswd,
    "shadow_hash": crypt,
    "bcrypt_hash": bcrypt,
    "framework_hash": framework_hash,
    "hex32": lambda r: chars(r, HEX, 32),
    "basic_auth": lambda r: base64.b64encode(f"{r.choice(FIRST)}:{url_password(r)}".encode()).decode(),
}
