"""Codes that open something: of doors, alarms and safes, for the recovery of an account, the seed of one-time codes.

Numbers count where they are said to open a lock or to be its code, in either order; a recovery code may be any short
word with digits in a list after these words; a seed is what RFC 4648 calls base32, beside a word for one-time codes.
"""

import re
from collections.abc import Iterator

from eyrie.privacy.phrases import Phrases

# codespell:ignore-begin
# In small letters; found first, since looking for plain text is cheap.
_LOCK_STEMS = (
    *("door", "pin", "phone", "gate", "garage", "alarm", "safe", "vault", "lock", "box", "keypad", "digicode"),
    *("tür", "tor", "tresor", "porte", "portail", "coffre", "cadenas", "puerta", "portal", "portón"),
    *("voicemail", "briefkasten", "mailbox", "code", "caja", "candado", "porta", "cancello", "allarme"),
    *("cassaforte", "portão", "cofre", "cadeado", "deur", "poort", "kluis", "slot", "schließfach", "entry"),
    *("building", "elevator", "cabin", "shed", "combin", "komb", "schlüsselbox", "lucchetto", "immeuble"),
    *("edificio", "open", "get in", "öffne", "ouvr", "abr"),
)
_OF_LOCKS = Phrases(*_LOCK_STEMS)
_LOCK = (
    r"(?i:(?:front|back|side|main|garage|outer|cellar|basement) ?(?:door|gate)|door|gate|garage|alarm(?:anlage)?"
    r"|safe|vault"
    r"|(?:lock|key|cash) ?box|key ?safe|(?:bike|bicycle|pad|door|combination|gun|smart)[ -]?lock|padlock|locker|keypad"
    r"|entry|entrance|building|elevator|shed|digicode|(?:haus|wohnungs|keller|garagen|eingangs)?tür|(?:hof|garagen)?tor"
    r"|tresor|safe|schließfach|schlüsselbox|fahrradschloss|porte|portail|coffre(?:-fort)?|alarme|cadenas|immeuble"
    r"|puerta"
    r"|\w+ ?lock|voice ?mail|mailbox|briefkasten|portal|portón|alarma|caja fuerte|candado|porta|portone|cancello"
    r"|allarme|cassaforte|lucchetto|portão|cofre|cadeado"
    r"|(?:voor|achter)?deur|poort|kluis|(?:fiets|hang)?slot|kluisje|edificio|prédio|condomínio)"
)
_CODE = (
    r"(?i:(?:pin|key|access|entry|gate|door|secret)?[ -]?codes?|pin|combination|combo|(?:zahlen|zugangs)?code"
    r"|zahlenkombination"
    r"|kombination|c[óo]digo|codice|combinaison|combinaci[óo]n|combinazione|combinação|cijfercode|pincode|passcode)"
)
_IS = (
    r"(?:['’]s|,? (?i:it['’]?s|it was|is|was|are|remains|ist|war|lautet|est|c'est|es|era|è|é|são|has changed to"
    r"|changed to"
    r"|(?:re)?set to"
    r"|to|now|zijn|still))(?: (?i:now|still|just|jetzt|maintenant|ahora|ora|agora|nu|again|back to|set to"
    r"|always))?(?: (?i:le|la|el|il|das|die|der|de|het|o|the))?[:,]?"
)
_OPEN = r"[\"'`“„«*(]{0,3}"
_DIGITS = (
    r"(?P<v>[*#A-D]?\d{4,8}[A-D*#]?|\d{2,4}[- ]\d{2,4}|\d{1,2}(?P<s>[-–/. ])\d{1,2}(?P=s)\d{1,2})"
    r"(?![.,:/%]?\d|[\w%°]|-\d| (?:m|km|users?|people|times|points|rooms|lines|words|miles|years|euros?|dollars)\b)"
)
_OF = (
    r"(?: (?i:for|to|of|on|at|für|zu[mr]?|vom|der|am|an|pour|de|du|des|del?|della?|dell['’]|do|da|van|voor"
    r"|op|per|il|la|al))"
)
_WORDS = r"(?: [\w'’.&-]{1,16}){0,4}?"
_LOCKS = (
    # "the code for the front door is 4821", "el código de la alarma es 4821"
    rf"{_CODE}{_OF}{{1,2}}(?: ?\w{{1,12}}['’]?s?){{0,3}}? ?\b{_LOCK}\b{_WORDS}(?:{_IS}| ?[:=–-]) {_OPEN}",
    # "the alarm code is 4821", "Alarmcode: 4821", "garage keypad: 4821"
    rf"{_LOCK}(?:s|['’]s)?[ -]?{_CODE}\b{_WORDS}(?:{_IS}| ?[:=–-])? {_OPEN}",
    # "combination: 14-32-07"
    rf"(?i:combination|combo|kombination|combinaison|combinaci[óo]n|combinazione|combinação|combinatie)\b{_WORDS}"
    rf"(?:{_IS}|[:=–-])? {_OPEN}(?=\d{{1,2}}[-–/ .]\d{{1,2}}[-–/ .]\d{{1,2}}(?!\d))",
    # A label alone: "Gate: 4821, garage: 5930"
    rf"(?:^|[,;.(|•>-] ?|\b(?i:and|und|et|y|e|the|my) )"
    rf"(?!(?i:building|entr|elevator|locker|edificio|immeuble)\w* (?:is|est|es|è|é|ist))"
    rf"(?:\w{{2,12}} )?{_LOCK}(?: opener| keypad| panel|(?: (?i:de|du|der|im|in|of|at|della|del|da|van"
    rf"|d['’])(?: \w{{2,12}}){{1,3}}?)"
    r"(?= ?:))?(?:,| ?[:=–]| -| is| est| c'est| es| è"
    rf"| é| ist) "
    rf"{_OPEN}(?!(?:[01]\d|2[0-4])[0-5]\d\b)(?!(?:19|20)\d\d\b)",
    # "alarm 4821, garage 5930"
    rf"(?:^|[,:;] ?|['’]|\b(?i:and|und|et|y|e) )(?:the )?{_LOCK} (?!(?:19|20)\d\d\b)(?=[\d*#-]{{4,8}}[A-D#]?(?:[,.;]"
    rf"|\s*$))",
    # "use 4821 to open the lockbox"
    r"\b(?i:use|enter|type|punch|press|dial|input|key in|put in|tap|tippe?|gib|eingeben|tapez?|compose[rz]?|entre[zr]?"
    r"|utilise[zr]?|marca|pulsa|introduce|teclea|usa|digita|inserisci|digite|use|toets|gebruik)(?: (?i:in|the|code"
    r"|le|el|il|o"
    rf"|den|de|código|codice|pin|combo|combination)){{0,3}} {_OPEN}(?!(?:19|20)\d\d in\b"
    rf"|\d0{{3}}\b)(?=[*#\dA-D-]{{4,9}}[\"'`”»*)]{{0,3}}(?:[,.;:)]|"
    rf" (?i:to|on|at|in|for|into|and"
    r"|then|sur|pour|à|auf|am|an|zum|um|ein|per|su|en|para|na|no|op|om|y|e|et|und)\b))"
    rf"(?=[^\n.]{{4,80}}?\b{_LOCK})",
    # "the alarm panel: enter 4821 and", "pin della carta 4821"
    rf"\b(?:{_LOCK}|(?i:get|come|let \w+) in)\b[^\n.]{{0,50}}?\b(?i:then|dann|puis|enter|type|punch in|press|dial"
    rf"|key in|eingeben|tippen|tapez|composez|marca|teclea"
    rf"|digita|inserisci|digite|toets)(?: (?i:in|the|code|pin))* {_OPEN}"
    r"(?!(?:19|20)\d\d\b|\d0{3}\b)(?=[*#\dA-D-]{4,9}[\"'`”»*)]{0,3}(?:[,.;:)]|\s*$| (?i:then|and|und|dann|et|puis|y"
    r"|luego|e|poi|en|dan)\b))",
    r"(?<![a-z])(?i:pin|puk)(?: (?i:of|for|del?|de la|della|da|do|von|der|du|van de|my|the|carte|carta|card|karte"
    r"|tarjeta"
    rf"|cartão|kaart|sim|bank|debit|credit)){{1,4}} {_OPEN}(?=\d{{4,8}}(?:[,.;)]|\s*$| -))",
    # "Key safe by the back door. 4821."
    rf"\b(?i:key ?safe|(?:lock|key) ?box|keypad|schlüsselsafe|digicode|sleutelkluis)\b[^\n\d]{{0,50}}[.:,] {_OPEN}"
    r"(?=\d{4,6}[A-D]?[.,;\n])",
    # "4821 is my pin", "I use 4821 as my PIN"
    r"(?=[*#\d][\d*# -]{3,9}[\"'`”»]{0,2} (?i:(?:is|was|as) (?:my|our|the|his|her) (?:[\w-]+ ){0,2}?(?:pin|passcode"
    r"|combination)"
    r"|(?:comme|als|como|come) (?:mon |meine? |mi |il )?(?:code|pin|código|codice))\b)(?<![\w.,])",
    # "alarm off with 4821"
    rf"\b{_LOCK} (?i:off|on|opens?|unlocks?|aus|auf|mit|avec|con|com)(?: with| mit| avec)? {_OPEN}",
    # "4821 opens the gate"
    rf"(?=[*#\d][\d*# -]{{3,10}}\w? (?i:opens?|unlocks?|disarms?|is the (?:code|combo|pin)|ouvre|öffnet|abre|apre"
    rf"|opent)\b[^\n.]{{0,40}}?"
    rf"\b(?:{_LOCK}|{_CODE}))(?<![\w.,])",
)
# A code, and what it opens in the same breath.
_SAID = re.compile(
    rf"\b{_CODE}\b(?:(?: [\w'’.&-]{{1,24}}){{0,6}}?(?P<says>{_IS}| ?[:=–-])|(?! (?:19|20)\d\d\b)) {_OPEN}{_DIGITS}"
)
_OTHER_CODE = re.compile(
    r"(?i:area|zip|post(?:al)?|country|promo|discount|coupon|voucher|order|qr|bar|error|status|exit|dress|source"
    r"|colou?r|http"
    r"|dial(?:ling)?|product|item|model|part|flight|booking|tracking|tax|morse|airport|sort|swift|fehler|länder)[ -]?"
    r"(?:codes? (?:of|for|to) (?:the )?)?$"
)
_LOCK_NEAR = re.compile(
    rf"\b(?:{_LOCK}|(?i:\w*(?:kluis\w*|schloss|kasten|lock)|unlock\w*|disarm\w*|alarm\w*|open(?:s|ed)?|apr\w+|abr\w+"
    rf"|ouvr\w+"
    r"|öffne\w*|aufsperren|reinkommen|get in|let (?:yourself|myself|you) in|enter|parking|barrier|ipad|i?phone"
    r"|tablet|cottage|cabin"
    r"|apartment"
    r"|keys?|schlüssel|clés?|llaves?|chiavi|chaves?|sleutels?))\b"
)
_YOUR = re.compile(r"\b(?i:your|ihr|dein|votre|ton|tu|su|tuo|seu|uw|je)\b")
_NEAR = 100  # characters
_BEFORE, _AFTER = 160, 70  # a number
_LOCKED = [re.compile(pattern + _DIGITS, re.MULTILINE) for pattern in _LOCKS]

