"""Which prompts a workload is measured with."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eyrie.chat.template import ChatTemplate
from eyrie.io import read_table
from eyrie.params import Workload
from eyrie.schemas import PROMPTS

_TURN_OVERHEAD_TOKENS = 16  # template tokens around an answer


@dataclass(frozen=True)
class BenchPrompt:
    """A conversation to play: `system` may be empty, `turns` are the user's."""

    prompt_id: str
    system: str
    turns: tuple[str, ...]


def benchmark_prompts(
    clean: Path, workloads: list[Workload], *, num_prompts: int, seed: int
) -> dict[Workload, list[BenchPrompt]]:
    """`num_prompts` conversations per workload from the table's benchmark split, or all when it holds fewer.

    The choice depends on `seed` and the prompts only. Raises ValueError naming a workload that has none, SchemaError.
    """
    rows = sorted(
        (row for row in read_table(clean, PROMPTS) if row["split"] == "benchmark"), key=lambda row: row["prompt_id"]
    )
    random.Random(seed).shuffle(rows)  # noqa: S311 - a choice of prompts, not cryptography
    chosen: dict[Workload, list[BenchPrompt]] = {}
    for workload in workloads:
        mine = [row for row in rows if row["workload"] == workload][:num_prompts]
        if not mine:
            raise ValueError(
                f"{clean}: no prompt of workload {workload!r} with split benchmark; benchmark.workloads asks for it"
            )
        chosen[workload] = [BenchPrompt(row["prompt_id"], row["system"], tuple(row["turns"])) for row in mine]
    return chosen


def conversation_tokens(chat: ChatTemplate, system: str, turns: Sequence[str], *, output_tokens: int) -> int:
    """An upper bound of the tokens a conversation grows to when every answer has `output_tokens`."""
    texts = [text for text in (system, *turns) if text]
    asked = sum(len(chat.prompt_ids([{"role": "user", "content": text}])) for text in texts)
    return asked + len(turns) * (output_tokens + _TURN_OVERHEAD_TOKENS)
