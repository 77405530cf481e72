"""The training-time test against a slow reference: the head itself, run as serving runs it, one row at a time."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from eyrie.eagle3 import flash, objective
from eyrie.eagle3.batches import Document, num_supervised, pack
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.logits import LogitScaling
from eyrie.eagle3.loss import TttLoss
from eyrie.eagle3.objective import Objective, _compiled_compare
from eyrie.eagle3.teacher import Teacher
from eyrie.eagle3.unroll import unroll
from tests.unit.eagle3.test_batches import brute_force
from tests.unit.eagle3.tiny import DRAFT_VOCAB, HIDDEN, KINDS, VOCAB, Tiny, document, drafted_hidden, teacher_at, tiny

CPU = torch.device("cpu")
STEPS, CHAIN, DECAY = 4, 7, 0.8
DOCUMENTS = [
    document(11, [(4, 11)], 1),
    document(19, [(0, 3), (6, 9), (12, 18)], 2),  # several turns, one of them from the very first token
    document(7, [(3, 6)], 3),
]
LONGER = document(24, [(2, 13), (15, 24)], 4)  # long enough for chains of 7, twice
ROPES: dict[str, dict[str, Any]] = {
    "default": {"rope_type": "default", "rope_theta": 1000.0},
    "llama3": {
        "rope_type": "llama3",
        "rope_theta": 1000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
}


def row_loss(objective: Objective, made: Tiny, last_H: Tensor, logits_D: Tensor) -> Tensor:
    """One row's loss by its definition, from the target's whole distribution."""
    q = logits_D.softmax(-1)
    p = (last_H.double() @ made.teacher.lm_head_VH.T).softmax(-1)[made.teacher.target_ids_D]
    renormalised = p / p.sum()
    divergence = (renormalised * (renormalised / q).log()).sum()
    acceptance = torch.minimum(p, q).sum()
    if objective.kind == "kl":
        return divergence
    if objective.kind == "lk":
        return -acceptance.log()
    share = (-objective.lk_eta * acceptance.detach()).exp()
    return share * divergence + (1 - share) * (1 - acceptance)


def reference_loss(made: Tiny, documents: Sequence[Document], objective: Objective) -> Tensor:
    """The definition, loop by loop: every supervised row drafts by itself, token after token."""
    total = torch.zeros((), dtype=torch.float64)
    for step in range(objective.num_steps):
        terms = []
        for doc in documents:
            for row in brute_force(len(doc), list(doc.spans), step):
                hidden = drafted_hidden(made, doc, row, step + 1)[step]
                terms.append(row_loss(objective, made, teacher_at(doc, row + 1 + step), made.head.logits(hidden)))
        if terms:
            total = total + objective.decay**step * torch.stack(terms).mean()
    return total


def fast_loss(made: Tiny, documents: Sequence[Document], num_steps: int = STEPS, kind: Any = "kl") -> Tensor:
    module = TttLoss(made.head, made.embedding_VH, made.teacher, Objective(num_steps, DECAY, kind))
    loss: Tensor = module(pack(documents, CPU), row_counts(documents, num_steps))[0]
    return loss


def row_counts(documents: Sequence[Document], num_steps: int = STEPS) -> list[int]:
    return [num_supervised(documents, step) for step in range(num_steps)]


def gradients(made: Tiny, loss: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*made.head.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def check_against_reference(made: Tiny, documents: Sequence[Document], num_steps: int, kind: Any = "kl") -> None:
    slow = reference_loss(made, documents, Objective(num_steps, DECAY, kind))
    fast = fast_loss(made, documents, num_steps, kind)
    torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-9)
    expected = gradients(made, slow)
    for name, gradient in gradients(made, fast).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-11, msg=name)


@pytest.mark.parametrize(
    ("kind", "objective", "rope", "num_steps"),
    [
        ("eagle3", "kl", "default", STEPS),
        ("eagle3", "kl", "llama3", CHAIN),
        ("eagle3", "lk", "default", STEPS),
        ("eagle3", "lk_hybrid", "default", STEPS),
        ("eagle3.1", "kl", "default", STEPS),
        ("three layers", "lk_hybrid", "llama3", STEPS),
        ("narrower than the target", "kl", "default", STEPS),
    ],
)
def test_loss_and_every_gradient_equal_the_slow_reference(kind: str, objective: Any, rope: str, num_steps: int) -> None:
    made = tiny(kind=KINDS[kind], rope_parameters=ROPES[rope])
    documents = [*DOCUMENTS, LONGER] if num_steps == CHAIN else DOCUMENTS
    check_against_reference(made, documents, num_steps, objective)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_way_of_attention_on_a_gpu_has_the_loss_and_gradients_of_the_slow_reference(
    kind: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is plain products, which a CPU runs as well."""
    monkeypatch.setattr(flash, "kernel_for", lambda queries: "blocks")
    check_against_reference(tiny(kind=kind), [*DOCUMENTS, LONGER], CHAIN)


