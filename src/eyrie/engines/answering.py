"""Answering the prompts of a shard: each conversation turn by turn, many side by side, each kept in a journal at once.

In: rows of tables.PROMPTS. Out: one journal entry per prompt, `{"rows": [Row as JSON], "skipped": reason or null}`.
Where the answers come from is `generate_responses.engine`: a model in this process, SGLang started here, or servers
that the environment names.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from eyrie.chat.conversation import Conversation, Row
from eyrie.chat.template import ChatTemplate, ChatTemplateError
from eyrie.chat.transcript import TranscriptError, rows_of
from eyrie.eagle3.config import check_target
from eyrie.engines.generate import Generator, local_generator
from eyrie.engines.gpus import gpus_alone
from eyrie.engines.launch import server_folder, stop_on_signals
from eyrie.engines.memory import out_of_memory_says
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.reference.target_runner import longest_context
from eyrie.engines.server_facts import check_serves_target
from eyrie.engines.servers import server_addresses
from eyrie.engines.serving import ServerSpec, running_server, servable_context
from eyrie.engines.sglang import PromptFailedError, sglang_generator
from eyrie.engines.sglang_server import CONTEXT_KEPT
from eyrie.engines.sglang_targets import check_drafts_are_served, check_positions_are_alike
from eyrie.engines.target import TargetError, check_parts, load_chat, load_config, load_target, resolve_device
from eyrie.engines.transformers import transformers_generator
from eyrie.io import progress
from eyrie.lineage.journal import Journal
from eyrie.params import GenerateResponses, Params

_SEED_BITS = 31


@out_of_memory_says("lower generate_responses.concurrency, max_prompt_tokens or sampling.*.max_new_tokens")
def answer_prompts(params: Params, prompts: Sequence[dict[str, Any]], journal: Journal, *, shard: int) -> None:
    """Put every prompt that the journal lacks into it. One whose source brought its answers is not asked.

    Raises TargetError, ServerError, DeviceMemoryError.
    """
    waiting = [prompt for prompt in prompts if prompt["prompt_id"] not in journal]
    _take_given(params, [prompt for prompt in waiting if prompt["answers"]], journal)
    if asked := [prompt for prompt in waiting if not prompt["answers"]]:
        asyncio.run(_answer_all(params, asked, journal, shard))


def check_whole_way(params: Params) -> None:
    """What later stages would find out when the answers are there. Raises HeadConfigError, TargetError, ServerError."""
    config = load_config(params.target)
    check_target(config.get_text_config())
    check_parts(params.target)
    load_chat(params.target)
    check_drafts_are_served(params, config.architectures)
    check_positions_are_alike(params, config.get_text_config())
    try:
        longest_context(config.get_text_config())
    except TargetError as error:
        if params.train_head.decode_prompts:
            raise TargetError(
                f"{error}. A head for it can be trained and benchmarked, but not evaluated: set "
                "train_head.decode_prompts to 0, and run `eyrie run train_head benchmark`"
            ) from None


def _take_given(params: Params, prompts: list[dict[str, Any]], journal: Journal) -> None:
    """Conversations that have their answers become rows as they are; what has no exact mask is cut out."""
    if not prompts:
        return
    chat = load_chat(params.target)
    longest: int = load_config(params.target).get_text_config().max_position_embeddings
    for prompt in prompts:
        messages = [{"role": "system", "content": prompt["system"]}] if prompt["system"] else []
        for turn, answer in zip(prompt["turns"], prompt["answers"], strict=True):
            messages += [{"role": "user", "content": turn}, {"role": "assistant", "content": answer}]
        try:
            rows, skipped = rows_of(chat, messages), None
        except (ChatTemplateError, TranscriptError) as error:
            rows, skipped = [], str(error)
        if any(len(row.input_ids) > longest for row in rows):
            rows, skipped = [], f"a conversation is longer than the target's {longest} tokens"
        journal.append(prompt["prompt_id"], _part(rows, skipped))


@contextlib.asynccontextmanager
async def _open_generator(params: Params, num_prompts: int) -> AsyncIterator[tuple[Generator, ChatTemplate, int]]:
    """The engine for `num_prompts`, the target's chat template, and the tokens that a conversation may grow to."""
    section = params.generate_responses
    concurrency = min(section.concurrency, num_prompts)
    longest_answer = max(sampling.max_new_tokens for sampling in section.sampling.values())
    wanted = section.max_prompt_tokens + longest_answer
    if section.engine == "sglang":
        servable = servable_context(load_config(params.target).get_text_config(), "sglang")
        served = min(section.sglang.context_length or wanted + CONTEXT_KEPT, servable)
        spec = _spec(params, served)
        with _sglang_servers(params, spec) as addresses:
            async with sglang_generator(
                addresses, concurrency=section.concurrency, check=partial(check_serves_target, spec=spec)
            ) as generator:
                yield generator, load_chat(params.target), min(wanted, served - CONTEXT_KEPT)
        return
    with gpus_alone(resolve_device(params.target.device)):
        target = load_target(params.target)
        if section.engine == "transformers":
            context_length = min(wanted, target.config.max_position_embeddings)
            async with transformers_generator(
                target, concurrency=section.concurrency, context_length=context_length
            ) as batched:
                yield batched, target.chat, context_length
            return
        context_length = min(wanted, longest_context(target.config))
        async with local_generator(target, concurrency=concurrency, context_length=context_length) as local:
            yield local, target.chat, context_length


