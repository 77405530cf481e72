"""The engine's HTTP server: OpenAI's chat and text completions, and SGLang's `/generate`, `/server_info`, `/health`.

In: a running `EngineLoop`. Out: a FastAPI application. Errors of the client are 400 with one sentence.
"""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import torch
import transformers
from fastapi import FastAPI
from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse

from eyrie.engines.reference.detokenizer import IncrementalDetokenizer
from eyrie.engines.reference.loop import EngineLoop
from eyrie.engines.reference.protocol import (
    ChatBody,
    CompletionBody,
    GenerateBody,
    OpenAIBody,
    meta_info,
    usage,
)
from eyrie.engines.reference.request import Request


class _Kind:
    """How chat and text completions differ on the wire."""

    def __init__(self, prefix: str, whole: str, chunk: str, *, is_chat: bool) -> None:
        self.prefix, self.whole, self.chunk, self.is_chat = prefix, whole, chunk, is_chat

    def full(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text}} if self.is_chat else {"text": text}

    def piece(self, text: str, *, first: bool) -> dict[str, Any]:
        if not self.is_chat:
            return {"text": text}
        return {"delta": {"role": "assistant", "content": text} if first else {"content": text}}


_CHAT = _Kind("chatcmpl", "chat.completion", "chat.completion.chunk", is_chat=True)
_TEXT = _Kind("cmpl", "text_completion", "text_completion", is_chat=False)


def build_app(loop: EngineLoop, *, model_name: str) -> FastAPI:
    """All routes over one engine."""
    app = FastAPI(title="Eyrie reference engine")
    engine, tokenizer = loop.engine, loop.engine.target.tokenizer
    app.add_exception_handler(RequestValidationError, _invalid_body)
    app.add_exception_handler(ValueError, _invalid_value)

    @app.get("/health")
    async def health() -> Response:
        return Response()

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        card = {"id": model_name, "object": "model", "owned_by": "eyrie", "max_model_len": engine.context_length}
        return {"object": "list", "data": [card]}

    @app.get("/server_info")
    async def server_info() -> dict[str, Any]:
        drafting, totals = engine.drafting, engine.totals
        return {
            "engine": "eyrie-reference",
            "model": model_name,
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
            "device": str(engine.target.device),
            "dtype": str(engine.target.dtype).removeprefix("torch."),
            "context_length": engine.context_length,
            "max_running_requests": engine.max_running_requests,
            "num_running": engine.num_running,
            "num_waiting": engine.num_waiting,
            "speculative": None if drafting is None else drafting.model_dump(),
            "totals": {
                "num_requests": totals.num_requests,
                "num_tokens": totals.num_tokens,
                "num_verify_steps": totals.num_verify_steps,
                "accepted_by_position": totals.accepted_by_position,
                "acceptance_length": totals.acceptance_length,
            },
        }

    @app.post("/flush_cache")
    async def flush_cache() -> Response:
        engine.reset_totals()
        return Response("Counters reset; this engine keeps no cache between requests.\n")

    @app.post("/generate")
    async def generate(body: GenerateBody, http: HttpRequest) -> JSONResponse:
        request = loop.submit(body.input_ids, body.sampling())
        await _unless_disconnected(http, loop.finish(request))
        text = tokenizer.decode(_said(request, request.output_ids), skip_special_tokens=True)
        return JSONResponse({"text": text, "output_ids": request.output_ids, "meta_info": meta_info(request)})

    @app.post("/v1/chat/completions")
    async def chat(body: ChatBody, http: HttpRequest) -> Response:
        body.check_settings(engine.target.chat.settings)
        prompt_ids = engine.target.chat.prompt_ids([message.plain() for message in body.messages])
        room = max(engine.context_length - len(prompt_ids), 1)
        request = loop.submit(prompt_ids, body.sampling(body.max_completion_tokens or body.max_tokens or room))
        return await _answer(_CHAT, body, request, http)

    @app.post("/v1/completions")
    async def completions(body: CompletionBody, http: HttpRequest) -> Response:
        request = loop.submit(body.prompt_ids(tokenizer), body.sampling(body.max_tokens))
        return await _answer(_TEXT, body, request, http)

    async def _answer(kind: _Kind, body: OpenAIBody, request: Request, http: HttpRequest) -> Response:
        header = {"id": f"{kind.prefix}-{uuid.uuid4().hex}", "created": int(time.time()), "model": model_name}
        if body.stream:
            options = body.stream_options
            pieces = _stream(kind, header, request, with_usage=options is not None and options.include_usage)
            return StreamingResponse(pieces, media_type="text/event-stream")
        await _unless_disconnected(http, loop.finish(request))
        text = tokenizer.decode(_said(request, request.output_ids), skip_special_tokens=True)
        choice = {"index": 0, **kind.full(text), "logprobs": None, "finish_reason": request.finish_reason}
        return JSONResponse(
            {
                **header,
                "object": kind.whole,
                "choices": [choice],
                "usage": usage(request),
                "meta_info": meta_info(request),
            }
        )

    async def _stream(kind: _Kind, header: dict[str, Any], request: Request, *, with_usage: bool) -> AsyncIterator[str]:
        detokenizer, first = IncrementalDetokenizer(tokenizer), True

        def chunk(text: str, finish_reason: str | None) -> str:
            choice = {"index": 0, **kind.piece(text, first=first), "finish_reason": finish_reason}
            return _event({**header, "object": kind.chunk, "choices": [choice]})

        async with contextlib.aclosing(loop.tokens(request)) as pieces:
            async for ids in pieces:
                finished = request.finish_reason is not None
                text = detokenizer.push(_said(request, ids)) + (detokenizer.flush() if finished else "")
                if text and not finished:
                    yield chunk(text, None)
                    first = False
        yield chunk(text, request.finish_reason)
        if with_usage:
            yield _event(
                {
                    **header,
                    "object": kind.chunk,
                    "choices": [],
                    "usage": usage(request),
                    "meta_info": meta_info(request),
                }
            )
        yield "data: [DONE]\n\n"

    return app


def _said(request: Request, newest: list[int]) -> list[int]:
    """The newest ids without the token that ended the answer: special or not it is none of the text, as on SGLang."""
    return newest[:-1] if request.finish_reason == "stop" else newest


def _event(payload: dict[str, Any]) -> str:
    return f"data: {json.dumps(payload, ensure_ascii=False, separators=(',', ':'))}\n\n"


async def _unless_disconnected(http: HttpRequest, work: Coroutine[Any, Any, None]) -> None:
    """Await `work`, and give it up as soon as the client goes away."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnected(http))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    finally:
        for pending in (task, gone):
            pending.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(http: HttpRequest) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def _refusal(message: str) -> JSONResponse:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": error}, status_code=400)


async def _invalid_body(_http: HttpRequest, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    if isinstance(error.body, bytes) and error.body:
        return _refusal("the body was not read as JSON: its Content-Type must be application/json")
    lines = []
    for detail in error.errors():
        where = ".".join(str(part) for part in detail["loc"] if part != "body")
        shown = "" if isinstance(detail.get("input"), dict | list) else f" (got {detail.get('input')!r})"
        lines.append(f"{where}: {detail['msg']}{shown}" if where else detail["msg"].removeprefix("Value error, "))
    return _refusal("; ".join(lines))


async def _invalid_value(_http: HttpRequest, error: Exception) -> JSONResponse:
    return _refusal(str(error))
