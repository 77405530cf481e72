"""The engine: the same tokens with and without a head, exact head inputs, slots that join and leave."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from eyrie.eagle3.head import Eagle3Head
from eyrie.engines.reference import engine as engine_module
from eyrie.engines.reference.drafter import Drafter
from eyrie.engines.reference.engine import Engine
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.target import TargetModel
from tests.unit.engines.reference.conftest import make_engine, random_head

CHAIN, TREE, WIDE = (4, 1, 5), (3, 3, 9), (2, 4, 6)
GREEDY = SamplingParams(max_new_tokens=24, ignore_eos=True)


def outputs(engine: Engine, prompts: list[list[int]], params: SamplingParams) -> list[list[int]]:
    result = [request.output_ids for request in engine.generate(prompts, params)]
    engine.close()
    return result


def transformers_greedy(target: TargetModel, prompt: list[int], max_new_tokens: int) -> list[int]:
    ids = torch.tensor([prompt])
    out = target.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=max_new_tokens,
        min_new_tokens=max_new_tokens,
        pad_token_id=5,
        eos_token_id=None,
    )
    result: list[int] = out[0, len(prompt) :].tolist()
    return result


class Literal:
    """EAGLE-3 chain drafting spelled out: no cache, no batch, everything recomputed for every draft."""

    def __init__(self, target: TargetModel, head: Eagle3Head) -> None:
        self.target, self.head = target, head

    def drafts(self, ids: list[int], num_steps: int) -> list[int]:
        """The chain drafted after `ids`, of which the last token was never run."""
        states = self.target.model(torch.tensor([ids[:-1]]), output_hidden_states=True).hidden_states
        num_layers = self.target.config.num_hidden_layers
        aux = torch.cat([states[2], states[num_layers // 2], states[num_layers - 3]], dim=-1)
        hidden = self.head.fuse(aux)
        tokens, drafted = list(ids[1:]), []
        for _ in range(num_steps):
            embeds = self.target.embed_tokens(torch.tensor([tokens]))
            positions = torch.arange(len(tokens))[None]
            newest = self.head(embeds, hidden, positions, cache=None, mask_B1TS=None)[:, -1:]
            draft = int(self.head.to_target_ids(self.head.logits(newest).argmax(-1)))
            drafted.append(draft)
            tokens.append(draft)
            hidden = torch.cat([hidden, newest], dim=1)
        return drafted


def half_right_drafts(
    monkeypatch: pytest.MonkeyPatch, truth: dict[int, list[int]], choose: Callable[[int], bool]
) -> None:
    """Make the drafter propose the right continuation, except at output indices that `choose` says are wrong."""

    def draft_chain(self: Drafter, starts: list[int]) -> Tensor:
        assert len(starts) == 1
        num_steps = self._drafting.num_steps
        index = next(iter(truth.values()))
        known = starts[0] + 1
        rows = [index[i] if i < len(index) and not choose(i) else 6 for i in range(known, known + num_steps)]
        return torch.tensor([rows])

    monkeypatch.setattr(Drafter, "draft_chain", draft_chain)


def test_the_baseline_returns_what_transformers_generate_returns(target: TargetModel, prompts: list[list[int]]) -> None:
    expected = [transformers_greedy(target, prompt, 24) for prompt in prompts]
    assert outputs(make_engine(target, None, None), prompts, GREEDY) == expected


@pytest.mark.parametrize("shape", [CHAIN, TREE, WIDE, (1, 1, 2), (1, 4, 5)])
@pytest.mark.parametrize("slots", [1, 3])
def test_drafting_returns_the_baselines_tokens(
    target: TargetModel, head: Eagle3Head, prompts: list[list[int]], shape: tuple[int, int, int], slots: int
) -> None:
    expected = outputs(make_engine(target, None, None), prompts, GREEDY)
    assert outputs(make_engine(target, head, shape, slots=slots), prompts, GREEDY) == expected


@pytest.mark.parametrize("shape", [CHAIN, TREE])
@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_drafting_returns_the_baselines_sampled_tokens_for_the_same_seed(
    target: TargetModel, head: Eagle3Head, prompts: list[list[int]], shape: tuple[int, int, int], top_p: float
) -> None:
    params = SamplingParams(max_new_tokens=24, temperature=0.8, top_p=top_p, seed=11, ignore_eos=True)
    expected = outputs(make_engine(target, None, None), prompts, params)
    greedy = outputs(make_engine(target, None, None), prompts, GREEDY)
    assert expected != greedy
    assert outputs(make_engine(target, head, shape), prompts, params) == expected


def test_drafts_equal_a_literal_recomputation_without_cache(
    target: TargetModel, head: Eagle3Head, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a shifted aux layer, position, embedding, cache column or slot, which all leave the text unchanged."""
    literal, checked = Literal(target, head), 0
    original = Engine._speculate_chain

    def speculate(self: Engine, drafter: Drafter) -> None:
        nonlocal checked
        known = [request.prompt_ids + request.output_ids for request in self._running]
        draft_chain = drafter.draft_chain
        drafted: list[list[int]] = []

        def spy(starts: list[int]) -> Tensor:
            result = draft_chain(starts)
            drafted.extend(result.tolist())
            return result

        drafter.draft_chain = spy  # type: ignore[method-assign]
        original(self, drafter)
        drafter.draft_chain = draft_chain  # type: ignore[method-assign]
        for ids, drafts in zip(known, drafted, strict=True):
            assert drafts == literal.drafts(ids, 4)
            checked += 1

    monkeypatch.setattr(Engine, "_speculate_chain", speculate)
    engine = make_engine(target, head, CHAIN)
    for index, prompt in enumerate(prompts):  # of different lengths, so that requests move into slots that are left
        engine.submit(prompt, SamplingParams(max_new_tokens=5 + 5 * (index % 3), ignore_eos=True))
    while engine.has_work:
        engine.step()
    engine.close()
    assert checked > 40


