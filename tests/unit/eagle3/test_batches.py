"""Which rows count, and how documents lie in a packed batch."""

import json
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from eyrie.eagle3.batches import Document, is_supervised, pack
from eyrie.tables import span_rows
from tests.unit.eagle3.tiny import MemoryBatches, document, teacher_at

CPU = torch.device("cpu")


@st.composite
def spans_of(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    cuts = sorted(draw(st.lists(st.integers(0, 30), min_size=2, max_size=8, unique=True)))
    spans = [(cuts[index], cuts[index + 1]) for index in range(0, len(cuts) - 1, 2)]
    return max(cuts) + draw(st.integers(0, 4)), spans


def brute_force(length: int, spans: list[tuple[int, int]], step: int) -> list[int]:
    """Rows t whose tokens t+1 ... t+2+step all lie in one span: the rule, word for word."""
    found = []
    for row in range(length):
        tokens = range(row + 1, row + 3 + step)
        if any(all(start <= token < end for token in tokens) for start, end in spans):
            found.append(row)
    return found


@given(st.lists(spans_of(), min_size=1, max_size=4), st.integers(0, 6))
def test_supervised_rows_are_exactly_the_drafts_that_serving_asks_for(
    drawn: list[tuple[int, list[tuple[int, int]]]], step: int
) -> None:
    documents = [document(length, spans, seed) for seed, (length, spans) in enumerate(drawn)]
    documents = [one for one in documents if is_supervised(one)]
    expected, begin = [], 0
    for one in documents:
        expected += [begin + row for row in brute_force(len(one), list(one.spans), step)]
        begin += len(one)
    if not documents:
        return
    batch = pack(documents, CPU)
    rows = batch.supervised(step)
    assert batch.rows_R[rows].tolist() == expected
    # the teacher of row t at this step stands at t + 1 + step
    teachers = batch.teacher_last_RH[rows + step]
    asked = [(one, row) for one in documents for row in brute_force(len(one), list(one.spans), step)]
    assert teachers.tolist() == [teacher_at(one, row + 1 + step).tolist() for one, row in asked]
    ids = torch.cat([one.input_ids for one in documents])
    tokens_X, first_R = batch.read_by_rows(step + 1)
    assert torch.equal(batch.next_ids_T[tokens_X[first_R + step][rows]], ids[batch.rows_R[rows] + 1 + step])
    assert len(tokens_X) == batch.num_read_by_rows(step + 1)


@given(spans_of())
def test_a_document_counts_only_when_some_row_does(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    length, spans = drawn
    assert is_supervised(document(length, spans)) == bool(brute_force(length, spans, 0))


def test_the_first_draft_after_prefill_is_supervised() -> None:
    assert list(span_rows(5, 9)) == [4, 5, 6]


def test_positions_restart_in_every_document() -> None:
    batch = pack([document(6, [(2, 6)]), document(5, [(1, 5)], 1)], CPU)
    assert batch.positions_T.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4]


def source(seed: int, num_documents: int = 20, **options: Any) -> MemoryBatches:
    documents = [document(10, [(2, 10)], index) for index in range(num_documents)]
    return MemoryBatches(documents, seed=seed, batch_tokens=40, **options)


def prompts(batch: list[Document]) -> list[str]:
    return [one.prompt_id for one in batch]


def test_every_epoch_sees_all_documents_in_another_order_of_the_seed() -> None:
    def first_epochs(seed: int) -> list[str]:
        batches = source(seed)
        return [prompt_id for _ in range(10) for prompt_id in prompts(next(batches))]

    seen = first_epochs(1)
    assert sorted(seen[:20]) == sorted(seen[20:])
    assert len(set(seen[:20])) == 20
    assert seen[:20] != seen[20:]
    assert seen == first_epochs(1)
    assert seen != first_epochs(2)


def test_an_iterator_started_at_a_position_goes_on_exactly_there() -> None:
    whole = source(1)
    for taken in range(12):
        resumed = source(1, start=json.loads(json.dumps(whole.position)))
        expected = prompts(next(whole))
        assert prompts(next(resumed)) == expected, taken


def test_processes_read_together_what_one_process_reads() -> None:
    one, ranks = source(1, 22), [source(1, 22, rank=rank, world_size=2) for rank in range(2)]
    for _ in range(9):
        assert [prompts(next(rank)) for rank in ranks] == [prompts(next(one)), prompts(next(one))]
    assert ranks[0].position == ranks[1].position == one.position
