"""What cannot work is refused before any stage starts, in one sentence."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaConfig

from eyrie.eagle3.config import MIN_TARGET_LAYERS, HeadConfig
from eyrie.engines.servers import ServerError
from eyrie.params import Params, parse_params
from eyrie.preflight import PreflightError, preflight
from eyrie.privacy.quarantine import QuarantineError
from tests.conftest import REPOSITORY, make_target, raw_params, tiny_params


@pytest.fixture(autouse=True)
def _in_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


def test_the_shipped_parameters_pass() -> None:
    preflight(parse_params(raw_params(), origin="test"))


def test_a_target_with_too_few_layers_is_refused(tmp_path: Path) -> None:
    target = make_target(tmp_path / "shallow", num_layers=MIN_TARGET_LAYERS - 1)
    with pytest.raises(PreflightError, match=rf"num_hidden_layers is 6; .* at least {MIN_TARGET_LAYERS}"):
        preflight(tiny_params(target, build_vocab={"draft_vocab_size": 32}))


@pytest.mark.parametrize("spelling", ["per_layer_config", "global_head_dim"])
def test_a_target_whose_layers_differ_in_size_is_refused(copy_target: Path, spelling: str) -> None:
    config = copy_target / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), spelling: 512}))
    with pytest.raises(PreflightError, match=rf"config\.json: {spelling} gives layers sizes of their own"):
        preflight(tiny_params(copy_target, build_vocab={"draft_vocab_size": 32}))


def test_a_target_without_a_chat_template_is_refused_unless_one_is_named(copy_target: Path, tmp_path: Path) -> None:
    (copy_target / "chat_template.jinja").rename(tmp_path / "mine.jinja")
    (copy_target / "chat_template.json").write_text('{"chat_template": "of a processor, which no stage loads"}')
    vocab = {"draft_vocab_size": 32}
    with pytest.raises(PreflightError, match="no chat template"):
        preflight(tiny_params(copy_target, build_vocab=vocab))
    named = {"model": str(copy_target), "chat_template": str(tmp_path / "mine.jinja")}
    preflight(tiny_params(copy_target, target=named, build_vocab=vocab))


def test_a_draft_vocabulary_over_the_target_s_is_refused(tiny_target: Path) -> None:
    with pytest.raises(PreflightError, match="321 is over the target's vocabulary of 320"):
        preflight(tiny_params(tiny_target, build_vocab={"draft_vocab_size": 321}))


def test_a_folder_without_weights_is_refused(copy_target: Path) -> None:
    (copy_target / "model.safetensors").unlink()
    with pytest.raises(PreflightError, match=r"no \*\.safetensors"):
        preflight(tiny_params(copy_target, build_vocab={"draft_vocab_size": 32}))


def test_a_named_server_for_no_arm_is_refused(tiny_target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYRIE_NAMED_SERVERS", "base=http://127.0.0.1:30000")
    with pytest.raises(ServerError, match=r"names a server for base; the arms of benchmark\.arms are baseline, eagle3"):
        preflight(tiny_params(tiny_target, build_vocab={"draft_vocab_size": 32}))


def test_a_host_that_is_open_to_others_is_refused_without_a_key(
    tiny_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SGLang serves everybody then; it was refused when the head was trained."""
    pytest.importorskip("sglang")
    settings = raw_params()["benchmark"]["sglang"] | {"host": "0.0.0.0"}
    params = tiny_params(
        tiny_target, build_vocab={"draft_vocab_size": 32}, benchmark={"engine": "sglang", "sglang": settings}
    )
    monkeypatch.setenv("EYRIE_NAMED_SERVERS", "baseline=http://127.0.0.1:30000")  # and the other arm is started here
    with pytest.raises(ServerError, match=r"host 0\.0\.0\.0 is open to other machines"):
        preflight(params)
    monkeypatch.setenv("EYRIE_API_KEY", "key")
    preflight(params)


