"""Masks, slot memory, draft trees, sampling and detokenising, each against a plain spelling of what it must do."""

import itertools
import random

import pytest
import torch

from eyrie.engines.reference.detokenizer import IncrementalDetokenizer
from eyrie.engines.reference.draft_tree import CandidateTree
from eyrie.engines.reference.kv_cache import SlotStore
from eyrie.engines.reference.masks import PrefixMasks
from eyrie.engines.reference.sampling import SamplingParams, accept_chain, accept_tree, sample
from eyrie.engines.target import TargetModel

CPU = torch.device("cpu")


def seen(mask: torch.Tensor) -> list[list[list[int]]]:
    """Which columns each row of each slot may see."""
    return [[(row == 0).nonzero()[:, 0].tolist() for row in slot[0]] for slot in mask]


def test_causal_masks_let_row_r_see_its_slots_columns_up_to_itself() -> None:
    masks = PrefixMasks(4, 12, device=CPU, dtype=torch.float32)
    mask = masks.causal([2, 7, 0], 3)
    assert mask.shape == (3, 1, 3, 10)
    assert seen(mask) == [[list(range(start + row + 1)) for row in range(3)] for start in (2, 7, 0)]


def test_masks_begin_where_the_kernels_of_a_gpu_can_read_them() -> None:
    masks = PrefixMasks(4, 40, device=CPU, dtype=torch.bfloat16)
    block = torch.eye(2, dtype=torch.bool)[None]
    for start in range(1, 20):
        made = [masks.causal([start], 2), masks.causal([start, 3], 1), masks.tree([start], block)]
        assert [mask.data_ptr() % 16 for mask in made] == [0, 0, 0], start


def test_tree_masks_let_a_node_see_the_prefix_its_ancestors_and_itself() -> None:
    masks = PrefixMasks(4, 12, device=CPU, dtype=torch.float32)
    block = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 1]], dtype=torch.bool)
    mask = masks.tree([2, 5], torch.stack([block, block]))
    assert seen(mask) == [
        [[*range(start), start], [*range(start), start, start + 1], [*range(start), start, start + 2]]
        for start in (2, 5)
    ]


def test_slots_hold_what_was_written_at_their_own_columns() -> None:
    store = SlotStore(torch.zeros(2, 3, 1, 8, 2), torch.zeros(2, 3, 1, 8, 2))
    for starts in ([0, 0, 0], [2, 5, 1]):
        store.begin(0, starts, 2)
        for layer in range(2):
            new = torch.randn(3, 1, 2, 2)
            keys, values = store.append(layer, new, -new)
            assert keys.shape == (3, 1, max(starts) + 2, 2)
            for slot, start in enumerate(starts):
                assert torch.equal(keys[slot, :, start : start + 2], new[slot])
                assert torch.equal(values[slot, :, start : start + 2], -new[slot])


def test_compaction_keeps_the_accepted_path_and_nothing_else_moves() -> None:
    columns = torch.arange(10.0)[:, None].expand(2, 2, 1, 10, 3).contiguous()
    store = SlotStore(columns.clone(), columns.clone())
    store.keep(1, 4, [0, 2, 5])
    store.begin(0, [9, 9], 1)
    keys, _ = store.append(0, torch.full((2, 1, 1, 3), 9.0), torch.zeros(2, 1, 1, 3))
    assert keys[1, 0, :7, 0].tolist() == [0, 1, 2, 3, 4, 6, 9]
    assert keys[0, 0, :7, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("seed", range(5))
def test_the_tree_is_the_best_of_all_candidates_by_brute_force(seed: int) -> None:
    topk, num_steps, num_draft_tokens = 3, 3, 8
    generator = torch.Generator().manual_seed(seed)
    tree = CandidateTree(topk)
    frontier: list[tuple[tuple[int, ...], float]] = [((), 1.0)]  # (path of tokens, probability)
    candidates: list[tuple[tuple[int, ...], float]] = []
    for step in range(num_steps):
        num_nodes = len(frontier)
        probs = torch.rand(1, num_nodes, topk, generator=generator).sort(descending=True).values
        tokens = torch.stack([torch.randperm(50, generator=generator)[:topk] for _ in range(num_nodes)])[None]
        children = [
            ((*frontier[node][0], int(tokens[0, node, rank])), frontier[node][1] * float(probs[0, node, rank]))
            for node, rank in itertools.product(range(num_nodes), range(topk))
        ]
        new_tokens, origins = tree.grow(probs, tokens)
        parents = [path for path, _ in frontier]
        frontier = sorted(children, key=lambda item: -item[1])[:topk]
        candidates += children
        assert new_tokens[0].tolist() == [path[-1] for path, _ in frontier], step
        assert [parents[origin] for origin in origins[0].tolist()] == [path[:-1] for path, _ in frontier]
    result = tree.best(num_draft_tokens)
    best = sorted(candidates, key=lambda item: -item[1])[: num_draft_tokens - 1]
    drafts, rows = result.drafts[0].tolist(), result.parents_BN[0].tolist()
    paths: list[tuple[int, ...]] = [()]
    for row in range(1, num_draft_tokens):
        paths.append((*paths[rows[row]], drafts[row - 1]))
    assert sorted(paths[1:]) == sorted(path for path, _ in best)
    assert result.depths_BN[0].tolist() == [len(path) for path in paths]
    for row, column in itertools.product(range(num_draft_tokens), repeat=2):
        is_ancestor = paths[row][: len(paths[column])] == paths[column]
        assert bool(result.seen_BNN[0, row, column]) == is_ancestor


def test_a_tree_of_certain_drafts_keeps_every_parent() -> None:
    """Children as likely as their parents (probability 1) must not push them out."""
    tree = CandidateTree(2)
    for tokens in ([[[5, 6]]], [[[7, 8], [9, 10]]], [[[11, 12], [13, 14]]]):
        tree.grow(torch.ones(1, len(tokens[0]), 2), torch.tensor(tokens))
    result = tree.best(6)
    assert all(parent < row for row, parent in enumerate(result.parents_BN[0].tolist()) if row)
    assert result.drafts[0].tolist() == [5, 6, 7, 8, 9]
    assert result.parents_BN[0].tolist() == [0, 0, 0, 1, 1, 2]


def test_acceptance_stops_at_the_first_draft_the_target_did_not_choose() -> None:
    assert accept_chain([4, 5, 6], [4, 5, 9, 1]) == 2
    assert accept_chain([4, 5, 6], [9, 5, 6, 1]) == 0
    assert accept_chain([4, 5, 6], [4, 5, 6, 1]) == 3
    #      root 1: {2 -> row 1, 3 -> row 2}; row 2: {2 -> row 3}
    assert accept_tree([1, 2, 3, 2], [0, 0, 0, 2], [3, 0, 2, 8]) == [0, 2, 3]
    assert accept_tree([1, 2, 3, 2], [0, 0, 0, 2], [7, 0, 2, 8]) == [0]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.6), (1.5, 0.9)])
