"""Numbers that let somebody in for a moment or for good (PIN, PUK, one-time codes, keys of networks), phrases, answers.

Looser than `eyrie.privacy.codes`: a code counts after the word that says which one it is, whatever little stands
between, or where somebody says that he typed it and was locked out.
"""

import re
from collections.abc import Iterator

from eyrie.privacy.passwords import is_phrase
from eyrie.privacy.phrases import Phrases

# codespell:ignore-begin
_CODE = r"(?P<v>\d{3}[ -]\d{3}|\d{4,8})(?![.,:/%-]?\d|[\w%°€$]|[ -]\d{3,})"
_IS = (
    r"(?i:[ \"'`*]{0,2}(?:[:=]|(?:,? (?:was|is|now|always|still|immer|war|ist|lautet|est|c['’]est|était|es|era|è|é|del?"
    r"|della|da|do|von|van|der|sempre|siempre|toujours|altijd|firma|sim|karte|carte|card|code|number"
    r"|nummer)){1,3}[:=]?)?"
    r"[ \"'`*(]{0,3})"
)
_SECOND = (
    r"(?:verification|security|log-?in|sign-?in|auth\w*|one-?time|two-factor|2fa|mfa|sms|confirmation|google|whatsapp"
    r"|einmal|bestätigungs|verifizierungs|sicherheits|anmelde|verificatie|bevestigings|beveiligings|toegangs)[ -]?"
    r"(?:pass)?(?:code|kode|pin|passwort)"
    r"|codes? de (?:vérification|confirmation|sécurité|validation)|código de (?:verifica\w+|confirma\w+|seguran\w+"
    r"|seguridad|acceso|acesso)|codice di (?:verifica|conferma|sicurezza|accesso)|(?<![a-z])(?:otp|[ms]?-?tan|sms-tan"
    r"|pushtan|totp)(?: ?code)?"
)
_TILL = (
    r"(?:till|cashier|vendor|staff|operator|tablet|kassen|bediener|entsperr|sperr|zugangs|alarm|lock-?box"
    r"|passer)[ -]?code"
    r"|code (?:vendeur|caisse|porte|immeuble|portail|opérateur|agent|employé|d['’]accès|parental|alarme)|digicode"
    r"|lock ?box|código (?:de caja|de cajero|del portal|do portão|da porta|de la puerta|vendedor)"
    r"|codice (?:portone|del cancello|cassa|operatore|del portone)|kassacode|deurcode|poortcode"
)
_THING = r"(?:cart[ea]s?|karte|card|tarjeta|cartão|kaart|handy|phone|i?pad|tablet|sim|téléphone|móvil|telefono)"
_LOCKED = r"(?:\bsims?\b|cart[ea]\b|karte|\bcard\b|tarjeta|bloqu|gesperrt|locked|\bpin\b|\bpuk\b|blocked|blocc)"
_PATTERNS = (
    rf"(?i:(?<![a-z])(?:pin|puk)[12]?(?:[- ]?(?:codes?|nummer|number))?){_IS}{_CODE}",
    rf"(?i:(?<![a-z])(?:{_SECOND}))[12]?{_IS}(?:G-)?{_CODE}",
    rf"{_CODE} (?i:is|est|ist|es|è|é) (?i:your|votre|ihr|dein|ton|tu|su|il tuo|seu|je|uw)\b"
    rf"[^\n.]{{0,30}}?(?i:cod|otp|pin|tan)",
    rf"(?i:\bcode|the sms said|sms says|got by sms|kode|código|codice) {_CODE}[^\n.]{{0,40}}?(?i:\bexpire"
    rf"|\bsms\b|text message|that code|verif|läuft|caduca)",
    rf"(?i:\bsms (?:said|says)|\buse) {_CODE},? (?i:use that|to (?:log|sign|verify|confirm))",
    rf"(?i:\b(?:tap[ée]|typed?|entered|entré|tippe|getippt|puse|metí|inserito|digit\w+|fait))(?: "
    rf"[\w'’]+){{0,4}}? {_CODE}"
    rf"(?=[^\n]{{0,90}}?(?i:{_LOCKED}))",
    rf"(?i:\bhabe?) {_CODE} (?i:\w* ?ein(?:ge(?:geben|tippt)))",
    rf"(?i:(?<![a-z])(?:{_TILL})){_IS}(?P<v>[*#A-D]?\d{{4,6}}[A-D#]?)(?![.,:/%-]?\d|[\w%])",
    rf"(?i:\b{_THING}\b)[^\n\d.]{{0,24}}?(?i:\bcode|pin|código|codice|with|mit|avec) {_CODE}",
    rf"(?i:\bc[óo]d(?:e|igo|ice)) {_CODE}(?=[^\n.]{{0,24}}?(?i:{_THING}|appli|banque|bank))",
    # Keys of networks, as routers have them on their label
    r"(?i:passw\w*|pwd|kennwort|schlüssel|key|clé|code|clave|contraseña|senha|wachtwoord|mdp|mot de passe|chiave|wpa\d?"
    r"|psk|sleutel)[^\n\d]{0,24}(?P<v>\d{4}(?: \d{4}){3,5}|\d{16,24})(?!\w| \d)",
)
_STEMS = Phrases(
    *("pin", "puk", "cod", "kod", "cód", "otp", "tan", "sms", "lock", "sperr", "bloqu", "karte", "wpa", "psk", "key"),
    *(
        "passw",
        "schlüssel",
        "clé",
        "senha",
        "wacht",
        "contrase",
        "mdp",
        "mot de",
        "chiave",
        "sleutel",
        "kennw",
        "log in",
    ),
    *("eingegeben", "clave", "pwd"),
)
_NUMBER = re.compile(r"[0-9](?<![0-9.,].)[0-9]{2}(?:[0-9]|[ -][0-9]{3}(?![0-9]))")
_PHRASE_STEMS = Phrases("phrase", "passe", "vault", "master", "keepass", "bitwarden", "password", "1password")
_WORDS = r"[A-Za-zÀ-ɏ]{2,12}(?:[ ][A-Za-zÀ-ɏ0-9]{2,12}){3,7}"
_PHRASES = re.compile(
    rf"(?i:phrase(?: de passe| secrète)?|mot de passe(?: maître)?|keepass|bitwarden|master password|passphrase|mdp"
    rf"|vault)(?: [\w'’]{{1,10}}){{0,3}}?(?: ?[:=])?(?: (?i:c['’]est|est|is))? ?[\"“«'] ?(?P<v>{_WORDS}) ?[\"”»']"
    rf"|(?i:phrase de passe|phrase secrète|mot de passe maître|master password|passphrase)(?: ?[:=]| (?i:est)) "
    rf"(?P<w>{_WORDS})(?=[.!]?\s*$)"
    r"|(?i:it['’]?s|is|was|c['’]est|ist|master|vault|[:=]) [\"'`]?"
    r"(?P<x>[a-z]{3,}(?:-[a-z]{3,}){3,}(?:-\d{1,4})?!?)(?![\w-])",
    re.MULTILINE,
)
_ANSWER_STEMS = Phrases(
    "maiden",
    "first pet",
    "memorable",
    "question",
    "security answer",
    "frage",
    "pregunta",
    "domanda",
    "pergunta",
)
_ANSWERS = re.compile(
    r"(?i:maiden name|first pet(?:['’]s name)?|memorable (?:word|name)|(?:security|secret) (?:answer|question)"
    r"|sicherheitsfrage|question secrète|pregunta (?:de seguridad|secreta)|domanda (?:di sicurezza|segreta)"
    r"|pergunta (?:de segurança|secreta))(?:[^\n]{0,40}?(?:[:=,?]| (?i:is|was|answer|antwort|réponse|respuesta|risposta"
    r"|resposta))| )[ \"']{0,2}(?i:(?:answer|antwort|réponse|respuesta|risposta|resposta)\b[ :=]{1,3})?[\"']?"
    r"(?P<v>(?!(?i:what|which|where|when|who|how|name|mother|first|your|my|the|wie|was|wo|quel\w*|cual|qual|nome|nombre"
    r"|reset|answer|antwort|réponse|respuesta|risposta|resposta|none)\b)[A-ZÀ-Þ][A-Za-zÀ-ɏ'’-]{3,20})(?="
    r"[\"']?(?:\s*$|[.,;)]|\s\())",
    re.MULTILINE,
)
_LOCKS_OF_THREE = Phrases(
    *("safe", "key box", "keybox", "lock", "combo", "combination", "cadenas", "candado", "lucchetto", "cadeado"),
    *("schloss", "slot"),
)
_OF_THREE = re.compile(
    r"(?i:\b(?:(?:pad|bike|bicycle|cable|door)?lock(?:er)?|combo|combination|cadenas|candado|lucchetto|cadeado|\w*schloss|(?:fiets|hang)slot"
    r"|key ?safe|key ?box|schlüsselsafe)\b)"
    r"(?:,? (?:[^\W\d]+ ){0,3}|[^\w\n]{1,4}| (?i:d\w{1,2}) \w+ ?: ?)[\"'“]?(?P<v>\d{3})"
    r"(?=[\"'”]?(?:\s*$|[.,;!?)](?!\d)| (?i:and|und|et|y|e|en|then|but|or|for|pour|für|para|per|voor)\b))",
    re.MULTILINE,
)
_WW = Phrases("ww")
_WW_STEM = re.compile(r"(?<![\w.])(?i:ww)(?: ?[:=] ?| )[\"']?(?P<v>(?=\S*[\d!@#$?*])[^\s\"'`<>|,;]{5,40})")
# codespell:ignore-end
_COMPILED = [re.compile(pattern) for pattern in _PATTERNS]


def short_codes(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of every such code, phrase and answer."""
    if _NUMBER.search(text) and _STEMS.occur_in(text):
        for pattern in _COMPILED:
            yield from (match.span("v") for match in pattern.finditer(text))
    if _PHRASE_STEMS.occur_in(text):
        for match in _PHRASES.finditer(text):
            if match["w"] is None or is_phrase(match["w"], quoted=False):
                yield match.span(match.lastgroup or 0)
    if _ANSWER_STEMS.occur_in(text):
        yield from (match.span("v") for match in _ANSWERS.finditer(text))
    if _LOCKS_OF_THREE.occur_in(text):
        yield from (match.span("v") for match in _OF_THREE.finditer(text))
    if _WW.occur_in(text):
        yield from (match.span("v") for match in _WW_STEM.finditer(text))
