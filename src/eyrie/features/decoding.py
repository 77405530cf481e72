"""From rows as they lie in a shard to the tensors that training reads.

bf16 needs no work: its tensors are the shard's own bytes, mapped, not copied. They are mapped privately, so writing
into a tensor leaves the file as it is. int8 and int4 are decoded (`features.encodings`), rows of up to `GROUP_BYTES` at
a time: many short rows cost one round of steps, and a result of that size comes from memory that the process holds
already, where a larger one is fetched from the system page by page, which takes as long as decoding it. They are
decoded on the device that trains, when it is named: then what crosses to it is as small as what is stored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eyrie.features import encodings
from eyrie.features.encodings import States
from eyrie.features.format import RowEntry, ShardMeta
from eyrie.features.rows import FeatureRow, cut_spans
from eyrie.tables import teacher_positions

Cell = npt.NDArray[np.uint8]
GROUP_BYTES = 2**24
PAGE_BYTES = 4096
CPU = torch.device("cpu")


@dataclass(frozen=True)
class EncodedRow:
    """A row as it lies in its shard, checked. `cells` are the columns, views of the mapped file where it is local."""

    meta: ShardMeta
    entry: RowEntry
    cells: dict[str, Cell]

    def decode(self, max_tokens: int | None = None) -> FeatureRow:
        """The row, or its first `max_tokens` tokens, spans cut to fit."""
        (row,) = decode_rows([self], max_tokens)
        return row


def decode_rows(
    rows: Sequence[EncodedRow], max_tokens: int | None = None, device: torch.device = CPU
) -> list[FeatureRow]:
    """Rows of one encoding, or their first `max_tokens` tokens, spans cut to fit. Together they take fewer steps.

    `device` decodes int8 and int4, and holds their states; bf16 states and all token ids stay mapped and on the CPU.
    """
    if not rows:
        return []
    lengths = [min(row.entry.num_tokens, max_tokens or row.entry.num_tokens) for row in rows]
    spans = [cut_spans(row.entry.spans, length) for row, length in zip(rows, lengths, strict=True)]
    aux = _decode("aux", rows, lengths, device)
    teachers = _decode("last", rows, [len(teacher_positions(found)) for found in spans], device)
    return [
        FeatureRow(
            prompt_id=row.entry.prompt_id,
            workload=row.entry.workload,
            split=row.entry.split,
            input_ids=torch.from_numpy(row.cells["input_ids"].view(np.int32)[:length].astype(np.int64)),
            aux=row_aux,
            teachers=row_teachers,
            spans=row_spans,
        )
        for row, length, row_spans, row_aux, row_teachers in zip(rows, lengths, spans, aux, teachers, strict=True)
    ]


def _decode(
    states: States, rows: Sequence[EncodedRow], lengths: Sequence[int], device: torch.device
) -> Iterator[Tensor]:
    """The states of each row's first tokens."""
    layout = rows[0].meta.layout(states)
    sizes = encodings.planes_of(*layout)
    if layout[0] == 16:
        for row, length in zip(rows, lengths, strict=True):
            values = row.cells[f"{states}.values"][: sizes["values"] * length]
            values[::PAGE_BYTES].max(initial=0)  # what is not in memory yet is fetched here, not while training waits
            yield encodings.decode({"values": torch.from_numpy(values).view(length, sizes["values"])}, *layout)
        return
    bytes_per_token = 2 * layout[1] * layout[2]
    for begin, end in _groups(lengths, max(GROUP_BYTES // bytes_per_token, 1)):
        planes = {
            plane: torch.from_numpy(
                _joined(
                    [
                        row.cells[f"{states}.{plane}"][: size * length]
                        for row, length in zip(rows[begin:end], lengths[begin:end], strict=True)
                    ]
                )
            )
            .view(-1, size)
            .to(device)
            for plane, size in sizes.items()
        }
        yield from torch.split(encodings.decode(planes, *layout), list(lengths[begin:end]))


def _groups(lengths: Sequence[int], max_tokens: int) -> Iterator[tuple[int, int]]:
    """Consecutive rows [begin, end) of at most `max_tokens` tokens together; a longer one alone."""
    begin = num_tokens = 0
    for index, length in enumerate(lengths):
        if index > begin and num_tokens + length > max_tokens:
            yield begin, index
            begin, num_tokens = index, 0
        num_tokens += length
    yield begin, len(lengths)


def _joined(cells: list[Cell]) -> Cell:
    return cells[0] if len(cells) == 1 else np.concatenate(cells)
