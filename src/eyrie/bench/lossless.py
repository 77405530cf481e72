"""Are two greedy answers the same, and where they part, is rounding enough to explain it?

A verify step runs the target over several tokens at once and sums in another order than one token at a time. Where its
two best tokens are all but tied, rounding alone can swap them, and the rest of the answer follows the other branch.
"""

from collections.abc import Sequence

import torch

from eyrie.chat.template import ChatTemplate
from eyrie.params import Workload
from eyrie.schemas import Mismatch

# Roundings that may add up in a logit through many layers, in units in its last place. Float32 errors are seen near
# 1e-4, hundreds of units; in the short formats the last rounding, of the logit itself, outweighs the others.
_ROUNDINGS = {"float32": 256, "float16": 2, "bfloat16": 2}
_LOGIT_MAGNITUDE = 32.0
_CONTEXT_TOKENS, _BRANCH_TOKENS = 16, 8


def near_tie_margin(dtype: str) -> float:
    """The largest distance of two logits that rounding in `dtype` may swap: 0.001, 0.06 and 0.5 for the three."""
    return _ROUNDINGS[dtype] * torch.finfo(getattr(torch, dtype)).eps * _LOGIT_MAGNITUDE


def first_difference(one: Sequence[int], two: Sequence[int]) -> int | None:
    """The index of the first token that differs, or that only one of them has; None when they are equal."""
    for index, (left, right) in enumerate(zip(one, two, strict=False)):
        if left != right:
            return index
    return None if len(one) == len(two) else min(len(one), len(two))


def describe_mismatch(
    chat: ChatTemplate,
    *,
    prompt_id: str,
    workload: Workload,
    baseline: Sequence[int],
    eagle3: Sequence[int],
    index: int,
    before: int,
    margin: float | None,
    dtype: str,
) -> Mismatch:
    """`index` is where the answers part, `before` the tokens of the conversation's earlier answers; `margin` is the
    baseline's logit of its own token less that of the other arm's token, None where it is not known."""
    return Mismatch(
        prompt_id=prompt_id,
        workload=workload,
        position=before + index,
        baseline_margin=margin,
        near_tie=margin is not None and abs(margin) <= near_tie_margin(dtype),
        shared_text=chat.decode(baseline[max(index - _CONTEXT_TOKENS, 0) : index]),
        baseline_text=chat.decode(baseline[index : index + _BRANCH_TOKENS]),
        eagle3_text=chat.decode(eagle3[index : index + _BRANCH_TOKENS]),
    )
