"""Which shapes the tuner measures, keeps and recommends."""

import pytest

from eyrie.bench.halving import failed_more, faster_half, serving_bands, worth_measuring
from eyrie.params import Drafting
from eyrie.serving_plan import OfflineShape, ServingPlan, TunedShape


def shape(steps: int, topk: int = 1, tokens: int | None = None) -> Drafting:
    return Drafting(num_steps=steps, topk=topk, num_draft_tokens=steps + 1 if tokens is None else tokens)


def offline(drafting: Drafting, acceptance_length: float) -> OfflineShape:
    return OfflineShape(drafting=drafting, acceptance_length=acceptance_length, acceptance_by_position=[])


def tuned(level: int, number: int, drafting: Drafting | None, throughput: float, *, num_errors: int = 0) -> TunedShape:
    return TunedShape(
        concurrency=level,
        round=number,
        drafting=drafting,
        num_requests=4,
        num_errors=num_errors,
        tpot_ms=1.0,
        output_throughput_tok_s=throughput,
        acceptance_length=None,
    )


def test_a_shape_that_another_beats_at_no_more_work_is_not_measured() -> None:
    good, wasteful, short = shape(3), shape(5, 2, 8), shape(2)
    assert worth_measuring([offline(wasteful, 2.5), offline(good, 2.5), offline(short, 2.0)], 9) == [short, good]


def test_a_shortlist_is_spread_from_the_cheapest_to_the_most_accepted() -> None:
    front = [offline(shape(steps), 1.0 + steps / 4) for steps in range(1, 9)]
    assert [item.num_steps for item in worth_measuring(front, 3)] in ([1, 4, 8], [1, 5, 8])
    assert worth_measuring(front, 1) == [shape(8)]
    alike = [offline(shape(4), 2.5), offline(shape(2, 4, 8), 2.5)]  # of two that accept most the one that verifies less
    assert worth_measuring(alike, 1) == worth_measuring(alike[::-1], 1) == [shape(4)]


def test_the_faster_half_goes_on_and_the_baseline_is_not_counted() -> None:
    measured = [tuned(1, 0, None, 900), *(tuned(1, 0, shape(steps), 100 * steps) for steps in (1, 2, 3))]
    assert faster_half(measured) == [shape(3), shape(2)]


def test_bands_cover_every_concurrency_and_turn_drafting_off_where_it_loses() -> None:
    measured = [
        tuned(1, 0, None, 100),
        tuned(1, 0, shape(5), 190),
        tuned(1, 0, shape(2), 250),  # only the last round counts
        tuned(1, 1, None, 100),
        tuned(1, 1, shape(5), 200),
        tuned(16, 0, None, 1000),
        tuned(16, 0, shape(2), 1100),
        tuned(64, 0, None, 3000),
        tuned(64, 0, shape(2), 2900),
        tuned(64, 0, shape(5), 2000),
    ]
    bands = serving_bands(measured)
    assert [(band.min_concurrency, band.max_concurrency, band.drafting) for band in bands] == [
        (1, 4, shape(5)),
        (5, 32, shape(2)),
        (33, None, None),
    ]
    assert [band.speedup for band in bands] == pytest.approx([2.0, 1.1, 1.0])
    assert serving_bands(measured[::-1]) == bands
    plan = ServingPlan(
        engine="reference",
        device="cpu",
        target="t",
        target_revision="r",
        head_digest="d",
        bands=bands,
        offline=[],
        measured=measured,
    )
    assert [plan.band_for(number).measured_at for number in (1, 4, 5, 32, 33, 1000)] == [1, 1, 16, 16, 64, 64]


def test_neighbouring_concurrencies_share_no_request_count() -> None:
    measured = [tuned(level, 0, drafting, 10.0) for level in (1, 2, 3) for drafting in (None, shape(2))]
    bands = serving_bands(measured)
    assert [(band.min_concurrency, band.max_concurrency) for band in bands] == [(1, 1), (2, 2), (3, None)]
    assert all(band.drafting is None for band in bands)  # a tie is no reason to draft


def test_a_shape_that_refuses_requests_is_not_chosen_however_fast_the_rest_is() -> None:
    measured = [
        tuned(1, 0, None, 100, num_errors=1),
        tuned(1, 0, shape(7, 4, 16), 300, num_errors=2),
        tuned(1, 0, shape(3), 120, num_errors=1),
        tuned(1, 0, shape(2), 110),
        tuned(2, 0, None, 100),
        tuned(2, 0, shape(7, 4, 16), 300, num_errors=1),
    ]
    assert [(item.concurrency, item.drafting) for item in failed_more(measured)] == [
        (1, shape(7, 4, 16)),
        (2, shape(7, 4, 16)),
    ]
    assert faster_half(measured[:4]) == [shape(3)]
    assert faster_half(measured[4:]) == []
    assert [(band.drafting, band.speedup) for band in serving_bands(measured)] == [(shape(3), 1.2), (None, 1.0)]
