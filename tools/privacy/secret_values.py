"""Values for the slots of tools/privacy/text/secrets-*.txt: secrets as people choose or get them, and what is none.

`make(slot, rng)` gives a value of a slot; `SECRETS` are the slots whose values are secrets. All values are made up.
"""

import random
import string
from collections.abc import Callable
from functools import cache

from tools.privacy import sources


def _words(text: str) -> list[str]:
    return text.split()


SECRETS = frozenset(("pw", "word", "phrase", "hyph", "pin4", "pin6", "pin8", "pin6s", "code", "gen", "wifi", "answer"))
_DIGITS, _LOWER, _UPPER = string.digits, string.ascii_lowercase, string.ascii_uppercase
_SIGNS = "!!!!?#$%&*@+-_.=~^"
_CROCKFORD = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_LEET = str.maketrans({"a": "4", "e": "3", "i": "1", "o": "0", "s": "5"})
_LEET_SIGNS = str.maketrans({"a": "@", "s": "$", "i": "!", "o": "0"})
_WALKS = _words("""
    qwerty qwertz azerty asdf asdfgh yxcv zxcv zxcvbn 1q2w3e qazwsx 1qaz2wsx qweasd
""")
_BEASTS = _words("""
    tiger lion bear wolf eagle falcon otter panda koala zebra rabbit monkey dragon phoenix shark dolphin kitten
    puppy hamster raven katze hund hase pferd vogel adler schmetterling chat chien lapin cheval loup renard perro
    gato caballo conejo lobo mariposa gatto cane cavallo lupo farfalla coniglio hond kat paard konijn vlinder
    cachorro cavalo coelho borboleta leao
""")
_THINGS = _words("""
    summer winter autumn spring sunshine moonlight coffee chocolate cookie pizza football guitar piano garden river
    mountain ocean sommer winter herbst frühling sonne mond kaffee schokolade kuchen fussball gitarre garten fluss
    berg schlüssel été hiver printemps soleil lune café chocolat gâteau guitare jardin montagne bonjour maison
    verano invierno primavera sol luna montaña playa casa familia estate inverno sole montagna mare famiglia amore
    zomer lente zon maan koffie fiets huis verao praia sorriso amor saudade liverpool arsenal chelsea juventus
    barcelona benfica ajax bayern marseille schalke batman superman pokemon naruto minecraft starwars matrix
    hogwarts gandalf metallica nirvana beatles harley corvette ferrari mustang vespa toyota
""")
_COMMON = _words("""
    welcome willkommen bienvenue bienvenido benvenuto welkom password passwort motdepasse letmein changeme office
    sales admin temp start hallo hello ciao hola guest gast
""")
_ANSWERS = (
    "{first}",
    "{last}",
    "{town}",
    "{beast}",
    "{first} {last}",
    "{town} Primary",
    "Rue de {town}",
    "{last} Street",
    "Fluffy",
    "{thing}",
    "{last}straße",
)


@cache
def _names_and_towns() -> list[str]:
    """Names and towns, in small letters."""
    people = [sources.person_names(locale) for locale in sources.train_locales()]
    names = sorted(
        {name.lower() for first, last in people for name in (*first, *last) if name.isalpha() and len(name) > 2}
    )
    towns = sorted({name.lower() for name, _, _ in sources.towns(300_000) if name.isalpha() and name.isascii()})
    return [*names, *towns]


