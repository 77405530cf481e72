"""`eyrie tune`: the draft shape that serves best at each concurrency, EAGLE-3 off where it loses.

In: the head, the target, the screened prompts. Out: `reports/serving.json`, which `eyrie serve` reads. First the
acceptance of every shape is worked out from drafts recorded on held-out prompts, without serving; then the shapes that
no other one beats are served and measured by successive halving, the baseline beside them in every round. What is
finished is in a journal until the plan is written: run again after a kill, it goes on.
"""

import asyncio
import gc
import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from eyrie.bench.arms import context_to_share, serve_arms, server_threads
from eyrie.bench.client import Load, Messages, run_load
from eyrie.bench.gate import Gate
from eyrie.bench.halving import failed_more, faster_half, serving_bands, worth_measuring
from eyrie.bench.hardware import conditions, describe_device, drop_what_differs
from eyrie.bench.metrics import Measurement, acceptance_length, to_cell
from eyrie.bench.shapes import offline_acceptance
from eyrie.bench.workloads import Choice, benchmark_prompts
from eyrie.eagle3.checkpoint import check_head
from eyrie.engines.launch import stop_on_signals
from eyrie.engines.servers import API_KEY_VARIABLE, NAMED_VARIABLE, ServerError, is_alive, named_servers
from eyrie.engines.serving import RunningServer
from eyrie.engines.target import load_chat, load_config, resolve_device
from eyrie.io import path_digest, private_folder, progress, write_json
from eyrie.lineage.digests import target_revision
from eyrie.lineage.journal import Journal
from eyrie.params import Drafting, Params
from eyrie.serving_plan import OfflineShape, ServingPlan, TunedShape

logger = logging.getLogger(__name__)

_REQUEST_TIMEOUT_S = 600.0
_JOURNAL, _OFFLINE, _HISTORIES = "journal.jsonl", "offline", "histories"


@dataclass(frozen=True)
class _Tuning:
    """What every load of one tuning shares. Servers log to `folder`; `journal` holds what is finished."""

    params: Params
    head: Path
    choice: Choice
    folder: Path
    journal: Journal


def run(params: Params, *, head: Path, clean: Path, plan: Path, folder: Path) -> ServingPlan:
    """Write `plan`; servers log to `folder`. Raises ServerError, TargetError, CheckpointError, SchemaError."""
    if named_servers():
        raise ServerError(
            f"{NAMED_VARIABLE} is set, and eyrie tune starts a server of its own for every draft shape; unset it"
        )
    config = load_config(params.target).get_text_config()
    choice = _choose(params, clean)
    check_head(head, config, context_length=choice.served_context)
    private_folder(folder)
    device = describe_device(resolve_device(params.target.device), num_threads=server_threads())
    head_digest = path_digest(head)
    with Journal(folder / _JOURNAL) as journal:
        drop_what_differs(journal, conditions(device, ()) | _tuned(params, head_digest=head_digest, clean=clean))
        offline = _offline(params, head, clean, folder, journal)
        shapes = worth_measuring(offline, params.tune.shortlist)
        names = ", ".join(map(_name, shapes))
        logger.info("%d shapes, %d of them worth measuring: %s", len(offline), len(shapes), names)
        with stop_on_signals():
            measured = _halve(_Tuning(params, head, choice, folder, journal), shapes)
        document = ServingPlan(
            engine=params.benchmark.engine,
            device=device,
            target=params.target.model,
            target_revision=target_revision(params.target.model, params.target.revision),
            head_digest=head_digest,
            bands=serving_bands(measured),
            offline=sorted(offline, key=lambda item: -item.acceptance_length),
            measured=measured,
        )
        write_json(plan, document)
        journal.clear()
    return document


def _tuned(params: Params, *, head_digest: str, clean: Path) -> dict[str, str]:
    """What measurements depend on besides the machine. No stage holds the tuner's parameters to its results."""
    sections = params.model_dump_json(include={"target", "benchmark", "tune"})
    return {
        "parameter of target, benchmark or tune": hashlib.sha256(sections.encode()).hexdigest()[:12],
        "target": target_revision(params.target.model, params.target.revision)[:19],
        "head": head_digest[:12],
        "set of prompts": path_digest(clean)[:12],
    }


def _offline(params: Params, head: Path, clean: Path, folder: Path, journal: Journal) -> list[OfflineShape]:
    if _OFFLINE not in journal:
        shapes = offline_acceptance(params, head=head, clean=clean, folder=folder)
        gc.collect()
        torch.cuda.empty_cache()  # the servers need the memory; nothing happens without a GPU
        journal.append(_OFFLINE, {"shapes": [shape.model_dump() for shape in shapes]})
    return [OfflineShape(**shape) for shape in journal[_OFFLINE]["shapes"]]


def _choose(params: Params, clean: Path) -> Choice:
    """Raises ValueError when the first round has fewer requests than the highest concurrency, besides what
    `benchmark_prompts` raises."""
    section = params.tune
    context_length, reserved = context_to_share(params, section.shapes)
    choice = benchmark_prompts(
        clean,
        params.benchmark.workloads,
        num_prompts=section.num_prompts * 2 ** (section.rounds - 1),
        seed=params.benchmark.seed,
        chat=load_chat(params.target),
        output_tokens=params.benchmark.output_tokens,
        context_length=context_length,
        reserved=reserved,
    )
    turns = [sum(len(prompt.turns) for prompt in prompts) for prompts in choice.prompts.values()]
    num_requests = sum(min(section.num_prompts, number) for number in turns)
    if num_requests < max(section.concurrency):
        raise ValueError(
            f"tune.concurrency: {max(section.concurrency)} is over the {num_requests} requests of the first round, "
            "which are never so many at a time; raise tune.num_prompts, or give the workloads more prompts"
        )
    return choice