def test_a_damaged_config_is_named(copy_target: Path) -> None:
    (copy_target / "config.json").write_text(json.dumps({"num_hidden_layers": 8})[:-3])
    with pytest.raises(PreflightError, match=r"config\.json: cannot be read as JSON"):
        preflight(tiny_params(copy_target))


@pytest.mark.parametrize(
    "config",
    [
        {"text_config": {"num_hidden_layers": 34}},  # as of Gemma 3: a vocabulary of its class's size is left out
        {"text_config": {}},
        {"text_config": None, "num_hidden_layers": 8, "vocab_size": 320},
    ],
)
def test_a_config_that_leaves_out_what_its_class_says_passes(copy_target: Path, config: dict[str, Any]) -> None:
    (copy_target / "config.json").write_text(json.dumps(config))
    preflight(tiny_params(copy_target, build_vocab={"draft_vocab_size": 32}))


@pytest.mark.parametrize("config", [{"num_hidden_layers": "8"}, {"num_hidden_layers": 8, "vocab_size": "320"}])
def test_a_config_with_something_else_than_a_number_is_refused(copy_target: Path, config: dict[str, Any]) -> None:
    (copy_target / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        PreflightError, match=r"config\.json: (num_hidden_layers|vocab_size) is '\d+'; expected a number"
    ):
        preflight(tiny_params(copy_target, build_vocab={"draft_vocab_size": 32}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "./nowhere"}, "neither a folder here nor a Hugging Face name"),
        ({"model": "nowhere"}, "neither a folder here nor a Hugging Face name"),
        ({"model": "owner/name"}, "pinned target.revision"),
        ({"chat_template": "none.jinja"}, r"target.chat_template: no such file: none\.jinja"),
    ],
)
def test_a_target_that_is_not_there_is_refused(changes: dict[str, str], message: str) -> None:
    raw = raw_params()
    raw["target"] |= changes
    with pytest.raises(PreflightError, match=message):
        preflight(parse_params(raw, origin="test"))


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("./nowhere", None, "init_from: ./nowhere is neither a folder here nor a hub name"),
        ("owner/head", None, "owner/head is no folder here; a hub name needs a pinned init_revision"),
        ("owner/head", "main", "init_revision: main may mean another head tomorrow; pin .* commit of owner/head"),
        ("models/../models/head", None, "init_from: models/../models/head is what train_head writes.*copy it"),
        ("heads/none", None, r"init_from: heads/none/config\.json: no such file"),
        ("heads/deep", None, "init_from: heads/deep: num_hidden_layers is 2 there, but 1 .* set train_head.num_layers"),
    ],
)
def test_a_head_that_training_cannot_start_from_is_refused_before_any_stage(
    tiny_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, revision: str | None, message: str
) -> None:
    def params(name: str, revision: str | None) -> Params:
        start = {"init_from": name, "init_revision": revision}
        return tiny_params(tiny_target, build_vocab={"draft_vocab_size": 32}, train_head=start)

    (tmp_path / "resources").symlink_to(REPOSITORY / "resources")
    for folder in ("models/head", "heads/first", "heads/deep", "heads/none"):
        (tmp_path / folder).mkdir(parents=True)
    norms = {name: raw_params()["train_head"][name] for name in ("fc_norm", "norm_output")}
    target_config = LlamaConfig.from_pretrained(tiny_target)
    config = HeadConfig.from_target(target_config, draft_vocab_size=32, intermediate_size=20, **norms)
    for folder, layers in (("heads/first", 1), ("heads/deep", 2)):
        text = json.dumps(replace(config, num_hidden_layers=layers).to_json())
        (tmp_path / folder / "config.json").write_text(text)
    monkeypatch.chdir(tmp_path)
    preflight(params("heads/first", None))
    preflight(params("owner/head", "0" * 40))
    with pytest.raises(PreflightError, match=message):
        preflight(params(name, revision))


