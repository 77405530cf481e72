"""The formulas behind every benchmark figure."""

import pytest

from eyrie.bench.client import RequestRecord
from eyrie.bench.metrics import (
    Accepted,
    Measurement,
    acceptance_length,
    check_load,
    compare,
    pooled_figures,
    quantiles_ms,
    to_cell,
    tpot_s,
    uneven,
)
from eyrie.params import Arm


def record(*, tokens: int, ttft: float = 0.5, latency: float = 2.5, steps: int | None = None) -> RequestRecord:
    return RequestRecord(
        input_tokens=10, output_tokens=tokens, ttft_s=ttft, latency_s=latency, gaps_s=[0.25], num_verify_steps=steps
    )


def measured(arm: Arm, repeat: int, records: list[RequestRecord], *, duration_s: float = 4.0) -> Measurement:
    return Measurement("chat", 1, arm, repeat, records, duration_s)


def test_tpot_leaves_out_the_first_token_and_the_time_until_it() -> None:
    assert tpot_s(record(tokens=5)) == 0.5
    assert tpot_s(record(tokens=1)) is None
    assert tpot_s(record(tokens=5, ttft=0.0)) is None  # no text came
    assert tpot_s(record(tokens=5, ttft=2.5)) is None  # all of it came at once


def test_quantiles_are_milliseconds_and_interpolate() -> None:
    values = quantiles_ms([0.001 * number for number in range(1, 102)])
    assert values.median == pytest.approx(51.0)
    assert values.p95 == pytest.approx(96.0)
    assert values.p99 == pytest.approx(100.0)
    assert values.mean == pytest.approx(51.0)
    with pytest.raises(ValueError, match="nothing to measure"):
        quantiles_ms([])


def test_acceptance_length_pools_sums_and_leaves_out_prefills_token() -> None:
    """(21 - 1 + 5 - 1) / (4 + 4), not the mean of 5 and 1."""
    assert acceptance_length([record(tokens=21, steps=4), record(tokens=5, steps=4)]) == 3.0
    assert acceptance_length([record(tokens=21)]) is None
    assert acceptance_length([record(tokens=21, steps=4), record(tokens=81)]) == 5.0  # of one no steps are known


def test_a_cell_counts_errors_and_measures_the_rest() -> None:
    failed = RequestRecord(error="TimeoutError: ", output_tokens=0)
    cell = to_cell(measured("eagle3", 0, [record(tokens=5, steps=2), failed, record(tokens=1)]))
    assert (cell.num_requests, cell.num_errors) == (3, 1)
    assert (cell.input_tokens, cell.output_tokens) == (20, 6)
    assert cell.output_throughput_tok_s == 1.5
    assert cell.ttft_ms.median == 500.0
    assert cell.tpot_ms.median == 500.0
    assert cell.itl_ms.median == 250.0
    assert cell.e2e_ms.median == 2500.0
    assert cell.acceptance_length == 2.0


def test_a_measurement_without_a_finished_request_quotes_the_error() -> None:
    with pytest.raises(ValueError, match=r"benchmark baseline, chat, concurrency 1: .*HTTP 500: broken"):
        to_cell(measured("baseline", 0, [RequestRecord(error="ClientError: HTTP 500: broken")]))


def test_a_comparison_takes_the_median_of_the_repeats_medians() -> None:
    measurements = [
        measured("baseline", 0, [record(tokens=3), record(tokens=3)]),  # TPOT 1 s
        measured("baseline", 1, [record(tokens=5)] * 3),  # 0.5 s
        measured("baseline", 2, [record(tokens=2)]),  # 2 s
        *(measured("eagle3", repeat, [record(tokens=9, steps=2)]) for repeat in range(3)),  # 0.25 s
    ]
    chat, everything = compare(measurements, {})
    assert (chat.workload, everything.workload) == ("chat", "all")
    assert (chat.baseline_tpot_ms, chat.eagle3_tpot_ms, chat.tpot_ratio) == (1000.0, 250.0, 0.25)
    assert chat.baseline_tpot_range_ms == (500.0, 2000.0)
    assert chat.eagle3_tpot_range_ms == (250.0, 250.0)
    assert chat.baseline_throughput_tok_s == 1.5  # of 6/4, 15/4 and 2/4
    assert chat.baseline_throughput_range_tok_s == (0.5, 3.75)
    assert chat.eagle3_throughput_range_tok_s == (2.25, 2.25)
    assert chat.throughput_ratio == 1.5
    assert chat.acceptance_length == 4.0


