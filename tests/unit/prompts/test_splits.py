from collections import Counter

from eyrie.params import Split
from eyrie.prompts.splits import split_of

SHARES: dict[Split, float] = {"train": 0.8, "heldout": 0.15, "benchmark": 0.05}


def test_splits_have_their_shares_and_a_prompt_stays_in_its_own() -> None:
    texts = [f"prompt {number}" for number in range(4000)]
    first = [split_of([text], SHARES) for text in texts]
    assert [split_of([text], dict(reversed(SHARES.items()))) for text in texts] == first
    counts = Counter(first)
    assert all(abs(counts[split] / len(texts) - share) < 0.02 for split, share in SHARES.items())


def test_a_share_of_nothing_gets_nothing() -> None:
    assert {split_of([str(number)], {"train": 1.0, "heldout": 0.0}) for number in range(100)} == {"train"}
