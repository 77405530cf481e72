"""Passwords that are words, told in a sentence: "the wifi password is sunflower", "I changed my pw to l0ve".

A word is a password only in the strictest grammar: the sentence says that the password *is* this word, or was set to
it, or that this word is used as one. What else may stand there is known by the word (`eyrie.privacy.plain_words`).
Labels that give a word are read by `eyrie.privacy.labels`.
"""

import re
from collections.abc import Iterator, Sequence

from eyrie.privacy.passwords import is_phrase, may_be_told
from eyrie.privacy.phrases import Phrases
from eyrie.privacy.plain_words import is_plain

# codespell:ignore-begin
# How the names for passwords begin, in small letters, under a part of them; looking for plain text is cheap.
_BEGINNINGS = Phrases(
    *(
        "pass",
        "pasw",
        "palavra-passe",
        "palavra passe",
        "mot de passe",
        "mots de passe",
        "phrase de passe",
        "pwd",
        "pw",
    ),
    *("pword", "code word", "codeword", "secret word", "secretword", "safe word", "magic word", "wachtwoord"),
    *("codewort", "losungswort", "security answer", "answer to ", "network", "netzwerk", "wifi", "wi-fi", "wlan"),
    *("wpa", "psw", "mdp", "adgangskode", "parola d", "lösenord", "hotspot", "heslo", "senha", "hasło"),
    *("parola chiave", "contrase", "clave", "clé ", "kennw", "kenncode", "парол"),
)
_CRACKING, _ASKING = Phrases("crack", "guess", "brute"), Phrases("maiden", "question", "sicherheitsfrage", "pregunta")
NAME = (
    r"(?i:pass?[ -]?wor[dt]|passwd|pass[ -]?phrase|pass[ -]?code(?=\W)|(?<![a-z])(?:pwd?|psw|passwrd|pword)(?![a-z])"
    r"|(?<![\w-])mdp|mots? de passe|phrase de passe|kenn(?:w[oö]rt|code)|contrase[nñ]a|palavra[- ]passe|senha"
    r"|parola (?:d['’]ordine|chiave)|wachtwoord|hasło|lösenord|adgangskode|heslo|парол[ья]"
    r"|(?:code|secret|safe|magic) ?word|codewort|losungswort|security answer|answer to (?:my|the) security question"
    r"|(?<=\bmi )clave|(?<=\bsu )clave|(?<=nuestra )clave|(?<![a-z])clave (?:del?|de la) (?:wi-?fi|wlan|router|red"
    r"|correo|acceso|cuenta)"
    r"|(?:wi-?fi|wlan|network|netzwerk|wpa2?|hotspot)[ -]?(?:key|schlüssel|code|pass|sleutel)|clé (?:du |de )?wi-?fi"
    r"|(?:(?<=^)|(?<=\n)|(?<=my )|(?<=admin )|(?<=root )|(?<=login )|(?<=wifi )|(?<=the ))pass(?= is |['’]s | was ))"
)
# Not where another noun follows, of which the sentence speaks then: "the password policy is strict".
_NAMED = re.compile(
    NAME
    + r"(?![ -](?i:polic|rule|strength|manag|field|hash|length|form|input|prompt|generat|protect|complex|expir|requir"
    r"|storage|box|dialog|polít|richtl|regel|criteri|meter))"
)
# What may say more of a password before its verb: "... for the router", "which I use", "(at home)".
MORE = (
    r"(?: (?i:tempor\w+|ini[cz]ia\w*|initiale?|provis\w+|a[ct]tua\w+|nuov[ao]|nuev[ao]|nouveau|nov[ao]|wi-?fi"
    r"|admin\w*|root"
    r"|maestra|principal\w*|padrão|corrente|vecchia|antigu?a|ancien|comune|comum|común|commun))?"
    r"(?:,? \(?(?i:for|of|to|with|mit|con|avec|com|on|at|in|from|which|that|who|i|we|he|she|they|you|fürs?|zum|zur|vom"
    r"|von|beim|im|am|an|auf"
    r"|der|des|pour|du|de|de[ls]?|d['’]\w+|sur|à|au|al|della?|dell['’]\w+|per|dei|do|da|dos|no|na|van|voor|op|bij|met"
    r"|het|para|en|dla|till|til)(?: [\w'’.@/&\"-]{1,40}){0,6}?\)?)?"
)
_IS_IT = r"c['’]est|it['’]?s|it is|it was|that['’]?s|es ist|es war|das ist|era|sería|è|é|é a|es|het is"
_COPULA = (
    r"(?: ?(?i:['’]s)|,? (?i:is|was|are|will be|has been|used to be|ist|war|lautet|lautete|heißt|wäre|est|était"
    r"|c['’]est"
    r"|es|era|è|é|foi|sarà|será|sera|become|became|zijn|to|jest|är|er|called|being)"
    rf"|[,;:] ?(?:[\w'’]+ ){{0,4}}?(?i:{_IS_IT}))"
    r"(?: (?i:either|entweder|soit|just|now|still|only|currently|literally|simply|um+|uh+|er+|like|actually|jetzt"
    r"|einfach|noch|nur|auch|halt"
    r"|maintenant|toujours|simplement|ahora|solo|sólo|simplemente|ancora|sempre|adesso|agora|ainda|apenas|só|nu|gewoon"
    r"|nog|set to|going to be|always|originally|wieder|weiterhin|doch|ja|eigentlich|immer noch|probably|maybe|(?:ab"
    r"|from|dès|desde|a partir de|da) \w+(?: on)?))?(?:"
    r" ?:)? "
)
OPEN, SHUT = r"[\"'`«“„‘*_(]{0,3}", r"[\"'`»”“’*_)]{0,3}"
_WORD = r"(?P<{}>(?![-_.])[^\s\"'`<>|,;:()\[\]{{}}/\\«»“”„]{{4,40}}?)"
VALUE, OTHER, THIRD = (_WORD.format(name) for name in "vwx")
SIGNS = r"[.!?*$#%&+~^@]{0,3}"  # at the end of a password or of a sentence
# What ends the clause whose last word is the password.
END = (
    rf"{SIGNS}{SHUT}(?={SIGNS}(?:\s*$|\s*\n|[,;:)]|[.!?]+[\"'”»)]?\s)|[.,]? ?[(–—]| -"
    r"|,? (?i:and|but|or|so|because|cause|since|lol|btw|haha|though|right|with|in|on|for|if|when|what|which|can|could"
    r"|how|is|does|please|pls|thanks|ok|everywhere|by|if|at|from|to|yesterday|today|last|this|again"
    r"|already|heute|gestern|hier|ayer|ieri|ontem|gisteren|und|aber|oder|weil|mit|für|et|mais|ou|car|avec|pour|y"
    r"|pero|o|con|para|e|ma|però|mas|com|en|maar|met|want|voor|i|a|ale)\b)"
)
_IS = re.compile(
    rf"{NAME}[\"'`*]{{0,2}}{MORE}{_COPULA}{OPEN}{VALUE}{END}(?:,? (?:or|and|to|auf|und) {OPEN}{OTHER}{END})?"
)
_OF = r"[\"'`*]{0,2}(?: (?!to |from |as )[\w'’.@-]{1,20}){0,6}?"
_CHANGED = (
    r"(?:changé|mis|cambié|cambiado|cambiato|mudei|alterei|impostato|puesto|pus|geändert|gesetzt|ändern|veranderd"
    r"|ingesteld|gewijzigd)"
)
# "changed the password from ... to ...", "set the root password to ..."
_CHANGES = re.compile(
    r"(?:(?i:\b(?:set|setting|chang\w+|reset\w*|updat\w+|rotat\w+|switch\w+|made|make|guess\w*)\b)"
    rf"|(?P<foreign>(?i:\b{_CHANGED})))[^\n.?!]{{0,50}}$"
)
_BEFORE = 70  # characters in which they stand
_SET = re.compile(
    rf"{NAME}{_OF} (?:(?i:from {OPEN}{OTHER}{SHUT} )?(?i:to|as)"
    rf"|(?P<passive>(?i:(?:got |was |been |is |has been )?(?:re)?(?:set|changed|updated)(?: back)?)(?: to|,?"
    rf" (?:it['’]?s )?now))"
    rf"|(?P<foreign>(?i:(?:de|da|van|von) \S+ )?(?i:in|à|en|a|para|naar|por|auf)(?P<ends> (?=\S+ (?i:{_CHANGED})))?)) "
    rf"{OPEN}{VALUE}{END}"
)
_MINE = r"my|our|the|his|her|their|an?|mein|unser|das|mon|notre|le|un|mi|nuestra|la|una|mia|minha|nossa|mijn|het"
_USED = (
    r"us(?:e[sd]?|ing)|tried|picked|chose|choose|kept?|put|typed?|entered|with|have|had|set|was|keep|reuse[sd]?"
    r"|benutzt?e?|verwende|nutze|nehme|habe|genommen|utilise|utilisé|mis|choisi|pris|tapé|uso|usaba|usé|usado|puse"
    r"|puesto|elegí|utilizo|utilizzo|usato|messo|scelto|usei|pus|coloquei|escolhi|defini|gebruik|gekozen|gebruikte"
)
# "I use ... as my password", "for my password I picked ..."
_AS = re.compile(
    rf"(?i:\b(?:{_USED})) {OPEN}{VALUE}{SIGNS}{SHUT}(?:,? (?:and|or|und|et|y|e|o) {OPEN}{OTHER}{SIGNS}{SHUT})?"
    rf" (?i:as|als|comme|como|come|for) (?:(?i:{_MINE}) (?:[\w'’-]{{2,12}} ){{0,2}}?)?{NAME}"
    rf"|\b(?i:for|as) (?i:my|our|the) (?:[\w'’-]{{2,12}} ){{0,2}}?{NAME},? (?i:i|we|he|she|they) "
    rf"(?:[\w'’]+ ){{0,2}}(?i:use[sd]?|pick(?:ed)?|chose|choose|have|had|set|took|typed|entered) {OPEN}{THIRD}{END}"
)
# "als Passwort ... vergeben"
_CHOSEN = re.compile(
    rf"(?i:als|comme|como|come|as) (?:(?i:{_MINE}) )?(?:[\w'’-]{{2,12}} )?{NAME} {OPEN}{VALUE}{SIGNS}{SHUT}(?:,?"
    rf" (?i:vergeben|gewählt"
    r"|gesetzt|eingestellt|festgelegt|genommen|benutzt|verwendet|eingetragen|eingegeben|hinterlegt|ingesteld|gekozen"
    r"|gebruikt|ingevuld)\b)"
)
# "is ... a good password", "... is my password"
_IS_ONE = re.compile(
    rf"(?i:\b(?:is|would|ist|est|es|è|é)) {OPEN}{VALUE}{SIGNS}{SHUT} (?i:be )?(?i:an?|ein|un|une|una|uma|een) "
    rf"(?:[\w'’-]{{2,12}} ){{0,3}}?{NAME}(?= ?(?:[?.,!]|$|(?i:or|for|to|in) ))"
    rf"|(?:^|[.!?:,] |\n|\b(?i:that|think|believe|know) ){OPEN}{OTHER}{SIGNS}{SHUT} (?i:is|was|ist|est|es|è|é) "
    rf"(?i:my|our|the|mein|mon|mi|la mia|minha|mijn) (?:[\w'’-]{{2,12}} ){{0,2}}?{NAME}"
    rf"(?= ?(?:[?.,!]|$|(?i:for|to|on|at) ))",
    re.MULTILINE,
)
# "... asked for a password and I typed ...", "wrong password when I type ..."
_TYPED = re.compile(
    rf"{NAME}\b[^\n.?]{{0,40}}?\b(?i:typ(?:e|ed|ing)|enter(?:ed)?|tried|used?|put|gave|answered|picked|chose|tippte?"
    rf"|eingebe"
    rf"|tapé|mis|escrib[ío]|puse|digitato|scritto|escrevi)(?: in)? {OPEN}{VALUE}{END}"
)
# "does ... count as a password", 'check if "..." is in a password breach', "crack ..."
_ASKED = re.compile(
    rf"\b(?i:does|do|would|could|will|can) {OPEN}{VALUE}{SIGNS}{SHUT} (?:count|work|qualify|pass|do|serve) as"
    rf" [^\n.?!]{{0,30}}?{NAME}"
    rf"|\b(?i:if|whether|is|does|did|was|has|of|ob|si|se) [\"'“„«`]{OTHER}{SIGNS}[\"'”»`“] [^\n.?!]{{0,40}}?{NAME}"
)
_CRACK = re.compile(rf"\b(?i:crack(?:ing)?|brute[- ]?forc(?:e|ing)|guess(?:ing)?) {OPEN}{VALUE}{END}")
# "new pw: ... (old was ...)"
_OLD_ONE = re.compile(
    rf"{NAME}[^\n]{{3,60}}[(,;] ?(?i:the )?(?i:old|new|alt|neu|before|previous(?:ly)?|ancien\w*|nouveau|antes|prima"
    rf"|vorher|früher)"
    rf"(?: (?i:one|pw|password|mdp|passwort))?(?:,? (?i:was|is|war|ist|était|era)|:)? {OPEN}{VALUE}{END}"
)
# "the password ... does not work"
_FAILS = re.compile(
    rf"{NAME} {OPEN}{VALUE}{SIGNS}{SHUT}(?= (?i:non|doesn['’]?t|does not|won['’]?t|no longer|geht|funktioniert|ne"
    rf"|n['’]\w+|no"
    r"|não|werkt|stopped|isn['’]?t|is not)\b)"
)
# "Security question: first pet? Answer: ..."
_ANSWER = re.compile(
    rf"(?i:security question|sicherheitsfrage|question secrète|pregunta de seguridad|maiden name|first"
    rf" pet)[^\n]{{0,60}}?"
    rf"\b(?i:answer|antwort|réponse|respuesta|risposta|resposta|a) ?[:=] ?{OPEN}{VALUE}{END}"
)
# "I think it was ... or ...", with a password in the same breath
_IT_WAS = re.compile(
    rf"\b(?i:think|believe|sure|guess|maybe|probably|either|remember|glaube|denke|crois|pense|creo|credo|acho|denk)"
    rf"(?: (?i:that|dass|que|che|dat))?,? (?i:{_IS_IT}|es|it) (?:(?i:war|ist|either) )?{OPEN}{VALUE}{END}"
    rf"(?: (?i:or|oder|ou|o|of) {OPEN}{OTHER}{END})?"
)
_NEAR = 90  # characters
# Words with spaces between: "passphrase is copper river under sings", in quotes right after the name.
_PHRASE = re.compile(
    rf"{NAME}[\"'`*]{{0,2}}{MORE}(?:{_COPULA}| ?[:=] ?|,? (?=[\"“„«`]))[\"'`“„«]?"
    r"(?P<v>[A-Za-zÀ-ɏ]{2,12}(?: [A-Za-zÀ-ɏ]{2,12}){2,8})[\"'`”“»]?(?=[.!?]?(?:\s*$|\s*\n|[\"'`”“»,;)])|[.!?] | [–—-])",
    re.MULTILINE,
)
# As Google and Apple draw passwords for programs.
_PHRASE_AS = re.compile(
    rf"[\"“„«`](?P<v>[A-Za-zÀ-ɏ]{{2,12}}(?: [A-Za-zÀ-ɏ]{{2,12}}){{2,8}})[\"`”“»] (?i:as|als|comme|como|come"
    rf"|is) (?:[\w'’]+ ){{0,2}}{NAME}"
)
_FOR_APPS = re.compile(
    r"(?i:app(?:lication)?[- ]?(?:specific )?(?:pass\w*|kennwort|wachtwoord)|(?:mots? de passe|contraseñas?|senhas?"
    r"|passwords?) (?:d['’]application|de (?:la )?aplicaci[óo]n|de app|de aplicativo|per (?:le )?app)"
    r"|pass\w*[\"']?\s?[:=]"
    r"|2fa|smtp|gmail|imap)[^\n]{0,60}?[\s\"'`:=(]"
    r"(?P<v>[a-z]{4}(?: [a-z]{4}){3}|[a-z]{4}(?:-[a-z]{4}){3}|(?=[a-z]*[bcdfghjklmnpqrstvwxz]{4})[a-z]{16})(?![\w-]|"
    r" [a-z])"
)
# codespell:ignore-end


