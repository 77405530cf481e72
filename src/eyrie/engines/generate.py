"""Letting a target answer: token ids in, token ids out, many requests at a time.

A `Generator` answers one request; callers run as many at once as it was opened for. `local_generator` runs the target
in this process on the reference engine: continuous batching over slot memory, where a finished request makes room at
once. (transformers' `generate` holds a whole batch until its longest answer ends, and copies its cache at every token:
twice the time on the demo's prompts.)

With the same request seed the answer is the same whatever else runs beside it, but for ties within rounding.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from eyrie.engines.reference.engine import Engine
from eyrie.engines.reference.loop import EngineLoop
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.reference.target_runner import longest_context
from eyrie.engines.target import TargetModel


class Generator(Protocol):
    async def generate(self, prompt_ids: Sequence[int], sampling: SamplingParams) -> list[int]:
        """An answer ends with its stop token, or holds `max_new_tokens` ids without one."""


class _LocalGenerator:
    def __init__(self, loop: EngineLoop) -> None:
        self._loop = loop

    async def generate(self, prompt_ids: Sequence[int], sampling: SamplingParams) -> list[int]:
        request = self._loop.submit(prompt_ids, sampling)
        await self._loop.finish(request)
        return request.output_ids


@contextlib.asynccontextmanager
async def local_generator(target: TargetModel, *, concurrency: int, context_length: int) -> AsyncIterator[Generator]:
    """A generator on the target in this process, for `concurrency` requests of at most `context_length` tokens each,
    answer included. Raises TargetError, ValueError (the target holds fewer tokens)."""
    engine = Engine(
        target,
        head=None,
        drafting=None,
        max_running_requests=concurrency,
        context_length=min(context_length, longest_context(target.config)),
    )
    loop = EngineLoop(engine)
    running = asyncio.create_task(loop.run())
    try:
        yield _LocalGenerator(loop)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        engine.close()
