import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyrie.params import Workload
from eyrie.prompts.mix import choose, mix_distance, quotas


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5), st.integers(1, 5000))
def test_quotas_sum_to_the_total_and_stay_within_one_of_the_exact_share(weights: list[int], total: int) -> None:
    names: list[Workload] = ["chat", "code", "math", "extraction", "multi_turn"]
    shares = {name: weight / sum(weights) for name, weight in zip(names, weights, strict=False)}
    found = quotas(shares, total)
    assert sum(found.values()) == total
    assert all(abs(found[name] - share * total) < 1 + 1e-6 for name, share in shares.items())


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
