import random

from eyrie.prompts.duplicates import near_duplicates
from eyrie.prompts.words import ngrams, words


def jaccard(left: str, right: str) -> float:
    one, other = (ngrams(words(text), 3) for text in (left, right))
    return len(one & other) / len(one | other)


def edited(sequence: list[str], num_edits: int, rng: random.Random) -> str:
    changed = list(sequence)
    for position in rng.sample(range(len(changed)), num_edits):
        changed[position] = f"new{rng.random()}"
    return " ".join(changed)


def test_exactly_the_texts_at_or_above_the_threshold_go() -> None:
    rng = random.Random(3)
    vocabulary = [f"w{number}" for number in range(60)]
    originals = [rng.choices(vocabulary, k=rng.randint(3, 60)) for _ in range(60)]
    texts = [" ".join(words) for words in originals]
    texts += [edited(words, min(len(words), rng.randint(0, 4)), rng) for words in originals for _ in range(4)]
    found = near_duplicates(texts, threshold=0.8)
    kept: list[int] = []
    for index, text in enumerate(texts):
        expected = next((other for other in kept if jaccard(text, texts[other]) >= 0.8), None)
        assert found[index] == expected
        if expected is None:
            kept.append(index)
    assert 0 < len(kept) < len(texts)


def test_case_and_punctuation_do_not_make_a_text_new() -> None:
    assert near_duplicates(["Sort this list, please.", "SORT THIS LIST PLEASE !"], threshold=1.0) == [None, 0]


def test_short_texts_are_compared_and_wordless_ones_stay() -> None:
    assert near_duplicates(["hi", "Hi!", "hi there", "?!", "...", ""], threshold=0.8) == [
        None,
        0,
        None,
        None,
        None,
        None,
    ]


def test_scripts_without_spaces_are_compared_by_character() -> None:
    first, second = "请把这句话翻译成英文并解释每个词的意思", "请把这句话翻译成英文并解释每个词的意义"
    assert near_duplicates([first, second], threshold=0.8) == [None, 0]


def test_no_texts_give_no_answers() -> None:
    assert near_duplicates([], threshold=0.8) == []
