"""`eyrie extract_features --shard N`: the target's hidden states for one shard of its answers.

In: a Parquet shard of responses. Out: a feature shard (`features.store`). `gather` sums the shards into the metrics.

Rows stay in their order. Consecutive ones, up to a token budget, make one forward, laid end to end without padding
(`engines.packed`), and one block of the shard, encoded on the target's device and written before the next one runs: a
shard of any size takes the memory of one block. Three layers are hooked; logits are never built. What resumes is the
shard: finished ones are kept whatever happens to the others.
"""

import json
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import torch

from eyrie.eagle3.config import aux_layer_ids
from eyrie.eagle3.processes import Processes, joined, launch_here
from eyrie.engines.gpus import gpus_alone
from eyrie.engines.memory import out_of_memory_says
from eyrie.engines.packed import can_pack, forward_states
from eyrie.engines.target import TargetModel, load_target, resolve_device
from eyrie.features.format import RowEntry, ShardMeta
from eyrie.features.rows import FeatureRow
from eyrie.features.store import Shard, cut_blocks, new_shard
from eyrie.io import progress, write_json
from eyrie.lineage.digests import target_revision
from eyrie.params import Params, parse_params
from eyrie.schemas import FeatureMetrics
from eyrie.tables import RESPONSES, read_table, spans_of, teacher_positions

logger = logging.getLogger(__name__)

SHARD_MB = (50, 500)  # smaller ones waste requests, larger ones waste work when a job is killed


def run(params: Params, *, shard: int, responses: Path, features: Path) -> None:
    """Write the feature shard of `responses`. With `num_processes` above 1 torchrun starts so many on this machine.

    Raises TargetError, SchemaError, ProcessesError, DeviceMemoryError, ValueError (too few layers, a row too long,
    hidden states that are no numbers).
    """
    num_processes = params.extract_features.num_processes
    job = {"params": params.model_dump(mode="json"), "shard": shard}
    paths = {"responses": str(responses), "features": str(features)}
    with gpus_alone(resolve_device(params.target.device)):
        if num_processes == 1:
            _extract(params, Processes(), shard=shard, responses=responses, features=features)
        else:
            launch_here("eyrie.stages.extract_features", job | paths, num_processes=num_processes)


@out_of_memory_says("lower extract_features.max_batch_tokens, or raise extract_features.num_processes")
def _extract(params: Params, processes: Processes, *, shard: int, responses: Path, features: Path) -> None:
    """All processes run every forward; the first one writes."""
    rows = read_table(responses, RESPONSES)
    if params.extract_features.truncated_answers == "drop":
        whole = list(_without_truncated(rows))
        _tell_dropped(rows, whole, shard)
        rows = whole
    target = load_target(params.target, processes)
    layers = list(aux_layer_ids(target.config.num_hidden_layers))
    _check_lengths(responses, rows, target.config.max_position_embeddings)
    sequences = [row["input_ids"] for row in rows]
    meta = ShardMeta(
        params.extract_features.encoding,
        target.config.hidden_size,
        tuple(layers),
        target_revision(params.target.model, params.target.revision),
    )
    pack = can_pack(target, layers, sequences)
    if not pack:
        logger.warning("shard %d: this target's sequences cannot be packed; they run one by one", shard)
    blocks = cut_blocks([len(ids) for ids in sequences], params.extract_features.max_batch_tokens)
    total = sum(len(ids) for ids in sequences)
    if not processes.is_first:
        for begin, end in pairwise(accumulate(blocks, initial=0)):
            forward_states(target, layers, sequences[begin:end], pack=pack)
        return
    with (
        progress(total, desc=f"features, shard {shard}", unit="tok", position=shard) as bar,
        new_shard(features, meta, [_entry(row) for row in rows], blocks) as writer,
    ):
        for begin, end in pairwise(accumulate(blocks, initial=0)):
            writer.write_block(list(_features(target, layers, rows[begin:end], pack=pack)))
            bar.update(sum(len(ids) for ids in sequences[begin:end]))
    logger.info("shard %d: %d rows, %d tokens", shard, len(rows), total)


