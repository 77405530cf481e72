"""Payment cards, crypto addresses and the French social number: a pattern, then a checksum where there is one.

Presidio's own card recogniser missed a quarter of a synthetic set (2-series Mastercard, Maestro, 19 digits), so the
issuer ranges (ISO/IEC 7812) are spelled out here and the Luhn check decides.
"""

import re

from presidio_analyzer import Pattern, PatternRecognizer

# Prefix -> lengths that issuers use. Longest prefixes need no order: ranges do not overlap in a way that matters.
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[689]\d)\d{11,16}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12,15}"  # JCB
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12,15}"  # Discover
    r"|62\d{14,17}"  # UnionPay
    r"|(?:50|5[6-9]|6\d)\d{10,17}"  # Maestro
)


def luhn_valid(digits: str) -> bool:
    """The Luhn check (ISO/IEC 7812-1 annex B) over a string of digits."""
    doubled = [int(digit) * 2 for digit in digits[-2::-2]]
    return (sum(value - 9 * (value > 9) for value in doubled) + sum(int(d) for d in digits[-1::-2])) % 10 == 0


class CardNumberRecognizer(PatternRecognizer):  # type: ignore[misc]
    """CREDIT_CARD: 12 to 19 digits, bare or grouped, of a known issuer, that satisfy the Luhn check."""

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        pattern = Pattern("card", r"(?<![\w.])\d(?:[ \-\u2013\u00a0.]?\d){11,18}(?![\w]|\.\d)", 0.3)
        super().__init__("CREDIT_CARD", name=name, supported_language=supported_language, patterns=[pattern])

    def validate_result(self, pattern_text: str) -> bool:
        digits = "".join(char for char in pattern_text if char.isdecimal())
        return len(set(digits)) > 1 and _ISSUERS.fullmatch(digits) is not None and luhn_valid(digits)


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
