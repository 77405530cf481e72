"""Tiny targets as they are published quantised: the layout of hub checkpoints, made here from a tiny Llama.

compressed-tensors is what vLLM's tools write (RedHatAI's and NeuralMagic's checkpoints); fine-grained FP8 is DeepSeek's
and Qwen's (`-FP8`), a scale per block of the matrix.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tests.architectures import make_architecture

WEIGHTS = "model.safetensors"
GROUP = BLOCK = 16
FP8_MAX = 448.0


def int4(folder: Path) -> None:
    """Weights alone, in groups along the input, packed eight to an int32."""
    weights = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": GROUP}
    _compress(folder, "pack-quantized", weights, None)


def fp8_dynamic(folder: Path) -> None:
    """Weights with a scale per row, inputs with one per token that is found as they come."""
    common = {"num_bits": 8, "type": "float", "symmetric": True}
    inputs = common | {"strategy": "token", "dynamic": True}
    _compress(folder, "float-quantized", common | {"strategy": "channel"}, inputs)


def _compress(folder: Path, layout: str, weights: dict[str, Any], inputs: dict[str, Any] | None) -> None:
    group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs}
    config = QuantizationConfig(
        format=layout, quantization_status="frozen", ignore=["lm_head"], config_groups={"group_0": group}
    )
    model = AutoModelForCausalLM.from_pretrained(folder)
    apply_quantization_config(model, config)
    for module in model.modules():
        if getattr(module, "quantization_scheme", None) is not None:
            rows = module.weight.reshape(len(module.weight), -1, weights.get("group_size", module.weight.shape[1]))
            scale, _ = calculate_qparams(rows.amin(-1), rows.amax(-1), module.quantization_scheme.weights)
            module.weight_scale.data.copy_(scale)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    compressor.update_config(str(folder))


def fp8_blocks(folder: Path) -> None:
    """Weights with a scale per square block."""
    tensors = load_file(folder / WEIGHTS)
    for name in [name for name in tensors if name.endswith("proj.weight")]:
        rows, columns = tensors[name].shape
        blocks = tensors[name].reshape(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK)
        scale = blocks.abs().amax((1, 3)) / FP8_MAX
        codes = (blocks / scale[:, None, :, None]).reshape(rows, columns)
        tensors |= {name: codes.to(torch.float8_e4m3fn), f"{name}_scale_inv": scale.contiguous()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {
        "quant_method": "fp8",
        "fmt": "e4m3",
        "activation_scheme": "dynamic",
        "weight_block_size": [BLOCK, BLOCK],
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


QUANTISED: dict[str, Callable[[Path], None]] = {
    "int4 (compressed-tensors)": int4,
    "fp8 (compressed-tensors)": fp8_dynamic,
    "fp8 (fine-grained)": fp8_blocks,
}


def make_quantised(name: str, folder: Path) -> Path:
    """Save a random quantised Llama and the tests' tokenizer."""
    make_architecture("LlamaForCausalLM", folder)
    QUANTISED[name](folder)
    return folder
