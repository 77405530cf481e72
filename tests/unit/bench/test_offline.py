"""What the recorded drafts say a shape accepts is what the engine accepts."""

import pytest

from eyrie.bench.offline import Record, record_drafts
from eyrie.eagle3.head import Eagle3Head
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.target import TargetModel
from eyrie.params import Drafting
from tests.unit.engines.reference.conftest import head, make_engine, prompts, target  # noqa: F401 - fixtures

SHAPES = [(1, 1, 2), (3, 1, 4), (5, 1, 6), (2, 2, 4), (4, 2, 5), (5, 2, 12), (3, 4, 6), (5, 4, 20), (5, 4, 64)]


@pytest.fixture(scope="module")
def record(target: TargetModel, head: Eagle3Head, prompts: list[list[int]]) -> Record:  # noqa: F811
    """A random head accepts little of a random target, so `test_` below also asks that trees accept something."""
    return record_drafts(target, head, prompts, topks=[1, 2, 4], num_steps=5, max_new_tokens=30)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shapes_offline_acceptance_is_the_engines(
    record: Record,
    target: TargetModel,  # noqa: F811
    head: Eagle3Head,  # noqa: F811
    prompts: list[list[int]],  # noqa: F811
    shape: tuple[int, int, int],
) -> None:
    engine = make_engine(target, head, shape, slots=3)
    requests = engine.generate(prompts, SamplingParams(30))
    engine.close()
    totals = engine.totals
    assert [request.output_ids for request in requests] == record.answers
    found = record.accept(Drafting(num_steps=shape[0], topk=shape[1], num_draft_tokens=shape[2]))
    assert found.acceptance_length == totals.acceptance_length
    assert found.acceptance_by_position == [count / totals.num_verify_steps for count in totals.accepted_by_position]


def test_answers_that_leave_nothing_to_verify_have_the_acceptance_of_no_draft() -> None:
    found = Record([[7]], [[9]], 2, {1: [[]]}).accept(Drafting(num_steps=2, topk=1, num_draft_tokens=3))
    assert (found.acceptance_length, found.acceptance_by_position) == (1.0, [0.0, 0.0])


def test_larger_trees_accept_more(record: Record) -> None:
    lengths = [
        record.accept(Drafting(num_steps=5, topk=4, num_draft_tokens=tokens)).acceptance_length
        for tokens in (5, 20, 64)
    ]
    assert 1.0 < lengths[0] <= lengths[1] <= lengths[2]
    assert lengths[0] < lengths[2]
