"""The target in this process under transformers' own `generate`: slower than the reference engine (a batch waits for
its longest answer), but it runs every architecture that transformers has, whatever state its layers keep.

Requests that wait become batches by length: no prompt of a batch is twice as long as another, so less than half of it
is padding (on the left, masked). A request's tokens are drawn as the reference engine draws them, from its own seed and
the output index: what runs beside it changes them in near ties only.

Shapes: B requests, T tokens so far, padding included, V vocabulary.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eyrie.engines.reference.sampling import SamplingParams, UniformStream, sample
from eyrie.engines.target import TargetModel


@dataclass(eq=False)
class _Request:
    prompt_ids: list[int]
    sampling: SamplingParams
    max_new_tokens: int
    uniforms: UniformStream
    answer: "asyncio.Future[list[int]]"


class TransformersGenerator:
    """See `transformers_generator`."""

    def __init__(self, target: TargetModel, *, concurrency: int, context_length: int) -> None:
        self._target, self._concurrency, self._context_length = target, concurrency, context_length
        self._waiting: list[_Request] = []
        self._wake = asyncio.Event()
        self._closed = False

    async def generate(self, prompt_ids: Sequence[int], sampling: SamplingParams) -> list[int]:
        """Raises ValueError when the prompt leaves no room for an answer."""
        room = self._context_length - len(prompt_ids)
        if not prompt_ids or room < 1:
            raise ValueError(
                f"the prompt has {len(prompt_ids)} tokens; 1 to {self._context_length - 1} fit the context length of "
                f"{self._context_length}"
            )
        seed = random.getrandbits(31) if sampling.seed is None else sampling.seed
        answer: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        length = min(sampling.max_new_tokens, room)
        self._waiting.append(_Request(list(prompt_ids), sampling, length, UniformStream(seed), answer))
        self._wake.set()
        return await answer

    async def run(self) -> None:
        """Answer what waits, a batch at a time, until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(0)  # whoever else is ready asks as well
            self._wake.clear()
            while self._waiting:
                batch = take_batch(self._waiting, self._concurrency)
                try:
                    answers = await asyncio.to_thread(self._answer, batch)
                except Exception as error:
                    for request in batch:
                        if not request.answer.done():
                            request.answer.set_exception(error)
                    continue
                for request, answer in zip(batch, answers, strict=True):
                    if not request.answer.done():
                        request.answer.set_result(answer)
                await asyncio.sleep(0)

    def close(self) -> None:
        """A batch that runs ends at its next token."""
        self._closed = True

    @torch.inference_mode()
    def _answer(self, batch: list[_Request]) -> list[list[int]]:
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        device, stops = self._target.device, self._target.stop_token_ids
        longest = max(len(request.prompt_ids) for request in batch)
        ids_BT = torch.zeros(len(batch), longest, dtype=torch.long)
        mask_BT = torch.zeros_like(ids_BT)
        for index, request in enumerate(batch):
            begin = longest - len(request.prompt_ids)
            ids_BT[index, begin:], mask_BT[index, begin:] = torch.tensor(request.prompt_ids), 1

        def choose(input_ids_BT: Tensor, logits_BV: Tensor) -> Tensor:
            chosen_B1 = self._choose(batch, logits_BV, input_ids_BT.shape[1] - longest)[:, None]
            return torch.full_like(logits_BV, -torch.inf).scatter_(1, chosen_B1, 0.0)

        def finished(input_ids_BT: Tensor, _scores: Any, **_rest: Any) -> Tensor:
            number, newest = input_ids_BT.shape[1] - longest, input_ids_BT[:, -1].tolist()
            done = [
                self._closed or number >= request.max_new_tokens or (token in stops and not request.sampling.ignore_eos)
                for request, token in zip(batch, newest, strict=True)
            ]
            return torch.tensor(done, device=input_ids_BT.device)

        # finished requests are cut below; transformers would pad them with `pad_token_id`
        settings = GenerationConfig(
            do_sample=False, max_new_tokens=max(request.max_new_tokens for request in batch), pad_token_id=0
        )
        with _only(self._target.model, settings):
            output_BT = self._target.model.generate(
                input_ids=ids_BT.to(device),
                attention_mask=mask_BT.to(device),
                generation_config=settings,
                logits_processor=LogitsProcessorList([choose]),
                stopping_criteria=StoppingCriteriaList([finished]),
            )
        answers = output_BT[:, longest:].tolist()
        return [_cut(answer, request, stops) for answer, request in zip(answers, batch, strict=True)]

    def _choose(self, batch: list[_Request], logits_BV: Tensor, number: int) -> Tensor:
        """Token ids [B], each request's output token `number` (0-based)."""
        chosen_B = logits_BV.argmax(-1)
        for index, request in enumerate(batch):
            sampling = request.sampling
            if sampling.temperature > 0 and number < request.max_new_tokens:
                chosen_B[index] = sample(
                    logits_BV[index : index + 1],
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    uniforms=[request.uniforms.at(number)],
                )[0]
        return chosen_B


@contextlib.asynccontextmanager
async def transformers_generator(
    target: TargetModel, *, concurrency: int, context_length: int
) -> AsyncIterator[TransformersGenerator]:
    """A generator on the target in this process, in batches of at most `concurrency` requests of at most
    `context_length` tokens each, answer included."""
    generator = TransformersGenerator(target, concurrency=concurrency, context_length=context_length)
    running = asyncio.create_task(generator.run())
    try:
        yield generator
    finally:
        generator.close()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def take_batch(waiting: list[_Request], most: int) -> list[_Request]:
    """Take the longest prompt and those nearest to it in length out of `waiting`: `most` of them, none shorter than
    half."""
    waiting.sort(key=lambda request: -len(request.prompt_ids))
    half = len(waiting[0].prompt_ids) / 2
    batch = [request for request in waiting[:most] if len(request.prompt_ids) >= half]
    del waiting[: len(batch)]
    return batch


def _cut(answer: list[int], request: _Request, stops: frozenset[int]) -> list[int]:
    """The answer up to its stop token, or its `max_new_tokens` ids."""
    answer = answer[: request.max_new_tokens]
    if not request.sampling.ignore_eos:
        for index, token in enumerate(answer):
            if token in stops:
                return answer[: index + 1]
    return answer


@contextlib.contextmanager
def _only(model: Any, settings: Any) -> Iterator[None]:
    """Keep `generate` from adding what the target's generation_config.json asks for, such as penalties: answers are to
    be the target's own, as a server gives them with the same parameters."""
    own, model.generation_config = model.generation_config, settings
    try:
        yield
    finally:
        model.generation_config = own
