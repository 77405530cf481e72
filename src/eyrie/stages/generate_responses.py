"""`eyrie generate_responses --shard N`: the target answers its share of the screened prompts.

In: `clean.parquet` (train and held-out prompts; benchmark prompts are left for the benchmark). Out: one Parquet shard
of training rows, ids in and ids out under the target's own chat template. `gather` sums the shards into the metrics.

Turn by turn over the whole shard: all first turns, then all second turns of those that have one, each wave sorted by
length so that batches pad little.
"""

import logging
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

from eyrie.chat.conversation import Conversation
from eyrie.chat.template import ChatTemplateError
from eyrie.engines.generate import generate_batch
from eyrie.engines.target import TargetModel, load_target
from eyrie.io import progress, read_table, write_json, write_table
from eyrie.params import GenerateResponses, Params
from eyrie.schemas import PROMPTS, RESPONSES, ResponseMetrics, check_response_row

logger = logging.getLogger(__name__)


def run(params: Params, *, shard: int, clean: Path, responses: Path) -> None:
    """Answer the prompts of shard `shard` (0-based) of `num_shards`. Raises TargetError, SchemaError."""
    section = params.generate_responses
    prompts = [row for row in read_table(clean, PROMPTS) if row["split"] != "benchmark"]
    mine = prompts[shard :: section.num_shards]
    target = load_target(params.target)
    conversations = [Conversation(row["system"], row["turns"]) for row in mine]
    skipped = _answer_all(target, conversations, section, shard)
    rows = [
        _table_row(prompt, index, row, section.seed)
        for prompt, conversation in zip(mine, conversations, strict=True)
        for index, row in enumerate(conversation.rows)
    ]
    write_table(responses, rows, RESPONSES, check_response_row)
    for reason, count in sorted(skipped.items()):
        logger.warning("shard %d: %d turns were not asked: %s", shard, count, reason)
    logger.info("shard %d: %d conversations, %d rows", shard, len(mine), len(rows))


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


def _answer_all(
    target: TargetModel, conversations: list[Conversation], section: GenerateResponses, shard: int
) -> Counter[str]:
    """Answer every turn in waves. Returns reason -> conversations cut short."""
    skipped: Counter[str] = Counter()
    total = sum(not conversation.finished for conversation in conversations)
    with progress(total, desc=f"answers, shard {shard}", unit="turns", position=shard) as bar:
        while asking := _wave(target, conversations, section.max_prompt_tokens, skipped):
            for start in range(0, len(asking), section.batch_size):
                batch = asking[start : start + section.batch_size]
                answers = generate_batch(
                    target,
                    [prompt for prompt, _ in batch],
                    max_new_tokens=section.max_new_tokens,
                    temperature=section.temperature,
                    top_p=section.top_p,
                    seed=section.seed + start,
                )
                for (prompt, conversation), answer in zip(batch, answers, strict=True):
                    conversation.add_answer(target.tokenizer, prompt, answer, target.stop_token_ids)
                bar.update(len(batch))
            bar.total = bar.n + sum(not conversation.finished for conversation in conversations)
    return skipped


def _wave(
    target: TargetModel, conversations: list[Conversation], max_prompt_tokens: int, skipped: Counter[str]
) -> list[tuple[list[int], Conversation]]:
    """The next turn of every unfinished conversation, shortest prompt first."""
    asking = []
    for conversation in conversations:
        if conversation.finished:
            continue
        try:
            prompt = conversation.next_prompt(target.tokenizer)
        except ChatTemplateError as error:
            skipped[str(error)] += 1
            conversation.abandon()
            continue
        if len(prompt) > max_prompt_tokens:
            skipped[f"the prompt is longer than max_prompt_tokens {max_prompt_tokens}"] += 1
            conversation.abandon()
            continue
        asking.append((prompt, conversation))
    return sorted(asking, key=lambda item: len(item[0]))


def _table_row(prompt: dict[str, Any], index: int, row: Any, seed: int) -> dict[str, Any]:
    return {
        **{key: prompt[key] for key in ("prompt_id", "source", "workload", "split")},
        "row_index": index,
        "seed": seed,
        "input_ids": row.input_ids,
        "span_starts": [start for start, _ in row.spans],
        "span_ends": [end for _, end in row.spans],
        "finish_reasons": row.finish_reasons,
    }
