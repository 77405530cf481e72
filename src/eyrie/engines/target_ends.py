"""The two matrices at the target's ends, without loading the target: all that training a head needs of its weights.

In: a folder or a hub name. Out: the input embedding and lm_head, read from the safetensors files that hold them.

Shapes: V vocabulary, H hidden size.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from eyrie.engines.target import EMBEDDING, TargetError, load_config
from eyrie.params import Target


@dataclass(frozen=True)
class TargetEnds:
    """The two matrices at the target's ends, [V, H] each, in the target's dtype; one tensor when they are tied."""

    embedding_VH: Tensor
    lm_head_VH: Tensor


def load_ends(target: Target) -> TargetEnds:
    """Read the input embedding and lm_head from the target's safetensors, and nothing else of its weights.

    Raises TargetError naming the folder or model and the tensor that is missing.
    """
    files = _tensor_files(target)
    embedding = _read_tensor(target, files, EMBEDDING)
    try:
        lm_head = _read_tensor(target, files, "lm_head.weight")
    except TargetError:
        if not load_config(target).tie_word_embeddings:
            raise
        lm_head = embedding
    return TargetEnds(embedding, lm_head)


def _tensor_files(target: Target) -> dict[str, Path]:
    """Tensor name -> the safetensors file that holds it."""
    index = _file(target, "model.safetensors.index.json")
    if index is not None:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = {shard: _file(target, shard) for shard in set(names.values())}
        return {name: path for name, shard in names.items() if (path := shards[shard]) is not None}
    single = _file(target, "model.safetensors")
    if single is None:
        raise TargetError(f"target {target.model}: no model.safetensors and no model.safetensors.index.json")
    with _opened(single) as handle:
        return dict.fromkeys(handle.keys(), single)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A safetensors file. Raises TargetError when it cannot be read."""
    try:
        with safe_open(path, framework="pt") as handle:
            yield handle
    except (SafetensorError, OSError) as error:
        raise TargetError(f"{path}: damaged safetensors file: {error}") from None


def _file(target: Target, name: str) -> Path | None:
    """A file of the target, from its folder or the hub; None when the target has none of this name."""
    from transformers.utils import cached_file

    found = cached_file(
        target.model,
        name,
        revision=None if Path(target.model).is_dir() else target.revision,
        local_files_only=Path(target.model).is_dir() or bool(os.environ.get("HF_HUB_OFFLINE")),
        _raise_exceptions_for_missing_entries=False,
    )
    return None if found is None else Path(found)


def _read_tensor(target: Target, files: dict[str, Path], suffix: str) -> Tensor:
    """The one tensor whose name ends in `suffix`; several (a multimodal target): the shortest name."""
    names = sorted((name for name in files if name.endswith(suffix)), key=len)
    if not names:
        raise TargetError(f"target {target.model}: its safetensors files hold no tensor named ...{suffix}")
    with _opened(files[names[0]]) as handle:
        tensor: Tensor = handle.get_tensor(names[0])
    return tensor.to(getattr(torch, target.dtype))
