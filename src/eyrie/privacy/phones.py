"""Phone numbers: python-phonenumbers over many regions, kept off dates, decimals and plain quantities.

Presidio's own recogniser (8 regions, leniency 1) found 70% of a synthetic set; leniency 0 over 25 regions found 98%,
but takes any run of 7 to 15 digits. So a match is scored by how it is written: an international or North American
spelling, or a grouped number valid in its region, counts at once; anything else needs a context word beside it.
"""

import re

import phonenumbers
from presidio_analyzer import AnalysisExplanation, EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

# Countries whose national spellings are tried. Here, because Presidio drops keys it does not know from its YAML.
_REGIONS = (
    *("US", "CA", "MX", "BR", "GB", "IE", "FR", "DE", "AT", "CH", "NL", "BE", "ES", "PT", "IT", "SE", "NO", "DK", "PL"),
    *("IN", "JP", "SG", "AU", "NZ", "ZA"),
)
# The cheap pre-filter: a run of digits and phone punctuation. Most prompts have none, and skip 25 slow parsers.
_CANDIDATE = re.compile(
    r"(?<![A-Za-z0-9/#@-])(?:(?<!\d[.:,])|(?=\(|\+)|(?<=\d,)(?=0\d{9}|\d{3}[-. ]?\d{3}[-. ]?\d{4}(?!\d)))"
    r"(?<!::)(?:\+|\(\+?)?\d(?:[ ().\-–/]{0,3}\d){6,16}"
    r"(?P<extension> ?(?:x|ext)\.? ?\d{1,6}\b)?(?(extension)|(?!\w|[:.]\d|,\d{1,3}(?!\d)))"
)
_NORTH_AMERICAN = re.compile(
    r"(?:\+?1[-. /]{0,3})?(?:\([2-9]\d{2}\)[ -]{0,3}|[2-9]\d{2}(?: ?[-./] ?| ))\d{3}(?: ?[-.] ?| )\d{4}"
)
_NOT_A_PHONE = re.compile(
    r"(?!0[1-9])\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:\D.*)?"  # 2024-01-15, with or without a time
    r"|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}(?:\D.*)?"  # 15.01.2024
    r"|\d{1,3}(?:\.\d{1,3}){3}"  # IPv4
    r"|\d{3,5}/(?:19|20)\d\d|\d{2}\.\d{3}\.\d{3}/\d{4}-\d\d"  # a file of a court, a company in Brazil
    r"|\d+\.\d+"  # decimal
    r"|(?!0)(?!(?:\d\d ){3}\d\d$)(?:\d{1,2} )+\d{1,2}"  # a list of small numbers; a French number starts with 0
    r"|(?:.*\s)?0\.\d.*|(?!\+).*\.\d{5}.*"  # decimals among them; +254.20.2732991 is none
    r"|(?:(?:19|20)\d\d[ \-–/]?){2,}"  # years
    r"|(?:\d{1,2}/)?(?:19|20)\d\d [(\d].*",  # a month or a year, and a number
    re.DOTALL,
)
# "call" is a stop word of the context machinery, and people write "call me on", so the words before are read here.
# codespell:ignore-begin
_CUE = re.compile(
    r"\b(?:call(?:ed|ing|s)?|ring|dial|reach(?:able)?|text|línea|cb|phone|tel|tél|appel\w*|joindre|llam\w+|chiam\w+|(?:ri)?contatt\w*|lig(?:ar|ue|a)"
    r"|bel(?:len)?|ruf\w*|anruf\w*)\b[^.\n]{0,40}$",
    re.IGNORECASE,
)
# Before the number of somebody who gets a message, or whom others are told to reach.
_TO = re.compile(
    r"(?:[\"'](?:to|from|recipient|msisdn)[\"']\s?:\s?[\"']|\b(?i:pix)\b[^\n\d]{0,12}|\b(?:al|ao|pelo|op) "
    r"|\b(?:Sra?|Mrs?|Ms|Herr|Frau|Mme|Sig|Sig\.ra)\.? [^\n,;()]{2,25}[,:(] ?)$"
)
# codespell:ignore-end
_IS_ELSE = re.compile(r"(?i:\b(?:number|nr|no|id|card|passport|account|order|ticket|ref|case)\b)[^\n]{0,8}$")
_MAIL = re.compile(r"\w@\w[\w.-]*\.[a-z]{2}")
_CUE_WIDTH = 60
# What else is written in groups.
_OTHER_NUMBER = re.compile(
    r"(?i:\b(?:isbn|vat|iva|ust-?id\w*|part|ndc|sku|build|version|chrome|firefox|aktenzeichen|az|cnpj|siret|siren"
    r"|processo|battery|item|artikel\w*|art|model|serial|s/n|invoice|fattura|facture|rechnung|faktura|factura|srl|sha"
    r"|expediente|ersatzteil)\b)"
    r"[^\w\n]{0,4}(?:(?:reg|n[or°º]?|num|number|gb|de|it|cp|a)\b[^\w\n]{0,3}){0,2}(?:[\d-]+ (?:and|und|et|vs|y|e) )?$"
)
# Ten digits or more with the 0 of an area or a network, and mobile numbers of Italy, Spain, Brazil and India.
_MOBILE = re.compile(
    r"0[1-9]\d{8,9}|01[567]\d{9}|3[2-9]\d[ ./-]?\d{6,7}|[679]\d{2}(?: \d{3}){2}(?<!00)|[1-9]\d 9\d{4}-?\d{4}"
    r"|[6-9]\d{4}[ -]\d{5}"
)
_PLAIN = re.compile(r"(?:[1-9]\d9\d{8}|[2-9]\d{9}|[1-9]\d{8}|0\d{8,10})|[1-9]\d{2} \d{3} \d{3,4}")
_ABROAD = re.compile(r"(?:\+|00)[1-9]\d{0,2}(?:\D*\d){8,12}")
_LINES = 160  # characters in which one number says of a plain one that it may be another
_FOUR_PAIRS = re.compile(r"[1-9]\d(?: \d\d){3}")  # a number in Denmark and Norway, and any list of four
_THOUSANDS = re.compile(r"\d{1,3}(?:\D\d{3})+")
_HIGH, _GROUPED, _NEEDS_CONTEXT = 0.6, 0.5, 0.25
# codespell:ignore-begin
_CONTEXT = (
    *(
        "phone",
        "telephone",
        "tel",
        "cellphone",
        "cell phone",
        "mobile",
        "cell",
        "mob",
        "tlm",
        "hp",
        "ph",
        "sms",
        "whatsapp",
        "fax",
        "dial",
        "contact",
    ),
    *("my number", "your number", "his number", "her number", "contact number", "viber", "hotline", "landline"),
    *("telefon", "handy", "anrufen", "rufnummer", "mobil", "téléphone", "telephone", "tél", "portable", "appeler"),
    *("móvil", "movil", "teléfono", "telefono", "llamar", "celular", "cellulare", "telefone", "telefoon", "gsm", "tlf"),
    *(
        "caller",
        "callback",
        "call back",
        "caller id",
        "msisdn",
        "zap",
        "liga",
        "ligar",
        "telemóvel",
        "telemovel",
        "cel",
    ),
    *("meu número", "mon numéro", "numéro", "rappeler", "joignable", "bereikbaar", "terugbellen", "bellen", "mobiel"),
    *("recapito", "richiamare", "contacto", "contato", "retornar", "llámame", "llamame", "rückruf", "zurückrufen"),
    *("erreichbar", "notdienst", "tfno", "mi número", "il mio numero", "mijn nummer", "whats", "twilio"),
    *(
        "телефон",
        "телефону",
        "тел",
        "мобильный",
        "звоните",
        "هاتف",
        "هاتفي",
        "جوال",
        "جوالي",
        "موبايل",
        "फ़ोन",
        "मोबाइल",
    ),
    *("手机", "手機", "电话", "電話", "携帯", "휴대폰", "휴대전화", "전화", "모바일", "연락처"),
)
# codespell:ignore-end


