"""The draft vocabulary: which ids, in which order, and a map that cannot be confused with another."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from eyrie.eagle3.vocab import DraftVocab, DraftVocabError, build_vocab, check_maps, read_vocab, write_vocab

COUNTS = torch.tensor([0, 5, 2, 9, 2, 2, 0, 1])


def test_most_frequent_ids_ties_to_the_lower_id_ascending() -> None:
    vocab = build_vocab(COUNTS, draft_vocab_size=4, always=frozenset())
    assert vocab.target_ids.tolist() == [1, 2, 3, 4]


def test_end_of_turn_ids_are_in_though_never_seen() -> None:
    vocab = build_vocab(COUNTS, draft_vocab_size=4, always=frozenset({0, 6}))
    assert vocab.target_ids.tolist() == [0, 1, 3, 6]


@pytest.mark.parametrize("token", [8, -1])
def test_an_end_of_turn_id_outside_the_vocabulary_is_refused(token: int) -> None:
    with pytest.raises(DraftVocabError, match=rf"end-of-turn id {token} is outside its vocabulary of 8"):
        build_vocab(COUNTS, draft_vocab_size=4, always=frozenset({0, token}))


@given(st.lists(st.integers(0, 6), min_size=2, max_size=60), st.data())
def test_the_chosen_ids_are_those_of_the_definition(counts: list[int], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(counts)))
    always = data.draw(st.sets(st.integers(0, len(counts) - 1), max_size=size))
    vocab = build_vocab(torch.tensor(counts), draft_vocab_size=size, always=frozenset(always))
    rest = sorted(set(range(len(counts))) - always, key=lambda index: (-counts[index], index))
    assert vocab.target_ids.tolist() == sorted([*always, *rest[: size - len(always)]])
    assert vocab.t2d.nonzero().flatten().tolist() == vocab.target_ids.tolist()
    check_maps(vocab.d2t, vocab.t2d)


def test_a_draft_vocabulary_of_the_whole_target_is_the_identity() -> None:
    vocab = build_vocab(COUNTS, draft_vocab_size=8, always=frozenset({1}))
    assert vocab.d2t.tolist() == [0] * 8
    assert vocab.t2d.all()


def test_d2t_holds_offsets() -> None:
    vocab = build_vocab(COUNTS, draft_vocab_size=3, always=frozenset({7}))
    assert vocab.d2t.tolist() == [1, 2, 5]  # 1, 3, 7


def test_more_draft_ids_than_the_target_has_are_refused() -> None:
    with pytest.raises(DraftVocabError, match=r"draft_vocab_size: 9 .* vocabulary of 8"):
        build_vocab(COUNTS, draft_vocab_size=9, always=frozenset())


def test_fewer_draft_ids_than_the_target_has_ends_are_refused() -> None:
    with pytest.raises(DraftVocabError, match="draft_vocab_size: 2 cannot hold the 3 end-of-turn ids"):
        build_vocab(COUNTS, draft_vocab_size=2, always=frozenset({1, 2, 3}))
    assert build_vocab(COUNTS, draft_vocab_size=3, always=frozenset({1, 2, 3})).target_ids.tolist() == [1, 2, 3]


def test_coverage_is_a_share_of_tokens() -> None:
    vocab = build_vocab(COUNTS, draft_vocab_size=2, always=frozenset())
    assert vocab.coverage(COUNTS) == 14 / 21
    assert vocab.coverage(torch.zeros(8, dtype=torch.int64)) == 0.0


@pytest.mark.parametrize(
    ("d2t", "marked", "message"),
    [
        ([0, -1, 0], [0, 2], "strictly ascending"),
        ([0, 0, 9], [0, 1], "target ids 0 to 11, outside 0 to 7"),
        ([0, 0, 6], [0, 1], "target ids 0 to 8, outside 0 to 7"),
        ([-1, 0, 0], [1, 2], "target ids -1 to 2, outside 0 to 7"),
        ([0, 0, 1], [0, 1, 2], "t2d marks 3 ids, and they are not the 3"),
        ([0, 0, 1], [0, 1], "t2d marks 2 ids"),
    ],
)
def test_inconsistent_maps_are_refused(d2t: list[int], marked: list[int], message: str) -> None:
    t2d = torch.zeros(8, dtype=torch.bool)
    t2d[marked] = True
    with pytest.raises(DraftVocabError, match=message):
        check_maps(torch.tensor(d2t), t2d)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, DraftVocab]:
    vocab = build_vocab(COUNTS, draft_vocab_size=4, always=frozenset({6}))
    path = tmp_path / "vocab_map.safetensors"
    write_vocab(path, vocab)
    return path, vocab


def test_file_round_trip_and_same_bytes(saved: tuple[Path, DraftVocab], tmp_path: Path) -> None:
    path, vocab = saved
    read = read_vocab(path, vocab_size=8)
    assert torch.equal(read.d2t, vocab.d2t)
    assert torch.equal(read.t2d, vocab.t2d)
    write_vocab(tmp_path / "again", vocab)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_map_that_was_written_wrong_is_refused_by_path(saved: tuple[Path, DraftVocab]) -> None:
    path, vocab = saved
    write_vocab(path, DraftVocab(d2t=vocab.d2t.flip(0), t2d=vocab.t2d))
    with pytest.raises(DraftVocabError, match=rf"{path}: .*(ascending|outside 0 to 7)"):
        read_vocab(path, vocab_size=8)


def test_a_map_of_another_target_vocabulary_is_refused(saved: tuple[Path, DraftVocab]) -> None:
    with pytest.raises(DraftVocabError, match="target vocabulary of 8, but the target has 9"):
        read_vocab(saved[0], vocab_size=9)


def test_an_edited_map_is_refused(saved: tuple[Path, DraftVocab]) -> None:
    path, _ = saved
    edited = bytearray(path.read_bytes())
    edited[-1] ^= 1
    path.write_bytes(bytes(edited))
    with pytest.raises(DraftVocabError, match="do not match the digest"):
        read_vocab(path, vocab_size=8)


@pytest.mark.parametrize("damage", ["missing", "cut", "foreign"])
def test_a_damaged_map_is_refused_by_path(saved: tuple[Path, DraftVocab], damage: str) -> None:
    path, _ = saved
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:40])
    else:
        save_file(load_file(path), path)
    with pytest.raises(DraftVocabError, match=str(path)):
        read_vocab(path, vocab_size=8)
