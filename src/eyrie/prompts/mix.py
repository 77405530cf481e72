"""Which of the usable training prompts are taken, so that workloads have the shares the user asked for."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

from eyrie.params import Workload


def quotas(shares: Mapping[Workload, float], total: int) -> dict[Workload, int]:
    """`total` prompts split by share; rests go to the largest remainders, ties to the first name."""
    exact = {name: share * total for name, share in shares.items()}
    floors = {name: int(value + 1e-9) for name, value in exact.items()}  # 0.2 * 1400 may be 279.999...
    left = total - sum(floors.values())
    by_remainder = sorted(exact, key=lambda name: (floors[name] - exact[name], name))
    return {name: floors[name] + (name in by_remainder[:left]) for name in exact}


def choose(prompts: Sequence[tuple[str, Workload]], limits: Mapping[Workload, int], *, seed: int) -> set[str]:
    """Ids to keep of (prompt_id, workload) pairs: per workload the lowest hashes of (seed, id), up to its limit.

    A prompt's hash does not depend on the others, so new data leaves most of the old choice in place.
    """
    chosen: set[str] = set()
    for workload, limit in limits.items():
        ids = [prompt_id for prompt_id, named in prompts if named == workload]
        chosen.update(sorted(ids, key=lambda prompt_id: _rank(seed, prompt_id))[:limit])
    return chosen


def mix_distance(workloads: Sequence[Workload], shares: Mapping[Workload, float]) -> float:
    """Total variation distance in [0, 1] between the workloads' shares and the wanted shares; 1.0 without prompts."""
    if not workloads:
        return 1.0
    counts = Counter(workloads)
    names = set(counts) | set(shares)
    return sum(abs(counts[name] / len(workloads) - shares.get(name, 0.0)) for name in names) / 2


def _rank(seed: int, prompt_id: str) -> bytes:
    return hashlib.sha256(f"{seed}/{prompt_id}".encode()).digest()
