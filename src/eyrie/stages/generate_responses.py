"""`eyrie generate_responses --shard N`: the target answers its share of the screened prompts.

In: `clean.parquet` (train and held-out prompts; benchmark prompts are left for the benchmark). Out: one Parquet shard
of training rows, ids in and ids out under the target's own chat template. `gather` sums the shards into the metrics.
A prompt whose source brought its answers is not asked: it becomes rows as it is.

Conversations run side by side, each turn by turn. A finished one goes into a journal at once: a killed job asks again
only those that were in flight.
"""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from eyrie.importing import large_imports
from eyrie.io import write_json
from eyrie.lineage.journal import Journal
from eyrie.params import Params
from eyrie.schemas import ResponseMetrics
from eyrie.tables import PROMPTS, RESPONSES, TableWriter, check_response_row, read_batches, spans_of

logger = logging.getLogger(__name__)

# A shard holds rows alone, so which of these it was is in its log only.
_NOT_ANSWERED = (
    "prompt too long, refused by the chat template, failed on a server, or a source's answer without an exact place in "
    "the rendering"
)


def run(params: Params, *, shard: int, clean: Path, responses: Path, scratch: Path) -> None:
    """Answer the prompts of shard `shard` (0-based) of `num_shards`; `scratch` keeps the journal.

    Raises TargetError, HeadConfigError, SchemaError, ServerError, DeviceMemoryError.
    """
    with large_imports():  # `gather` does without
        from eyrie.engines.answering import answer_prompts, check_whole_way, conversation_seed

    section = params.generate_responses
    check_whole_way(params)  # not only once there are answers to train on
    mine = list(_share(clean, shard, section.num_shards))
    with Journal(scratch / "answered.jsonl") as journal:
        if len(journal):
            logger.info("shard %d: %d of %d conversations were answered before", shard, len(journal), len(mine))
        answer_prompts(params, mine, journal, shard=shard)
        skipped: Counter[str] = Counter()
        with TableWriter(responses, RESPONSES, check_response_row) as table:
            for prompt in mine:
                part = journal[prompt["prompt_id"]]
                table.write(_table_rows(prompt, part, conversation_seed(section.seed, prompt["prompt_id"])))
                if part["skipped"] is not None:
                    skipped[part["skipped"]] += 1
    for reason, count in sorted(skipped.items()):
        logger.warning("shard %d: %d conversations were cut short: %s", shard, count, reason)


def gather(params: Params, *, clean: Path, responses: list[Path], metrics: Path) -> None:
    """Sum the shards into ResponseMetrics. Raises SchemaError."""
    asked = {prompt["prompt_id"] for prompt in _share(clean, 0, 1)}
    answered: set[str] = set()
    num_rows = num_tokens = 0
    finish_reasons: Counter[str] = Counter()
    lengths: dict[str, list[int]] = {}
    by_workload: dict[str, Counter[str]] = {}
    for row in (row for path in responses for batch in read_batches(path, RESPONSES) for row in batch):
        mine = [end - start for start, end in spans_of(row)]
        lengths.setdefault(row["workload"], []).extend(mine)
        counts = by_workload.setdefault(row["workload"], Counter())
        counts["rows"] += 1
        counts["response_tokens"] += sum(mine)
        counts["truncated"] += row["finish_reasons"].count("length")
        finish_reasons.update(row["finish_reasons"])
        answered.add(row["prompt_id"])
        num_rows += 1
        num_tokens += len(row["input_ids"])
    if not answered:
        raise ValueError(f"{clean}: the target answered none of the {len(asked)} prompts; see the shard logs")
    for name in sorted(params.generate_responses.sampling.keys() - by_workload.keys() - {"default"}):
        logger.warning("generate_responses.sampling.%s: no answered prompt is of this workload", name)
    everything = [length for of_workload in lengths.values() for length in of_workload]
    document = ResponseMetrics(
        num_conversations=len(answered),
        num_rows=num_rows,
        num_prompt_tokens=num_tokens - sum(everything),
        num_response_tokens=sum(everything),
        finish_reasons=dict(sorted(finish_reasons.items())),
        response_tokens={"all": _quantiles(everything)}
        | {name: _quantiles(of_workload) for name, of_workload in sorted(lengths.items())},
        by_workload={name: dict(sorted(counts.items())) for name, counts in sorted(by_workload.items())},
        skipped={_NOT_ANSWERED: len(asked - answered)} if asked - answered else {},
    )
    write_json(metrics, document)


def _quantiles(lengths: list[int]) -> dict[str, int]:
    """The lengths that so many percent of the answers do not exceed."""
    ordered = sorted(lengths)
    at = {f"p{percent}": ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)] for percent in (10, 50, 90, 99)}
    return at | {"max": ordered[-1]}


def _share(clean: Path, shard: int, num_shards: int) -> Iterator[dict[str, Any]]:
    """Every `num_shards`-th prompt that is to be answered, from the `shard`-th on."""
    index = 0
    for batch in read_batches(clean, PROMPTS):
        for row in batch:
            if row["split"] != "benchmark":
                if index % num_shards == shard:
                    yield row
                index += 1


def _table_rows(prompt: dict[str, Any], part: dict[str, Any], seed: int) -> Iterable[dict[str, Any]]:
    for index, row in enumerate(part["rows"]):
        yield {
            **{key: prompt[key] for key in ("prompt_id", "source", "workload", "split")},
            "row_index": index,
            "seed": seed,
            "input_ids": row["input_ids"],
            "span_starts": [start for start, _ in row["spans"]],
            "span_ends": [end for _, end in row["spans"]],
            "finish_reasons": row["finish_reasons"],
        }
