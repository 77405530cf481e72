"""The acceptance of every draft shape, from one set of drafts recorded on held-out prompts; nothing is served.

In: the target, its head, prompts. The target answers them greedily once. Then, for each `topk`, the head drafts a tree
of the most levels behind every position of every answer, from the target's own hidden states, and of each tree is kept
where the target's continuation lies in it. What a shape (num_steps, topk, num_draft_tokens) would have accepted is read
from that: exactly what the engine accepts, because drafting changes no answer.

Shapes: B slots, T rows, H hidden.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from eyrie.eagle3.head import Eagle3Head
from eyrie.engines.reference.drafter import Drafter
from eyrie.engines.reference.engine import PREFILL_CHUNK, Engine
from eyrie.engines.reference.masks import PrefixMasks
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.reference.target_runner import TargetRunner
from eyrie.engines.slots import num_slots
from eyrie.engines.target import TargetModel
from eyrie.io import progress
from eyrie.params import Drafting
from eyrie.serving_plan import OfflineShape

_SLOTS = 16

Path = list[list[int]]  # one entry per level on the target's continuation: the ranks there, see CandidateTree.follow


@dataclass
class Record:
    """`paths[topk][prompt][position]`; `answers` are the target's, whose first token prefill gave."""

    prompts: list[list[int]]
    answers: list[list[int]]
    num_steps: int
    paths: dict[int, list[list[Path]]] = field(default_factory=dict)

    def accept(self, shape: Drafting) -> OfflineShape:
        """Walk every answer as the engine does: a verify step yields the accepted drafts and one token more."""
        assert shape.num_steps <= self.num_steps
        num_tokens = num_verify_steps = 0
        accepted = [0] * shape.num_steps
        for answer, paths in zip(self.answers, self.paths[shape.topk], strict=True):
            position = 0
            while position + 1 < len(answer):
                depth = _depth(paths[position], shape)
                emitted = min(depth + 1, len(answer) - 1 - position)
                for draft in range(min(emitted, depth)):
                    accepted[draft] += 1
                num_tokens, num_verify_steps, position = num_tokens + emitted, num_verify_steps + 1, position + emitted
        return OfflineShape(
            drafting=shape,
            acceptance_length=num_tokens / num_verify_steps if num_verify_steps else 1.0,
            acceptance_by_position=[count / max(num_verify_steps, 1) for count in accepted],
        )


def _depth(path: Path, shape: Drafting) -> int:
    """How many drafts in a row the shape's tree holds of the target's continuation."""
    depth = 0
    for level, ranks in enumerate(path[: shape.num_steps]):
        if ranks[shape.num_steps - 1 - level] >= shape.num_draft_tokens - 1:
            break
        depth += 1
    return depth


def record_drafts(
    target: TargetModel,
    head: Eagle3Head,
    prompts: Sequence[list[int]],
    *,
    topks: Sequence[int],
    num_steps: int,
    max_new_tokens: int,
) -> Record:
    """Answer `prompts`, then draft behind every position for each of `topks`. Raises ValueError for too long ones."""
    longest = max(len(prompt) for prompt in prompts) + max_new_tokens
    slots = num_slots(min(_SLOTS, len(prompts)), longest)
    plain = Engine(target, head=None, drafting=None, max_running_requests=slots, context_length=longest)
    requests = plain.generate(prompts, SamplingParams(max_new_tokens))
    plain.close()
    record = Record([*prompts], [request.output_ids for request in requests], num_steps)
    head.fuse_for_inference()
    shown = target.processes.is_first
    with progress(len(topks) * len(prompts), desc="recording drafts", unit="answers", shown=shown) as bar:
        for begin in range(0, len(prompts), _SLOTS):
            group = slice(begin, begin + _SLOTS)
            rows = list(zip(record.prompts[group], record.answers[group], strict=True))
            aux = _hidden_states(target, head, rows, longest)
            for topk in topks:
                drafted = _draft_behind_all(target, head, rows, aux, longest, topk=topk, num_steps=num_steps)
                record.paths.setdefault(topk, []).extend(drafted)
                bar.update(len(rows))
    return record


