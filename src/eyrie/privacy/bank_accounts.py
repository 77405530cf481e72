"""BANK_ACCOUNT: numbers of accounts and branches where no IBAN is in use, and national ones where it is.

Sort codes, routing numbers (with their check), account numbers of any country. Such numbers look like all others, so a
word says what each is: that of its kind right before it or above its column, or a weaker one with a bank near.
"""

import re

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from eyrie.privacy.nearby import column_header

_SCORE = 0.5
# codespell:ignore-begin
_NUMBER = re.compile(
    r"(?<![\w+#-])(?<!(?<!\d{6})/)(?<!\d\.)"
    r"(?:\d{2}[- ]\d{2}[- ]\d{2}|\d{4}([ -])\d{4}\1\d{2}\1\d{10}|\d{1,4}(?: \d{3,4}){2,4}"
    r"|\d{4} \d{4}|\d{3} \d{3} \d|\d{4,20}(?:-[\dxX])?)"
    r"(?!\w|[.:-]\d|,\d{1,3}(?!\d)|/\d{1,3}(?!\d)|%)"
)
_NUMBERED = r"(?:[ _.-]{0,2}(?:number|numero|número|nummer|num|nbr|no|nr|n[º°]|#))"
_SORT = re.compile(r"(?i:sort[ _-]?code|sortcode|sort(?=:|=|/acc)|\bbsb\b|\bblz\b|bankleitzahl)|\bSC\b")
_SC = re.compile(r"(?i:\bsc) ?:? ?$")
_ACCOUNT_BEHIND = re.compile(r"[\s,;/|-]{1,3}(?:(?i:acc?(?:oun)?t?)[ .:]{1,3}(?:no\.? ?)?)?\d{8}(?!\d)")
_ROUTING = re.compile(r"(?i:routing|\baba\b|\brtn\b|transit|\brouting_no)")
_STRONG = re.compile(
    rf"(?i:(?<![a-z])(?:acc(?:oun)?t|acc|ac|a/c){_NUMBERED}|a/c|(?:bank|checking|chequing|savings|current|deposit|giro)"
    r"[ _-]?acc(?:oun)?t|conta[ _-](?:corrente|poupança|bancária)|c/c|(?:bank)?konto(?:nummer|nr)|kto\.?[ -]?nr"
    r"|(?:numéro|n[º°o]) (?:de |du )?compte|compte bancaire|(?:número|n[º°o]\.?) de cuenta|cuenta (?:bancaria"
    r"|corriente)"
    r"|conto corrente|numero (?:di )?conto|rekening(?:nummer|nr)|clabe|número da conta)"
)
# Near one of these the check is enough.
_CHEQUE = re.compile(
    r"(?i:\bbank\b|\bach\b|\bmicr\b|void\w* (?:check|cheque)|bottom of (?:the|a|my|his|her) che|direct deposit"
    r"|pay to the order)"
)
_AFTER_ROUTING = re.compile(r"(?<!\d)(\d{9})(?:[\s|:/⑆⑈⑉,;'\"-]{1,8}|,? (?:then|and) )$")
_WEAK = re.compile(r"(?i:\bacc(?:oun)?ts?\b|\bacc\b|\bac\b|\bconta\b|\bcc\b|konto\b|\bkto\b|\bcompte\b|\bcuenta\b"
                   r"|\bconto\b|\brekening\b|\bchecking\b|\bsavings\b)")  # fmt: skip
_BANK = re.compile(
    r"(?i:sort[ _-]?code|routing|\baba\b|\bbsb\b|\bblz\b|\btransit\b|void che|ifsc"
    r"|\bbacs\b|\bchaps\b|\bneft\b|\brtgs\b|\bimps\b|bank|\bbanco\b|\bbanca\b"
    r"|banque|swift|\bbic\b|direct deposit|payroll|wire|agência|\bag\b|\bblz\b|branch|barclays|hsbc|lloyds|natwest"
    r"|monzo|santander|starling|nationwide|chase|wells fargo|citi|itaú|bradesco|nubank|caixa|hdfc|icici|\bsbi\b|axis"
    r"|sparkasse|volksbank|\bach\b|standing order|überweis|virement|transferencia|bonifico|overschrijving)"
)
# Accounts of something else than a bank.
_OTHER = re.compile(
    r"(?i:aws|azure|gcp|cloud|customer|client|user|github|google|gas|electric\w*|energy|water|utility|loyalty|ledger"
    r"|g/?l|nominal|twitter|x|instagram|support|ticket|order|service|kunden|sach|conta(?= cont)|hubspot|salesforce"
    r"|id) ?$"
)
_BETWEEN = re.compile(
    r"(?:[\"'`*_)\]}>]|</\w+>){0,4}(?:[ _.-]?(?:number|numero|número|nummer|num|no|nr|n[º°]|#|id))?\.?"
    r"[\s\"'`*_)\]}>:=|.,-]{0,12}"
    r"(?:(?:is|was|value|ist|est|es|è|é|to|for|of|in|at|from|name|the)?[\s:='\"]{1,3}){0,2}"
    r"[^\d\n]{0,24}"
)
# codespell:ignore-end
_VALUES = re.compile(r"(?i:\) ?values ?\()")
_BEFORE, _NEAR = 64, 150  # characters
_PAIR = re.compile(r"\s?[,;/|-]?\s?$")


