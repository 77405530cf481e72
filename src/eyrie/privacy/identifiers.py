"""Numbers that a government gives a person: Presidio's recognisers, with the spellings that they lack.

Every class names its identifier's type. A pattern's score says what it is worth alone: below 0.4 it counts only beside
one of the recogniser's context words (`eyrie.privacy.nearby`; the words are in the analyzer's YAML). Spaces and dashes
are ASCII by the time a pattern sees them (`eyrie.privacy.spelling`).
"""

from typing import Any, ClassVar

from presidio_analyzer import Pattern, PatternRecognizer
from presidio_analyzer.predefined_recognizers import (
    DeIdCardRecognizer,
    DePassportRecognizer,
    DeSocialSecurityRecognizer,
    DeTaxIdRecognizer,
    EsPassportRecognizer,
    InAadhaarRecognizer,
    InPassportRecognizer,
    InVoterRecognizer,
    ItDriverLicenseRecognizer,
    ItFiscalCodeRecognizer,
    ItIdentityCardRecognizer,
    ItPassportRecognizer,
    NhsRecognizer,
    UkDrivingLicenceRecognizer,
    UkNinoRecognizer,
    UkPassportRecognizer,
    UsItinRecognizer,
    UsPassportRecognizer,
    UsSsnRecognizer,
)

_ALONE, _NEEDS_CONTEXT = 0.5, 0.05
_SPANISH_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


def compact(number: str) -> str:
    """Letters and digits only, in capitals."""
    return "".join(filter(str.isalnum, number)).upper()


class _Spelled(PatternRecognizer):  # type: ignore[misc]
    """Before a Presidio class: more patterns, and a check that sees the number without spaces and signs."""

    MORE: ClassVar[tuple[tuple[str, float], ...]] = ()  # pattern, score
    patterns: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.patterns = [*self.patterns, *(Pattern("spelling", regex, score) for regex, score in self.MORE)]

    def validate_result(self, pattern_text: str) -> bool | None:
        fits: bool | None = super().validate_result(compact(pattern_text))
        return fits


