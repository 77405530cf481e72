"""`eyrie evaluate_head`: is drafting lossless, and how many tokens does a verify step give?

In: the head, the target, the screened held-out prompts. Out: EvaluationMetrics, and both arms' token ids per prompt
(`outputs`, EvaluationOutput lines).

Both arms run in this process on the reference engine, batched, ids in and ids out. The baseline goes first, turn by
turn, its own answers being the history; drafting then answers exactly the same prompts. A target that no single device
holds is split over `num_processes`: all of them do the same, and the first one writes.
"""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

from eyrie.bench.lossless import describe_mismatch, first_difference, near_tie_margin
from eyrie.bench.workloads import conversation_tokens
from eyrie.chat.conversation import Conversation, first_prompt
from eyrie.eagle3.checkpoint import check_head, load_head
from eyrie.eagle3.processes import Processes, joined, launch_here
from eyrie.engines.memory import out_of_memory_says
from eyrie.engines.reference.engine import Engine
from eyrie.engines.reference.request import Request
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.reference.target_runner import longest_context
from eyrie.engines.slots import num_slots
from eyrie.engines.target import TargetModel, count_parameters, load_target
from eyrie.io import progress, write_json, write_jsonl
from eyrie.params import EvaluateHead, Params, Workload, parse_params
from eyrie.schemas import Acceptance, EvaluationMetrics, EvaluationOutput, Mismatch
from eyrie.tables import PROMPTS, read_table

logger = logging.getLogger(__name__)


@dataclass
class _Dialogue:
    """A held-out prompt: what was asked (ids, one list per turn) and what each arm answered."""

    prompt_id: str
    workload: Workload
    conversation: Conversation
    asked: list[list[int]] = field(default_factory=list)
    baseline: list[Request] = field(default_factory=list)
    eagle3: list[Request] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        return all(one.output_ids == two.output_ids for one, two in zip(self.baseline, self.eagle3, strict=True))


def run(params: Params, *, head: Path, clean: Path, metrics: Path, outputs: Path) -> None:
    """Answer the held-out prompts with and without the head. With `num_processes` above 1 torchrun starts so many on
    this machine.

    Raises TargetError, CheckpointError, SchemaError, ProcessesError, DeviceMemoryError, ValueError (no prompt to ask).
    """
    num_processes = params.evaluate_head.num_processes
    if num_processes == 1:
        _evaluate(params, Processes(), head=head, clean=clean, metrics=metrics, outputs=outputs)
        return
    paths = {"head": str(head), "clean": str(clean), "metrics": str(metrics), "outputs": str(outputs)}
    job = {"params": params.model_dump(mode="json"), "paths": paths}
    launch_here("eyrie.stages.evaluate_head", job, num_processes=num_processes)


@out_of_memory_says("lower evaluate_head.max_new_tokens or max_prompts, or raise evaluate_head.num_processes")
def _evaluate(params: Params, processes: Processes, *, head: Path, clean: Path, metrics: Path, outputs: Path) -> None:
    section = params.evaluate_head
    target = load_target(params.target, processes)
    rows = _held_out(clean, target, section.max_prompts)
    dialogues = [
        _Dialogue(row["prompt_id"], row["workload"], Conversation(target.chat, row["system"], row["turns"]))
        for row in rows
    ]
    context_length = _context_length(target, rows, section)
    check_head(head, target.config, context_length=context_length)
    draft_head = load_head(head, target.config, device=target.device, dtype=target.dtype)
    sampling = SamplingParams(section.max_new_tokens, section.temperature, seed=0)
    slots = num_slots(len(dialogues), context_length)
    plain = Engine(target, head=None, drafting=None, max_running_requests=slots, context_length=context_length)
    _answer_turn_by_turn(plain, dialogues, sampling)
    plain.close()
    slots = num_slots(sum(len(item.asked) for item in dialogues), context_length)
    drafting = Engine(
        target, head=draft_head, drafting=section, max_running_requests=slots, context_length=context_length
    )
    _answer_again(drafting, dialogues, sampling)
    drafting.close()
    document = EvaluationMetrics(
        target_parameters=count_parameters(params.target),
        num_steps=section.num_steps,
        topk=section.topk,
        num_draft_tokens=section.num_draft_tokens,
        temperature=section.temperature,
        near_tie_margin=near_tie_margin(params.target.dtype),
        overall=_pool(dialogues),
        workloads={
            workload: _pool([item for item in dialogues if item.workload == workload])
            for workload in dict.fromkeys(item.workload for item in dialogues)
        },
        mismatches=[_mismatch(target, item, params.target.dtype) for item in dialogues if not item.identical],
    )
    if not processes.is_first:
        return
    write_jsonl(
        outputs,
        [
            EvaluationOutput(
                prompt_id=item.prompt_id,
                workload=item.workload,
                baseline_ids=[request.output_ids for request in item.baseline],
                eagle3_ids=[request.output_ids for request in item.eagle3],
            )
            for item in dialogues
        ],
    )
    write_json(metrics, document)
    overall = document.overall
    same = f"{overall.num_identical} of {overall.num_prompts} prompts identical, " if not section.temperature else ""
    logger.info("%sacceptance length %.2f", same, overall.acceptance_length)


