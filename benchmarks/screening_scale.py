"""`python benchmarks/screening_scale.py --prompts 200000 --processes 2`: what screening takes in time and memory.

Makes prompts of about 400 characters (one in ten holds something that the policy acts on), runs the whole
filter_prompts stage over them with the parameters of params.yaml, and prints prompts per second, CPU time per million
prompts, and the largest resident set of the parent and of any worker. With `--long`, every thousandth prompt has
100,000 characters.
"""

import argparse
import logging
import os
import random
import re
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eyrie.io import read_json, write_json
from eyrie.params import load_params
from eyrie.prompts.turns import prompt_id
from eyrie.schemas import PromptMetrics, SelectionMetrics
from eyrie.tables import PROMPTS, TableWriter, check_prompt_row

TEXT = (
    "explain the difference between a list and a tuple in python then show how the compiler moves each value what is "
    "an efficient way to sort records by date when most of them are already in order write a short story about rivers "
    "compare three plans for a garden with little water and summarise their cost per square metre please be brief"
)
WORDS = TEXT.split()
WORKLOADS = ("chat", "code", "math", "extraction", "multi_turn")
PLANTED = (
    "Write to {letters}@{letters}.com about it.",
    "Call me at ({area}) 867-{digits} after six.",
    "The server at 203.0.113.{byte} does not answer.",
    "My card is 4111 1111 1111 1111, is it valid?",
    "The token is ghp_{token}, why is it refused?",
    "My passport number is {nine}.",
)


def prompt(number: int, *, long_every: int) -> dict[str, Any]:
    rng = random.Random(number)
    num_chars = 100_000 if long_every and number % long_every == long_every - 1 else rng.randint(200, 600)
    words: list[str] = []
    size = 0
    while size < num_chars:
        words.append(rng.choice(WORDS))
        size += len(words[-1]) + 1
    if number % 10 == 0:
        values = {
            "letters": "".join(rng.choices("abcdefgh", k=8)),
            "area": rng.randint(201, 989),
            "digits": f"{rng.randint(0, 9999):04d}",
            "byte": rng.randint(1, 254),
            "token": "".join(rng.choices("abcdefghij0123456789", k=36)),
            "nine": rng.randint(10**8, 10**9),
        }
        words.insert(len(words) // 2, rng.choice(PLANTED).format(**values))
    turns = [f"{number}: {' '.join(words)}"]
    workload = rng.choice(WORKLOADS)
    return {
        "prompt_id": prompt_id("", turns),
        "source": "synthetic",
        "workload": workload,
        "split": "heldout" if number % 50 == 0 else "train",  # the stage refuses a run of which none is left
        "system": "",
        "turns": turns,
        "answers": [],
    }


def rows(num_prompts: int, *, long_every: int) -> Iterator[dict[str, Any]]:
    for number in range(num_prompts):
        yield prompt(number, long_every=long_every)


def cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_mb() -> float:
    """Largest resident set of this process, in MB (in `ru_maxrss` that of the process that started it counts too)."""
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.M)[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=200_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--long", action="store_true")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.processes)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from eyrie.stages import filter_prompts

    filter_prompts.MIN_CONVERSATIONS_PER_WORKER = 1  # the number of processes is the caller's
    params = load_params(Path("params.yaml"))
    nothing_to_serve = params.benchmark.model_copy(update={"workloads": []})
    params = params.model_copy(update={"benchmark": nothing_to_serve})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with TableWriter(folder / "selected.parquet", PROMPTS, check_prompt_row) as table:
            table.write(rows(arguments.prompts, long_every=1_000 if arguments.long else 0))
        empty = SelectionMetrics(
            funnel=[],
            by_workload={},
            by_split={},
            mix_distance_before=None,
            mix_distance_after=None,
            entities={},
            sources={},
            wanted_mix=dict.fromkeys(WORKLOADS, 1 / len(WORKLOADS)),
            mix_axes={},
            shortfalls=[],
            num_malformed=0,
            malformed_rows=[],
        )
        write_json(folder / "selection.json", empty)
        before_mb, started, cpu = peak_mb(), time.monotonic(), cpu_seconds()
        filter_prompts.run(
            params,
            selected=folder / "selected.parquet",
            selection_metrics=folder / "selection.json",
            clean=folder / "clean.parquet",
            data_card=folder / "data_card.md",
            metrics=folder / "metrics.json",
        )
        seconds, cpu = time.monotonic() - started, cpu_seconds() - cpu
        kept = read_json(folder / "metrics.json", PromptMetrics).funnel[-1].kept
    print(f"prompts            {arguments.prompts} ({kept} kept), {arguments.processes} processes")
    print(f"wall time          {seconds:.0f} s, {arguments.prompts / seconds:.0f} prompts/s")
    print(f"CPU time           {cpu:.0f} s, {cpu / 3600 * 1e6 / arguments.prompts:.2f} core-hours per million prompts")
    print(f"largest parent     {peak_mb():.0f} MB ({before_mb:.0f} MB before screening)")
    print(f"largest worker     {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