def gather(params: Params, *, features: list[Path], metrics: Path) -> None:
    """Sum the shards into FeatureMetrics. Raises SchemaError when shards disagree."""
    num_rows = num_tokens = 0
    metas = set()
    for path in features:
        with Shard(path) as shard:
            metas.add(shard.meta)
            num_rows += len(shard.header.rows)
            num_tokens += sum(row.num_tokens for row in shard.header.rows)
    if len(metas) != 1:
        raise ValueError(f"{features[0].parent}: the feature shards come from different targets or encodings: {metas}")
    (meta,) = metas
    num_bytes = sum(path.stat().st_size for path in features)
    document = FeatureMetrics(
        num_rows=num_rows,
        num_tokens=num_tokens,
        num_bytes=num_bytes,
        bytes_per_token=num_bytes / max(num_tokens, 1),
        encoding=meta.encoding,
        hidden_size=meta.hidden_size,
        aux_layer_ids=list(meta.aux_layer_ids),
    )
    write_json(metrics, document)
    if (wanted := better_num_shards(num_bytes, len(features))) is not None:
        logger.warning(
            "shards have %.0f MB on average, and %d to %d MB serve best: generate_responses.num_shards %d would do",
            num_bytes / len(features) / 1e6,
            *SHARD_MB,
            wanted,
        )


def better_num_shards(num_bytes: int, num_shards: int) -> int | None:
    """A number of shards for features of so many bytes, or None when theirs will do: a few small shards do no harm."""
    smallest, largest = (megabytes * 1_000_000 for megabytes in SHARD_MB)
    if num_bytes > num_shards * largest:
        return math.ceil(num_bytes / largest)
    if num_bytes < num_shards * smallest and num_bytes > largest:
        return num_bytes // smallest
    return None


def _without_truncated(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows without an answer that ran out of tokens: it is a row's last. One that has no other answer goes."""
    for row in rows:
        whole = len(row["finish_reasons"]) - (row["finish_reasons"][-1] == "length")
        if whole:
            cut = {key: row[key][:whole] for key in ("span_starts", "span_ends", "finish_reasons")}
            yield {**row, **cut, "input_ids": row["input_ids"][: cut["span_ends"][-1]]}


def _tell_dropped(rows: Sequence[dict[str, Any]], whole: Sequence[dict[str, Any]], shard: int) -> None:
    """What became of `rows`, of which `whole` are left. A shard that lost all of them deserves a look."""
    num_answers = sum(len(row["finish_reasons"]) for row in rows) - sum(len(row["finish_reasons"]) for row in whole)
    if num_answers:
        logger.log(
            logging.INFO if whole else logging.WARNING,
            "shard %d: extract_features.truncated_answers is drop: %d answers that ran out of "
            "generate_responses.sampling.*.max_new_tokens are left out, and with them %d of %d rows",
            shard,
            num_answers,
            len(rows) - len(whole),
            len(rows),
        )


def _check_lengths(responses: Path, rows: Sequence[dict[str, Any]], limit: int) -> None:
    for row in rows:
        if len(row["input_ids"]) > limit:
            raise ValueError(
                f"{responses}: prompt {row['prompt_id']} has {len(row['input_ids'])} tokens, the target takes {limit}; "
                "lower generate_responses.max_prompt_tokens or sampling.*.max_new_tokens"
            )


def _entry(row: dict[str, Any]) -> RowEntry:
    spans = tuple(spans_of(row))
    return RowEntry(row["prompt_id"], row["workload"], row["split"], len(row["input_ids"]), spans)


def _features(
    target: TargetModel, layers: list[int], rows: Sequence[dict[str, Any]], *, pack: bool
) -> Iterator[FeatureRow]:
    """The rows of one block, in order, their states still on the target's device."""
    states = forward_states(target, layers, [row["input_ids"] for row in rows], pack=pack)
    finite_T = states.aux_TE.isfinite().all(-1) & states.last_TH.isfinite().all(-1)
    bounds = pairwise(accumulate((len(row["input_ids"]) for row in rows), initial=0))
    for row, (begin, end) in zip(rows, bounds, strict=True):
        if not finite_T[begin:end].all():
            raise ValueError(
                f"prompt {row['prompt_id']}: the target's hidden states are not all finite numbers in "
                f"{target.dtype}; try target.dtype bfloat16 or float32"
            )
        spans = tuple(spans_of(row))
        yield FeatureRow(
            prompt_id=row["prompt_id"],
            workload=row["workload"],
            split=row["split"],
            input_ids=torch.tensor(row["input_ids"]),
            aux=states.aux_TE[begin:end],
            teachers=states.last_TH[begin:end][teacher_positions(spans)],
            spans=spans,
        )


def work(job: Path) -> None:
    """One of the processes that `run` starts."""
    raw = json.loads(job.read_text(encoding="utf-8"))
    with joined(job) as processes:
        level = logging.INFO if processes.is_first else logging.ERROR
        logging.basicConfig(level=level, format="extract_features: %(message)s")
        params = parse_params(raw["params"], origin=str(job))
        paths = {name: Path(raw[name]) for name in ("responses", "features")}
        _extract(params, processes, shard=raw["shard"], **paths)
