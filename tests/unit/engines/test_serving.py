"""What is served and how: the exact command, what is refused before anything starts, and what a log means."""

import json
import os
import shutil
import socket
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from eyrie.eagle3.checkpoint import CheckpointError, check_head, save_head
from eyrie.engines import serving
from eyrie.engines.server_facts import check_serves, check_serves_target, parse_server_info
from eyrie.engines.servers import ServerError, named_server
from eyrie.engines.serving import ServerSpec, running_server, server_command
from eyrie.engines.sglang_server import check_port, explain_failure, forget_key, key_arguments
from eyrie.engines.target import load_config, load_target
from eyrie.params import Drafting, ParamsError, SglangServer
from tests.conftest import make_target, tiny_params
from tests.unit.engines.reference.conftest import random_head

SHAPE = Drafting(num_steps=3, topk=2, num_draft_tokens=6)


@pytest.fixture(scope="module")
def head(tiny_target: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("head")
    target = load_target(tiny_params(tiny_target).target)
    save_head(random_head(target, draft_vocab_size=100, seed=1), folder, model_card="A head for tests.\n")
    return folder


def spec(target: Path, head: Path | None = None, **target_changes: Any) -> ServerSpec:
    named = tiny_params(target).target.model_copy(update={"device": "cpu", **target_changes})
    return ServerSpec("eagle3", named, head, None if head is None else SHAPE, 4, 512)


def settings(**changes: Any) -> SglangServer:
    return tiny_params(Path("x")).benchmark.sglang.model_copy(update=changes)


def test_both_arms_get_the_same_command_but_for_the_drafting(tiny_target: Path, head: Path) -> None:
    commands = {
        name: server_command(spec(tiny_target, given), engine="sglang", settings=settings(), port=1)
        for name, given in (("baseline", None), ("eagle3", head))
    }
    drafting = ["--speculative-algorithm", "EAGLE3", "--speculative-draft-model-path", str(head)]
    drafting += ["--speculative-num-steps", "3", "--speculative-eagle-topk", "2"]
    drafting += ["--speculative-num-draft-tokens", "6"]
    assert [word for word in commands["eagle3"] if word not in drafting] == [
        word for word in commands["baseline"] if word not in drafting
    ]
    assert " ".join(drafting) in " ".join(commands["eagle3"])
    for command in commands.values():
        assert command[command.index("--max-running-requests") + 1] == "4"
        assert command[command.index("--dtype") + 1] == "float32"
        assert command[command.index("--host") + 1] == "127.0.0.1"
        assert "--cuda-graph-max-bs" not in command


def test_every_setting_reaches_the_command_and_the_ablation_turns_overlap_off(tiny_target: Path, head: Path) -> None:
    given = settings(
        tp_size=2,
        mem_fraction_static=0.7,
        attention_backend="fa3",
        cuda_graph_max_bs_decode=16,
        context_length=300,
        extra_args=["--page-size", "1"],
    )
    asked = replace(spec(tiny_target, head), overlap=False)
    line = " ".join(server_command(asked, engine="sglang", settings=given, port=7))
    for part in (
        "--tp-size 2", "--mem-fraction-static 0.7", "--attention-backend fa3", "--cuda-graph-max-bs-decode 16",
        "--context-length 300", "--port 7", "--disable-overlap-schedule", "--page-size 1",
    ):  # fmt: skip
        assert part in line


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--cuda-graph-max-bs=8", "it has two meanings"),
        ("--api-key", "EYRIE_API_KEY"),
        ("--max_running_requests", "same for both arms"),
        ("--speculative-num-steps", "draft shape"),
        ("--api-k=letmein", "EYRIE_API_KEY"),
        ("--admin_api", "does not belong in params.yaml"),
        ("--ssl-keyfile-password", "does not belong in params.yaml"),
        ("--speculative-num-s", "draft shape"),
    ],
)
def test_flags_that_are_set_elsewhere_are_refused(tiny_target: Path, flag: str, says: str) -> None:
    raw = settings().model_dump() | {"extra_args": [flag]}
    with pytest.raises(ParamsError, match=says):
        tiny_params(tiny_target, benchmark={"sglang": raw})


def test_a_flag_that_only_begins_like_one_of_a_secret_is_passed_on(tiny_target: Path) -> None:
    arguments = ["--ssl-keyfile", "key.pem", "--page-size", "1"]
    raw = settings().model_dump() | {"extra_args": arguments}
    assert tiny_params(tiny_target, benchmark={"sglang": raw}).benchmark.sglang.extra_args == arguments


