"""A closed-loop load generator for any OpenAI-compatible server: so many conversations at a time, each streamed.

In: conversations (user turns). Out: one record per request. A conversation's next turn is asked with the server's own
answers as history, as a chat client would. Nothing is hidden: a failed request is a record with an error.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from eyrie.bench.workloads import BenchPrompt


@dataclass
class RequestRecord:
    """One request. Times are seconds from sending it; `error` is None when it finished.

    `latency_s` ends with the last piece of text, `gaps_s` are the pauses between pieces of the stream.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    ttft_s: float = 0.0
    latency_s: float = 0.0
    gaps_s: list[float] = field(default_factory=list)
    num_verify_steps: int | None = None  # None from a server that does not draft, or does not tell
    error: str | None = None


@dataclass(frozen=True)
class LoadResult:
    records: list[RequestRecord]
    duration_s: float


@dataclass(frozen=True)
class Load:
    """How to ask: `concurrency` conversations at a time, at most `output_tokens` per answer."""

    concurrency: int
    output_tokens: int
    temperature: float
    seed: int
    timeout_s: float  # per request


async def run_load(base_url: str, model: str, prompts: Sequence[BenchPrompt], load: Load) -> LoadResult:
    """Ask every prompt once."""
    waiting, records = deque(prompts), list[RequestRecord]()
    timeout = aiohttp.ClientTimeout(total=load.timeout_s)
    connector = aiohttp.TCPConnector(limit=load.concurrency)
    async with aiohttp.ClientSession(base_url, timeout=timeout, connector=connector) as session:

        async def worker() -> None:
            while waiting:
                records.extend(await _converse(session, model, waiting.popleft(), load))

        started = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(load.concurrency)))
        return LoadResult(records, time.perf_counter() - started)


async def _converse(session: aiohttp.ClientSession, model: str, prompt: BenchPrompt, load: Load) -> list[RequestRecord]:
    """All turns of one conversation; it ends early when a turn fails."""
    messages = [{"role": "system", "content": prompt.system}] if prompt.system else []
    records = []
    for turn in prompt.turns:
        messages.append({"role": "user", "content": turn})
        record, answer = await _ask(session, model, messages, load)
        records.append(record)
        if record.error is not None:
            break
        messages.append({"role": "assistant", "content": answer})
    return records


async def _ask(
    session: aiohttp.ClientSession, model: str, messages: list[dict[str, str]], load: Load
) -> tuple[RequestRecord, str]:
    """One streamed chat completion."""
    body = {
        "model": model,
        "messages": messages,
        "max_tokens": load.output_tokens,
        "temperature": load.temperature,
        "seed": load.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    record, pieces = RequestRecord(), list[str]()
    started = time.perf_counter()
    try:
        async with session.post("/v1/chat/completions", json=body) as response:
            if response.status != 200:
                raise aiohttp.ClientError(f"HTTP {response.status}: {(await response.text())[:500]}")
            previous = 0.0
            async for event in _events(response.content):
                elapsed = time.perf_counter() - started
                if event.get("error"):
                    raise aiohttp.ClientError(str(event["error"])[:500])
                for choice in event.get("choices", []):
                    pieces.append(choice["delta"].get("content") or "")
                    if previous:
                        record.gaps_s.append(elapsed - previous)
                    else:
                        record.ttft_s = elapsed
                    record.latency_s = previous = elapsed
                _read_usage(event, record)
        if record.output_tokens == 0:
            raise aiohttp.ClientError("the stream ended without usage")
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
        record.error = f"{type(error).__name__}: {error}"
    return record, "".join(pieces)


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
        record.input_tokens, record.output_tokens = usage["prompt_tokens"], usage["completion_tokens"]
        record.num_verify_steps = (event.get("meta_info") or {}).get("spec_verify_ct")
