"""A tiny random model of each architecture that recipes name, with what is peculiar to the real one kept.

Sizes are small, proportions are not: head dimensions that are not hidden size over heads, windows and chunks far
shorter than the sequences of the tests, mixtures of experts, tied and untied ends, scaled rotary positions.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    FalconH1Config,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    GptOssConfig,
    GraniteConfig,
    HyperCLOVAXConfig,
    Llama4Config,
    Llama4ForConditionalGeneration,
    Llama4TextConfig,
    LlamaConfig,
    Qwen3Config,
    Qwen3MoeConfig,
)

from tests.conftest import make_target

COMMON: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 8,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
    "bos_token_id": 0,
    "eos_token_id": 4,
    "pad_token_id": 5,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}


def llama() -> Any:
    """Llama 3: grouped queries, llama3 rope, untied ends, several tokens that end a turn."""
    return LlamaConfig(**COMMON | {"eos_token_id": [1, 4]}, rope_parameters=LLAMA3_ROPE, tie_word_embeddings=False)


def llama4() -> Any:
    """Llama 4: chunked attention with rope, every fourth layer full without rope, experts, L2-normed queries."""
    text = Llama4TextConfig(
        **COMMON,
        intermediate_size_mlp=64,
        head_dim=16,
        num_local_experts=4,
        num_experts_per_tok=1,
        interleave_moe_layer_step=1,
        attention_chunk_size=16,
        use_qk_norm=True,
        attn_temperature_tuning=True,
        floor_scale=200,
        attn_scale=0.1,
        rope_parameters=LLAMA3_ROPE,
        tie_word_embeddings=False,
    )
    return Llama4Config(
        text_config=text,
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
            "vision_output_dim": 16,
            "projector_input_dim": 16,
            "projector_output_dim": 16,
        },
        boi_token_index=300,
        eoi_token_index=301,
        image_token_index=302,
    )


def qwen3() -> Any:
    """Qwen3: normed queries and keys, head dimension apart from the hidden size."""
    return Qwen3Config(**COMMON, head_dim=16, tie_word_embeddings=False)


def qwen3_moe() -> Any:
    """Qwen3 with experts, two of four per token."""
    return Qwen3MoeConfig(
        **COMMON,
        head_dim=16,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=24,
        norm_topk_prob=True,
        tie_word_embeddings=False,
    )


def _gemma3_text() -> Any:
    local_and_global = {
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
    }
    return Gemma3TextConfig(
        **COMMON,
        head_dim=16,
        query_pre_attn_scalar=16,
        sliding_window=12,
        layer_types=["full_attention" if layer % 6 == 5 else "sliding_attention" for layer in range(8)],
        rope_parameters=local_and_global,
        tie_word_embeddings=True,
    )


def gemma3_text() -> Any:
    """Gemma 3, text only: five sliding layers to a full one, a rope each, scaled and tied embeddings."""
    return _gemma3_text()


def gemma3() -> Any:
    """Gemma 3 from 4B on: the same inside a model that also sees."""
    return Gemma3Config(
        text_config=_gemma3_text(),
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
        },
        mm_tokens_per_image=4,
        boi_token_index=300,
        eoi_token_index=301,
        image_token_index=302,
    )


def gpt_oss() -> Any:
    """GPT-OSS: a learned sink in every softmax, every second layer sliding, experts with biases, YaRN."""
    yarn = {
        "rope_type": "yarn",
        "rope_theta": 150000.0,
        "factor": 4.0,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "truncate": False,
        "original_max_position_embeddings": 128,
    }
    return GptOssConfig(
        **COMMON,
        head_dim=16,
        num_local_experts=4,
        num_experts_per_tok=2,
        sliding_window=8,
        rope_parameters=yarn,
        tie_word_embeddings=False,
    )


ARCHITECTURES: dict[str, Callable[[], Any]] = {
    "LlamaForCausalLM": llama,
    "Llama4ForConditionalGeneration": llama4,
    "Qwen3ForCausalLM": qwen3,
    "Qwen3MoeForCausalLM": qwen3_moe,
    "Gemma3ForCausalLM": gemma3_text,
    "Gemma3ForConditionalGeneration": gemma3,
    "GptOssForCausalLM": gpt_oss,
}


def gemma3_capped() -> Any:
    """Gemma 2's soft-cap, low enough to bend these logits."""
    config = _gemma3_text()
    config.final_logit_softcapping = 2.0
    return config


def granite() -> Any:
    """Granite: logits divided, embeddings, residuals and attention multiplied."""
    return GraniteConfig(
        **COMMON,
        logits_scaling=8.0,
        embedding_multiplier=12.0,
        residual_multiplier=0.22,
        attention_multiplier=0.1,
        tie_word_embeddings=True,
    )


def cohere() -> Any:
    """Command R: logits multiplied, a layer's attention and MLP side by side."""
    return CohereConfig(**COMMON, logit_scale=0.0625, tie_word_embeddings=True)


def falcon_h1() -> Any:
    """Falcon-H1: the output matrix's product multiplied, attention and a state space model in each layer."""
    mamba = {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1}
    return FalconH1Config(**COMMON, **mamba, lm_head_multiplier=0.04, tie_word_embeddings=False)


def hyperclovax() -> Any:
    """HyperCLOVA X: Granite's names, and logits multiplied by what Granite divides by."""
    return HyperCLOVAXConfig(**COMMON, logits_scaling=0.125, tie_word_embeddings=False)


# How a class makes its logits of its last hidden states is its own: no whole pipeline needs these.
SCALED: dict[str, Callable[[], Any]] = {
    "Gemma3ForCausalLM": gemma3_capped,
    "GraniteForCausalLM": granite,
    "CohereForCausalLM": cohere,
    "FalconH1ForCausalLM": falcon_h1,
    "HyperCLOVAXForCausalLM": hyperclovax,
}
_CLASSES = {
    "Llama4ForConditionalGeneration": Llama4ForConditionalGeneration,
    "Gemma3ForConditionalGeneration": Gemma3ForConditionalGeneration,
}


def make_architecture(name: str, folder: Path, configs: dict[str, Callable[[], Any]] = ARCHITECTURES) -> Path:
    """Save a random model of the class `name`, as its real checkpoints are saved, and the tests' tokenizer."""
    make_target(folder, vocab_size=320)
    config = configs[name]()
    torch.manual_seed(4)
    model = _CLASSES[name](config) if name in _CLASSES else AutoModelForCausalLM.from_config(config)
    assert type(model).__name__ == name
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter_name.endswith("sinks"):
                parameter.normal_(mean=1.0)  # as the initial zeros they would matter less than real ones
            elif parameter.ndim == 1 and "norm" in parameter_name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return folder