class _InContext(_Spelled):
    """Before a Presidio class: plain digits whose checksum fits count only beside a context word.

    Presidio takes a fitting checksum for proof, but 1 in 10 numbers of that length has one: time stamps, account ids.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.patterns = [Pattern(pattern.name, pattern.regex, _NEEDS_CONTEXT) for pattern in self.patterns]

    def validate_result(self, pattern_text: str) -> bool | None:
        return False if super().validate_result(pattern_text) is False else None


class _Own(PatternRecognizer):  # type: ignore[misc]
    """A recogniser of patterns that Presidio has not."""

    ENTITY = ""
    SPELLINGS: ClassVar[tuple[tuple[str, float], ...]] = ()  # pattern, score

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        patterns = [Pattern("spelling", regex, score) for regex, score in self.SPELLINGS]
        super().__init__(
            self.ENTITY, name=name, supported_language=supported_language, patterns=patterns, context=context
        )


class SocialSecurityRecognizer(_Spelled, UsSsnRecognizer):  # type: ignore[misc]
    """US_SSN: 123-45-6789."""

    MORE = (
        (r"\b\d{3}(?: - |\. )\d{2}(?: - |\. )\d{4}\b", _ALONE),
        (r"\b\d{3} \d{6}\b|\b\d{3}/\d{2}/\d{4}\b", _NEEDS_CONTEXT),
    )

    def invalidate_result(self, pattern_text: str) -> bool:
        return compact(pattern_text).startswith("9") or bool(super().invalidate_result(pattern_text))


class TaxpayerRecognizer(_Spelled, UsItinRecognizer):  # type: ignore[misc]
    """US_ITIN: as a social security number, from 9."""

    MORE = ((r"\b9\d{2}(?: - |\.)(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])(?: - |\.)\d{4}\b", _ALONE),)


class AmericanPassportRecognizer(_Spelled, UsPassportRecognizer):  # type: ignore[misc]
    """US_PASSPORT: nine digits, or a letter and eight."""

    MORE = ((r"\b[A-Z][ -]\d{8}\b|\b\d{3} \d{3} \d{3}\b|\b[A-Z]\d{4} \d{4}\b", _NEEDS_CONTEXT),)


class AmericanLicenseRecognizer(_Own):
    """US_DRIVER_LICENSE, as the 50 states number them, the groups of some of them included.

    Presidio's patterns also take a letter and one digit, so that "driving a V8" holds a licence.
    """

    ENTITY = "US_DRIVER_LICENSE"
    SPELLINGS = (
        (
            r"\b(?:[A-Z]\d{5,14}|[A-Z]\d{18}|[A-Z]{2}\d{4,7}[A-Z]?|[A-Z]{3}\d{6}|\d{2}[A-Z]{3}\d{5,6}|[A-Z]\d{6}R"
            r"|\d{7,9}[A-Z]{1,2}|\d{3}[A-Z]{2}\d{4}|[A-Z]\d[A-Z]\d[A-Z]|WDL[A-Z0-9]{9}|[A-Z]{5,7}\d{3}[A-Z0-9]{2,4})\b",
            _NEEDS_CONTEXT,
        ),
        (r"\b[A-Z]{1,3}[ -]?\d{2,6}(?:[ -]\d{2,6}){1,5}(?:-\d)?\b", _NEEDS_CONTEXT),
        (
            r"\b(?:\d{6,14}|\d{16}|\d{2,3} \d{3} \d{3}|\d{3}-\d{3}-\d{3}|\d{2}-\d{3}-\d{4}|\d{4}-\d{2}-\d{4})\b",
            _NEEDS_CONTEXT,
        ),
    )


class NhsInContextRecognizer(_InContext, NhsRecognizer):  # type: ignore[misc]
    """UK_NHS: 3, 3 and 4 digits."""

    MORE = ((r"\b\d{3}[ .-]{1,3}\d{3}[ .-]{1,3}\d{4}\b", _NEEDS_CONTEXT),)


class NationalInsuranceRecognizer(_Spelled, UkNinoRecognizer):  # type: ignore[misc]
    """UK_NINO: two letters, six digits, a letter from A to D."""

    MORE = (
        (
            r"\b(?!BG|GB|NK|KN|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?:[ .-]{1,3}\d{2}){3}[ .-]{0,3}[A-D]\b"
            r"|\b(?!BG|GB|NK|KN|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ .-]\d{6}[ .-]?[A-D]\b",
            _ALONE,
        ),
        # Without its suffix, or with a prefix that is no longer given out
        (r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2}(?: ?[A-D])?\b", _NEEDS_CONTEXT),
    )


class BritishPassportRecognizer(_Spelled, UkPassportRecognizer):  # type: ignore[misc]
    """UK_PASSPORT: two letters and seven digits; its nine digits of today count as a US passport."""

    MORE = ((r"\b[A-Z]{2}[ -]\d{7}\b", _NEEDS_CONTEXT),)


class BritishLicenceRecognizer(_Spelled, UkDrivingLicenceRecognizer):  # type: ignore[misc]
    """UK_DRIVING_LICENCE: the first letters of the name, birth date, initials, check; with the card's spaces too."""

    MORE = (
        (
            r"\b[A-Z9]{5}[ -]?\d(?:[05][1-9]|[16][0-2])(?:0[1-9]|[12]\d|3[01])\d[ -]?[A-Z9]{2}"
            r"[ -]?[A-Z0-9][ -]?[A-Z]{2}(?:[ -]?\d{2})?\b",
            _ALONE,
        ),
    )

    def validate_result(self, pattern_text: str) -> bool | None:
        return super().validate_result(compact(pattern_text)[:16])


