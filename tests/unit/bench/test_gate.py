"""The fixed set of answers against a small stand-in server."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from eyrie.bench.client import Messages
from eyrie.bench.gate import Gate, GateAnswer
from eyrie.bench.workloads import BenchPrompt
from eyrie.engines.servers import ServerError
from eyrie.engines.target import load_chat
from tests.conftest import tiny_params
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


def test_the_baseline_plays_conversations_with_its_own_answers_and_the_others_get_the_very_same_prompts(
    tiny_target: Path,
) -> None:
    chat = load_chat(tiny_params(tiny_target).target)
    said, seen = chat.tokenize(" the assistant"), list[dict[str, Any]]()

    async def answer(http: web.Request) -> web.Response:
        seen.append(await http.json() | {"key": http.headers.get("Authorization")})
        top = [[[-0.25, token, None], [-2.5, 7, None]] for token in said] if seen[-1].get("return_logprob") else None
        info = {"finish_reason": {"type": "length"}, "output_top_logprobs": top, "spec_verify_ct": len(seen)}
        return web.json_response({"output_ids": said, "meta_info": info})

    asked: list[Messages] = [[{"role": "system", "content": "be the system"}, {"role": "user", "content": "the user"}]]
    for text in ("and now", "and then"):
        asked.append(
            [*asked[-1], {"role": "assistant", "content": chat.decode(said)}, {"role": "user", "content": text}]
        )
    ids = [chat.prompt_ids(messages) for messages in asked]
    context_length = len(ids[1]) + 3
    assert len(ids[2]) >= context_length  # the third turn does not fit
    prompts = {
        "chat": [BenchPrompt("p", "be the system", ("the user", "and now", "and then"))],
        "code": [BenchPrompt("q", "", ("the user",))],
    }
    with stand_in(answer) as address:
        gate = Gate(address, chat, 6, context_length, concurrency=1, timeout_s=5, api_key="k")
        played = gate.play(prompts)
        again = gate.replay(played)
    plain: Messages = [{"role": "user", "content": "the user"}]
    assert [(each.prompt_id, each.workload, each.turn) for each in played] == [
        ("p", "chat", 0),
        ("p", "chat", 1),
        ("q", "code", 0),
    ]
    assert [each.messages for each in played] == [asked[0], asked[1], plain]
    assert [each.asked for each in played] == [each.asked for each in again] == [*ids[:2], chat.prompt_ids(plain)]
    assert [each.num_verify_steps for each in again] == [4, 5, 6]
    assert all(each.output == said for each in played + again)
    assert all(each.top == [[(token, -0.25), (7, -2.5)] for token in said] for each in played)
    assert [each.top for each in again] == [[]] * 3
    assert [body.get("top_logprobs_num") for body in seen] == [20] * 3 + [None] * 3
    assert [body["sampling_params"] for body in seen[:2]] == [
        {"max_new_tokens": room, "temperature": 0.0} for room in (min(6, context_length - len(ids[0])), 3)
    ]
    assert {body["key"] for body in seen} == {"Bearer k"}


@pytest.mark.parametrize("kind", NOT_TO_BE_QUOTED)
def test_an_error_never_quotes_what_a_server_sent(kind: str) -> None:
    with raw_server(NOT_TO_BE_QUOTED[kind].encode()) as address:
        gate = Gate(address, chat=None, output_tokens=4, context_length=8, concurrency=1, timeout_s=5)  # type: ignore[arg-type]
        with pytest.raises(ServerError) as caught:
            gate.replay([GateAnswer("p", "chat", 0, [], [987654, 8], [9], None, [])])
    assert PROMPT not in str(caught.value)
    assert "AKIA" not in str(caught.value)
