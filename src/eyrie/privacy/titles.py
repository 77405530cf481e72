"""People by their form of address: the word behind "Herr", "Mrs.", "Mme" or "Dr." is a name, on a list or not.

In: a text and the codes that words have in the lexicon. Out: characters of names, without the title. The tagger knows
names by lists and English or French surroundings; "Herr Krüger hat angerufen" has neither. A capital says little in
German, so the title stands right before the name, and offices ("Frau Präsidentin") are left out by list.
"""

import re
from collections.abc import Callable, Iterator

from eyrie.privacy.name_features import (
    FAMOUS,
    FIRST,
    FRENCH,
    LAST,
    MIXED,
    MOSTLY,
    ORDINARY,
    PLACE,
    PLACE_PART,
    REGION,
    TECHNICAL,
)
from eyrie.privacy.phrases import Phrases


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# codespell:ignore-begin
_PHRASES = Phrases(
    *("herr", "frau ", "frau\n", "hr. ", "fr. ", "dr. ", "dr ", "prof. ", "prof ", "mr. ", "mrs. ", "mr ", "mrs "),
    *("ms. ", "ms ", "mx. ", "mx ", "miss ", "mister ", "mme ", "mme. ", "mlle ", "madame ", "mademoiselle "),
    *("monsieur ", "m. ", "señor", "sra. ", "srta. ", "sr. ", "signor", "sig. ", "sig.ra ", "dott. ", "dott.ssa "),
    *("senhor", "mevrouw ", "mevr. ", "de heer "),
)
_ACADEMIC = (
    r"(?:(?:[Dd]r|[Pp]rof|Dipl|Mag|Ing)\b\.?(?:-Ing\.?)? |(?:med|rer|nat|phil|jur|oec|pol|habil|dent|vet|mult)\. ?"
    r"|h\. ?c\. )"
)
_TITLE = re.compile(
    r"(?<![\w.&@-])(?:"
    r"(?P<german>[Hh]errn?|[Ff]rau|Hr\.|Fr\.)"
    r"|(?P<english>[Mm]rs?\.?|Ms\.?|Mx\.?|Miss|Mister)"
    r"|(?P<initial>M\.)"
    r"|(?P<other>[Mm]me\.?|[Mm]lle|[Mm]adame|[Mm]ademoiselle|[Mm]onsieur|[Ss]eñor(?:a|ita)?|[Ss]ra\.|[Ss]rta\.|[Ss]r\."
    r"|[Ss]ignor(?:a|ina|e)?|[Ss]ig\.(?:ra)?|[Dd]ott\.(?:ssa)?|[Ss]enhor(?:a|ita)?|[Mm]evrouw|[Mm]evr\.|[Dd]e heer)"
    r"|(?P<doctor>[Dd]r\.|Dr|[Pp]rof\.|Prof)"
    rf")(?P<gap> {{1,2}}|\n){_ACADEMIC}*(?:[^\W\d_]\.[ -]?){{0,3}}"
    r"(?:(?:(?i:von(?: de[rmn])?|vom|van(?: de[rn]?)?|de(?: la)?|du|del(?:la)?|di|el)|da|dos?|ter|ten|al|bin|ben) )?"
    r"(?:d['’])?"
)
_NAME = re.compile(r"[^\W\d_]++(?:-[^\W\d_]++|['’](?!s\b)[^\W\d_]++)*+(?![\w(=])")
# "Hat meine Frau Anspruch auf", "als Frau Karriere machen": a woman or a wife, not a title.
_A_WOMAN = re.compile(
    r"\b(?i:(?:k?eine|[msd]eine|ihre|unsere|eure|jede|diese|jene|welche|junge|ältere|alte|schwangere|kranke|verheiratete"
    r"|berufstätige)[rn]?|die|der|zur|als|pro|wenn|mann (?:und|oder|&)) {1,2}$"
)
_AN_AVENUE = re.compile(r"\d[\w-]* (?:[^\W\d_][\w'’.-]* ){1,3}$")  # "12 Maple Dr. Springfield"
_A_NUMBER = re.compile(r"\d ?$")  # "24 Hr. Fitness"
# An initial looks like Monsieur: "Philip M. Parker", "A. Asadpour, M. Goemans".
_BEFORE_MONSIEUR = re.compile(r"(?:^|[\n:(«] ?|\b(?i:à|de|par|avec|chez|pour|et|selon|que|cher|bonjour|contre) )$")
_FRENCH = re.compile(
    r"(?i:\b(?:le|la|les|des|une|est|pour|avec|vous|nous|je|il|elle|mon|ma|sur|dans|qui|ne|pas|été|à|ce|du|au|et|sa|son"
    r"|se|dit|demande)\b)"
)
_SENIOR = re.compile(r"\b(?i:[ae]l|estimado|querido|d?o|ao|pelo|caro|prezado|señor|y|e) $")  # else "Sr. Developer"
_OFFICES = _words("""
abgeordneter ambassador ambassadeur bezirksrat botschafter bundesrat burgemeester chairman chairperson chairwoman chef
chefin chair chancellor commissioner consul curé directeur director directora directrice direktor direttore diretor
docent docente docteur doctor doctora doktor dottore dozent governor gouverneur hauptmann hofrat justice judge juez
juge juiz kaiser kanzler kapitän kardinal kollege kollegen kommandant kommissar konsul kunde kunden könig lehrer
leutnant maire maître mayor minister ministra ministre ministro monsignore nachbar nachbarn notaire oberst officer ober
patient pastor pfarrer prefeito preside president presidenta presidente president-elect principal procureur profesor
profesora professeur professor professora professore proviseur président présidente rat reverend rätin secretaris
secretary senator sindaco speaker student stadtrat trainer ärztin arzt advokat alcalde alcaldesa avvocato vice
voorzitter vorsitzende vorsitzender vorsitzenden wethouder
""")
_COMPOUND_OFFICE = re.compile(  # Bundespräsident, Oberbürgermeister, Kollegin; surnames of that form are on lists
    r"\w*(?:präsident|minister|kanzler|direktor|rektor|anwalt|anwält|sekretär|kommissar|inspektor|general|admiral"
    r"|(?:bürger|haus|wacht|polizei)meister|(?:stadt|bundes|land|landes|regierungs|studien|gemeinde|betriebs)r[aä]t"
    r"|beauftragt\w{0,2}|leiter|lehrer|doktor|professor|arzt|ärzt|therapeut|berater|betreuer|verwalter|führer"
    r"|vorsitzend\w{0,2}|angestellt\w{0,2}|beamt\w?|sprecher|vertreter|verteidiger|inhaber|vermieter|händler)(?:in|s|en|n)?"
    r"|\w+(?:er|or|ent|ist|log|eur|ant|at|eg|arr|bar|ött|end|önig|und|chef)in(?:nen)?|\w+trice"
)
_NO_NAMES = _words("""
name nachname vorname familienname mustermann musterfrau muster beispiel lastname surname firstname nom prénom
apellido cognome sobrenome achternaam sie ihr du ich wir er es man und oder mit für von the and or gott mutter vater
mama papa gemahl gemahlin sohn tochter bruder schwester schwiegermutter schwiegervater welt holle universe world
america deutschland germany right wrong proper propre tout tussaud tussauds jesucristo dios deus nuestro titel arbeit
grad vorarbeit des dame damen divers herr herrn frau monsieur madame mademoiselle mister miss mrs doktorin
""")
_BRANDS = _words("pepper oetker martens scholl web who house strange best beat hauschka")  # of a doctor
# codespell:ignore-end
_UNLIKELY = frozenset((ORDINARY, MOSTLY, MIXED, FRENCH, TECHNICAL, FAMOUS))
_PLACES = frozenset((PLACE, PLACE_PART, REGION))
_BEFORE = 40  # characters


