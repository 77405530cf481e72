"""`eyrie estimate` against sums done by hand, against real modules, and against a run."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from eyrie.cli import app
from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.head import Eagle3Head
from eyrie.estimate.measured import compare
from eyrie.estimate.plan import Device, Estimate, Lengths, feature_bytes_per_token, make_estimate, read_device
from eyrie.estimate.sizes import TargetFacts, head_size, target_facts
from eyrie.params import Params, load_params
from tests.architectures import ARCHITECTURES
from tests.conftest import REPOSITORY, tiny_params

RECIPES = sorted(path.stem for path in (REPOSITORY / "recipes").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _in_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


def recipe(name: str) -> Params:
    return load_params(Path(f"recipes/{name}.yaml"))


def estimated(name: str, device: Device, **changes: Any) -> Estimate:
    params = recipe(name)
    params = params.model_copy(update={"select_prompts": params.select_prompts.model_copy(update=changes)})
    return make_estimate(params, target_facts(params), device, Lengths(prompt=300, answer=512))


def test_an_8b_target_has_32768_bytes_per_token_in_bf16_and_a_head_of_425_m_with_grouped_key_heads() -> None:
    params = recipe("llama-3.1-8b")
    assert feature_bytes_per_token(4096, "bf16") == 4 * 4096 * 2 == 32_768
    head = head_size(target_facts(params), params)
    assert head.fc == 3 * 4096 * 4096
    assert head.attention == 2 * 4096 * 4096 + 2 * (2 * 4096 * 8 * 128) + 4096 * 4096
    assert head.mlp == 3 * 4096 * 14336
    assert head.lm_head == 32_000 * 4096
    assert head.norms == 4 * 4096
    assert head.total == 50_331_648 + 67_108_864 + 176_160_768 + 131_072_000 + 16_384 == 424_689_664
    # with as many key and value heads as query heads it would be 475 M: 425 M is the target's own grouping
    assert head.total + 2 * 2 * 4096 * (4096 - 8 * 128) == 475_021_312


def test_int8_and_int4_bytes_per_token_are_codes_scales_and_outliers() -> None:
    each_scale, each_outlier = 2 * 4096 // 32, (2 + 2) * 8
    assert feature_bytes_per_token(4096, "int8") == 4 * (4096 + each_scale + each_outlier) == 17_536
    assert feature_bytes_per_token(4096, "int4") == 3 * (2048 + each_scale + each_outlier) + 4384 == 11_392


@pytest.mark.parametrize(
    ("name", "billions", "active"),
    [
        ("llama-3.1-8b", 8.03, 8.03),
        ("llama-3.3-70b", 70.55, 70.55),
        ("qwen3-8b", 8.19, 8.19),
        ("qwen3-30b-a3b", 30.53, 3.35),
        ("llama-4-scout", 107.77, 17.17),  # the text part
    ],
)
def test_weights_are_those_that_the_models_are_known_by(name: str, billions: float, active: float) -> None:
    facts = target_facts(recipe(name))
    assert round(facts.weights / 1e9, 2) == billions
    assert round((facts.active_weights + facts.embedding_weights) / 1e9, 2) == active


@pytest.mark.parametrize("name", ["LlamaForCausalLM", "Qwen3ForCausalLM", "Qwen3MoeForCausalLM", "Gemma3ForCausalLM"])
def test_weights_counted_from_a_configuration_are_those_of_the_model(name: str) -> None:
    config = ARCHITECTURES[name]()
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    matrices = sum(parameter.numel() for parameter in model.parameters() if parameter.ndim > 1)
    assert TargetFacts.from_config(config.to_dict(), origin="test").weights == matrices


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("changes", [{}, {"num_layers": 3, "fc_norm": True}, {"hidden_size": 16}])
def test_weights_of_a_head_are_those_of_the_module(name: str, changes: dict[str, Any], tiny_target: Path) -> None:
    config = ARCHITECTURES[name]().get_text_config()
    params = tiny_params(tiny_target, train_head={"fc_norm": False, **changes}, build_vocab={"draft_vocab_size": 100})
    section = params.train_head
    head_config = HeadConfig.from_target(
        config,
        draft_vocab_size=100,
        intermediate_size=section.intermediate_size,
        hidden_size=section.hidden_size,
        num_hidden_layers=section.num_layers,
        fc_norm=section.fc_norm,
    )
    with torch.device("meta"):
        head = Eagle3Head(head_config)
    facts = TargetFacts.from_config(config.to_dict(), origin="test")
    assert head_size(facts, params).total == sum(parameter.numel() for parameter in head.parameters())


def test_hours_and_bytes_follow_from_the_sums_that_are_shown() -> None:
    device = Device("made up", 2, flops=1e14, bytes_per_s=1e12, memory_bytes=80e9)
    estimate = estimated("llama-3.1-8b", device, max_prompts=1000)
    assert estimate.num_tokens == 812_000
    assert estimate.feature_bytes == 812_000 * 32_768
    body = 32 * (2 * 4096 * 128 * (32 + 8) + 3 * 4096 * 14336)
    attention = 4 * 32 * 32 * 128 * 406
    assert estimate.seconds["extract_features"] == pytest.approx(812_000 * (2 * body + attention) / 2e14)
    repeated = 424_689_664 - 50_331_648 - 16_384
    per_token = 6 * (50_331_648 + 7 * repeated) + 2 * 4096 * 32_000
    assert estimate.seconds["train_head"] == pytest.approx(20_000 * 16_384 * per_token / 1e14)
    read = 8_029_995_008 * 2 + 64 * 556 * 2 * 2 * 32 * 8 * 128
    prefill = 2 * (body + 128_256 * 4096) * 300_000 / 2e14
    assert estimate.seconds["generate_responses"] == pytest.approx(8000 * read / 2e12 + prefill)
    assert estimate.memory_bytes["generate_responses"] > 16.06e9


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_estimated_on_every_device(name: str) -> None:
    for gpu in ("A100", "H100", "H200", "B200", "L4"):
        estimate = estimated(name, read_device(gpu, 8))
        stages = {"generate_responses", "extract_features", "train_head", "evaluate_head", "benchmark"}
        assert stages <= {stage for stage, seconds in estimate.seconds.items() if seconds > 0}
        assert all(line.arithmetic for line in estimate.lines)
        assert estimate.lines[-1].value.endswith("USD/month")


def test_more_memory_than_there_is_is_said_with_the_number_of_gpus_that_would_do() -> None:
    estimate = estimated("llama-3.3-70b", read_device("H100", 1))
    (line,) = (line for line in estimate.lines if line.name == "extract_features, peak memory")
    assert line.arithmetic.endswith("1 x H100 of 80 GB: needs 3 of them")


def test_the_command_shows_every_figure_beside_its_sum() -> None:
    done = CliRunner().invoke(app, ["estimate", "--recipe", "llama-3.1-8b", "--gpu", "H200"])
    assert done.exit_code == 0, done.output
    assert "32,768 B/token" in done.output
    assert "424.7 M" in done.output
    assert "fc 50,331,648 + attention 67,108,864 + MLP 176,160,768 + lm_head 131,072,000" in done.output


def test_an_unknown_device_and_a_target_without_facts_are_one_sentence(tiny_target: Path) -> None:
    with pytest.raises(ValueError, match="there are A100, H100, H200, B200, L4"):
        read_device("H1000", 1)
    params = tiny_params(Path("owner/name"))
    with pytest.raises(ValueError, match="owner/name is no folder here"):
        target_facts(params)
    with pytest.raises(ValueError, match="missing key 'hidden_size'"):
        TargetFacts.from_config({"num_attention_heads": 2}, origin="config.json")


def test_after_a_run_the_estimate_stands_beside_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate = estimated("llama-3.1-8b", read_device("H100", 1))
    monkeypatch.chdir(tmp_path)
    assert compare(estimate) == []
    (tmp_path / ".eyrie").mkdir()
    timings = {
        name: {"seconds": seconds, "finished": 1.0}
        for name, seconds in (("train_head", 100.0), ("extract_features-0000", 30.0), ("extract_features-0001", 12.0))
    }
    (tmp_path / ".eyrie/timings.json").write_text(json.dumps(timings), encoding="utf-8")
    rows = {row[0]: row[2] for row in compare(estimate)}
    assert rows == {"train_head, seconds": "100", "extract_features, seconds": "42"}
