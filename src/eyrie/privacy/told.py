"""Passwords that people tell: "so the password is, um, Summer2024!, I think", "log in as bob with ...".

The grammar of telling is who speaks of what: where a sentence speaks of passwords, what it says *is* one counts, and so
does any other word of it that looks chosen as one, on either side; where it speaks of a login, only what looks like
nothing else. Numbers count where they are said to be a PIN or a code.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator

from eyrie.privacy.passwords import is_chosen, looks_made_up, stands_out
from eyrie.privacy.phrases import Phrases

# codespell:ignore-begin
# In small letters; found first, since looking for plain text is cheap.
_PASSWORD_STEMS = Phrases(
    *("pass", "pasw", "pwd", "pw", "psw", "pword", "mdp", "mot de passe", "kennwort", "contrase", "clave", "senha"),
    "wachtwoord",
    *("hasło", "lösenord", "adgangskode", "heslo", "парол", "密码", "密碼", "パスワード", "비밀번호", "parola"),
    *("secret", "psk", "wpa", "wifi", "wi-fi", "wlan", "ssid", "hotspot", "network"),
)
_PASSWORD = re.compile(
    r"(?i:pass?[ -]?wor[dt]|pas{1,2}w?o?w?rd|passw[do]|(?<![a-z])ps+wd?|pword|pass[ -]?phrase|pass[ -]?code"
    r"|(?<![a-z])pass(?![a-z])|(?<![a-z])p(?:wd?|w)s?(?![a-z])"
    r"|mdp|mots? de passe|phrase de passe|kennw[oö]rt|contrase[nñ]a|(?<![a-z])claves?(?![a-z])|senha|wachtwoord"
    r"|hasło|lösenord|adgangskode|heslo|парол|密码|密碼|パスワード|비밀번호|parola (?:d|chiave)|secret (?:word|code)"
    r"|(?<![a-z])psk(?![a-z])"
    r"|(?:wi-?fi|wlan|wpa\d?|hotspot|network|ssid)[^\n]{0,40}?\s{0,2}(?<![a-z])(?:code|key|clé|schlüssel"
    r"|chiave)(?![a-z])"
    r"|(?<![a-z])(?:code|clé|schlüssel|chiave)(?![a-z])[^\n]{0,12}?(?:wi-?fi|wlan|wpa))"
)
_LOGIN_STEMS = Phrases(
    *("log", "sign", "authenticat", "cred", "account", "user", "access", "zugang", "anmelde", "melde dich", "konto"),
    *("benutzer", "identifiant", "compte", "connecte", "accès", "sesión", "usuario", "cuenta", "acceso", "accedi"),
    *("utente", "rdp", "ssh", "ftp", "vpn", "net use", "locked", "crypt", "protected", "for everything", "it to "),
    *("entra con", "it from ", "wifi", "wi-fi", "wlan", "aanmeld", "inlog", "pdf"),
)
_LOGIN = re.compile(
    r"(?i:\blog(?:ged|ging)?[ -]?(?:in|on)\b|\bsign(?:ed|ing)?[ -]?in\b|\blogins?\b|\bauthenticat|\bcred(?:ential)?s?\b"
    r"|\baccounts?\b|\busers?(?:name)?\b|\baccess\b|zugang|anmelde|melde dich|\bkonto\b|benutzer|identifiant|\bcompte\b"
    r"|connecte|\baccès\b|sesión|\busuario|\bcuenta\b|\bacceso|credencial|credenzial|\baccedi|\butente\b|\brdp\b"
    r"|\bssh|\bs?ftp\b|\bvpn\b|\bnet use\b|\b(?:un)?locked\b|\b(?:en|de)crypt|protected|for everything|\bentra con\b"
    r"|\b(?:chang\w+|set|updat\w+|reset) it (?:to|from)\b)"
)
# Where people sign in, and what is said of passwords without calling them so: how strong they are, and what they open.
_SIGNING_STEMS = Phrases(
    *("log", "sign", "cred", "zugangsd", "anmeld", "benutzer", "identifiant", "connect", "sesi", "usuario", "accedi"),
    *(
        "utente",
        "usu",
        "gebruiker",
        "crack",
        "rockyou",
        "brute",
        "pwned",
        "guess",
        "enough",
        "genug",
        "assez",
        "locked",
    ),
    *("suficiente", "abbastanza", "genoeg", "master", "question", "frage", "pregunta", "domanda", "pergunta", "melde"),
)
# "I use ... everywhere", "the PDF opens with ..."
_USED_STEMS = Phrases(
    *(
        "everything",
        "everywhere",
        "every ",
        "all ",
        "reus",
        "überall",
        "alle",
        "partout",
        "tout",
        "todo",
        "toda",
        "tutt",
    ),
    *("overal", "tudo", "since", "seit", "depuis", "desde", "hacker", "opens", "protect", "unlock"),
)
_EVERYWHERE = (
    r"(?:everywhere|everything|for (?:all|every|years)|all (?:my|over|sites)|since (?:19|20)\d\d|überall"
    r"|für alle[sn]?|seit"
    r"|alle konten|partout|pour tout|depuis|en tod|para tod|desde|dappertutto|ovunque|per tutt|da sempre|em tud"
    r"|para tud"
    r"|overal|voor alle|hackers?)"
)
_IS_EVERYWHERE = re.compile(rf"(?i:\b{_EVERYWHERE})")
_USED = re.compile(
    r"\b(?i:us(?:e[sd]?|ing|aba|o|é)|reus(?:e[sd]?|ing)|nutze|benutze|verwende|nehme|nimmt|utilise|mets|gebruik|ho|uso"
    r"|utilizo|utilizzo)\b(?: [\w'’]{1,10}){0,4}? [\"'`“«]?(?P<v>(?=\S*[0-9])[^\s\"'`<>|;()]{4,64})"
    r"|\b(?i:opens?|protected|locked|unlock(?:s|ed)?|encrypted|protection) (?i:with|is"
    r"|by) [\"'`“«]?(?P<w>(?=\S*[0-9])[^\s\"'`<>|;()]{4,64})"
)
_SIGNING_IN = re.compile(
    r"(?i:\blog[ -]?(?:in|on)(?= |:|$)|\bsign[ -]in\b|\blocked out\b|\blogins?\b|\bcred(?:ential)?s\b|\busername\b"
    r"|zugangsdaten|anmeldedaten|\banmeld|\bmelde dich|benutzername|\bidentifiants?\b|\bconnecte-|\binicia\w* sesión"
    r"|\busuario\b|\baccedi|\bnome utente|\busuário\b|gebruikersnaam|\binlog"
    r"|\bcrack(?:ed|ing|able)?\b|rockyou|\bbrute[ -]?forc|pwned|\bguessable\b"
    r"|\b(?:strong|secure|safe|good|long) enough|\bsicher genug|\bassez (?:s[ûu]r|fort)|suficientemente (?:segur"
    r"|fuert|fort)"
    r"|abbastanza (?:sicur|fort)|veilig genoeg|sterk genoeg"
    r"|\bmaster:|\bmaster (?:is|key|code)\b|\b(?:security|secret) question|sicherheitsfrage|question secrète"
    r"|pregunta (?:secreta|de seg)"
    r"|domanda (?:segreta|di sic)|pergunta (?:secreta|de seg))"
)
# A word between spaces, quotes or marks of a sentence, with a digit in it or of joined words.
_WORD = re.compile(
    r"(?:(?<=[\s\"'“”„‘’«»(\[|*`>，：:是は])|(?<!.))(?=\S{0,63}\d|[a-z]{3,}-[a-z]{3,}-)"
    r"(?P<v>(?:(?![\"'`<>()|\[\]{}:])[!-~À-ɏ]){4,64})(?=[\s\"'“”„‘’«»)\]|*`<，。、で]|$)",
    re.MULTILINE,
)
_HEX = re.compile(r"[0-9a-f]+")
_REACH_BEFORE, _REACH_AFTER = 110, 70  # characters from the word for passwords on to the password, and back
_OPEN, _SHUT = r"[\"'`«“„*(]{0,3} ?", r" ?[\"'`»”“*)]{0,3}"
# What stands between "password" and a password that it is said to be ...
_VERB = r"(?:is|was|are|ist|lautet|heißt|war|est|était|es|era|è|é|c['’]est|it['’]s|that['’]s|being)"
_SAID = r"(?: (?:[^\s.;:?!]+|\S*\d\S*)){0,6}?"
_IS = re.compile(
    rf"(?i:(?:s|['’]s)?{_SHUT}(?:{_SAID}(?: ?[:=–—] ?| ?[-=]> ?|,? {_VERB}(?: (?:um|uh|er|still|now|just|only))?,?:? )"
    rf"|(?<!\bpass){_SAID} (?:to|from|auf|von) ){_OPEN})"
)
# ... and between it and "password": "... is my old password", "... als Passwort".
_AS = re.compile(
    rf"(?i:{_SHUT},? (?:(?:is|that['’]s|as|ist|als|est|comme|es|como|è|come|for|c'est)"
    r"(?: (?:a|an|the|my|our|his|her|their|your|this|ein|mein|das|un|mon|le|mi|una|la|mia))?|an?|eine?|une?|una)"
    r"(?: [\w-]+){0,2}? )"
)
# What stands before the name of a user, which may look chosen too.
_USER = re.compile(r"(?i:\b(?:user(?:name)?|login|account|handle|id|benutzer(?:name)?|utilisateur|usuario|utente|ssid)"
                   r"(?: ?[:=] ?| is | )[\"'`]?)$")  # fmt: skip
_MARKS = ".,;:)]}'"  # the others may belong to a password
_PAIR = re.compile(
    r"(?i:\blog(?:ged|ging)?[ -]?(?:in|on)\b|\bsign(?:ed|ing)?[ -]?in\b|\bauthenticat\w+|\bcred(?:ential)?s?\b"
    r"|\blogins?\b|zugangsdaten|anmeldedaten|\bmelde dich\b|identifiants?|\bconnecte\b|\baccedi\b|\bentra\b"
    r"|inicia\w* sesión|credencial\w+|credenzial\w+|\bconnect to\b|\brdp|\bwi-?fi\b|\bwlan)[^\n]{0,40}?[\s\"'(:,]"
    r"(?:[\w.+-]+@[\w.-]+|[A-Za-z][\w.-]{1,30})[\"'`]?"
    r"(?: ?[:/|,] ?|,? (?:with|using|und|mit|et|avec|y|con|e|and)(?: the)? )[\"'`“«]{0,2}"
    r"(?P<v>[^\s\"'`“”«»<>|,;()]{4,64})"
    r"|[\w.+-]@(?:[\w-]+\.)+[a-z]{2,}[\"'`]?(?: ?[:;|,/] ?| and | with )[\"'`]?(?P<w>[^\s\"'`<>|,;/]{5,64})"
)

_PIN_STEMS = Phrases(
    *("pin", "pass", "code", "puk", "comb", "keypad", "otp", "código", "codice", "kennwort", "lock", "disarm"),
    "s with",
    *(" avec ", " mit ", " con "),
    *("geheimzahl", "contrase", "clave", "mdp", "senha", "wachtwoord"),
)
_NUMBER = re.compile(r"[0-9][0-9][- ]?[0-9][0-9]")
_LOCKS = (
    r"door|gate|garage|alarm|entry|entrance|building|lock(?:er|screen)?|unlock|safe|vault|keypad|voice ?mail|phone"
    r"|control|wifi|sim|access|security|verification|confirmation|auth(?:entication)?|login|backup|recovery"
    r"|one[ -]time|2fa|mfa|sms|pairing|card|bank|secret|meeting|zoom|house|office|elevator|lockbox|key ?box|tan"
)
_DIGITS = r"(?:\d{4,10}|\d{2,4}[- ]\d{2,4})(?![\d.,:/%]?\d|[\w%°])"
_PIN = re.compile(
    r"(?i:(?<![a-z])(?:pin(?:[ -]?(?:code|number|nummer))?s?|passcodes?|puk|otp|geheimzahl|passwor[dt]|passwd|pwd|pw"
    r"|kennwort|contrase[nñ]a|clave|mot de passe|mdp|senha|wachtwoord|keypad|combination|digicode"
    r"|(?:safe|lock|door) opens with"
    rf"|(?:{_LOCKS})(?:['’]s)?(?:[ -][a-z]{{1,10}}){{0,2}}[ -](?:codes?|combination|combo|pin)"
    r"|code (?:pin|secret|d'accès|du portail|confidentiel|de (?:la |l')?(?:porte|carte|sécurité|déverrouillage"
    r"|immeuble|alarme))|(?:tür|tor|haus|zugangs|sicherheits|bestätigungs|entsperr)-?code"
    r"|c[óo]digo (?:pin|secreto|del portal|de (?:la |el )?(?:puerta|acceso|seguridad|verificación|alarma))"
    r"|codice (?:pin|segreto|di (?:accesso|sicurezza|verifica|sblocco)|del(?:la |l['’]| )(?:cancello|porta|allarme)))"
    r"(?![a-z])(?:['’]s)?[\"'`*)]{0,3}"
    rf"(?: |(?: (?!is |to |was )[\w'’-]{{1,14}}){{0,6}}?[\"'`*)]{{0,3}}"
    rf"(?: ?[:=–—-]{{1,2}} ?|,? (?:(?:{_VERB}|to|from|von|de|da|now|still|again|just) ){{1,3}}))"
    rf"[\"'`*(“«#]{{0,2}})(?P<v>{_DIGITS})"
    rf"(?:[\"'`*)”»]{{0,2}}(?:,| (?i:to|and|or|auf|und|oder|à|et|ou|a|y|o|e)),? [\"'`*(“«]{{0,2}}(?P<w>{_DIGITS}))?"
)
# What opens a lock, said after it, and what a code may be that opens none.
_OF_LOCK = re.compile(
    r"(?i:\b(?:unlock|open|disarm|désactive|ouvre|öffnet|entsperrt|abre|apre)s? (?:with|using|by|avec|mit|con)"
    r"(?: (?:the|le|dem|el|il))?(?: (?:code|pin))?"
    r"|\b(?:unlock|lock|door|gate|alarm|garage|keypad|portail|porte|coffre|tür|tresor|puerta|alarma|cancello|porta"
    r"|allarme)"
    r"[^\n]{0,60}?(?<!error )(?<!status )(?<!exit )(?<!zip )(?<!area )\b(?:code|pin|combo|combination|codice|código)"
    rf"(?: {_VERB}|:)?"
    r"|\b(?:code|pin|combination) (?:for|of|to) (?:the|my|our) [^\n?]{1,30}\?\s{0,2}\n[^\n:]{1,30}:)"
    rf" (?P<v>{_DIGITS})"
)
# Words with spaces between, in quotes; what a form or a program says of passwords has other words in it.
_PHRASE_STEMS = Phrases("passp", "passw", "phrase de", "mot de passe", "kennwort", "contrase", "frase de")
_PHRASE = re.compile(
    r"(?i:passphrases?|passwor[dt]|phrase de passe|mot de passe|kennwort|contraseña|frase de (?:paso|contraseña))"
    r"(?: [\w'’]{1,14}){0,5}?(?:\"?\s?[:=]|\s(?:is|was|ist|lautet|est|es|è|to|with))\s?[\"'“«]\s?"
    r"(?P<v>[A-Za-zÀ-ÿ]{3,12}(?: [A-Za-zÀ-ÿ0-9]{1,12}){2,7})\s?[\"'”»]"
)
_NO_PHRASE = re.compile(
    r"(?i:\b(?:pass\w*|mot|kennwort|contrase\w*|the|your|must|be|is|are|not|enter|required|invalid|incorrect|forgot\w*"
    r"|please|at|least|should|confirm|new|old|change|reset|login|here|le|est|votre|ist|ihr|falsch|la|su|of|for|to|and"
    r"|or|no|cannot|can)\b)"
)
# As wallets draw them: 12 to 24 words of 3 to 8 letters, of which no sentence is made.
_SEED_STEMS = Phrases(
    "seed",
    "mnemonic",
    "phrase",
    "wallet",
    "recover",
    "metamask",
    "ledger",
    "trezor",
    "backup",
    "bip39",
    "bip-39",
    "crypto",
)
_SEED = re.compile(
    r"(?<![A-Za-z'’-])(?:(?<![a-z] )|(?<=\bis )|(?<=phrase )|(?<=words ))"
    r"(?P<v>(?:[a-z]{3,8}(?:,? |,?\n(?: {0,4}\d{0,2}\.? )?)){11,40}[a-z]{3,8})(?![a-z'’])"
)
_SEED_ANCHOR = re.compile(
    r"(?i:\bseed|mnemonic|recovery|wallet|phrase|metamask|ledger|trezor|bip-?39|crypto|bitcoin|backup|semilla|semente)"
)
_SMALL_WORD, _MIN_SEED = re.compile("[a-z]+"), 12
_SEED_NEAR = 160  # characters
_NO_SEED = re.compile(
    r"\b(?:the|and|are|for|with|into|that|this|you|not|from|was|has|have|his|her|its|our|can|will|but|they|their"
    r"|them|which|when|then|than|what|who|how|all|any|more|also|such|der|die|das|und|ist|mit|les|des|une|est|que|los"
    r"|las|para|con|per|che|het|een|van)\b"
)
# codespell:ignore-end
# A part of every password with letters. Begins with what is rare, so that looking for it is cheap.
_CHOSEN = re.compile(r"[0-9](?:[A-Za-zÀ-ɏ_@#$%&*^]|(?<=[A-Za-zÀ-ɏ_@#$%&*^!?+.~-][0-9]))|-[a-z]{3,}-[a-z]{3}")


def told_secrets(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of every password that is told."""
    if any(quote in text for quote in '"“«') and _PHRASE_STEMS.occur_in(text):
        for match in _PHRASE.finditer(text):
            if not _NO_PHRASE.search(match["v"]):
                yield match.span("v")
    if _SEED_STEMS.occur_in(text):
        yield from _seeds(text)
    if _NUMBER.search(text) and _PIN_STEMS.occur_in(text):
        for match in _PIN.finditer(text):
            yield from (match.span(group) for group in ("v", "w") if match[group])
        yield from (match.span("v") for match in _OF_LOCK.finditer(text))
    if _CHOSEN.search(text):
        yield from _chosen(text)


