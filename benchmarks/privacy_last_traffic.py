"""A fourth and a fifth set of typical traffic, by two authors, and their first runs.

Written as privacy_second_traffic.py was, by two people who had read neither the recognisers, nor training text, nor
another set, nor each other's; of secrets they hold those that services issue. Both were run once with the same code,
before anybody looked at what was missed.
"""

from benchmarks import privacy_fifth_traffic_values as fifth
from benchmarks import privacy_fourth_traffic_values as fourth
from benchmarks.privacy_sets import Case
from benchmarks.privacy_slots import clean_cases, filled


def fourth_traffic(copies: int = 5) -> list[Case]:
    """Every prompt filled `copies` times; types are coarse (GOVERNMENT_ID ...)."""
    return filled("traffic-4-set.txt", fourth.VALUES, fourth.TYPES, copies=copies, seed="9 set")


def fifth_traffic(copies: int = 5) -> list[Case]:
    """The same of the other author."""
    return filled("traffic-5-set.txt", fifth.VALUES, fifth.TYPES, copies=copies, seed="9 set")


def clean_last_traffic() -> list[Case]:
    """The traffic of both without such values."""
    return [*clean_cases("traffic-4-clean.txt"), *clean_cases("traffic-5-clean.txt")]
