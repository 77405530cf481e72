"""`python -m benchmarks.selection --prompts 200000`: select_prompts' rate, its memory, and what it finds.

Writes synthetic request logs (answers included, so that files are as large as real ones), runs the stage on them in a
process of its own, and prints rate, peak memory of the whole process tree and what became of the planted prompts.

How the prompts are made: words drawn by Zipf's law from 60,000, lengths log-normal with a mean of about 430 characters,
one conversation in six of several turns; a tenth come from 200 templates with a few words of their own. Planted are 3%
exact repeats, 9% near copies (2, 5 or 10% of the words replaced), and copies of measuring prompts: verbatim, wrapped in
other words, and with other numbers.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from eyrie.io import file_digest, read_json
from eyrie.params import parse_params
from eyrie.prompts.turns import prompt_id
from eyrie.prompts.words import words
from eyrie.schemas import SelectionMetrics
from eyrie.tables import PROMPTS, read_batches

_WORDS = 60_000
_TEMPLATES = 200
_MEASURING = 2_000
_EDITS = (0.02, 0.05, 0.10)
_CHILD = """
import logging, os, sys, yaml
from pathlib import Path
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[2])])
from eyrie.params import parse_params
from eyrie.stages.select_prompts import run
if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="  %(asctime)s %(message)s", datefmt="%H:%M:%S")
    folder = Path(sys.argv[1])
    params = parse_params(yaml.safe_load((folder / "params.yaml").read_text()), origin="params")
    run(params, selected=folder / "selected.parquet", metrics=folder / "metrics.json")
