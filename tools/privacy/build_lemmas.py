"""python -m tools.privacy.build_lemmas OUT: the tokenizer and lemma table that context words need.

A blank English spaCy pipeline with a lookup lemmatizer, about 1 MB. Presidio compares the *lemmas* around a match to
a recogniser's context words; a pipeline without lemmas runs but silently ignores context. spacy-lookups-data (MIT)
is needed here, at build time, and never at run time: `uv run --with spacy-lookups-data python -m ...`.
"""

import sys
from pathlib import Path

import spacy


def main() -> None:
    out = Path(sys.argv[1])
    nlp = spacy.blank("en")
    nlp.add_pipe("lemmatizer", config={"mode": "lookup"})
    nlp.initialize()
    nlp.to_disk(out)
    print(f"{out}: {sum(item.stat().st_size for item in out.rglob('*') if item.is_file())} bytes")


if __name__ == "__main__":
    main()
