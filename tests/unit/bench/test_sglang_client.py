"""SGLang's own load generator and the small one, on the same server of the reference engine."""

import asyncio
import json
import stat
import sys
from pathlib import Path

import pytest

from eyrie.bench.client import Load, Messages, run_load
from eyrie.bench.metrics import quantiles_ms, tpot_s
from eyrie.bench.sglang_client import read_output, run_sglang_client, save_tokenizer
from eyrie.engines.launch import Server
from eyrie.engines.servers import ServerError
from eyrie.engines.target import load_chat
from tests.conftest import tiny_params

QUOTED = "the text of a prompt"
REFUSED = "Bad Request: " + json.dumps({"message": QUOTED, "type": "BadRequestError", "code": 400})
LOAD = Load(concurrency=2, output_tokens=48, temperature=0.0, seed=1, timeout_s=60)


def requests() -> list[Messages]:
    asked: list[Messages] = [[{"role": "user", "content": f"the user asks {number}"}] for number in range(7)]
    history = [*asked[0], {"role": "assistant", "content": "the assistant answers"}]
    return [*asked, [{"role": "system", "content": "be the system"}, *history, {"role": "user", "content": "and now"}]]


@pytest.fixture(scope="module")
def tokenizer(tiny_target: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tokenizer(load_chat(tiny_params(tiny_target).target).tokenizer, tmp_path_factory.mktemp("tokenizer"))


@pytest.mark.timeout(180)
def test_both_clients_measure_the_same_on_the_same_server(
    server: Server, tiny_target: Path, tokenizer: Path, tmp_path: Path
) -> None:
    pytest.importorskip("sglang")
    model = str(tiny_target)
    theirs = run_sglang_client(server.base_url, model, requests(), LOAD, tokenizer=tokenizer, folder=tmp_path)
    ours = asyncio.run(run_load(server.base_url, model, requests(), LOAD))
    for one, two in zip(ours.records, theirs.records, strict=True):
        assert one.error is two.error is None
        assert (one.input_tokens, one.output_tokens) == (two.input_tokens, two.output_tokens)
        assert one.answer_digest == two.answer_digest
    assert sum(record.output_tokens for record in ours.records) > 50
    for figure in ("tpot", "ttft_s", "latency_s"):
        mine, other = (
            quantiles_ms(
                value
                for record in result.records
                if (value := tpot_s(record) if figure == "tpot" else getattr(record, figure)) is not None
            ).median
            for result in (ours, theirs)
        )
        assert 0.2 < mine / other < 5, (figure, mine, other)  # the machine is shared: no closer


def test_a_client_that_fails_is_one_sentence_with_its_log(
    tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ServerError, match=r"ended with status 1, lastly: nothing; its log is .*client\.log"):
        run_sglang_client("http://h", "m", requests()[:1], LOAD, tokenizer=tokenizer, folder=tmp_path)


def _stand_in(folder: Path, program: str) -> str:
    """A program to run instead of Python; $OUTPUT is its output file."""
    path = folder / "client.sh"
    path.write_text(f"#!/bin/sh\nOUTPUT={folder}/client/output.jsonl\n{program}\n")
    path.chmod(0o700)
    return str(path)


def test_a_warm_up_that_fails_is_reported_without_the_prompt(
    tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = f"Warmup failed - Please make sure benchmark arguments are correctly specified. Error: {REFUSED}"
    monkeypatch.setattr(sys, "executable", _stand_in(tmp_path, f"echo 'ValueError: {message}'; exit 1"))
    says = r"lastly: its first request failed: Bad Request \(BadRequestError, 400\); its log"
    with pytest.raises(ServerError, match=says) as caught:
        run_sglang_client("http://h", "m", requests()[:1], LOAD, tokenizer=tokenizer, folder=tmp_path / "client")
    assert QUOTED not in str(caught.value)


def test_what_it_writes_is_its_users_alone_and_the_servers_arguments_do_not_stay(
    tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"input_lens": [5], "output_lens": [3], "ttfts": [0.25], "itls": [[0.5]], "generated_texts": ["abc"]}
    result = columns | {"errors": [""], "duration": 2.0, "server_info": {"api_key": "se-cret"}}
    monkeypatch.setattr(sys, "executable", _stand_in(tmp_path, f"echo '{json.dumps(result)}' > $OUTPUT"))
    folder = tmp_path / "client"
    folder.mkdir(mode=0o755)
    done = run_sglang_client("http://h", "m", requests()[:1], LOAD, tokenizer=tokenizer, folder=folder, api_key="x")
    assert done.records[0].output_tokens == 3
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "se-cret" not in "".join(path.read_text() for path in folder.iterdir())


def test_its_failed_requests_are_errors_and_its_gaps_add_up_to_the_latency() -> None:
    result = {
        "input_lens": [5, 6, 7],
        "output_lens": [3, 0, 0],
        "ttfts": [0.25, 0.0, 0.0],
        "itls": [[0.5, 0.25], [], []],
        "generated_texts": ["abc", "", ""],
        "errors": ["", f"Traceback (most recent call last):\n  in f\na.ValueError: {QUOTED}\n{QUOTED}", REFUSED],
        "duration": 2.0,
    }
    good, bad, refused = read_output(result, num_requests=3, most_tokens=3).records
    assert (good.latency_s, good.ttft_s, good.error, good.num_verify_steps) == (1.0, 0.25, None, None)
    assert (bad.error, refused.error) == ("a.ValueError", "Bad Request (BadRequestError, 400)")
    with pytest.raises(ServerError, match="gave input_lens of 3 requests instead of 4"):
        read_output(result, num_requests=4, most_tokens=3)


def test_a_stream_that_held_an_error_instead_of_an_answer_is_a_failed_request() -> None:
    """It says that such a request has no error, and gives it the tokens of the last usage, or the most asked for."""
    result = {
        "input_lens": [5, 5, 5, 5],
        "output_lens": [0, 8, 1, 8],
        "ttfts": [0.0, 0.0, 0.0, 0.25],
        "itls": [[], [], [], [0.5]],
        "generated_texts": ["", "", "", "ab"],
        "errors": ["", "", "", ""],
        "duration": 2.0,
    }
    at_once, without_usage, only_a_stop_token, whole = read_output(result, num_requests=4, most_tokens=8).records
    assert at_once.error == without_usage.error == "the stream held no answer"
    assert (at_once.output_tokens, without_usage.output_tokens) == (0, 0)
    assert (only_a_stop_token.error, only_a_stop_token.output_tokens) == (None, 1)
    assert (whole.error, whole.output_tokens) == (None, 8)


def test_a_tokenizer_is_saved_whole_or_not_at_all(
    tiny_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, folder = load_chat(tiny_params(tiny_target).target).tokenizer, tmp_path / "tokenizer"
    whole = {path.name for path in save_tokenizer(tokenizer, tmp_path / "other").iterdir()}

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            save_tokenizer(tokenizer, folder)
    assert not folder.exists()
    assert {path.name for path in save_tokenizer(tokenizer, folder).iterdir()} == whole
    assert {path.name for path in tmp_path.iterdir()} == {"other", "tokenizer"}


def test_the_tokenizer_it_gets_holds_no_code(tiny_target: Path, tmp_path: Path) -> None:
    tokenizer = load_chat(tiny_params(tiny_target).target).tokenizer
    tokenizer.init_kwargs["auto_map"] = {"AutoTokenizer": ["tokenization_evil.Evil", None]}
    try:
        folder = save_tokenizer(tokenizer, tmp_path)
    finally:
        del tokenizer.init_kwargs["auto_map"]
    assert "auto_map" not in json.loads((folder / "tokenizer_config.json").read_text())
    assert not list(folder.glob("*.py"))