@pytest.mark.parametrize("wrong_every", [3, 5])
def test_after_partly_accepted_drafts_the_head_cache_holds_true_states_only(
    target: TargetModel,
    head: Eagle3Head,
    prompts: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
    wrong_every: int,
) -> None:
    prompt = prompts[3]
    answer = transformers_greedy(target, prompt, 24)
    half_right_drafts(monkeypatch, {0: prompt + answer}, lambda index: index % wrong_every == 0)
    engine = make_engine(target, head, CHAIN, slots=1)
    request = engine.submit(prompt, GREEDY)
    literal = Literal(target, head)
    while engine.has_work:
        engine.step()
        if request.finish_reason is None:
            known = prompt + request.output_ids
            with torch.inference_mode():
                newest = engine._drafter._newest_M1H[:1]  # type: ignore[union-attr]
                draft = int(head.to_target_ids(head.logits(newest).argmax(-1)))
            assert draft == literal.drafts(known, 1)[0]
    engine.close()
    assert request.output_ids == answer
    assert 0 < sum(request.accepted_by_position) < request.num_verify_steps * 4


def test_a_perfect_chain_gives_num_steps_plus_one_tokens_per_verify(
    target: TargetModel, head: Eagle3Head, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = prompts[1]
    answer = transformers_greedy(target, prompt, 31)
    half_right_drafts(monkeypatch, {0: prompt + answer}, lambda index: False)
    engine = make_engine(target, head, CHAIN, slots=1)
    (request,) = engine.generate([prompt], SamplingParams(max_new_tokens=31, ignore_eos=True))
    engine.close()
    assert request.output_ids == answer
    assert (request.num_verify_steps, request.accepted_by_position) == (6, [6, 6, 6, 6])
    assert engine.totals.acceptance_length == 5.0


def test_a_full_draft_vocabulary_tree_always_finds_the_next_token(
    target: TargetModel, head: Eagle3Head, prompts: list[list[int]]
) -> None:
    """One level with every token of a tiny draft vocabulary in the answer: each verify accepts exactly one draft."""
    from tests.unit.engines.reference.conftest import random_head

    answer = transformers_greedy(target, prompts[0], 13)
    kinds = sorted(set(answer))
    small = random_head(target, draft_vocab_size=len(kinds), seed=1)
    small.d2t.copy_(torch.tensor(kinds) - torch.arange(len(kinds)))
    engine = make_engine(target, small, (1, len(kinds), len(kinds) + 1), slots=1)
    (request,) = engine.generate([prompts[0]], SamplingParams(max_new_tokens=13, ignore_eos=True))
    engine.close()
    assert request.output_ids == answer
    assert (request.num_verify_steps, request.accepted_by_position) == (6, [6])


def test_stop_tokens_end_a_request_and_are_part_of_its_output(
    target: TargetModel, head: Eagle3Head, prompts: list[list[int]]
) -> None:
    answer = transformers_greedy(target, prompts[0], 24)
    stop = answer[9]
    position = answer.index(stop)
    stopping = replace(target, chat=replace(target.chat, stop_ids=frozenset({stop})))
    for shape in (None, CHAIN, TREE):
        engine = make_engine(stopping, head if shape else None, shape)
        (request,) = engine.generate([prompts[0]], SamplingParams(max_new_tokens=24))
        engine.close()
        assert (request.output_ids, request.finish_reason) == (answer[: position + 1], "stop")


@pytest.mark.parametrize("shape", [CHAIN, TREE, (3, 4, 4)])  # the last drafts more than it verifies
def test_the_context_length_bounds_prompt_and_output(
    target: TargetModel, head: Eagle3Head, prompts: list[list[int]], shape: tuple[int, int, int]
) -> None:
    from eyrie.params import Drafting

    num_steps, topk, num_draft_tokens = shape
    drafting = Drafting(num_steps=num_steps, topk=topk, num_draft_tokens=num_draft_tokens)
    engine = Engine(target, head=head, drafting=drafting, max_running_requests=1, context_length=48)
    (request,) = engine.generate([prompts[1]], SamplingParams(max_new_tokens=100, ignore_eos=True))
    assert (request.output_ids, request.finish_reason) == (transformers_greedy(target, prompts[1], 8), "length")
    with pytest.raises(ValueError, match="48 tokens; at most 47 fit"):
        engine.submit([7] * 48, GREEDY)
    with pytest.raises(ValueError, match="token id 300; ids must be between 0 and 299"):
        engine.submit([7, 300], GREEDY)
    with pytest.raises(ValueError, match="empty"):
        engine.submit([], GREEDY)
    engine.close()


@pytest.mark.parametrize("shape", [CHAIN, TREE])
@pytest.mark.parametrize("rope_type", ["dynamic", "longrope"])
def test_drafts_behind_the_context_s_end_do_not_turn_what_stands_in_the_same_forward(
    target: TargetModel, rope_type: str, shape: tuple[int, int, int]
) -> None:
    """These rotary embeddings turn a whole forward otherwise once one position in it is past the target's length."""
    rope: dict[str, Any] = {"rope_type": rope_type, "rope_theta": 10000.0, "factor": 4.0}
    if rope_type == "longrope":
        rope |= {"short_factor": [1.0] * 4, "long_factor": [3.0] * 4, "original_max_position_embeddings": 32}
    config = target.config.to_dict() | {"max_position_embeddings": 32, "rope_parameters": rope}
    torch.manual_seed(2)
    turned = LlamaForCausalLM(LlamaConfig(**config)).eval()
    own = replace(target, model=turned, config=turned.config)
    head = random_head(own, draft_vocab_size=120, seed=7)
    # the first ends at the context's end while the others are under way
    prompts = [torch.randint(6, 300, (length,), generator=torch.Generator().manual_seed(5)) for length in (20, 5, 14)]
    answers = [
        outputs(make_engine(own, head if drafts else None, drafts), [ids.tolist() for ids in prompts], GREEDY)
        for drafts in (None, shape)
    ]
    assert [len(answer) for answer in answers[0]] == [12, 24, 18]
    assert answers[1] == answers[0]


@pytest.mark.parametrize("shape", [None, CHAIN, TREE])
def test_requests_that_join_late_or_are_cancelled_leave_the_others_alone(
    target: TargetModel, head: Eagle3Head, prompts: list[list[int]], shape: tuple[int, int, int] | None
) -> None:
    expected = [transformers_greedy(target, prompt, 24) for prompt in prompts]
    engine = make_engine(target, head if shape else None, shape)
    requests = [engine.submit(prompt, GREEDY) for prompt in prompts[:4]]
    for _ in range(6):
        engine.step()
    engine.cancel(requests[0])
    requests += [engine.submit(prompt, GREEDY) for prompt in prompts[4:]]
    engine.cancel(requests[5])
    while engine.has_work:
        engine.step()
    engine.cancel(requests[1])  # has finished
    engine.close()
    assert [request.finish_reason for request in requests] == ["abort"] + ["length"] * 4 + ["abort", "length"]
    for index in (1, 2, 3, 4, 6):
        assert requests[index].output_ids == expected[index]
    assert 0 < len(requests[0].output_ids) < 24


def test_long_prompts_are_prefilled_in_chunks(
    target: TargetModel, head: Eagle3Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = torch.randint(6, 300, (45,), generator=torch.Generator().manual_seed(1)).tolist()
    whole = make_engine(target, head, CHAIN, slots=1).generate([prompt], GREEDY)[0]
    monkeypatch.setattr(engine_module, "PREFILL_CHUNK", 10)
    chunked = make_engine(target, head, CHAIN, slots=1).generate([prompt], GREEDY)[0]
    assert chunked.output_ids == whole.output_ids
    assert chunked.accepted_by_position == whole.accepted_by_position


def test_sampled_tokens_with_drafting_follow_the_targets_distribution(target: TargetModel, head: Eagle3Head) -> None:
    """Second output token of 1,500 seeds: chi-square over the target's own conditional distribution."""
    prompt, temperature = [9, 20, 31], 0.5
    engine = make_engine(target, head, (1, 3, 4), slots=8)
    with torch.inference_mode():
        first = torch.softmax(target.model(torch.tensor([prompt])).logits[0, -1] / temperature, -1)
        batch = torch.tensor([[*prompt, token] for token in range(300)])
        second = torch.softmax(target.model(batch).logits[:, -1] / temperature, -1)
        expected = (first[:, None] * second).sum(0)
    counts = torch.zeros(300)
    num_samples = 1500
    for seed in range(num_samples):
        engine.submit(prompt, SamplingParams(max_new_tokens=2, temperature=temperature, seed=seed, ignore_eos=True))
    requests = list(engine._waiting)
    while engine.has_work:
        engine.step()
    engine.close()
    for request in requests:
        counts[request.output_ids[1]] += 1
    common = expected * num_samples >= 10
    observed = torch.cat([counts[common], counts[~common].sum()[None]])
    wanted = torch.cat([expected[common], 1 - expected[common].sum()[None]]) * num_samples
    chi_square = float(((observed - wanted) ** 2 / wanted).sum())
    freedom = len(wanted) - 1
    assert freedom >= 5
    assert chi_square < freedom + 4 * (2 * freedom) ** 0.5
