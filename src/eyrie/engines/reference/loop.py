"""Driving the engine from an asyncio server: requests go in, new tokens come out as they are made.

The engine steps on the event loop's own thread. Small steps are bound by Python, where a second thread would fight for
the interpreter lock; between two steps the loop serves every socket that is ready.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence

from eyrie.engines.reference.engine import Engine
from eyrie.engines.reference.request import Request
from eyrie.engines.reference.sampling import SamplingParams

logger = logging.getLogger(__name__)

_TURNS_BETWEEN_STEPS = 4  # of the event loop: accept, read, parse and answer without a step in between


class EngineLoop:
    """`run` as a task; `tokens` from handlers."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._work = asyncio.Event()
        self._news: dict[Request, asyncio.Event] = {}
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Step while there is work. A failing step ends the server: its caches cannot be trusted any more."""
        try:
            while True:
                if not self.engine.has_work:
                    self._work.clear()
                    await self._work.wait()
                for request in self.engine.step():
                    if (news := self._news.get(request)) is not None:
                        news.set()
                for _ in range(_TURNS_BETWEEN_STEPS):
                    await asyncio.sleep(0)
        except Exception as error:
            self._failure = error
            for news in self._news.values():
                news.set()
            raise

    def submit(self, prompt_ids: Sequence[int], params: SamplingParams) -> Request:
        """Queue a request. Raises ValueError as the engine does."""
        request = self.engine.submit(prompt_ids, params)
        self._news[request] = asyncio.Event()
        self._work.set()
        return request

    async def tokens(self, request: Request) -> AsyncGenerator[list[int], None]:
        """The request's new ids, piece by piece, the last one perhaps empty.

        Leaving early (a client that went away) cancels the request.
        """
        news, sent = self._news[request], 0
        try:
            while True:
                await news.wait()
                news.clear()
                if self._failure is not None:
                    raise RuntimeError("the engine has stopped") from self._failure
                finished = request.finish_reason is not None
                newest = request.output_ids[sent:]
                if finished or newest:
                    sent += len(newest)  # before the caller has them, who may let the engine step meanwhile
                    yield newest
                if finished:
                    return
        finally:
            del self._news[request]
            self.engine.cancel(request)

    def stop(self) -> None:
        """End every request where it stands, with the finish reason `abort`: what is told to end makes nobody wait."""
        for request, news in self._news.items():
            self.engine.cancel(request)
            news.set()

    async def finish(self, request: Request) -> None:
        """Wait until the request is done."""
        async for _ in self.tokens(request):
            pass