def _seeds(text: str) -> Iterator[tuple[int, int]]:
    """Runs of words of which no sentence is made, long enough for the seed of a wallet."""
    for match in _SEED.finditer(text):
        start, end = match.span("v")
        if not _SEED_ANCHOR.search(text, max(0, start - _SEED_NEAR), end + _SEED_NEAR):
            continue
        for run in [*_NO_SEED.finditer(text, start, end), None]:
            stop = run.start() if run else end
            words = list(_SMALL_WORD.finditer(text, start, stop))
            if len(words) >= _MIN_SEED:
                yield words[0].start(), words[-1].end()
            start = run.end() if run else end


def _chosen(text: str) -> Iterator[tuple[int, int]]:
    words = [(*match.span("v"), _kept(match["v"])) for match in _WORD.finditer(text)]
    if _PASSWORD_STEMS.occur_in(text):
        told = [word for word in words if is_chosen(word[2]) or stands_out(word[2])]
        yield from _near(text, told, _PASSWORD, stands_out)
    is_login = _LOGIN_STEMS.occur_in(text)
    if is_login:
        yield from _near(text, [word for word in words if looks_made_up(word[2])], _LOGIN, looks_made_up)
    if _SIGNING_STEMS.occur_in(text):
        told = [word for word in words if stands_out(word[2]) and not _HEX.fullmatch(word[2])]
        yield from _near(text, told, _SIGNING_IN, stands_out)
    if _USED_STEMS.occur_in(text):
        yield from _used(text)
    if is_login or "@" in text:
        for match in _PAIR.finditer(text):
            start, _ = match.span(match.lastgroup or 0)
            kept = _kept(match[match.lastgroup or 0])
            if stands_out(kept):
                yield start, start + len(kept)


