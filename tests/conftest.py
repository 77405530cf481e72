"""Fixtures shared by all tests: a tiny random target with its own tokenizer, and parameters that point at it."""

import gc
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, settings

from eyrie.params import Params, parse_params

REPOSITORY = Path(__file__).parent.parent
# A busy machine must not fail a test that passes on an idle one, and the same commit has the same examples.
settings.register_profile("eyrie", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("eyrie")
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
SPECIALS = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|pad|>",
]


def make_target(folder: Path, *, num_layers: int = 8, vocab_size: int = 320, seed: int = 0) -> Path:
    """Save a tiny random Llama (hidden 32, GQA) and a byte-level BPE tokenizer with a Llama-3 chat template."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=SPECIALS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(["the user asks and the assistant answers, system and user and assistant"], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        pad_token="<|pad|>",
        chat_template=LLAMA3_TEMPLATE,
    )
    fast.save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=num_layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=4,
        pad_token_id=5,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


gc.disable()  # what is imported stays, and looking for garbage in it takes seconds in every worker


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="every combination of the lineage suite, not a choice of them")


@pytest.fixture(scope="session")
def tiny_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random target with 8 layers and 320 tokens."""
    return make_target(tmp_path_factory.mktemp("tiny-target"))


def raw_params() -> dict[str, Any]:
    """params.yaml of the repository, parsed, to be edited by a test."""
    raw: dict[str, Any] = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    return raw


def tiny_params(target: Path, /, **sections: dict[str, Any]) -> Params:
    """The repository's parameters with `target`, and `sections` changed key by key."""
    raw = raw_params()
    raw["target"]["model"] = str(target)
    for section, changes in sections.items():
        raw[section] |= changes
    return parse_params(raw, origin="test")


def roles_template(condition: str) -> str:
    """A chat template that refuses a conversation unless its first role fulfils `condition`, a piece of Jinja."""
    refuse = "{% if not (messages[0].role " + condition + ") %}{{ raise_exception('Not such a beginning') }}{% endif %}"
    turns = (
        "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>{{ m.content }}<|eot_id|>{% endfor %}"
    )
    return refuse + turns


@pytest.fixture
def copy_target(tiny_target: Path, tmp_path: Path) -> Path:
    """A private copy of the tiny target, to be damaged."""
    return Path(shutil.copytree(tiny_target, tmp_path / "target"))
