"""Which split a prompt is in when its source does not say: by a digest of its words, so no later run changes it.

By the words that screening leaves alone, that is those of small letters that touch no digit and no sign of an address:
e-mail addresses, numbers and names have no part in it. Else the split would tell of what was taken out: of a thousand
addresses, those that put the prompt into a split of 2% are twenty.
"""

import re
from collections.abc import Mapping

from eyrie.io import digest_of
from eyrie.params import Split

_SIGNS = r"\w@:/+%&=#'’<>()\[\]\-"
_WORD = re.compile(rf"(?<![{_SIGNS}.])[^\W\d_]++(?![{_SIGNS}]|\.\w)")


def split_of(turns: list[str], shares: Mapping[Split, float]) -> Split:
    """The same words are always in the same split; `shares` sum to 1. Seeds and other prompts have no part in it."""
    words = [[word for word in _WORD.findall(turn) if word == word.lower()] for turn in turns]
    position = int(digest_of(["split", words])[:16], 16) / 2**64
    end = 0.0
    names = sorted(name for name, share in shares.items() if share > 0)
    for name in names:
        end += shares[name]
        if position < end:
            return name
    return names[-1]  # shares that sum to a rounding error less than 1