Rows = list[tuple[list[int], list[int]]]  # prompt and answer


def _masks(target: TargetModel, longest: int, beyond: int) -> PrefixMasks:
    columns = longest + beyond
    rows = min(PREFILL_CHUNK, columns)
    return PrefixMasks(rows, columns, device=target.device, dtype=target.dtype)


@torch.inference_mode()
def _hidden_states(target: TargetModel, head: Eagle3Head, rows: Rows, longest: int) -> list[Tensor]:
    """Per row, the aux states [T, 3H] of the prompt and of the answer but its last token."""
    masks = _masks(target, longest, 0)
    found = []
    runner = TargetRunner(target, num_slots=1, num_columns=longest, aux_layers=head.config.aux_layer_ids)
    for prompt, answer in rows:
        ids_1T = torch.tensor([[*prompt, *answer[:-1]]], device=target.device)
        pieces = []
        for begin in range(0, ids_1T.shape[1], PREFILL_CHUNK):
            chunk_1T = ids_1T[:, begin : begin + PREFILL_CHUNK]
            positions_1T = torch.arange(begin, begin + chunk_1T.shape[1], device=target.device)[None]
            mask = masks.causal([begin], chunk_1T.shape[1])
            runner.forward(chunk_1T, first_slot=0, starts=[begin], positions_BT=positions_1T, mask_B1TS=mask)
            pieces.append(runner.aux()[0])
        found.append(torch.cat(pieces))
    runner.close()
    return found


@torch.inference_mode()
def _draft_behind_all(
    target: TargetModel,
    head: Eagle3Head,
    rows: Rows,
    aux: Sequence[Tensor],
    longest: int,
    *,
    topk: int,
    num_steps: int,
) -> list[list[Path]]:
    """Per row and output position (the last one aside), the path of the target's continuation in the head's tree."""
    beyond = num_steps * topk
    drafter = Drafter(
        head,
        target,
        Drafting(num_steps=num_steps, topk=topk, num_draft_tokens=num_steps + 1 if topk == 1 else topk),
        _masks(target, longest, beyond),
        num_slots=len(rows),
        num_columns=longest + beyond,
    )
    for slot, (prompt, answer) in enumerate(rows):
        _extend_prompt(drafter, slot, [*prompt, answer[0]], aux[slot], target.device)
    paths: list[list[Path]] = [[] for _ in rows]
    num_positions = max(len(answer) for _, answer in rows) - 1
    for position in range(num_positions):
        here = [min(position, max(len(answer) - 2, 0)) for _, answer in rows]  # finished rows draft their last again
        starts = [len(prompt) + own for (prompt, _), own in zip(rows, here, strict=True)]
        if position:
            before = [start - 1 for start in starts]
            aux_B1H = torch.stack([states[row] for states, row in zip(aux, before, strict=True)])[:, None]
            next_B1 = torch.tensor([[answer[own]] for (_, answer), own in zip(rows, here, strict=True)])
            positions_B1 = torch.tensor(before, device=target.device)[:, None]
            drafter.extend(0, before, aux_B1H, next_B1.to(target.device), positions_B1, [1] * len(rows))
        tree = drafter.grow_tree(starts)
        followed = tree.follow([answer[own + 1 :] for (_, answer), own in zip(rows, here, strict=True)])
        for slot, (_, answer) in enumerate(rows):
            if position < len(answer) - 1:
                paths[slot].append(followed[slot])
    return paths


def _extend_prompt(drafter: Drafter, slot: int, ids: list[int], aux: Tensor, device: torch.device) -> None:
    """Rows of the whole prompt; `ids` ends with the token after it."""
    for begin in range(0, len(ids) - 1, PREFILL_CHUNK):
        end = min(begin + PREFILL_CHUNK, len(ids) - 1)
        next_1T = torch.tensor([ids[begin + 1 : end + 1]], device=device)
        positions_1T = torch.arange(begin, end, device=device)[None]
        drafter.extend(slot, [begin], aux[None, begin:end], next_1T, positions_1T, [end - begin])
