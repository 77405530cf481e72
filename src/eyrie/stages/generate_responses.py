"""`eyrie generate_responses --shard N`: the target answers its share of the screened prompts.

In: `clean.parquet` (train and held-out prompts; benchmark prompts are left for the benchmark). Out: one Parquet shard
of training rows, ids in and ids out under the target's own chat template. `gather` sums the shards into the metrics.

Conversations run side by side, each turn by turn. A finished one goes into a journal at once: a killed job asks again
only those that were in flight.
"""

import asyncio
import hashlib
import logging
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from eyrie.chat.conversation import Conversation
from eyrie.chat.template import ChatTemplateError
from eyrie.engines.generate import Generator, local_generator
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.reference.target_runner import longest_context
from eyrie.engines.target import TargetModel, load_target
from eyrie.io import TableWriter, progress, read_batches, read_table, write_json
from eyrie.lineage.journal import Journal
from eyrie.params import GenerateResponses, Params
from eyrie.schemas import PROMPTS, RESPONSES, ResponseMetrics, check_response_row

logger = logging.getLogger(__name__)

_SEED_BITS = 31


def run(params: Params, *, shard: int, clean: Path, responses: Path, scratch: Path) -> None:
    """Answer the prompts of shard `shard` (0-based) of `num_shards`; `scratch` keeps the journal.

    Raises TargetError, SchemaError.
    """
    section = params.generate_responses
    mine = list(_share(clean, shard, section.num_shards))
    with Journal(scratch / "answered.jsonl") as journal:
        if len(journal):
            logger.info("shard %d: %d of %d conversations were answered before", shard, len(journal), len(mine))
        waiting = [prompt for prompt in mine if prompt["prompt_id"] not in journal]
        if waiting:
            asyncio.run(_answer_all(load_target(params.target), waiting, section, journal, shard))
        with TableWriter(responses, RESPONSES, check_response_row) as table:
            for prompt in mine:
                table.write(_table_rows(prompt, journal[prompt["prompt_id"]], section.seed))
        skipped = Counter(reason for prompt in mine if (reason := journal[prompt["prompt_id"]]["skipped"]))
    for reason, count in sorted(skipped.items()):
        logger.warning("shard %d: %d conversations were cut short: %s", shard, count, reason)


def gather(params: Params, *, clean: Path, responses: list[Path], metrics: Path) -> None:
    """Sum the shards into ResponseMetrics. Raises SchemaError."""
    rows = [row for path in responses for row in read_table(path, RESPONSES)]
    asked = {row["prompt_id"] for row in read_table(clean, PROMPTS) if row["split"] != "benchmark"}
    answered = {row["prompt_id"] for row in rows}
    lengths = [end - start for row in rows for start, end in zip(row["span_starts"], row["span_ends"], strict=True)]
    by_workload: dict[str, Counter[str]] = {}
    for row in rows:
        counts = by_workload.setdefault(row["workload"], Counter())
        counts["rows"] += 1
        counts["response_tokens"] += sum(row["span_ends"]) - sum(row["span_starts"])
        counts["truncated"] += row["finish_reasons"].count("length")
    finish_reasons = Counter(reason for row in rows for reason in row["finish_reasons"])
    document = ResponseMetrics(
        num_conversations=len(answered),
        num_rows=len(rows),
        num_prompt_tokens=sum(len(row["input_ids"]) for row in rows) - sum(lengths),
        num_response_tokens=sum(lengths),
        finish_reasons=dict(sorted(finish_reasons.items())),
        median_response_tokens=statistics.median(lengths) if lengths else 0.0,
        by_workload={name: dict(sorted(counts.items())) for name, counts in sorted(by_workload.items())},
        skipped={"prompt too long or refused by the chat template": len(asked - answered)} if asked - answered else {},
    )
    if not lengths:
        raise ValueError(f"{clean}: the target answered none of the {len(asked)} prompts; see the shard logs")
    write_json(metrics, document)


