"""Which prompts a workload is measured with, and which do not fit the target."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eyrie.chat.template import ChatTemplate, ChatTemplateError, Message
from eyrie.params import Workload
from eyrie.tables import PROMPTS, read_table

STAND_IN = "stand-in"  # in the name of a source: our own prompts in place of a public data set
_TURN_OVERHEAD_TOKENS = 16  # template tokens around an answer


@dataclass(frozen=True)
class BenchPrompt:
    """A conversation to play: `system` may be empty, `turns` are the user's."""

    prompt_id: str
    system: str
    turns: tuple[str, ...]


@dataclass
class Choice:
    """The conversations to measure. `left_out` says why a workload, or some of its prompts, are not among them;
    `longest` is the most tokens that one of them may grow to, `reserved` those that drafting takes beside it."""

    prompts: dict[Workload, list[BenchPrompt]] = field(default_factory=dict)
    stand_ins: list[Workload] = field(default_factory=list)
    left_out: dict[Workload, str] = field(default_factory=dict)
    longest: int = 0
    reserved: int = 0

    @property
    def served_context(self) -> int:
        """The context that every arm is served with, so that none refuses a prompt that another answers."""
        return self.longest + self.reserved


def benchmark_prompts(
    clean: Path,
    workloads: Sequence[Workload],
    *,
    num_prompts: int,
    seed: int,
    chat: ChatTemplate,
    output_tokens: int,
    context_length: int,
    reserved: int,
) -> Choice:
    """`num_prompts` conversations per workload from the table's benchmark split, or all when it holds fewer.

    The choice depends on `seed` and the prompts only. One that may outgrow `context_length` tokens, less the
    `reserved` ones, or that the chat template refuses is passed over, and said to be. Raises ValueError naming a
    workload that has no prompt, or when nothing is left; SchemaError.
    """
    rows = sorted(
        (row for row in read_table(clean, PROMPTS) if row["split"] == "benchmark"), key=lambda row: row["prompt_id"]
    )
    random.Random(seed).shuffle(rows)  # noqa: S311 - a choice of prompts, not cryptography
    choice = Choice(reserved=reserved)
    for workload in workloads:
        mine = [row for row in rows if row["workload"] == workload]
        if not mine:
            raise ValueError(
                f"{clean}: no prompt of workload {workload!r} with split benchmark; benchmark.workloads asks for it"
            )
        _choose(choice, workload, mine, num_prompts, chat, output_tokens=output_tokens, context_length=context_length)
    if not choice.prompts:
        reasons = "; ".join(f"{workload}: {why}" for workload, why in choice.left_out.items())
        raise ValueError(f"{clean}: no workload can be measured: {reasons}")
    return choice


def _choose(
    choice: Choice,
    workload: Workload,
    rows: Sequence[dict[str, Any]],
    num_prompts: int,
    chat: ChatTemplate,
    *,
    output_tokens: int,
    context_length: int,
) -> None:
    """Add the first `num_prompts` of `rows` that the template takes and that fit."""
    taken: list[dict[str, Any]] = []
    too_long: list[int] = []
    num_refused = 0
    for row in rows:
        try:
            bound = conversation_tokens(chat, row["system"], row["turns"], output_tokens=output_tokens)
        except ChatTemplateError:
            num_refused += 1
            continue
        if bound + choice.reserved > context_length:
            too_long.append(bound)
            continue
        choice.longest = max(choice.longest, bound)
        taken.append(row)
        if len(taken) == num_prompts:
            break
    reasons = []
    if num_refused:
        reasons.append(f"the target's chat template refuses {num_refused} prompt{'s' if num_refused > 1 else ''}")
    if too_long:
        verb = "prompt needs" if len(too_long) == 1 else "prompts need"
        reasons.append(
            f"{len(too_long)} {verb} at least {min(too_long):,} tokens with their answers; the context holds "
            f"{context_length:,}" + (f", of which drafting takes {choice.reserved}" if choice.reserved else "")
        )
    if reasons:
        choice.left_out[workload] = "; ".join(reasons)
    if taken:
        if any(STAND_IN in row["source"] for row in taken):
            choice.stand_ins.append(workload)
        choice.prompts[workload] = [BenchPrompt(row["prompt_id"], row["system"], tuple(row["turns"])) for row in taken]


def conversation_tokens(chat: ChatTemplate, system: str, turns: Sequence[str], *, output_tokens: int) -> int:
    """An upper bound of the tokens a conversation grows to when every answer has `output_tokens`. Raises
    ChatTemplateError."""
    first, *later = turns
    opening: list[Message] = [{"role": "system", "content": system}] if system else []
    asked = len(chat.prompt_ids([*opening, {"role": "user", "content": first}]))
    for text in later:
        turn: Message = {"role": "user", "content": text}
        try:
            asked += len(chat.prompt_ids([turn]))
        except ChatTemplateError:  # of a template that wants a system prompt
            asked += len(chat.prompt_ids([*opening, turn]))
    return asked + len(turns) * (output_tokens + _TURN_OVERHEAD_TOKENS)
