"""Answers from servers over HTTP: the same ids as in this process, and servers that die, are busy or refuse."""

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from eyrie.engines import sglang
from eyrie.engines.generate import Generator, local_generator
from eyrie.engines.launch import Server, free_port, launch_server
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.server_facts import NoAnswerError
from eyrie.engines.servers import ServerError, server_addresses
from eyrie.engines.sglang import PromptFailedError, sglang_generator
from eyrie.engines.target import load_target
from tests.conftest import tiny_params

PROMPTS = [[0, 10 + index, 11] for index in range(12)]
SAMPLED = SamplingParams(10, temperature=0.9, seed=3)


async def _all(generator: Generator, prompts: list[list[int]]) -> list[list[int]]:
    return await asyncio.gather(*(generator.generate(prompt, SAMPLED) for prompt in prompts))


def _ask(addresses: list[str], prompts: list[list[int]] = PROMPTS, patience_s: float = 20.0) -> list[list[int]]:
    async def run() -> list[list[int]]:
        async with sglang_generator(addresses, concurrency=4, patience_s=patience_s) as generator:
            return await _all(generator, prompts)

    return asyncio.run(run())


@contextmanager
def _servers(target: Path, folder: Path, count: int) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        servers = []
        for number in range(count):
            port = free_port()
            command = [sys.executable, "-m", "eyrie.engines.reference", "--model", str(target), "--dtype", "float32"]
            command += ["--device", "cpu", "--threads", "1", "--max-running-requests", "2", "--port", str(port)]
            servers.append(stack.enter_context(launch_server(command, port=port, log=folder / str(number), env={})))
        for server in servers:
            server.wait_until_healthy(120)
        yield servers


def test_servers_give_the_ids_that_the_target_gives_here_and_one_that_dies_is_survived(
    tiny_target: Path, tmp_path: Path
) -> None:
    target = load_target(tiny_params(tiny_target).target)

    async def here() -> list[list[int]]:
        async with local_generator(target, concurrency=4, context_length=100) as generator:
            return await _all(generator, PROMPTS)

    expected = asyncio.run(here())
    with _servers(tiny_target, tmp_path, 2) as servers:
        addresses = [server.base_url for server in servers]
        assert _ask(addresses) == expected

        async def with_a_kill() -> list[list[int]]:
            async with sglang_generator(addresses, concurrency=4, patience_s=20) as generator:
                asking = asyncio.create_task(_all(generator, PROMPTS * 3))
                await asyncio.sleep(0.05)
                os.killpg(servers[0].pid, signal.SIGKILL)
                return await asking

        assert asyncio.run(with_a_kill()) == expected * 3


