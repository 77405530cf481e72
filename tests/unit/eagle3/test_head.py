"""One pass of the head: rotary positions, masks, caches, ids."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.rope import cos_sin, rotate, signed_frequencies
from tests.unit.eagle3.tiny import HIDDEN, GrowingCache, Tiny, target_config, tiny

ROPES: list[dict[str, Any]] = [
    {"rope_type": "default", "rope_theta": 10000.0},
    {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
    {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
    {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32},
]


@pytest.mark.parametrize("rope", ROPES, ids=lambda rope: rope["rope_type"])
def test_rotation_equals_transformers(rope: dict[str, Any]) -> None:
    config = target_config(rope_parameters=rope)
    x_BTND, positions_BT = torch.randn(2, 5, 4, 8), torch.randint(0, 100, (2, 5))
    cos_BTD, sin_BTD = LlamaRotaryEmbedding(config)(x_BTND, positions_BT)
    expected, _ = apply_rotary_pos_emb(x_BTND, x_BTND, cos_BTD, sin_BTD, unsqueeze_dim=2)
    head_config = HeadConfig.from_target(config, draft_vocab_size=16, intermediate_size=20)
    frequencies_D, scale = signed_frequencies(head_config)
    torch.testing.assert_close(rotate(x_BTND, cos_sin(positions_BT, frequencies_D, scale)), expected)


def inputs(made: Tiny, num_tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    embeds = made.embedding_VH[torch.arange(num_tokens)][None]
    return embeds, torch.randn(1, num_tokens, HIDDEN).double(), torch.arange(num_tokens)[None]


@torch.no_grad()
def test_a_cache_in_pieces_equals_one_causal_pass() -> None:
    made = tiny()
    embeds, hidden, positions = inputs(made, 7)
    whole = made.head(embeds, hidden, positions, cache=None, mask_B1TS=None)
    cache, pieces = GrowingCache(), []
    for piece in (slice(0, 3), slice(3, 4), slice(4, 7)):
        pieces.append(made.head(embeds[:, piece], hidden[:, piece], positions[:, piece], cache=cache, mask_B1TS=None))
    torch.testing.assert_close(torch.cat(pieces, 1), whole)


@torch.no_grad()
def test_a_mask_hides_keys() -> None:
    made = tiny()
    embeds, hidden, positions = inputs(made, 5)
    own_only = torch.eye(5, dtype=torch.bool)[None, None]
    masked = made.head(embeds, hidden, positions, cache=None, mask_B1TS=own_only)
    for token in range(5):
        one = slice(token, token + 1)
        alone = made.head(embeds[:, one], hidden[:, one], positions[:, one], cache=None, mask_B1TS=None)
        torch.testing.assert_close(masked[:, one], alone)


@torch.no_grad()
def test_fused_weights_change_nothing() -> None:
    made = tiny()
    arguments = inputs(made, 4)
    before = made.head(*arguments, cache=None, mask_B1TS=None)
    made.head.fuse_for_inference()
    torch.testing.assert_close(made.head(*arguments, cache=None, mask_B1TS=None), before)


def test_draft_ids_become_the_target_ids_of_the_vocabulary() -> None:
    made = tiny()
    ids = torch.arange(len(made.teacher.target_ids_D))
    assert torch.equal(made.head.to_target_ids(ids), made.teacher.target_ids_D)
    assert made.head.t2d[made.head.to_target_ids(ids)].all()


def test_the_output_matrix_starts_as_the_targets_rows() -> None:
    made = tiny()
    made.head.start_from(made.embedding_VH, made.teacher.lm_head_VH)
    hidden = torch.randn(3, HIDDEN).double()
    expected = (hidden @ made.teacher.lm_head_VH.T)[:, made.teacher.target_ids_D]
    torch.testing.assert_close(made.head.lm_head(hidden), expected)


def test_the_output_matrix_starts_with_the_targets_own_logit_scale() -> None:
    made = tiny()
    made.head.start_from(made.embedding_VH, made.teacher.lm_head_VH, logit_scale=0.125)
    torch.testing.assert_close(made.head.lm_head.weight, made.teacher.columns_DH * 0.125)