class FrNirRecognizer(_Own):
    """FR_NIR: the 13-digit French social number with its two-digit key, 97 minus the number modulo 97 (INSEE).

    Without the key it counts only beside a context word.
    """

    ENTITY = "FR_NIR"
    _NUMBER = r"\b[123478][ .-]?\d{2}[ .-]?(?:0[1-9]|1[0-2]|[2-9]\d)[ .-]?(?:\d{2}|2[AB])[ .-]?\d{3}[ .-]?\d{3}"
    SPELLINGS = (
        (_NUMBER + r"(?: ?[/|.-]? ?(?:cl[ée] ?:? ?)?)\d{2}\b", 0.3),
        (_NUMBER + r"\b", _NEEDS_CONTEXT),
    )

    def validate_result(self, pattern_text: str) -> bool | None:
        number = "".join(char for char in pattern_text.upper() if char.isdecimal() or char in "AB")
        number = number.replace("2A", "19").replace("2B", "18")  # Corsica
        if len(number) != 15 or not number.isdecimal():
            return None if len(number) == 13 and number.isdecimal() else False
        return 97 - int(number[:-2]) % 97 == int(number[-2:])


class GermanTaxIdInContextRecognizer(_InContext, DeTaxIdRecognizer):  # type: ignore[misc]
    """DE_TAX_ID; also in the groups in which letters of the tax office write it."""

    MORE = ((r"\b[1-9]\d[ ./-]?\d{3}[ ./-]?\d{3}[ ./-]?\d{3}\b|\b[1-9]\d{9} \d\b", _NEEDS_CONTEXT),)


class GermanPensionRecognizer(_Spelled, DeSocialSecurityRecognizer):  # type: ignore[misc]
    """DE_SOCIAL_SECURITY; also in groups: area, date of birth, letter, serial number with check digit."""

    MORE = ((r"\b\d{2}[ ./-]?\d{2}[ ./-]?\d{2}[ ./-]?\d{2}[ ./-]?[A-Z][ ./-]?\d{2}[ ./-]?\d\b", 0.3),)


class _GermanDocument(PatternRecognizer):  # type: ignore[misc]
    """Before a Presidio class: the nine characters of the serial number may be followed by their check digit, and D."""

    patterns: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        serial = r"\b(?=[A-Z]*\d)[CFGHJKLMNPRTVWXYZ](?: ?[CFGHJKLMNPRTVWXYZ0-9]){8}(?: ?\d(?:[D<]{1,2})?)?(?![A-Z0-9])"
        letters = r"\b[CFGHJKLMNPRTVWXYZ]{9}(?![A-Z0-9])"  # no vowel is in use, so that no word is one
        self.patterns = [*self.patterns, Pattern("serial", f"{serial}|{letters}", _NEEDS_CONTEXT)]

    def validate_result(self, pattern_text: str) -> bool | None:
        number = compact(pattern_text)[:10]
        if len(number) != 10:
            return (
                not number.isalpha() and super().validate_result(number)
            ) or None  # Presidio's rule takes the ninth for the check digit
        numbers = [int(char, 36) for char in number]
        total = sum(number * weight for number, weight in zip(numbers[:9], (7, 3, 1) * 3, strict=True))
        return False if total % 10 != numbers[9] else None  # 1 in 10 fits by chance: a context word decides


class GermanPassportRecognizer(_GermanDocument, DePassportRecognizer):  # type: ignore[misc]
    """DE_PASSPORT."""


class GermanIdCardRecognizer(_GermanDocument, DeIdCardRecognizer):  # type: ignore[misc]
    """DE_ID_CARD."""


class SpanishIdRecognizer(_Own):
    """ES_NIF: eight digits, bare or in thousands, and the letter that their remainder by 23 gives (Orden 1982)."""

    ENTITY = "ES_NIF"
    SPELLINGS = (
        (r"\b(?:\d{8}|\d{1,2}\.\d{3}\.\d{3})[ ]?-?[ ]?[A-Z]\b|\b[KLM]-?\d{7}-?[A-Z]\b", _ALONE),
        (r"\b(?:\d{7}|\d{2} \d{3} \d{3})[ ]?-?[ ]?[A-Z]\b", _NEEDS_CONTEXT),
    )

    def validate_result(self, pattern_text: str) -> bool | None:
        number = compact(pattern_text)
        if _SPANISH_LETTERS[int(number[:-1].lstrip("KLM")) % 23] != number[-1]:
            return False
        return True if len(number) == 9 else None