def _spec(params: Params, context_length: int) -> ServerSpec:
    return ServerSpec(
        name="generate_responses",
        target=params.target,
        head=None,
        drafting=None,
        max_running_requests=params.generate_responses.concurrency,
        context_length=context_length,
    )


@contextlib.contextmanager
def _sglang_servers(params: Params, spec: ServerSpec) -> Iterator[list[str]]:
    """The servers that the environment names, or one of this job's own."""
    if named := server_addresses():
        yield named
        return
    section = params.generate_responses
    with (
        stop_on_signals(),
        gpus_alone(torch.device("cuda")),
        server_folder() as folder,
        running_server(spec, engine="sglang", settings=section.sglang, folder=folder) as server,
    ):
        server.wait_until_healthy()
        yield [server.base_url]


async def _answer_all(params: Params, prompts: list[dict[str, Any]], journal: Journal, shard: int) -> None:
    """Answer every prompt, `concurrency` at a time. Longest first: short answers fill the end, and neighbours in the
    batch read caches of about the same length."""
    section = params.generate_responses
    order = iter(sorted(prompts, key=lambda prompt: -sum(map(len, prompt["turns"]))))
    started, num_tokens = time.perf_counter(), 0
    with progress(len(prompts), desc=f"answers, shard {shard}", unit="prompts", position=shard) as bar:

        async def work(generator: Generator, chat: ChatTemplate, context_length: int) -> None:
            nonlocal num_tokens
            for prompt in order:
                part = await _answer(generator, chat, prompt, section, context_length)
                journal.append(prompt["prompt_id"], part)
                num_tokens += sum(end - start for row in part["rows"] for start, end in row["spans"])
                bar.set_postfix_str(f"{num_tokens / (time.perf_counter() - started):,.0f} tokens/s", refresh=False)
                bar.update()

        async with _open_generator(params, len(prompts)) as opened:
            await asyncio.gather(*(work(*opened) for _ in range(min(section.concurrency, len(prompts)))))


async def _answer(
    generator: Generator,
    chat: ChatTemplate,
    prompt: dict[str, Any],
    section: GenerateResponses,
    context_length: int,
) -> dict[str, Any]:
    """All turns of one conversation: its rows, and why it was cut short (None when it was not)."""
    conversation = Conversation(chat, prompt["system"], prompt["turns"])
    chosen = section.sampling.get(prompt["workload"], section.sampling["default"])
    max_prompt_tokens = min(section.max_prompt_tokens, context_length - 1)
    seed, skipped, turn = conversation_seed(section.seed, prompt["prompt_id"]), None, 0
    while not conversation.finished:
        try:
            prompt_ids = conversation.next_prompt()
        except ChatTemplateError as error:
            skipped = str(error)
            break
        if len(prompt_ids) > max_prompt_tokens:
            skipped = f"a prompt is longer than {max_prompt_tokens} tokens"
            break
        room = min(chosen.max_new_tokens, context_length - len(prompt_ids))
        sampling = SamplingParams(room, chosen.temperature, chosen.top_p, seed=(seed + turn) % (1 << _SEED_BITS))
        try:
            answer_ids = await generator.generate(prompt_ids, sampling)
        except PromptFailedError as error:
            skipped = str(error)
            break
        conversation.add_answer(prompt_ids, answer_ids)
        turn += 1
    return _part(conversation.rows, skipped)


def _part(rows: list[Row], skipped: str | None) -> dict[str, Any]:
    """What the journal keeps of a conversation."""
    return {"rows": [asdict(row) for row in rows], "skipped": skipped}


def conversation_seed(seed: int, prompt_id: str) -> int:
    """The seed of a conversation's first answer, the next one of its second, and so on."""
    digest = hashlib.sha256(f"{seed}/{prompt_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % (1 << _SEED_BITS)
