"""GOVERNMENT_ID and BANK_ACCOUNT: numbers of any country that a word names, and some that their shape gives away.

The recognisers of `eyrie.privacy.identifiers` and `eyrie.privacy.national_numbers` know the identifiers of their
countries by check digits. No list of countries is complete; what nearly all have in common is that a word stands right
before the number, above its column or behind it: "SIN", "Steuernummer:", "permis n°", "is my personnummer".
"""

import re
from collections.abc import Iterator

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from eyrie.privacy.nearby import any_of, column_header
from eyrie.privacy.telling_shapes import told_by_shape

_SCORE = 0.5
# codespell:ignore-begin
# Words; with "number" or its like behind, and inside names of code, as `any_of` takes them.
_IDS = """
pspt|p#|ppn|pp-nr|pp no|soc#|soc no|drv lic|driv lic|dr lic|lic no|oln|adhr|pa-nr|ausw|ausw.-nr|pce|pce id
tie soporte|nuss|afil|pasap|passap|c.i|burg|burg.nr|rijksreg|contrib|contrib. n|full is|passport|booklet
travel document|travel doc|identity card|identity document|identity number|national id|nat id|national identity
national identification|national number|national insurance|government id|state id|voter|citizen id|resident id
personal id|emirates id|turkish id|foreign id|photo id|id card|id document|id number|id no|policy holder id
policyholder id|residence permit|residency permit|green card|a#|alien registration|a-number|alien number|uscis
receipt number|case status for|driver|drivers|driver's|driver’s|driving licence|driving license|licence number
license number|licence no|license no|ontario licence|licence|license|d.l. no|social security|social insurance
my social|his social|her social|the social|spouse's number|husband's number|wife's number|hmrc|file number|eid
book no|tax file|taxpayer|tax id|tax identification|tax reference|unique taxpayer|employer identification
employer id|health card|health number|health id|health insurance|medicare|medicaid|nhs|patient id|my number|uan
insurance number|soc sec|ss number|id document number|document number|doc number|doc no|doc ref|doc|docs|document no
list doc number|num doc|nº doc|doc. n|passeport|titre de séjour|titre présenté|pièce d'identité|pièce d’identité
pièce :|pièce:|carte d'identité|carte d’identité|carte vitale|carte nationale|carte soleil|permis de conduire|permis
n° fiscal|nº fiscal|num fiscal|identificação fiscal|numéro fiscal|identifiant fiscal|déclarant|déclarant 1
déclarant 2|sécurité sociale|sécu|assurance sociale|assurance maladie|numéro national|nas|steuer|steuernummer
steuernr|steuer-id|steueridentifikationsnummer|steuerl id|st nr|st.nr|steuerliche id|sozialversicherungsnummer
sozialversicherung|sozialvers|sozialvers.nr|sozialvers.-nr|rentenversicherung|vers.nr|vers nr|versichertennummer
krankenversichertennummer|versicherten|versicherungsnummer|x-nummer|führerschein|fs-nr|fs|reisepass|pass|ausweis
personalausweis|perso|legitimation|dokument|dokument-nr|aufenthaltstitel|svnr|sv-nummer|paspoort|rijbewijs|id-kaart
identiteitskaart|burgerservicenummer|rijksregister|docnr|documentnummer|paspoortnr|pasaporte|cédula|cedula|documento
documento de identidad|documento nacional|carnet de conducir|permiso de conducir|seguridad social|nº ss|afiliación
nº afiliación|n.a.f|tarjeta sanitaria|c.u.i.l|c.u.i.t|d.n.i|r.u.t|ident|cip|cartão de cidadão|contribuinte
segurança social|utente|título de eleitor|identidade|habilitação|cnh|nis/pis|rg:|rg nº|rg n°|passaporto|patente|pat
carta d'identità|carta d’identità|tessera sanitaria|codice fiscale|permesso di soggiorno|passaporte|personnummer
personnr|samordningsnummer|fødselsnummer|henkilötunnus|rodné číslo|dowód|dowodu|paszport|kimlik|tc kimlik|sa id|kvid
teudat zehut|identitetskort|körkort|førerkort|ic no|hkid|nric|carta de conducir|licencia de conducir
"""
# In small letters many are words: those count in capitals, or with a sign or "number" behind.
_ACRONYMS = """
PP PPT PSPT SIN NAS TFN IRD UTR EIN FEIN TIN PPS PPSN NIN NIK NINO CPR CNP CURP RFC NSS NAF NISS NIF NIE DNI CUIL
CUIT RUT RUN CPF CNH PIS NIS PASEP CTPS AMKA AFM EGN JMBG OIB PESEL HETU SVNR VSNR KVNR NRIC HKID RRN TCKN MBI CIN
HICN OHIP HCN PHN RAMQ NAM NHI CHI UAN BRP CIP CIE TS DL DLN CDL CI IC INE KTP NPWP SSN BSN NRN INSZ AHV AVS NIR SPI
PAN EPIC UID PRAN NI SS CC
"""
_NO_WORDS = """
tfn ird utr fein ppsn nino cpr cnp curp rfc nss niss nif dni cuil cuit cpf cnh pasep ctps amka pesel hetu svnr vsnr
kvnr nric hkid rrn ohip hcn phn nhi uan brp cip dln ssn bsn nrn insz ahv npwp
"""
_NON_LATIN = (
    "ΑΜΚΑ|ΑΦΜ|ת.ז|תעודת זהות|身份证|身分證|證件號|证件号|护照|護照|주민번호|주민등록번호|여권번호"
    "|マイナンバー|個人番号|旅券番号|паспорт|снилс"
)
_BANKS = """
accnt|rtg|bsb|s/c|a/c|transit|transit/inst/acct|inst/acct|kontonr|kto-nr|kto.nr|blz|clearing|clearing och kontonr
reg/konto|rekeningnummer|na konto|numer konta|rachunku|clabe|cbu|cvu|ccc|cuenta bancaria|cuenta antigua|rib|ifsc
micr|bank acc|bank account|bank_rtn|bank_acct|direct deposit info|ag|pay into|by transfer to|passbook|kontonummer
agência
"""
_BANKS_NON_LATIN = "口座|普通|账号|帳號|계좌"
# codespell:ignore-end


