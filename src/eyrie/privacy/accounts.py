"""Payment cards, bank accounts, wallets and network addresses: shapes that Presidio misses, with its or our checks.

Presidio's own card recogniser missed a quarter of a synthetic set (2-series Mastercard, Maestro, 19 digits), so the
issuer ranges (ISO/IEC 7812) are spelled out here and the Luhn check decides. Its IBAN pattern wants groups of four.
"""

import hashlib
import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts
from presidio_analyzer.predefined_recognizers import (
    CryptoRecognizer,
    IpRecognizer,
    MacAddressRecognizer,
)

_NEEDS_CONTEXT = 0.05  # a score that only a word beside it lifts to a finding
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
_UNKNOWN_ISSUER = 0.05  # counts beside a context word only
_MIN_CARD_DIGITS, _MAX_CARD_DIGITS, _MIN_GROUP = 12, 19, 3
# Groups of digits; not inside a UUID, a decimal or a longer word. After a comma, as in CSV, only in fours.
_DIGITS = re.compile(
    r"(?<![A-Za-z0-9])(?<!\d\.)(?:(?<!\d,)|(?=\d{4}[ -]))(?<![0-9a-f]-)\d++(?:(?: ?[-.] ?| {1,2})\d++)*+(?!\w)"
)
_GROUP = re.compile(r"(?<=%20)\d+|(?<!\d)(?!(?<=%)20)\d+")  # the digits of %20 are none of a card's
# Further gaps: between groups that are those printed on a card, so that tables and paths are not read as cards.
_PRINTED_GAP = r"(?:%20|[\s_/+-]{1,3})"
_PRINTED = re.compile(
    r"(?<![A-Za-z0-9])(?<!\d\.)(?<![0-9a-f]-)(?<!\d%20)"
    r"(?<!\d[\s_/+-])(?<!\d[\s_/+-]{2})(?<!\d[\s_/+-]{3})"  # where one begins, not anew at each of its groups
    rf"\d++(?:{_PRINTED_GAP}\d++)*+(?!\w|\.\d)"
)
# By the lengths of the groups. A fifth group of four would be one more cell of a table.
_PRINTED_GROUPS = tuple(re.compile(rf"(?<!4)(?=({sizes}))") for sizes in ("4444(?!4)", "44443", "465", "464"))
# Countries by the length of their IBAN (SWIFT's registry).
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        **{
            15: "NO",
            16: "BE",
            18: "DK FI FK FO GL NL SD",  # codespell:ignore fo
            19: "MK SI",
            20: "AT BA EE KZ LT LU MN XK",
            21: "CH HR LI LV",
        },
        **{22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG"},
        **{25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HN HU LB NI PL SV"},
        **{29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU"},
    }.items()
    for country in countries.split()
}
# Between groups: also tabs, ends of lines and what stands for a space in a URL; the check digits decide.
_IBAN_GAP = r"(?:%20|[\s._/+-]{0,3})"
_IBAN = re.compile(rf"(?<![A-Za-z0-9])(?:[A-Za-z]{{2}}|[A-Z]{{2}} )\d{{2}}(?=(?:{_IBAN_GAP}[A-Za-z0-9]){{11}})")
# Names of code come in groups too: SM100_BWD_AUTO_BUCKETED_K2Q_MIN_Q. Of an IBAN half or more are digits.
_UNUSUAL_IBAN_GAP = re.compile(r"[^A-Za-z0-9 .-]|[ .-]{3}")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_IBAN_CHAR = re.compile(rf"{_IBAN_GAP}([A-Za-z0-9])")


def luhn_valid(digits: str) -> bool:
    """The Luhn check (ISO/IEC 7812-1 annex B) over a string of digits."""
    doubled = [int(digit) * 2 for digit in digits[-2::-2]]
    return (sum(value - 9 * (value > 9) for value in doubled) + sum(int(d) for d in digits[-1::-2])) % 10 == 0


class CardNumberRecognizer(EntityRecognizer):  # type: ignore[misc]
    """CREDIT_CARD: 12 to 19 digits, bare or in groups, of a known issuer, that satisfy the Luhn check.

    Among groups of digits in a row (a card, its expiry date, its code), those that are a card together.
    """

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        super().__init__(
            ["CREDIT_CARD"], name=name or type(self).__name__, supported_language=supported_language, context=context
        )

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Offsets are characters of `text`."""
        return [
            RecognizerResult("CREDIT_CARD", start, end, score)
            for runs, cards_of in ((_DIGITS, _cards), (_PRINTED, _printed_cards))
            for run in runs.finditer(text)
            if len(run[0]) >= _MIN_CARD_DIGITS
            for start, end, score in cards_of([group.span() for group in _GROUP.finditer(text, *run.span())], text)
        ]


def _printed_cards(groups: list[tuple[int, int]], text: str) -> Iterator[tuple[int, int, float]]:
    """Cards of a known issuer in groups as they are printed, by their lengths."""
    sizes = "".join(str(min(stop - start, 9)) for start, stop in groups)
    for printed in _PRINTED_GROUPS:
        for match in printed.finditer(sizes):
            chosen = groups[slice(*match.span(1))]
            digits = "".join(text[start:stop] for start, stop in chosen)
            if _ISSUERS.fullmatch(digits) and luhn_valid(digits):
                yield chosen[0][0], chosen[-1][1], 1.0


def _cards(groups: list[tuple[int, int]], text: str) -> Iterator[tuple[int, int, float]]:
    first = 0
    while first < len(groups):
        last, score = _end_of_card(groups, first, text)
        if score:
            yield groups[first][0], groups[last - 1][1], score
        first = last


def _end_of_card(groups: list[tuple[int, int]], first: int, text: str) -> tuple[int, float]:
    """One past the last group of the best card that begins with group `first`, and its score; 0 for no card."""
    digits, best = "", (0.0, first + 1)
    grouped = True  # are the groups before the last one as long as a card's?
    for last in range(first, len(groups)):
        start, stop = groups[last]
        digits += text[start:stop]
        # A part of a run is a card only if grouped like one, not a stretch of a list of small numbers.
        if len(digits) > _MAX_CARD_DIGITS or (first and not grouped):
            break
        whole = first == 0 and last == len(groups) - 1
        if len(digits) >= _MIN_CARD_DIGITS and (whole or grouped) and len(set(digits)) > 1 and luhn_valid(digits):
            best = max(best, (1.0 if _ISSUERS.fullmatch(digits) else _UNKNOWN_ISSUER, last + 1))
        grouped = grouped and stop - start >= _MIN_GROUP
    return best[1], best[0]


class AnyCaseIbanRecognizer(EntityRecognizer):  # type: ignore[misc]
    """IBAN_CODE: as many letters and digits as the country's IBAN has, however grouped, with its check digits right."""

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        super().__init__(["IBAN_CODE"], name=name or type(self).__name__, supported_language=supported_language)

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Offsets are characters of `text`."""
        ends = ((match.start(), _iban_end(text, match.start())) for match in _IBAN.finditer(text))
        return [RecognizerResult("IBAN_CODE", start, end, 1.0) for start, end in ends if end is not None]


def _iban_end(text: str, start: int) -> int | None:
    """Where the IBAN that begins at `start` ends; None when there is none."""
    length = _IBAN_LENGTHS.get(text[start : start + 2].upper())
    code, position = "", start
    while length is not None and len(code) < length:
        match = _IBAN_CHAR.match(text, position)
        if match is None:
            return None
        code, position = code + match[1], match.end()
    if length is None or text[position : position + 1].isalnum() or code not in (code.upper(), code.lower()):
        return None
    if _UNUSUAL_IBAN_GAP.search(text, start, position) and 2 * sum(map(str.isdecimal, code)) < len(code):
        return None
    number = int("".join(str(int(char, 36)) for char in code[4:] + code[:4]))  # ISO 13616, ISO 7064 MOD 97-10
    return position if number % 97 == 1 else None


class WalletRecognizer(PatternRecognizer):  # type: ignore[misc]
    """CRYPTO: addresses that carry a checksum, of whatever coin: Base58Check (Bitcoin, Litecoin, Dogecoin, Dash, Tron,
    Zcash and their like) and bech32 (BIP 173; in capitals too, as QR codes have them). Presidio's knows Bitcoin only.
    """

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        pattern = Pattern(
            "with checksum", rf"(?<!\w)(?:[{_BASE58}]{{26,44}}|[a-z]{{2,9}}1[a-z0-9]{{20,80}})(?!\w)", 0.5
        )
        super().__init__("CRYPTO", name=name, supported_language=supported_language, patterns=[pattern])

    def validate_result(self, pattern_text: str) -> bool:
        """Chance passes a check once in a thousand million words."""
        return (
            _is_base58check(pattern_text)
            or _is_solana(pattern_text)
            or CryptoRecognizer.validate_bech32_address(pattern_text)[0]
        )


def _base58(word: str) -> int | None:
    """The number that it spells, or None when a letter is not of Base58."""
    number = 0
    for char in word:
        digit = _BASE58.find(char)
        if digit < 0:
            return None
        number = number * 58 + digit
    return number


def _is_base58check(word: str) -> bool:
    """20 bytes of hash, one or two before them for the coin, and four bytes of SHA-256 applied twice."""
    number = _base58(word)
    if number is None:
        return False
    for size in (25, 26):
        if number < 256**size:
            content, check = (raw := number.to_bytes(size))[:-4], raw[-4:]
            if hashlib.sha256(hashlib.sha256(content).digest()).digest()[:4] == check:
                return True
    return False


def _is_solana(word: str) -> bool:
    """A public key of 32 bytes in Base58, which has no check: by its length and its mixture."""
    if len(word) not in (43, 44) or word.lower() == word or word.upper() == word or not re.search(r"\d", word):
        return False
    number = _base58(word)
    if number is None:
        return False
    return 256**31 <= number < 256**32


class EthereumRecognizer(PatternRecognizer):  # type: ignore[misc]
    """CRYPTO: Ethereum account addresses, whose checksum, if any, is in their capitals."""

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        pattern = Pattern("ethereum", r"\b0x[0-9a-f]{40}\b", 0.6)
        super().__init__("CRYPTO", name=name, supported_language=supported_language, patterns=[pattern])


class HardwareAddressRecognizer(MacAddressRecognizer):  # type: ignore[misc]
    """MAC_ADDRESS, near a word that says so also without signs between its digits: 001A2B7B795B."""

    patterns: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        digits = r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12}\b"
        self.patterns = [*self.patterns, Pattern("without signs", digits, _NEEDS_CONTEXT)]


# "driver version 10.2.14.3"
_VERSION = re.compile(r"(?i:\b(?:versions?|ver|v|release|build|firmware)[ .:=]{0,3})$")
_VERSION_WIDTH = 12


class HostAddressRecognizer(IpRecognizer):  # type: ignore[misc]
    """IP_ADDRESS without what tells of no host: loopback, 0.0.0.0, netmasks, and slices such as `[::2]` or `a::b`."""

    patterns: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Of a link, also with groups that are too long: whoever wrote it down meant a host.
        link = Pattern("link", r"\bfe80::(?:[0-9a-f]{1,8}:){1,4}[0-9a-f]{1,8}\b", 0.6)
        # "PING 2600:...:a591: 56 data bytes"
        whole = Pattern("before a colon", r"(?<![\w:])(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?=:(?![\w:]))", 0.6)
        self.patterns = [*self.patterns, link, whole]

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None, regex_flags: int | None = None
    ) -> list[RecognizerResult]:
        """Offsets are characters of `text`."""
        results: list[RecognizerResult] = super().analyze(text, entities, nlp_artifacts, regex_flags)
        return [item for item in results if not _VERSION.search(text, max(0, item.start - _VERSION_WIDTH), item.start)]

    def invalidate_result(self, pattern_text: str) -> bool:
        if pattern_text.lower().startswith("fe80::"):
            return False
        try:
            address = ipaddress.ip_address(pattern_text.split("/")[0].split("%")[0])
        except ValueError:
            return True
        if address.is_loopback or address.is_unspecified or pattern_text.startswith("255."):
            return True
        groups = [group for group in pattern_text.split(":") if group]
        telling = any(len(group) == 4 and any(char.isdecimal() for char in group) for group in groups)
        return address.version == 6 and len(groups) < 3 and not telling
