"""A second set of typical traffic, by another author, and prompts with the secrets that people choose.

Written by someone who had read neither the recognisers, nor what the tagger of chosen secrets is trained on, nor
another set, and who was asked as the author of privacy_traffic.py was; and for prompts in which only chosen secrets
stand, told as people tell them. Its first run was of the whole. Then each file was cut in two by chance: recognisers
were mended with dev, and test was run once more, before it was looked at.
"""

from benchmarks.privacy_second_traffic_values import TYPES, VALUES
from benchmarks.privacy_sets import Case
from benchmarks.privacy_slots import clean_cases, filled


def second_traffic(part: str, copies: int = 5) -> list[Case]:
    """Every prompt of `part` (dev or test) filled `copies` times; types are coarse (GOVERNMENT_ID ...)."""
    return filled(f"traffic-2-set-{part}.txt", VALUES, TYPES, copies=copies, seed=f"8 set {part}")


def chosen_secrets(part: str, copies: int = 5) -> list[Case]:
    """Prompts with passwords, PINs, codes and phrases that people choose or type in."""
    return filled(f"traffic-2-chosen-{part}.txt", VALUES, TYPES, copies=copies, seed=f"8 chosen {part}")


def clean_second_traffic(part: str) -> list[Case]:
    """The same traffic without such values."""
    return clean_cases(f"traffic-2-clean-{part}.txt")


def clean_of_passwords(part: str) -> list[Case]:
    """Prompts on passwords, logins and codes in which none stands."""
    return clean_cases(f"traffic-2-clean-passwords-{part}.txt")
