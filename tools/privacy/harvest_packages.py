"""apt-cache pkgnames | python -m tools.privacy.harvest_packages OUT: words that software is named with.

For the name tagger's lexicon, read offline from what is on the machine: the package names of the Debian index (run
`apt-get update` before), names and keywords of installed Python distributions, names and aliases of Pygments' lexers,
and Faker's company suffixes. The result is committed, so that a build does not depend on the machine.
"""

import re
import sys
from collections import Counter
from importlib.metadata import distributions
from pathlib import Path

from faker.providers.company import Provider
from pygments.lexers import get_all_lexers

from tools.privacy import sources

_WORD = re.compile(r"[a-z]{4,14}")
_PREFIX = re.compile(r"^(?:lib|python3?-|r-cran-|r-bioc-|golang-|node-|ruby-|php-|haskell-|fonts-|elpa-|kde-)")
_AS_COMMON = 40  # a word of more package names than this is an ordinary one: common, tools, plugin


def main() -> None:
    out = Path(sys.argv[1])
    names = sys.stdin.read().split()
    if len(names) < 10_000:
        raise SystemExit(f"standard input: only {len(names)} names; run `apt-get update` first")
    in_names = Counter(word for name in names for word in set(words(_PREFIX.sub("", name))))
    found = {word for word, count in in_names.items() if count <= _AS_COMMON}
    for item in distributions():
        found.update(words(f"{item.metadata['Name']} {item.metadata.get('Keywords') or ''}".lower()))
    for name, aliases, *_ in get_all_lexers(plugins=False):
        found.update(words(" ".join((name, *aliases)).lower()))
    found.update(words(" ".join(getattr(Provider, "company_suffixes", ())).lower()))
    french, english = sources.lookups("fr_lemma_lookup"), sources.lookups("en_lemma_lookup")
    kept = sorted(word for word in found if word not in french and word not in english)
    head = "# Words of package names; written by `python -m tools.privacy.harvest_packages`, Debian and PyPI names.\n"
    out.write_text(head + "\n".join(kept) + "\n", encoding="utf-8")
    print(f"{out}: {len(kept)} words of {len(names)} package names")


def words(text: str) -> list[str]:
    return [word for word in re.split(r"[^a-z]+", text) if _WORD.fullmatch(word)]


if __name__ == "__main__":
    main()
