"""A closed-loop load generator for any OpenAI-compatible server: so many requests at a time, each streamed.

In: chat requests, histories included. Out: one record per request, in their order. Nothing is hidden: a failed request
is a record with an error.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from eyrie.engines.servers import ServerError, error_kind, failure
from eyrie.io import digest_of

Messages = list[dict[str, Any]]

_IDLE_WITHIN_S = 60  # as SGLang's own client waits


@dataclass
class RequestRecord:
    """One request. Times are seconds from sending it; `error` is None when it finished.

    `latency_s` ends with the last piece of text, or the stop token behind it; `gaps_s` are the pauses between pieces.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    ttft_s: float = 0.0
    latency_s: float = 0.0
    gaps_s: list[float] = field(default_factory=list)
    num_verify_steps: int | None = None  # None from a server that does not draft, or does not tell
    answer_digest: str = ""
    error: str | None = None


@dataclass(frozen=True)
class LoadResult:
    records: list[RequestRecord]
    duration_s: float


@dataclass(frozen=True)
class Load:
    """How to ask: `concurrency` requests at a time, at most `output_tokens` per answer."""

    concurrency: int
    output_tokens: int
    temperature: float
    seed: int
    timeout_s: float  # per request
    template_settings: Mapping[str, Any] = field(default_factory=dict)  # the chat template's own variables

    def extra_body(self) -> dict[str, Any]:
        """What both load generators add to a request."""
        extra: dict[str, Any] = {
            "temperature": self.temperature,
            "seed": self.seed,
            "stream_options": {"include_usage": True},
        }
        return extra | ({"chat_template_kwargs": dict(self.template_settings)} if self.template_settings else {})


async def run_load(
    base_url: str, model: str, requests: Sequence[Messages], load: Load, *, api_key: str | None = None
) -> LoadResult:
    """Ask everything once, after the server's cache was emptied. Raises ServerError when it cannot be."""
    waiting = iter(enumerate(requests))
    records = [RequestRecord()] * len(requests)
    timeout = aiohttp.ClientTimeout(total=load.timeout_s)
    connector = aiohttp.TCPConnector(limit=load.concurrency)
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    async with aiohttp.ClientSession(base_url, timeout=timeout, connector=connector, headers=headers) as session:
        await _flush_cache(session, base_url)

        async def worker() -> None:
            for index, messages in waiting:
                records[index] = await _ask(session, model, messages, load)

        started = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(load.concurrency)))
        return LoadResult(records, time.perf_counter() - started)


class _BadAnswerError(Exception):
    """In words of our own, which quote nothing."""


async def _flush_cache(session: aiohttp.ClientSession, base_url: str) -> None:
    """What an earlier load left must not help this one. A server without such a route keeps what it keeps; SGLang
    refuses as long as it is busy with the end of a request, and waits when it is told to (0.5.23, `flush_wrapper`)."""
    try:
        async with session.post("/flush_cache", params={"timeout": str(_IDLE_WITHIN_S)}) as response:
            status = response.status
    except (aiohttp.ClientError, TimeoutError):
        return  # the requests will tell
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    if refused and status not in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        raise ServerError(
            f"{base_url}/flush_cache: status {status}: its cache was not emptied, and what an earlier load left there "
            "would help this one"
        )


async def _ask(session: aiohttp.ClientSession, model: str, messages: Messages, load: Load) -> RequestRecord:
    """One streamed chat completion."""
    body = {"model": model, "messages": messages, "max_tokens": load.output_tokens, "stream": True}
    record, pieces = RequestRecord(), list[str]()
    started = time.perf_counter()
    try:
        async with session.post(
            "/v1/chat/completions", json=body | load.extra_body(), allow_redirects=False
        ) as response:
            if response.status != 200:
                raise _BadAnswerError(f"HTTP {response.status}{error_kind(await response.read())}")
            previous = 0.0
            async for event in _events(response.content):
                elapsed = time.perf_counter() - started
                if event.get("error"):
                    raise _BadAnswerError(f"the server sent an error{error_kind(event)}")
                for choice in event.get("choices", []):
                    if choice.get("finish_reason") == "abort":
                        raise _BadAnswerError("the server broke the answer off")
                    if text := _text(choice["delta"]):
                        pieces.append(text)
                        if previous:
                            record.gaps_s.append(elapsed - previous)
                        else:
                            record.ttft_s = elapsed
                        record.latency_s = previous = elapsed
                    elif record.gaps_s:  # the last chunk, of a stop token that is no text
                        record.latency_s = elapsed
                _read_usage(event, record)
        if record.output_tokens == 0:
            raise _BadAnswerError("the stream ended without usage")
        record.answer_digest = digest_of("".join(pieces))
    except TimeoutError:
        record.error = f"TimeoutError: no whole answer within {load.timeout_s:g} s"
    except _BadAnswerError as error:
        record.error = f"ClientError: {error}"
    except aiohttp.ClientError as error:
        record.error = failure(error)
    except (HttpProcessingError, KeyError, TypeError, AttributeError, ValueError) as error:  # may quote the answer
        record.error = f"{type(error).__name__}: the stream is not in OpenAI's form"
    return record


def _text(delta: dict[str, Any]) -> str:
    """What a chunk adds to the answer, reasoning that the server sets apart included. SGLang's first chunk (the role)
    and its last (why it finished) add nothing: as pieces they would give an answer of one piece a time per token."""
    text: str = (delta.get("reasoning_content") or "") + (delta.get("content") or "")
    return text


async def _events(lines: AsyncIterable[bytes]) -> AsyncIterator[dict[str, Any]]:
    """The JSON payloads of a server-sent event stream, up to [DONE]."""
    async for line in lines:
        payload = line.strip()
        if payload.startswith(b"data:"):
            payload = payload[5:].strip()
            if payload == b"[DONE]":
                return
            yield json.loads(payload)


def _read_usage(event: dict[str, Any], record: RequestRecord) -> None:
    if usage := event.get("usage"):
        record.input_tokens, record.output_tokens = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
        steps = (event.get("meta_info") or {}).get("spec_verify_ct")
        record.num_verify_steps = None if steps is None else int(steps)
