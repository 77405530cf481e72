"""Running SGLang servers as a generator: ids in and ids out over `/generate`.

Requests go to the server with the fewest in flight. One that fails or is busy is asked again elsewhere, or here after
a pause; servers may come and go, as long as one of them answers within `patience_s`. Each is checked before it is
first asked, and again when it was gone. What a server refuses (a wrong key, a malformed request) ends the run at once;
a prompt on which servers fail while they answer others is given up after a while, and holds nobody else up. Where only
such prompts are left, a token of the server's own (SGLang's `/health_generate`) counts as another answer: for one
prompt at a time and a few in a row, lest a server that fails on every prompt, and only seems well, cost them all.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.server_facts import NoAnswerError
from eyrie.engines.servers import API_KEY_VARIABLE, ServerError
from eyrie.engines.sglang_answer import AbortedError, answer_ids

_PATIENCE_S = 300.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
_REQUEST_TIMEOUT_S = 3600.0
_PROBE_TIMEOUT_S = 60.0  # a server takes up to 20 s to find itself unwell
_MOST_FAILURES = 8  # of one prompt, in 22 s or more
_MOST_VOUCHED = 3  # prompts given up in a row because their server makes tokens of its own


Check = Callable[[str], object]  # of a server's address; raises ServerError


@dataclass
class _Server:
    base_url: str
    num_in_flight: int = 0
    down_until: float = 0.0
    check: asyncio.Future[object] | None = None  # under way or passed


class PromptFailedError(ServerError):
    """Servers answer, but not this prompt."""


class _Unavailable(Exception):  # noqa: N818 - not an error yet: somebody else may answer
    """The server cannot answer now; why, in a few words."""


class _Failed(_Unavailable):
    """It is there, and could not answer this request."""


class SglangGenerator:
    """See `sglang_generator`."""

    def __init__(
        self, session: aiohttp.ClientSession, addresses: Sequence[str], patience_s: float, check: Check | None
    ) -> None:
        self._session, self._patience_s, self._check = session, patience_s, check
        self._servers = [_Server(address) for address in addresses]
        self._last_answer = time.monotonic()
        self._vouched: dict[str, Any] | None = None  # the request for which a server's own tokens count now
        self._num_vouched = 0  # given up so since the last answer

    async def generate(self, prompt_ids: Sequence[int], sampling: SamplingParams) -> list[int]:
        """Raises ServerError when a server refuses, or none has answered anything for `patience_s` since this prompt
        first failed, and PromptFailedError."""
        body = {
            "input_ids": list(prompt_ids),
            "sampling_params": {
                "max_new_tokens": sampling.max_new_tokens,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "sampling_seed": sampling.seed,
            },
        }
        pause, num_failures, failed_at = _FIRST_PAUSE_S, 0, time.monotonic()
        first_failed_at: float | None = None
        while True:
            server = min(
                self._servers, key=lambda item: (max(item.down_until - time.monotonic(), 0.0), item.num_in_flight)
            )
            if (wait := server.down_until - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            server.num_in_flight += 1
            try:
                answer = await self._ask(server, body)
            except _Unavailable as reason:
                first_failed_at = first_failed_at or time.monotonic()
                # an answer may take longer than the patience: that nobody answered says little until one has failed
                if time.monotonic() - max(self._last_answer, first_failed_at) > self._patience_s:
                    addresses = ", ".join(item.base_url for item in self._servers)
                    raise ServerError(
                        f"no answer from {addresses} for {self._patience_s:g} s, lastly {reason}; what was answered is "
                        "kept, run again when a server is up"
                    ) from None
                resting, pause = pause, min(2 * pause, _LONGEST_PAUSE_S)
                others_answered, failed_at = self._last_answer > failed_at, time.monotonic()
                if isinstance(reason, _Failed) and (others_answered or await self._vouches(server, body)):
                    num_failures += 1
                    if num_failures == _MOST_FAILURES:
                        if self._vouched is body:
                            self._vouched, self._num_vouched = None, self._num_vouched + 1
                        raise PromptFailedError(f"servers that answered others failed on a prompt: {reason}") from None
                    await asyncio.sleep(resting)
                else:
                    server.down_until = failed_at + resting
                continue
            finally:
                server.num_in_flight -= 1
            self._last_answer, self._vouched, self._num_vouched = time.monotonic(), None, 0
            return answer

    async def _ask(self, server: _Server, body: dict[str, Any]) -> list[int]:
        """Raises _Unavailable, ServerError. Neither quotes the request: prompts do not belong in messages."""
        if self._check is not None:
            await self._passed(server, self._check)
        try:
            async with self._session.post(f"{server.base_url}/generate", json=body) as response:
                if response.status in (408, 425, 429) or response.status >= 500:
                    kind = _Failed if response.status == 500 else _Unavailable
                    raise kind(f"status {response.status} from {server.base_url}")
                if response.status != 200:
                    hint = f"; {API_KEY_VARIABLE} holds the key" if response.status in (401, 403) else ""
                    raise ServerError(
                        f"{server.base_url}/generate refused a request with status {response.status}{hint}"
                    )
                document = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            if isinstance(error, ServerError):
                raise
            server.check = None  # another one may come up there
            raise _Unavailable(f"{type(error).__name__} from {server.base_url}") from None
        try:
            return answer_ids(document, server.base_url)
        except AbortedError as error:
            raise _Failed(str(error)) from None

    async def _vouches(self, server: _Server, body: dict[str, Any]) -> bool:
        """Whether it makes a token of its own, and that is to count for this request. False also where it cannot be
        asked."""
        if self._num_vouched == _MOST_VOUCHED:
            return False
        if self._vouched is None:
            self._vouched = body
        if self._vouched is not body:
            return False
        timeout = aiohttp.ClientTimeout(total=_PROBE_TIMEOUT_S)
        try:
            async with self._session.get(f"{server.base_url}/health_generate", timeout=timeout) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _passed(self, server: _Server, check: Check) -> None:
        """Return when the server passed its check: one for all requests that wait for it. Raises as `_ask` does."""
        if (mine := server.check) is None:
            mine = server.check = asyncio.ensure_future(asyncio.to_thread(check, server.base_url))
        try:
            await asyncio.shield(mine)
        except NoAnswerError as reason:
            if server.check is mine:
                server.check = None
            raise _Unavailable(str(reason)) from None


@contextlib.asynccontextmanager
async def sglang_generator(
    addresses: Sequence[str], *, concurrency: int, patience_s: float = _PATIENCE_S, check: Check | None = None
) -> AsyncIterator[SglangGenerator]:
    """A generator over running servers, each of which must pass `check`. The API key, when they want one, is read from
    the environment."""
    key = os.environ.get(API_KEY_VARIABLE)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    connector = aiohttp.TCPConnector(limit=concurrency)
    timeout = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S, connect=30)
    async with aiohttp.ClientSession(headers=headers, connector=connector, timeout=timeout) as session:
        yield SglangGenerator(session, addresses, patience_s, check)
