"""The fixed set of answers against a small stand-in server."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiohttp import web

from eyrie.bench.gate import Gate, GateAnswer
from eyrie.engines.servers import ServerError


@contextmanager
def refusing_server() -> Iterator[str]:
    """A server that refuses every prompt and quotes it, as SGLang does."""

    async def refuse(http: web.Request) -> web.Response:
        error = {"message": f"1 error in {await http.json()}", "type": "Bad Request", "code": 400}
        return web.json_response(error, status=400)

    loop = asyncio.new_event_loop()
    app = web.Application()
    app.router.add_post("/generate", refuse)
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


def test_a_prompt_that_is_refused_is_not_quoted() -> None:
    asked = GateAnswer("p", "chat", 0, [], [987654, 8], [9], None, [])
    with refusing_server() as address:
        gate = Gate(address, chat=None, output_tokens=4, context_length=8, concurrency=1, timeout_s=5)  # type: ignore[arg-type]
        with pytest.raises(ServerError) as caught:
            gate.replay([asked])
    said = f"{address}/generate refused a benchmark prompt of 2 tokens with status 400 (Bad Request, 400)"
    assert str(caught.value) == said