class BankAccountRecognizer(EntityRecognizer):  # type: ignore[misc]
    """BANK_ACCOUNT."""

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        super().__init__(["BANK_ACCOUNT"], name=name or type(self).__name__, supported_language=supported_language)

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Offsets are characters of `text`."""
        spans = [match.span() for match in _NUMBER.finditer(text)]
        return [RecognizerResult("BANK_ACCOUNT", *span, _SCORE) for span in spans if _is_of_bank(text, *span)]


def _is_of_bank(text: str, start: int, end: int) -> bool:
    written = text[start:end]
    digits = "".join(filter(str.isdigit, written))
    before = _label_before(text, start)
    if len(digits) in (6, 8) and (_last(_SORT, before) or _SORT.fullmatch(column_header(text, start).strip())):
        return True
    near = max(0, start - _NEAR), end + _NEAR
    if len(digits) == 6 and _ACCOUNT_BEHIND.match(text, end) and (_SC.search(before) or _BANK.search(text, *near)):
        return True
    of_cheque = _CHEQUE.search(text, *near) is not None
    if (
        len(digits) == 9
        and _is_routing(digits)
        and (
            of_cheque
            or _ROUTING.search(text, max(0, start - _BEFORE), start)
            or _ROUTING.search(column_header(text, start))
        )
    ):
        return True
    routing = _AFTER_ROUTING.search(text, max(0, start - 18), start) if len(digits) >= 6 else None
    if routing and _is_routing(routing[1]) and (of_cheque or _ROUTING.search(text, *near)):
        return True
    if re.fullmatch(r"\d\d[- ]\d\d[- ]\d\d", written):  # a date, but beside the number of an account
        return _ACCOUNT_BEHIND.match(text, end) is not None
    if not 5 <= len(digits) <= 20:
        return False
    header = column_header(text, start)
    if header and (_STRONG.search(header) or _ROUTING.search(header)):
        return True
    strong, weak = _last(_STRONG, before), _last(_WEAK, before)
    if strong:
        return True
    if weak and (written[-2] == "-" or (len(digits) >= 8 and re.search(r"(?i:\bacct?\b)", before))):
        return True
    if len(digits) >= 7 and (weak or (header and _WEAK.search(header))):
        return _BANK.search(text, *near) is not None
    # After a sort code, or before or after the code of an Indian bank
    if len(digits) == 8 and re.search(r"\d\d([- ])\d\d\1\d\d[\s,;/|-]{1,3}$", text[max(0, start - 14) : start]):
        return True
    sort = re.search(r"\d{6}[\s,;/|-]{1,3}$", text[max(0, start - 14) : start])
    if len(digits) == 8 and sort:
        return _BANK.search(text, *near) is not None
    return (
        len(digits) >= 9
        and re.search(r"\b[A-Z]{4}0[A-Z0-9]{6}\b|(?i:\bneft\b|\bifsc\b)", text[near[0] : near[1]]) is not None
    )


def _label_before(text: str, start: int) -> str:
    """What stands in the line before a number, or in the line above when it begins its own."""
    before = text[max(0, start - _BEFORE) : start]
    line = before.rpartition("\n")[2]
    return line if line.strip() else before


def _last(words: "re.Pattern[str]", before: str) -> bool:
    """Whether the last of these words says what the number after `before` is: no other number stands between."""
    match = next(reversed(list(words.finditer(before))), None)
    if match is None or not (_BETWEEN.fullmatch(before, match.end()) or _VALUES.search(before, match.end())):
        return False
    return not _OTHER.search(before, 0, match.start())


def _is_routing(digits: str) -> bool:
    """The check of the American Bankers Association, and a first pair that is in use."""
    total = sum(int(digit) * weight for digit, weight in zip(digits, (3, 7, 1) * 3, strict=True))
    return total % 10 == 0 and digits[0] in "012368"