def _held_out(clean: Path, target: TargetModel, max_prompts: int) -> list[dict[str, Any]]:
    """Rows of the held-out split that the target can be asked, one of each workload after the other until
    `max_prompts`. Raises ValueError when there is none."""
    by_workload: dict[Workload, list[dict[str, Any]]] = {}
    for row in read_table(clean, PROMPTS):
        if row["split"] == "heldout":
            by_workload.setdefault(row["workload"], []).append(row)
    if not by_workload:
        raise ValueError(f"{clean}: no prompt with split heldout; evaluate_head needs some")
    limit = longest_context(target.config)
    taken: list[dict[str, Any]] = []
    num_refused = num_too_long = 0
    for row in (row for members in zip_longest(*by_workload.values()) for row in members if row is not None):
        if len(taken) == max_prompts:
            break
        if (asked := first_prompt(target.chat, row)) is None:
            num_refused += 1
        elif len(asked) >= limit:
            num_too_long += 1
        else:
            taken.append(row)
    passed_over = (
        f"passed over: {num_refused} held-out prompts that the target's chat template refuses, {num_too_long} that "
        f"fill its context of {limit:,} tokens"
    )
    if not taken:
        raise ValueError(f"{clean}: no prompt to evaluate with; {passed_over}")
    if num_refused or num_too_long:
        logger.warning("%s", passed_over)
    return taken


def _context_length(target: TargetModel, rows: Iterable[dict[str, Any]], section: EvaluateHead) -> int:
    """Tokens the longest of these conversations may grow to, at most what the target holds."""
    bounds = (
        conversation_tokens(target.chat, row["system"], row["turns"], output_tokens=section.max_new_tokens)
        for row in rows
    )
    return min(max(bounds), longest_context(target.config))


def _answer_turn_by_turn(engine: Engine, dialogues: list[_Dialogue], sampling: SamplingParams) -> None:
    """The baseline: all first turns, then all second turns of those that have one, and so on."""
    while waiting := [item for item in dialogues if not item.conversation.finished]:
        asked = []
        for item in waiting:
            prompt_ids = item.conversation.next_prompt()
            if len(prompt_ids) < engine.context_length:
                item.asked.append(prompt_ids)
                asked.append(item)
            else:
                logger.warning("%s: a turn of %d tokens does not fit and is left out", item.prompt_id, len(prompt_ids))
                item.conversation.abandon()
        requests = _run(engine, [item.asked[-1] for item in asked], sampling, desc="baseline")
        for item, request in zip(asked, requests, strict=True):
            item.baseline.append(request)
            item.conversation.add_answer(item.asked[-1], request.output_ids)


def _answer_again(engine: Engine, dialogues: list[_Dialogue], sampling: SamplingParams) -> None:
    """Drafting: the very prompts of the baseline, all at once."""
    owners = [item for item in dialogues for _ in item.asked]
    requests = _run(engine, [prompt_ids for item in dialogues for prompt_ids in item.asked], sampling, desc="eagle3")
    for item, request in zip(owners, requests, strict=True):
        item.eagle3.append(request)


def _run(engine: Engine, prompts: Sequence[list[int]], sampling: SamplingParams, *, desc: str) -> list[Request]:
    requests = [engine.submit(prompt_ids, sampling) for prompt_ids in prompts]
    with progress(len(requests), desc=desc, unit="requests", shown=engine.target.processes.is_first) as bar:
        while engine.has_work:
            bar.update(sum(request.finish_reason is not None for request in engine.step()))
    return requests


def _pool(dialogues: Sequence[_Dialogue]) -> Acceptance:
    """Sums over all requests; the token that prefill gave is not counted. Where nothing else was answered no draft was
    ever accepted: a length of 1."""
    requests = [request for item in dialogues for request in item.eagle3]
    num_tokens = sum(len(request.output_ids) - 1 for request in requests)
    num_steps = sum(request.num_verify_steps for request in requests)
    accepted = [sum(counts) for counts in zip(*(request.accepted_by_position for request in requests), strict=True)]
    return Acceptance(
        num_prompts=len(dialogues),
        num_identical=sum(item.identical for item in dialogues),
        num_tokens=num_tokens,
        num_verify_steps=num_steps,
        acceptance_length=num_tokens / num_steps if num_steps else 1.0,
        acceptance_by_position=[count / max(num_steps, 1) for count in accepted],
    )


def _mismatch(target: TargetModel, dialogue: _Dialogue, dtype: str) -> Mismatch:
    """Where the arms first differ, and how close the call was."""
    before = 0
    for asked, one, two in zip(dialogue.asked, dialogue.baseline, dialogue.eagle3, strict=True):
        baseline, eagle3 = one.output_ids, two.output_ids
        index = first_difference(baseline, eagle3)
        if index is not None:
            margin = None
            if index < min(len(baseline), len(eagle3)):
                with torch.inference_mode():
                    ids = torch.tensor([asked + baseline[:index]], device=target.device)
                    logits_V = target.logits(target.forward(ids)[0, -1]).float()
                margin = abs(float(logits_V[baseline[index]] - logits_V[eagle3[index]]))
            return describe_mismatch(
                target.chat,
                prompt_id=dialogue.prompt_id,
                workload=dialogue.workload,
                baseline=baseline,
                eagle3=eagle3,
                index=index,
                before=before,
                margin=margin,
                dtype=dtype,
            )
        before += len(baseline)
    raise AssertionError("the dialogue is identical")


def work(job: Path) -> None:
    """One of the processes that `run` starts."""
    raw = json.loads(job.read_text(encoding="utf-8"))
    with joined(job) as processes:
        level = logging.INFO if processes.is_first else logging.ERROR
        logging.basicConfig(level=level, format="evaluate_head: %(message)s")
        params = parse_params(raw["params"], origin=str(job))
        _evaluate(params, processes, **{name: Path(path) for name, path in raw["paths"].items()})
