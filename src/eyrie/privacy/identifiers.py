"""Identifiers that Presidio misses or is slow at: a pattern, then a checksum where there is one.

Presidio's own card recogniser missed a quarter of a synthetic set (2-series Mastercard, Maestro, 19 digits), so the
issuer ranges (ISO/IEC 7812) are spelled out here and the Luhn check decides.
"""

import ipaddress
import re
from typing import Any

from presidio_analyzer import Pattern, PatternRecognizer
from presidio_analyzer.predefined_recognizers import (
    DeIdCardRecognizer,
    DePassportRecognizer,
    DeSocialSecurityRecognizer,
    DeTaxIdRecognizer,
    EsNieRecognizer,
    IbanRecognizer,
    InAadhaarRecognizer,
    IpRecognizer,
    NhsRecognizer,
)

# Prefix -> lengths that issuers use. Longest prefixes need no order: ranges do not overlap in a way that matters.
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[689]\d)\d{11,16}"  # Diners Club
    r"|35\d{14,17}|(?:2131|1800)\d{11}"  # JCB
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12,15}"  # Discover
    r"|62\d{14,17}"  # UnionPay
    r"|(?:50|5[6-9]|6\d)\d{11,17}|(?:50(?:18|20|38)|5893|6304|6759|676[123])\d{8}"  # Maestro; of 12 digits few
)

# Not inside a UUID, a decimal or a longer word.
_CARD = r"(?<![\w.])(?<![0-9a-f]-)\d(?:[ \-\u2013\u00a0.]?\d){11,18}(?![\w]|\.\d)"
_NEEDS_CONTEXT = 0.05


def luhn_valid(digits: str) -> bool:
    """The Luhn check (ISO/IEC 7812-1 annex B) over a string of digits."""
    doubled = [int(digit) * 2 for digit in digits[-2::-2]]
    return (sum(value - 9 * (value > 9) for value in doubled) + sum(int(d) for d in digits[-1::-2])) % 10 == 0


class CardNumberRecognizer(PatternRecognizer):  # type: ignore[misc]
    """CREDIT_CARD: 13 to 19 digits, bare or grouped, of a known issuer, that satisfy the Luhn check."""

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        pattern = Pattern("card", _CARD, 0.3)
        super().__init__("CREDIT_CARD", name=name, supported_language=supported_language, patterns=[pattern])

    def validate_result(self, pattern_text: str) -> bool:
        digits = "".join(char for char in pattern_text if char.isdecimal())
        return len(set(digits)) > 1 and _ISSUERS.fullmatch(digits) is not None and luhn_valid(digits)


class UpperCaseIbanRecognizer(IbanRecognizer):  # type: ignore[misc]
    """IBAN_CODE. Without case, Presidio's pattern takes the next words for groups, and the check fails."""

    patterns: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.patterns = [Pattern(item.name, f"(?-i:{item.regex})", item.score) for item in self.patterns]


class EthereumRecognizer(PatternRecognizer):  # type: ignore[misc]
    """CRYPTO: Ethereum account addresses; Presidio's recogniser knows Bitcoin only."""

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        pattern = Pattern("ethereum", r"\b0x[0-9a-f]{40}\b", 0.6)
        super().__init__("CRYPTO", name=name, supported_language=supported_language, patterns=[pattern])


class FrNirRecognizer(PatternRecognizer):  # type: ignore[misc]
    """FR_NIR: the 13-digit French social number with its two-digit key, 97 minus the number modulo 97 (INSEE)."""

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        spelled = r"\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}\b"
        super().__init__(
            "FR_NIR",
            name=name,
            supported_language=supported_language,
            patterns=[Pattern("nir", spelled, 0.3)],
            context=context,
        )

    def validate_result(self, pattern_text: str) -> bool:
        compact = pattern_text.replace(" ", "").upper()
        number = compact[:-2].replace("2A", "19").replace("2B", "18")  # Corsica
        return 97 - int(number) % 97 == int(compact[-2:])