def _word(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.35:
        return rng.choice(_names_and_towns())
    return rng.choice(_BEASTS if draw < 0.6 else _THINGS if draw < 0.95 else _COMMON)


def _chars(rng: random.Random, alphabet: str, count: int) -> str:
    return "".join(rng.choices(alphabet, k=count))


def _case(word: str, rng: random.Random) -> str:
    draw = rng.random()
    return word.capitalize() if draw < 0.5 else word.upper() if draw < 0.55 else word


def _number(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.35:
        return str(rng.randint(1940, 2027))
    if draw < 0.5:
        return rng.choice(("1", "12", "123", "1234", "321", "007", "69", "77", "99", "11", "00"))
    if draw < 0.6:
        year = rng.choice(("", str(rng.randint(60, 99)), str(rng.randint(1960, 2010))))
        return f"{rng.randint(1, 28):02d}{rng.randint(1, 12):02d}{year}"
    return _chars(rng, _DIGITS, rng.randint(1, 4))


def _sign(rng: random.Random) -> str:
    return rng.choice(_SIGNS)


def password(rng: random.Random) -> str:
    """As people make them up: words, years, signs, letters exchanged, walks over the keyboard."""
    word, other = _word(rng), _word(rng)
    form = rng.randrange(29)
    if form < 3:
        return _case(word, rng) + _number(rng) + _sign(rng)
    if form < 6:
        return _case(word, rng) + _number(rng)
    if form == 6:
        return _case(word, rng) + _sign(rng) + _number(rng)
    if form == 7:
        return _sign(rng) + word + _number(rng) + _chars(rng, _UPPER, rng.randint(0, 2))
    if form == 8:
        return word.translate(rng.choice((_LEET, _LEET_SIGNS))).replace(" ", "") + rng.choice(
            ("", _number(rng), _sign(rng))
        )
    if form == 9:
        return _case(word, rng) + _case(other, rng) + rng.choice((_number(rng), _number(rng) + _sign(rng)))
    if form == 10:
        return _case(word, rng) + rng.choice("-_.+&@") + _case(other, rng) + rng.choice(("", _number(rng)))
    if form == 11:
        return rng.choice(_WALKS) + rng.choice(
            (_number(rng), _sign(rng) + _number(rng), word, _sign(rng) + _chars(rng, _LOWER, 3))
        )
    if form == 12:
        return _number(rng) + _case(word, rng) + rng.choice(("", _sign(rng), other))
    if form == 13:
        return _chars(rng, _LOWER + _DIGITS, rng.randint(6, 10))
    if form == 14:
        return _chars(rng, string.ascii_letters + _DIGITS, rng.randint(7, 14))
    if form == 15:
        return generated(rng)
    if form == 16:
        return _case(word[:4], rng) + _sign(rng) + _number(rng) + _case(other[:3], rng)
    if form == 17:
        return _case(word, rng) + rng.choice(("*", "#", "!", "+1", "!!", "@1", "123!", "#1", "$"))
    if form == 18:
        return _case(word, rng) + "".join(rng.choices(_SIGNS + _DIGITS, k=rng.randint(3, 5)))
    if form == 26:  # as helpdesks hand them out
        return (
            rng.choice(_COMMON).capitalize()
            + rng.choice(("", "-", "!", "#"))
            + str(rng.randint(1, 2027))
            + rng.choice(("", "!", "!!", "#", "*"))
        )
    if form == 27:  # one letter exchanged
        at = rng.randrange(len(word))
        return _case(
            word[:at] + word[at:].replace("o", "0", 1).replace("e", "3", 1).replace("i", "1", 1), rng
        ) + rng.choice(("", "", "!", _number(rng)))
    if form == 28:
        return _case(_chars(rng, _LOWER, 3), rng) + _chars(rng, _DIGITS, rng.randint(2, 4))
    if form == 19:
        return f"{rng.randint(1, 99)}{word}{rng.randint(1, 99)}"
    if form == 20:  # the first letters of a sentence
        return (
            "".join(rng.choice(_LOWER + _UPPER[:9]) for _ in range(rng.randint(4, 7)))
            + rng.choice(("-", "", "!", "&"))
            + _number(rng)
            + rng.choice(("", "!", _chars(rng, _UPPER + _LOWER, 2)))
        )
    if form == 21:
        return f"{word}.{other}{_number(rng)}"
    if form == 22:
        return word + _chars(rng, _DIGITS, rng.randint(1, 3)) + other
    if form == 23:
        return word + rng.choice(("123", "1234", "12345", "123456", "1", "2", "99", "007", "2020", "2024"))
    if form == 24:
        return (
            "".join(_case(item, rng) for item in (word[:5], other[:5]))
            + _chars(rng, _SIGNS, 1)
            + _chars(rng, _DIGITS, 2)
        )
    return f"{_case(word, rng)}{_sign(rng)}{_case(other, rng)}{rng.choice(('', _number(rng), _sign(rng)))}"


def generated(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.2:  # as phones propose them
        letters = rng.choice((_LOWER, _LOWER, string.ascii_letters + _DIGITS))
        return "-".join(_chars(rng, letters, 5) + rng.choice(_DIGITS + letters) for _ in range(3))
    signs = rng.choice(("!@#$%^&*", "!#%&*+-=?_", "_-.", "!@#$%^&*()_+-=[]{};:,.<>?/"))
    length = rng.randint(8, 20)
    return "".join(rng.choice(rng.choice((_LOWER, _LOWER, _UPPER, _DIGITS, signs))) for _ in range(length))


# codespell:ignore-begin
_SENTENCES = (
    "{who} {did} the {thing} in {n}",
    "never {do} the {thing} after {n}",
    "{n} {thing}s on a {beast}",
    "my {thing} ate {n} {thing}s",
    "{beast} {do} {thing} {n}",
    "the {beast} is under the {thing}",
    "i {do} my {thing} every {beast}",
    "mein {beast} mag {thing} nicht",
    "{n} {thing} und ein {beast}",
    "ich sah {n} {beast} am {thing}",
    "mon {beast} mange {n} {thing}",
    "le {beast} dort sur la {thing}",
    "mi {beast} come {thing} en {n}",
    "el {beast} de la {thing} azul",
    "il {beast} dorme sulla {thing}",
    "o {beast} come {n} {thing}",
    "de {beast} eet geen {thing}",
    "{n} {beast} in een {thing}",
)
# codespell:ignore-end
_PEOPLE, _DONE = ("we", "they", "my sister", "old tom", "nobody"), ("bought", "lost", "painted", "ate", "sold", "found")
_DO = ("feed", "paint", "eat", "sell", "wash", "carry", "follow")


def _sentence(rng: random.Random) -> str:
    return rng.choice(_SENTENCES).format(
        who=rng.choice(_PEOPLE), did=rng.choice(_DONE), do=rng.choice(_DO),
        thing=rng.choice(_THINGS), beast=rng.choice(_BEASTS),
        n=rng.choice((rng.randint(2, 99), rng.randint(1960, 2024))),
    )  # fmt: skip


def phrase(rng: random.Random) -> str:
    if rng.random() < 0.25:
        return _sentence(rng)
    words = [_word(rng) for _ in range(rng.randint(3, 6))]
    if rng.random() < 0.25:
        words.insert(rng.randint(1, len(words)), str(rng.randint(1, 99)))
    draw = rng.random()
    if draw < 0.2:
        small = ("the", "my", "and", "of", "in", "le", "und", "mein", "la", "con", "de", "een", "o", "e")
        words.insert(rng.randint(0, len(words)), rng.choice(small))
    text = " ".join(words)
    return text.capitalize() if rng.random() < 0.2 else text.title() if rng.random() < 0.1 else text


def _hyphenated(rng: random.Random) -> str:
    sign = rng.choice("---..__")
    if rng.random() < 0.2:
        return "".join(_word(rng).capitalize() for _ in range(rng.randint(3, 5)))
    return sign.join(_word(rng) for _ in range(rng.randint(3, 5))) + rng.choice(("", "", sign + _number(rng)))


def _pin(count: int) -> Callable[[random.Random], str]:
    def make(rng: random.Random) -> str:
        if rng.random() < 0.25 and count == 4:
            return rng.choice((str(rng.randint(1935, 2015)), f"{rng.randint(1, 28):02d}{rng.randint(1, 12):02d}"))
        return _chars(rng, _DIGITS, count)

    return make


def _grouped(rng: random.Random) -> str:
    digits, sign = _chars(rng, _DIGITS, 6), rng.choice("  -")
    size = rng.choice((3, 3, 3, 2))
    return sign.join(digits[i : i + size] for i in range(0, 6, size))


def _code(rng: random.Random) -> str:
    draw = rng.randrange(9)
    if draw == 0:
        return "-".join(_chars(rng, _CROCKFORD, 4) for _ in range(rng.choice((2, 2, 3, 4))))
    if draw == 1:
        return f"{_chars(rng, _UPPER, 1)}{_chars(rng, _DIGITS, 1)}-{_chars(rng, _UPPER, 2)}{_chars(rng, _DIGITS, 1)}"
    if draw == 2:
        return _chars(rng, _DIGITS, rng.randint(3, 5)) + rng.choice("ABCDEXYZ#*")
    if draw == 3:
        return "-".join(_chars(rng, rng.choice((_LOWER + _DIGITS, _LOWER)), 5) for _ in range(2))
    if draw == 4:
        return rng.choice("ABC#*") + _chars(rng, _DIGITS, rng.randint(4, 5)) + rng.choice(("", "#", "*"))
    if draw == 5:
        return _chars(rng, _DIGITS, 2) + rng.choice("ABCDEF") + _chars(rng, _DIGITS, 2)
    if draw == 6:
        return _chars(rng, _DIGITS, 5)
    return _chars(rng, rng.choice((_CROCKFORD, _CROCKFORD, _UPPER)), rng.randint(6, 8))


def _wifi(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.2:
        return _chars(rng, _DIGITS, rng.choice((8, 10, 16, 20)))
    if draw < 0.35:  # as printed on routers
        return _chars(rng, "0123456789ABCDEF", rng.choice((8, 10, 12, 16)))
    if draw < 0.5:
        return _chars(rng, string.ascii_letters + _DIGITS, rng.randint(8, 16))
    if draw < 0.62:
        return rng.choice("- ").join(_chars(rng, _DIGITS, 4) for _ in range(rng.choice((4, 5))))
    return password(rng)


def _plain(rng: random.Random) -> str:
    word = _word(rng)
    return word + _word(rng) if rng.random() < 0.3 else _case(word, rng)


def _answer(rng: random.Random) -> str:
    people = sources.person_names(rng.choice(sources.train_locales()))
    return rng.choice(_ANSWERS).format(
        first=rng.choice(people[0]), last=rng.choice(people[1]), town=rng.choice(_names_and_towns()).capitalize(),
        beast=rng.choice(_BEASTS).capitalize(), thing=rng.choice(_THINGS).capitalize(),
    )  # fmt: skip


def _first(rng: random.Random) -> str:
    return rng.choice(sources.person_names(rng.choice(sources.train_locales()))[0])


def _user(rng: random.Random) -> str:
    people = sources.person_names(rng.choice(sources.train_locales()))
    first, last = rng.choice(people[0]).lower(), rng.choice(people[1]).lower().replace(" ", "")
    role = rng.choice(
        (
            "svc",
            "admin",
            "backup",
            "scan",
            "ops",
            "dbuser",
            "root",
            "test",
            "info",
            "sales",
            "web",
            "app",
            "sftp",
            "guest",
        )
    )
    forms = (
        first, f"{first[0]}{last}", f"{first}.{last}", f"{last}{first[0]}", f"{first}{rng.randint(1, 99)}",
        f"{role}_{rng.choice(_THINGS)}", role, f"{role}{rng.randint(1, 9):02d}", f"{last}{rng.randint(1960, 2005)}",
        f"{first}_{last}", f"u{_chars(rng, _DIGITS, 5)}",
    )  # fmt: skip
    return rng.choice(forms)


def _host(rng: random.Random) -> str:
    name = rng.choice(("srv", "mail", "db", "vpn", "ftp", "portal", "intranet", "nas", "git", "app", "web", "print"))
    tail = rng.choice(
        (
            f"{rng.randint(1, 30):02d}",
            f"{rng.randint(1, 9)}.{rng.choice(_THINGS)}.local",
            f".{rng.choice(_BEASTS)}-{rng.choice(_THINGS)}.com",
            "-prod-eu1",
        )
    )
    return name + tail


def _date(rng: random.Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(2015, 2027)
    names = ("Jan", "Feb", "March", "April", "May", "June", "July", "Aug", "Sept", "Oct", "Nov", "Dec")
    return rng.choice(
        (
            f"{day:02d}.{month:02d}.{year}",
            f"{day:02d}/{month:02d}/{year}",
            f"{year}-{month:02d}-{day:02d}",
            f"{day} {names[month - 1]}",
            f"{day} {names[month - 1]} {year}",
            f"{day}.{month}.",
        )
    )


def _company(rng: random.Random) -> str:
    people = sources.person_names(rng.choice(sources.train_locales()))
    return rng.choice(people[1]) + rng.choice(
        (" Ltd", " GmbH", " SA", " & Sons", " Logistics", " BV", " Srl", " Lda", " Group", "")
    )


def _product(rng: random.Random) -> str:
    name = rng.choice(sources.technical_names())
    return rng.choice(
        (
            name,
            f"{name} {rng.randint(2, 12)}",
            f"{_chars(rng, _UPPER, 2)}-{_chars(rng, _DIGITS, 4)}",
            f"{name} {rng.randint(1, 9)}.{rng.randint(0, 20)}",
        )
    )


_NETWORKS = (10, 172, 192, 81, 203)
_DOMAINS = ("com", "de", "fr", "org", "co.uk", "it", "nl")
_MAKERS: dict[str, Callable[[random.Random], str]] = {
    "pw": password, "word": _plain, "phrase": phrase, "hyph": _hyphenated,
    "pin4": _pin(4), "pin6": _pin(6), "pin8": _pin(8),
    "pin6s": _grouped, "code": _code, "gen": generated, "wifi": _wifi, "answer": _answer, "user": _user,
    "email": lambda rng: f"{_user(rng)}@{rng.choice(_THINGS)}.{rng.choice(_DOMAINS)}",
    "host": _host,
    "ip": lambda rng: ".".join(map(str, (rng.choice(_NETWORKS), *(rng.randint(1, 254) for _ in range(3))))),
    "name": _first, "company": _company, "product": _product, "date": _date,
    "time": lambda rng: f"{rng.randint(0, 23):02d}{rng.choice(':::.h')}{rng.randint(0, 59):02d}",
}  # fmt: skip


def is_slot(name: str) -> bool:
    """Whether `make` knows it; else it is a placeholder of the text."""
    return name in _MAKERS or (name[0] in "#@h" and name[1:].isdigit())


def make(slot: str, rng: random.Random) -> str:
    """Raises KeyError of a slot that is unknown."""
    if slot[0] in "#@h" and slot[1:].isdigit():
        alphabet = {"#": _DIGITS, "@": _UPPER + _DIGITS, "h": "0123456789abcdef"}[slot[0]]
        return _chars(rng, alphabet, int(slot[1:]))
    return _MAKERS[slot](rng)
