"""Which split a prompt is in when its source does not say: decided by its own digest, so no later run changes it."""

from collections.abc import Mapping

from eyrie.io import digest_of
from eyrie.params import Split


def split_of(turns: list[str], shares: Mapping[Split, float]) -> Split:
    """The same turns are always in the same split; `shares` sum to 1. Seeds and other prompts have no part in it."""
    position = int(digest_of(["split", *turns])[:16], 16) / 2**64
    end = 0.0
    names = sorted(name for name, share in shares.items() if share > 0)
    for name in names:
        end += shares[name]
        if position < end:
            return name
    return names[-1]  # shares that sum to a rounding error less than 1