_CODE_OR_KEY = Phrases(
    "cod", "kod", "cód", "key", "clé", "clav", "schlü", "chiav", "chav"
)  # in every language of _CODES
_CODES_STEMS = Phrases(
    *("recovery", "backup", "back-up", "scratch", "emergency", "rescue", "one-time", "one time", "single-use", "2fa"),
    *("single use", "mfa", "two-factor", "two factor", "wiederherstell", "reserve", "notfall", "herstel", "secours"),
    *("récupération", "sauvegarde", "recuperaci", "respaldo", "seguridad", "recuperação", "segurança", "recupero"),
)
_TWO_STEP_STEMS = Phrases("-step", " step", "factor", "2fa", "mfa")  # where codes are not called so
_CODES = re.compile(
    r"(?i:(?:recovery|backup|back-up|scratch|emergency|rescue|one[- ]time|single[- ]use|2fa|mfa|two[- ]factor"
    r"|wiederherstellungs"
    r"|reserve|notfall|herstel)[ -]?(?:\w{1,12}[ -])?(?:codes?|keys?)(?![a-z])|code?s? de (?:secours|récupération"
    r"|sauvegarde)"
    r"|(?:clé|clave|chiave|chave) d[ei] (?:récupération|secours|recuperaci[óo]n|recupero|recuperação)"
    r"|wiederherstellungsschlüssel"
    r"|c[óo]digos? de (?:recuperaci[óo]n|respaldo|seguridad|recuperação|backup|segurança)|codic[ei] di (?:backup"
    r"|recupero))"
    r"[^\n:=]{0,50}?(?:[:=–—]|\b(?:is|are|ist|lauten|sont|son|sono|são|zijn)\b|\n"
    r"|(?=\s[\"'`]?[\w-]*\d))[\s\"'`*>\[(]{0,8}",
)
# Somewhere behind a word for them: only what is grouped as these are, or, where codes are called so, digits.
_TWO_STEP = re.compile(
    r"(?i:(?:recovery|backup|back-up|scratch|emergency|rescue|2fa|mfa|two[- ](?:factor|step)|2[- ]step"
    r"|wiederherstell\w*"
    r"|notfall|herstel|secours|récupération|sauvegarde|recuperaci[óo]n|respaldo|recuperação|recupero)\b)"
)
_GROUPED = re.compile(
    r"(?<![\w-])(?P<v>(?=[a-z-]*\d)(?:[a-z0-9]{4,5}-){1,3}[a-z0-9]{4,5}"
    r"|(?=[A-Z-]*\d)(?:[A-Z0-9]{4,5}-){1,7}[A-Z0-9]{4,5}"
    r"|(?=[A-Z]*\d)(?=\d*[A-Z])[A-Z0-9]{10}|(?P<digits>\d{4} \d{4}))(?![\w-]|\.\d| \d)"
)
_CODES_NEAR = re.compile(r"(?i:codes?\b|códigos?|codici)")
_LONG_GROUPS = re.compile(r"(?:\w{4}-){2}\w{4}|\w{5}-[\w-]{5,}|\w{10}")
_YEARS = re.compile(r"(?:19|20)\d\d[ -](?:19|20)\d\d|\d{4}-\d{4}(?:-\d{4})+")
_REACH = 150  # characters
_BULLET = re.compile(r"(?:[\s,;|\"'`*>\])\[(•+-]|\d{1,2}[.)](?=\s)|\b(?:and|und|et|y|e|or|en)\b){1,12}")
_ITEM = re.compile(
    r"(?=[\w -]*\d|[a-zA-Z]{4,5}-[a-zA-Z]{4,5}\b)(?:[A-Za-z0-9]{3,8}(?:-[A-Za-z0-9]{3,8}){1,7}|\d{3,5} \d{3,5}(?! ?\d)"
    r"|(?=[A-Za-z]*\d)[A-Za-z0-9]{6,16})(?![\w-])"
)
_NO_CODE = re.compile(r"\d{1,5}-\w+s?|(?i:sha|utf|v)-?\d+|\d+-?[a-z]{3,}")
_SEED_STEMS = Phrases("2fa", "totp", "otp", "mfa", "authenticator", "two-factor", "seed", "setup key", "one-time")
_SEED = re.compile(
    r"(?i:2fa|totp|otp|mfa|authenticator|two[- ]factor|setup key|seed|one[- ]time|base32)[^\n]{0,60}?[\s:=\"'`(]"
    r"(?P<v>(?=[A-Z2-7 =]{16})(?:[A-Z2-7]{16,}={0,6}|[A-Z2-7]{4}(?:[ -][A-Z2-7]{4}){3,15})"
    r"|[a-z2-7]{4}(?: [a-z2-7]{4}){3,15})(?![\w-])"
)
_KUBERNETES = Phrases("kind: secret")
_K8S = re.compile(r"^kind: *Secret\b", re.MULTILINE)
_DATA = re.compile(r"^ *data: *\n(?P<rows>(?:[ \t]+[^\n]*\n?|\n)+)", re.MULTILINE)
_ROW = re.compile(
    r"^[ \t]+[\"']?(?P<name>[\w.-]+)[\"']?: *[\"']?(?P<v>[A-Za-z0-9+/]{4,}={0,2})[\"']?[ \t]*$", re.MULTILINE
)
_OPEN_NAME = re.compile(
    r"(?i:.*(?:user(?:name)?|host|port|e?mail|database|db|dbname|region|url|endpoint|crt|cert|ca))$"
)
# codespell:ignore-end


