import pytest

from eyrie.prompts.contamination import Match, Measuring, contaminated
from eyrie.prompts.words import words

ITEM = (
    "A bakery sells 24 loaves in the morning and 18 loaves in the afternoon. "
    "How many loaves does it sell in 5 days if every day is the same?"
)
OTHER = "Write a haiku about a lighthouse keeper who collects old radios and repairs them at night."


def reasons(training: list[str], measured: list[str]) -> list[str | None]:
    measuring = Measuring.of(measured, run_words=13)
    records = [match.to_bytes() for match in measuring.match([words(text) for text in training], [[]] * len(training))]
    found = contaminated(measuring, range(len(training)), lambda number: Match.from_bytes(records[number]))
    return [found.get(number) for number in range(len(training))]


def reason(training: str) -> str | None:
    return reasons([training], [ITEM, OTHER])[0]


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        (ITEM.upper(), "equals a measuring prompt up to numbers"),
        (ITEM.replace("24", "31").replace("18", "7"), "equals a measuring prompt up to numbers"),
        (f"Answer step by step. {ITEM} Thanks a lot!", "shares 13 words in a row with a measuring prompt"),
        (
            "On a farm far away a bakery sells 24 loaves in the morning and 3 cakes; say how many loaves does it sell.",
            "has 40% of a measuring prompt's own 4-word runs",
        ),
    ],
)
def test_copies_wrapped_copies_and_large_parts_are_found(training: str, expected: str) -> None:
    assert reason(training) == expected


@pytest.mark.parametrize(
    "training",
    [
        "A farmer sells 24 eggs. How many eggs does he sell in 5 days?",
        "Write a haiku about a mountain.",
        "",
    ],
)
def test_a_prompt_of_the_same_kind_is_not_a_copy(training: str) -> None:
    assert reason(training) is None


def test_the_wording_of_a_task_is_not_an_items_own() -> None:
    frame = "Read the following report carefully and then list every fact about the company as JSON with these keys:"
    training = [f"{frame} name {number} and plan{'abcdefghijklmnop'[number]} zzz" for number in range(12)]
    items = [f"{frame} room and guests and budget of the third quarter in the old town"]
    assert reasons(training, items) == [None] * 12
    assert reasons(training[:5], items) != [None] * 5


def test_a_run_is_wording_from_the_eleventh_prompt_on() -> None:
    shared = " ".join(f"shared{letter}" for letter in "abcdefghijklm")
    training = [f"{shared} end{letter}" for letter in "abcdefghijk"]
    assert reasons(training[:10], [f"{shared} of its own"]) == ["shares 13 words in a row with a measuring prompt"] * 10
    # Its 4-word runs are wording too, and its last three are not here.
    assert reasons(training, [f"{shared} of its own"]) == [None] * 11


@pytest.mark.parametrize(
    ("num_words", "num_shared", "expected"),
    [
        (13, 7, "has 40% of a measuring prompt's own 4-word runs"),  # 4 of 10 runs
        (13, 6, None),
        (7, 5, "has 40% of a measuring prompt's own 4-word runs"),  # 2 of 4
        (6, 6, None),  # 3 of 3: too little text to judge by share, or to look for it whole
    ],
)
def test_the_share_that_condemns_is_40_percent_of_four_runs_or_more(
    num_words: int, num_shared: int, expected: str | None
) -> None:
    item = [f"word{letter}" for letter in "abcdefghijklm"[:num_words]]
    assert reasons([" ".join(["and", *item[:num_shared], "too"])], [" ".join(item)]) == [expected]


def test_an_item_held_whole_is_found_even_when_its_runs_look_like_wording() -> None:
    training = [f"{'abcdefghijklmnop'[number]} {ITEM} {'abcdefghijklmnop'[number]}" for number in range(12)]
    assert reasons(training, [ITEM]) == ["holds a measuring prompt"] * 12


@pytest.mark.parametrize(("num_words", "expected"), [(8, "holds a measuring prompt"), (7, None)])
def test_an_item_of_fewer_than_eight_words_is_not_looked_for_whole(num_words: int, expected: str | None) -> None:
    item = " ".join(f"word{letter}" for letter in "abcdefgh"[:num_words])
    assert reasons([f"{letter} {item} {letter}" for letter in "abcdefghijkl"], [item]) == [expected] * 12


def test_nothing_to_keep_apart_from_keeps_everything() -> None:
    assert reasons(["a b c", "d"], []) == [None, None]