@pytest.mark.parametrize("name", ["a{x}b", "open{", "closed}"])
def test_a_folder_that_dvc_cannot_work_in_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its progress bars take the path for a format string."""
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    with pytest.raises(PreflightError, match=re.escape(f"which DVC cannot work in: {tmp_path / name}")):
        preflight(parse_params(raw_params(), origin="test"))


def test_a_source_that_matches_no_file_is_refused() -> None:
    raw = raw_params()
    raw["select_prompts"]["sources"][0]["path"] = "resources/nothing-*.jsonl"
    with pytest.raises(PreflightError, match=r"eyrie-samples: no file matches resources/nothing-\*\.jsonl"):
        preflight(parse_params(raw, origin="test"))


@pytest.mark.parametrize("section", ["generate_responses", "benchmark"])
def test_without_sglang_its_engine_is_refused_before_anything_runs_and_how_to_get_it_is_said(
    tiny_target: Path, monkeypatch: pytest.MonkeyPatch, section: str
) -> None:
    monkeypatch.delenv("EYRIE_SERVERS", raising=False)
    changes: dict[str, dict[str, Any]] = {section: {"engine": "sglang"}, "build_vocab": {"draft_vocab_size": 32}}
    params = tiny_params(tiny_target, **changes)
    preflight(params)
    monkeypatch.setattr("eyrie.preflight.is_installed", lambda: False)
    with pytest.raises(
        ValueError, match=rf"{section}\.engine: sglang is not installed here: uv .*\.lock; or"
    ) as refused:
        preflight(params)
    install = str(refused.value).split("here: ")[1].split(";")[0]
    assert install in Path("docs/first-target.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("names", "message"), [("tensorbord", "tensorbord is none of"), ("mlflow", "mlflow is not installed here: uv pip")]
)
def test_a_tracker_that_is_not_there_is_refused_before_anything_runs(
    tiny_target: Path, monkeypatch: pytest.MonkeyPatch, names: str, message: str
) -> None:
    params = tiny_params(tiny_target, build_vocab={"draft_vocab_size": 32})
    monkeypatch.setenv("EYRIE_LOGGERS", "tensorboard")
    preflight(params)
    monkeypatch.setitem(sys.modules, "mlflow", None)  # type: ignore[arg-type]
    monkeypatch.setenv("EYRIE_LOGGERS", f"tensorboard, {names}")
    with pytest.raises(ValueError, match=f"EYRIE_LOGGERS: {message}"):
        preflight(params)


def test_a_target_that_sglang_cannot_draft_for_is_refused_before_anything_runs(
    copy_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((copy_target / "config.json").read_text())
    (copy_target / "config.json").write_text(json.dumps(config | {"architectures": ["Olmo2ForCausalLM"]}))
    monkeypatch.delenv("EYRIE_NAMED_SERVERS", raising=False)
    small = {"build_vocab": {"draft_vocab_size": 32}}
    preflight(tiny_params(copy_target, **small))
    params = tiny_params(copy_target, **small, benchmark={"engine": "sglang"})
    with pytest.raises(ServerError, match=r"^benchmark\.engine: SGLang .* of the class Olmo2ForCausalLM: .*reference$"):
        preflight(params)
    monkeypatch.setenv("EYRIE_NAMED_SERVERS", "baseline=http://h:1,eagle3=http://h:2")  # they may be of another version
    preflight(params)


def test_a_quarantine_that_git_would_add_is_refused_before_any_stage() -> None:
    preflight(tiny_params(REPOSITORY / "resources/demo-target", filter_prompts={"quarantine": ".eyrie/aside.jsonl"}))
    for path in ("aside.jsonl", "data/aside.jsonl"):
        with pytest.raises(QuarantineError, match=r"filter_prompts\.quarantine: "):
            preflight(tiny_params(REPOSITORY / "resources/demo-target", filter_prompts={"quarantine": path}))
