"""The demo target at other sizes computes what it computed."""

import pytest
import torch
from transformers import LlamaForCausalLM

from tests.conftest import REPOSITORY
from tools.demo.widen import widen

SIZES = {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 7000,
}


def test_a_widened_target_gives_the_logits_of_the_demo_target_and_never_a_token_that_the_tokenizer_lacks() -> None:
    narrow = LlamaForCausalLM.from_pretrained(REPOSITORY / "resources/demo-target", dtype=torch.float32).eval()
    wide = widen(narrow, SIZES)
    ids = torch.randint(10, 6000, (2, 60), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = narrow(ids).logits, wide(ids).logits
    assert found.shape == (2, 60, 7000)
    torch.testing.assert_close(found[..., :6144], expected, rtol=1e-3, atol=2e-3)
    assert torch.equal(found.argmax(-1), expected.argmax(-1))
    assert wide.model.layers[1].mlp.down_proj.weight.abs().max() > 0
    assert sum(layer.mlp.down_proj.weight.abs().max() == 0 for layer in wide.model.layers) == 6


def test_sizes_that_cannot_hold_the_demo_target_are_refused_by_name() -> None:
    narrow = LlamaForCausalLM.from_pretrained(REPOSITORY / "resources/demo-target", dtype=torch.float32)
    with pytest.raises(ValueError, match="num_hidden_layers is 4, less than the narrow target's"):
        widen(narrow, SIZES | {"num_hidden_layers": 4})
    with pytest.raises(ValueError, match="one key/value head"):
        widen(narrow, SIZES | {"head_dim": 48})