class PhoneNumberRecognizer(EntityRecognizer):  # type: ignore[misc]
    """PHONE_NUMBER."""

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        super().__init__(
            supported_entities=["PHONE_NUMBER"],
            supported_language=supported_language,
            name=name or type(self).__name__,
            context=context or list(_CONTEXT),
        )

    def load(self) -> None:
        """Nothing to load: the metadata ships with phonenumbers."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Every spelling that some region could dial. Offsets are characters of `text`."""
        best: dict[tuple[int, int], float] = {}
        for candidate in _CANDIDATE.finditer(text):
            written = candidate.group().removesuffix(candidate["extension"] or "")
            if _NOT_A_PHONE.fullmatch(written):
                continue
            score = _score(written)
            if score and _FOUR_PAIRS.fullmatch(written):
                score = _NEEDS_CONTEXT
            before = text[max(0, candidate.start() - _CUE_WIDTH) : candidate.start()]
            if score == _NEEDS_CONTEXT and (_CUE.search(before) or _is_contact(text, candidate, before)):
                score = _GROUPED
            if score and not written.startswith("+") and _OTHER_NUMBER.search(before):
                score = _NEEDS_CONTEXT
            if score is not None:
                best[candidate.span()] = score
        certain = [span for span, score in best.items() if score == _HIGH]
        for (start, end), score in best.items() if certain else ():
            if score == _NEEDS_CONTEXT and _PLAIN.fullmatch(text, start, end):
                near = any(start - _LINES < stop and begin < end + _LINES for begin, stop in certain)
                best[start, end] = _GROUPED if near else score
        return [self._result(start, end, score) for (start, end), score in best.items()]

    def _result(self, start: int, end: int, score: float) -> RecognizerResult:
        explanation = AnalysisExplanation(recognizer=self.name, original_score=score)
        return RecognizerResult("PHONE_NUMBER", start, end, score, explanation)


def _score(written: str) -> float | None:
    """By the spelling alone; None when no region could dial it."""
    if _NORTH_AMERICAN.fullmatch(written):
        return _HIGH
    if _MOBILE.fullmatch(written):
        return _GROUPED
    numbers = [number for region in _REGIONS if (number := _parse(written, region)) is not None]
    possible = [number for number in numbers if phonenumbers.is_possible_number(number)]
    if not possible:  # also in spellings of yesterday, such as the 1 after Mexico's 52
        return _HIGH if _ABROAD.fullmatch(written) and numbers else None
    if written.lstrip("(").startswith(("+", "00")):
        return _HIGH
    if _is_grouped(written) and any(map(phonenumbers.is_valid_number, possible)):
        return _GROUPED
    return _NEEDS_CONTEXT


def _is_grouped(written: str) -> bool:
    """In three groups or more, or in two of which the first is that of an area."""
    num_groups = len(re.findall(r"\d+", written))
    national = num_groups >= 3 and len(written) >= 11 and not _THOUSANDS.fullmatch(written)
    return num_groups >= 2 and (national or written.startswith(("0", "(")))


def _is_contact(text: str, candidate: "re.Match[str]", before: str) -> bool:
    """Whether a plain number stands behind somebody's name or beside a mail address."""
    if not _PLAIN.fullmatch(candidate[0]) or _IS_ELSE.search(before):
        return False
    near = max(0, candidate.start() - _CUE_WIDTH), candidate.end() + _CUE_WIDTH
    return _TO.search(before) is not None or _MAIL.search(text, *near) is not None


def _parse(written: str, region: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return None
