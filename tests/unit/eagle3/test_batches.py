"""Which rows count, and how documents lie in a packed batch."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from eyrie.eagle3.batches import is_supervised, pack, plan_batches, shorten, training_batches
from eyrie.schemas import span_rows
from tests.unit.eagle3.tiny import document

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
    last = torch.cat([one.last for one in documents])
    assert torch.equal(batch.teacher_last_RH[rows + step], last[batch.rows_R[rows] + 1 + step])
    ids = torch.cat([one.input_ids for one in documents])
    assert torch.equal(batch.next_ids(batch.rows_R[rows], step), ids[batch.rows_R[rows] + 1 + step])


@given(spans_of())
def test_a_document_counts_only_when_some_row_does(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    length, spans = drawn
    assert is_supervised(document(length, spans)) == bool(brute_force(length, spans, 0))


def test_the_first_draft_after_prefill_is_supervised() -> None:
    assert list(span_rows(5, 9)) == [4, 5, 6]


def test_shortening_cuts_spans_and_drops_those_beyond() -> None:
    cut = shorten(document(30, [(2, 6), (8, 20), (22, 28)]), 12)
    assert len(cut) == len(cut.aux) == len(cut.last) == 12
    assert cut.spans == ((2, 6), (8, 12))


def test_positions_restart_in_every_document() -> None:
    batch = pack([document(6, [(2, 6)]), document(5, [(1, 5)], 1)], CPU)
    assert batch.positions_T.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(10, 120))
def test_batches_use_every_document_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(plan_batches(lengths, range(len(lengths)), budget))
    assert [index for batch in batches for index in batch] == list(range(len(lengths)))
    assert all(len(batch) == 1 or sum(lengths[index] for index in batch) <= budget for batch in batches)


def test_every_epoch_sees_all_documents_in_another_order_of_the_seed() -> None:
    def first_epochs(seed: int) -> list[int]:
        batches = training_batches([10] * 20, seed=seed, batch_tokens=40)
        return [index for _ in range(10) for index in next(batches)]

    seen = first_epochs(1)
    assert sorted(seen[:20]) == sorted(seen[20:]) == list(range(20))
    assert seen[:20] != seen[20:]
    assert seen == first_epochs(1)
    assert seen != first_epochs(2)
