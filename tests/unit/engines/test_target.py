"""Loading a target: from its own files, only safetensors, and one sentence when that cannot work."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from eyrie.eagle3.logits import LogitScaling
from eyrie.eagle3.processes import Processes
from eyrie.eagle3.teacher import Teacher
from eyrie.engines.target import (
    TargetError,
    capture_layers,
    load_chat,
    load_target,
    resolve_device,
)
from eyrie.engines.target_ends import load_ends
from tests.architectures import SCALED, make_architecture
from tests.conftest import tiny_params
from tests.quantised import BLOCK, GROUP, QUANTISED, make_quantised


def test_a_target_gives_the_logits_of_the_model_in_its_folder(tiny_target: Path) -> None:
    target = load_target(tiny_params(tiny_target).target)
    ids = torch.tensor([[0, 10, 20, 30]])
    with torch.inference_mode():
        expected = AutoModelForCausalLM.from_pretrained(tiny_target)(ids).logits
        torch.testing.assert_close(target.logits(target.forward(ids)), expected)
    assert target.stop_token_ids == {4}


@pytest.mark.parametrize("name", SCALED)
def test_heads_are_taught_the_logits_that_the_model_makes_of_its_hidden_states(name: str, tmp_path: Path) -> None:
    params = tiny_params(make_architecture(name, tmp_path, SCALED)).target
    target, ids = load_target(params), torch.tensor([[0, 10, 20, 30]])
    teacher = Teacher(load_ends(params).lm_head_VH, LogitScaling.of(target.config), torch.arange(320))
    with torch.inference_mode():
        last = target.forward(ids)
        own = AutoModelForCausalLM.from_pretrained(tmp_path)(ids).logits
        torch.testing.assert_close(target.logits(last), own)
        torch.testing.assert_close(teacher.log_renormalised(last[0]), own[0].log_softmax(-1))


@pytest.mark.parametrize("name", SCALED)
def test_a_target_that_makes_its_logits_in_an_unknown_way_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = tiny_params(make_architecture(name, tmp_path, SCALED)).target
    monkeypatch.setattr(LogitScaling, "of", lambda _config: LogitScaling())
    with pytest.raises(TargetError, match=rf"^target {tmp_path}: {name} makes other logits .* no head can be taught"):
        load_target(params)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_rounding_is_no_other_way_to_make_logits(dtype: str, tmp_path: Path) -> None:
    for name in SCALED:
        folder = make_architecture(name, tmp_path / name, SCALED)
        load_target(tiny_params(folder, target={"model": str(folder), "dtype": dtype}).target)


def test_a_target_whose_output_matrix_has_a_bias_is_refused(copy_target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    biased = torch.nn.Linear(32, 320, bias=True)
    monkeypatch.setattr(LlamaForCausalLM, "get_output_embeddings", lambda _self: biased)
    with pytest.raises(TargetError, match="its output matrix has a bias"):
        load_target(tiny_params(copy_target).target)


def test_captured_layers_are_the_outputs_of_those_layers_and_hooks_go_away(tiny_target: Path) -> None:
    target = load_target(tiny_params(tiny_target).target)
    ids = torch.tensor([[0, 10, 20, 30]])
    with torch.inference_mode(), capture_layers(target, [1, 4]) as captured:
        target.forward(ids)
        states = target.model(ids, output_hidden_states=True).hidden_states
    assert torch.equal(captured[1], states[2])
    assert torch.equal(captured[4], states[5])
    before = captured[1]
    with torch.inference_mode():
        target.forward(ids)
    assert captured[1] is before


def test_the_ends_are_the_target_s_embedding_and_tied_lm_head(tiny_target: Path) -> None:
    ends = load_ends(tiny_params(tiny_target).target)
    embedding = load_target(tiny_params(tiny_target).target).embed_tokens.weight
    assert torch.equal(ends.embedding_VH, embedding)
    assert torch.equal(ends.lm_head_VH, embedding)


@pytest.mark.parametrize(
    ("name", "content"), [("model.safetensors", b"short"), ("config.json", b"{"), ("config.json", b'{"a": 1}')]
)
def test_a_damaged_file_ends_in_one_sentence_that_names_the_target(
    copy_target: Path, name: str, content: bytes
) -> None:
    (copy_target / name).write_bytes(content)
    with pytest.raises(TargetError) as caught:
        load_target(tiny_params(copy_target).target)
    assert str(caught.value).startswith(f"target {copy_target}: cannot be loaded: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 5, 2000])  # nothing, half a length, the header without all of its tensors
def test_truncated_weights_end_in_one_sentence_also_where_only_the_ends_are_read(copy_target: Path, kept: int) -> None:
    weights = copy_target / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(TargetError, match=rf"^{weights}: damaged safetensors file: .+$"):
        load_ends(tiny_params(copy_target).target)


def test_pickled_weights_are_never_read(copy_target: Path) -> None:
    (copy_target / "model.safetensors").unlink()
    torch.save({}, copy_target / "pytorch_model.bin")
    with pytest.raises(TargetError, match="cannot be loaded"):
        load_target(tiny_params(copy_target).target)


def test_a_named_chat_template_takes_the_place_of_the_target_s(tiny_target: Path, tmp_path: Path) -> None:
    template = tmp_path / "mine.jinja"
    template.write_text("mine: {{ messages[-1].content }}")
    named = {"model": str(tiny_target), "chat_template": str(template)}
    chat = load_chat(tiny_params(tiny_target, target=named).target)
    assert chat.text([{"role": "user", "content": "yours"}], asks=True) == "mine: yours"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("you are\n{{ messages[0].content }", r"renders no user turn: unexpected '}' \(line \d\)$"),
        ("{{ raise_exception('for images only') }}", "renders no user turn: for images only"),
        (
            "{% for m in messages %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endfor %}",
            "leaves out what",
        ),
    ],
    ids=["syntax", "refusal", "parts"],
)
def test_a_template_that_cannot_render_a_user_turn_is_refused_when_it_is_loaded(
    copy_target: Path, template: str, message: str
) -> None:
    (copy_target / "chat_template.jinja").write_text(template)
    with pytest.raises(TargetError, match=message):
        load_chat(tiny_params(copy_target).target)


def test_a_template_that_wants_a_system_prompt_is_used(copy_target: Path) -> None:
    wants = "{% if messages[0].role != 'system' %}{{ raise_exception('no system') }}{% endif %}"
    (copy_target / "chat_template.jinja").write_text(wants + "{% for m in messages %}{{ m.content }}{% endfor %}")
    load_chat(tiny_params(copy_target).target)


def test_a_setting_that_the_template_does_not_read_is_refused_by_name(copy_target: Path) -> None:
    template = copy_target / "chat_template.jinja"
    template.write_text(template.read_text() + "{% if enable_thinking %}think{% endif %}")
    for name in ("enable_thinking", "enable_thiking"):
        target = {"model": str(copy_target), "chat_template_settings": {name: False}}
        params = tiny_params(copy_target, target=target)
        if name == "enable_thinking":
            load_chat(params.target)
            continue
        with pytest.raises(
            TargetError, match=r"chat_template_settings\.enable_thiking: the chat template of .* no such"
        ):
            load_chat(params.target)


def test_cuda_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(TargetError, match="sees no CUDA device"):
        resolve_device("cuda")


def test_a_target_whose_heads_cannot_be_dealt_out_is_refused_in_one_sentence(tiny_target: Path) -> None:
    with pytest.raises(TargetError, match="2 key/value heads cannot be dealt to 3 processes"):
        load_target(tiny_params(tiny_target).target, Processes(0, 3))


def test_a_quantised_target_whose_library_is_missing_is_refused_with_its_name(copy_target: Path) -> None:
    config = json.loads((copy_target / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (copy_target / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(TargetError, match="bitsandbytes"):
        load_target(tiny_params(copy_target).target)


@pytest.mark.parametrize("kind", QUANTISED)
def test_a_quantised_target_has_the_values_that_its_checkpoint_holds_once_loaded(kind: str, tmp_path: Path) -> None:
    """Codes times scales: what is served, not the weights before they were quantised. The decoder alone is called."""
    folder = make_quantised(kind, tmp_path)
    stored, target = load_file(folder / "model.safetensors"), load_target(tiny_params(folder).target)
    name = "model.layers.3.mlp.up_proj.weight"
    weight = target.model.get_parameter(name)
    if f"{name}_packed" in stored:
        codes = weight.unflatten(1, (-1, GROUP)) / stored[f"{name}_scale"][..., None]
        assert codes.abs().max() <= 8.01
        torch.testing.assert_close(codes, codes.round())
    elif f"{name}_scale" in stored:
        torch.testing.assert_close(weight, stored[name].float() * stored[f"{name}_scale"])
    else:
        scale = stored[f"{name}_scale_inv"].repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
        torch.testing.assert_close(weight, stored[name].float() * scale)
    assert target.forward(torch.tensor([[0, 7, 9]])).isfinite().all()
    with pytest.raises(TargetError, match="num_processes must be 1"):
        load_target(tiny_params(folder).target, Processes(0, 2))
