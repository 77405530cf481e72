"""Rows of made-up hidden states for tests of the feature store."""

import torch

from eyrie.features.format import ShardMeta
from eyrie.features.rows import FeatureRow, Spans
from eyrie.tables import teacher_positions

HIDDEN = 32
META = ShardMeta("bf16", HIDDEN, (1, 3, 4), "sha256:test")


def make_row(name: str, length: int, spans: Spans, *, split: str = "train", hidden: int = HIDDEN) -> FeatureRow:
    """States are random, and a function of the name."""
    generator = torch.Generator().manual_seed(int.from_bytes(name.encode(), "little") % 2**31)
    return FeatureRow(
        prompt_id=name,
        workload="chat",
        split=split,
        input_ids=torch.randint(0, 2**17, (length,), generator=generator),
        aux=torch.randn(length, 3 * hidden, generator=generator).bfloat16(),
        teachers=torch.randn(len(teacher_positions(spans)), hidden, generator=generator).bfloat16(),
        spans=spans,
    )


ROWS = [
    make_row("a", 9, ((1, 5), (6, 9))),
    make_row("b", 3, ()),
    make_row("c", 7, ((2, 7),)),
    make_row("d", 4, ((0, 4),)),
]
