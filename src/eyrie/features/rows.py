"""One training sequence with the target's hidden states.

Shapes: T tokens, H hidden size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class FeatureRow:
    """`input_ids` [T] int64, `aux` [T, 3H] and `last` [T, H] bfloat16, assistant spans (start, end).

    In a row that was read back, `last` is NaN wherever no supervised row has its teacher: it was not stored.
    """

    prompt_id: str
    workload: str
    split: str
    input_ids: Tensor
    aux: Tensor
    last: Tensor
    spans: Spans


def cut_spans(spans: Sequence[tuple[int, int]], max_tokens: int) -> Spans:
    """The spans of a sequence of which only the first `max_tokens` tokens are kept."""
    return tuple((start, min(end, max_tokens)) for start, end in spans if start < max_tokens)
