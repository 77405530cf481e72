"""Every architecture that recipes name, and quantised targets, go from prompts to a head that drafts, and the answers
stay the target's."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from eyrie.eagle3.config import aux_layer_ids
from eyrie.engines.packed import can_pack, forward_states
from eyrie.engines.reference.engine import Engine
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.target import TargetModel, load_target
from eyrie.engines.target_ends import load_ends
from eyrie.io import read_json, read_jsonl
from eyrie.params import Params
from eyrie.schemas import EvaluationMetrics, EvaluationOutput
from eyrie.stages import build_vocab, evaluate_head, extract_features, generate_responses, train_head
from eyrie.tables import PROMPTS, check_prompt_row, write_table
from tests.architectures import ARCHITECTURES, make_architecture
from tests.conftest import tiny_params
from tests.quantised import make_quantised
from tests.unit.engines.reference.conftest import random_head
from tests.unit.stages.test_evaluate_head import prompt_row

NEW_TOKENS = 20
QUANTISED = ["int4 (compressed-tensors)", "fp8 (compressed-tensors)"]
TREE = {"num_steps": 3, "topk": 2, "num_draft_tokens": 7}


@dataclass(frozen=True)
class Made:
    """A target of one architecture and what a run over it left."""

    params: Params
    target: TargetModel
    folder: Path


@pytest.fixture(scope="module", params=[*ARCHITECTURES, *QUANTISED])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Generate, extract, train for five steps, export, evaluate."""
    folder = tmp_path_factory.mktemp(request.param)
    make = make_quantised if request.param in QUANTISED else make_architecture
    model = make(request.param, folder / "target")
    params = tiny_params(
        model,
        generate_responses={
            "num_shards": 1,
            "concurrency": 4,
            "sampling": {"default": {"max_new_tokens": NEW_TOKENS, "temperature": 0.0, "top_p": 1.0}},
        },
        build_vocab={"draft_vocab_size": 160},
        extract_features={"max_batch_tokens": 180},
        train_head={
            "max_steps": 5,
            "warmup_steps": 1,
            "eval_every": 5,
            "checkpoint_every": 5,
            "batch_tokens": 256,
            "micro_batch_tokens": 256,
        },
        evaluate_head=TREE | {"max_new_tokens": NEW_TOKENS, "max_prompts": 4},
    )
    clean = folder / "clean.parquet"
    rows = [prompt_row(number, "chat", "train", [f"the user asks {number} " * (1 + number % 3)]) for number in range(6)]
    rows += [prompt_row(10 + n, "code", "heldout", ["assistant, answer the user " * n]) for n in (1, 2, 3)]
    rows += [prompt_row(20, "multi_turn", "heldout", ["the user", "and the assistant"])]
    write_table(clean, rows, PROMPTS, check_prompt_row)
    (folder / "s").mkdir()
    responses, features, vocab = folder / "r.parquet", folder / "f.arrow", folder / "v.safetensors"
    generate_responses.run(params, shard=0, clean=clean, responses=responses, scratch=folder / "s")
    build_vocab.run(params, responses=[responses], vocab=vocab, metrics=folder / "vocab.json")
    extract_features.run(params, shard=0, responses=responses, features=features)
    train_head.run(
        params,
        features=[features],
        vocab=vocab,
        head=folder / "head",
        curves=folder / "curves",
        metrics=folder / "train.json",
        scratch=folder / "t",
    )
    evaluate_head.run(
        params, head=folder / "head", clean=clean, metrics=folder / "eval.json", outputs=folder / "eval.jsonl"
    )
    return Made(params, load_target(params.target), folder)


def prompts() -> list[list[int]]:
    """Longer than every window and chunk, and of different lengths."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(6, 256, (length,), generator=generator).tolist() for length in (30, 5, 21, 47)]


def test_answers_with_the_trained_head_are_the_target_s_own_token_for_token(made: Made) -> None:
    metrics = read_json(made.folder / "eval.json", EvaluationMetrics)
    assert metrics.overall.num_identical == metrics.overall.num_prompts == 4
    assert metrics.overall.acceptance_length >= 1.0
    outputs = read_jsonl(made.folder / "eval.jsonl", EvaluationOutput)
    assert sum(len(ids) for output in outputs for ids in output.eagle3_ids) > NEW_TOKENS


def greedy(made: Made, shape: tuple[int, int, int] | None) -> list[list[int]]:
    """Answers to `prompts`, two at a time, so that slots of different lengths share forwards."""
    head = None if shape is None else random_head(made.target, draft_vocab_size=200, seed=3)
    drafting = (
        None
        if shape is None
        else made.params.evaluate_head.model_copy(
            update=dict(zip(("num_steps", "topk", "num_draft_tokens"), shape, strict=True))
        )
    )
    engine = Engine(made.target, head=head, drafting=drafting, max_running_requests=2, context_length=128)
    answered = engine.generate(prompts(), SamplingParams(NEW_TOKENS, 0.0, ignore_eos=True))
    engine.close()
    return [request.output_ids for request in answered]


def test_chain_and_tree_and_plain_decoding_give_what_transformers_generate_gives(made: Made) -> None:
    model = AutoModelForCausalLM.from_pretrained(made.folder / "target").eval()
    expected = []
    for ids in prompts():
        answer = model.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            do_sample=False,
            eos_token_id=None,
        )
        expected.append(answer[0, len(ids) :].tolist())
    for shape in (None, (3, 1, 4), (3, 2, 8)):
        assert greedy(made, shape) == expected, shape


def test_features_are_the_hidden_states_that_transformers_reports(made: Made) -> None:
    layers = list(aux_layer_ids(made.target.config.num_hidden_layers))
    sequences = prompts()
    assert can_pack(made.target, layers, sequences)
    packed = forward_states(made.target, layers, sequences, pack=True)
    begin = 0
    for ids in sequences:
        with torch.inference_mode():
            output = made.target.model(torch.tensor([ids]), output_hidden_states=True)
        expected = torch.cat([output.hidden_states[layer + 1][0] for layer in layers], dim=-1)
        end = begin + len(ids)
        torch.testing.assert_close(packed.aux_TE[begin:end], expected.bfloat16(), rtol=1e-2, atol=1e-4)
        torch.testing.assert_close(
            packed.last_TH[begin:end], output.hidden_states[-1][0].bfloat16(), rtol=1e-2, atol=1e-4
        )
        with torch.inference_mode():
            torch.testing.assert_close(
                made.target.logits(output.hidden_states[-1][0]), output.logits[0].float(), rtol=1e-4, atol=1e-4
            )
        begin = end


def test_the_head_shares_the_raw_embedding_matrix_as_engines_do(made: Made) -> None:
    """Gemma 3 scales what it reads from its embedding; SGLang hands drafts the matrix itself."""
    ends = load_ends(made.params.target)
    assert torch.equal(ends.embedding_VH, made.target.embed_tokens.weight)
    assert torch.equal(ends.lm_head_VH, made.target.model.get_output_embeddings().weight)
