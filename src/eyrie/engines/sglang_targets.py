"""Targets that SGLang can draft for: their class hands out the hidden states that an EAGLE-3 head reads.

A target of another class is served, alone; SGLang says so when it loads the head, which is after the training. Of
SGLang 0.5.23; read from its code once, because importing it takes many seconds (a test compares).
"""

from collections.abc import Sequence
from typing import Any

from eyrie.engines.servers import ServerError, named_server
from eyrie.params import Params

_CLASSES = """
ApertusForCausalLM BailingMoEForCausalLM BailingMoeForCausalLM BailingMoeV2ForCausalLM
Cosmos3ForConditionalGeneration DeepseekV2ForCausalLM DeepseekV32ForCausalLM DeepseekV3ForCausalLM
ExaoneMoEForCausalLM ExaoneMoeForCausalLM Gemma3ForCausalLM Gemma3ForConditionalGeneration Gemma4ForCausalLM
Gemma4ForConditionalGeneration Gemma4UnifiedForConditionalGeneration Glm4MoeForCausalLM
Glm4MoeLiteForCausalLM Glm5NextForConditionalGeneration GlmMoeDsaForCausalLM GptOssForCausalLM
IQuestCoderForCausalLM InternLM3ForCausalLM InternS1ProForConditionalGeneration
InternS2MobiusForConditionalGeneration InternS2PreviewForConditionalGeneration
KimiK25ForConditionalGeneration Llama4ForCausalLM Llama4ForConditionalGeneration LlamaForCausalLM
LongcatFlashForCausalLM MellumForCausalLM MindSporeForCausalLM MiniMaxM2ForCausalLM
MiniMaxM3SparseForCausalLM MiniMaxM3SparseForConditionalGeneration Ministral3ForCausalLM MistralForCausalLM
MistralLarge3ForCausalLM Phi3ForCausalLM Qwen2ForCausalLM Qwen2MoeForCausalLM
Qwen2_5_VLForConditionalGeneration Qwen3ForCausalLM Qwen3MoeForCausalLM Qwen3NextForCausalLM
Qwen3VLForConditionalGeneration Qwen3VLMoeForConditionalGeneration Qwen3_5ForCausalLM
Qwen3_5ForConditionalGeneration Qwen3_5MoeForCausalLM Qwen3_5MoeForConditionalGeneration
Qwen4ExpForConditionalGeneration SarvamMoEForCausalLM TeleFLMForCausalLM
"""
EAGLE3_TARGETS = frozenset(_CLASSES.split())


def check_drafts_are_served(params: Params, architectures: Sequence[str] | None) -> None:
    """Raises ServerError when the benchmark would find out that SGLang cannot draft for the target. A server that is
    named runs already, whatever its version."""
    if params.benchmark.engine == "sglang" and named_server("eagle3") is None:
        try:
            check_can_draft(architectures)
        except ServerError as error:
            raise ServerError(f"benchmark.engine: {error}; set it to reference") from None


def check_positions_are_alike(params: Params, config: Any) -> None:
    """Raises ServerError when SGLang turns the positions of the target (`config` is its text configuration) otherwise
    than transformers, whose hidden states heads are taught: of "dynamic" frequencies SGLang stretches those of short
    sequences too, and its target is another one."""
    rope = getattr(config, "rope_parameters", None) or {}
    engines = {"generate_responses": params.generate_responses.engine, "benchmark": params.benchmark.engine}
    by_sglang = [f"{stage}.engine" for stage, engine in engines.items() if engine == "sglang"]
    if rope.get("rope_type") == "dynamic" and by_sglang:
        raise ServerError(
            f"target {params.target.model}: its rope_type is dynamic, by which SGLang turns positions otherwise than "
            f"transformers, so its hidden states are not those that a head is taught; set {' and '.join(by_sglang)} to "
            "reference"
        )


def check_can_draft(architectures: Sequence[str] | None) -> None:
    """`architectures` are those of the target's config.json. Raises ServerError."""
    if architectures and not EAGLE3_TARGETS & set(architectures):
        raise ServerError(
            f"SGLang 0.5.23 serves no EAGLE-3 head for a target of the class {', '.join(architectures)}: it hands out "
            "no hidden states"
        )
