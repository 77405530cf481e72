"""What might be a secret that somebody chose, and the features by which a tagger tells.

Shared by training and screening. In: a text. Out: candidates (a word, a group of digits, a phrase in quotes) with the
features that the CRF of `eyrie.privacy.chosen_secrets` sees. A candidate is described by what it looks like, by the
words around it, and by how far the next word is that speaks of passwords, logins, numbers to type in, locks, networks
or ciphers.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from eyrie.privacy.passwords import is_placeholder, is_resource, is_thing, looks_made_up, may_be_told, stands_out
from eyrie.privacy.plain_words import is_plain

# codespell:ignore-begin
# What is spoken of, by the words that say so; `|` at a side of a stem is the edge of the word.
_TOPICS = {
    "password": """
        passwor passwd passw| pword| passphrase |passe| motdepasse |pass| |passes| |pw| |pws| |pwd| |pwds| |psw|
        |mdp| |mdps| kennwort kennwörter losungswort contrase |senha |clave| |claves| wachtwoord wachtzin |secreto|
        |secreta| |geheime |geheim| |segreta |segreto |segreda |secret| |secrets| |secrète| codeword kodewort
        codewort stichwort zauberwort |parola| |parole| |paswoord |pwort|
    """,
    "number": """
        |pin| |pins| |pincode |puk| |otp| |tan| |2fa| |mfa| passcode |code |codes| code| codes| cvv| geheimzahl
        kombi |nummer| |ziffer |códig |codig |codice| |codici| |combi| |combo| combina digicode chiffres |cifre|
        cijfers| digits| bestätigung vérifi |verifi |token| |sms| recovery rescue wiederherst récupér recuper
        herstel backup
    """,
    "lock": """
        |lock |unlock padlock |safe| |safes| |vault keypad |keybox alarm |gate| |gates| |door garage| entrance
        |entry| |entrée| schloss schlüssel |tresor tür| |tür| |porte| |portail| |coffre cadenas verrou serrure
        interphone |puerta| |portal| candado |caja| cerradura |porta| |portone| cancello |cassaforte lucchetto
        serratura allarme |cofre| cadeado portão fechadura |kluis deur| |slot| |hek| poort sleutel voicemail
        messagerie |sim| |karte| |card| |carte| |carta| |tarjeta| keyless disarm entsperr déverrou desbloq sblocc
        freischalt ontgrendel
    """,
    "login": """
        |login |log| |logged| |logging| |logon| |sign| |signing| |signed| |signin |user| |users| username |account
        |acct| credential |creds| |cred| |access| portal |vpn| |rdp| |ssh| |ftp| |sftp| |citrix anmeld einlog
        eingelogg ausgesperrt zugang zugriff benutzer |konto| |konten| kennung |compte| |comptes| connexion |connect
        identifi |accès| utilisateur |sesión| usuario |cuenta| |cuentas| |acceso| |accede| |entra| |entrar| utente
        |accesso| accedi credenzial |conta| |contas| acesso utilizador usuário gebruiker inlog aanmeld toegang
        authenti autentic |admin| |root| hacked gehackt piraté
    """,
    "network": """
        |wifi |wlan |fi| ssid hotspot router |psk| |wpa wpa| netzwerk |réseau| |rete| |rede| netwerk |network|
        fritzbox
    """,
    "cipher": """
        encrypt decrypt verschlüssel entschlüssel chiffr cifrad cifrat descifr decifr decritt critt versleutel |gpg|
        |pgp| |zip| |rar| |7z| |pdf| keepass bitwarden 1password lastpass dashlane keychain bitlocker veracrypt
        |luks keystore |wallet| |seed| mnemonic |protect geschützt protég protegid protett beveiligd
    """,
    "strength": """
        |strong |weak |guess |crack |leaked| |leak| |pwned| |breach |hash| |hashes| |hashed| hashcat |md5| |sha
        rockyou |sicher| |unsicher |schwach |geleakt| |geknackt| |knacken| |solide| |faible| |fuite| |robust |segur
        |débil| |filtrad |sicur |debole| |fraca| |vazou| |sterk| |zwak| |gelekt| |gekraakt| |veilig|
    """,
    "act": """
        |enter| |entered| |entering| |enters| |type| |typed| |typing| |types| |dial| |press| |punch| |keyed| |open|
        |opens| |opened| |opening| |try| |tried| |tries| |attempt |worked| |works| |accept |reject |remember |forgot
        |lasts| |eingeb |eingegeben| |eingab |eintipp |tipp |getippt| |drück |wähl |öffne |aufmach |versuch |merken|
        |vergess |funktioniert| |gilt| |tape| |taper| |tapez| |tapé| |saisi |compose |ouvr |essay |retenir| |oubli
        |marche| |rentr |refus |tecle |marqu |marca |introdu |introduce |escrib |abre |abri |abro| |intent |olvid
        |recordar| |funcion |digit |inser |scriv |apr |provat |provo| |dimentic |ricordar |funziona| |escrev |tent
        |esquec |lembrar| |toets |intoets |voer |typ |vul| |poging |probeer |vergeten| |onthoud |werkt| |inside|
        |override| |backdoor|
    """,
    "thing": """
        |combination| panel |panneau| |pannello| |tablero| netz |netz| |box| |boîte| |boite| |cabinet| |cupboard|
        |drawer| |fridge| |shed| |laptop| |tablet| |phone| |handy| |pc| |printer| |copier| |till| |kasse| |caisse|
        |tpv| |pos| |router| |nas| |server| |zoom| |meeting |webinar |invite| |link| |bitcoin| |monedero| |crypto|
        |bank |banque| |banco| |banca| |security| |sécurité| |seguridad| |sicurezza| |segurança| |entropy|
        |entropie| |entropia| bits
    """,
    "question": """
        |question| |maiden| mädchenname sicherheitsfrage |pregunta| |domanda| |pergunta| beveiligingsvraag
    """,
}
_WORDS_OF_SENTENCES = """
    a an and are as at be been but by can could did do does for from get had has have he her him his how i if in
    into is it its just like me my no not now of off on or our out over she should so some than that the their them
    then there these they this those to too up us use used using very want was we were what when where which who why
    will with would you your yes please thanks need help der die das den dem des ein eine einen einem einer eines
    und oder aber ich du er sie es wir ihr mich mir dich dir mein meine dein ist sind war waren wird werden hat
    haben hatte kann können muss müssen soll für mit von vom zu zum zur auf aus bei beim im am nicht kein keine auch
    noch nur schon wenn dann dass wie wer wo warum bitte danke als nach über unter vor um le la les un une de au aux
    et ou mais je tu il elle nous vous ils elles mon ma mes ton ta tes son sa ses notre votre leur est sont était
    été être avoir ont avait ce cette ces cet pas plus que qui quoi dont pour par sur sous dans avec sans chez vers
    si comme bonjour merci svp el los las uno unos unas y o pero yo tú él ella nosotros ellos mi mis su sus era fue
    ser está están estaba ha han había quien como cuando donde por para con sin sobre entre hasta desde muy más ya
    sí se lo al del hola gracias gli e ed io lui lei noi voi loro mio mia miei suo sua è sono erano stato hanno che
    chi come quando dove perché per senza tra fra di da alla della nel nella sul sulla non più anche ciao grazie os
    uma uns umas eu ele ela nós eles meu minha seu são foi estão estava tem tinha quem onde com sem até não sim
    também já na nas nos dos obrigado obrigada olá het een en maar ik jij hij zij ze wij jullie mijn jouw zijn haar
    ons onze wordt worden heeft hebben kan kunnen moet moeten zal zullen voor met van naar op uit bij niet geen ook
    nog dan dat dit deze wat waar waarom hoe hoi bedankt