def test_the_key_goes_by_a_private_file_and_is_never_in_the_command(
    tmp_path: Path, tiny_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EYRIE_API_KEY", 'se"cret')
    with key_arguments(tmp_path) as arguments:
        path = Path(arguments[1])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(path.read_text().removeprefix("api-key: ")) == 'se"cret'
        forget_key(tmp_path)  # a server that answers has read it
        assert not path.exists()
    assert not path.exists()
    assert "cret" not in " ".join(server_command(spec(tiny_target), engine="sglang", settings=settings(), port=1))


ANSWERING = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_the_file_with_the_key_is_gone_once_the_server_answers(
    tmp_path: Path, tiny_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small server stands for SGLang, which needs a GPU: what is tested is what happens around it."""
    monkeypatch.setenv("EYRIE_API_KEY", "secret")
    monkeypatch.setattr(serving, "check_can_launch", lambda *_: None)
    monkeypatch.setattr(serving, "sglang_command", lambda *_, port: [sys.executable, "-c", ANSWERING, str(port)])
    with running_server(spec(tiny_target), engine="sglang", settings=settings(), folder=tmp_path) as server:
        assert "secret" in (tmp_path / "api-key.yaml").read_text()
        server.wait_until_healthy()
        assert not (tmp_path / "api-key.yaml").exists()


def refused(given: ServerSpec, folder: Path, **changes: Any) -> str:
    with (
        pytest.raises(ValueError, match=r".") as caught,
        running_server(given, engine="sglang", settings=settings(**changes), folder=folder),
    ):
        pass
    return str(caught.value)


def test_a_host_that_has_no_address_is_said_in_words() -> None:
    with pytest.raises(ServerError, match=r"^cannot listen on nowhere\.invalid:1: .*[Nn]ame") as caught:
        check_port("nowhere.invalid", 1)
    assert "Unknown error" not in str(caught.value)


def test_what_cannot_be_served_is_one_sentence_before_anything_starts(
    tiny_target: Path, tmp_path: Path, head: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(spec(tiny_target), tmp_path, port=port)
    assert said == f"cannot listen on 127.0.0.1:{port}: Address already in use"
    monkeypatch.delenv("EYRIE_API_KEY", raising=False)
    assert "open to other machines and EYRIE_API_KEY holds no key" in refused(
        spec(tiny_target), tmp_path, host="0.0.0.0"
    )
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "needs a CUDA GPU and PyTorch sees none" in refused(spec(tiny_target, device="auto"), tmp_path)
    monkeypatch.setattr("eyrie.engines.sglang_server.is_installed", lambda: False)
    assert "SGLang is not installed" in refused(spec(tiny_target), tmp_path)
    other = make_target(tmp_path / "other", num_layers=12)
    said = refused(spec(other, head), tmp_path)
    assert "made for another target model" in said
    assert "\n" not in said
    assert not list(tmp_path.glob("*.log"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"torch_dtype": "float32"}, "torch_dtype is float32, but the weights are bfloat16"),
        ({"max_position_embeddings": 511}, "max_position_embeddings is 511, under the served context of 512"),
        ({"target_hidden_size": 64}, "target_hidden_size is 64, but the target served needs 32"),
        ({"vocab_size": 300}, "vocab_size is 300, but the target served needs 320"),
        ({"eagle_aux_hidden_state_layer_ids": [1, 3, 4]}, "the first must be the second plus 1"),
    ],
)
def test_a_head_that_does_not_fit_is_refused_by_its_config(
    tiny_target: Path, tmp_path: Path, head: Path, change: dict[str, Any], says: str
) -> None:
    config = load_config(tiny_params(tiny_target).target)
    assert check_head(head, config, context_length=512).draft_vocab_size == 100
    copy = Path(shutil.copytree(head, tmp_path / "head"))
    raw = json.loads((copy / "config.json").read_text()) | change
    (copy / "config.json").write_text(json.dumps(raw))
    with pytest.raises(CheckpointError, match=says):
        check_head(copy, config, context_length=512)


def test_a_draft_vocabulary_out_of_range_and_missing_names_are_refused(
    tiny_target: Path, tmp_path: Path, head: Path
) -> None:
    config = load_config(tiny_params(tiny_target).target)
    copy = Path(shutil.copytree(head, tmp_path / "head"))
    tensors = load_file(copy / "model.safetensors")
    tensors["d2t"][-1] += 1000
    save_file(tensors, copy / "model.safetensors")
    with pytest.raises(CheckpointError, match="d2t"):
        check_head(copy, config, context_length=None)
    tensors["unknown.weight"] = tensors.pop("fc.weight")
    save_file(tensors, copy / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"missing tensors \['fc.weight'\], unknown tensors \['unknown.weight'\]"):
        check_head(copy, config, context_length=None)


@pytest.mark.parametrize(
    ("log", "says"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "out of memory: lower"),
        ("RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.", "raise mem_fraction"),
        ("RuntimeError: Cannot find any model weights with `/models/x`", "weights are missing: /models/x"),
        ("ValueError: Model architectures ['FooForCausalLM'] are not supported for now. ", "['FooForCausalLM']"),
        ("KeyError: 'model.layers.0.foo.weight'", "names that SGLang expects"),
        ("RuntimeError: No accelerator (CUDA, XPU, HPU) is available.", "needs a CUDA GPU"),
        ("[Errno 98] error while attempting to bind on address: Address already in use", "port is busy"),
        ("launch_server.py: error: ambiguous option: --cuda-graph-max could match", "refuses a flag: ambiguous"),
    ],
)
def test_a_log_is_explained_in_one_sentence(log: str, says: str) -> None:
    sentence = explain_failure(f"noise\n{log}\nnoise")
    assert sentence is not None
    assert says in sentence
    assert "\n" not in sentence


def test_a_log_of_nothing_known_is_not_explained() -> None:
    assert explain_failure("Traceback\nValueError: something else") is None


def test_a_named_server_must_serve_what_was_asked_for_and_is_not_stopped(
    tiny_target: Path, tmp_path: Path, head: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EYRIE_NAMED_SERVERS", raising=False)
    asked = spec(tiny_target, head)
    with running_server(asked, engine="reference", settings=settings(), folder=tmp_path) as server:
        server.wait_until_healthy()
        monkeypatch.setenv("EYRIE_NAMED_SERVERS", f"baseline=http://127.0.0.1:1,eagle3={server.base_url}/")
        with running_server(asked, engine="sglang", settings=settings(), folder=tmp_path) as named:
            named.wait_until_healthy()
            assert (named.base_url, named.process) == (server.base_url, None)
        assert server.process is not None
        assert server.process.poll() is None
        with pytest.raises(ServerError, match=r"max_running_requests is 4, not 8"):
            check_serves(server.base_url, replace(asked, max_running_requests=8))
        with pytest.raises(ServerError, match=r"its model is .*tiny-target.*, not another/model; where"):
            check_serves(server.base_url, spec(Path("another/model"), head))
        with pytest.raises(ServerError, match=r"its dtype is float32, not bfloat16"):
            check_serves(server.base_url, spec(tiny_target, head, dtype="bfloat16"))
        link = tmp_path / "link"
        link.symlink_to(tiny_target)
        check_serves(server.base_url, spec(link, head))
        with pytest.raises(ServerError, match=r"draft shape is .*num_steps=3.*, not none"):
            check_serves(server.base_url, replace(asked, head=None, drafting=None))
        with pytest.raises(ServerError, match=r"its context_length is 512, under the 513 that prompts and answers"):
            check_serves_target(server.base_url, replace(asked, head=None, drafting=None, context_length=513))
        check_serves_target(server.base_url, replace(asked, head=None, drafting=None, max_running_requests=64))
    with pytest.raises(ProcessLookupError):
        os.kill(server.process.pid, 0)


def test_a_name_without_an_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYRIE_NAMED_SERVERS", "http://127.0.0.1:1")
    with pytest.raises(ServerError, match="is not arm=address"):
        named_server("baseline")


@pytest.mark.parametrize("value", ["hush", "baseline=hush", "baseline=http:/hush", "hush,baseline=http://127.0.0.1:1"])
def test_what_is_no_address_may_be_a_key_and_is_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("EYRIE_NAMED_SERVERS", value)
    with pytest.raises(ServerError) as caught:
        named_server("baseline")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "http://me:hush@127.0.0.1:1",
        "baseline=http://me:hu,sh@127.0.0.1:1",
        "baseline=http://127.0.0.1:1?api_key=hush",
        "baseline=http://me:hush%40127.0.0.1:1",
    ],
)
def test_a_password_in_a_named_servers_address_is_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("EYRIE_NAMED_SERVERS", value)
    with pytest.raises(ServerError, match="an address has no user and password") as caught:
        named_server("baseline")
    assert "hu" not in str(caught.value)


INFO: dict[str, Any] = {
    "version": "0.5.23", "model_path": "m", "revision": None, "served_model_name": "s", "dtype": "bfloat16",
    "max_running_requests": 4, "context_length": 512, "speculative_algorithm": "EAGLE3", "speculative_num_steps": 3,
    "speculative_eagle_topk": 2, "speculative_num_draft_tokens": 6,
}  # fmt: skip


def test_sglangs_server_info_is_read() -> None:
    assert (parse_server_info(INFO).drafting, parse_server_info(INFO).served_as) == (SHAPE, "s")
    assert parse_server_info(INFO | {"speculative_algorithm": None}).drafting is None


def test_a_server_that_was_started_with_another_revision_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = spec(Path("m"), dtype="bfloat16", revision="new")
    facts = parse_server_info(INFO)
    monkeypatch.setattr("eyrie.engines.server_facts.server_facts", lambda _: facts)
    check_serves_target("http://h", asked)  # it does not tell
    facts = replace(facts, revision="new")
    check_serves_target("http://h", asked)
    facts = replace(facts, revision="old")
    with pytest.raises(ServerError, match="its revision is old, not new"):
        check_serves_target("http://h", asked)
    facts = replace(facts, model="/a/copy", served_as="m")  # a folder has no revision
    check_serves_target("http://h", asked)