class _Stub(BaseHTTPRequestHandler):
    """Answers `/generate` with what the test lined up: (status, document) pairs, the last one for ever."""

    script: list[tuple[int, object]]
    seen: list[dict[str, object]]
    keys: list[str | None]
    broken: bool

    def do_POST(self) -> None:
        self.seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.keys.append(self.headers["Authorization"])
        if self.broken:
            type(self).broken = False
            return  # the connection ends without an answer
        self.respond(*(self.script[0] if len(self.script) == 1 else self.script.pop(0)))

    def respond(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _stub(*script: tuple[int, object], kind: type[_Stub] = _Stub) -> Iterator[tuple[str, type[_Stub]]]:
    handler = type("Handler", (kind,), {"script": list(script), "seen": [], "keys": [], "broken": False})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()


def _answer(ids: list[int], **reason: object) -> tuple[int, object]:
    return 200, {"output_ids": ids, "meta_info": {"finish_reason": reason}}


def test_a_stop_token_that_the_server_left_out_is_put_back() -> None:
    with _stub(_answer([7, 8], type="stop", matched=4)) as (address, _):
        assert _ask([address], [[1]]) == [[7, 8, 4]]
    with _stub(_answer([7, 4], type="stop", matched=4)) as (address, _):
        assert _ask([address], [[1]]) == [[7, 4]]
    with _stub(_answer([7, 8], type="length", length=2)) as (address, _):
        assert _ask([address], [[1]]) == [[7, 8]]


def test_a_busy_server_is_asked_again() -> None:
    aborted = _answer([7], type="abort", message="x")
    with _stub((503, {}), (429, {}), aborted, _answer([7, 4], type="stop", matched=4)) as (address, handler):
        assert _ask([address], [[1]]) == [[7, 4]]
        assert len(handler.seen) == 4


class _FailsOnOne(_Stub):
    """Answers everything but the prompt [13]."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append(body)
        time.sleep(0.01)
        self.respond(*((500, {}) if body["input_ids"] == [13] else _answer([4], type="stop", matched=4)))


def test_a_prompt_that_a_server_fails_on_is_given_up_and_holds_no_other_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sglang, "_FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(sglang, "_LONGEST_PAUSE_S", 0.1)

    async def run(address: str) -> list[list[int] | BaseException]:
        async with sglang_generator([address], concurrency=2, patience_s=20) as generator:

            async def others() -> list[int]:
                for number in range(300):
                    answer = await generator.generate([20 + number], SAMPLED)
                    if failing.done():
                        break
                return answer

            failing = asyncio.create_task(generator.generate([13], SAMPLED))
            return await asyncio.gather(failing, others(), return_exceptions=True)

    with _stub(_answer([4]), kind=_FailsOnOne) as (address, handler):
        failed, answer = asyncio.run(run(address))
    assert isinstance(failed, PromptFailedError)
    assert str(failed) == f"servers that answered others failed on a prompt: status 500 from {address}"
    assert answer == [4]
    tries = [index for index, body in enumerate(handler.seen) if body["input_ids"] == [13]]
    assert 8 <= len(tries) <= 10  # those before any other was answered do not count
    assert len(handler.seen) > 3 * len(tries), "the others waited"


@pytest.mark.parametrize("is_well", [True, False])
def test_the_last_prompt_is_given_up_only_where_the_server_still_makes_tokens(
    is_well: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked alone: a job that is run again has that prompt left and no other."""
    monkeypatch.setattr(sglang, "_FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(sglang, "_LONGEST_PAUSE_S", 0.1)
    probes: list[str] = []

    class Probed(_FailsOnOne):
        def do_GET(self) -> None:
            probes.append(self.path)
            self.respond(200 if is_well else 503, {})

    with _stub(_answer([4]), kind=Probed) as (address, handler):
        expected = "servers that answered others failed" if is_well else "no answer from"
        with pytest.raises(ServerError, match=expected):
            _ask([address], [[13]], patience_s=3.0)
        assert set(probes) == {"/health_generate"}
        assert not is_well or len(handler.seen) == 8


class _SeemsWell(_Stub):
    """Fails on every prompt, and makes tokens of its own."""

    def do_GET(self) -> None:
        self.respond(200, {})


@pytest.mark.parametrize(("num_prompts", "given_up"), [(3, 3), (5, 3)])
def test_a_server_that_fails_on_every_prompt_costs_a_few_of_them_and_then_ends_the_run(
    num_prompts: int, given_up: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sglang, "_FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(sglang, "_LONGEST_PAUSE_S", 0.05)

    async def run(address: str) -> list[list[int] | BaseException]:
        async with sglang_generator([address], concurrency=8, patience_s=4.0) as generator:
            asked = [generator.generate([number], SAMPLED) for number in range(num_prompts)]
            return await asyncio.gather(*asked, return_exceptions=True)

    with _stub((500, {}), kind=_SeemsWell) as (address, _):
        outcomes = asyncio.run(run(address))
    assert sum(isinstance(outcome, PromptFailedError) for outcome in outcomes) == given_up
    assert all(isinstance(outcome, ServerError) for outcome in outcomes)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYRIE_API_KEY", "k3y")
    with _stub(_answer([4], type="stop", matched=4)) as (address, handler):
        _ask([address], [[1]])
        assert handler.keys == ["Bearer k3y"]


def test_a_refusal_ends_at_once_and_quotes_neither_prompt_nor_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYRIE_API_KEY", "k3y")
    with _stub((401, {"error": "no"})) as (address, handler):
        with pytest.raises(ServerError, match=r"refused a request with status 401; EYRIE_API_KEY") as caught:
            _ask([address], [[987654]])
        assert len(handler.seen) == 1
    assert "k3y" not in str(caught.value)
    assert "987654" not in str(caught.value)


def test_a_server_of_another_kind_is_refused() -> None:
    with _stub((200, {"choices": []})) as (address, _), pytest.raises(ServerError, match="is it an SGLang server"):
        _ask([address], [[1]])


def test_answers_may_take_longer_than_the_patience_and_a_failure_meanwhile_is_tried_again() -> None:
    class Slow(_Stub):
        def do_POST(self) -> None:
            if not self.seen:
                time.sleep(1.5)
            super().do_POST()

    with _stub((503, {}), _answer([4], type="length", length=1), kind=Slow) as (address, handler):
        assert _ask([address], [[1]], patience_s=1.0) == [[4]]
        assert len(handler.seen) == 2


def test_servers_that_stay_away_end_the_run_after_the_patience() -> None:
    address, started = f"http://127.0.0.1:{free_port()}", time.monotonic()
    with pytest.raises(ServerError, match=rf"no answer from {address} for 1 s, lastly ClientConnectorError"):
        _ask([address], [[1]], patience_s=1.0)
    assert time.monotonic() - started < 15


def test_addresses_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYRIE_SERVERS", "localhost:30000")
    with pytest.raises(ServerError, match="must begin"):
        server_addresses()


@pytest.mark.parametrize("address", ["http://", "http://gpu-1:port", "http://gpu-1:70000", "http://[::1"])
def test_an_address_that_nobody_can_have_is_refused_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("EYRIE_SERVERS", f"http://gpu-0:30000,{address}")
    with pytest.raises(ServerError, match=r"EYRIE_SERVERS: http.* is no address; it needs a host"):
        server_addresses()


def test_a_password_in_an_address_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYRIE_SERVERS", "http://me:letmein@gpu-1:30000")
    with pytest.raises(ServerError, match="EYRIE_API_KEY holds the key") as caught:
        server_addresses()
    assert "letmein" not in str(caught.value)


def test_addresses_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYRIE_SERVERS", "http://a:1/, https://b")
    assert server_addresses() == ["http://a:1", "https://b"]


def test_every_server_is_checked_once_before_it_is_asked_and_again_when_it_was_gone() -> None:
    checked: list[str] = []

    async def run(address: str, handler: type[_Stub]) -> None:
        async with sglang_generator([address], concurrency=4, check=checked.append) as generator:
            await _all(generator, PROMPTS)
            assert checked == [address]
            handler.broken = True
            await generator.generate([1], SAMPLED)
            assert checked == [address] * 2

    with _stub(_answer([4], type="stop", matched=4)) as (address, handler):
        asyncio.run(run(address, handler))


def test_a_server_that_serves_something_else_ends_the_run_before_it_is_asked() -> None:
    def refuse(address: str) -> None:
        raise ServerError(f"{address}: another model")

    async def run(address: str) -> None:
        async with sglang_generator([address], concurrency=4, check=refuse) as generator:
            await _all(generator, PROMPTS)

    with _stub(_answer([4], type="stop", matched=4)) as (address, handler):
        with pytest.raises(ServerError, match="another model"):
            asyncio.run(run(address))
        assert handler.seen == []


def test_a_server_that_is_not_there_for_its_check_is_waited_for() -> None:
    tries: list[str] = []

    def check(address: str) -> None:
        tries.append(address)
        if len(tries) < 3:
            raise NoAnswerError(f"{address}: no answer")

    async def run(address: str) -> list[int]:
        async with sglang_generator([address], concurrency=4, check=check) as generator:
            return await generator.generate([1], SAMPLED)

    with _stub(_answer([4], type="stop", matched=4)) as (address, _):
        assert asyncio.run(run(address)) == [4]
    assert len(tries) == 3
