"""Starting from an existing head, to train it further on other traffic.

In: a folder in SGLang's layout (or a hub name at a pinned revision). Out: a head with its weights. Rows of the output
matrix go by target id, so the draft vocabularies may differ; a token that only the new one has keeps its start.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from eyrie.eagle3.checkpoint import CheckpointError, read_config, read_tensors
from eyrie.eagle3.config import SETTINGS, HeadConfig, HeadConfigError, check_can_go_on, named_head
from eyrie.eagle3.head import Eagle3Head

_OF_THE_TARGET = ("vocab_size", "num_attention_heads", "num_key_value_heads", "head_dim", "aux_layer_ids")
_WEIGHTS = (torch.bfloat16, torch.float16, torch.float32)


def head_folder(name: str, revision: str | None) -> Path:
    """The folder of a head: `name` itself, or the hub's files of that name. Raises CheckpointError."""
    try:
        folder = named_head(name, revision)
    except HeadConfigError as error:
        raise CheckpointError(str(error)) from None
    if folder is not None:
        return folder
    from huggingface_hub import snapshot_download

    what = f"train_head.init_from: {name} at {revision}"
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=["*.json", "*.safetensors"]))
    except Exception as error:  # network, access, an unknown name or revision: each has errors of its own
        line = (str(error).strip().splitlines() or [""])[0]
        raise CheckpointError(f"{what} cannot be fetched: {type(error).__name__}: {line}") from None
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(
            f"{what} has no safetensors file; what it may have instead is a pickle, which can run code when it is read"
        )
    return folder


def config_to_go_on(config: HeadConfig, folder: Path, *, num_target_layers: int) -> HeadConfig:
    """The config to train on with: `config`, with the positions and the epsilon of norms that the head in `folder` has
    learnt with. Raises CheckpointError."""
    theirs = read_config(folder, num_target_layers)
    try:
        check_can_go_on(folder, theirs, {name: getattr(config, name) for name in (*_OF_THE_TARGET, *SETTINGS)})
    except HeadConfigError as error:
        raise CheckpointError(str(error)) from None
    return replace(config, rope_parameters=theirs.rope_parameters, rms_norm_eps=theirs.rms_norm_eps)


def start_from_head(head: Eagle3Head, folder: Path) -> None:
    """Give `head` the weights in `folder`. Its draft vocabulary stays its own. Raises CheckpointError."""
    tensors = read_tensors(folder)
    _check_values(folder, tensors)
    d2t, lm_head = tensors.pop("d2t", None), tensors.pop("lm_head.weight", None)
    tensors.pop("t2d", None)
    state = head.state_dict()
    wanted = {name for name in state if name not in ("d2t", "t2d", "lm_head.weight")}
    if head.embed_tokens is None:
        tensors.pop("embed_tokens.weight", None)  # some exports hold a copy of the target's
    missing, unknown = sorted(wanted - tensors.keys()), sorted(tensors.keys() - wanted)
    if missing or unknown:
        raise CheckpointError(
            f"{folder}: missing tensors {missing or 'none'}, unknown tensors {unknown or 'none'}; set "
            "train_head.num_layers, fc_norm and hidden_size as they are there"
        )
    for name, tensor in tensors.items():
        if tensor.shape != state[name].shape:
            raise CheckpointError(
                f"{folder}: {name} is {list(tensor.shape)}, but the head to train has {list(state[name].shape)}"
            )
    head.load_state_dict(tensors, strict=False)
    _take_output_rows(head, folder, d2t, lm_head)


def _check_values(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Names and shapes would let quantised weights pass, without the scales that belong to them."""
    for name, tensor in tensors.items():
        if name in ("d2t", "t2d"):
            continue
        if tensor.dtype not in _WEIGHTS:
            raise CheckpointError(f"{folder}: {name} is {tensor.dtype}, expected bfloat16, float16 or float32")
        if not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{folder}: {name} holds values that are no numbers")


def _take_output_rows(head: Eagle3Head, folder: Path, d2t: Tensor | None, lm_head: Tensor | None) -> None:
    if d2t is not None and (d2t.dim() != 1 or d2t.is_floating_point() or d2t.dtype == torch.bool):
        raise CheckpointError(f"{folder}: d2t is {d2t.dtype} {list(d2t.shape)}, expected whole numbers, one per row")
    size = head.lm_head.weight.shape[1]
    if d2t is None and lm_head is not None and lm_head.shape == (len(head.t2d), size):
        d2t = torch.zeros(len(lm_head), dtype=torch.int64)  # a head over the whole vocabulary
    if lm_head is None or d2t is None or not len(d2t) or lm_head.shape != (len(d2t), size):
        raise CheckpointError(f"{folder}: d2t and lm_head.weight are missing or do not fit each other or the head")
    ids = torch.arange(len(d2t)) + d2t.long()
    if not 0 <= int(ids.min()) <= int(ids.max()) < len(head.t2d):
        raise CheckpointError(
            f"{folder}: d2t reaches target ids {int(ids.min())} to {int(ids.max())}, outside 0 to {len(head.t2d) - 1}"
        )
    row_of = {token: row for row, token in enumerate(ids.tolist())}
    own = (torch.arange(len(head.d2t)) + head.d2t).tolist()
    pairs = [(row, row_of[token]) for row, token in enumerate(own) if token in row_of]
    if pairs:
        ours, theirs = (list(rows) for rows in zip(*pairs, strict=True))
        with torch.no_grad():
            head.lm_head.weight[ours] = lm_head[theirs].to(head.lm_head.weight.dtype)
