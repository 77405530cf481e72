"""Numbers that governments give persons, for which Presidio has no recogniser.

By their digits and check first, since that is cheap and leaves few; then by the words beside them. What is written in
the groups of its country and has a fitting check counts without a word.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from eyrie.privacy.nearby import any_of, stands_beside

_SCORE = 0.5
_NUMBER = re.compile(
    r"(?<![\w+/-])(?<!\d[.,])(?:\d(?:[ ./-]?\d){8,12}|\d{2}[A-Z]{2} ?\d{5}|[A-Z0-9]{9})(?!\w|[.,/-]\d)"
)


def weighted(digits: str, weights: tuple[int, ...]) -> int:
    """The sum of the products of digits and weights."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _is_bsn(digits: str) -> bool:
    return (weighted(digits[:8], (9, 8, 7, 6, 5, 4, 3, 2)) - int(digits[8])) % 11 == 0


def _is_nif(digits: str) -> bool:
    rest = weighted(digits[:8], (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return digits[0] in "12356789" and int(digits[8]) == (0 if rest < 2 else 11 - rest)


def _is_nrn(digits: str) -> bool:
    return any(97 - int(number) % 97 == int(digits[9:]) for number in (digits[:9], f"2{digits[:9]}"))


def _is_cpf(digits: str) -> bool:
    if len(set(digits)) == 1:
        return False
    rests = (weighted(digits[:size], tuple(range(size + 1, 1, -1))) * 10 % 11 % 10 for size in (9, 10))
    return all(rest == int(digits[place]) for rest, place in zip(rests, (9, 10), strict=True))


def _is_ahv(digits: str) -> bool:
    return digits.startswith("756") and weighted(digits, (1, 3) * 7) % 10 == 0


def _is_pesel(digits: str) -> bool:
    return 1 <= int(digits[2:4]) % 20 <= 12 and weighted(digits, (1, 3, 7, 9) * 2 + (1, 3, 1)) % 10 == 0


def _is_french_card(number: str) -> bool:
    """Before 2021 twelve digits, from year and month; since then nine letters and digits."""
    if number.isdecimal():
        return len(number) == 12 and 1 <= int(number[2:4]) <= 12
    return sum(map(str.isdecimal, number)) >= 2 or number[0] == "D"


class _Kind(NamedTuple):
    entity: str
    spelling: "re.Pattern[str]"  # of letters and digits only
    fits: Callable[[str], bool]
    beside: "re.Pattern[str]"
    alone: "re.Pattern[str] | None" = None  # groups in which it counts without a word


def _kind(entity: str, spelling: str, fits: Callable[[str], bool], words: str, alone: str | None = None) -> _Kind:
    return _Kind(entity, re.compile(spelling), fits, any_of(words.split("|")), re.compile(alone) if alone else None)


# codespell:ignore-begin
_KINDS = (
    _kind("NL_BSN", r"\d{9}", _is_bsn, "bsn|burgerservice|sofi|citizen service|persoons"),
    _kind("PT_NIF", r"\d{9}", _is_nif, "nif|contribuinte|identificação fiscal|número fiscal|fiscal number"),
    _kind(
        *("BE_NRN", r"\d{11}", _is_nrn),
        "rijksregister|registre national|numéro national|n° national|niss|insz|nrn|rrn|national register"
        "|national number|nationalregister|numéro de registre",
        r"\d\d\.\d\d\.\d\d-\d{3}[.-]\d\d",
    ),
    _kind("BR_CPF", r"\d{11}", _is_cpf, "cpf|cpf/cnpj|pix|cadastro de pessoa", r"\d{3}\.\d{3}\.\d{3}-\d\d"),
    _kind("PL_PESEL", r"\d{11}", _is_pesel, "pesel"),
    _kind(
        "CH_AHV",
        r"\d{13}",
        _is_ahv,
        "ahv|avs|oasi|navs|navs13|ahvn13|sozialversicherungs|social security|sécurité sociale|assurance sociale",
        r"756[. ]\d{4}[. ]\d{4}[. ]\d\d",
    ),
    _kind(
        "FR_ID_CARD",
        r"\d{12}|(?=[A-Z]*\d)[A-Z0-9]{9}|[CDFGHJKLMNPRTVWXYZ]{9}",
        _is_french_card,
        "cni|cnie|carte d'identité|carte d’identité|carte d'identite|pièce d'identité|pièce d’identité|piece d'identite"
        "|carte nationale|carte nationale d'identité|identité|titre d'identité",
    ),
    _kind("FR_PASSPORT", r"\d{2}[A-Z]{2}\d{5}", lambda _: True, "passeport|passport|pass|reisepass|pasaporte"),
)
# codespell:ignore-end


class NationalNumberRecognizer(EntityRecognizer):  # type: ignore[misc]
    """BE_NRN, BR_CPF, CH_AHV, FR_ID_CARD, FR_PASSPORT, NL_BSN, PL_PESEL, PT_NIF."""

    def __init__(
        self, supported_language: str = "en", name: str | None = None, context: list[str] | None = None
    ) -> None:
        entities = [kind.entity for kind in _KINDS]
        super().__init__(entities, name=name or type(self).__name__, supported_language=supported_language)

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Offsets are characters of `text`."""
        return [
            RecognizerResult(kind.entity, *match.span(), _SCORE)
            for match in _NUMBER.finditer(text)
            for kind in _kinds_of("".join(filter(str.isalnum, match[0])))
            if (kind.alone and kind.alone.fullmatch(match[0])) or stands_beside(kind.beside, text, *match.span())
        ]


def _kinds_of(number: str) -> list[_Kind]:
    return [kind for kind in _KINDS if kind.spelling.fullmatch(number) and kind.fits(number)]