def _words(lines: str) -> str:
    return any_of([word for line in lines.split("\n") for word in line.split("|") if word]).pattern


def _either(words: str) -> str:
    return "(?:" + "|".join(map(re.escape, words.split())) + ")"


_EDGES = r"(?<![A-Za-z])", r"(?![A-Za-z])"
_SIGNED = r"(?=[\"'`]?\s?[:=#]|[ _-]?(?:numbers?|no|nr|nro|n[°º]|#|is)\b)"
_OTHERS = "|".join(map(re.escape, _NON_LATIN.split("|")))
_OF_ID = re.compile(
    rf"{_words(_IDS)}|{_either(_ACRONYMS).join(_EDGES)}|(?i:{_either(_NO_WORDS).join(_EDGES)})"
    rf"|(?i:{_EDGES[0]}{_either(_ACRONYMS)}{_SIGNED})|{_OTHERS}"
)
_OF_BANK = re.compile(rf"{_words(_BANKS)}|[\"']ac[\"']|{_BANKS_NON_LATIN}")
_LABELS = {"GOVERNMENT_ID": _OF_ID, "BANK_ACCOUNT": _OF_BANK}
_HEADER_OF_ID = re.compile(rf"{_words(_IDS)}|(?i:{_either(_ACRONYMS).join(_EDGES)})|{_OTHERS}")
# Groups of digits and capitals, each with a digit, but for letters at either end.
_VALUE = re.compile(
    r"(?<![\w@#+])(?<!\d[.:/-])(?:[A-Z]{1,16}[ .-]?)?(?<![a-zà-ÿ])\d[A-Z0-9]{0,24}"
    r"(?:(?: ?[./-] ?|  ?)(?:[A-Z]{0,8}\d[A-Z0-9]{0,24})){0,8}(?:[ -][A-Z]{1,3}\d?)?(?:\([\dA]\))?(?![\w@]|[.:]\d)"
)
# What documents have: letters and digits mixed, right behind the word for it.
_MIXED = re.compile(r"(?<!\w)(?=[A-Z0-9]*\d[A-Z0-9]{2})(?=\d*[A-Z])[A-Z0-9]{7,12}(?!\w)")
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[^\W\d_]")
_FIVE_DIGITS = re.compile(r"\d(?:[^\d\n]{0,3}\d){4}")  # in every shape
# codespell:ignore-begin
# What says, right before a number, that it is something else.
_OTHER = re.compile(
    r"(?i:\b(?:orders?|tickets?|invoice|inv|case|booking|tracking|po|item|article|sku|customer|room|version|build|amount"
    r"|total|tel|phone|mobile|cell|fax|bestell\w*|auftrags?\w*|rechnungs?\w*|kunden\w*|commande|facture|pedido|factura"
    r"|ordine|fattura|bestelling|factuur|encomenda|fatura)\b)[\W_]{0,3}(?:(?:no|nr|number|n[°º]|id|is)\b[\W_]{0,3})?$"
)
_NUMBER_BETWEEN = re.compile(r"\d[\d ./-]{2,}\d")
_BEFORE, _GAP, _TIGHT_GAP, _NEXT = 100, 60, 8, 24  # characters
_BEHIND = re.compile(
    r"[\"'`*_)\]]{0,3}\s?(?:[(\[-]\s?|[,;] |(?:is|was|as|ist|est|es|è|é|är|er) )?"
    r"(?:(?:my|his|her|our|the|their|your|mein|meine|mon|ma|mi|il mio|la mia|mijn|o meu|a minha|a|an) )?"
)
# codespell:ignore-end
_MIN_DIGITS, _MAX_DIGITS = 5, 26


