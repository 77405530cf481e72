"""Build the sample prompts: `python -m tools.demo.build_prompts --out resources/prompts`.

In: the seeded text generator and the demo tokenizer (for lengths in tokens). Out: JSONL files of
user turns, `train-{workload}.jsonl`, `heldout.jsonl` and `benchmark.jsonl`, and `planted.json`,
which names the planted rows by id and type, never by value. Equal seeds give equal bytes.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from tools.demo.generator import WORKLOADS, Sample, sample
from tools.demo.planted import disclosure, near_duplicate

SEED = 4242
TRAIN_PER_WORKLOAD = 430
LONG_ROWS = 40
NEAR_DUPLICATES = 80
DISCLOSURES = 80
HELDOUT_PER_WORKLOAD = 20
BENCHMARK_PER_WORKLOAD = 12
LONG_TOKENS = 1000
# Independent prompts share fewer word triples than this; near-duplicates share more.
MAX_JACCARD = 0.5

Row = dict[str, Any]


def shingles(text: str) -> set[tuple[str, ...]]:
    """The word triples of a text, in lower case."""
    words = text.lower().split()
    return {tuple(words[at : at + 3]) for at in range(max(len(words) - 2, 1))}


def prompt_text(row: Row) -> str:
    """All user turns of a row."""
    return "\n".join(message["content"] for message in row["messages"])


class NoveltyFilter:
    """Accepts texts whose triples overlap little with every text accepted before."""

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._holders: dict[tuple[str, ...], list[int]] = {}

    def accepts(self, text: str) -> bool:
        """Whether the text is new; an accepted text is remembered."""
        found = shingles(text)
        shared: dict[int, int] = {}
        for shingle in found:
            for holder in self._holders.get(shingle, ()):
                shared[holder] = shared.get(holder, 0) + 1
        for holder, common in shared.items():
            if common > MAX_JACCARD * (len(found) + self._sizes[holder] - common):
                return False
        for shingle in found:
            self._holders.setdefault(shingle, []).append(len(self._sizes))
        self._sizes.append(len(found))
        return True


def as_row(name: str, made: Sample) -> Row:
    return {"id": name, "workload": made.workload, "messages": made.user_messages()}


def novel_rows(
    split: str,
    workload: str,
    count: int,
    novelty: NoveltyFilter,
    *,
    long: bool = False,
    suits: Callable[[str], bool] = lambda text: True,
) -> list[Row]:
    """`count` rows that suit and are new to the filter."""
    rng = random.Random(f"{SEED} {split} {workload} {long}")
    rows: list[Row] = []
    while len(rows) < count:
        row = as_row("", sample(workload, rng, long=long))
        if suits(prompt_text(row)) and novelty.accepts(prompt_text(row)):
            rows.append(row)
    return rows


def with_ids(split: str, rows: list[Row]) -> list[Row]:
    return [row | {"id": f"{split}-{row['workload']}-{n:04d}"} for n, row in enumerate(rows)]


def plant_disclosures(rows: list[Row], rng: random.Random) -> list[Row]:
    """Add invented personal data or secrets to rows in place; return their ids and types."""
    planted = []
    for row in sorted(rng.sample(rows, DISCLOSURES), key=lambda row: str(row["id"])):
        sentence, types = disclosure(rng)
        first = row["messages"][0]
        parts = [first["content"], sentence]
        first["content"] = " ".join(parts if rng.random() < 0.5 else reversed(parts))
        planted.append({"id": row["id"], "types": sorted(types)})
    return planted


def plant_near_duplicates(rows: list[Row], rng: random.Random) -> tuple[list[Row], list[Row]]:
    """Edited copies of `rows`: the new rows, and their ids with the id they copy and the edit."""
    copies, planted = [], []
    for number, row in enumerate(sorted(rng.sample(rows, NEAR_DUPLICATES), key=lambda r: r["id"])):
        first, *rest = row["messages"]
        text, edit = near_duplicate(first["content"], rng)
        name = f"train-{row['workload']}-dup{number:03d}"
        copies.append(row | {"id": name, "messages": [first | {"content": text}, *rest]})
        planted.append({"id": name, "of": row["id"], "edit": edit})
    return copies, planted


def write_rows(path: Path, rows: list[Row]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def build(out: Path, tokenizer_path: Path) -> None:
    """Write all files under `out`."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)
    novelty = NoveltyFilter()

    def is_long(text: str) -> bool:
        return len(tokenizer.encode(text)) >= LONG_TOKENS

    train: dict[str, list[Row]] = {}
    for workload in WORKLOADS:
        rows = novel_rows("train", workload, TRAIN_PER_WORKLOAD, novelty)
        if workload == "extraction":
            rows += novel_rows("train", workload, LONG_ROWS, novelty, long=True, suits=is_long)
        train[workload] = with_ids("train", rows)
    rng = random.Random(f"{SEED} plant")
    everything = [row for rows in train.values() for row in rows]
    # Long rows stay as they are, so that each planted property can be tested by itself.
    long_ids = [row["id"] for row in everything if is_long(prompt_text(row))]
    short = [row for row in everything if row["id"] not in set(long_ids)]
    disclosures = plant_disclosures(short, rng)
    taken = {entry["id"] for entry in disclosures}
    copies, duplicates = plant_near_duplicates([r for r in short if r["id"] not in taken], rng)
    for copy in copies:
        train[copy["workload"]].append(copy)
    for workload, rows in train.items():
        random.Random(f"{SEED} order {workload}").shuffle(rows)
        write_rows(out / f"train-{workload}.jsonl", rows)
    for split, count in (("heldout", HELDOUT_PER_WORKLOAD), ("benchmark", BENCHMARK_PER_WORKLOAD)):
        rows = []
        for workload in WORKLOADS:
            rows += with_ids(split, novel_rows(split, workload, count, novelty))
        write_rows(out / f"{split}.jsonl", rows)
    planted = {"near_duplicates": duplicates, "disclosures": disclosures, "long": long_ids}
    (out / "planted.json").write_text(json.dumps(planted, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("resources/prompts"))
    parser.add_argument("--tokenizer", type=Path, default=Path("resources/demo-target"))
    args = parser.parse_args()
    build(args.out, args.tokenizer)


if __name__ == "__main__":
    main()
