"""`python -m tools.workloads.build_long_context --out FILE`: prompts of 8,000 tokens and
more, each a long register from a seeded generator with a question about it. Nothing in them is about a person.
"""

import argparse
import json
import random
from pathlib import Path

_CHARS = 42_000
_REGISTERS = (
    (
        "the maintenance register of a lighthouse",
        ("lamp", "fog signal", "winch", "north stair", "rain tank", "generator", "lens", "store room door"),
        ("cleaned", "oiled", "tightened", "replaced", "painted", "found damp", "measured", "left as it was"),
        ("calm sea", "wind from the west", "thick fog", "heavy rain", "frost on the rail", "a clear night"),
        "Which parts were found damp more than once, and in what weather?",
    ),
    (
        "the field notes of a bird station on a salt marsh",
        ("redshank", "curlew", "teal", "lapwing", "marsh harrier", "dunlin", "avocet", "reed warbler"),
        ("counted", "heard only", "seen on the nest", "seen in flight", "ringed", "absent", "feeding", "calling"),
        ("low tide", "spring tide", "the sluice open", "the meadow mown", "cattle on the bank", "the pools dry"),
        "Summarise how the numbers change with the tide, with three examples.",
    ),
    (
        "the log of a paper mill",
        ("beater", "drying loft", "water wheel", "pulp vat", "press", "sorting table", "boiler", "cutter"),
        ("started", "stopped", "repaired", "watched", "inspected", "slowed", "cooled", "run all night"),
        ("short of rags", "with soft water", "at half load", "for a large order", "after a flood", "before the fair"),
        "List every reason for a stop that the log gives and how often it occurs.",
    ),
)


def register(seed: int, what: str, things: tuple[str, ...], acts: tuple[str, ...], states: tuple[str, ...]) -> str:
    """Numbered entries until there are enough characters."""
    rng = random.Random(seed)
    lines, length = [f"This is {what}."], 0
    while length < _CHARS:
        thing, other = rng.sample(things, 2)
        line = (
            f"Entry {len(lines)}: {thing} {rng.choice(acts)}, {rng.choice(states)}; {other} {rng.choice(acts)} "
            f"after {rng.randint(2, 90)} minutes, reading {rng.randint(10, 999)}."
        )
        lines.append(line)
        length += len(line) + 1
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    rows = []
    for index, (what, things, acts, states, question) in enumerate(_REGISTERS):
        text = f"{register(index + 1, what, things, acts, states)}\n\n{question}"
        messages = [{"role": "user", "content": text}]
        rows.append({"id": f"long_context-{index:02d}", "workload": "long_context", "messages": messages})
    parser.parse_args().out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
