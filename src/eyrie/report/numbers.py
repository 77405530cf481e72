"""Numbers as a reader wants them: units, thousands separators and no more digits than were measured.

A no-break space stands before a unit, so that a line never ends between the two.
"""

_NBSP = "\N{NO-BREAK SPACE}"


def count(value: int) -> str:
    """1234567 -> 1,234,567."""
    return f"{value:,}"


def compact(value: float) -> str:
    """Large counts with three digits: 812, 4.13 K, 4.13 M, 8.03 B, 1.20 T."""
    if value < 999.5:
        return f"{value:.0f}"
    for unit in "KMB":
        value /= 1000
        if value < 999.5:
            return f"{significant(value)}{_NBSP}{unit}"
    return f"{significant(value / 1000)}{_NBSP}T"


def significant(value: float) -> str:
    """Three significant digits below 1000, all integer digits above, two decimals at most: 4.88, 48.8, 488, 1,234."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def ratio(value: float) -> str:
    """1.623 -> 1.62×."""
    return f"{value:.2f}×"


def percent(share: float) -> str:
    """0.9312 -> 93.1%. What is short of all, or more than nothing, never reads as 100% or 0%."""
    if 0.9995 <= share < 1.0:
        return "> 99.9%"
    if 0.0 < share < 0.0005:
        return "< 0.1%"
    return f"{share:.0%}" if share in (0.0, 1.0) else f"{share:.1%}"


def size(num_bytes: float) -> str:
    """Decimal units: 1,284 B is 1.28 kB."""
    if num_bytes < 999.5:
        return f"{num_bytes:.0f}{_NBSP}B"
    for unit in ("kB", "MB", "GB"):
        num_bytes /= 1000
        if num_bytes < 999.5:
            return f"{significant(num_bytes)}{_NBSP}{unit}"
    return f"{significant(num_bytes / 1000)}{_NBSP}TB"


def words(name: str) -> str:
    """An identifier for people: near_duplicate -> near duplicate, multi_turn -> multi-turn."""
    return "multi-turn" if name == "multi_turn" else name.replace("_", " ")