def test_all_pools_the_requests_of_every_workload() -> None:
    code = Measurement("code", 1, "baseline", 0, [record(tokens=2)] * 3, 2.0)
    measurements = [
        measured("baseline", 0, [record(tokens=5)]),
        code,
        measured("eagle3", 0, [record(tokens=5, steps=4)]),
        Measurement("code", 1, "eagle3", 0, [record(tokens=5, steps=1)], 2.0),
    ]
    everything = compare(measurements, {})[-1]
    assert everything.baseline_tpot_ms == 2000.0  # median of 0.5, 2, 2, 2
    assert everything.baseline_throughput_tok_s == (5 + 6) / 6.0
    assert everything.acceptance_length == 8 / 5


def test_a_workload_without_a_load_at_a_concurrency_is_in_no_figure_there() -> None:
    arms: tuple[Arm, ...] = ("baseline", "eagle3")
    measurements = [measured(arm, 0, [record(tokens=5)]) for arm in arms]
    measurements += [Measurement("code", level, arm, 0, [record(tokens=3)], 2.0) for level in (1, 4) for arm in arms]
    found = {(item.workload, item.concurrency): item.baseline_tpot_ms for item in compare(measurements, {})}
    assert found == {("chat", 1): 500, ("code", 1): 1000, ("code", 4): 1000, ("all", 1): 750, ("all", 4): 1000}
    assert [(each.concurrency, each.tpot_ms) for each in pooled_figures(measurements, {}) if each.arm == "eagle3"] == [
        (1, 750.0),
        (4, 1000.0),
    ]


def test_the_time_to_the_first_token_is_compared_too() -> None:
    measurements = [
        measured("baseline", 0, [record(tokens=3, ttft=0.5)]),
        measured("eagle3", 0, [record(tokens=3, ttft=0.6, steps=1)]),
    ]
    chat = compare(measurements, {})[0]
    assert (chat.baseline_ttft_ms, chat.eagle3_ttft_ms) == (500.0, 600.0)
    assert (chat.baseline_ttft_range_ms, chat.eagle3_ttft_range_ms) == ((500.0, 500.0), (600.0, 600.0))
    assert chat.ttft_ratio == pytest.approx(1.2)


def test_a_client_that_does_not_tell_verify_counts_gets_those_of_the_fixed_set() -> None:
    measurements = [measured(arm, 0, [record(tokens=3)]) for arm in ("baseline", "eagle3")]
    measurements += [Measurement("code", 1, arm, 0, [record(tokens=3)], 4.0) for arm in ("baseline", "eagle3")]
    accepted: Accepted = {("eagle3", "chat"): (25, 10), ("eagle3", "code"): (60, 15)}
    assert [item.acceptance_length for item in compare(measurements, accepted)] == [2.5, 4.0, 85 / 25]
    assert [figure.acceptance_length for figure in pooled_figures(measurements, accepted)] == [None, 85 / 25]


def test_the_pooled_acceptance_of_the_fixed_set_is_of_the_workloads_that_are_pooled() -> None:
    """One that has no load at this concurrency, or whose arms did not do the same work, is in none of the figures."""
    failed = RequestRecord(error="HTTP 400")
    measurements = [measured(arm, 0, [record(tokens=3)]) for arm in ("baseline", "eagle3")]
    measurements += [
        Measurement("code", 1, "baseline", 0, [record(tokens=3)], 4.0),
        Measurement("code", 1, "eagle3", 0, [failed], 4.0),
    ]
    accepted: Accepted = {("eagle3", "chat"): (25, 10), ("eagle3", "code"): (60, 15), ("eagle3", "math"): (9, 2)}
    assert [(item.workload, item.acceptance_length) for item in compare(measurements, accepted)] == [
        ("chat", 2.5),
        ("all", 2.5),
    ]
    assert [figure.acceptance_length for figure in pooled_figures(measurements, accepted)] == [None, 2.5]


def test_every_arm_has_a_pooled_figure() -> None:
    measurements = [measured(arm, 0, [record(tokens=5)]) for arm in ("baseline", "eagle3", "tree")]
    figures = pooled_figures(measurements, {})
    assert [(figure.arm, figure.tpot_ms, figure.ttft_ms) for figure in figures] == [
        (arm, 500.0, 500.0) for arm in ("baseline", "eagle3", "tree")
    ]


