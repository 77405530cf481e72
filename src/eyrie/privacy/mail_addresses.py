"""Mail addresses: in URLs and names of files, and spelled so that programs do not find them."""

import re

import tldextract
from presidio_analyzer import RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts
from presidio_analyzer.predefined_recognizers import EmailRecognizer

from eyrie.privacy.phrases import Phrases
from eyrie.privacy.shapes import Shape, ShapeRecognizer

# A URL's path and a name of its query, or a name alone; `list+bob=corp.com@` is one address, of a mailing list.
_BEFORE_ADDRESS = re.compile(r"(?:[^@]*[/?&](?:[^/?&=@]*=)?|[A-Za-z_]+(?:-to)?=)(?=[^@/?&=])")
# An address in the name of a file: jane@mail.org_2024.csv
_END_OF_FILE = re.compile(r"_.*|(?:\.(?:bak|csv|docx?|eml|gz|html?|jpe?g|json|log|mbox|pdf|png|txt|vcf|xlsx?|xml))+$")


class MailAddressRecognizer(EmailRecognizer):  # type: ignore[misc]
    """EMAIL_ADDRESS; of a value in a URL the address only, though Presidio takes path and names for a part of it."""

    def validate_result(self, pattern_text: str) -> bool:
        return self._is_valid(pattern_text) or self._is_valid(_without_end_of_file(pattern_text))

    def _is_valid(self, written: str) -> bool:
        return bool(super().validate_result(re.split(r"[/=?&]", written)[-1]))

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None, regex_flags: int | None = None
    ) -> list[RecognizerResult]:
        """Offsets are characters of `text`."""
        results: list[RecognizerResult] = super().analyze(text, entities, nlp_artifacts, regex_flags)
        for result in results:
            written = text[result.start : result.end]
            if not self._is_valid(written):
                result.end = result.start + len(_without_end_of_file(written))
            if before := _BEFORE_ADDRESS.match(text, result.start, result.end):
                result.start = before.end()
        return results


def _without_end_of_file(written: str) -> str:
    local, sign, domain = written.rpartition("@")
    return local + sign + _END_OF_FILE.sub("", domain)


# Space around the sign: `x.T @ w.to(device)`, `thanks @user.name` and `lunch @ noma.dk` look alike. So the local part
# touches the sign, or is no word of a sentence (it has a dot, an underscore, digits), or mail is spoken of.
_BEGINS = r"(?<![\w.@/:+-])"
_LOCAL = (
    rf"{_BEGINS}(?=[\w.+-]*[^\W\d_]{{2}})(?!git@)[^\W_][\w.+-]{{1,63}}"
    r"(?<![.+-])(?<!\.(?:js|io|py|ts))(?<!\.(?:com|net|org))"
)
_MARKED_LOCAL = rf"{_BEGINS}(?=[^\W\d_]+(?:[._+]|\d\d)){_LOCAL}"
# No call, index, path or further attribute behind it.
_SPACED_HOST = r"(?=[\w-]*[^\W\d_])[^\W_][\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,24}(?![\w(\[/=-]|[.:][\w/])"
# also ends of code
_CODE_SUFFIXES = frozenset(
    ("app", "cc", "dot", "map", "md", "mm", "mt", "mv", "name", "post", "py", "rs", "sh", "so", "tf", "to", "ts")
)
# codespell:ignore-begin
_ADDRESSEE = r"(?:is|ist|est|es|me|us|him|her|them|mich|uns|an|at|to|à|a|address|adresse)"
_OF_MAIL = (
    r"(?i:\b(?:e-?mails?|mail|mailadresse|courriel|correo|posta|contact|kontakt|write|schreib\w*|écri\w*)"
    rf"(?:[:=]\s{{0,2}}| (?:{_ADDRESSEE}[: ]{{1,2}}){{0,3}}))(?!(?i:{_ADDRESSEE})\b)"
)
# codespell:ignore-end
_POST_OFFICES = (
    r"(?i:(?:g(?:oogle)?mail|gmx|hotmail|outlook|live|yahoo|icloud|proton(?:mail)?|posteo|mailbox|web|freenet|t-online|aol"
    r"|orange|laposte|wanadoo|libero)\.)"
)
_SPACE_AFTER_AT = r"(?: {1,2}|\s?\n[ >]{0,4})"


class SpelledMailRecognizer(ShapeRecognizer):
    """EMAIL_ADDRESS, spelled so that programs do not find it: jane.roe (at) example [dot] com, jane%40example.com,
    jane.roe @ example.com.
    """

    ENTITY = "EMAIL_ADDRESS"
    SHAPES = (
        Shape(
            re.compile(
                r"[\w.+-]{2,64} ?(?:\( ?at ?\)|\[ ?at ?\]|\{ ?at ?\}|<at>) ?[\w-]+"
                r"(?:(?:\.| ?[(\[{<] ?(?:dot|punkt|point|punto|\.) ?[)\]}>] ?| dot )[\w-]+)+",
                re.IGNORECASE,
            ),
            Phrases("(at)", "[at]", "{at}", "<at>", "( at )", "[ at ]"),
        ),
        Shape(  # in a URL, in HTML
            re.compile(r"[\w.+-]{2,64}(?:%40|&#0{0,4}64;|&#x0{0,4}40;|&commat;)[\w-]+(?:\.[\w-]+)+", re.IGNORECASE),
            Phrases("%40", "64;", "40;", "&commat;"),
        ),
        Shape(
            re.compile(rf"(?<![\w.+-])[\w.+-]{{2,64}} ?(?:\( ?@ ?\)|\[ ?@ ?\]|\{{ ?@ ?\}}|<@>) ?{_SPACED_HOST}"),
            Phrases("@)", "@]", "@}", "@>", "@ )", "@ ]", "@ }"),
        ),
        Shape(re.compile(rf"{_LOCAL}@{_SPACE_AFTER_AT}{_SPACED_HOST}"), Phrases("@ ", "@\n", "@\r")),
        Shape(re.compile(rf"{_MARKED_LOCAL} {{1,2}}@ {{0,2}}{_SPACED_HOST}"), Phrases(" @")),
        Shape(re.compile(rf"{_LOCAL} {{1,2}}@ {{0,2}}(?={_POST_OFFICES}){_SPACED_HOST}"), Phrases(" @")),
        Shape(re.compile(rf"{_OF_MAIL}(?P<v>{_LOCAL} {{1,2}}@ {{0,2}}{_SPACED_HOST})"), Phrases(" @")),
    )
    SCORE = 0.9

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Offsets are characters of `text`."""
        results = super().analyze(text, entities, nlp_artifacts)
        return [item for item in results if _has_mail_host(text[item.start : item.end])]


def _has_mail_host(written: str) -> bool:
    """Whether a host behind an at sign ends in a public suffix that is hardly one of code; others have no such sign."""
    if "@" not in written:
        return True
    known = tldextract.extract(written.rpartition("@")[2].strip(" \r\n>)]}"))
    return bool(known.domain and known.suffix) and known.suffix.lower() not in _CODE_SUFFIXES
