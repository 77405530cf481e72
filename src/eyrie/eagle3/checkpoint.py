"""The head's folder: what SGLang, vLLM, llama.cpp, OpenVINO and TensorRT-LLM load.

Out: `model.safetensors` (bfloat16; `d2t` int64, `t2d` bool), `config.json`, `README.md` (the model card). SGLang skips
names it does not know in silence, so the exact set of names and shapes is checked on the way out and on the way in.
The only norm before a later layer's attention is `hidden_norm` to SGLang and `input_layernorm` to vLLM 0.32
(`llama_eagle3.py` in both), and each leaves the other one unused: the file holds it under both names.
Heads that others published in this layout are read too, whatever floating-point type they have and under older names.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from eyrie.eagle3.config import CONFIG, HeadConfig, HeadConfigError, aux_layer_ids, read_head_config
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.rope import signed_frequencies
from eyrie.eagle3.tensors import write_tensors
from eyrie.eagle3.vocab import DraftVocabError, check_maps
from eyrie.io import atomic_path, write_text

OLDER_NAMES = {  # as SGLang 0.5.23 understands them, `models/llama_eagle3.py` (`legacy_name_map`)
    "model.": "",
    "layers.0.": "midlayer.",
    "aux_norm_low": "fc_norm.0",
    "aux_norm_mid": "fc_norm.1",
    "aux_norm_high": "fc_norm.2",
}
WEIGHTS, CARD = "model.safetensors", "README.md"
_LATER_NORM = re.compile(r"layers\.[0-9]+\.hidden_norm\.weight")


class CheckpointError(ValueError):
    """A head folder that is incomplete, damaged, or made for another target."""


def save_head(head: Eagle3Head, folder: Path, *, model_card: str) -> None:
    """Write the serving checkpoint. Same head, same bytes. Raises CheckpointError when names or shapes are off."""
    tensors = {
        name: (tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor).cpu()
        for name, tensor in head.state_dict().items()
    }
    path = folder / WEIGHTS
    _check_tensors(path, tensors, head.config)
    tensors |= {
        _vllm_name(name): tensor.clone() for name, tensor in tensors.items() if _LATER_NORM.fullmatch(name)
    }  # clones: the format knows no two names for the same bytes
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        write_tensors(temporary, tensors, {"format": "pt"})
    write_text(folder / CONFIG, json.dumps(head.config.to_json(), indent=2) + "\n")
    write_text(folder / CARD, model_card)


def load_head(folder: Path, target_config: Any, *, device: torch.device, dtype: torch.dtype) -> Eagle3Head:
    """Read a head in eval mode, without gradients. `target_config` is the text configuration of the target served.

    Raises CheckpointError: one sentence with the file, the name, the value found and the one expected.
    """
    config = read_config(folder, target_config.num_hidden_layers)
    _check_target(folder / CONFIG, config, target_config)
    path = folder / WEIGHTS
    tensors = _as_ours(read_tensors(folder), config)
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
    config = read_config(folder, target_config.num_hidden_layers)
    _check_target(path, config, target_config)
    tensors = read_tensors(folder, headers_only=True)
    weights = str(tensors["fc.weight"].dtype).removeprefix("torch.") if "fc.weight" in tensors else "bfloat16"
    raw = json.loads(path.read_text(encoding="utf-8"))
    for name in ("torch_dtype", "dtype"):
        if raw.get(name, weights) != weights or not {"torch_dtype", "dtype"} & raw.keys():
            raise CheckpointError(
                f"{path}: {name} is {raw.get(name)}, but the weights are {weights}; SGLang would serve a head "
                "that says float32 in float16"
            )
    served = context_length or target_config.max_position_embeddings
    if config.max_position_embeddings < served:
        raise CheckpointError(
            f"{path}: max_position_embeddings is {config.max_position_embeddings}, under the served context of {served}"
        )
    _check_tensors(folder / WEIGHTS, _as_ours(tensors, config), config)
    return config


def read_tensors(folder: Path, *, headers_only: bool = False) -> dict[str, Tensor]:
    """All tensors of a head's safetensors files, by the names that Eyrie uses. Raises CheckpointError.

    With `headers_only`, all matrices are on the meta device: shape and kind, no values.
    """
    paths = sorted(folder.glob("*.safetensors"))
    if not paths and (pickled := [path.name for path in folder.glob("*.bin")] + [p.name for p in folder.glob("*.pt")]):
        raise CheckpointError(
            f"{folder}: {pickled[0]} is a pickle, which can run code when it is read, and Eyrie reads none; take the "
            "head's safetensors files, or convert it where nothing can be harmed"
        )
    if not paths:
        raise CheckpointError(f"{folder / WEIGHTS}: no such file, and no other safetensors file in the folder")
    found: dict[str, Tensor] = {}
    for path in paths:
        try:
            with safe_open(path, framework="pt") as handle:
                for name in handle.keys():  # noqa: SIM118 - not a mapping
                    header = handle.get_slice(name)
                    only_header = headers_only and len(header.get_shape()) > 1
                    found[_own_name(name)] = _header(header) if only_header else handle.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: damaged safetensors file: {error}") from None
    _drop_second_names(folder, found)
    return found


def _vllm_name(name: str) -> str:
    return name.replace("hidden_norm", "input_layernorm")


def _drop_second_names(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Leave a later layer's norm under its first name. Raises CheckpointError where the two are not the same."""
    for name in filter(_LATER_NORM.fullmatch, list(tensors)):
        second = tensors.pop(_vllm_name(name), None)
        if second is not None and not torch.equal(second, tensors[name]):
            raise CheckpointError(
                f"{folder}: {name}, which SGLang reads, is not {_vllm_name(name)}, which vLLM reads in its place, so "
                "nothing tells which of them the head was trained with"
            )