def _halve(tuning: _Tuning, shapes: Sequence[Drafting]) -> list[TunedShape]:
    """Every round serves the shapes that are left at any concurrency, one server at a time, the baseline first.

    A shape that cannot be served (too large a tree for the memory, for instance) costs itself only. Raises ServerError
    when the baseline cannot, or none can.
    """
    section = tuning.params.tune
    alive: dict[int, list[Drafting]] = {level: list(shapes) for level in section.concurrency}
    measured: list[TunedShape] = []
    for number in range(section.rounds):
        served: list[Drafting | None] = [
            None,
            *(shape for shape in shapes if any(shape in left for left in alive.values())),
        ]
        with progress(len(served), desc=f"round {number + 1}", unit="shapes") as bar:
            for shape in served:
                levels = [level for level in section.concurrency if shape is None or shape in alive[level]]
                try:
                    measured += _of_shape(tuning, shape, levels, number)
                except ServerError as error:
                    shapes = [other for other in shapes if other != shape]
                    if shape is None or not shapes:
                        raise
                    measured = [item for item in measured if item.drafting != shape]
                    logger.warning("%s is out: %s", _name(shape), error)
                bar.update()
        for level in section.concurrency:
            here = [item for item in measured if (item.concurrency, item.round) == (level, number)]
            alive[level] = faster_half(here)
            for item in failed_more(here):
                logger.warning(
                    "%s is out at concurrency %d: %d of %d requests failed, more than the baseline's",
                    _name(item.drafting),
                    level,
                    item.num_errors,
                    item.num_requests,
                )
    return measured


def _of_shape(tuning: _Tuning, shape: Drafting | None, levels: Sequence[int], number: int) -> list[TunedShape]:
    """One round of one shape. A server starts only for what the journal lacks."""
    params, choice, journal, name = tuning.params, tuning.choice, tuning.journal, _name(shape)
    keys = {level: f"{number}/{level}/{name}" for level in levels}
    todo = {level: key for level, key in keys.items() if key not in journal}
    if todo:
        with serve_arms(
            params,
            tuning.head,
            {name: shape},
            context_length=choice.served_context,
            max_running_requests=max(params.tune.concurrency),
            folder=tuning.folder,
        ) as servers:
            if _HISTORIES not in journal:
                journal.append(_HISTORIES, _histories(params, choice, servers[name]))
            asked = _of_round(journal[_HISTORIES], params.tune.num_prompts * 2**number)
            for level, key in todo.items():
                journal.append(key, _measure(params, servers[name], shape, asked, level, number).model_dump())
    return [TunedShape(**journal[key]) for key in keys.values()]


def _histories(params: Params, choice: Choice, server: RunningServer) -> dict[str, list[Messages]]:
    """The baseline's own histories, per workload; playing them warms it up."""
    gate = Gate(
        server.base_url,
        load_chat(params.target),
        output_tokens=params.benchmark.output_tokens,
        context_length=choice.longest,
        concurrency=max(params.tune.concurrency),
        timeout_s=_REQUEST_TIMEOUT_S,
        api_key=os.environ.get(API_KEY_VARIABLE),
    )
    found: dict[str, list[Messages]] = {}
    for answer in gate.play(choice.prompts):
        found.setdefault(answer.workload, []).append(answer.messages)
    return found


def _of_round(requests: Mapping[str, list[Messages]], num_prompts: int) -> list[Messages]:
    return [messages for of_one in requests.values() for messages in of_one[:num_prompts]]


def _measure(
    params: Params, server: RunningServer, shape: Drafting | None, asked: list[Messages], level: int, number: int
) -> TunedShape:
    load = Load(
        level,
        params.benchmark.output_tokens,
        temperature=0.0,
        seed=params.benchmark.seed,
        timeout_s=_REQUEST_TIMEOUT_S,
        template_settings=params.target.chat_template_settings,
    )
    model, key = params.target.model, os.environ.get(API_KEY_VARIABLE)
    asyncio.run(run_load(server.base_url, model, asked[:level], load, api_key=key))  # warm-up, not kept
    result = asyncio.run(run_load(server.base_url, model, asked, load, api_key=key))
    measurement = Measurement(
        "chat", level, "baseline" if shape is None else "eagle3", number, result.records, result.duration_s
    )
    if shape is None and len(measurement.finished) < len(asked) and not is_alive(server.base_url):
        raise ServerError(f"the baseline's server ended at concurrency {level}; its log is {server.log}")
    try:
        cell = to_cell(measurement)
    except ValueError as error:
        raise ServerError(f"{_name(shape)} at concurrency {level}: {error}; its log is {server.log}") from None
    return TunedShape(
        concurrency=level,
        round=number,
        drafting=shape,
        num_requests=cell.num_requests,
        num_errors=cell.num_errors,
        tpot_ms=cell.tpot_ms.median,
        output_throughput_tok_s=cell.output_throughput_tok_s,
        acceptance_length=acceptance_length(measurement.finished),
    )


def _name(shape: Drafting | None) -> str:
    return "baseline" if shape is None else f"{shape.num_steps}-{shape.topk}-{shape.num_draft_tokens}"