def _share(clean: Path, shard: int, num_shards: int) -> Iterator[dict[str, Any]]:
    """Every `num_shards`-th prompt that is to be answered, from the `shard`-th on."""
    index = 0
    for batch in read_batches(clean, PROMPTS):
        for row in batch:
            if row["split"] != "benchmark":
                if index % num_shards == shard:
                    yield row
                index += 1


async def _answer_all(
    target: TargetModel, prompts: list[dict[str, Any]], section: GenerateResponses, journal: Journal, shard: int
) -> None:
    """Answer every prompt, `concurrency` at a time. Longest first: short answers fill the end, and neighbours in the
    batch read caches of about the same length."""
    order = iter(sorted(prompts, key=lambda prompt: -sum(map(len, prompt["turns"]))))
    longest_answer = max(sampling.max_new_tokens for sampling in section.sampling.values())
    context_length = min(section.max_prompt_tokens + longest_answer, longest_context(target))
    max_prompt_tokens = min(section.max_prompt_tokens, context_length - 1)
    started, num_tokens = time.perf_counter(), 0
    with progress(len(prompts), desc=f"answers, shard {shard}", unit="prompts", position=shard) as bar:

        async def work(generator: Generator) -> None:
            nonlocal num_tokens
            for prompt in order:
                part = await _answer(generator, target, prompt, section, max_prompt_tokens)
                journal.append(prompt["prompt_id"], part)
                num_tokens += sum(end - start for row in part["rows"] for start, end in row["spans"])
                bar.set_postfix_str(f"{num_tokens / (time.perf_counter() - started):,.0f} tokens/s", refresh=False)
                bar.update()

        async with local_generator(target, concurrency=section.concurrency, context_length=context_length) as generator:
            await asyncio.gather(*(work(generator) for _ in range(min(section.concurrency, len(prompts)))))


async def _answer(
    generator: Generator,
    target: TargetModel,
    prompt: dict[str, Any],
    section: GenerateResponses,
    max_prompt_tokens: int,
) -> dict[str, Any]:
    """All turns of one conversation: its rows, and why it was cut short (None when it was not)."""
    conversation = Conversation(target.chat, prompt["system"], prompt["turns"])
    chosen = section.sampling.get(prompt["workload"], section.sampling["default"])
    seed, skipped, turn = _conversation_seed(section.seed, prompt["prompt_id"]), None, 0
    while not conversation.finished:
        try:
            prompt_ids = conversation.next_prompt()
        except ChatTemplateError as error:
            skipped = str(error)
            break
        if len(prompt_ids) > max_prompt_tokens:
            skipped = f"a prompt is longer than {max_prompt_tokens} tokens"
            break
        sampling = SamplingParams(
            chosen.max_new_tokens, chosen.temperature, chosen.top_p, seed=(seed + turn) % (1 << _SEED_BITS)
        )
        answer_ids = await generator.generate(prompt_ids, sampling)
        conversation.add_answer(prompt_ids, answer_ids)
        turn += 1
    rows = [
        {"input_ids": row.input_ids, "spans": row.spans, "finish_reasons": row.finish_reasons}
        for row in conversation.rows
    ]
    return {"rows": rows, "skipped": skipped}


def _conversation_seed(seed: int, prompt_id: str) -> int:
    """The seed of a conversation's first answer, the next one of its second, and so on."""
    digest = hashlib.sha256(f"{seed}/{prompt_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % (1 << _SEED_BITS)


def _table_rows(prompt: dict[str, Any], part: dict[str, Any], seed: int) -> Iterable[dict[str, Any]]:
    for index, row in enumerate(part["rows"]):
        yield {
            **{key: prompt[key] for key in ("prompt_id", "source", "workload", "split")},
            "row_index": index,
            "seed": _conversation_seed(seed, prompt["prompt_id"]),
            "input_ids": row["input_ids"],
            "span_starts": [start for start, _ in row["spans"]],
            "span_ends": [end for _, end in row["spans"]],
            "finish_reasons": row["finish_reasons"],
        }
