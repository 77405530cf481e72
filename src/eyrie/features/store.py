"""The feature store: one safetensors shard of a target's hidden states for many training rows.

Tensors of a shard, rows concatenated (R rows, T tokens in all, S assistant spans, H hidden size):

    input_ids [T] int32        the ids the target saw and produced
    aux       [T, 3H] bfloat16 outputs of the three aux layers, low | mid | high
    last      [T, H] bfloat16  input of lm_head (after the final norm)
    row_ends  [R] int64        end of each row in the token axis
    spans     [S, 3] int32     row, start, end (exclusive) in the row; assistant tokens, end-of-turn included

The safetensors metadata holds one key, `eyrie`: JSON of `schema_version`, `encoding`, `hidden_size`, `aux_layer_ids`,
and the rows' `prompt_ids`, `workloads` and `splits`. (One key because safetensors writes several in a random order, and
a shard is to be a function of its rows.)
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from eyrie.io import atomic_path, canonical_json
from eyrie.schemas import SchemaError

STORE_VERSION = "1"
TENSORS = ("input_ids", "aux", "last", "row_ends", "spans")


@dataclass(frozen=True)
class FeatureRow:
    """One training sequence: `input_ids` [T] int64, `aux` [T, 3H] and `last` [T, H] bfloat16, spans (start, end)."""

    prompt_id: str
    workload: str
    split: str
    input_ids: Tensor
    aux: Tensor
    last: Tensor
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ShardMeta:
    encoding: str
    hidden_size: int
    aux_layer_ids: tuple[int, ...]


def write_shard(path: Path, rows: Sequence[FeatureRow], meta: ShardMeta) -> None:
    """Write `rows` atomically. The file is a function of its arguments: same rows, same bytes."""
    width = meta.hidden_size
    ends = torch.tensor([len(row.input_ids) for row in rows], dtype=torch.int64).cumsum(0)
    spans = [(index, start, end) for index, row in enumerate(rows) for start, end in row.spans]
    tensors = {
        "input_ids": torch.cat([row.input_ids for row in rows] or [torch.empty(0)]).to(torch.int32),
        "aux": torch.cat([row.aux for row in rows] or [torch.empty(0, 3 * width)]).to(torch.bfloat16),
        "last": torch.cat([row.last for row in rows] or [torch.empty(0, width)]).to(torch.bfloat16),
        "row_ends": ends,
        "spans": torch.tensor(spans, dtype=torch.int32).reshape(-1, 3),
    }
    metadata = {
        "schema_version": STORE_VERSION,
        "encoding": meta.encoding,
        "hidden_size": width,
        "aux_layer_ids": list(meta.aux_layer_ids),
        "prompt_ids": [row.prompt_id for row in rows],
        "workloads": [row.workload for row in rows],
        "splits": [row.split for row in rows],
    }
    with atomic_path(path) as temporary:
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, temporary, metadata={"eyrie": canonical_json(metadata)})


def read_shard(path: Path) -> tuple[ShardMeta, list[FeatureRow]]:
    """Read a shard, its tensors memory-mapped. Raises SchemaError naming the shard when it is damaged or foreign."""
    try:
        with safe_open(path, framework="pt") as handle:
            metadata = json.loads((handle.metadata() or {}).get("eyrie", "{}"))
            if metadata.get("schema_version") != STORE_VERSION or set(handle.keys()) != set(TENSORS):
                raise SchemaError(f"{path}: not a feature shard of store version {STORE_VERSION}; rebuild it")
            tensors = {name: handle.get_tensor(name) for name in TENSORS}
    except FileNotFoundError:
        raise SchemaError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise SchemaError(f"{path}: damaged feature shard: {error}") from None
    meta = ShardMeta(
        encoding=metadata["encoding"],
        hidden_size=metadata["hidden_size"],
        aux_layer_ids=tuple(metadata["aux_layer_ids"]),
    )
    return meta, list(_rows(tensors, metadata))


def _rows(tensors: dict[str, Tensor], metadata: dict[str, Any]) -> Iterator[FeatureRow]:
    labels = [metadata[key] for key in ("prompt_ids", "workloads", "splits")]
    spans: dict[int, list[tuple[int, int]]] = {}
    for row, start, end in tensors["spans"].tolist():
        spans.setdefault(row, []).append((start, end))
    begin = 0
    for index, (end, prompt_id, workload, split) in enumerate(zip(tensors["row_ends"].tolist(), *labels, strict=True)):
        yield FeatureRow(
            prompt_id=prompt_id,
            workload=workload,
            split=split,
            input_ids=tensors["input_ids"][begin:end].long(),
            aux=tensors["aux"][begin:end],
            last=tensors["last"][begin:end],
            spans=tuple(spans.get(index, ())),
        )
        begin = end