class IndianPanRecognizer(PatternRecognizer):  # type: ignore[misc]
    """IN_PAN: five letters, the fourth a holder type, four digits, a letter.

    Presidio's has a third pattern that looks ahead over the whole text at every word: 58% of all screening time on
    305-character prompts, growing with the square of the length.
    """

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        pattern = Pattern("pan", r"\b[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]\b", 0.5)
        super().__init__(
            "IN_PAN", name=name, supported_language=supported_language, patterns=[pattern], context=context
        )


class _InContext(PatternRecognizer):  # type: ignore[misc]
    """Before a Presidio class: plain digits whose checksum fits count only beside a context word.

    Presidio takes a fitting checksum for proof, but 1 in 10 numbers of that length has one: time stamps, account ids.
    """

    patterns: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.patterns = [Pattern(pattern.name, pattern.regex, _NEEDS_CONTEXT) for pattern in self.patterns]

    def validate_result(self, pattern_text: str) -> bool | None:
        return False if super().validate_result(pattern_text) is False else None


class NhsInContextRecognizer(_InContext, NhsRecognizer):  # type: ignore[misc]
    """UK_NHS."""


class AadhaarInContextRecognizer(_InContext, InAadhaarRecognizer):  # type: ignore[misc]
    """IN_AADHAAR."""


class GermanTaxIdInContextRecognizer(_InContext, DeTaxIdRecognizer):  # type: ignore[misc]
    """DE_TAX_ID; also in the groups in which letters of the tax office write it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.patterns = [*self.patterns, Pattern("grouped", r"\b[1-9]\d \d{3} \d{3} \d{3}\b", _NEEDS_CONTEXT)]

    def validate_result(self, pattern_text: str) -> bool | None:
        return super().validate_result(pattern_text.replace(" ", ""))


class GermanPensionRecognizer(DeSocialSecurityRecognizer):  # type: ignore[misc]
    """DE_SOCIAL_SECURITY; also in groups: area, date of birth, letter, serial number with check digit."""

    patterns: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.patterns = [*self.patterns, Pattern("grouped", r"\b\d{2} \d{6} [A-Z] \d{2} ?\d\b", 0.3)]

    def validate_result(self, pattern_text: str) -> bool | None:
        fits: bool | None = super().validate_result(pattern_text.replace(" ", ""))
        return fits


class SpanishForeignerRecognizer(EsNieRecognizer):  # type: ignore[misc]
    """ES_NIE; also with both hyphens, as the card prints it."""

    patterns: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.patterns = [*self.patterns, Pattern("hyphens", r"\b[X-Z][- ]\d{7}[- ]?[A-Z]\b", 0.5)]


class _GermanDocument(PatternRecognizer):  # type: ignore[misc]
    """Before a Presidio class: the nine characters of the serial number may be followed by their check digit."""

    patterns: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        serial = r"\b[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{8}\d?\b"
        self.patterns = [*self.patterns, Pattern("serial", serial, _NEEDS_CONTEXT)]

    def validate_result(self, pattern_text: str) -> bool | None:
        if len(pattern_text) != 10:
            return super().validate_result(pattern_text) or None  # Presidio's rule takes the ninth for the check digit
        numbers = [int(char, 36) for char in pattern_text]
        total = sum(number * weight for number, weight in zip(numbers[:9], (7, 3, 1) * 3, strict=True))
        return False if total % 10 != numbers[9] else None  # 1 in 10 fits by chance: a context word decides


class GermanPassportRecognizer(_GermanDocument, DePassportRecognizer):  # type: ignore[misc]
    """DE_PASSPORT."""


class GermanIdCardRecognizer(_GermanDocument, DeIdCardRecognizer):  # type: ignore[misc]
    """DE_ID_CARD."""


class HostAddressRecognizer(IpRecognizer):  # type: ignore[misc]
    """IP_ADDRESS without what tells of no host: loopback, 0.0.0.0, netmasks, and slices such as `[::2]` or `a::b`."""

    def invalidate_result(self, pattern_text: str) -> bool:
        try:
            address = ipaddress.ip_address(pattern_text.split("/")[0].split("%")[0])
        except ValueError:
            return True
        if address.is_loopback or address.is_unspecified or pattern_text.startswith("255."):
            return True
        groups = [group for group in pattern_text.split(":") if group]
        telling = any(len(group) == 4 and any(char.isdecimal() for char in group) for group in groups)
        return address.version == 6 and len(groups) < 3 and not telling
