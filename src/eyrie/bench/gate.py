"""The fixed set of greedy answers over HTTP: what the target says, what each drafting arm says to the same ids, and
the per-request verify counts.

In: conversations and a running server with SGLang's `/generate`. The baseline plays them turn by turn, its own answers
being the history; drafting arms then answer exactly the same prompts. The baseline's histories are also what the load
is made of, so that every arm gets the same requests. Out: `GateAnswer`s.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from eyrie.bench.client import Messages
from eyrie.bench.lossless import describe_mismatch, first_difference, near_tie_margin
from eyrie.bench.workloads import BenchPrompt
from eyrie.chat.template import ChatTemplate
from eyrie.engines.servers import ServerError, error_kind, failure
from eyrie.engines.sglang_answer import answer_ids
from eyrie.params import Workload
from eyrie.schemas import AnswerCheck, Mismatch

_TOP_LOGPROBS = 20


@dataclass(frozen=True)
class GateAnswer:
    """One turn: `messages` and their ids, the answer, and what the server told of it.

    `top` holds, per answered token, the baseline's most likely tokens with their log-probabilities; empty elsewhere.
    Made of lists and numbers only, so that it goes through JSON and back.
    """

    prompt_id: str
    workload: Workload
    turn: int
    messages: Messages
    asked: list[int]
    output: list[int]
    num_verify_steps: int | None
    top: list[list[tuple[int, float]]]


@dataclass(frozen=True)
class Gate:
    """Where and how to ask: at most `output_tokens` per answer, `context_length` with the prompt."""

    base_url: str
    chat: ChatTemplate
    output_tokens: int
    context_length: int
    concurrency: int
    timeout_s: float
    api_key: str | None = None

    def play(self, prompts: Mapping[Workload, Sequence[BenchPrompt]]) -> list[GateAnswer]:
        """The baseline: every conversation, turn by turn. Raises ServerError."""
        pairs = [(workload, prompt) for workload, asked in prompts.items() for prompt in asked]
        return asyncio.run(self._all([(self._converse, pair) for pair in pairs]))

    def replay(self, answers: Sequence[GateAnswer]) -> list[GateAnswer]:
        """Another arm: the very prompts of `answers`, in their order. Raises ServerError."""
        return asyncio.run(self._all([(self._again, (answer,)) for answer in answers]))

    async def _all(self, work: Sequence[tuple[Any, tuple[Any, ...]]]) -> list[GateAnswer]:
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        timeout = aiohttp.ClientTimeout(total=self.timeout_s)
        slots = asyncio.Semaphore(self.concurrency)
        async with aiohttp.ClientSession(self.base_url, timeout=timeout, headers=headers) as session:

            async def one(function: Any, arguments: tuple[Any, ...]) -> list[GateAnswer]:
                async with slots:
                    answers: list[GateAnswer] = await function(session, *arguments)
                    return answers

            groups = await asyncio.gather(*(one(function, arguments) for function, arguments in work))
        return [answer for group in groups for answer in group]

    async def _converse(
        self, session: aiohttp.ClientSession, workload: Workload, prompt: BenchPrompt
    ) -> list[GateAnswer]:
        messages: Messages = [{"role": "system", "content": prompt.system}] if prompt.system else []
        answers: list[GateAnswer] = []
        for turn, text in enumerate(prompt.turns):
            messages = [*messages, {"role": "user", "content": text}]
            asked = self.chat.prompt_ids(messages)
            if len(asked) >= self.context_length:
                break
            output, steps, top = await self._ask(session, asked, with_top=True)
            answers.append(GateAnswer(prompt.prompt_id, workload, turn, messages, asked, output, steps, top))
            messages = [*messages, self.chat.answer_message(asked, output)]
        return answers

    async def _again(self, session: aiohttp.ClientSession, answer: GateAnswer) -> list[GateAnswer]:
        output, steps, _ = await self._ask(session, answer.asked, with_top=False)
        return [GateAnswer(answer.prompt_id, answer.workload, answer.turn, [], answer.asked, output, steps, [])]

    async def _ask(
        self, session: aiohttp.ClientSession, asked: list[int], *, with_top: bool
    ) -> tuple[list[int], int | None, list[list[tuple[int, float]]]]:
        room = min(self.output_tokens, self.context_length - len(asked))
        body: dict[str, Any] = {
            "input_ids": asked,
            "sampling_params": {"max_new_tokens": room, "temperature": 0.0},
        }
        if with_top:
            body |= {"return_logprob": True, "top_logprobs_num": _TOP_LOGPROBS}
        try:
            async with session.post("/generate", json=body, allow_redirects=False) as response:
                if response.status != 200:
                    raise ServerError(
                        f"{self.base_url}/generate refused a benchmark prompt of {len(asked)} tokens with status "
                        f"{response.status}{error_kind(await response.read())}"
                    )
                document: Any = await response.json()
        except TimeoutError:
            raise ServerError(f"{self.base_url}/generate did not answer within {self.timeout_s:g} s") from None
        except (aiohttp.ClientError, HttpProcessingError) as error:
            raise ServerError(f"{self.base_url}/generate did not answer: {failure(error)}") from None
        except (json.JSONDecodeError, UnicodeDecodeError):
            document = None
        output = answer_ids(document, self.base_url)
        info = document["meta_info"]
        try:
            top = [
                [(int(entry[1]), float(entry[0])) for entry in position or []]
                for position in info.get("output_top_logprobs") or []
            ]
        except (TypeError, ValueError, LookupError):
            raise ServerError(f"{self.base_url}/generate: output_top_logprobs are not in SGLang's form") from None
        return output, info.get("spec_verify_ct"), top


def check_answers(
    chat: ChatTemplate, baseline: Sequence[GateAnswer], drafted: Sequence[GateAnswer], *, dtype: str
) -> AnswerCheck:
    """Both arms' answers to the same prompts, token for token."""
    mismatches: list[Mismatch] = []
    before: dict[str, int] = {}
    for one, two in zip(baseline, drafted, strict=True):
        assert one.asked == two.asked
        index = first_difference(one.output, two.output)
        if index is not None:
            mismatches.append(
                describe_mismatch(
                    chat,
                    prompt_id=one.prompt_id,
                    workload=one.workload,
                    baseline=one.output,
                    eagle3=two.output,
                    index=index,
                    before=before.get(one.prompt_id, 0),
                    margin=_margin(one, two, index, dtype),
                    dtype=dtype,
                )
            )
        before[one.prompt_id] = before.get(one.prompt_id, 0) + len(one.output)
    return AnswerCheck(num_answers=len(baseline), num_identical=len(baseline) - len(mismatches), mismatches=mismatches)


def _margin(baseline: GateAnswer, drafted: GateAnswer, index: int, dtype: str) -> float | None:
    """Differences of log-probabilities are differences of logits. Of a token that is not among the most likely ones it
    is known only that it is at least as far as the last of them, which says nothing where that is a near tie."""
    if index >= min(len(baseline.output), len(drafted.output), len(baseline.top)):
        return None
    top = dict(baseline.top[index])
    if not top:
        return None
    best = top.get(baseline.output[index], max(top.values()))
    if (other := top.get(drafted.output[index])) is not None:
        return best - other
    bound = best - min(top.values())
    return bound if bound > near_tie_margin(dtype) else None
