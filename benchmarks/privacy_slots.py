"""Prompts with slots, as blind authors wrote them: a line of benchmarks/text is filled with fresh values several times.

A line is `kinds| prompt` with `<V>`, `<W>`, `<X>` for values of one of the kinds (`<W:kind>`: of another one), the
escapes `\\n`, `\\t` and `\\\\`, and `<#9>`, `<@9>`, `<h9>` for numbers and ids that are no values. A slot that occurs
twice has the same value twice.
"""

import random
import re
import string
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.privacy_sets import Case
from tools.privacy.sources import unescaped

Values = Mapping[str, Callable[[random.Random], str]]

_TEXT = Path(__file__).parent / "text"
_SLOT = re.compile(r"<([VWX])(?::(\w+))?>|<([#@h])(\d+)>")
_TRIES = 200
_FILL = {"#": string.digits, "@": string.ascii_uppercase + string.digits, "h": "0123456789abcdef"}


def lines(name: str) -> list[str]:
    """The lines of a file of benchmarks/text."""
    return [line for line in (_TEXT / name).read_text("utf-8").splitlines() if line]


def filled(name: str, values: Values, entities: Mapping[str, str], *, copies: int, seed: str) -> list[Case]:
    """Every line of a file `copies` times, each time another text. `entities`: the entity of each kind of value."""
    out: list[Case] = []
    seen: set[str] = set()
    for number, line in enumerate(lines(name)):
        kinds, bar, text = line.partition("|")
        assert bar, line
        rng = random.Random(f"{seed} {number}")
        template = unescaped(text.strip() if not text.startswith("  ") else text[1:])
        for _ in range(copies):
            drawn = (_fill(rng.choice(kinds.split(",")), template, rng, values, entities) for _ in range(_TRIES))
            case = next((case for case in drawn if case.text not in seen), None)
            if case is None:  # a value that has one spelling only
                break
            seen.add(case.text)
            out.append(case)
    return out


def clean_cases(name: str) -> list[Case]:
    """The lines of a file of prompts that hold no value."""
    rng = random.Random(name)
    return [_fill("clean", unescaped(line), rng, {}, {}) for line in lines(name)]


def _fill(kind: str, template: str, rng: random.Random, values: Values, entities: Mapping[str, str]) -> Case:
    made: dict[str, tuple[str, str]] = {}  # of each slot: its kind and its value
    out, spans, at = "", [], 0
    for slot in _SLOT.finditer(template):
        if slot[1] and slot[2]:
            made.setdefault(slot[1], (slot[2], ""))
    for slot in _SLOT.finditer(template):
        out += template[at : slot.start()]
        at = slot.end()
        if slot[3]:
            out += "".join(rng.choice(_FILL[slot[3]]) for _ in range(int(slot[4])))
            continue
        of_slot, value = made.get(slot[1], (kind, ""))
        while not value or [other for _, other in made.values()].count(value) > 1:
            value = values[of_slot](rng)
            made[slot[1]] = of_slot, value
        value = _indented(value, out)
        spans.append((len(out), len(out) + len(value), entities[of_slot]))
        out += value
    group = kind if kind == "clean" else f"{entities[kind]} {kind}"
    return Case(group=group, text=out + template[at:], spans=tuple(spans))


def _indented(value: str, before: str) -> str:
    """A value of several lines continues below its first character."""
    lead = before[before.rfind("\n") + 1 :]
    return value.replace("\n", "\n" + lead) if not lead.strip() else value
