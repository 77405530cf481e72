"""Which of the usable training prompts are taken, so that their mix is the one wanted.

A cell is what shares are wanted for: a workload alone when params give the shares, or workload, length and number of
turns together when the mix of real traffic is followed. Its first entry is always the workload.
"""

import hashlib
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

Cell = tuple[str, ...]
Key = TypeVar("Key")

AXES = ("workload", "length", "turns")

_LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096)  # characters, where a bin ends
_TURNS = (2, 3, 5, 9)


def length_bin(num_chars: int) -> str:
    return _bin(num_chars, _LENGTHS, 0) + " chars"


def turns_bin(num_turns: int) -> str:
    return _bin(num_turns, _TURNS, 1) + " turns"


def _bin(value: int, ends: Sequence[int], lowest: int) -> str:
    at = bisect_right(ends, value)
    low = ends[at - 1] if at else lowest
    if at == len(ends):
        return f"{low}+"
    return f"{low}-{ends[at] - 1}" if ends[at] - 1 > low else str(low)


def shares_of(counts: Mapping[Key, int]) -> dict[Key, float]:
    """Counts as parts of 1; empty without any."""
    total = sum(counts.values())
    return {key: count / total for key, count in counts.items() if count}


def quotas(shares: Mapping[Key, float], total: int) -> dict[Key, int]:
    """`total` split by share; rests go to the largest remainders, ties to the first name. Shares sum to about 1."""
    whole = math.fsum(shares.values())
    exact = {key: share * total / whole for key, share in shares.items()}
    floors = {key: int(value + 1e-9) for key, value in exact.items()}  # 0.2 * 1400 may be 279.999...
    left = total - sum(floors.values())
    by_remainder = sorted(exact, key=lambda key: (floors[key] - exact[key], key))
    return {key: floors[key] + (key in by_remainder[:left]) for key in exact}


def fill(wanted: Mapping[Cell, int], available: Mapping[Cell, int]) -> dict[Cell, int]:
    """How many to take of each cell. What a cell lacks is taken from the same workload's other wanted cells.

    A workload that has too little in all of them stays short: another workload is no replacement.
    """
    taken = {cell: min(count, available.get(cell, 0)) for cell, count in wanted.items()}
    for workload in sorted({cell[0] for cell in wanted}):
        cells = sorted(cell for cell in wanted if cell[0] == workload)
        while missing := sum(wanted[cell] - taken[cell] for cell in cells):
            room = {cell: available.get(cell, 0) - taken[cell] for cell in cells}
            open_cells = {cell: wanted[cell] for cell in cells if room[cell] > 0 and wanted[cell]}
            if not open_cells:
                break
            for cell, count in quotas(shares_of(open_cells), missing).items():
                taken[cell] += min(count, room[cell])
    return taken


def choose(prompts: Iterable[tuple[str, Cell]], limits: Mapping[Cell, int], *, seed: int) -> set[str]:
    """Ids to keep of (prompt_id, cell) pairs: per cell the lowest hashes of (seed, id), up to its limit.

    A prompt's hash does not depend on the others, so new data leaves most of the old choice in place.
    """
    by_cell: dict[Cell, list[tuple[bytes, str]]] = {cell: [] for cell in limits}
    for prompt_id, cell in prompts:
        if cell in by_cell:
            by_cell[cell].append((_rank(seed, prompt_id), prompt_id))
    return {prompt_id for cell, ranked in by_cell.items() for _, prompt_id in sorted(ranked)[: limits[cell]]}


def total_variation(shares: Mapping[Key, float], wanted: Mapping[Key, float]) -> float:
    """Distance of two mixes in [0, 1]; 1.0 when one is empty."""
    if not shares or not wanted:
        return 1.0
    return sum(abs(shares.get(key, 0.0) - wanted.get(key, 0.0)) for key in {*shares, *wanted}) / 2


def axis_distances(counts: Mapping[Cell, int], wanted: Mapping[Cell, float]) -> dict[str, float]:
    """Total variation per axis that the wanted shares have."""
    num_axes = len(next(iter(wanted)))
    found = shares_of(counts)
    return {AXES[axis]: total_variation(_marginal(found, axis), _marginal(wanted, axis)) for axis in range(num_axes)}


def mix_distance(workloads: Iterable[str] | Mapping[str, int], shares: Mapping[str, float]) -> float:
    """Total variation distance in [0, 1] between the workloads' shares and the wanted shares; 1.0 without prompts. In:
    each prompt's workload, or how many prompts each has."""
    return total_variation(shares_of(Counter(workloads)), shares)


def _marginal(shares: Mapping[Cell, float], axis: int) -> dict[str, float]:
    marginal: Counter[str] = Counter()
    for cell, share in shares.items():
        marginal[cell[axis]] += share  # type: ignore[assignment]  # typeshed: a Counter holds integers
    return dict(marginal)


def _rank(seed: int, prompt_id: str) -> bytes:
    return hashlib.sha256(f"{seed}/{prompt_id}".encode()).digest()[:8]
