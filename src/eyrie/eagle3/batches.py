"""Training sequences packed end to end into one long row, and which of their positions count.

In: documents (one training sequence each). Out: `PackedBatch`, without padding; attention never crosses a document.

Which rows count: row t at TTT step k is supervised iff tokens x_{t+1} ... x_{t+2+k} all belong to one assistant span,
exactly the drafts that serving asks for. The rows of one span [start, end) at step 0 are start-1 ... end-3, a *run* of
consecutive rows, and the teacher of row t at step k sits at position t+1+k, which is the step-0 teacher of row t+k. So
row r of the batch at step k is supervised iff r + k is still inside its run, and its teacher is the one of row r + k.

Shapes: T tokens of the batch, R supervised rows of the batch (step 0), E = 3H, H hidden.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from eyrie.tables import span_rows, teacher_positions


@dataclass(frozen=True)
class Document:
    """One sequence: `input_ids` [T] int64, `aux` [T, 3H]; `spans` are assistant turns (start, end).

    `teachers` [R, H] are the last hidden states at `teacher_positions` of the spans.
    """

    prompt_id: str  # for messages
    input_ids: Tensor
    aux: Tensor
    teachers: Tensor
    spans: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.input_ids)


class DocumentBatches(Protocol):
    """An endless iterator of batches. `position` is plain JSON; a new iterator started there goes on exactly so."""

    @property
    def position(self) -> Any: ...

    def __next__(self) -> list[Document]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Run:
    """Rows [row_begin, row_end) of a batch are its tokens [token_begin, token_end); their document starts before."""

    document_begin: int
    token_begin: int
    token_end: int
    row_begin: int

    @property
    def row_end(self) -> int:
        return self.row_begin + self.token_end - self.token_begin

    @property
    def rows(self) -> slice:
        return slice(self.row_begin, self.row_end)


@dataclass(frozen=True)
class PackedBatch:
    input_ids_T: Tensor
    aux_TE: Tensor
    positions_T: Tensor  # 0-based in each document
    rows_R: Tensor  # index into the T tokens
    places_R: Tensor  # how many rows of the same run come before
    run_ends_R: Tensor  # index into the R rows: one past the last row of the same run
    teacher_last_RH: Tensor  # last hidden at rows_R + 1
    runs: tuple[Run, ...]
    documents: tuple[Run, ...]  # each document whole: every token is a row

    @property
    def next_ids_T(self) -> Tensor:  # noqa: N802 - a tensor with its shape
        """x_{t+1} of every token t; at the batch's end any token, for a row that does not count."""
        return torch.cat([self.input_ids_T[1:], self.input_ids_T[-1:]])

    def num_read_by_rows(self, num_steps: int) -> int:
        """How many `read_by_rows` gives: those that several runs read count several times."""
        return len(self.rows_R) + len(self.runs) * (num_steps - 1)

    def read_by_rows(self, num_steps: int) -> tuple[Tensor, Tensor]:
        """The tokens 0 ... K-1 after any row, run after run, and for each row which of them is its own.

        Past the batch's end the last token, for rows that do not count there.
        """
        last, longer = len(self.input_ids_T) - 1, num_steps - 1
        tokens_X = torch.cat([torch.arange(run.token_begin, run.token_end + longer) for run in self.runs])
        run_R = (self.places_R == 0).cumsum(0) - 1
        first_R = torch.arange(len(run_R), device=run_R.device) + run_R * longer
        return tokens_X.clamp(max=last).to(run_R.device), first_R

    def supervised(self, step: int) -> Tensor:
        """The rows (indices into R) supervised at TTT step `step`; their teachers are rows `supervised + step`."""
        index_R = torch.arange(len(self.rows_R), device=self.rows_R.device)
        return index_R[index_R + step < self.run_ends_R]


def is_supervised(document: Document) -> bool:
    """Does any row of it count? A span of one token asks for no draft."""
    return bool(teacher_positions(document.spans))


def has_finite_features(document: Document) -> bool:
    """Are all its states numbers?"""
    return bool(document.aux.isfinite().all()) and bool(document.teachers.isfinite().all())


def num_supervised(documents: Iterable[Document], step: int) -> int:
    """How many rows of all documents are supervised at TTT step `step`."""
    lengths = (len(span_rows(start, end)) for document in documents for start, end in document.spans)
    return sum(max(length - step, 0) for length in lengths)


def pack(documents: Sequence[Document], device: torch.device) -> PackedBatch:
    """Lay documents end to end. At least one must have a supervised row."""
    runs: list[Run] = []
    whole: list[Run] = []
    begin = num_rows = 0
    for document in documents:
        whole.append(Run(begin, begin, begin + len(document), begin))
        for start, end in document.spans:
            span = span_rows(start, end)
            if span:
                runs.append(Run(begin, begin + span.start, begin + span.stop, num_rows))
                num_rows += len(span)
        begin += len(document)
    rows_R = torch.cat([torch.arange(run.token_begin, run.token_end) for run in runs])
    lengths = torch.tensor([run.row_end - run.row_begin for run in runs])
    ends = torch.tensor([run.row_end for run in runs])
    return PackedBatch(
        input_ids_T=torch.cat([document.input_ids for document in documents]).to(device),
        aux_TE=torch.cat([document.aux for document in documents]).to(device),
        positions_T=torch.cat([torch.arange(len(document)) for document in documents]).to(device),
        rows_R=rows_R.to(device),
        places_R=(torch.arange(num_rows) - (ends - lengths).repeat_interleave(lengths)).to(device),
        run_ends_R=ends.repeat_interleave(lengths).to(device),
        teacher_last_RH=torch.cat([document.teachers for document in documents]).to(device),
        runs=tuple(runs),
        documents=tuple(whole),
    )
