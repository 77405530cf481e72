"""Layer ids, and the config.json that engines read."""

import json
from typing import Any

import pytest
from transformers import Gemma4TextConfig, GPT2Config, LlamaConfig

from eyrie.eagle3.config import HeadConfig, HeadConfigError, aux_layer_ids, check_target
from tests.unit.eagle3.tiny import target_config


def head_config(**changes: object) -> HeadConfig:
    return HeadConfig.from_target(target_config(**changes), draft_vocab_size=16, intermediate_size=20)


@pytest.mark.parametrize(
    ("num_layers", "expected"), [(7, (1, 2, 3)), (20, (1, 9, 16)), (32, (1, 15, 28)), (80, (1, 39, 76))]
)
def test_aux_layers_are_the_outputs_of_layer_1_half_and_last_but_three(
    num_layers: int, expected: tuple[int, int, int]
) -> None:
    assert aux_layer_ids(num_layers) == expected


def test_too_few_layers_are_refused_with_number_and_bound() -> None:
    with pytest.raises(ValueError, match=r"N = 6 layers.*at least 7"):
        aux_layer_ids(6)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Gemma4TextConfig(), r"the layers of the target \(gemma4_text\) differ in head_dim; .* all layers must agree"),
        (GPT2Config(), r"rope_parameters are None; an EAGLE-3 head turns by the target's rotary positions"),
    ],
    ids=["a size per layer", "no rotary positions"],
)
def test_a_target_that_no_head_fits_is_refused_in_a_sentence(config: Any, message: str) -> None:
    with pytest.raises(HeadConfigError, match=message):
        check_target(config)


def test_the_exported_config_spells_the_layers_both_ways() -> None:
    raw = head_config(num_hidden_layers=32).to_json()
    assert raw["eagle_aux_hidden_state_layer_ids"] == [2, 16, 29]  # inputs: vLLM, llama.cpp
    assert raw["eagle_config"]["eagle_aux_hidden_state_layer_ids"] == [1, 15, 28]  # outputs: SGLang


def test_the_exported_config_has_what_engines_need() -> None:
    raw = head_config().to_json()
    assert raw["architectures"] == ["LlamaForCausalLMEagle3"]
    assert raw["model_type"] == "llama"
    assert raw["num_hidden_layers"] == 1
    assert raw["draft_vocab_size"] == 16
    assert raw["vocab_size"] == 40
    assert raw["target_hidden_size"] == raw["hidden_size"] == 24
    assert raw["tie_word_embeddings"] is False
    assert raw["torch_dtype"] == "bfloat16"
    assert (raw["bos_token_id"], raw["eos_token_id"]) == (1, [2, 3])


@pytest.mark.parametrize(
    ("hidden_size", "target_heads", "expected"),
    [
        (4096, (32, 8), (32, 8)),
        (4096, (96, 8), (64, 8)),  # GLM-4.5-Air
        (5120, (96, 8), (80, 8)),  # GLM-4.5
        (2048, (20, 20), (16, 4)),  # GLM-4.7-Flash: none divides the width and is a multiple of 20
        (160, (5, 1), (5, 1)),
        (128, (5, 1), (4, 1)),
    ],
)
def test_engines_can_read_the_config_of_a_head_whose_width_the_targets_heads_do_not_divide(
    hidden_size: int, target_heads: tuple[int, int], expected: tuple[int, int]
) -> None:
    num_heads, num_kv_heads = target_heads
    target = target_config(  # a Llama of this width could not have as many heads, but other classes' targets do
        hidden_size=num_heads * 8, num_attention_heads=num_heads, num_key_value_heads=num_kv_heads, head_dim=8
    )
    head = HeadConfig.from_target(target, draft_vocab_size=16, intermediate_size=20, hidden_size=hidden_size)
    assert (head.num_attention_heads, head.num_key_value_heads, head.head_dim) == (*expected, 8)
    assert LlamaConfig.from_dict(head.to_json()).num_attention_heads == expected[0]
    assert HeadConfig.from_json(head.to_json(), num_target_layers=8) == head


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


