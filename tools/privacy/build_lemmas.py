"""python -m tools.privacy.build_lemmas OUT: the pipeline that Presidio's slim engine is given.

A blank English spaCy pipeline with a lookup lemmatizer, about 1 MB. The recognisers of analyzer.yaml read no tokens; an
enhancer of Presidio's own, which compares *lemmas* to context words, would need them. spacy-lookups-data (MIT)
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