def titled(text: str, codes_of: Callable[[str], str]) -> Iterator[tuple[int, int]]:
    """Starts and ends of names behind a title; `codes_of` tells a word's codes in the lexicon."""
    if not _PHRASES.occur_in(text):
        return
    for title in _TITLE.finditer(text):
        if not _is_title(text, title):
            continue
        listed_only = _wants_listed(text, title)
        name = _NAME.match(text, title.end())
        if name and name[0][0].isupper() and _is_office(name[0], codes_of(name[0])):  # "Herr Minister Krüger"
            name, listed_only = _word_behind(text, name.end()), True
        if name and _is_surname(name[0], title, codes_of(name[0]), listed_only=listed_only):
            last = _word_behind(text, name.end())
            yield name.start(), (last if last and _goes_on(name[0], last[0], title, codes_of) else name).end()


def _is_title(text: str, title: "re.Match[str]") -> bool:
    begin = max(0, title.start() - _BEFORE)
    if title["initial"]:
        return bool(_BEFORE_MONSIEUR.search(text, begin, title.start()) and _FRENCH.search(text))
    if title["doctor"]:
        return not _AN_AVENUE.search(text, begin, title.start())
    if title["other"] in ("Sr.", "sr."):
        return _SENIOR.search(text, begin, title.start()) is not None
    return not _A_NUMBER.search(text, begin, title.start())


def _wants_listed(text: str, title: "re.Match[str]") -> bool:
    """Whether what stands behind is a name only if a list has it."""
    if title["gap"] == "\n" or title["german"] == "Fr.":  # a form; a Friday
        return True
    woman = title["german"] in ("Frau", "frau")
    return woman and _A_WOMAN.search(text, max(0, title.start() - _BEFORE), title.start()) is not None


def _is_office(word: str, codes: str) -> bool:
    small = word.lower()
    return small in _OFFICES or (LAST not in codes and FIRST not in codes and bool(_COMPOUND_OFFICE.fullmatch(small)))


def _is_surname(word: str, title: "re.Match[str]", codes: str, *, listed_only: bool) -> bool:
    """Whether `word` behind the title is a name: on a list of names, or on none and no ordinary word."""
    small = word.lower()
    if not word[0].isupper() or small in _NO_NAMES or (title["doctor"] and small in _BRANDS):
        return False
    if len(word) < 2 or (word.isupper() and (len(word) < 4 or title["english"] in ("Ms", "Ms."))):  # CEO, Ms EXCEL
        return False
    if title["english"] == "Miss" and LAST not in codes and not _PLACES.isdisjoint(codes):  # Miss Germany
        return False
    if LAST in codes or FIRST in codes:
        return True
    return not listed_only and _UNLIKELY.isdisjoint(codes)


def _word_behind(text: str, end: int) -> "re.Match[str] | None":
    return _NAME.match(text, end + 1) if text[end : end + 1] == " " else None


def _goes_on(first: str, last: str, title: "re.Match[str]", codes_of: Callable[[str], str]) -> bool:
    """Whether the word behind the first one is of the name too; any noun of German has a capital."""
    codes, own = codes_of(last), codes_of(first)
    if not last[0].isupper() or last.lower() in _NO_NAMES:
        return False
    if LAST in codes or (FIRST in codes and _UNLIKELY.isdisjoint(codes)):
        return True
    return _UNLIKELY.isdisjoint(codes) and (FIRST in own or not (title["german"] or own))