class SpanishForeignerRecognizer(_Own):
    """ES_NIE: X, Y or Z, seven digits and the letter, as for a NIF with 0, 1 or 2 before."""

    ENTITY = "ES_NIE"
    SPELLINGS = ((r"\b[X-Z][ -]?(?:\d{7}|\d\.\d{3}\.\d{3})[ -]?[A-Z]\b", _ALONE),)

    def validate_result(self, pattern_text: str) -> bool:
        number = compact(pattern_text)
        return _SPANISH_LETTERS[int(f"{'XYZ'.index(number[0])}{number[1:-1]}") % 23] == number[-1]


class SpanishPassportRecognizer(_Spelled, EsPassportRecognizer):  # type: ignore[misc]
    """ES_PASSPORT: two or three letters and six digits."""

    MORE = ((r"\b[A-Z]{2,3}[ -]?\d{6}\b", _NEEDS_CONTEXT),)


class ItalianFiscalCodeRecognizer(_Spelled, ItFiscalCodeRecognizer):  # type: ignore[misc]
    """IT_FISCAL_CODE; also in the groups of a form."""

    MORE = (
        (r"\b[A-Z]{3}[ -]?[A-Z]{3}[ -]?[\dLMNP-V]{2}[A-EHLMPRST][\dLMNP-V]{2}[ -]?[A-Z][\dLMNP-V]{3}[ -]?[A-Z]\b", 0.3),
    )


class ItalianLicenceRecognizer(_Spelled, ItDriverLicenseRecognizer):  # type: ignore[misc]
    """IT_DRIVER_LICENSE."""

    MORE = ((r"\b[A-Z]{2} ?\d{7} ?[A-Z]\b|\bU1 ?[A-Z0-9]{7} ?[A-Z]\b", _NEEDS_CONTEXT),)


class ItalianIdCardRecognizer(_Spelled, ItIdentityCardRecognizer):  # type: ignore[misc]
    """IT_IDENTITY_CARD."""

    MORE = ((r"\b[A-Z]{2}[ -]?\d{5}[ -]?[A-Z]{2}\b|\b\d{7} ?[A-Z]{2}\b|\b[A-Z]{2}-\d{7}\b", _NEEDS_CONTEXT),)


class ItalianPassportRecognizer(_Spelled, ItPassportRecognizer):  # type: ignore[misc]
    """IT_PASSPORT."""

    MORE = ((r"\b[A-Z]{2}[ -]\d{7}\b", _NEEDS_CONTEXT),)


class AadhaarInContextRecognizer(_InContext, InAadhaarRecognizer):  # type: ignore[misc]
    """IN_AADHAAR: twelve digits, the last by Verhoeff's scheme."""

    MORE = ((r"\b\d{4}[ .-]{1,3}\d{4}[ .-]{1,3}\d{4}\b", _NEEDS_CONTEXT),)


class IndianPanRecognizer(_Own):
    """IN_PAN: five letters, the fourth a holder type, four digits, a letter.

    Presidio's has a third pattern that looks ahead over the whole text at every word: 58% of all screening time on
    305-character prompts, growing with the square of the length.
    """

    ENTITY = "IN_PAN"
    SPELLINGS = ((r"\b[A-Z]{3}[ABCFGHJLPT][A-Z][ -]?\d{4}[ -]?[A-Z]\b", _ALONE),)


class IndianPassportRecognizer(_Spelled, InPassportRecognizer):  # type: ignore[misc]
    """IN_PASSPORT: a letter and seven digits."""

    MORE = ((r"\b[A-Z][ -]?\d{7}\b|\b[A-Z]\d{2} \d{5}\b", _NEEDS_CONTEXT),)


class IndianVoterRecognizer(_InContext, InVoterRecognizer):  # type: ignore[misc]
    """IN_VOTER: three letters and seven digits; formerly state, district, constituency and number."""

    MORE = ((r"\b[A-Z]{3}[ -/]\d{7}\b|\b[A-Z]{2}/\d{2}/\d{2,3}/\d{6,7}\b", _NEEDS_CONTEXT),)
