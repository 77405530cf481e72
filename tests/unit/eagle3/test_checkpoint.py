"""The exported folder: exact names and shapes, and a refusal for everything else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from eyrie.eagle3.checkpoint import CheckpointError, check_head, load_head, save_head
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.spread import as_exported
from tests.unit.eagle3.tiny import KINDS, target_config, tiny

CPU = torch.device("cpu")
H, Q, KV, M, D, V = 24, 32, 16, 20, 16, 40
SHAPES = {
    "fc.weight": [H, 3 * H],
    "midlayer.self_attn.q_proj.weight": [Q, 2 * H],
    "midlayer.self_attn.k_proj.weight": [KV, 2 * H],
    "midlayer.self_attn.v_proj.weight": [KV, 2 * H],
    "midlayer.self_attn.o_proj.weight": [H, Q],
    "midlayer.mlp.gate_proj.weight": [M, H],
    "midlayer.mlp.up_proj.weight": [M, H],
    "midlayer.mlp.down_proj.weight": [H, M],
    "midlayer.hidden_norm.weight": [H],
    "midlayer.input_layernorm.weight": [H],
    "midlayer.post_attention_layernorm.weight": [H],
    "norm.weight": [H],
    "lm_head.weight": [D, H],
    "d2t": [D],
    "t2d": [V],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "head"
    save_head(tiny(torch.float32).head, path, model_card="# card\n")
    return path


def load(folder: Path, dtype: torch.dtype = torch.float32, **changes: object) -> Eagle3Head:
    return load_head(folder, target_config(**changes), device=CPU, dtype=dtype)


def test_names_shapes_and_kinds_are_those_engines_read(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    assert {name: list(tensor.shape) for name, tensor in tensors.items()} == SHAPES
    kinds = {"d2t": torch.int64, "t2d": torch.bool}
    assert all(tensor.dtype == kinds.get(name, torch.bfloat16) for name, tensor in tensors.items())
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_round_trip(folder: Path, dtype: torch.dtype) -> None:
    original, read = tiny(torch.float32).head, load(folder, dtype)
    assert read.config == original.config
    assert not read.training
    for name, tensor in original.state_dict().items():
        expected = tensor.bfloat16().to(dtype) if tensor.is_floating_point() else tensor
        assert torch.equal(read.state_dict()[name], expected), name
    assert read.fc.weight.dtype == dtype
    assert not any(parameter.requires_grad for parameter in read.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_training_decodes_with_is_what_the_file_holds(folder: Path, dtype: torch.dtype) -> None:
    head, random_state = tiny(torch.float32).head, torch.get_rng_state()
    copied = as_exported(head, CPU, dtype)
    assert torch.equal(torch.get_rng_state(), random_state)
    read = load(folder, dtype)
    copy, expected = copied.state_dict(), read.state_dict()
    assert copy.keys() == expected.keys()
    assert all(torch.equal(copy[name], expected[name]) for name in expected)
    assert torch.equal(copied.frequencies_D, read.frequencies_D)
    assert all(
        weight.data_ptr() not in {mine.data_ptr() for mine in copied.parameters()} for weight in head.parameters()
    )


def test_rotary_frequencies_stay_exact_in_bfloat16(folder: Path) -> None:
    assert torch.equal(load(folder, torch.bfloat16).frequencies_D, load(folder).frequencies_D)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_loaded_head_drafts(folder: Path, dtype: torch.dtype) -> None:
    head = load(folder, dtype)
    head.fuse_for_inference()
    embeds, aux = torch.randn(1, 3, H, dtype=dtype), torch.randn(1, 3, 3 * H, dtype=dtype)
    hidden = head(embeds, head.fuse(aux), torch.arange(3)[None], cache=None, mask_B1TS=None)
    assert hidden.dtype == dtype
    assert head.t2d[head.to_target_ids(head.logits(hidden).argmax(-1))].all()


def test_same_head_same_bytes(folder: Path, tmp_path: Path) -> None:
    save_head(tiny(torch.float32).head, tmp_path / "again", model_card="# card\n")
    for name in ("model.safetensors", "config.json", "README.md"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 32}, "target_hidden_size is 24, but the target served needs 32"),
        ({"vocab_size": 41}, "vocab_size is 40, but the target served needs 41"),
        ({"num_hidden_layers": 12}, r"aux_layer_ids is \(1, 3, 4\), but the target served needs \(1, 5, 8\)"),
    ],
)
def test_a_head_of_another_target_is_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load(folder, **changes)


def _rename(tensors: dict[str, Tensor]) -> None:
    tensors["final.norm.weight"] = tensors.pop("norm.weight")


def _drop(tensors: dict[str, Tensor]) -> None:
    del tensors["d2t"]


def _reshape(tensors: dict[str, Tensor]) -> None:
    tensors["lm_head.weight"] = tensors["lm_head.weight"][:-1].clone()


def _widen(tensors: dict[str, Tensor]) -> None:
    tensors["fc.weight"] = tensors["fc.weight"].double()


def _stale(tensors: dict[str, Tensor]) -> None:
    tensors["d2t"] = tensors["d2t"] + 40


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_rename, r"missing tensors \['norm.weight'\], unknown tensors \['final.norm.weight'\]"),
        (_drop, r"missing tensors \['d2t'\], unknown tensors none"),
        (_reshape, r"lm_head.weight is \[15, 24\] torch.bfloat16, expected \[16, 24\]"),
        (_widen, r"fc.weight is \[24, 72\] torch.float64, expected .* torch.bfloat16"),
        (_stale, r"outside 0 to 39"),
    ],
)
def test_wrong_tensors_are_refused_by_name(
    folder: Path, damage: Callable[[dict[str, Tensor]], None], message: str
) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    damage(tensors)
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=message) as raised:
        load(folder)
    assert str(path) in str(raised.value)


def test_damaged_files_are_refused_by_path(folder: Path) -> None:
    weights, config = folder / "model.safetensors", folder / "config.json"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"model.safetensors: damaged"):
        load(folder)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"model.safetensors: no such file"):
        load(folder)
    config.write_text("{")
    with pytest.raises(CheckpointError, match=r"config.json: cannot be read as JSON"):
        load(folder)
    config.unlink()
    with pytest.raises(CheckpointError, match=r"config.json: no such file"):
        load(folder)


def test_a_head_with_an_unset_vocabulary_is_not_exported(tmp_path: Path) -> None:
    head = tiny(torch.float32).head
    head.t2d.zero_()
    with pytest.raises(CheckpointError, match="t2d marks 0 ids"):
        save_head(head, tmp_path / "head", model_card="")
    assert not (tmp_path / "head" / "model.safetensors").exists()


def test_the_config_file_is_plain_json(folder: Path) -> None:
    assert json.loads((folder / "config.json").read_text())["eagle_config"]["eagle_aux_hidden_state_layer_ids"] == [
        1,
        3,
        4,
    ]


def test_a_later_layers_norm_stands_under_the_name_that_sglang_reads_and_the_one_that_vllm_reads(
    tmp_path: Path,
) -> None:
    head = tiny(torch.float32, kind=KINDS["three layers"]).head
    save_head(head, tmp_path, model_card="")
    weights = tmp_path / "model.safetensors"
    tensors = load_file(weights)
    for layer in (1, 2):
        sglang, vllm = (tensors[f"layers.{layer}.{name}.weight"] for name in ("hidden_norm", "input_layernorm"))
        assert torch.equal(sglang, vllm)
        assert torch.equal(sglang, head.state_dict()[f"layers.{layer}.hidden_norm.weight"].bfloat16())
    assert not torch.equal(tensors["midlayer.hidden_norm.weight"], tensors["midlayer.input_layernorm.weight"])
    assert load(tmp_path).config == check_head(tmp_path, target_config(), context_length=None) == head.config

    tensors["layers.2.input_layernorm.weight"] += 0.5
    save_file(tensors, weights)
    message = r"layers.2.hidden_norm.weight, which SGLang reads, is not layers.2.input_layernorm.weight"
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        check_head(tmp_path, target_config(), context_length=None)

    for layer in (1, 2):  # as SGLang's trainer writes them
        del tensors[f"layers.{layer}.input_layernorm.weight"]
    save_file(tensors, weights)
    assert load(tmp_path).config == head.config


def publish(head: Eagle3Head, folder: Path) -> None:
    """Write a head as those of the EAGLE-3 paper are: float16, few keys, a copy of the embedding, no t2d."""
    folder.mkdir(exist_ok=True)
    tensors = {name: t.half() if t.is_floating_point() else t for name, t in head.state_dict().items()}
    tensors["embed_tokens.weight"] = torch.zeros(V, H).half()
    del tensors["t2d"]
    save_file(tensors, folder / "model.safetensors")
    keys = ("architectures", "hidden_size", "intermediate_size", "max_position_embeddings", "num_attention_heads")
    keys += ("num_key_value_heads", "head_dim", "rms_norm_eps", "vocab_size", "draft_vocab_size")
    raw = head.config.to_json()
    (folder / "config.json").write_text(json.dumps({key: raw[key] for key in keys}))


def test_a_published_head_drafts_for_its_target(tmp_path: Path) -> None:
    head = tiny(torch.float32).head
    publish(head, tmp_path)
    read = load(tmp_path)
    assert read.config.aux_layer_ids == head.config.aux_layer_ids
    assert torch.equal(read.t2d, head.t2d)
    torch.testing.assert_close(read.fc.weight, head.fc.weight, rtol=0.01, atol=0.01)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model.bin is a pickle, which can run code when it is read"):
        load(tmp_path)
