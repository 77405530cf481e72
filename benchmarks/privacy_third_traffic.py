"""A third set of typical traffic, by another author, and its first run.

Written as privacy_second_traffic.py was, by someone who had read neither the recognisers, nor training text, nor
another set: 320 prompts in which something sensitive stands and 100 in which nothing does. Its first run was of the
whole. Recognisers were mended with it after that.
"""

from benchmarks.privacy_sets import Case
from benchmarks.privacy_slots import clean_cases, filled
from benchmarks.privacy_third_traffic_values import TYPES, VALUES


def third_traffic(copies: int = 5) -> list[Case]:
    """Every prompt filled `copies` times; types are coarse (GOVERNMENT_ID ...)."""
    return filled("traffic-3-set.txt", VALUES, TYPES, copies=copies, seed="9 set")


def clean_third_traffic() -> list[Case]:
    """The same traffic without such values."""
    return clean_cases("traffic-3-clean.txt")