class LabelledNumberRecognizer(EntityRecognizer):  # type: ignore[misc]
    """GOVERNMENT_ID, BANK_ACCOUNT."""

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        super().__init__(
            ["BANK_ACCOUNT", "GOVERNMENT_ID"], name=name or type(self).__name__, supported_language=supported_language
        )

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Offsets are characters of `text`."""
        return [RecognizerResult(entity, start, end, _SCORE) for entity, start, end in _found(text)]


def _found(text: str) -> Iterator[tuple[str, int, int]]:
    last: dict[str, tuple[int, int]] = {}  # by type, where the last one ended and how many digits it had
    for match in _VALUE.finditer(text):
        start, end = match.span()
        digits = sum(map(str.isdecimal, match[0]))
        if _MIN_DIGITS <= digits <= _MAX_DIGITS:
            for entity, label in _LABELS.items():
                # "... says 411992233 and mine is 271787970"
                again = entity in last and last[entity][1] == digits and start - last[entity][0] <= _NEXT
                if again or _is_labelled(text, start, end, label):
                    last[entity] = end, digits
                    yield entity, _after_label(text, start, label), end
    for match in _MIXED.finditer(text):
        if _follows(text, match.start(), _OF_ID, _TIGHT_GAP):
            yield "GOVERNMENT_ID", *match.span()
    if _FIVE_DIGITS.search(text):
        yield from told_by_shape(text)


def _after_label(text: str, start: int, label: "re.Pattern[str]") -> int:
    """Where the number begins whose letters are its label: "SIN 313 916 454"."""
    digit, word = _DIGIT.search(text, start), label.match(text, start)
    return digit.start() if digit and word and not text[word.end() : digit.start()].strip(" .-") else start


def _is_labelled(text: str, start: int, end: int, label: "re.Pattern[str]") -> bool:
    digit = _DIGIT.search(text, start)  # letters before it may be the label
    if _follows(text, digit.start() if digit else start, label, _GAP):
        return True
    behind = _BEHIND.match(text, end)
    if behind is not None and label.match(text, behind.end()):
        return True
    return (_HEADER_OF_ID if label is _OF_ID else label).search(column_header(text, start)) is not None


def _follows(text: str, start: int, label: "re.Pattern[str]", most: int) -> bool:
    """Whether a label stands before `start`, at most so many characters away and without another number between."""
    before = text[max(0, start - _BEFORE) : start]
    if _LETTER.search(before) is None:  # lists of numbers, fast: every label has a letter
        return False
    for match in label.finditer(before):
        gap = before[match.end() :]
        if len(gap) <= most and gap.count("\n") <= 1 and not (_NUMBER_BETWEEN.search(gap) or _OTHER.search(gap)):
            return True
    return False