def _used(text: str) -> Iterator[tuple[int, int]]:
    """What somebody uses everywhere, or opens a file with."""
    for match in _USED.finditer(text):
        group = "v" if match["v"] else "w"
        begin, end = text.rfind("\n", 0, match.start()) + 1, match.end() + _REACH_AFTER
        kept = _kept(match[group])
        if stands_out(kept) and (group == "w" or _IS_EVERYWHERE.search(text, begin, end)):
            yield match.start(group), match.start(group) + len(kept)


def _near(
    text: str, words: list[tuple[int, int, str]], anchor: "re.Pattern[str]", condition: Callable[[str], bool]
) -> Iterator[tuple[int, int]]:
    """Words (start, end, what is kept of it) in one breath with an anchor: in its line or in the next, not too far."""
    anchors = [match.span() for match in anchor.finditer(text)] if words else []
    starts, ends = [start for start, _ in anchors], [end for _, end in anchors]
    for start, end, kept in words if anchors else ():
        before, after = bisect_right(ends, start) - 1, bisect_left(starts, end)
        is_said = anchor is _PASSWORD and (
            (before >= 0 and _IS.fullmatch(text, ends[before], start))
            or (after < len(starts) and _AS.fullmatch(text, end, starts[after]))
        )
        near = before >= 0 and start - ends[before] <= _REACH_BEFORE and text.count("\n", ends[before], start) <= 1
        if not near and after < len(starts):
            near = starts[after] - end <= _REACH_AFTER and "\n" not in text[end : starts[after]]
        stands = near and condition(kept) and not _USER.search(text, max(0, start - 30), start)
        if stands or (is_said and is_chosen(kept)):
            yield start, start + len(kept)


def _kept(word: str) -> str:
    """Without the marks of the sentence and of emphasis."""
    kept = word.rstrip(_MARKS)
    return kept.rstrip("*_") if kept[:1] in ("*", "_") else kept
