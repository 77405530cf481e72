"""Sequences that share a forward have the states of sequences that run alone, whatever the target's attention."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DogeConfig, DogeForCausalLM, MistralConfig, MistralForCausalLM, Phi3Config, Phi3ForCausalLM

from eyrie.engines.packed import can_pack, forward_states
from eyrie.engines.reference.target_runner import longest_context
from eyrie.engines.target import TargetModel, load_target
from tests.conftest import tiny_params

LAYERS = [1, 3, 4]
SMALL: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 8,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
}


def _sequences(lengths: list[int]) -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(6, 300, (length,), generator=generator).tolist() for length in lengths]


def _check(target: TargetModel, sequences: list[list[int]], *, pack: bool) -> None:
    """States of `forward_states` are those of `output_hidden_states`, one sequence at a time."""
    states = forward_states(target, LAYERS, sequences, pack=pack)
    expected_aux: list[Tensor] = []
    expected_last: list[Tensor] = []
    for ids in sequences:
        with torch.inference_mode():
            output = target.model(torch.tensor([ids]), output_hidden_states=True)
        expected_aux.append(torch.cat([output.hidden_states[layer + 1][0] for layer in LAYERS], dim=-1))
        expected_last.append(output.hidden_states[-1][0])
    torch.testing.assert_close(states.aux_TE, torch.cat(expected_aux).bfloat16(), rtol=8e-3, atol=1e-5)
    torch.testing.assert_close(states.last_TH, torch.cat(expected_last).bfloat16(), rtol=8e-3, atol=1e-5)


@pytest.fixture
def target(tiny_target: Path) -> TargetModel:
    return load_target(tiny_params(tiny_target).target)


@pytest.mark.parametrize("pack", [True, False])
def test_packed_sequences_do_not_see_each_other(target: TargetModel, pack: bool) -> None:
    sequences = _sequences([9, 40, 3, 1, 41])
    assert can_pack(target, LAYERS, sequences)
    _check(target, sequences, pack=pack)


def test_the_target_runs_as_before_after_a_packed_forward(target: TargetModel) -> None:
    ids = torch.tensor(_sequences([12]))
    with torch.inference_mode():
        before = target.model(ids).logits
        forward_states(target, LAYERS, _sequences([5, 6]), pack=True)
        assert torch.equal(target.model(ids).logits, before)


def test_sequences_longer_than_the_window_keep_its_mask_in_a_shared_forward(
    tiny_target: Path, target: TargetModel
) -> None:
    torch.manual_seed(2)
    config = MistralConfig(**SMALL, sliding_window=10)
    model = MistralForCausalLM(config).eval()
    model.set_attn_implementation("sdpa")
    windowed = TargetModel(
        **{**vars(target), "model": model, "config": model.config}  # every other field as it is
    )
    _check(windowed, _sequences([8, 10, 25, 3, 4, 11]), pack=True)


def test_a_sequence_past_the_original_length_does_not_turn_those_beside_it(target: TargetModel) -> None:
    """Phi-3's longrope: short factors up to 32 tokens, long ones for a whole forward that holds more."""
    torch.manual_seed(2)
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4, "long_factor": [3.0] * 4}
    config = Phi3Config(
        **{**SMALL, "pad_token_id": 5},
        original_max_position_embeddings=32,
        max_position_embeddings=128,
        rope_parameters=rope | {"original_max_position_embeddings": 32},
    )
    model = Phi3ForCausalLM(config).eval()
    turned = TargetModel(**{**vars(target), "model": model, "config": model.config})
    _check(turned, _sequences([8, 40, 20, 3]), pack=True)
    assert longest_context(model.config) == 32


def test_a_target_whose_attention_cannot_be_replaced_is_not_packed(target: TargetModel) -> None:
    """Doge makes masks of its own from the one that it is given."""
    model = DogeForCausalLM(DogeConfig(**SMALL)).eval()
    own = TargetModel(**{**vars(target), "model": model, "config": model.config})
    assert not can_pack(own, LAYERS, _sequences([8, 12]))
    _check(own, _sequences([8, 12]), pack=False)


def test_a_target_whose_layers_mix_neighbouring_tokens_is_not_packed(target: TargetModel) -> None:
    def mix(_module: object, _args: object, output: Tensor) -> Tensor:
        return output + torch.nn.functional.pad(output, (0, 0, 1, 0))[:, :-1]  # a convolution of width 2

    target.model.get_decoder().layers[0].mlp.register_forward_hook(mix)
    sequences = _sequences([9, 40])
    assert not can_pack(target, LAYERS, sequences)
    _check(target, sequences, pack=False)
