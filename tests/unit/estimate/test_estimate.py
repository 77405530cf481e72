"""`eyrie estimate` against sums done by hand, against real modules, and against a run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, DeepseekV3Config, Gemma3Config, MixtralConfig
from typer.testing import CliRunner

from eyrie.cli import app
from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.head import Eagle3Head
from eyrie.engines.slots import num_slots
from eyrie.estimate import measured
from eyrie.estimate.lines import Device, Estimate, Lengths, read_device
from eyrie.estimate.measured import compare
from eyrie.estimate.plan import SCREENING_CORE_HOURS_PER_MILLION, feature_bytes_per_token, make_estimate
from eyrie.estimate.sizes import TargetFacts, head_size, target_facts
from eyrie.io import write_json
from eyrie.params import Params, load_params
from tests.architectures import ARCHITECTURES
from tests.conftest import REPOSITORY, tiny_params
from tests.unit.report.made_up import benchmark_documents, write_inputs

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


def test_an_8b_target_has_32768_bytes_per_token_in_bf16() -> None:
    assert feature_bytes_per_token(4096, "bf16") == (3 + 1) * 4096 * 2 == 32_768


def test_425_m_weights_are_an_8b_head_with_the_target_s_8_key_value_heads_and_475_m_with_full_heads() -> None:
    """4,096 wide, 32 query heads of 128, MLP of 14,336, 32,000 draft tokens; EAGLE-3.1 adds three norms of 4,096."""
    params = recipe("llama-3.1-8b")
    facts = target_facts(params)
    grouped = head_size(facts, params)
    assert grouped.fc == 3 * 4096 * 4096 == 50_331_648
    assert grouped.attention == 8192 * (4096 + 1024 + 1024) + 4096 * 4096 == 67_108_864
    assert grouped.mlp == 3 * 4096 * 14336 == 176_160_768
    assert grouped.lm_head == 32_000 * 4096 == 131_072_000
    assert grouped.norms == 4 * 4096 + 3 * 4096 == 28_672
    assert grouped.total == 50_331_648 + 67_108_864 + 176_160_768 + 131_072_000 + 28_672 == 424_701_952
    full = head_size(replace(facts, num_kv_heads=32), params)
    assert full.attention == 8192 * 3 * 4096 + 4096 * 4096 == 117_440_512
    assert full.total == grouped.total + 117_440_512 - 67_108_864 == 475_033_600


HAND = {  # hidden size; query and key/value width; MLP; norms aside: fc + attention + MLP + 32,000 x hidden size
    "llama-3.1-8b": (4096, 32 * 128, 8 * 128, 14336, 424_673_280),
    "llama-3.3-70b": (8192, 64 * 128, 8 * 128, 28672, 1_402_994_688),
    "llama-4-scout": (5120, 40 * 128, 8 * 128, 32768, 845_414_400),
    "qwen3-8b": (4096, 32 * 128, 8 * 128, 12288, 399_507_456),
    "qwen3-30b-a3b": (2048, 32 * 128, 4 * 128, 12288, 182_976_512),
    "gemma-3-12b": (3840, 16 * 256, 8 * 256, 15360, 422_707_200),
    "gpt-oss-20b": (2880, 64 * 64, 8 * 64, 17280, 307_630_080),
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_printed_figures_of_a_recipe_are_those_of_a_sum_by_hand(name: str) -> None:
    hidden, query, key_value, mlp, weights = HAND[name]
    attention = 2 * hidden * (query + 2 * key_value) + query * hidden
    assert 3 * hidden * hidden + attention + 3 * hidden * mlp + 32_000 * hidden == weights
    done = CliRunner().invoke(app, ["estimate", "--recipe", name, "--gpu", "H200", "--num-gpus", "8"])
    assert done.exit_code == 0, done.output
    printed = {line[:34].strip(): line[34:] for line in done.output.splitlines()}
    assert f" {(weights + 7 * hidden) / 1e6:.1f} M " in printed["head weights"]
    (bf16,) = (text for what, text in printed.items() if what.startswith("features, bf16"))
    assert f" {8 * hidden:,} B/token, {8 * hidden * 81.2e6 / 1e9:,.1f} GB " in bf16
    assert " 81.2 M  = 100,000 prompts (max_prompts) x (300 prompt + 512 answer, assumed)" in printed["tokens"]
    chosen = {"bf16": 8 * hidden, "int8": 4 * (hidden + hidden // 16 + hidden // 128)}[
        recipe(name).extract_features.encoding
    ]  # codes, scales, outliers
    stored = chosen * 81.2e6 + 2 * (weights + 7 * hidden) + 8 * 81.2e6
    assert f" {stored / 1e9 * 0.02:,.2f} USD/month " in printed["Cloud Storage"]


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


@pytest.mark.parametrize(
    ("config", "billions", "active", "cached"),
    [
        (DeepseekV3Config(), 671.03, 36.63, 61 * (512 + 64) * 2),  # latent attention, shared experts, dense layers
        (MixtralConfig(), 46.70, 12.75, 32 * 2 * 8 * 128 * 2),
        (Gemma3Config(text_config={"num_hidden_layers": 34}), 3.25, 3.25, 34 * 2 * 4 * 256 * 2),  # the rest left out
    ],
    ids=["DeepSeek-V3", "Mixtral", "Gemma 3"],
)
def test_weights_of_a_folders_target_are_counted_in_the_model_that_its_config_makes(
    tmp_path: Path, config: Any, billions: float, active: float, cached: int
) -> None:
    config.save_pretrained(tmp_path)
    facts = target_facts(tiny_params(tmp_path))
    assert round(facts.weights / 1e9, 2) == billions
    assert round(facts.active_weights / 1e9, 2) == active
    assert facts.kv_bytes_per_token("bfloat16") == cached


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("changes", [{}, {"num_layers": 3, "fc_norm": True}, {"hidden_size": 16}, {"hidden_size": 18}])
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
    lines = {line.name: line for line in estimate.lines}
    assert lines["target weights"].arithmetic.endswith("; 8.03 B of them for one token")
    assert estimate.seconds["filter_prompts"] == pytest.approx(1000 * SCREENING_CORE_HOURS_PER_MILLION * 3600 / 1e6)
    body = 32 * (2 * 4096 * 128 * (32 + 8) + 3 * 4096 * 14336)
    attention = 4 * 32 * 32 * 128 * 406
    assert estimate.seconds["extract_features"] == pytest.approx(812_000 * (2 * body + attention) / 2e14)
    repeated = 424_701_952 - 50_331_648 - 28_672
    per_token = 6 * (50_331_648 + 7 * repeated) + 2 * 4096 * 32_000
    assert estimate.seconds["train_head"] == pytest.approx(20_000 * 16_384 * per_token / 1e14)
    block = 2 * (4 * 4096 + 3 * 14336) + 8 * 4096
    assert estimate.memory_bytes["extract_features"] == 8_029_995_008 * 2 + 16_384 * block
    rates = (
        estimate.feature_bytes / estimate.seconds["extract_features"],
        20_000 * 16_384 * 32_768 / estimate.seconds["train_head"],
    )
    assert lines["disk"].value == "{:.2g} GB/s to write, {:.2g} GB/s to read".format(*(rate / 1e9 for rate in rates))
    read = 8_029_995_008 * 2 + 64 * 556 * 2 * 2 * 32 * 8 * 128
    prefill = 2 * (body + 128_256 * 4096) * 300_000 / 2e14
    assert estimate.seconds["generate_responses"] == pytest.approx(8000 * read / 2e12 + prefill)
    assert estimate.memory_bytes["generate_responses"] == 8_029_995_008 * 2 + 64 * 812 * 2 * 2 * 32 * 8 * 128
    state, ends, decoding = 16 * 424_701_952, 2 * 128_256 * 4096 * 2, 2 * (8_029_995_008 + 424_701_952)
    activations = 4096 * 7 * (12 * 4096 + 3 * 14336) * 2
    caches = 8 * 3072 * 2 * 2 * 32 * 8 * 128
    assert estimate.memory_bytes["train_head"] == state + activations + ends + decoding + caches
    at_once = 32_768 // (3072 + 512)
    assert at_once == num_slots(100, 3072 + 512) == 9
    caches = at_once * (3072 + 512) * 2 * 2 * 32 * 8 * 128
    assert estimate.memory_bytes["evaluate_head"] == 8_029_995_008 * 2 + caches + 2 * 2 * 424_701_952
    params = recipe("llama-3.1-8b")
    params = params.model_copy(update={"target": params.target.model_copy(update={"dtype": "float32"})})
    wide = make_estimate(params, target_facts(params), device, Lengths(prompt=300, answer=512))
    assert wide.memory_bytes["evaluate_head"] == 2 * estimate.memory_bytes["evaluate_head"]  # caches are wider, too


def test_a_step_takes_its_products_where_they_take_longer_than_reading() -> None:
    slow = Device("made up", 2, flops=1e12, bytes_per_s=1e12, memory_bytes=80e9)
    estimate = estimated("llama-3.1-8b", slow, max_prompts=1000)
    active = 8_029_995_008 - 128_256 * 4096
    steps, prefill = 1000 * 512 / 64, 2 * active * 300_000 / 2e12
    assert estimate.seconds["generate_responses"] == pytest.approx(steps * 2 * active * 64 / 2e12 + prefill)


def test_the_hours_of_measuring_are_those_of_the_steps_the_prompts_and_the_clients_starts() -> None:
    device = Device("made up", 2, flops=1e14, bytes_per_s=1e12, memory_bytes=80e9)
    params = recipe("llama-3.1-8b")
    bench = params.benchmark
    assert (bench.engine, bench.concurrency, bench.num_prompts, bench.output_tokens) == ("sglang", [1, 4, 16], 16, 256)
    facts, lengths = target_facts(params), Lengths(prompt=300, answer=512)
    estimate = make_estimate(params, facts, device, lengths)
    weights, cache, active = 8_029_995_008 * 2, 2 * 2 * 32 * 8 * 128, 8_029_995_008 - 128_256 * 4096
    steps = 2 * 100 * 512 / 9
    assert estimate.seconds["evaluate_head"] == pytest.approx(steps * (weights + 9 * (300 + 256) * cache) / 2e12)
    requests = 2 * 2 * 6 * 16  # arms, repeats, workloads, prompts
    read = {1: 2 * active, 4: weights, 16: weights}  # one token needs one row of the embedding
    answers = sum(requests * 256 / level * (read[level] + level * (300 + 128) * cache) / 2e12 for level in read)
    prompts = 3 * requests * 300 * 2 * active / 2e14
    starts = 2 * 2 * 6 * 3 * 15
    assert estimate.seconds["benchmark"] == pytest.approx(answers + prompts + starts)
    (line,) = (line for line in estimate.lines if line.name == "benchmark")
    assert " + 1080 s in which SGLang's client starts, 15 a load;" in line.arithmetic
    here = params.model_copy(update={"benchmark": bench.model_copy(update={"engine": "reference"})})
    assert make_estimate(here, facts, device, lengths).seconds["benchmark"] == pytest.approx(answers + prompts)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_estimated_on_every_device(name: str) -> None:
    for gpu in ("A100", "H100", "H200", "B200", "L4"):
        estimate = estimated(name, read_device(gpu, 8))
        stages = {"generate_responses", "extract_features", "train_head", "evaluate_head", "benchmark"}
        assert stages <= {stage for stage, seconds in estimate.seconds.items() if seconds > 0}
        assert all(line.arithmetic for line in estimate.lines)
        assert estimate.lines[-1].value.endswith("USD/month")


def test_an_l4_answers_fewer_at_a_time_and_trains_without_decoding() -> None:
    estimate = estimated("llama-3.1-8b", read_device("L4", 1))
    lines = {line.name: line.arithmetic for line in estimate.lines}
    assert "weights + 52 caches x 812 tokens (of 64: the rest waits)" in lines["generate_responses, peak memory"]
    assert "L4 of 24 GB: does not fit: decode_prompts: 0" in lines["train_head, peak memory of a GPU"]


def test_fsdp_deals_the_state_of_training_to_all_gpus() -> None:
    """The 70B head: 22.4 GB of weights, gradients and moments, an eighth on each, and 11.2 GB whole in a step."""
    estimate = estimated("llama-3.3-70b", read_device("H100", 8))
    (line,) = (line for line in estimate.lines if line.name == "train_head, peak memory of a GPU")
    assert line.arithmetic.startswith(
        "16 bytes x head / 8 (2.8) + its weights and gradients whole (11.2) + activations"
    )


def test_more_memory_than_there_is_is_said_with_the_number_of_gpus_that_would_do() -> None:
    estimate = estimated("llama-3.3-70b", read_device("H100", 1))
    (line,) = (line for line in estimate.lines if line.name == "extract_features, peak memory")
    assert line.arithmetic.endswith("1 x H100 of 80 GB: needs 3 of them")


def test_an_unknown_device_and_a_target_without_facts_are_one_sentence(tiny_target: Path) -> None:
    with pytest.raises(ValueError, match="there are A100, H100, H200, B200, L4"):
        read_device("H1000", 1)
    params = tiny_params(Path("owner/name"))
    with pytest.raises(ValueError, match="owner/name is no folder here"):
        target_facts(params)
    with pytest.raises(ValueError, match="missing key 'hidden_size'"):
        TargetFacts.from_config({"num_attention_heads": 2, "text_config": None}, origin="config.json")


def test_after_a_run_the_estimate_stands_beside_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate = estimated("llama-3.1-8b", read_device("H100", 1))
    monkeypatch.chdir(tmp_path)
    assert compare(estimate, same_device=True) == []
    (tmp_path / ".eyrie").mkdir()
    timings = {
        name: {"seconds": seconds, "finished": finished}
        for name, seconds, finished in (
            ("train_head", 100.0, 1000.0),
            ("extract_features-0000", 30.0, 130.0),  # side by side for 8 of 34 seconds
            ("extract_features-0001", 12.0, 134.0),
        )
    }
    (tmp_path / ".eyrie/timings.json").write_text(json.dumps(timings), encoding="utf-8")
    rows = {row[0]: row[2] for row in compare(estimate, same_device=True)}
    assert rows == {"train_head, seconds": "100", "extract_features, seconds": "34"}
    assert compare(estimate, same_device=False) == []
    write_inputs(tmp_path / "reports")
    assert compare(estimate, same_device=False) == [
        ("tokens", "81,200,000", "290,144", "0.00"),
        ("feature bytes", f"{81_200_000 * 32_768:,}", "374,285,760", "0.00"),
        ("head weights", "424,701,952", "868,000", "0.00"),
    ]
    estimate.num_tokens, estimate.feature_bytes = 290_144 // 2, 0
    assert [row[3] for row in compare(estimate, same_device=False)] == ["2.00", "-", "0.00"]


def test_a_run_is_compared_with_as_many_gpus_as_its_servers_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, document = benchmark_documents(engine="sglang", device="cuda: NVIDIA H100 80GB HBM3")
    monkeypatch.setattr(measured, "BENCHMARK", tmp_path / "benchmark.json")
    write_json(measured.BENCHMARK, document)
    assert measured.measured_device(recipe("llama-3.3-70b")) == ("H100", 8)
