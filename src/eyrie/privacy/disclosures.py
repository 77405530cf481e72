"""Names and addresses that a user discloses: PERSON and LOCATION where the sentence itself says so.

Patterns for what the user says in the first person ("my name is ...", "I live at ...", a signature), and for street
addresses, whoever they belong to. A name that merely occurs is found by `eyrie.privacy.names`, with a lower score: a
threshold between the two keeps the characters of stories, word problems and made-up reports.
"""

import re

import regex  # type: ignore[import-untyped]

from eyrie.privacy.phrases import Phrases
from eyrie.privacy.shapes import Shape, ShapeRecognizer

# Every pattern has one group `v`, the value; before it, the phrases without which it finds nothing. (?i: ) keeps
# case-insensitivity to the phrase: a value is capitalised.
_WORD = r"\p{Lu}[\p{L}\p{M}'’.-]*"
_PARTICLES = r"(?:(?:de|da|del|della|di|van|von|der|den|bin|al|el|la|le) ){0,2}"
_NAME = rf"{_WORD}(?: {_PARTICLES}{_WORD}){{0,3}}"
_FULL_NAME = rf"{_WORD}(?: {_PARTICLES}{_WORD}){{1,3}}"
_MY_NAME = r"my (?:(?:full|real|legal|first|last|middle|given|family|maiden) )?(?:sur)?name(?: is|'s|’s|:)"
_RELATIVES = (
    *("wife", "husband", "son", "daughter", "mother", "father", "mom", "mum", "dad", "brother", "sister", "partner"),
    *("boss", "doctor", "landlord"),
)
_MY_RELATIVE = rf"my (?:{'|'.join(_RELATIVES)})(?:'s name)? is(?: called| named)?"
_FIELDS = ("patient", "applicant", "employee", "customer", "client", "cardholder", "account holder")
_FORM_FIELD = rf"(?:{'|'.join(_FIELDS)})(?: name)?\s*:"
_OTHER_LANGUAGES = (
    "me llamo|mi nombre es|je m['’]appelle|mon nom est|ich heiße|ich heisse|mi chiamo"
    "|mein name ist|meu nome é"  # codespell:ignore ist,meu,nome
    "|ik heet|mijn naam is|jag heter|mitt namn är|jeg heter|mit navn er|nazywam się|mam na imię|меня зовут|мене звати"
)
_OTHERS = (
    "llamo",
    "nombre",
    "appelle",
    "mon nom",
    "ich hei",
    "chiamo",
    "mein name",
    "meu nome",  # codespell:ignore meu,nome
    *("ik heet", "mijn naam", "jag heter", "mitt namn", "jeg heter", "mit navn", "nazywam", "mam na imi"),
    *("меня зовут", "мене звати"),
)  # codespell:ignore meu,nome
# The hundred surnames that five in six people in China have: "我叫" is to order something as well.
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林郑谢罗梁宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆"
    "范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤張劉陳楊黃趙吳許馮鄧蔣葉"
)
_CLOSING = r"(?:kind|best|warm)? ?regards|\bsincerely(?: yours)?|\byours (?:truly|sincerely|faithfully)"
_PERSON = [
    (("name",), rf"(?i:\b{_MY_NAME}) ?(?P<v>{_NAME})"),
    (tuple(f"my {relative}" for relative in _RELATIVES), rf"(?i:\b{_MY_RELATIVE}) (?P<v>{_NAME})"),
    (
        ("i am ", "i'm ", "i’m ", "this is "),
        rf"(?i:\b(?:i am|i['’]m|this is)) (?P<v>{_FULL_NAME})"
        r"(?= (?:from|and i|born|speaking|here|writing)\b|[,.] (?:I|my)\b)",
    ),
    (_FIELDS, rf"(?i:\b{_FORM_FIELD}) ?(?P<v>{_FULL_NAME})"),
    (_OTHERS, rf"(?i:\b(?:{_OTHER_LANGUAGES})) (?P<v>{_NAME})"),
    (("我叫", "名字是", "名字叫"), rf"(?:我叫|名字是|名字叫)(?P<v>[{_SURNAMES}]\p{{Han}}{{1,2}})(?!\p{{Han}})"),
    (
        ("と申します", "といいます", "と言います", "名前は"),
        r"(?P<v>[\p{Han}\p{Katakana}ー]{2,8})(?=と(?:申し|いい|言い)ます)|名前は(?P<v>[\p{Han}\p{Katakana}ー]{2,8})(?=です)",
    ),
    (("이름은",), r"이름은 ?(?P<v>\p{Hangul}{2,4}?)(?=입니다|이고|이에요|예요)"),
    (("regards", "sincerely", "yours"), rf"(?i:\b{_CLOSING}),?\n+(?P<v>{_FULL_NAME})(?=\s|$)"),
]
_STREET = (
    "Street|St|Road|Rd|Avenue|Ave|Boulevard|Blvd|Lane|Ln|Drive|Court|Ct|Place|Pl|Square|Terrace|Way|Highway|Hwy|Parkway|"
    "Pkwy|Crescent|Close|Circle|Trail|Row|Gardens|Mews|Alley"
)
_PLACE = rf"(?:, ?{_WORD}(?: {_WORD}(?![\p{{L}}\d])){{0,2}})"
_UNIT = r"(?:,? (?:Apt|Apartment|Suite|Unit|Flat|Floor)\.? ?[\w-]+)?"
_TAIL = rf"{_UNIT}{_PLACE}{{0,2}}(?:,? (?:[A-Z]{{1,2}}\d[A-Z\d]? \d[A-Z]{{2}}|[A-Z]{{2}}))?(?: \d{{5}}(?:-\d{{4}})?)?"
_HOME = r"i live (?:in|at|on|near)|my (?:home |postal |mailing )?address is|i(?: a|['’])m from|i was born in"
_NUMBERED = rf"(?P<v>\b\d{{1,5}}[A-Za-z]?,? (?:[NSEW]\.? )?{_WORD}(?: {_WORD}){{0,3}} (?:{_STREET})\b\.?{_TAIL})"
_LOCATION = [
    (
        ("strasse", "straße", "str.", "weg", "gasse", "platz", "allee"),
        r"(?P<v>\b\p{Lu}[\p{L}-]*(?:straße|strasse|str\.|weg|gasse|platz|allee) \d{1,4}[a-z]?"
        rf"(?:, ?\d{{5}} {_WORD})?)",
    ),
    (
        ("rue ", "avenue ", "boulevard ", "place ", "chemin ", "impasse ", "allée ", "quai "),
        r"(?P<v>\b\d{1,4}(?: bis| ter)?,? (?:rue|avenue|boulevard|place|chemin|impasse|allée|quai) "
        rf"(?:(?:de la|de l['’]|des|du|de|d['’]) ?)?{_WORD}(?:[ -]{_WORD}){{0,3}})",
    ),
    (
        (
            "calle ",  # codespell:ignore calle
            "avenida ",
            "plaza ",
            "paseo ",
            "via ",
            "viale ",
            "piazza ",
            "corso ",
            "rua ",
        ),  # codespell:ignore calle
        r"(?P<v>\b(?:Calle|Avenida|Plaza|Paseo|Via|Viale|Piazza|Corso|Rua) "  # codespell:ignore calle
        rf"(?:(?:d[aeo]s?|del|dell[ae]|dei|degli|de l[ao]s?) )?{_NAME},? (?:n[º°.] ?)?\d{{1,4}})",
    ),
    (
        ("i live ", "address is ", "m from ", "i was born "),
        rf"(?i:\b(?:{_HOME})) (?P<v>(?:\d[\w-]* )?{_WORD}(?: {_WORD}){{0,3}}{_PLACE}{{0,2}})",
    ),
    (("box ",), rf"(?P<v>(?i:\bP\.?O\.? Box) \d{{1,6}}{_TAIL})"),
]


class PersonDisclosureRecognizer(ShapeRecognizer):
    """PERSON: a name the user gives as his or her own, or of a relative, or signs with."""

    ENTITY = "PERSON"
    SHAPES = tuple(Shape(regex.compile(item), Phrases(*phrases)) for phrases, item in _PERSON)
    SCORE = 0.95  # above every score of a name that merely occurs


class AddressRecognizer(ShapeRecognizer):
    """LOCATION: street addresses, P.O. boxes, and where the user says to live."""

    ENTITY = "LOCATION"
    SHAPES = (
        Shape(regex.compile(_NUMBERED), gate=re.compile(r"\d")),
        *(Shape(regex.compile(item), Phrases(*phrases)) for phrases, item in _LOCATION),
    )
    SCORE = 0.95  # above every score of a name that merely occurs