def told_codes(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of every such code."""
    for start, end in _near_numbers(text):
        for pattern in _LOCKED:
            for match in pattern.finditer(text, start, end):
                if not _OTHER_CODE.search(text, max(0, match.start() - _NEAR), match.start()):
                    yield match.span("v")
        for match in _SAID.finditer(text, start, end):
            near = max(0, match.start() - _NEAR), match.end() + _NEAR // 2
            if not _OTHER_CODE.search(text, near[0], match.start()) and (
                _LOCK_NEAR.search(text, *near) or (match["says"] and _YOUR.search(text, near[0], match.end()))
            ):
                yield match.span("v")
    if _KUBERNETES.occur_in(text):
        yield from _of_kubernetes(text)
    if not _DIGIT.search(text):
        return
    about = _CODE_OR_KEY.occur_in(text) and _CODES_STEMS.occur_in(text)
    if about:
        yield from _recovery_codes(text)
    if about or _TWO_STEP_STEMS.occur_in(text):
        yield from _grouped_codes(text)
    if _SEED_STEMS.occur_in(text):
        for match in _SEED.finditer(text):
            if any(map(str.isdigit, match["v"])) or len(match["v"]) > 24:
                yield match.span("v")


_DIGIT = re.compile("[0-9]")
_FOUR = re.compile(r"[0-9][0-9][- ]?[0-9][0-9]|[0-9][-–/ .][0-9]{1,2}[-–/ .][0-9]")


def _near_numbers(text: str) -> Iterator[tuple[int, int]]:
    """The stretches of the text that hold such a number and a word for a lock."""
    if not _OF_LOCKS.occur_in(text):
        return
    begin = end = 0
    for number in _FOUR.finditer(text):
        if number.start() < end - _AFTER:
            continue
        begin, end = max(0, number.start() - _BEFORE), number.end() + 2 * _AFTER
        if any(map(text[begin:end].lower().__contains__, _LOCK_STEMS)):
            yield begin, end


def _recovery_codes(text: str) -> Iterator[tuple[int, int]]:
    for head in _CODES.finditer(text):
        position, spans = head.end(), []
        while True:
            bullet = _BULLET.match(text, position)
            item = _ITEM.match(text, bullet.end() if bullet else position)
            if item is None:
                break
            spans.append(item.span())
            position = item.end()
        if any(not _NO_CODE.fullmatch(text[start:end]) for start, end in spans):
            yield from spans


def _grouped_codes(text: str) -> Iterator[tuple[int, int]]:
    for match in _GROUPED.finditer(text):
        reach = max(0, match.start() - _REACH), match.end() + _REACH // 2
        about = None if _YEARS.fullmatch(match["v"]) else _TWO_STEP.search(text, *reach)
        if about is None:
            continue
        is_long = about[0].lower() != "backup" and _LONG_GROUPS.fullmatch(match["v"]) is not None
        if is_long or _CODES_NEAR.search(text, *reach):
            yield match.span("v")


def _of_kubernetes(text: str) -> Iterator[tuple[int, int]]:
    if not _K8S.search(text):
        return
    for block in _DATA.finditer(text):
        for row in _ROW.finditer(text, *block.span("rows")):
            if not _OPEN_NAME.fullmatch(row["name"]):
                yield row.span("v")
