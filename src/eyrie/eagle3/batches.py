"""Training sequences packed end to end into one long row, and which of their positions count.

In: documents (one training sequence each). Out: `PackedBatch`, without padding; attention never crosses a document.

Which rows count: row t at TTT step k is supervised iff tokens x_{t+1} ... x_{t+2+k} all belong to one assistant span,
exactly the drafts that serving asks for. The rows of one span [start, end) at step 0 are start-1 ... end-3, a *run* of
consecutive rows, and the teacher of row t at step k sits at position t+1+k, which is the step-0 teacher of row t+k. So
row r of the batch at step k is supervised iff r + k is still inside its run, and its teacher is the one of row r + k.

Shapes: T tokens of the batch, R supervised rows of the batch (step 0), E = 3H, H hidden.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eyrie.schemas import span_rows


@dataclass(frozen=True)
class Document:
    """One sequence: `input_ids` [T] int64, `aux` [T, 3H], `last` [T, H]; `spans` are assistant turns (start, end)."""

    origin: str  # for messages: the shard and the prompt
    input_ids: Tensor
    aux: Tensor
    last: Tensor
    spans: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True)
class Segment:
    """Where one document lies: tokens [token_begin, token_end) and supervised rows [row_begin, row_end).

    `future_RT` is True where the document's row must not see the document's token.
    """

    token_begin: int
    token_end: int
    row_begin: int
    row_end: int
    future_RT: Tensor

    @property
    def tokens(self) -> slice:
        return slice(self.token_begin, self.token_end)

    @property
    def rows(self) -> slice:
        return slice(self.row_begin, self.row_end)

    @property
    def num_tokens(self) -> int:
        return self.token_end - self.token_begin

    @property
    def num_rows(self) -> int:
        return self.row_end - self.row_begin


@dataclass(frozen=True)
class PackedBatch:
    origins: tuple[str, ...]
    input_ids_T: Tensor
    aux_TE: Tensor
    positions_T: Tensor  # 0-based in each document
    rows_R: Tensor  # index into the T tokens
    run_ends_R: Tensor  # index into the R rows: one past the last row of the same span
    teacher_last_RH: Tensor  # last hidden at rows_R + 1
    segments: tuple[Segment, ...]

    def next_ids(self, index: Tensor, step: int) -> Tensor:
        """x_{t+1+step} of the tokens `index`; past the batch's end any token, for rows that do not count there."""
        return self.input_ids_T[(index + 1 + step).clamp(max=len(self.input_ids_T) - 1)]

    def supervised(self, step: int) -> Tensor:
        """The rows (indices into R) supervised at TTT step `step`; their teachers are rows `supervised + step`."""
        index_R = torch.arange(len(self.rows_R), device=self.rows_R.device)
        return index_R[index_R + step < self.run_ends_R]


def shorten(document: Document, max_tokens: int) -> Document:
    """The first `max_tokens` tokens, spans cut to fit."""
    if len(document) <= max_tokens:
        return document
    spans = tuple((start, min(end, max_tokens)) for start, end in document.spans if start < max_tokens)
    return Document(
        document.origin, document.input_ids[:max_tokens], document.aux[:max_tokens], document.last[:max_tokens], spans
    )


def is_supervised(document: Document) -> bool:
    """Does any row of it count? A span of one token asks for no draft."""
    return any(len(span_rows(start, end)) for start, end in document.spans)


def pack(documents: Sequence[Document], device: torch.device) -> PackedBatch:
    """Lay documents end to end. Every document must have a supervised row."""
    rows: list[int] = []
    run_ends: list[int] = []
    segments = []
    begin = 0
    for document in documents:
        row_begin = len(rows)
        for start, end in document.spans:
            run = span_rows(start, end)
            rows.extend(begin + row for row in run)
            run_ends.extend([len(rows)] * len(run))
        local_R = torch.tensor(rows[row_begin:]) - begin
        future_RT = torch.arange(len(document)) > local_R[:, None]
        segments.append(Segment(begin, begin + len(document), row_begin, len(rows), future_RT.to(device)))
        begin += len(document)
    rows_R = torch.tensor(rows)
    return PackedBatch(
        origins=tuple(document.origin for document in documents),
        input_ids_T=torch.cat([document.input_ids for document in documents]).to(device),
        aux_TE=torch.cat([document.aux for document in documents]).to(device),
        positions_T=torch.cat([torch.arange(len(document)) for document in documents]).to(device),
        rows_R=rows_R.to(device),
        run_ends_R=torch.tensor(run_ends).to(device),
        teacher_last_RH=torch.cat([document.last for document in documents])[rows_R + 1].to(device),
        segments=tuple(segments),
    )


def plan_batches(lengths: Sequence[int], order: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Cut `order` (document indices) into batches of at most `batch_tokens` tokens; every document is used once.

    A document longer than that is a batch of its own.
    """
    batch: list[int] = []
    num_tokens = 0
    for index in order:
        if batch and num_tokens + lengths[index] > batch_tokens:
            yield batch
            batch, num_tokens = [], 0
        batch.append(index)
        num_tokens += lengths[index]
    if batch:
        yield batch


def training_batches(lengths: Sequence[int], *, seed: int, batch_tokens: int) -> Iterator[list[int]]:
    """Endless epochs of `plan_batches`, each in an order that only `seed` and the epoch's number decide."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(lengths), generator=generator).tolist()
        yield from plan_batches(lengths, order, batch_tokens)
