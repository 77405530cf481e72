"""BANK_ACCOUNT: numbers of accounts and branches where no IBAN is in use, and national ones where it is.

Sort codes, routing numbers (with their check), account numbers of any country. Such numbers look like all others, so a
word says what each is: that of its kind right before it or above its column, or a weaker one with a bank near.
"""

import re
from typing import NamedTuple

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
_ACCOUNT = re.compile(r"(?i:\bacct?\b)")
_PAIRS = re.compile(r"\d\d[- ]\d\d[- ]\d\d")
_AFTER_SORT, _AFTER_PLAIN_SORT = re.compile(r"\d\d([- ])\d\d\1\d\d[\s,;/|-]{1,3}$"), re.compile(r"\d{6}[\s,;/|-]{1,3}$")
_IFSC = re.compile(r"\b[A-Z]{4}0[A-Z0-9]{6}\b|(?i:\bneft\b|\bifsc\b)")  # the code of an Indian bank
_BEFORE, _NEAR = 64, 150  # characters


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
        return [RecognizerResult("BANK_ACCOUNT", *span, _SCORE) for span in spans if _is_of_bank(_Number(text, *span))]


class _Number(NamedTuple):
    """Characters `start:end` of a text that may be a number of a bank."""

    text: str
    start: int
    end: int

    @property
    def written(self) -> str:
        return self.text[self.start : self.end]

    @property
    def digits(self) -> str:
        return "".join(filter(str.isdigit, self.written))

    @property
    def label(self) -> str:
        """What stands in the line before, or in the line above when the number begins its own."""
        before = self.text[max(0, self.start - _BEFORE) : self.start]
        line = before.rpartition("\n")[2]
        return line if line.strip() else before

    @property
    def header(self) -> str:
        return column_header(self.text, self.start)

    def is_near(self, words: "re.Pattern[str]") -> bool:
        return words.search(self.text, max(0, self.start - _NEAR), self.end + _NEAR) is not None

    def follows(self, pattern: "re.Pattern[str]", width: int) -> "re.Match[str] | None":
        """The match, which ends where the number begins, in the `width` characters before."""
        return pattern.search(self.text, max(0, self.start - width), self.start)

    @property
    def precedes_account(self) -> bool:
        return _ACCOUNT_BEHIND.match(self.text, self.end) is not None


def _is_of_bank(number: _Number) -> bool:
    size = len(number.digits)
    if (size in (6, 8) and _is_sort_code(number)) or (size >= 6 and _is_in_transfer(number)):
        return True
    if _PAIRS.fullmatch(number.written):  # a date, but beside the number of an account
        return number.precedes_account
    return 5 <= size <= 20 and _is_account(number)


def _is_sort_code(number: _Number) -> bool:
    if _last(_SORT, number.label) or _SORT.fullmatch(number.header.strip()):
        return True
    beside = len(number.digits) == 6 and number.precedes_account
    return beside and (_SC.search(number.label) is not None or number.is_near(_BANK))


def _is_in_transfer(number: _Number) -> bool:
    """A routing number, or the account behind one."""
    of_cheque = number.is_near(_CHEQUE)
    named = of_cheque or number.follows(_ROUTING, _BEFORE) or _ROUTING.search(number.header)
    if named and len(number.digits) == 9 and _is_routing(number.digits):
        return True
    routing = number.follows(_AFTER_ROUTING, 18)
    return routing is not None and _is_routing(routing[1]) and (of_cheque or number.is_near(_ROUTING))


def _is_account(number: _Number) -> bool:
    size, label, header = len(number.digits), number.label, number.header
    if _STRONG.search(header) or _ROUTING.search(header) or _last(_STRONG, label):
        return True
    weak = _last(_WEAK, label)
    if weak and (number.written[-2] == "-" or (size >= 8 and _ACCOUNT.search(label))):
        return True
    if size >= 7 and (weak or _WEAK.search(header)):
        return number.is_near(_BANK)
    if size == 8 and number.follows(_AFTER_SORT, 14):
        return True
    if size == 8 and number.follows(_AFTER_PLAIN_SORT, 14):
        return number.is_near(_BANK)
    return size >= 9 and number.is_near(_IFSC)


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
