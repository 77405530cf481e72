"""One training sequence with the target's hidden states.

Shapes: T tokens, R supervised rows, H hidden size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class FeatureRow:
    """`input_ids` [T] int64, `aux` [T, 3H] bfloat16, assistant spans (start, end).

    `teachers` [R, H] bfloat16 are the last hidden states at `teacher_positions` of the spans, the only ones of use.
    """

    prompt_id: str
    workload: str
    split: str
    input_ids: Tensor
    aux: Tensor
    teachers: Tensor
    spans: Spans


def cut_spans(spans: Sequence[tuple[int, int]], max_tokens: int) -> Spans:
    """The spans of a sequence of which only the first `max_tokens` tokens are kept."""
    return tuple((start, min(end, max_tokens)) for start, end in spans if start < max_tokens)
