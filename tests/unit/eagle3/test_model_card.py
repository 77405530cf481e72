"""The README.md of an exported head says what is in the folder."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.model_card import render_model_card
from eyrie.engines.sglang_server import sglang_command
from eyrie.engines.spec import ServerSpec
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


def card_of(target: dict[str, Any], **settings: Any) -> str:
    raw = raw_params()
    raw["target"] |= target
    raw["train_head"] |= settings
    config = HeadConfig.from_target(
        target_config(),
        draft_vocab_size=16,
        intermediate_size=20,
        fc_norm=raw["train_head"]["fc_norm"],
        norm_output=raw["train_head"]["norm_output"],
    )
    return render_model_card(parse_params(raw, origin="test"), config, METRICS, data_digest="0", eyrie_version="1")


@pytest.mark.parametrize(
    "target",
    [{}, {"model": "owner/target", "revision": "a" * 40, "trust_remote_code": True, "dtype": "bfloat16"}],
    ids=["as it is", "pinned"],
)
def test_the_card_serves_the_target_as_eyrie_does(target: dict[str, Any]) -> None:
    raw = raw_params()
    raw["target"] |= target
    params = parse_params(raw, origin="test")
    (command,) = re.findall(r"^    (python .*?)\n\n", card_of(target), flags=re.MULTILINE | re.DOTALL)
    spec = ServerSpec("eagle3", params.target, Path("THIS_FOLDER"), params.evaluate_head, 1, None)
    ours = sglang_command(spec, params.benchmark.sglang, port=1)
    of_this_machine = {"--device", "--host", "--port", "--tp-size", "--max-running-requests", "--enable-metrics"}
    expected, found = (
        {tuple(part.split()) for part in re.split(r" (?=--)", " ".join(words))}
        for words in (ours[1:], shlex.split(command)[1:])
    )
    assert found == {part for part in expected if part[0] not in of_this_machine}


def test_the_card_says_which_norms_the_head_has_and_which_head_it_started_from() -> None:
    revision = "b" * 40
    card = card_of({}, fc_norm=True, norm_output=False, init_from="owner/head", init_revision=revision)
    assert "- EAGLE-3.1, `fc_norm`, 1 decoder layer(s)" in card
    assert f"Started from the head `owner/head` at revision `{revision}`." in card
    assert "- EAGLE-3, 1 decoder layer(s)" in card_of({}, fc_norm=False, norm_output=False)
