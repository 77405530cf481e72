"""Evaluation set of typical traffic: identifiers and secrets as often as they come in prompts to a company's endpoint.

The prompts, the makers of their values and the prompts without any were written by someone who had read neither the
recognisers nor another set, asked for a sample of what employees and customers of an international company send, in
English, French, German, Spanish, Italian, Dutch and Portuguese, with each kind as often as it comes. They were shuffled
and cut in two: recognisers were mended with dev alone, test was run once.
"""

from benchmarks.privacy_sets import Case
from benchmarks.privacy_slots import clean_cases, filled
from benchmarks.privacy_traffic_values import TYPES, VALUES


def traffic(part: str, copies: int = 5) -> list[Case]:
    """Every prompt of `part` (dev or test) filled `copies` times; types are coarse (GOVERNMENT_ID ...)."""
    return filled(f"traffic-{part}.txt", VALUES, TYPES, copies=copies, seed=f"7 {part}")


def clean_traffic(part: str) -> list[Case]:
    """Prompts that look as if they held such values."""
    return clean_cases(f"traffic-clean-{part}.txt")
