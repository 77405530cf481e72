"""`eyrie extract_features --shard N`: the target's hidden states for one shard of its answers.

In: a Parquet shard of responses. Out: a feature shard (`features.store`). `gather` sums the shards into the metrics.

Rows are sorted by length and run in batches bounded by a token budget, padded on the right only: under causal attention
a pad behind a token cannot reach it, so no mask is needed and every stored state is that of the unpadded row. Three
layers are hooked; logits are never built.

Shapes: B batch, T tokens, H hidden size.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from eyrie.eagle3.config import aux_layer_ids
from eyrie.engines.target import TargetModel, capture_layers, load_target
from eyrie.features.rows import FeatureRow
from eyrie.features.store import Shard, ShardMeta, write_shard
from eyrie.io import progress, read_table, write_json
from eyrie.lineage.digests import target_revision
from eyrie.params import Params
from eyrie.schemas import RESPONSES, FeatureMetrics

logger = logging.getLogger(__name__)


def run(params: Params, *, shard: int, responses: Path, features: Path) -> None:
    """Write the feature shard of `responses`. Raises TargetError, SchemaError, ValueError (too few layers)."""
    rows = read_table(responses, RESPONSES)
    target = load_target(params.target)
    layers = aux_layer_ids(target.config.num_hidden_layers)
    limit = target.config.max_position_embeddings
    for row in rows:
        if len(row["input_ids"]) > limit:
            raise ValueError(
                f"{responses}: prompt {row['prompt_id']} has {len(row['input_ids'])} tokens, the target takes {limit}; "
                "lower generate_responses.max_prompt_tokens or max_new_tokens"
            )
    extracted: list[FeatureRow | None] = [None] * len(rows)
    total = sum(len(row["input_ids"]) for row in rows)
    with progress(total, desc=f"features, shard {shard}", unit="tok", position=shard) as bar:
        for batch in _batches(rows, params.extract_features.max_batch_tokens):
            for index, features_of_row in _forward(target, list(layers), rows, batch):
                extracted[index] = features_of_row
            bar.update(sum(len(rows[index]["input_ids"]) for index in batch))
    meta = ShardMeta(
        params.extract_features.encoding,
        target.config.hidden_size,
        layers,
        target_revision(params.target.model, params.target.revision),
    )
    write_shard(features, [row for row in extracted if row is not None], meta)
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


def _batches(rows: list[dict[str, Any]], max_batch_tokens: int) -> Iterator[list[int]]:
    """Row indices, similar lengths together; a batch's padded size stays within the budget unless it is one row."""
    batch: list[int] = []
    for index in sorted(range(len(rows)), key=lambda item: len(rows[item]["input_ids"])):
        if batch and (len(batch) + 1) * len(rows[index]["input_ids"]) > max_batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _forward(
    target: TargetModel, layers: list[int], rows: list[dict[str, Any]], batch: list[int]
) -> Iterator[tuple[int, FeatureRow]]:
    lengths = [len(rows[index]["input_ids"]) for index in batch]
    input_ids_BT = torch.zeros((len(batch), max(lengths)), dtype=torch.int64)
    for position, index in enumerate(batch):
        input_ids_BT[position, : lengths[position]] = torch.tensor(rows[index]["input_ids"])
    with torch.inference_mode(), capture_layers(target, layers) as captured:
        last_BTH = target.forward(input_ids_BT.to(target.device), use_cache=False).to(torch.bfloat16).cpu()
        aux_BT3H = torch.cat([captured[layer] for layer in layers], dim=-1).to(torch.bfloat16).cpu()
    for position, (index, length) in enumerate(zip(batch, lengths, strict=True)):
        row = rows[index]
        yield (
            index,
            FeatureRow(
                prompt_id=row["prompt_id"],
                workload=row["workload"],
                split=row["split"],
                input_ids=input_ids_BT[position, :length].clone(),
                aux=aux_BT3H[position, :length].clone(),
                last=last_BTH[position, :length].clone(),
                spans=tuple(zip(row["span_starts"], row["span_ends"], strict=True)),
            ),
        )
