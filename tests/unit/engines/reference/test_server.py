"""The server over HTTP, as a real process: what clients send, see and break."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from eyrie.eagle3.checkpoint import save_head
from eyrie.eagle3.head import Eagle3Head
from eyrie.engines.launch import free_port, launch_server
from eyrie.engines.reference.command import main
from eyrie.engines.reference.loop import EngineLoop
from eyrie.engines.reference.protocol import ChatBody, Message
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.reference.server import build_app
from eyrie.engines.target import TargetModel
from tests.conftest import make_target
from tests.unit.engines.reference.conftest import make_engine, random_head

MESSAGES: Any = [{"role": "user", "content": "héllo wörld 🦅"}]


@dataclass(frozen=True)
class Arm:
    base_url: str
    model: str

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.base_url}/v1", api_key="none", max_retries=0, timeout=60)

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        request = urllib.request.Request(
            self.base_url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def info(self) -> Any:
        with urllib.request.urlopen(f"{self.base_url}/server_info", timeout=60) as response:
            return json.loads(response.read())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, target: TargetModel) -> tuple[Path, Path]:
    """The tiny target and a random head for it, saved."""
    model = make_target(tmp_path_factory.mktemp("served-target"), vocab_size=300, seed=3)
    head = tmp_path_factory.mktemp("served-head")
    save_head(random_head(target, draft_vocab_size=120, seed=7), head, model_card="A head for tests.\n")
    return model, head


def command(model: Path, port: int, *extra: str) -> list[str]:
    fixed = ["--dtype", "float32", "--device", "cpu", "--threads", "1", "--max-running-requests", "3"]
    return [
        sys.executable, "-m", "eyrie.engines.reference", "--model", str(model), "--port", str(port), *fixed, *extra
    ]  # fmt: skip


@pytest.fixture(scope="module")
def arm(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arm]:
    """A drafting server."""
    model, head = folders
    port, log = free_port(), tmp_path_factory.mktemp("server") / "log"
    drafting = ["--head", str(head), "--num-steps", "3", "--topk", "2", "--num-draft-tokens", "6"]
    with launch_server(command(model, port, *drafting), port=port, log=log, env={}) as server:
        server.wait_until_healthy(120)
        yield Arm(server.base_url, str(model))


def test_streamed_and_whole_chat_answers_are_the_same_text(arm: Arm) -> None:
    client = arm.client()
    options: Any = {"model": arm.model, "messages": MESSAGES, "max_tokens": 30, "temperature": 0}
    whole = client.chat.completions.create(**options)
    chunks = list(client.chat.completions.create(**options, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert chunks[-1].usage == whole.usage
    assert whole.usage is not None
    assert whole.usage.completion_tokens <= 30


def test_text_completions_stream_too(arm: Arm) -> None:
    client = arm.client()
    options: Any = {"model": arm.model, "prompt": "the user asks", "max_tokens": 20, "temperature": 0}
    whole = client.completions.create(**options)
    text = "".join(chunk.choices[0].text for chunk in client.completions.create(**options, stream=True))
    assert text == whole.choices[0].text


def test_generate_takes_and_returns_ids_with_acceptance(arm: Arm) -> None:
    body = {"input_ids": [9, 8, 7], "sampling_params": {"max_new_tokens": 12, "temperature": 0, "ignore_eos": True}}
    status, answer = arm.post("/generate", body)
    assert status == 200
    info = answer["meta_info"]
    assert len(answer["output_ids"]) == info["completion_tokens"] == 12
    assert info["finish_reason"] == {"type": "length"}
    assert info["spec_verify_ct"] + sum(info["spec_accepted_by_position"]) in (11, 12)


def test_the_same_seed_gives_the_same_sample(arm: Arm) -> None:
    texts = []
    for seed in (1, 1, 2):
        answer = arm.client().chat.completions.create(
            model=arm.model, messages=MESSAGES, max_tokens=20, temperature=1.0, seed=seed
        )
        texts.append(answer.choices[0].message.content)
    assert texts[0] == texts[1] != texts[2]


def test_models_and_server_info_describe_what_runs(arm: Arm) -> None:
    assert [model.id for model in arm.client().models.list()] == [arm.model]
    info = arm.info()
    assert info["speculative"] == {"num_steps": 3, "topk": 2, "num_draft_tokens": 6}
    arm.post("/generate", {"input_ids": [9], "sampling_params": {"max_new_tokens": 5, "ignore_eos": True}})
    assert arm.info()["totals"]["num_tokens"] >= 4
    with urllib.request.urlopen(urllib.request.Request(f"{arm.base_url}/flush_cache", b""), timeout=60):
        pass
    assert arm.info()["totals"]["num_requests"] == 0


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/v1/chat/completions", {"messages": []}, "messages: List should have at least 1 item"),
        ("/v1/chat/completions", {"messages": MESSAGES, "temperature": 3}, r"temperature: .* equal to 2 \(got 3\)"),
        ("/v1/chat/completions", {"messages": MESSAGES, "n": 2}, r"n is not supported .*\(got 2\)"),
        ("/v1/chat/completions", {"messages": MESSAGES, "top_k": 1}, r"top_k is not supported .*\(got 1\)"),
        ("/v1/chat/completions", {"messages": MESSAGES, "min_p": 0.1}, r"min_p is not supported .*\(got 0.1\)"),
        ("/v1/chat/completions", {"messages": MESSAGES, "stop_token_ids": [7]}, r"stop_token_ids is not supported"),
        ("/v1/chat/completions", {"messages": MESSAGES, "repetition_penalty": 1.2}, "repetition_penalty is not supp"),
        ("/v1/chat/completions", {"messages": MESSAGES, "tool_choice": "required"}, "tool_choice is not supported"),
        ("/v1/chat/completions", {"messages": MESSAGES, "chat_template_kwargs": {"mood": 1}}, r"kwargs\.mood is not"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a\ud800b"}]}, "half of a surrogate pair"),
        ("/v1/completions", {"prompt": "a\udfffb"}, "not valid Unicode at character 1"),
        ("/v1/completions", {"prompt": "x", "stop": ["y"]}, "stop is not supported"),
        ("/v1/completions", {"prompt": [7] * 600}, "600 tokens; at most 511 fit the context length of 512"),
        ("/generate", {"input_ids": [1000]}, "token id 1000; ids must be between 0 and 299"),
        ("/generate", {"input_ids": [1], "text": "x"}, "text: Extra inputs"),
        ("/generate", {"input_ids": [1], "sampling_params": {"top_k": 5}}, "sampling_params.top_k: Extra inputs"),
        ("/generate", {"input_ids": [1], "return_logprob": True, "top_logprobs_num": 2}, "without a draft head only"),
    ],
)
def test_wrong_requests_get_400_and_one_sentence(arm: Arm, path: str, body: dict[str, Any], message: str) -> None:
    status, answer = arm.post(path, body)
    assert status == 400
    assert re.search(message, answer["error"]["message"])


def test_fields_that_ask_for_nothing_or_hold_null_are_taken(arm: Arm) -> None:
    plain = {"messages": MESSAGES, "max_tokens": 4, "temperature": 0}
    nothing = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "tool_choice": "auto", "chat_template_kwargs": {}}
    null = dict.fromkeys(("top_p", "seed", "stream", "stream_options", "n", "stop", "max_completion_tokens", "tools"))
    answers = [arm.post("/v1/chat/completions", plain | more) for more in ({}, nothing, null)]
    assert [status for status, _ in answers] == [200, 200, 200]
    assert len({answer["choices"][0]["message"]["content"] for _, answer in answers}) == 1
    assert arm.post("/v1/completions", {"prompt": "x", "max_tokens": None, "temperature": None})[0] == 200


def test_a_body_without_its_content_type_is_refused_by_that_name(arm: Arm) -> None:
    """curl -d sends it as a form."""
    request = urllib.request.Request(f"{arm.base_url}/v1/completions", json.dumps({"prompt": "x"}).encode())
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    assert refused.value.code == 400
    assert "Content-Type must be application/json" in refused.value.read().decode()


@pytest.mark.parametrize("shape", [None, (3, 1, 4)])
def test_a_stop_token_that_is_an_ordinary_one_is_none_of_the_text(
    target: TargetModel, head: Eagle3Head, shape: tuple[int, int, int] | None
) -> None:
    prompt = [9, 30, 7]
    engine = make_engine(target, None, None)
    (free,) = engine.generate([prompt], SamplingParams(12, ignore_eos=True))
    engine.close()
    position = next(at for at in range(3, 12) if free.output_ids[at] not in free.output_ids[:at])
    stopping = replace(target, chat=replace(target.chat, stop_ids=frozenset({free.output_ids[position]})))
    before = target.tokenizer.decode(free.output_ids[:position], skip_special_tokens=True)
    loop = EngineLoop(make_engine(stopping, head if shape else None, shape))
    body = {"prompt": prompt, "max_tokens": 12, "temperature": 0}

    async def ask() -> tuple[str, str, Any]:
        stepping = asyncio.create_task(loop.run())
        transport = httpx.ASGITransport(build_app(loop, model_name="tiny"))
        async with httpx.AsyncClient(transport=transport, base_url="http://tiny") as client:
            whole = (await client.post("/v1/completions", json=body)).json()
            streamed = (await client.post("/v1/completions", json=body | {"stream": True})).text
        stepping.cancel()
        events = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
        text = "".join(event["choices"][0]["text"] for event in events)
        return whole["choices"][0]["text"], text, whole

    text, streamed, whole = asyncio.run(ask())
    loop.engine.close()
    assert (text, streamed) == (before, before)
    assert (whole["usage"]["completion_tokens"], whole["choices"][0]["finish_reason"]) == (position + 1, "stop")


def test_settings_of_the_template_are_the_server_s_own_or_refused() -> None:
    settings = {"enable_thinking": False, "effort": "low"}
    body = ChatBody(messages=[Message(role="user", content="x")], chat_template_kwargs={"enable_thinking": False})
    body.check_settings(settings)
    for other in (True, 0):  # a template renders 0 otherwise than false
        body.chat_template_kwargs["enable_thinking"] = other
        with pytest.raises(ValueError, match=r"chat_template_kwargs\.enable_thinking is not supported"):
            body.check_settings(settings)


def test_the_template_gets_every_field_of_a_message() -> None:
    message = Message.model_validate({"role": "assistant", "content": "4", "thinking": "2 + 2", "name": "sum"})
    assert message.plain() == {"role": "assistant", "content": "4", "thinking": "2 + 2", "name": "sum"}


def test_a_client_that_goes_away_frees_its_slot(arm: Arm) -> None:
    for stream in (True, False):
        body = json.dumps(
            {"prompt": [9, 9], "max_tokens": 500, "temperature": 0, "ignore_eos": True, "stream": stream}
        ).encode()
        host, port = arm.base_url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            lines = ["POST /v1/completions HTTP/1.1", "Host: x", "Content-Type: application/json"]
            lines += [f"Content-Length: {len(body)}", "", ""]
            connection.sendall("\r\n".join(lines).encode() + body)
            deadline = time.monotonic() + 10
            while arm.info()["num_running"] == 0:
                assert time.monotonic() < deadline
        before = arm.info()["totals"]["num_requests"]
        deadline = time.monotonic() + 10
        while arm.info()["num_running"] > 0:
            assert time.monotonic() < deadline
        assert arm.info()["totals"]["num_requests"] == before  # cancelled, not finished


def refusal(capsys: pytest.CaptureFixture[str], model: Path, port: int, *extra: str) -> str:
    """What the program says when it does not start."""
    capsys.readouterr()
    assert main(command(model, port, *extra)[3:]) == 1
    return capsys.readouterr().err.splitlines()[-1]


def test_more_slots_than_memory_holds_are_one_sentence(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, folders[0], free_port(), "--max-running-requests", "1000000000")
    assert said.startswith("eyrie reference engine: out of memory")
    assert said.endswith("; lower --max-running-requests or --context-length")


def test_a_busy_port_is_refused_with_one_sentence(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal(capsys, folders[0], port)
    assert said == f"eyrie reference engine: cannot listen on 127.0.0.1:{port}: Address already in use"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--num-steps", "3"], "needed with --head, all three"),
        (["--head", "x", "--num-steps", "3", "--topk", "1", "--num-draft-tokens", "9"], r"num_steps \+ 1 = 4"),
        (
            ["--head", "/none", "--num-steps", "3", "--topk", "1", "--num-draft-tokens", "4"],
            "/none/config.json: no such",
        ),
        (["--context-length", "9999"], "between 2 and the target's 512, not 9999"),
        (["--max-running-requests", "0"], "at least 1, not 0"),
    ],
)
def test_wrong_options_are_refused_with_one_sentence(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert re.search(message, refusal(capsys, folders[0], free_port(), *extra))


def test_sigterm_ends_the_server_quickly_in_the_middle_of_a_stream(folders: tuple[Path, Path], tmp_path: Path) -> None:
    port = free_port()
    with launch_server(command(folders[0], port), port=port, log=tmp_path / "log", env={}) as server:
        server.wait_until_healthy(120)
        client = Arm(server.base_url, str(folders[0])).client()
        stream = client.completions.create(
            model="x", prompt=[9, 9], max_tokens=500, stream=True, extra_body={"ignore_eos": True}
        )
        next(iter(stream))
        started = time.monotonic()
        os.kill(server.pid, signal.SIGTERM)
        while Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() - started < 5
            time.sleep(0.05)
        assert [*stream][-1].choices[0].finish_reason == "abort"
    assert (tmp_path / "log").read_text() == ""
