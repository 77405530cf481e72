"""params.yaml: complete, strict, and refused with path, value and bound."""

import datetime
import re
from pathlib import Path
from typing import Any

import pytest

from eyrie.lineage.layout import STAGES
from eyrie.params import Drafting, Params, ParamsError, load_params, parse_params
from tests.conftest import REPOSITORY, raw_params


def _set(raw: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    node = raw
    for part in parents:
        node = node[part]
    node[last] = value


def test_the_shipped_file_is_valid_and_complete() -> None:
    assert isinstance(load_params(REPOSITORY / "params.yaml"), Params)


def test_every_stage_has_a_section_of_its_name_and_no_other_section_exists() -> None:
    assert [*Params.model_fields] == ["target", *STAGES, "tune"]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("train_head.learning_rate", "fast", ["train_head.learning_rate", "'fast'"]),
        ("train_head.learning_rate", 2.0, ["train_head.learning_rate", "less than 1", "2.0"]),
        ("train_head.lerning_rate", 0.1, ["train_head.lerning_rate", "unknown key"]),
        ("generate_responses.num_shards", 0, ["generate_responses.num_shards", "greater than or equal to 1", "0"]),
        ("generate_responses.num_shards", "2", ["generate_responses.num_shards", "'2'"]),
        ("generate_responses.num_shards", True, ["generate_responses.num_shards", "True"]),
        ("select_prompts.workload_mix", {"chat": 0.5}, ["select_prompts", "sum to 1", "0.5"]),
        ("select_prompts.workload_mix", {"Poetry": 1.0}, ["select_prompts.workload_mix", "'Poetry'", "a-z"]),
        ("benchmark.arms", ["eagle3", "baseline"], ["benchmark", "baseline comes first", "eagle3 does here"]),
        ("benchmark.workloads", ["all"], ["benchmark.workloads.0", "'all'", "not all or default"]),
        (
            "generate_responses.sampling",
            {name: {"max_new_tokens": 1, "temperature": 0.0, "top_p": 1.0} for name in ("default", "two words")},
            ["generate_responses", "'two words'", "a workload is a name"],
        ),
        ("select_prompts.system_prompt", "a\ud800b", ["select_prompts.system_prompt: a text with", "lone surrogate"]),
        ("filter_prompts.quarantine", ".eyrie/a\0b", ["filter_prompts.quarantine: a text with a null byte"]),
        ("target.chat_template_settings", {"days": ["\ud800"]}, ["target.chat_template_settings.days.0: a text with"]),
        ("filter_prompts.policy", {"PERSON": "hide"}, ["filter_prompts.policy.PERSON", "'hide'"]),
        ("filter_prompts.backend", "cloud_dlp", ["filter_prompts", "cloud_dlp.project must be set"]),
        ("filter_prompts.entity_thresholds", {"PERSONS": 0.5}, ["filter_prompts", "PERSONS is not in the policy"]),
        ("filter_prompts.entity_thresholds", {"PERSON": 1.5}, ["filter_prompts.entity_thresholds.PERSON", "1.5"]),
        ("filter_prompts.cloud_dlp.info_types", {}, ["filter_prompts.cloud_dlp.info_types", "at least 1"]),
        ("evaluate_head.num_draft_tokens", 9, ["evaluate_head", "num_steps + 1", "9"]),
        ("train_head.warmup_steps", 300, ["train_head", "warmup_steps (300) must be less than max_steps (300)"]),
        ("benchmark", None, ["benchmark"]),
        ("target.template_date", datetime.date(2026, 1, 1), ["target.template_date: 2026-01-01", "(date)", "quotes"]),
        ("target.chat_template_settings", {"a": [float("inf")]}, ["target.chat_template_settings.a.0: inf", "(float)"]),
        ("target.chat_template_settings", {"a": b"x"}, ["target.chat_template_settings.a: b'x'", "(bytes)"]),
        ("target.chat_template_settings", {"a": {"x"}}, ["target.chat_template_settings.a: {'x'}", "(set)"]),
        ("target.chat_template_settings", {"a": {1: 2}}, ["target.chat_template_settings.a: the key 1", "quotes"]),
    ],
)
def test_a_wrong_value_is_named_with_its_path_and_bound(path: str, value: Any, expected: list[str]) -> None:
    raw = raw_params()
    _set(raw, path, value)
    with pytest.raises(ParamsError) as caught:
        parse_params(raw, origin="params.yaml")
    message = str(caught.value)
    assert message.startswith("params.yaml: ")
    assert "\n" not in message
    for part in expected:
        assert part in message


def test_every_key_is_required() -> None:
    raw = raw_params()
    del raw["train_head"]["seed"]
    with pytest.raises(ParamsError, match=r"train_head\.seed: missing key"):
        parse_params(raw, origin="params.yaml")


HUB = {"path": None, "hub": "owner/name", "hub_split": "train"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (HUB, "pinned revision"),
        (HUB | {"revision": "main"}, r"sources\.0\.revision: .*\[0-9a-f\]\{40\}.* \(got 'main'\)"),
        ({"hub": "owner/name"}, "exactly one of path and hub"),
        ({"workload": "chat"}, "exactly one of workload and workload_column"),
        ({"turns": "alpaca"}, "column must be set for messages, conversations and text, and null for"),
        ({"column": None}, "column must be set for messages, conversations and text, and null for"),
    ],
)
def test_a_source_that_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    raw = raw_params()
    raw["select_prompts"]["sources"][0] |= changes
    with pytest.raises(ParamsError, match=message):
        parse_params(raw, origin="params.yaml")