"""


class Planted(NamedTuple):
    """A prompt that selection should drop: because of `original`, or, when that is "", because it measures."""

    kind: str
    prompt_id: str
    original: str


class Generator:
    """Deterministic rows; `planted` fills while they are drawn."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        letters = "etaoinshrdlucmfwypvbgk"
        self._words = ["".join(self._rng.choices(letters, k=self._rng.randint(1, 11))) for _ in range(_WORDS)]
        total, self._cumulated = 0.0, []
        for rank in range(1, _WORDS + 1):
            total += 1 / rank
            self._cumulated.append(total)
        self._templates = [self._some(self._rng.randint(12, 40)) for _ in range(_TEMPLATES)]
        self.measuring = [f"{self._text()} {number} and {self._rng.randint(2, 99)}" for number in range(_MEASURING)]
        self._recent: list[list[str]] = []
        self.planted: list[Planted] = []

    def rows(self, count: int) -> Iterator[list[str]]:
        """The user turns of each conversation."""
        for _ in range(count):
            draw = self._rng.random()
            if draw < 0.12 and self._recent:
                yield self._copy(self._rng.choice(self._recent), draw)
                continue
            if draw < 0.13:
                yield self._of_measuring()
                continue
            turns = [self._text() for _ in range(self._rng.randint(2, 6) if self._rng.random() < 1 / 6 else 1)]
            if len(self._recent) < 20_000:
                self._recent.append(turns)
            else:
                self._recent[self._rng.randrange(20_000)] = turns
            yield turns

    def _some(self, count: int) -> list[str]:
        return self._rng.choices(self._words, cum_weights=self._cumulated, k=count)

    def _text(self) -> str:
        if self._rng.random() < 0.1:
            chosen = list(self._rng.choice(self._templates))
            for position in self._rng.sample(range(len(chosen)), k=max(len(chosen) // 3, 1)):
                chosen[position] = self._rng.choice(self._words)
            return " ".join(chosen)
        return " ".join(self._some(max(3, min(int(self._rng.lognormvariate(3.9, 0.9)), 1500))))

    def _copy(self, turns: list[str], draw: float) -> list[str]:
        if draw < 0.03:
            self.planted.append(Planted("exact repeat", "", prompt_id("", turns)))
            return turns
        share = _EDITS[int((draw - 0.03) / 0.03)]
        flat = [turn.split() for turn in turns]
        for words_of_turn in flat:
            for position in self._rng.sample(range(len(words_of_turn)), k=int(share * len(words_of_turn))):
                words_of_turn[position] = self._rng.choice(self._words)
        copy = [" ".join(words_of_turn) for words_of_turn in flat]
        if copy != turns:
            near = _jaccard("\n".join(turns), "\n".join(copy)) >= 0.8
            kind = f"{share:.0%} of the words replaced, similarity {'at least' if near else 'under'} 0.8"
            self.planted.append(Planted(kind, prompt_id("", copy), prompt_id("", turns)))
        return copy

    def _of_measuring(self) -> list[str]:
        item, kind = self._rng.choice(self.measuring), self._rng.choice(["verbatim", "wrapped", "other numbers"])
        if kind == "wrapped":
            item = f"{' '.join(self._some(6))} {item} {' '.join(self._some(6))}"
        elif kind == "other numbers":
            item = " ".join(str(self._rng.randint(100, 999)) if word.isdecimal() else word for word in item.split())
        self.planted.append(Planted(f"measuring prompt, {kind}", prompt_id("", [item]), ""))
        return [item]


def _jaccard(left: str, right: str) -> float:
    one, other = (set(zip(found, found[1:], found[2:], strict=False)) for found in map(words, (left, right)))
    return len(one & other) / len(one | other) if one | other else 1.0


def write_sources(folder: Path, count: int, seed: int) -> list[Planted]:
    generator = Generator(seed)
    answer = "An answer that nobody may keep. " * 20
    with (folder / "logs.jsonl").open("w", encoding="utf-8") as file:
        for turns in generator.rows(count):
            messages = [
                {"role": role, "content": text}
                for turn in turns
                for role, text in (("user", turn), ("assistant", answer))
            ]
            file.write(json.dumps({"messages": messages}) + "\n")
    rows = [json.dumps({"messages": [{"role": "user", "content": item}]}) for item in generator.measuring]
    (folder / "measuring.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return generator.planted


def write_params(folder: Path, count: int) -> None:
    raw = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    section = raw["select_prompts"]
    source = section["sources"][0] | {"workload": "chat", "workload_column": None}
    section["sources"] = [
        source | {"name": "logs", "path": str(folder / "logs.jsonl"), "split": "train"},
        source | {"name": "measuring", "path": str(folder / "measuring.jsonl"), "split": "heldout"},
    ]
    section |= {"workload_mix": {"chat": 1.0}, "max_prompts": count, "decontamination_words": 8}
    parse_params(raw, origin="the benchmark's params")
    (folder / "params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")


def run_stage(folder: Path, cores: int) -> tuple[float, float, float]:
    """Seconds, CPU seconds, and the peak of the resident memory of the stage and its workers together, in MB."""
    started, before = time.monotonic(), os.times()
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(folder), str(cores)])
    peak = 0.0

    def watch() -> None:
        nonlocal peak
        while child.poll() is None:
            peak = max(peak, sum(map(_resident_mb, _family(child.pid))))
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = child.wait()
    watcher.join()
    if status:
        raise SystemExit(f"the stage ended with status {status}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - started, cpu, peak


def _family(pid: int) -> list[int]:
    try:
        children = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    except OSError:
        return []
    return [pid, *(member for child in children.split() for member in _family(int(child)))]


def _resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:  # it has just ended
        return 0.0


def report_planted(folder: Path, planted: list[Planted]) -> None:
    training = {
        row["prompt_id"]
        for batch in read_batches(folder / "selected.parquet", PROMPTS, columns=["prompt_id", "split"])
        for row in batch
        if row["split"] == "train"
    }
    total, left = Counter[str](), Counter[str]()
    for plant in planted:
        total[plant.kind] += 1
        # A copy stays when its original does not: the first of them in the input was something else's copy.
        left[plant.kind] += plant.prompt_id in training and (not plant.original or plant.original in training)
    for kind, count in sorted(total.items()):
        print(f"  {kind}: {count - left[kind]:,} of {count:,} dropped ({1 - left[kind] / count:.2%})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=200_000)
    parser.add_argument("--cores", type=int, nargs="+", default=[2], help="numbers of cores, one run each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the files go and stay; default: a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        planted = write_sources(folder, arguments.prompts, arguments.seed)
        write_params(folder, arguments.prompts)
        size = (folder / "logs.jsonl").stat().st_size / 1e6
        print(f"{arguments.prompts:,} prompts written in {time.monotonic() - started:.0f} s, {size:,.0f} MB")
        digests = set()
        for cores in arguments.cores:
            seconds, cpu, peak = run_stage(folder, cores)
            digests.add(file_digest(folder / "selected.parquet"))
            print(
                f"{cores} cores: {seconds:.1f} s, {arguments.prompts / seconds:,.0f} prompts/s, "
                f"{cpu / 3600 * 1e6 / arguments.prompts:.3f} core-hours per million, peak memory {peak:,.0f} MB"
            )
        metrics: dict[str, Any] = read_json(folder / "metrics.json", SelectionMetrics).model_dump()
        for step in metrics["funnel"]:
            print(f"  {step['name']}: {step['kept']:,} kept, dropped {step['dropped']}")
        report_planted(folder, planted)
        if len(arguments.cores) > 1:
            print("same bytes in every run" if len(digests) == 1 else "THE RUNS DIFFER")
            sys.exit(len(digests) != 1)


if __name__ == "__main__":
    main()