@pytest.mark.parametrize("rope", [{"rope_type": "default", "rope_theta": 77.0}, LLAMA3], ids=["default", "llama3"])
def test_transformers_reads_the_targets_rope_from_the_exported_config(rope: dict[str, Any]) -> None:
    raw = json.loads(json.dumps(head_config(rope_parameters=rope).to_json()))
    read = LlamaConfig.from_dict(raw).rope_parameters
    assert {key: read[key] for key in rope} == rope


def test_a_multimodal_targets_rope_becomes_a_plain_one() -> None:
    config = target_config()
    config.rope_parameters = {
        "rope_type": "default",
        "rope_theta": 9.0,
        "mrope_section": [1, 1, 2],
        "partial_rotary_factor": 0.5,
        "attention_factor": 1.5,  # SGLang's YaRN does not know it
    }
    made = HeadConfig.from_target(config, draft_vocab_size=16, intermediate_size=20)
    assert made.rope_parameters == {"rope_type": "default", "rope_theta": 9.0}


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "dynamic", "factor": 4.0},
        {"rope_type": "longrope", "short_factor": [1.0] * 3, "long_factor": [2.0] * 3},  # for 6 of 8 dimensions
    ],
    ids=["dynamic", "longrope"],
)
def test_a_rope_that_follows_the_length_becomes_a_plain_one_that_engines_agree_on(rope: dict[str, Any]) -> None:
    config = target_config()
    config.rope_parameters = {**rope, "rope_theta": 9.0, "original_max_position_embeddings": 64}
    made = HeadConfig.from_target(config, draft_vocab_size=16, intermediate_size=20)
    assert made.rope_parameters == {"rope_type": "default", "rope_theta": 9.0}


@pytest.mark.parametrize("rope", [{"rope_type": "default", "rope_theta": 77.0}, LLAMA3], ids=["default", "llama3"])
def test_json_round_trip(rope: dict[str, Any]) -> None:
    config = head_config(rope_parameters=rope)
    assert HeadConfig.from_json(json.loads(json.dumps(config.to_json())), num_target_layers=8) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["LlamaForCausalLM"]}, "architectures is"),
        ({"eagle_aux_hidden_state_layer_ids": [1, 3, 4]}, "must be the second plus 1"),
        (
            {"eagle_aux_hidden_state_layer_ids": None, "eagle_config": {"eagle_aux_hidden_state_layer_ids": [1]}},
            "three",
        ),
        ({"intermediate_size": None}, "missing key 'intermediate_size'"),
        ({"hidden_size": "64"}, "hidden_size is '64'; expected a whole number of at least 1"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0; expected"),
        ({"fc_norm": "no"}, "fc_norm is 'no'; expected true or false"),
        ({"rope_scaling": "llama3"}, "rope_scaling is 'llama3'; expected an object"),
        ({"eagle_aux_hidden_state_layer_ids": ["2", "3", "5"]}, "expected a list of whole numbers"),
    ],
)
def test_a_config_of_something_else_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadConfigError, match=message):
        HeadConfig.from_json({**head_config().to_json(), **changes}, num_target_layers=8)


@pytest.mark.parametrize("spelling", ["neither", "inputs", "outputs"])
def test_what_a_published_config_leaves_out_is_what_sglang_takes_for_it(spelling: str) -> None:
    published = {  # the keys that the heads of the EAGLE-3 paper come with
        "architectures": ["LlamaForCausalLMEagle3"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "head_dim": None,
        "hidden_act": "silu",
        "hidden_size": 64,
        "intermediate_size": 96,
        "max_position_embeddings": 2048,
        "model_type": "llama",
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_hidden_layers": 1,
        "rms_norm_eps": 1e-05,
        "torch_dtype": "float16",
        "vocab_size": 320,
        "draft_vocab_size": 32,
    }
    if spelling == "inputs":
        published["eagle_aux_hidden_state_layer_ids"] = [2, 16, 29]
    elif spelling == "outputs":
        published["eagle_config"] = {"eagle_aux_hidden_state_layer_ids": [1, 15, 28]}
    read = HeadConfig.from_json(published, num_target_layers=32)
    assert read.aux_layer_ids == (1, 15, 28)
    assert (read.head_dim, read.target_hidden_size, read.draft_vocab_size) == (16, 64, 32)
    assert (read.fc_norm, read.norm_output) == (False, False)
    assert read.rope_parameters == {"rope_type": "default", "rope_theta": 10000.0}