def _own_name(name: str) -> str:
    for older, ours in OLDER_NAMES.items():
        if name.startswith(older):
            name = ours + name.removeprefix(older)
    return name


def _header(header: Any) -> Tensor:
    kinds = {"BF16": torch.bfloat16, "F32": torch.float32, "F16": torch.float16, "I64": torch.int64, "BOOL": torch.bool}
    return torch.empty(header.get_shape(), dtype=kinds.get(header.get_dtype(), torch.uint8), device="meta")


def _as_ours(tensors: dict[str, Tensor], config: HeadConfig) -> dict[str, Tensor]:
    """What others' exports differ in, made as Eyrie has it: kind, maps left out, a copy of the target's embedding.

    t2d follows from d2t, and a head over the whole vocabulary has neither.
    """
    narrow = (torch.float16, torch.float32)
    tensors = {name: t.bfloat16() if t.dtype in narrow else t for name, t in tensors.items()}
    if config.hidden_size == config.target_hidden_size:
        tensors.pop("embed_tokens.weight", None)
    if "d2t" not in tensors and config.draft_vocab_size == config.vocab_size:
        tensors["d2t"] = torch.zeros(config.vocab_size, dtype=torch.int64)
    if "d2t" in tensors and "t2d" not in tensors:
        ids = torch.arange(len(tensors["d2t"])) + tensors["d2t"]
        tensors["t2d"] = torch.zeros(config.vocab_size, dtype=torch.bool)
        tensors["t2d"][ids[(ids >= 0) & (ids < config.vocab_size)]] = True
    return tensors


def read_config(folder: Path, num_target_layers: int) -> HeadConfig:
    """What the head's config.json says, and where it says nothing what SGLang takes. Raises CheckpointError."""
    try:
        config = read_head_config(folder, num_target_layers=num_target_layers)
    except HeadConfigError as error:
        raise CheckpointError(str(error)) from None
    try:
        frequencies_D, _ = signed_frequencies(config)
    except HeadConfigError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from None
    if not bool(frequencies_D.isfinite().all()):
        raise CheckpointError(
            f"{folder / CONFIG}: rope_parameters is {config.rope_parameters}: its frequencies are no numbers"
        )
    return config


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
