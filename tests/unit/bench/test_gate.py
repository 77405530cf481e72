"""The fixed set of answers against a small stand-in server."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from aiohttp import web

from eyrie.bench.gate import Gate, GateAnswer
from eyrie.engines.servers import ServerError
from tests.services.raw import NOT_TO_BE_QUOTED, PROMPT, raw_server

Handler = Callable[[web.Request], Awaitable[web.Response]]


async def refuse(http: web.Request) -> web.Response:
    """Refuses every prompt and quotes it, as SGLang does."""
    error = {"message": f"1 error in {await http.json()}", "type": "Bad Request", "code": 400}
    return web.json_response(error, status=400)


@contextmanager
def stand_in(handler: Handler) -> Iterator[str]:
    """A server that answers with `handler`."""
    loop = asyncio.new_event_loop()
    app = web.Application()
    app.router.add_post("/generate", handler)
    runner = web.AppRunner(app)
    loop.run_until_complete(runner.setup())
    loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def said_of(handler: Handler, *, timeout_s: float = 5) -> str:
    """What the gate says of a server that answers so, without its address."""
    asked = GateAnswer("p", "chat", 0, [], [987654, 8], [9], None, [])
    with stand_in(handler) as address:
        gate = Gate(address, chat=None, output_tokens=4, context_length=8, concurrency=1, timeout_s=timeout_s)  # type: ignore[arg-type]
        with pytest.raises(ServerError) as caught:
            gate.replay([asked])
    return str(caught.value).removeprefix(address)


def test_a_prompt_that_is_refused_is_not_quoted() -> None:
    assert said_of(refuse) == "/generate refused a benchmark prompt of 2 tokens with status 400 (Bad Request, 400)"


@pytest.mark.parametrize("body", ['{"output', "{}", "[]", '{"output_ids": [1], "meta_info": {}}'])
def test_an_answer_in_another_form_is_one_sentence(body: str) -> None:
    async def answer(_http: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    assert said_of(answer) == "/generate did not answer as SGLang does; is it an SGLang server?"


def test_a_server_that_hangs_is_given_up_with_the_time_it_had() -> None:
    async def hang(_http: web.Request) -> web.Response:
        await asyncio.sleep(1)
        return web.Response()

    assert said_of(hang, timeout_s=0.2) == "/generate did not answer within 0.2 s"


@pytest.mark.parametrize("kind", NOT_TO_BE_QUOTED)
def test_an_error_never_quotes_what_a_server_sent(kind: str) -> None:
    with raw_server(NOT_TO_BE_QUOTED[kind].encode()) as address:
        gate = Gate(address, chat=None, output_tokens=4, context_length=8, concurrency=1, timeout_s=5)  # type: ignore[arg-type]
        with pytest.raises(ServerError) as caught:
            gate.replay([GateAnswer("p", "chat", 0, [], [987654, 8], [9], None, [])])
    assert PROMPT not in str(caught.value)
    assert "AKIA" not in str(caught.value)