def plainly_told(text: str, names: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(start, end) of every word that is told as a password; `names` is of `names_in`."""
    for start in names:
        for pattern in (_IS, _SET):
            match = pattern.match(text, start)
            if match and (pattern is _IS or _is_change(text, match)):
                yield from accepted(match)
        for pattern in (_TYPED, _OLD_ONE, _FAILS):
            if (match := pattern.match(text, start)) and (pattern is not _FAILS or not is_plain(match["v"])):
                yield from accepted(match)
        if (match := _PHRASE.match(text, start)) and is_phrase(match["v"], quoted=_is_quoted(match)):
            yield match.span("v")
    if _CRACKING.occur_in(text):
        yield from (span for match in _CRACK.finditer(text) if not is_plain(match["v"]) for span in accepted(match))
    if _ASKING.occur_in(text):
        for match in _ANSWER.finditer(text):
            yield from accepted(match)
    if not names:
        return
    for pattern in (_AS, _CHOSEN, _IS_ONE, _ASKED):
        for match in pattern.finditer(text):
            yield from accepted(match)
    for match in _IT_WAS.finditer(text):
        if any(match.start() - _NEAR <= start <= match.end() + _NEAR for start in names):
            yield from accepted(match)
    yield from (match.span("v") for match in _PHRASE_AS.finditer(text) if is_phrase(match["v"], quoted=True))
    yield from (match.span("v") for match in _FOR_APPS.finditer(text))


def _is_quoted(match: "re.Match[str]") -> bool:
    return match.string[match.start("v") - 1] in "\"'`“„«"


def names_in(text: str, lower: str) -> list[int]:
    """Where the names for passwords begin; `lower` is the text in small letters."""
    starts = []
    for beginning in _BEGINNINGS.those_in(text):
        start = lower.find(beginning)
        while start >= 0:
            if _NAMED.match(text, start):
                starts.append(start)
            start = lower.find(beginning, start + len(beginning))
    return starts


def _is_change(text: str, match: "re.Match[str]") -> bool:
    """Whether "... password ... to" is of a sentence that says that it was set or changed."""
    if match["passive"] or match["ends"]:
        return True
    before = _CHANGES.search(text, max(0, match.start() - _BEFORE), match.start())
    return before is not None and (before["foreign"] is None) == (match["foreign"] is None)


def accepted(match: "re.Match[str]") -> Iterator[tuple[int, int]]:
    """The words of a match that may be passwords, with the signs at their ends, which may belong to them."""
    for group in ("v", "w", "x"):
        if group in match.re.groupindex and match[group]:
            start, end = match.span(group)
            while match.string[end : end + 1] and match.string[end] in "!?*$#%&+~^@":
                end += 1
            if may_be_told(match.string[start:end]):
                yield start, end
