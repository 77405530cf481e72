"""What the benchmarks of head training compare is the same loss of the same documents."""

import pytest
import torch

from benchmarks.head_experiments import begun_late
from benchmarks.training import Shape, loss_of
from tests.unit.eagle3.tiny import document


@pytest.mark.parametrize("documents", ["one", "mixed"])
def test_every_way_that_is_timed_computes_the_same_loss(documents: str) -> None:
    shape = Shape(hidden=64, tokens=128, documents=documents)
    losses = [loss_of(way, shape)[1]().item() for way in ("eyrie", "eyrie, recomputing", "straightforward")]
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=1e-4)


def test_bfloat16_products_do_not_shift_the_loss() -> None:
    """`torch.linalg.vecdot` under autocast did, by 1%: found beside the straightforward way on a GPU."""
    shape = Shape(hidden=64, tokens=128, documents="mixed")
    compute_loss = loss_of("eyrie", shape)[1]
    exact = compute_loss().item()
    with torch.autocast("cpu", torch.bfloat16):
        assert compute_loss().item() == pytest.approx(exact, rel=4e-3)


def test_an_answer_that_begins_late_keeps_the_teachers_of_the_rows_that_are_left() -> None:
    whole = document(20, [(2, 9), (10, 12), (14, 20)])
    late = begun_late(whole)
    assert late.spans == ((3, 9), (11, 12), (15, 20))
    teachers = [*range(2, 8), 10, *range(14, 19)]  # positions of the whole answers' teachers
    kept = [teachers.index(position) for position in (*range(3, 8), *range(15, 19))]
    assert torch.equal(late.teachers, whole.teachers[kept])
