"""The README.md of an exported head says what is in the folder."""

import pytest

from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.model_card import render_model_card
from eyrie.params import parse_params
from eyrie.schemas import TrainMetrics
from tests.conftest import raw_params
from tests.unit.eagle3.tiny import HIDDEN, target_config

METRICS = TrainMetrics(
    steps=2,
    best_step=1,
    tokens_seen=9,
    supervised_tokens_seen=5,
    train_loss=1.0,
    heldout_loss=1.0,
    heldout_acceptance_length=1.5,
    heldout_decoded_acceptance_length=None,
    heldout_accuracy=[0.5],
    num_parameters=7,
)


@pytest.mark.parametrize(
    ("hidden_size", "expected"),
    [
        (None, "The target's embedding is used and not contained."),
        (HIDDEN, "The target's embedding is used and not contained."),
        (20, "It has an embedding of its own, 20 wide."),
    ],
)
def test_the_card_says_whose_embedding_the_head_uses(hidden_size: int | None, expected: str) -> None:
    config = HeadConfig.from_target(target_config(), draft_vocab_size=16, intermediate_size=20, hidden_size=hidden_size)
    params = parse_params(raw_params(), origin="test")
    card = render_model_card(params, config, METRICS, data_digest="0", eyrie_version="1")
    assert card.count(expected) == 1
    assert card.count("embedding") == 1
