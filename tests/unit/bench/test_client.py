"""The load generator against a small stand-in server."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from eyrie.bench.client import Load, LoadResult, Messages, run_load
from eyrie.bench.metrics import tpot_s
from eyrie.engines.servers import ServerError
from eyrie.io import digest_of
from tests.services.raw import NOT_TO_BE_QUOTED, PROMPT, raw_server

Handler = Callable[[dict[str, Any], Callable[[Any], Awaitable[None]]], Awaitable[None]]

Flush = Callable[[web.Request], Awaitable[web.Response]]


def chunk(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


def usage(tokens: int, steps: int | None = None) -> dict[str, Any]:
    event: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": tokens}}
    return event if steps is None else event | {"meta_info": {"spec_verify_ct": steps}}


@asynccontextmanager
async def stand_in(handler: Handler, flush: Flush | None = None) -> AsyncIterator[str]:
    """A server whose chat completions stream whatever `handler` sends."""

    async def chat(http: web.Request) -> web.StreamResponse:
        body = await http.json()
        if body["messages"][-1]["content"] == "refuse":
            error = {"object": "error", "message": f"1 error in {body}", "type": "Bad Request", "code": 400}
            return web.json_response(error, status=400)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)

        async def send(event: Any) -> None:
            await response.write(f"data: {json.dumps(event) if event else '[DONE]'}\n\n".encode())

        await handler(body, send)
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    if flush is not None:
        app.router.add_post("/flush_cache", flush)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def measure(
    handler: Handler,
    requests: list[Messages],
    *,
    concurrency: int = 1,
    timeout_s: float = 5,
    flush: Flush | None = None,
) -> LoadResult:
    async def run() -> LoadResult:
        async with stand_in(handler, flush) as base_url:
            return await run_load(base_url, "m", requests, Load(concurrency, 5, 0.0, 1, timeout_s))

    return asyncio.run(run())


def ask(text: str) -> Messages:
    return [{"role": "user", "content": text}]


def test_times_are_taken_from_the_stream_and_counts_from_usage() -> None:
    async def answer(_body: Any, send: Any) -> None:
        await asyncio.sleep(0.1)
        await send(chunk("one"))
        await asyncio.sleep(0.2)
        await send(chunk(" two three"))
        await asyncio.sleep(0.05)
        await send(usage(3, steps=1))
        await send(None)

    (record,) = measure(answer, [ask("hi")]).records
    assert record.error is None
    assert (record.input_tokens, record.output_tokens, record.num_verify_steps) == (7, 3, 1)
    assert 0.1 <= record.ttft_s < 0.2
    assert len(record.gaps_s) == 1
    assert 0.15 < record.gaps_s[0] < 0.3
    assert abs(record.latency_s - record.ttft_s - record.gaps_s[0]) < 1e-6  # usage and [DONE] are no tokens


def test_chunks_without_text_are_no_pieces_and_reasoning_is_text() -> None:
    """SGLang's form: the role, then text, then why it finished."""

    async def answer(body: Any, send: Any) -> None:
        await send({"choices": [{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
        await asyncio.sleep(0.1)
        if body["messages"][-1]["content"] == "reason":
            await send({"choices": [{"delta": {"reasoning_content": "so", "content": None}, "finish_reason": None}]})
            await asyncio.sleep(0.1)
        await send(chunk("all of it"))
        await asyncio.sleep(0.05)
        await send({"choices": [{"delta": {"content": None}, "finish_reason": "stop"}]})
        await send(usage(9))
        await send(None)

    whole, reasoned = measure(answer, [ask("hi"), ask("reason")]).records
    assert whole.gaps_s == []
    assert 0.1 <= whole.ttft_s == whole.latency_s
    assert tpot_s(whole) is None
    assert len(reasoned.gaps_s) == 1
    assert 0.1 <= reasoned.ttft_s < 0.2
    assert reasoned.latency_s > reasoned.ttft_s + reasoned.gaps_s[0] + 0.04  # its stop token came later
    assert whole.answer_digest == digest_of("all of it")
    assert reasoned.answer_digest == digest_of("soall of it")


def test_every_request_is_asked_as_it_is_and_recorded_in_its_place() -> None:
    seen = []

    async def answer(body: Any, send: Any) -> None:
        seen.append(body)
        if body["messages"][-1]["content"] == "0":
            await asyncio.sleep(0.2)
        await send(chunk(body["messages"][-1]["content"]))
        await send(usage(2 + int(body["messages"][-1]["content"])))
        await send(None)

    history: Messages = [{"role": "system", "content": "be brief"}, *ask("a"), {"role": "assistant", "content": "b"}]
    records = measure(answer, [ask("0"), [*history, *ask("1")], ask("2")], concurrency=3).records
    assert [record.output_tokens for record in records] == [2, 3, 4]
    assert len({record.answer_digest for record in records}) == 3
    assert [*history, *ask("1")] in [body["messages"] for body in seen]
    assert all(body["temperature"] == 0.0 and body["max_tokens"] == 5 for body in seen)


def test_errors_are_counted_and_end_their_request_only() -> None:
    async def answer(body: Any, send: Any) -> None:
        await send(chunk("x"))
        if body["messages"][-1]["content"] == "break":
            await send({"error": {"message": f"1 error in {body}", "type": "InternalServerError", "code": 500}})
        if body["messages"][-1]["content"] == "slow":
            await asyncio.sleep(3)
        if body["messages"][-1]["content"] == "cut":
            return
        await send(usage(2))
        await send(None)

    asked = [ask("refuse"), ask("slow"), ask("cut"), ask("fine"), ask("break")]
    errors = [record.error for record in measure(answer, asked, timeout_s=0.5).records]
    assert errors[0] == "ClientError: HTTP 400 (Bad Request, 400)"  # the messages quote the prompt
    assert errors[4] == "ClientError: the server sent an error (InternalServerError, 500)"
    assert errors[1] == "TimeoutError: no whole answer within 0.5 s"
    assert errors[2] == "ClientError: the stream ended without usage"
    assert errors[3] is None


@pytest.mark.parametrize(
    "event",
    [
        [1],
        {"choices": 1},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": ["piece"]}}]},
        {"usage": [1]},
        {"usage": {"prompt_tokens": None, "completion_tokens": None}},
        usage(2) | {"meta_info": "piece"},
        chunk("piece" * 200_000),
    ],
    ids=lambda event: json.dumps(event)[:40],
)
def test_a_stream_in_another_form_is_one_failed_request_and_is_not_quoted(event: Any) -> None:
    async def answer(body: Any, send: Any) -> None:
        if body["messages"][-1]["content"] == "odd":
            await send(event)
        await send(chunk("x"))
        await send(usage(2))
        await send(None)

    odd, fine = measure(answer, [ask("odd"), ask("fine")]).records
    assert odd.error is not None
    assert odd.error.endswith(": the stream is not in OpenAI's form")
    assert fine.error is None


@pytest.mark.parametrize("kind", NOT_TO_BE_QUOTED)
def test_an_error_never_quotes_what_a_server_sent(kind: str) -> None:
    with raw_server(NOT_TO_BE_QUOTED[kind].encode()) as address:
        result = asyncio.run(run_load(address, "m", [ask("hi")], Load(1, 5, 0.0, 1, 5)))
    assert result.records[0].error is not None
    assert PROMPT not in result.records[0].error
    assert "AKIA" not in result.records[0].error


def test_an_answer_that_the_server_broke_off_is_an_error() -> None:
    async def break_off(_body: Any, send: Any) -> None:
        await send(chunk("half"))
        await send({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "abort"}]})
        await send(usage(1))
        await send(None)

    (record,) = measure(break_off, [ask("hi")]).records
    assert record.error == "ClientError: the server broke the answer off"


@pytest.mark.parametrize("status", [200, 404, 400, 401])
def test_a_load_begins_with_an_empty_cache_or_not_at_all(status: int) -> None:
    """SGLang refuses while a request's end is on its way still, unless it is told how long to wait."""
    asked: list[str] = []

    async def flush(http: web.Request) -> web.Response:
        asked.append(http.query.get("timeout", "0"))
        return web.Response(status=status if float(asked[-1]) > 0 else 400)

    async def answer(_body: Any, send: Any) -> None:
        await send(chunk("one"))
        await send(usage(1))
        await send(None)

    if status in (200, 404):
        assert [record.error for record in measure(answer, [ask("hi")], flush=flush).records] == [None]
    else:
        with pytest.raises(ServerError, match=rf"/flush_cache: status {status}: its cache was not emptied") as caught:
            measure(answer, [ask("hi")], flush=flush)
        assert str(caught.value).startswith("http://127.0.0.1:")
    assert [float(seconds) > 0 for seconds in asked] == [True]


def test_no_more_requests_are_open_than_the_concurrency() -> None:
    running = highest = 0

    async def answer(_body: Any, send: Any) -> None:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        await asyncio.sleep(0.05)
        await send(chunk("x"))
        running -= 1
        await send(usage(2))
        await send(None)

    result = measure(answer, [ask("hi")] * 7, concurrency=3)
    assert highest == 3
    assert [record.error for record in result.records] == [None] * 7
    assert 0.15 <= result.duration_s < 3
