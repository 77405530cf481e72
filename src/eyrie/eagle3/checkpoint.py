"""The head's folder: what SGLang, vLLM, llama.cpp, OpenVINO and TensorRT-LLM load.

Out: `model.safetensors` (bfloat16; `d2t` int64, `t2d` bool), `config.json`, `README.md` (the model card). SGLang skips
names it does not know in silence, so the exact set of names and shapes is checked on the way out and on the way in.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from eyrie.eagle3.config import HeadConfig, HeadConfigError, aux_layer_ids
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.vocab import DraftVocabError, check_maps
from eyrie.io import atomic_path, write_text

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"


class CheckpointError(ValueError):
    """A head folder that is incomplete, damaged, or made for another target."""


def save_head(head: Eagle3Head, folder: Path, *, model_card: str) -> None:
    """Write the serving checkpoint. Same head, same bytes. Raises CheckpointError when names or shapes are off."""
    tensors = {
        name: (tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in head.state_dict().items()
    }
    path = folder / WEIGHTS
    _check_tensors(path, tensors, head.config)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    write_text(folder / CONFIG, json.dumps(head.config.to_json(), indent=2) + "\n")
    write_text(folder / CARD, model_card)


def load_head(folder: Path, target_config: Any, *, device: torch.device, dtype: torch.dtype) -> Eagle3Head:
    """Read a head in eval mode, without gradients. `target_config` is the text configuration of the target served.

    Raises CheckpointError: one sentence with the file, the name, the value found and the one expected.
    """
    config = _read_config(folder / CONFIG)
    _check_target(folder / CONFIG, config, target_config)
    path = folder / WEIGHTS
    try:
        with safe_open(path, framework="pt") as handle:
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 - not a mapping
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged safetensors file: {error}") from None
    _check_tensors(path, tensors, config)
    head = Eagle3Head(config)
    head.load_state_dict(tensors)
    head.eval().requires_grad_(False).to(device)
    for parameter in head.parameters():  # not the buffers: rotary frequencies must stay float32
        parameter.data = parameter.data.to(dtype)
    return head


def check_head(folder: Path, target_config: Any, *, context_length: int | None) -> HeadConfig:
    """Does the head fit this target and this context? Reads the config, the tensors' headers and the two small maps.

    `target_config` is the text configuration of the target served; `context_length` None is what the target holds.
    Raises CheckpointError: one sentence with the file, the name, the value found and the one expected.
    """
    path = folder / CONFIG
    config = _read_config(path)
    _check_target(path, config, target_config)
    raw = json.loads(path.read_text(encoding="utf-8"))
    for name in ("torch_dtype", "dtype"):
        if raw.get(name) != "bfloat16":
            raise CheckpointError(
                f"{path}: {name} is {raw.get(name)}, but the weights are bfloat16; SGLang would serve a head that says "
                "float32 in float16"
            )
    served = context_length or target_config.max_position_embeddings
    if config.max_position_embeddings < served:
        raise CheckpointError(
            f"{path}: max_position_embeddings is {config.max_position_embeddings}, under the served context of {served}"
        )
    _check_tensors(folder / WEIGHTS, _headers_and_maps(folder / WEIGHTS), config)
    return config


def _headers_and_maps(path: Path) -> dict[str, Tensor]:
    """Every tensor by shape and kind only (on the meta device), but d2t and t2d as they are."""
    kinds = {"BF16": torch.bfloat16, "F32": torch.float32, "F16": torch.float16, "I64": torch.int64, "BOOL": torch.bool}
    found: dict[str, Tensor] = {}
    try:
        with safe_open(path, framework="pt") as handle:
            for name in handle.keys():  # noqa: SIM118 - not a mapping
                header = handle.get_slice(name)
                kind = kinds.get(header.get_dtype(), torch.uint8)
                is_map = name in ("d2t", "t2d")
                found[name] = (
                    handle.get_tensor(name) if is_map else torch.empty(header.get_shape(), dtype=kind, device="meta")
                )
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged safetensors file: {error}") from None
    return found


def _read_config(path: Path) -> HeadConfig:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(raw, dict):
        raise CheckpointError(f"{path}: expected one JSON object, found {type(raw).__name__}")
    try:
        return HeadConfig.from_json(raw)
    except HeadConfigError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _check_target(path: Path, config: HeadConfig, target_config: Any) -> None:
    """The head must have been trained on a target of this hidden size, vocabulary and depth."""
    expected = {
        "target_hidden_size": (config.target_hidden_size, target_config.hidden_size),
        "vocab_size": (config.vocab_size, target_config.vocab_size),
        "aux_layer_ids": (config.aux_layer_ids, aux_layer_ids(target_config.num_hidden_layers)),
    }
    for name, (found, wanted) in expected.items():
        if found != wanted:
            raise CheckpointError(
                f"{path}: {name} is {found}, but the target served needs {wanted}: this head was made for another "
                "target model"
            )


def _check_tensors(path: Path, tensors: Mapping[str, Tensor], config: HeadConfig) -> None:
    """Exactly the names, shapes and kinds of a head with this config, and a draft vocabulary that makes sense."""
    with torch.device("meta"):
        expected = Eagle3Head(config).state_dict()
    missing, unknown = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or unknown:
        raise CheckpointError(f"{path}: missing tensors {missing or 'none'}, unknown tensors {unknown or 'none'}")
    for name, wanted in expected.items():
        found = tensors[name]
        dtype = torch.bfloat16 if wanted.is_floating_point() else wanted.dtype
        if found.shape != wanted.shape or found.dtype != dtype:
            raise CheckpointError(
                f"{path}: {name} is {list(found.shape)} {found.dtype}, expected {list(wanted.shape)} {dtype}"
            )
    try:
        check_maps(tensors["d2t"], tensors["t2d"])
    except DraftVocabError as error:
        raise CheckpointError(f"{path}: {error}") from None