"""
# codespell:ignore-end
_FUNCTION_WORDS = frozenset(_WORDS_OF_SENTENCES.split())


def _pattern(stems: str) -> re.Pattern[str]:
    forms = (re.escape(stem).replace(r"\|", r"\b") for stem in stems.split())
    return re.compile("|".join(forms))


_OF_TOPIC = {name: _pattern(stems) for name, stems in _TOPICS.items()}
# Where one of these is spoken of, a secret may also be a word of letters or a phrase; where another one is, it has a
# digit or a sign. Words of the first have one of these in them, which is a cheaper question.
_TELLING, _HINTING = frozenset(("password", "number")), frozenset(("cipher", "strength", "question"))
# codespell:ignore-begin
_TELLING_STEMS = (
    *(
        "pass",
        "pw",
        "mdp",
        "kennw",
        "losung",
        "contrase",
        "senha",
        "clave",
        "wachtw",
        "wachtz",
        "secret",
        "geheim",
        "secrè",
        "paswo",
    ),
    *("segret", "segred", "kodew", "stichw", "zauberw", "parol", "psw", "pin", "puk", "otp", " tan", "2fa", "mfa"),
    *("code", "cvv", "kombi", "nummer", "ziffer", "códig", "codig", "codic", "combi", "combo", "chiffres", "cifre"),
    *("cijfers", "digits", "bestätig", "verifi", "vérif", "token", "sms", "recover", "rescue", "wiederh", "récup"),
    *("recup", "herstel", "backup", "seed", "crypt", "wallet", "gpg", "schlüssel", "mnemonic", "chiffr"),
)
# codespell:ignore-end
_TOKEN = re.compile(r"\w+(?:['’]\w+)?|\n|[^\w\s]")
_PIECE = re.compile(r"[^\s\"'`“”„«»‘’()\[\]{}<>|;,=]{4,}")
_CHUNK = re.compile(r"\S+")
# With what parts pieces inside it, as drawn passwords have it.
_DRAWN = re.compile(r"(?=\S*[a-z])(?=\S*[A-Z])(?=\S*\d)\S*[=,;|()\[\]{}<>:/]\S*")
_CAMEL = re.compile(r"(?:[A-ZÀ-Þ][a-zß-ÿ]{2,}){3,}")
_SENTENCE = ".,:;!?…\"'`“”„«»‘’()-–—"
# Of a sentence: a word, or two that are joined, with its marks.
_OF_LETTERS = re.compile(r"[^\W\d_]+(?:[-'’_][^\W\d_]+)?[!?.,:;…*~]*")
_DIVIDED = re.compile(r"[:/]+|->|=>|→|–|—")
_DIGIT_GROUPS = re.compile(
    r"(?<![\w.,:/+-])(?!(?:19|20)\d\d-[01]\d-[0-3]\d)\d{2,4}(?:(?:[ -]| - )\d{2,4}){1,5}(?![\w:/]|[.,-]\d)"
)
_PHRASES = (
    re.compile(r"(?<!\w)[\"'`“„«‘*](?P<v>[^\W\d_][^\n\"'`“”„«»‘’*<>{}=;]{8,80}?)[\"'`”“»’*](?!\w)"),
    re.compile(
        r"(?:[:=→]|->|=>) ?(?P<v>[^\W\d_][^\n:=;<>{}()\"'`]{10,80})$|^(?P<w>[a-zà-ÿ][^\n:=;<>{}()\"'`]{10,80})$",
        re.MULTILINE,
    ),
)
# Dates, measures, variables, and what nobody chooses: UUIDs and digests, which are told by what is beside them.
_NEVER = re.compile(
    r"[+-]?\d+(?:[.,:/-]\d+)*[%€$£]?|\d{4}-\d\d-\d\dT[\d:.]+Z?|[€$£]\d+(?:[.,]\d+)*"
    r"|\$\{?[A-Z][A-Z0-9_]*\}?|[0-9a-fA-F]{24,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=\S*\d)[A-Za-z0-9+/]{36,}=*"
)
_LINE = "<n>"  # a dump of a model has a feature per line
_OPENERS = frozenset("\"'`“„«‘([{<|:=>→/*\n")
_LEADING, _TRAILING = ".,:;*_~¿¡-", ".,:;…*~"
_RUN = re.compile(r"[A-ZÀ-Þ]+|[a-zß-ÿ]+|\d+|[^A-Za-zÀ-ÿ\d]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_MIN, _MAX, _MAX_DIGITS = 4, 64, 24
_NEAR, _NEAR_AFTER = 10, 4  # tokens behind a telling word, and before one, where a word of letters may be a secret
_BEFORE, _AFTER = 12, 6  # tokens whose words are seen, in no order
_DISTANCES = (1, 2, 3, 5, 8, 14, 30, 70, 1 << 30)  # bounds of how far a topic is


class Candidate(NamedTuple):
    """Characters `start:end` of the text; `kind` is word, number or phrase."""

    start: int
    end: int
    kind: str


class _Tokens(NamedTuple):
    """Words, numbers and signs of a text."""

    starts: list[int]
    words: list[str]  # as features name them: a word in small letters, the length of a number, a sign
    topics: dict[str, list[int]]  # which tokens speak of each


@lru_cache(maxsize=50_000)
def _described(written: str) -> tuple[str, str]:
    """How features name a token, and its topic."""
    if written == "\n":
        return _LINE, ""
    if written.isdecimal():
        return f"#{min(len(written), 9)}", ""
    lower = written.lower()
    topic = next((name for name, pattern in _OF_TOPIC.items() if pattern.search(lower)), "")
    if any(map(str.isdecimal, written)) and not topic:
        return "#x", ""
    return lower, topic


def _tokens_of(text: str) -> _Tokens:
    matches = list(_TOKEN.finditer(text))
    described = [_described(match[0]) for match in matches]
    topics: dict[str, list[int]] = {}
    for i, (_, topic) in enumerate(described):
        if topic:
            topics.setdefault(topic, []).append(i)
    return _Tokens([match.start() for match in matches], [word for word, _ in described], topics)


def found_in(text: str) -> tuple[list[Candidate], list[list[str]]]:
    """What might be a secret, in order of the text, and the features of each."""
    lower = text.lower()
    telling = any(map(lower.__contains__, _TELLING_STEMS))
    signed = list(_signed(text))
    if not telling and not signed:
        return [], []
    tokens = _tokens_of(text)
    if not tokens.topics:
        # Nobody speaks of secrets or of what they open: only what looks like nothing else.
        signed = [item for item in signed if _is_striking(text[item.start : item.end])]
    places = sorted(i for topic in _TELLING & tokens.topics.keys() for i in tokens.topics[topic])
    if places or _HINTING & tokens.topics.keys():
        signed += _words_of_letters(text, tokens.starts, places)
        signed += _phrases(text)
    found = sorted({(item.start, item.end): item for item in signed}.values())
    return found, _features(text, tokens, found) if found else []


@lru_cache(maxsize=20_000)
def _is_striking(value: str) -> bool:
    return stands_out(value) or looks_made_up(value)


def _signed(text: str) -> Iterator[Candidate]:
    """Numbers, and words with a digit or a sign."""
    grouped = False
    for match in _CHUNK.finditer(text):
        chunk = match[0]
        if chunk.isalpha() or (core := chunk.strip(_SENTENCE)).isalpha():
            continue
        grouped = grouped or core[:2].isdecimal()
        if len(core) < _MIN or _OF_LETTERS.fullmatch(core) or "://" in core:
            continue
        if 2 * _MIN <= len(core) <= _MAX and _DRAWN.fullmatch(core):
            start = match.start() + chunk.index(core)
            yield Candidate(start, start + len(core), "word")
        for piece in _PIECE.finditer(text, *match.span()):
            if not _OF_LETTERS.fullmatch(piece[0]):
                yield from _with_signs(text, *piece.span())
    for match in _DIGIT_GROUPS.finditer(text) if grouped else ():
        if 4 <= sum(map(str.isdecimal, match[0])) <= _MAX_DIGITS:
            yield Candidate(*match.span(), "number")


def _words_of_letters(text: str, starts: list[int], telling: list[int]) -> Iterator[Candidate]:
    """Words in quotes, after a sign, alone on their line, of words, or near a telling word."""
    for piece in _PIECE.finditer(text):
        value = piece[0].rstrip(_TRAILING + "?")
        start = piece.start()
        end = start + len(value)
        if not _MIN <= len(value) <= _MAX or not _OF_LETTERS.fullmatch(value) or value.lower() in _FUNCTION_WORDS:
            continue
        before = text[max(0, start - 2) : start].rstrip(" ")[-1:]
        if (
            start > 0
            and before not in _OPENERS
            and text[end : end + 1] not in ("|", "/")
            and not _CAMEL.fullmatch(value)
        ):
            at = bisect_left(starts, start)
            near = bisect_left(telling, at - _NEAR)
            if near == len(telling) or telling[near] > at + _NEAR_AFTER:
                continue
        yield Candidate(start, end, "word")


def _phrases(text: str) -> Iterator[Candidate]:
    """Words in quotes, behind a label, or alone on their line."""
    for pattern in _PHRASES:
        for match in pattern.finditer(text):
            group = match.lastgroup or "v"
            if 2 <= match[group].count(" ") <= 11:
                yield Candidate(*match.span(group), "phrase")


def _with_signs(text: str, start: int, end: int) -> Iterator[Candidate]:
    """The piece without the marks of the sentence, and the parts of it that a colon, a slash or an arrow divides."""
    bounds = [(start, end)]
    if signs := list(_DIVIDED.finditer(text, start, end)):
        edges = [start, *(edge for sign in signs for edge in sign.span()), end]
        bounds += zip(edges[::2], edges[1::2], strict=True)
    for first, last in bounds:
        kept = text[first:last].lstrip(_LEADING)
        start = last - len(kept)
        kept = kept.rstrip(_TRAILING)
        core = kept.rstrip("!?")
        if len(core) < _MIN - (core != kept) or len(kept) > _MAX:
            continue
        if core.isdecimal():
            if len(core) <= _MAX_DIGITS:
                yield Candidate(start, start + len(core), "number")
        elif not ((core.isalpha() and core == kept) or _NEVER.fullmatch(kept) or is_resource(core)):
            yield Candidate(start, start + len(kept), "word")


def _features(text: str, tokens: _Tokens, found: list[Candidate]) -> list[list[str]]:
    """Of each candidate its features, by name."""
    starts, words, topics = tokens
    everywhere = [f"t={word}" for word in _distinct(words[i] for places in topics.values() for i in places)]
    everywhere += [f"T={topic}" for topic in topics]
    lines = [0, *(starts[i] + 1 for i, word in enumerate(words) if word == _LINE)]
    padded = ["<>"] * 4 + words + ["<>"] * 4
    out = []
    for item in found:
        first, after = bisect_left(starts, item.start), bisect_left(starts, item.end)
        out.append([
            *_of_value(text[item.start : item.end], item.kind),
            *everywhere,
            *_of_surroundings(text, item, padded[first : first + 4], padded[after + 4 : after + 7]),
            *(f"b={word}" for word in _distinct(words[max(0, first - _BEFORE) : first])),
            *(f"a={word}" for word in _distinct(words[after : after + _AFTER])),
            *_of_topics(words, topics, first, after),
            *_of_line(text, tokens, item, lines),
        ])  # fmt: skip
    return out


@lru_cache(maxsize=20_000)
def _of_value(value: str, kind: str) -> tuple[str, ...]:
    out = [f"k={kind}", f"n={min(len(value), 20)}"]
    if kind == "number":
        digits = "".join(filter(str.isdecimal, value))
        out += [f"d={min(len(digits), 13)}", f"f={re.sub(r'[0-9]', 'd', value)}"]
        if len(digits) == 4 and 1900 <= int(digits) <= 2035:
            out.append("year")
        if digits.endswith("00"):
            out.append("round")
        return tuple(out)
    if kind == "phrase":
        words = value.split()
        out += [
            f"words={len(words)}",
            f"functional={min(sum(word.lower() in _FUNCTION_WORDS for word in words), 3)}",
            f"capitals={min(sum(word[:1].isupper() for word in words), 3)}",
            f"plain={sum(map(is_plain, words)) * 4 // len(words)}",
            f"marks={any(char in ',.!?;()' for char in value)}",
        ]
        return tuple(out)
    return (*out, *_of_word(value))


def _of_word(value: str) -> Iterator[str]:
    core = value.rstrip("!?")
    kinds = [_kind_of(char) for char in value]
    shape = "".join(_kind_of(run[0]) for run in _RUN.findall(value))
    classes = "".join(sorted({kind if kind in "Xxd" else "s" for kind in kinds}))
    yield from (f"s={shape[:10]}", f"c={classes}", f"cn={classes}|{min(len(value), 16)}", f"r={min(len(shape), 8)}")
    yield from (f"sign={char}" for char in sorted(set(kinds) - {"X", "x", "d"}))
    yield from (f"first={kinds[0]}", f"last={kinds[-1]}", f"digits={min(kinds.count('d'), 8)}")
    judged = "".join(
        name
        for name, yes in (
            ("thing,", is_thing(core)),
            ("placeholder,", is_placeholder(value)),
            ("stands,", stands_out(value)),
            ("made,", looks_made_up(value)),
            ("told,", may_be_told(value)),
        )
        if yes
    )
    yield f"j:{judged}"
    yield from (f"j={name}" for name in judged.split(",") if name)
    letters = max(_LETTERS.findall(value), key=len, default="")
    if len(letters) >= _MIN:
        yield f"plain={is_plain(letters)}"
    if core.isalpha():
        yield from (f"v={core.lower()}", "alpha")


_distinct = dict.fromkeys  # in their order, unlike a set: the model is the same at each build


def _kind_of(char: str) -> str:
    return "X" if char.isupper() else "x" if char.isalpha() else "d" if char.isdecimal() else char


def _of_surroundings(text: str, item: Candidate, before: list[str], after: list[str]) -> tuple[str, ...]:
    """The words at each place around it, and some of them together."""
    b4, b3, b2, b1 = before
    a1, a2, a3 = after
    left, right = _sign(text[item.start - 1 : item.start]), _sign(text[item.end : item.end + 1])
    return (
        *(f"-1={b1}", f"-2={b2}", f"-3={b3}", f"-4={b4}", f"+1={a1}", f"+2={a2}", f"+3={a3}"),
        *(f"-21={b2}|{b1}", f"-32={b3}|{b2}", f"-321={b3}|{b2}|{b1}", f"+12={a1}|{a2}", f"-+={b1}|{a1}"),
        *(f"L={left}", f"R={right}", f"LR={left}{right}", f"k-1={item.kind}|{b1}", f"k-21={item.kind}|{b2}|{b1}"),
    )


def _sign(char: str) -> str:
    """Of the character beside a candidate."""
    return "|" if not char or char == "\n" else "_" if char.isspace() else "x" if char.isalnum() else char


def _of_topics(words: list[str], topics: dict[str, list[int]], first: int, after: int) -> list[str]:
    """How far the nearest word of each topic is, on either side, and which word the nearest of all is."""
    out = []
    nearest, name = 1 << 30, ""
    for topic, places in topics.items():
        at = bisect_left(places, first)
        if at:
            distance = first - places[at - 1]
            out.append(f"<{topic}={bisect_left(_DISTANCES, distance)}")
            if distance < nearest:
                nearest, name = distance, f"<{topic}|{words[places[at - 1]]}"
        at = bisect_left(places, after)
        if at < len(places):
            distance = places[at] - after + 1
            out.append(f">{topic}={bisect_left(_DISTANCES, distance)}")
            if distance < nearest:
                nearest, name = distance, f">{topic}|{words[places[at]]}"
    if name:
        out += [f"near={name}", f"near={name}|{bisect_left(_DISTANCES, nearest)}"]
    return out


def _of_line(text: str, tokens: _Tokens, item: Candidate, lines: list[int]) -> list[str]:
    """What its line is like: how it begins, a label, nothing else on it; and what the line before says."""
    starts, words, _ = tokens
    at = bisect_left(lines, item.start + 1) - 1
    begin, end = lines[at], lines[at + 1] - 1 if at + 1 < len(lines) else len(text)
    i, j = bisect_left(starts, begin), bisect_left(starts, item.start)
    out = [f"l0={words[i] if i < j else '-'}", f"place={min(j - i, 6)}"]
    if not text[begin : item.start].strip() and not text[item.end : end].strip():
        out.append("alone")
    if at and i >= 2:
        above = bisect_left(starts, lines[at - 1])
        out += [f"up={words[i - 2]}", f"up0={words[above]}"]
        out += [f"u={word}" for word in _distinct(words[above : max(above, i - 1)][-10:])]
    label = next((k for k in range(j - 1, i, -1) if words[k] in (":", "=")), 0)
    if label:
        out += [f"label={words[label - 1]}", f"label2={words[label - 2] if label > 1 else ''}|{words[label - 1]}"]
    return out
