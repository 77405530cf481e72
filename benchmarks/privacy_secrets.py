"""Evaluation set of credentials in prompts: every surrounding filled with fresh values, and prompts without any.

The surroundings and the clean prompts were written by hand by someone who had not seen the screener, shuffled, and cut
in two (a Django and an SQL line about hashes were added afterwards, one to each): recognisers were mended with dev
alone until test was run once, and with both since.
"""

from benchmarks.privacy_secrets_values import VALUES
from benchmarks.privacy_sets import Case
from benchmarks.privacy_slots import clean_cases, filled


def secrets(part: str, copies: int = 5, seed: int = 7) -> list[Case]:
    """Every surrounding of `part` (dev or test) filled `copies` times."""
    return filled(f"secrets-{part}.txt", VALUES, dict.fromkeys(VALUES, "SECRET"), copies=copies, seed=f"{seed} {part}")


def clean_of_secrets(part: str) -> list[Case]:
    """Prompts without credentials."""
    return clean_cases(f"secrets-clean-{part}.txt")
