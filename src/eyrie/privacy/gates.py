"""Which recognisers need to look at a text at all.

A recogniser of numbers finds nothing where there are none, yet Presidio asks each one about each text: 34 recognisers
with 60 patterns took 0.8 of the 1.1 ms that a prompt of 420 characters cost. A gate is a cheap necessary condition of
every pattern of a recogniser; one whose class is not listed here is always asked (`eyrie.privacy.shapes` has
conditions of its own, a pattern at a time).
"""

import re
from typing import Any

# Most begin with one set of characters, which `re` looks for fast; what stands before is then asked backwards.
_FEW_DIGITS = re.compile(r"\d(?:(?:\D{0,2}\d){3}|[A-Za-z0-9]{3})")
_CAPITALS = re.compile(r"[A-Z0-9]{7}")
_DOCUMENT = re.compile(r"[A-Z0-9]{9}")
_MANY_DIGITS = re.compile(r"\d(?:[^\d\n]{0,3}\d){5}")
_FOURS_ON_LINES = re.compile(r"\d(?<=\d{4})\s{1,3}\d{4}")
_IBAN = re.compile(r"\d(?:(?<=[A-Za-z]{2}.)|(?<=[A-Z]{2} .))\d")
_PLAIN_MAC = re.compile(r"[0-9A-Fa-f]{12}(?!\w)")
_DOTTED = re.compile(r"\.(?<=\d.)\d")
_LONG_WORD = re.compile(r"(?<!\w)\w{25}")
_COLONS = re.compile(r":(?<=[0-9A-Fa-f:].)[0-9A-Fa-f:]")
_MAC = re.compile(r"[:.-](?:(?<=[0-9A-Fa-f]{4}.)|(?<=[0-9A-Fa-f]{2}[:.-][0-9A-Fa-f]{2}.))")
# not asked of a text without any
_NEED_DIGITS = (_FEW_DIGITS, _MANY_DIGITS, _FOURS_ON_LINES, _IBAN, _PLAIN_MAC, _DOTTED, _CAPITALS)
_DIGIT = re.compile(r"\d")


_GATES: dict[str, Any] = {
    "MailAddressRecognizer": (re.compile("@"),),
    **dict.fromkeys(("GermanIdCardRecognizer", "GermanPassportRecognizer"), (_DOCUMENT, _FEW_DIGITS)),
    "AmericanLicenseRecognizer": (_FEW_DIGITS, _DOCUMENT),
    "LabelledNumberRecognizer": (_FEW_DIGITS, _CAPITALS),
    "CardNumberRecognizer": (_MANY_DIGITS, _FOURS_ON_LINES),
    "AnyCaseIbanRecognizer": (_IBAN,),
    "WalletRecognizer": (_LONG_WORD,),
    "EthereumRecognizer": (_LONG_WORD,),
    "HardwareAddressRecognizer": (_MAC, _PLAIN_MAC),
    "HostAddressRecognizer": (_COLONS, _DOTTED),
    **dict.fromkeys(
        ("PhoneNumberRecognizer", "SocialSecurityRecognizer",
         "TaxpayerRecognizer", "NhsInContextRecognizer", "NationalInsuranceRecognizer", "BritishPassportRecognizer",
         "FrNirRecognizer", "SpanishIdRecognizer", "GermanTaxIdInContextRecognizer", "SpanishForeignerRecognizer",
         "AadhaarInContextRecognizer", "AmericanPassportRecognizer", "SpanishPassportRecognizer",
         "ItalianPassportRecognizer", "IndianPassportRecognizer", "IndianVoterRecognizer", "BankAccountRecognizer"),
        (_MANY_DIGITS,),
    ),
    **dict.fromkeys(
        ("BritishLicenceRecognizer", "GermanPensionRecognizer", "ItalianFiscalCodeRecognizer",
         "ItalianLicenceRecognizer", "ItalianIdCardRecognizer", "IndianPanRecognizer", "NationalNumberRecognizer"),
        (_FEW_DIGITS,),
    ),
}  # fmt: skip


class Gates:
    """Stands before a Presidio RecognizerRegistry and offers the recognisers that the current text needs."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry
        self._gated = [(_GATES.get(type(recognizer).__name__, ()), recognizer) for recognizer in registry.recognizers]
        self._conditions = list(dict.fromkeys(gate for gates, _ in self._gated for gate in gates))
        self._searches = [(i, gate.search) for i, gate in enumerate(self._conditions)]
        self._without_digits = [item for item in self._searches if self._conditions[item[0]] not in _NEED_DIGITS]
        self._open_for: dict[tuple[int, ...], list[Any]] = {}  # by the gates that a text passes
        self._open: list[Any] = []

    def open_for(self, text: str) -> None:
        """To be called before the analyzer asks for recognisers."""
        searches = self._searches if _DIGIT.search(text) else self._without_digits
        passed = tuple([i for i, search in searches if search(text)])
        if passed not in self._open_for:
            gates = {self._conditions[i] for i in passed}
            self._open_for[passed] = [item for own, item in self._gated if not own or not gates.isdisjoint(own)]
        self._open = self._open_for[passed]

    def get_recognizers(self, **_: Any) -> list[Any]:
        """The analyzer asks for all entities of the one language, whose recognisers these are."""
        return self._open

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)
