"""Evaluation set of credentials in prompts: every surrounding filled with fresh values, and prompts without any.

The surroundings and the clean prompts were written by hand by someone who had not seen the screener, shuffled, and cut
in two (a Django and an SQL line about hashes were added afterwards, one to each): recognisers were mended with dev
alone, test was run once. A line is `kinds| prompt` with `<V>`, `<W>`, `<X>` for credentials (`<W:kind>`: of another
kind), the escapes `\\n`, `\\t` and `\\\\`, and `<#9>`, `<@9>`, `<h9>` for numbers and ids that are no credentials.
"""

import random
import re
import string
from pathlib import Path

from benchmarks.privacy_secrets_values import VALUES
from benchmarks.privacy_sets import Case

_TEXT = Path(__file__).parent / "text"
_SLOT = re.compile(r"<([VWX])(?::(\w+))?>|<([#@h])(\d+)>")
_FILL = {"#": string.digits, "@": string.ascii_uppercase + string.digits, "h": "0123456789abcdef"}


def _lines(name: str) -> list[str]:
    return [line for line in (_TEXT / name).read_text("utf-8").splitlines() if line]


def _plain(text: str) -> str:
    return re.sub(r"\\([nt\\])", lambda m: {"n": "\n", "t": "\t", "\\": "\\"}[m[1]], text)


def _indented(value: str, before: str) -> str:
    """A value of several lines continues below its first character."""
    lead = before[before.rfind("\n") + 1 :]
    return value.replace("\n", "\n" + lead) if not lead.strip() else value


def _fill(kind: str, template: str, rng: random.Random) -> Case:
    values: dict[str, str] = {}
    out, spans, at = "", [], 0
    for slot in _SLOT.finditer(template):
        out += template[at : slot.start()]
        at = slot.end()
        if slot[3]:
            out += "".join(rng.choice(_FILL[slot[3]]) for _ in range(int(slot[4])))
            continue
        name = slot[1]
        while name not in values or list(values.values()).count(values[name]) > 1:
            values[name] = VALUES[slot[2] or kind](rng)
        value = _indented(values[name], out)
        spans.append((len(out), len(out) + len(value), "SECRET"))
        out += value
    return Case(group=f"SECRET {kind}", text=out + template[at:], spans=tuple(spans))


def secrets(part: str, copies: int = 5, seed: int = 7) -> list[Case]:
    """Every surrounding of `part` (dev or test) filled `copies` times."""
    out: list[Case] = []
    seen: set[str] = set()
    for number, line in enumerate(_lines(f"secrets-{part}.txt")):
        kinds, bar, text = line.partition("|")
        assert bar, line
        rng = random.Random(f"{seed} {part} {number}")
        template = _plain(text.strip() if not text.startswith("  ") else text[1:])
        for _ in range(copies):
            case = _fill(rng.choice(kinds.split(",")), template, rng)
            while case.text in seen:
                case = _fill(rng.choice(kinds.split(",")), template, rng)
            seen.add(case.text)
            out.append(case)
    return out


def clean_of_secrets(part: str) -> list[Case]:
    """Prompts without credentials."""
    return [Case(group="clean", text=_plain(line), spans=()) for line in _lines(f"secrets-clean-{part}.txt")]