def test_sampling_follows_softmax_cut_to_the_nucleus(temperature: float, top_p: float) -> None:
    logits = torch.tensor([1.5, 0.0, 2.0, -1.0, 0.5])
    probs = torch.softmax(logits / temperature, -1)
    kept, total = torch.zeros(5), 0.0
    for token in probs.argsort(descending=True).tolist():
        if total < top_p:
            kept[token] = probs[token]
            total += float(probs[token])
    expected = kept / kept.sum()
    rng, num_samples = random.Random(0), 20000
    uniforms = [rng.random() for _ in range(num_samples)]
    drawn = sample(logits.expand(num_samples, 5), temperature=temperature, top_p=top_p, uniforms=uniforms)
    counts = torch.bincount(drawn, minlength=5)
    assert counts[expected == 0].sum() == 0
    wanted = expected[expected > 0] * num_samples
    chi_square = float(((counts[expected > 0] - wanted) ** 2 / wanted).sum())
    assert chi_square < 20.0  # 4 degrees of freedom: p = 0.0005


def test_sampling_never_returns_an_id_outside_the_vocabulary() -> None:
    logits = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]])
    almost_one = 1.0 - 2.0**-53
    assert sample(logits, temperature=1.0, top_p=1.0, uniforms=[almost_one, 0.0]).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("temperature", "top_p"), [(1e-300, 1.0), (1e-45, 1.0), (1e-38, 0.9), (1.0, 1e-300), (1.0, 1e-46)]
)
def test_next_to_no_temperature_or_nucleus_leaves_the_most_likely_token(temperature: float, top_p: float) -> None:
    logits = torch.randn(5, 40, generator=torch.Generator().manual_seed(0)) * 20
    chosen = sample(logits, temperature=temperature, top_p=top_p, uniforms=[0.0, 0.2, 0.5, 0.9, 1 - 2**-53])
    assert chosen.tolist() == logits.argmax(-1).tolist()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1, not 0"),
        ({"max_new_tokens": 1, "temperature": 2.5}, "temperature must be between 0 and 2, not 2.5"),
        ({"max_new_tokens": 1, "top_p": 0.0}, "top_p must be between 0 and 1, not 0.0"),
    ],
)
def test_sampling_parameters_out_of_range_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamplingParams(**values)  # type: ignore[arg-type]


def test_streamed_text_joins_to_the_whole_text_and_never_splits_a_character(target: TargetModel) -> None:
    text = "naïve café → 東京 🦅 ok"
    ids = target.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(ids) > len(text)  # bytes of one character are several tokens
    detokenizer = IncrementalDetokenizer(target.tokenizer)
    pieces = [detokenizer.push([token]) for token in ids]
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)
    assert "".join(pieces) + detokenizer.flush() == text


def test_special_tokens_are_none_of_the_streamed_text(target: TargetModel) -> None:
    ids = target.tokenizer("<|eot_id|>the<|eot_id|> user<|begin_of_text|>", add_special_tokens=False)["input_ids"]
    assert set(target.tokenizer.all_special_ids) & set(ids)
    detokenizer = IncrementalDetokenizer(target.tokenizer)
    assert "".join(detokenizer.push([token]) for token in ids) + detokenizer.flush() == "the user"


def test_flush_gives_out_a_character_that_stays_incomplete(target: TargetModel) -> None:
    ids = target.tokenizer("a🦅", add_special_tokens=False)["input_ids"][:-1]
    detokenizer = IncrementalDetokenizer(target.tokenizer)
    text = "".join(detokenizer.push([token]) for token in ids)
    assert text == "a"
    assert "\N{REPLACEMENT CHARACTER}" in detokenizer.flush()
