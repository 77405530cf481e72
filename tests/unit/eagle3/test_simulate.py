"""The simulated acceptance length against drafting row by row."""

import torch

from eyrie.eagle3.batches import num_supervised, pack
from eyrie.eagle3.loss import TttLoss
from eyrie.eagle3.objective import Objective
from eyrie.eagle3.simulate import HeldoutScore, count_heldout, no_counts
from tests.unit.eagle3.test_batches import brute_force
from tests.unit.eagle3.tiny import Tiny, document, drafted_hidden, teacher_at, tiny

CPU = torch.device("cpu")
STEPS = 4
OBJECTIVE = Objective(STEPS, 0.8)
DOCUMENTS = [document(30, [(3, 29)], 1), document(25, [(2, 6), (8, 25)], 2)]


def easy() -> Tiny:
    """A head with the target's own output rows."""
    made = tiny()
    made.head.start_from(made.embedding_VH, made.teacher.lm_head_VH)
    return made


def module_of(made: Tiny) -> TttLoss:
    return TttLoss(made.head, made.embedding_VH, made.teacher, OBJECTIVE)


def score(made: Tiny, num_batches: int = 1) -> HeldoutScore:
    groups = [DOCUMENTS] if num_batches == 1 else [[doc] for doc in DOCUMENTS]
    counts = no_counts(STEPS)
    for batch in (pack(group, CPU) for group in groups):
        greedy = made.teacher.argmax(batch.teacher_last_RH)
        count_heldout(counts, module_of(made), batch, greedy)
    return counts.score(OBJECTIVE)


@torch.no_grad()
def hits_by_row(made: Tiny) -> list[list[bool]]:
    """For every supervised row, whether each draft it is asked for is the target's greedy token (whole vocabulary)."""
    found = []
    for doc in DOCUMENTS:
        by_step = [set(brute_force(len(doc), list(doc.spans), step)) for step in range(STEPS)]
        for row in sorted(by_step[0]):
            asked = [step for step in range(STEPS) if row in by_step[step]]
            hidden = drafted_hidden(made, doc, row, len(asked))
            greedy = [
                int((made.teacher.lm_head_VH @ teacher_at(doc, row + 1 + step).double()).argmax()) for step in asked
            ]
            drafts = [int(made.head.to_target_ids(made.head.logits(state).argmax())) for state in hidden]
            found.append([draft == token for draft, token in zip(drafts, greedy, strict=True)])
    return found


def make_right(made: Tiny, share: float) -> None:
    """Turn last hidden states so that the target agrees with the head on about `share` of the drafts."""
    generator = torch.Generator().manual_seed(0)
    for doc in DOCUMENTS:
        for row in brute_force(len(doc), list(doc.spans), 0):
            if torch.rand((), generator=generator) < share:
                draft = made.head.to_target_ids(made.head.logits(drafted_hidden(made, doc, row, 1)[0]).argmax())
                teacher_at(doc, row + 1)[:] = made.teacher.lm_head_VH[draft].bfloat16() * 3


def test_it_is_the_joint_prefix_per_row_and_not_a_product_of_averages() -> None:
    made = easy()
    make_right(made, 0.7)
    rows = hits_by_row(made)
    prefix = [sum(all(row[: step + 1]) for step in range(len(row))) for row in rows]
    result = score(made)
    assert abs(result.acceptance_length - (1 + sum(prefix) / len(rows))) < 1e-12
    for step in range(STEPS):
        asked = [row[step] for row in rows if step < len(row)]
        assert abs(result.accuracy[step] - sum(asked) / len(asked)) < 1e-12
    product, marginal = 1.0, 1.0
    for value in result.accuracy:
        marginal *= value
        product += marginal
    assert result.accuracy[0] > 0.4  # otherwise the test would say nothing
    assert abs(product - result.acceptance_length) > 1e-3


def test_a_target_token_outside_the_draft_vocabulary_is_a_miss() -> None:
    """Also where the head drafts the likeliest token that the draft vocabulary has."""
    made = easy()
    outside = (~made.head.t2d).nonzero()[:1, 0]
    inverse = torch.linalg.pinv(made.teacher.lm_head_VH[torch.cat([made.teacher.target_ids_D, outside])])
    for doc in DOCUMENTS:
        doc.teachers[:] = made.teacher.lm_head_VH[outside[0]].bfloat16() * 9
        for row in brute_force(len(doc), list(doc.spans), 0):
            logits_D = torch.zeros(len(inverse.T), dtype=torch.float64)
            draft = int(made.head.logits(drafted_hidden(made, doc, row, 1)[0]).argmax())
            logits_D[draft], logits_D[-1] = 10, 20
            last_H = teacher_at(doc, row + 1)
            last_H[:] = (inverse @ logits_D).bfloat16()
            assert int((made.teacher.columns_DH @ last_H.double()).argmax()) == draft
    result = score(made)
    assert result.acceptance_length == 1.0
    assert result.accuracy == (0.0,) * STEPS


def test_loss_is_the_training_loss_and_batches_are_pooled_by_rows() -> None:
    made = tiny(seed=3)
    batch = pack(DOCUMENTS, CPU)
    counts = [num_supervised(DOCUMENTS, step) for step in range(STEPS)]
    loss = module_of(made)(batch, counts)[0].item()
    for num_batches in (1, 2):
        assert abs(score(made, num_batches).loss - loss) < 1e-9
    assert score(made, 1).accuracy == score(made, 2).accuracy