def test_a_surrogate_that_nobody_makes_is_refused() -> None:
    raw = raw_params()
    raw["filter_prompts"]["policy"]["PERSON"] = "surrogate"
    with pytest.raises(ParamsError, match=r"policy\.PERSON: surrogates exist for EMAIL_ADDRESS, PHONE_NUMBER"):
        parse_params(raw, origin="params.yaml")


def test_a_password_in_a_sources_address_is_refused_and_not_shown() -> None:
    raw = raw_params()
    raw["select_prompts"]["sources"][0]["path"] = "https://me:hush@logs.example/x.jsonl"
    with pytest.raises(ParamsError, match="has no user and password") as caught:
        parse_params(raw, origin="params.yaml")
    assert "hush" not in str(caught.value)


def test_the_mix_is_given_once() -> None:
    raw = raw_params()
    raw["select_prompts"]["workload_mix"] = None
    with pytest.raises(ParamsError, match="exactly one of workload_mix and traffic_sample must be set"):
        parse_params(raw, origin="params.yaml")


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ("benchmark", {"arms": ["baseline"]}, "arms must hold baseline and eagle3; eagle3 is missing"),
        ("benchmark", {"arms": ["baseline", "eagle3", "chain", "chain"]}, "arms: each one once"),
        ("benchmark", {"arms": ["baseline", "eagle3", "eagle3_no_overlap"]}, "eagle3_no_overlap needs engine sglang"),
        ("benchmark", {"concurrency": [2, 2]}, "concurrency: each one once"),
        ("benchmark", {"num_prompts": 3}, "num_prompts must be at least the highest concurrency, 4, not 3"),
        ("tune", {"topk": [4], "num_draft_tokens": [2, 4]}, "no num_draft_tokens fits any num_steps and topk"),
        ("tune", {"concurrency": [1, 1]}, "concurrency: each one once"),
    ],
)
def test_measurements_that_make_no_sense_are_refused(section: str, changes: dict[str, Any], message: str) -> None:
    raw = raw_params()
    raw[section] |= changes
    with pytest.raises(ParamsError, match=message):
        parse_params(raw, origin="params.yaml")


def test_every_arm_drafts_its_own_shape() -> None:
    section = parse_params(raw_params(), origin="params.yaml").benchmark
    chain = Drafting(num_steps=section.num_steps, topk=1, num_draft_tokens=section.num_steps + 1)
    assert section.drafting("baseline") is None
    assert section.drafting("eagle3") == section.drafting("eagle3_no_overlap")
    assert section.drafting("chain") == chain
    assert section.drafting("tree") == section.tree


def test_the_tuner_tries_every_shape_that_can_be_and_a_chain_once() -> None:
    raw = raw_params()
    raw["tune"] |= {"num_steps": [1, 2], "topk": [1, 2], "num_draft_tokens": [3, 7, 9]}
    shapes = parse_params(raw, origin="params.yaml").tune.shapes
    found = [(shape.num_steps, shape.topk, shape.num_draft_tokens) for shape in shapes]
    assert found == [(1, 1, 2), (1, 2, 3), (2, 1, 3), (2, 2, 3), (2, 2, 7)]


@pytest.mark.parametrize(
    ("extra_args", "gpus"),
    [([], 2), (["--dp-size", "2"], 4), (["--dp_size=2", "--pipeline-parallel-size", "3"], 12), (["--dp-size"], 2)],
)
def test_every_replica_and_pipeline_stage_of_a_server_has_gpus_of_its_own(extra_args: list[str], gpus: int) -> None:
    section = load_params(REPOSITORY / "params.yaml").benchmark.sglang
    assert section.model_copy(update={"tp_size": 2, "extra_args": extra_args}).num_gpus == gpus


@pytest.mark.parametrize("spelling", ["0.00005", "5e-05", "5e-5", "5.0E-5", ".5e-4"])
def test_a_small_number_may_be_written_as_dvc_and_people_write_it(tmp_path: Path, spelling: str) -> None:
    path = tmp_path / "params.yaml"
    text = (REPOSITORY / "params.yaml").read_text(encoding="utf-8")
    path.write_text(re.sub(r"learning_rate: \S+", f"learning_rate: {spelling}", text), encoding="utf-8")
    assert load_params(path).train_head.learning_rate == 0.00005


@pytest.mark.parametrize("content", ["", "- a list\n", "target: [unclosed\n", "\xff"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        load_params(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"nowhere\.yaml: no such file"):
        load_params(tmp_path / "nowhere.yaml")


def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    shipped = (REPOSITORY / "params.yaml").read_text()
    path.write_text(shipped.replace("    IP_ADDRESS: redact", "    IP_ADDRESS: redact\n    PERSON: keep"))
    line = path.read_text().splitlines().index("    PERSON: keep") + 1
    with pytest.raises(ParamsError, match=rf"params\.yaml: .*PERSON stands twice .*line {line}, ") as caught:
        load_params(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            "{today: 12:30}",
            r"cannot be read as YAML: a text with ':' inside .* needs quotes: '12:30' in .*, line {line}, ",
        ),
        ("{today: 2026-01-01}", r"target\.chat_template_settings\.today: 2026-01-01 .* put quotes around it"),
        ("{a: &a [*a]}", "nested too deeply; an alias may stand inside its own anchor"),
    ],
)
def test_what_dvc_could_not_read_or_hold_is_refused_when_the_file_is_loaded(
    tmp_path: Path, settings: str, expected: str
) -> None:
    path = tmp_path / "params.yaml"
    shipped = (REPOSITORY / "params.yaml").read_text(encoding="utf-8")
    path.write_text(re.sub("chat_template_settings: .*", f"chat_template_settings: {settings}", shipped))
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if settings in text)
    with pytest.raises(ParamsError, match=rf"params\.yaml: {expected.replace('{line}', str(line))}") as caught:
        load_params(path)
    assert "\n" not in str(caught.value)
