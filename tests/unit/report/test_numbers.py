"""Numbers keep sensible digits and never round a near miss to perfection."""

import pytest

from eyrie.report import numbers


@pytest.mark.parametrize(
    ("value", "shown"), [(4.876, "4.88"), (9.999, "10.0"), (48.76, "48.8"), (99.96, "100"), (1234.5, "1,234")]
)
def test_three_significant_digits(value: float, shown: str) -> None:
    assert numbers.significant(value) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [(1.0, "100%"), (0.99996, "> 99.9%"), (0.9312, "93.1%"), (0.0002, "< 0.1%"), (0.0, "0%")],
)
def test_a_share_short_of_all_never_reads_as_all(share: float, shown: str) -> None:
    assert numbers.percent(share) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(812, "812"), (999_499, "999 K"), (4_130_000, "4.13 M"), (8.03e9, "8.03 B"), (1.2e12, "1.20 T")],
)
def test_large_counts_carry_a_unit_on_the_same_line(value: float, shown: str) -> None:
    assert numbers.compact(value) == shown.replace(" ", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    ("value", "shown"), [(12, "12 B"), (1284, "1.28 kB"), (374_285_760, "374 MB"), (5e12, "5.00 TB")]
)
def test_sizes_are_decimal(value: float, shown: str) -> None:
    assert numbers.size(value) == shown.replace(" ", "\N{NO-BREAK SPACE}")
