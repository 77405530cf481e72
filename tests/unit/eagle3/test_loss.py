"""The training-time test against a slow reference: the head itself, run as serving runs it, one row at a time."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from eyrie.eagle3.batches import Document, pack
from eyrie.eagle3.loss import ttt_loss, unroll
from tests.unit.eagle3.test_batches import brute_force
from tests.unit.eagle3.tiny import Tiny, document, drafted_hidden, tiny

CPU = torch.device("cpu")
STEPS, DECAY = 4, 0.8
DOCUMENTS = [
    document(11, [(4, 11)], 1),
    document(19, [(0, 3), (6, 9), (12, 18)], 2),  # several turns, one of them from the very first token
    document(7, [(3, 6)], 3),
]


def reference_loss(made: Tiny, documents: Sequence[Document], num_steps: int) -> Tensor:
    """The definition, loop by loop, the target's whole distribution cut to the draft vocabulary and renormalised."""
    total = torch.zeros((), dtype=torch.float64)
    for step in range(num_steps):
        terms = []
        for doc in documents:
            for row in brute_force(len(doc), list(doc.spans), step):
                hidden = drafted_hidden(made, doc, row, step + 1)[step]
                log_q = made.head.logits(hidden).log_softmax(-1)
                whole = (doc.last[row + 1 + step].double() @ made.teacher.lm_head_VH.T).softmax(-1)
                p = whole[made.teacher.target_ids_D]
                p = p / p.sum()
                terms.append((p * (p.log() - log_q)).sum())
        if terms:
            total = total + DECAY**step * torch.stack(terms).mean()
    return total


def fast_loss(made: Tiny, documents: Sequence[Document], num_steps: int = STEPS) -> Tensor:
    batch = pack(documents, CPU)
    targets = made.teacher.targets(batch.teacher_last_RH)
    return ttt_loss(made.head, made.embedding_VH, targets, batch, num_steps=num_steps, decay=DECAY)


def gradients(made: Tiny, loss: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*made.head.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


@pytest.mark.parametrize("rope_type", ["default", "llama3"])
def test_loss_and_every_gradient_equal_the_slow_reference(rope_type: str) -> None:
    llama3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    made = tiny(
        rope_parameters={
            "rope_type": rope_type,
            "rope_theta": 1000.0,
            **(llama3 if rope_type == "llama3" else {}),
        }
    )
    slow, fast = reference_loss(made, DOCUMENTS, STEPS), fast_loss(made, DOCUMENTS)
    torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-9)
    expected = gradients(made, slow)
    for name, gradient in gradients(made, fast).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-5, atol=1e-8, msg=name)


def test_each_training_step_equals_serving_with_a_cache() -> None:
    made = tiny()
    batch = pack(DOCUMENTS[1:2], CPU)
    outputs = unroll(made.head, made.embedding_VH, batch, STEPS)
    for step in range(STEPS):
        for row in batch.supervised(step).tolist():
            served = drafted_hidden(made, DOCUMENTS[1], int(batch.rows_R[row]), step + 1)[step]
            torch.testing.assert_close(outputs[step][row], served)


def test_packing_changes_nothing_but_the_order() -> None:
    made = tiny()
    packed = unroll(made.head, made.embedding_VH, pack(DOCUMENTS, CPU), STEPS)
    alone = [unroll(made.head, made.embedding_VH, pack([doc], CPU), STEPS) for doc in DOCUMENTS]
    batch = pack(DOCUMENTS, CPU)
    for step in range(STEPS):
        rows = batch.supervised(step)
        torch.testing.assert_close(packed[step][rows], torch.cat([one[step] for one in alone])[rows])


def test_another_document_cannot_reach_the_rows_of_this_one() -> None:
    made = tiny()
    batches = [pack([document(9, [(2, 9)], seed), DOCUMENTS[0]], CPU) for seed in (5, 6)]
    first, second = (unroll(made.head, made.embedding_VH, batch, STEPS) for batch in batches)
    other = batches[0].segments[1].row_begin
    for step in range(STEPS):
        rows = batches[0].supervised(step)
        rows = rows[rows >= other]
        assert len(rows)
        assert torch.equal(first[step][rows], second[step][rows])


def test_later_tokens_cannot_reach_an_earlier_row() -> None:
    made = tiny()
    doc = DOCUMENTS[0]
    changed_aux = doc.aux.clone()
    changed_aux[7:] += 1
    changed = Document(doc.origin, doc.input_ids, changed_aux, doc.last, doc.spans)
    before, after = (unroll(made.head, made.embedding_VH, pack([one], CPU), STEPS) for one in (doc, changed))
    earlier = pack([doc], CPU).rows_R < 7
    assert earlier.any()
    assert not earlier.all()
    for step in range(STEPS):
        assert torch.equal(before[step][earlier], after[step][earlier])
        assert not torch.equal(before[step][~earlier], after[step][~earlier])


def test_steps_longer_than_every_answer_add_nothing() -> None:
    made = tiny()
    short = [document(8, [(4, 7)], 4)]  # two rows: steps 0 and 1 only
    assert torch.equal(fast_loss(made, short, 2), fast_loss(made, short, 7))


def test_bfloat16_products_stay_close_to_float32() -> None:
    made = tiny(torch.float32)
    exact = fast_loss(made, DOCUMENTS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = fast_loss(made, DOCUMENTS)
    assert rounded.dtype == torch.float32
    assert abs((rounded - exact).item()) < 0.03 * exact.item()
    assert not torch.equal(rounded, exact)
