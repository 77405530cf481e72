import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyrie.params import Workload
from eyrie.prompts.mix import axis_distances, choose, fill, length_bin, mix_distance, quotas, turns_bin


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5), st.integers(1, 5000))
def test_quotas_sum_to_the_total_and_stay_within_one_of_the_exact_share(weights: list[int], total: int) -> None:
    names: list[Workload] = ["chat", "code", "math", "extraction", "multi_turn"]
    shares = {name: weight / sum(weights) for name, weight in zip(names, weights, strict=False)}
    found = quotas(shares, total)
    assert sum(found.values()) == total
    assert all(abs(found[name] - share * total) < 1 + 1e-6 for name, share in shares.items())


@pytest.mark.parametrize("last", [0.5000009, 0.4999991])
def test_shares_that_params_take_for_one_give_no_more_and_no_fewer_than_the_total(last: float) -> None:
    assert sum(quotas({"chat": 0.5, "code": last}, 4_000_000).values()) == 4_000_000


def test_equal_shares_of_a_multiple_are_equal() -> None:
    names: list[Workload] = ["chat", "code", "math", "extraction", "multi_turn"]
    assert set(quotas(dict.fromkeys(names, 0.2), 1400).values()) == {280}


def test_the_choice_is_seeded_and_independent_of_order() -> None:
    chat, code = ("chat",), ("code",)
    prompts = [(f"p{number}", chat) for number in range(50)]
    first = choose(prompts, {chat: 10}, seed=1)
    assert len(first) == 10
    assert choose(prompts[::-1], {chat: 10}, seed=1) == first
    assert choose(prompts, {chat: 10}, seed=2) != first
    assert choose([*prompts, ("x", code)], {chat: 10, code: 5}, seed=1) == first | {"x"}


def test_distance_is_zero_for_the_wanted_shares_and_one_for_disjoint_ones() -> None:
    assert mix_distance(["chat", "code"], {"chat": 0.5, "code": 0.5}) == 0.0
    assert mix_distance(["chat"], {"code": 1.0}) == 1.0
    assert mix_distance([], {"code": 1.0}) == 1.0
    assert mix_distance(["chat", "chat", "chat", "code"], {"chat": 0.5, "code": 0.5}) == pytest.approx(0.25)


CELLS = st.tuples(st.sampled_from(["chat", "code"]), st.sampled_from("abc"))


@given(st.dictionaries(CELLS, st.integers(0, 50), min_size=1), st.dictionaries(CELLS, st.integers(0, 50)))
def test_what_a_cell_lacks_comes_from_its_own_workload(
    wanted: dict[tuple[str, ...], int], available: dict[tuple[str, ...], int]
) -> None:
    taken = fill(wanted, available)
    assert all(0 <= taken[cell] <= available.get(cell, 0) for cell in taken)
    for workload in ("chat", "code"):
        cells = [cell for cell in wanted if cell[0] == workload and wanted[cell]]
        total, there = sum(wanted[cell] for cell in cells), sum(available.get(cell, 0) for cell in cells)
        assert sum(taken[cell] for cell in cells) == min(total, there)
        if all(available.get(cell, 0) >= wanted[cell] for cell in cells):
            assert all(taken[cell] == wanted[cell] for cell in cells)


def test_bins_cover_every_length_and_number_of_turns() -> None:
    assert [length_bin(value) for value in (0, 63, 64, 4095, 4096, 10**9)] == [
        "0-63 chars",
        "0-63 chars",
        "64-127 chars",
        "2048-4095 chars",
        "4096+ chars",
        "4096+ chars",
    ]
    assert [turns_bin(value) for value in (1, 2, 3, 4, 8, 9)] == [
        "1 turns",
        "2 turns",
        "3-4 turns",
        "3-4 turns",
        "5-8 turns",
        "9+ turns",
    ]


def test_each_axis_has_its_own_distance() -> None:
    wanted = {("chat", "short"): 0.5, ("code", "long"): 0.5}
    assert axis_distances({("chat", "short"): 3, ("chat", "long"): 1}, wanted) == {"workload": 0.5, "length": 0.25}