def test_an_arm_that_refuses_the_slow_prompts_gets_no_speed_up() -> None:
    failed = RequestRecord(error="HTTP 400")
    quick = [record(tokens=5)] * 3
    measurements = [
        measured("baseline", 0, [*quick, record(tokens=5, latency=9.0)], duration_s=15.0),
        measured("eagle3", 0, [*quick, failed], duration_s=7.0),
        Measurement("code", 1, "baseline", 0, [record(tokens=5), failed], 4.0),
        Measurement("code", 1, "eagle3", 0, [record(tokens=9), failed], 4.0),
    ]
    assert uneven(measurements) == {
        ("chat", 1): "not all arms finished the same requests; failed: baseline 0, eagle3 1"
    }
    assert [(item.workload, item.throughput_ratio) for item in compare(measurements, {})] == [
        ("code", 9 / 5),
        ("all", 9 / 5),
    ]
    assert [figure.output_throughput_tok_s for figure in pooled_figures(measurements, {})] == [5 / 4, 9 / 4]


def test_loads_that_are_not_compared_do_not_widen_the_pooled_range() -> None:
    quick, slow, failed = record(tokens=5), record(tokens=5, latency=40.5), RequestRecord(error="HTTP 400")
    measurements = [measured(arm, repeat, [quick]) for arm in ("baseline", "eagle3") for repeat in (0, 1)]
    measurements += [
        Measurement("code", 1, "baseline", 0, [quick, quick], 4.0),
        Measurement("code", 1, "baseline", 1, [slow, slow], 80.0),
        Measurement("code", 1, "eagle3", 0, [quick, quick], 4.0),
        Measurement("code", 1, "eagle3", 1, [slow, failed], 40.0),
    ]
    everything = compare(measurements, {})[-1]
    assert everything.baseline_throughput_range_tok_s == everything.eagle3_throughput_range_tok_s == (5 / 4, 5 / 4)
    assert everything.baseline_tpot_range_ms == everything.eagle3_tpot_range_ms == (500.0, 500.0)
    assert [figure.output_throughput_range_tok_s for figure in pooled_figures(measurements, {})] == [(5 / 4, 5 / 4)] * 2


def test_answers_under_load_are_held_against_the_baselines_of_the_same_load() -> None:
    def load(arm: Arm, repeat: int, digests: list[str]) -> Measurement:
        records = [RequestRecord(output_tokens=3, answer_digest=digest) for digest in digests]
        return measured(arm, repeat, [*records, RequestRecord(error="HTTP 400")])

    measurements = [
        load("baseline", 0, ["a", "b", "c"]),
        load("eagle3", 0, ["a", "b", "x"]),
        load("eagle3", 1, ["a", "b2", "c"]),
        load("baseline", 1, ["a", "b2", "c"]),
    ]
    found = {arm: (check.num_identical, check.num_answers) for arm, check in check_load(measurements).items()}
    assert found == {"baseline": (2, 3), "eagle3": (5, 6)}
    assert list(check_load(measurements[:2])) == ["eagle3"]  # one repeat has no other


def test_as_many_failures_of_other_requests_are_no_even_load() -> None:
    failed = RequestRecord(error="HTTP 400")
    measurements = [
        measured("baseline", 0, [failed, record(tokens=5)]),
        measured("eagle3", 0, [record(tokens=5), failed]),
    ]
    assert list(uneven(measurements)) == [("chat", 1)]
    assert compare(measurements, {}) == []


def test_an_answer_in_one_piece_has_no_time_per_token_and_one_without_text_no_first_token() -> None:
    """As SGLang's client tells of a word with its stop token, and of a stop token alone."""
    one_piece = RequestRecord(input_tokens=9, output_tokens=2, ttft_s=0.02, latency_s=0.02)
    silent = RequestRecord(input_tokens=9, output_tokens=1, ttft_s=0.0, latency_s=0.0)
    assert tpot_s(one_piece) is tpot_s(silent) is None
    records = [one_piece, silent, silent, silent, record(tokens=5)]
    cell = to_cell(measured("baseline", 0, records))
    assert (cell.ttft_ms.median, cell.tpot_ms.median) == (260.0, 500.0)
    assert cell.e2e_ms.median == 1260.0
    assert cell.output_tokens == 2 + 3 + 5
    chat = compare([measured("baseline", 0, records), measured("eagle3", 0, records)], {})[0]
    assert (chat.tpot_ratio, chat.ttft_ratio) == (1.0, 1.0)
    with pytest.raises(ValueError, match="no answer came in two pieces or more; first error: none"):
        to_cell(measured("baseline", 0, [one_piece, silent]))