def test_the_teacher_scales_and_caps_its_logits_as_the_target_does() -> None:
    made = tiny()
    ids_D, last_CH = made.teacher.target_ids_D, torch.randn(5, HIDDEN, dtype=torch.float64)
    teacher = Teacher(made.teacher.lm_head_VH, LogitScaling(0.5, 2.0), ids_D)
    p_CV = ((last_CH @ teacher.lm_head_VH.T * 0.5 / 2.0).tanh() * 2.0).softmax(-1)
    inside_C1 = p_CV[:, ids_D].sum(-1, keepdim=True)
    torch.testing.assert_close(teacher.log_renormalised(last_CH).exp(), p_CV[:, ids_D] / inside_C1)
    torch.testing.assert_close(teacher.log_mass_inside(last_CH).exp(), inside_C1[:, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_each_training_step_equals_serving_with_a_cache(kind: str) -> None:
    made = tiny(kind=KINDS[kind])
    batch = pack([LONGER], CPU)
    outputs = unroll(made.head, made.embedding_VH, batch, CHAIN)
    assert len(batch.supervised(CHAIN - 1))
    for step in range(CHAIN):
        for row in batch.supervised(step).tolist():
            served = drafted_hidden(made, LONGER, int(batch.rows_R[row]), step + 1)[step]
            torch.testing.assert_close(outputs[step][row], served)


@pytest.mark.parametrize("kind", ["eagle3", "three layers"])
def test_recomputing_inner_tensors_changes_no_gradient(kind: str) -> None:
    made = tiny(kind=KINDS[kind])
    batch, objective = pack(DOCUMENTS, CPU), Objective(STEPS, DECAY)
    counts = row_counts(DOCUMENTS)
    kept, again = (
        gradients(
            made,
            TttLoss(made.head, made.embedding_VH, made.teacher, objective, recompute=recompute)(batch, counts)[0],
        )
        for recompute in (False, True)
    )
    assert all(torch.equal(kept[name], again[name]) for name in kept)


def test_parts_of_a_batch_add_up_to_the_whole() -> None:
    made = tiny()
    objective = Objective(STEPS, DECAY)
    module = TttLoss(made.head, made.embedding_VH, made.teacher, objective)
    counts = row_counts(DOCUMENTS)
    parts = [module(pack([doc], CPU), counts)[0] for doc in DOCUMENTS]
    torch.testing.assert_close(torch.stack(parts).sum(), fast_loss(made, DOCUMENTS))


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
    other = batches[0].runs[1].row_begin
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
    changed = Document(doc.prompt_id, doc.input_ids, changed_aux, doc.teachers, doc.spans)
    before, after = (unroll(made.head, made.embedding_VH, pack([one], CPU), STEPS) for one in (doc, changed))
    earlier = pack([doc], CPU).rows_R < 7
    assert earlier.any()
    assert not earlier.all()
    for step in range(STEPS):
        assert torch.equal(before[step][earlier], after[step][earlier])
        assert not torch.equal(before[step][~earlier], after[step][~earlier])


def test_short_answers_close_together_have_the_loss_and_gradients_of_the_slow_reference() -> None:
    made, dense = tiny(), [document(20, [(start, start + 3) for start in range(1, 17, 4)], 4)]
    batch = pack(dense, CPU)
    assert batch.num_read_by_rows(CHAIN) > len(batch.input_ids_T)
    check_against_reference(made, dense, CHAIN)


def test_steps_longer_than_every_answer_add_nothing() -> None:
    made = tiny()
    short = [document(8, [(4, 7)], 4)]  # two rows: steps 0 and 1 only
    torch.testing.assert_close(fast_loss(made, short, 2), fast_loss(made, short, 7), rtol=1e-12, atol=0)


def test_chunks_of_rows_are_scored_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny()
    whole = fast_loss(made, [*DOCUMENTS, LONGER], CHAIN, "lk_hybrid")
    expected = gradients(made, whole)
    monkeypatch.setitem(objective.CHUNK_ROWS, "cpu", 3)
    chunked = fast_loss(made, [*DOCUMENTS, LONGER], CHAIN, "lk_hybrid")
    torch.testing.assert_close(chunked, whole)
    for name, gradient in gradients(made, chunked).items():
        torch.testing.assert_close(gradient, expected[name], msg=name)


@pytest.mark.parametrize("kind", ["kl", "lk_hybrid"])
def test_large_logits_lose_no_precision(kind: Any) -> None:
    """Float32 numbers near 100,000 are 0.008 apart: what all logits of a row have in common must cancel first."""
    generator = torch.Generator().manual_seed(0)
    logits_CD = torch.randint(-40, 40, (8, 512), generator=generator) / 8.0
    p_CD = (logits_CD + torch.randn(8, 512, generator=generator) / 4).softmax(-1)
    entropy_C = torch.special.entr(p_CD).sum(-1)
    found, expected = (
        objective.compare(logits, p, -entropy, p, kind=kind, lk_eta=3.0)
        for logits, p, entropy in (
            (logits_CD + 100_000, p_CD, entropy_C),
            (logits_CD.double(), p_CD.double(), entropy_C.double()),
        )
    )
    for ours, wide in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), wide, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_loss_on_a_gpu_mixes_no_devices(kind: dict[str, Any], request: pytest.FixtureRequest) -> None:
    made, batch, objective = tiny(torch.float32, kind=kind), pack(DOCUMENTS, CPU), Objective(STEPS, DECAY, "lk_hybrid")
    request.getfixturevalue("absent_gpu")
    with torch.device("cuda"):
        moved = {
            field.name: torch.empty(value.shape, dtype=value.dtype)
            for field in dataclasses.fields(batch)
            if isinstance(value := getattr(batch, field.name), Tensor)
        }
        teacher = Teacher(torch.empty(VOCAB, HIDDEN), LogitScaling(), torch.empty(DRAFT_VOCAB, dtype=torch.int64))
        module = TttLoss(Eagle3Head(made.head.config), torch.empty(VOCAB, HIDDEN), teacher, objective)
    loss, sums_K = module(dataclasses.replace(batch, **moved), row_counts(DOCUMENTS))
    assert (loss.device.type, sums_K.device.type, sums_K.shape) == ("cuda", "cuda", (STEPS,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_teacher_is_as_exact_as_the_target_whatever_training_computes_in(dtype: torch.dtype) -> None:
    teacher, last_CH = tiny(dtype).teacher, 4 * torch.randn(8, HIDDEN, generator=torch.Generator().manual_seed(1))
    exact = [teacher.log_renormalised(last_CH), teacher.log_mass_inside(last_CH)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [teacher.log_renormalised(last_CH), teacher.log_mass_inside(last_CH)]
    assert all(torch.equal(one, other) for one, other in zip(found, exact, strict=True))


def test_bfloat16_products_stay_close_to_float32() -> None:
    made = tiny(torch.float32)
    exact = fast_loss(made, DOCUMENTS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = fast_loss(made, DOCUMENTS)
    assert rounded.dtype == torch.float32
    assert abs((rounded - exact).item()) < 0.03 * exact.item()
    assert not torch.equal(rounded, exact)


@pytest.mark.parametrize("kind", ["kl", "lk", "lk_hybrid"])
def test_compiled_row_losses_are_the_plain_ones(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    monkeypatch.setattr("eyrie.eagle3.objective.COMPILER", "aot_eager")  # traced whole; C++ would take a minute
    _compiled_compare.cache_clear()
    made, documents = tiny(), [document(14, [(3, 14)], 1), document(12, [(2, 9)], 2)]
    found = []
    for compiled in (False, True):
        objective = Objective(STEPS, 0.8, kind, compiled=compiled)
        loss, _ = TttLoss(made.head, made.embedding_VH, made.teacher, objective)(
            pack(documents, torch.device("cpu")), row_counts(documents)
        )
        found.append((loss, gradients(made, loss)))
    _compiled_compare.cache_clear()
    (plain, plain_gradients), (compiled_loss, compiled_gradients) = found
    torch.testing.assert_close(compiled_loss, plain)
    for name, gradient in plain_gradients.items():
        torch.testing.assert_close(compiled_gradients[name], gradient)
