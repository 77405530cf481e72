"""`eyrie evaluate_head`: is drafting lossless, and how many tokens does a verify step give?

In: the head, the target, the screened held-out prompts. Out: EvaluationMetrics, and both arms' token ids per prompt
(`outputs`, EvaluationOutput lines).

Both arms run in this process on the reference engine, batched, ids in and ids out. The baseline goes first, turn by
turn, its own answers being the history; drafting then answers exactly the same prompts.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from eyrie.chat.conversation import Conversation
from eyrie.eagle3.checkpoint import load_head
from eyrie.engines.reference.engine import Engine, Request
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.target import TargetModel, load_target
from eyrie.io import progress, read_table, write_json, write_jsonl
from eyrie.params import EvaluateHead, Params, Workload
from eyrie.schemas import PROMPTS, Acceptance, EvaluationMetrics, EvaluationOutput, Mismatch

logger = logging.getLogger(__name__)

_SLOTS = 8  # requests at a time; the answers do not depend on it


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
    """Answer the held-out prompts with and without the head. Raises TargetError, CheckpointError, SchemaError."""
    section = params.evaluate_head
    target = load_target(params.target)
    draft_head = load_head(head, target.config, device=target.device, dtype=target.dtype)
    dialogues = _held_out(clean, section.max_prompts)
    sampling = SamplingParams(section.max_new_tokens, section.temperature, seed=0)
    context_length = _context_length(dialogues, target, section)
    plain = Engine(
        target, head=None, drafting=None, max_running_requests=_SLOTS, context_length=context_length
    )
    _answer_turn_by_turn(plain, dialogues, sampling)
    plain.close()
    drafting = Engine(
        target, head=draft_head, drafting=section, max_running_requests=_SLOTS, context_length=context_length
    )
    _answer_again(drafting, dialogues, sampling)
    drafting.close()
    document = EvaluationMetrics(
        num_steps=section.num_steps,
        topk=section.topk,
        num_draft_tokens=section.num_draft_tokens,
        temperature=section.temperature,
        overall=_pool(dialogues),
        workloads={
            workload: _pool([item for item in dialogues if item.workload == workload])
            for workload in dict.fromkeys(item.workload for item in dialogues)
        },
        mismatches=[
            _mismatch(target, item) for item in dialogues if not item.identical
        ],
    )
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
    logger.info(
        "%d of %d prompts identical, acceptance length %.2f",
        overall.num_identical,
        overall.num_prompts,
        overall.acceptance_length,
    )
