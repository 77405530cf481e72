"""Eyrie's training loss against the one of vLLM's own trainer, `speculators`, run here: is it the same, and how fast?

    /tmp/vllm/bin/pip install --no-deps speculators==0.9.0 hs-connectors==0.9.0
    /tmp/vllm/bin/pip install loguru datasets  # beside vLLM: see benchmarks/vllm_acceptance.py
    PYTHONPATH=src:. /tmp/vllm/bin/python -m benchmarks.speculators_loss            # losses and gradients, float64
    PYTHONPATH=src:. /tmp/vllm/bin/python -m benchmarks.speculators_loss --hidden 1024 --tokens 512    # time and memory

Both get the same weights and one document. For the comparison all of it is answer: `speculators` also supervises rows
inside the prompt (those whose k-th draft falls into the answer, which serving never makes), where Eyrie does not. Its
attention is its eager one, without torch.compile: on CPUs it has no other that differentiates.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

from benchmarks.training import DECAY, NUM_STEPS, Memory, Shape, make
from eyrie.eagle3.batches import Document, num_supervised, pack
from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.logits import LogitScaling
from eyrie.eagle3.loss import TttLoss
from eyrie.eagle3.objective import Objective
from eyrie.eagle3.teacher import Teacher
from eyrie.tables import span_rows, teacher_positions

PEERS_NAMES = {"kl": "kl_div", "lk": "nla", "lk_hybrid": "lk_hybrid"}  # of the objectives
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def peers_name(name: str) -> str:
    """Of a tensor of the head: a later layer's norm is called otherwise there."""
    if name.startswith("layers."):
        return name.replace("hidden_norm", "input_layernorm")
    return name.replace("midlayer.", "layers.0.")


def peer(head: Eagle3Head, embedding_VH: Any, teacher: Teacher) -> Any:
    """speculators' model with the head's weights. Its teacher gets states that are normed already, as Eyrie's does."""
    import torch
    from speculators.config import SpeculatorsConfig, VerifierConfig  # type: ignore[import-not-found]
    from speculators.models.eagle3.config import Eagle3SpeculatorConfig  # type: ignore[import-not-found]
    from speculators.models.eagle3.core import Eagle3DraftModel  # type: ignore[import-not-found]
    from speculators.proposals.greedy import GreedyTokenProposalConfig  # type: ignore[import-not-found]
    from transformers import LlamaConfig

    layer = LlamaConfig.from_dict(head.config.to_json())
    layer._attn_implementation = "eager"
    config = Eagle3SpeculatorConfig(
        transformer_layer_config=layer,
        draft_vocab_size=head.config.draft_vocab_size,
        fc_norm=head.config.fc_norm,
        norm_output=head.config.norm_output,
        eagle_aux_hidden_state_layer_ids=[layer + 1 for layer in head.config.aux_layer_ids],
        speculators_config=SpeculatorsConfig(
            algorithm="eagle3",
            proposal_methods=[GreedyTokenProposalConfig(speculative_tokens=NUM_STEPS)],
            default_proposal_method="greedy",
            verifier=VerifierConfig(name_or_path=None, architectures=[]),
        ),
    )
    model = Eagle3DraftModel(config).to(embedding_VH.dtype)
    weights = {peers_name(name): tensor for name, tensor in head.state_dict().items()}
    whole = head.config.draft_vocab_size == head.config.vocab_size  # then it has no maps
    weights = {name: tensor for name, tensor in weights.items() if not (whole and name in ("d2t", "t2d"))}
    weights |= {"embed_tokens.weight": embedding_VH, "verifier_lm_head.weight": teacher.lm_head_VH[head.t2d]}
    left = model.load_state_dict(weights, strict=False)
    assert (left.missing_keys, left.unexpected_keys) == (["verifier_norm.weight"], [])
    model.verifier_norm = torch.nn.Identity()
    return model


def peers_loss(model: Any, document: Document, objective: Objective) -> Any:
    """As its trainer hands a batch over: token t + 1, state t, teacher t + 1."""
    import torch
    from speculators.losses import resolve_loss_config  # type: ignore[import-not-found]

    dtype = model.embed_tokens.weight.dtype
    teachers_TH = torch.zeros(len(document), document.teachers.shape[1], dtype=dtype)
    teachers_TH[teacher_positions(document.spans)] = document.teachers.to(dtype)
    supervised_T = torch.zeros(len(document) - 1, dtype=torch.bool)
    for start, end in document.spans:
        rows = span_rows(start, end)
        supervised_T[rows.start : rows.stop] = True
    _, loss, _ = model(
        document.aux[None, :-1].to(dtype),
        document.input_ids[None, 1:],
        torch.zeros(1, len(document) - 1, dtype=torch.int64),
        loss_mask=supervised_T[None],
        position_ids=torch.arange(1, len(document))[None],
        verifier_last_hidden_states=teachers_TH[None, 1:],
        ttt_steps=NUM_STEPS,
        ttt_step_loss_decay=DECAY,
        loss_config=resolve_loss_config(PEERS_NAMES[objective.kind], "eager"),
    )
    return loss


def compare() -> None:
    """Print both losses and the largest difference of a gradient for heads of several kinds."""
    import torch
    from transformers import LlamaConfig

    for layers, norms, kind, num_drafts, rope in (
        (1, False, "kl", 100, {"rope_type": "default", "rope_theta": 10000.0}),
        (1, True, "kl", 100, LLAMA3),
        (3, True, "kl", 100, LLAMA3),
        (1, True, "lk", 300, LLAMA3),  # it renormalises the target's distribution on the draft vocabulary, and Eyrie
        (1, True, "lk_hybrid", 300, LLAMA3),  # does not: equal where the draft vocabulary is the whole one
    ):
        torch.manual_seed(0)
        sizes = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
        target = LlamaConfig(**sizes, num_hidden_layers=8, vocab_size=300, rope_parameters=rope)
        config = HeadConfig.from_target(
            target,
            draft_vocab_size=num_drafts,
            intermediate_size=96,
            num_hidden_layers=layers,
            fc_norm=norms,
            norm_output=norms,
        )
        head = Eagle3Head(config).double()
        ids = torch.arange(num_drafts) * (300 // num_drafts)
        head.d2t.copy_(ids - torch.arange(num_drafts))
        head.t2d[ids] = True
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        embedding_VH, lm_head_VH = torch.randn(300, 64).double() / 8, torch.randn(300, 64).double() / 2
        teacher, spans = Teacher(lm_head_VH, LogitScaling(), ids), ((1, 90),)
        teachers = torch.randn(len(teacher_positions(spans)), 64).bfloat16()
        document = Document("", torch.randint(0, 300, (90,)), torch.randn(90, 192).bfloat16(), teachers, spans)

        objective = Objective(NUM_STEPS, DECAY, kind)  # type: ignore[arg-type]
        counts = [num_supervised([document], step) for step in range(NUM_STEPS)]
        ours, _ = TttLoss(head, embedding_VH, teacher, objective)(pack([document], torch.device("cpu")), counts)
        ours.backward()
        model = peer(head, embedding_VH, teacher)
        theirs = peers_loss(model, document, objective)
        theirs.backward()
        gradients = {name: weight.grad for name, weight in model.named_parameters()}
        apart = [
            float((weight.grad - gradient).norm() / gradient.norm())
            for name, weight in head.named_parameters()
            if (gradient := gradients[peers_name(name)]) is not None  # it does not train lm_head
        ]
        print(
            f"{layers} layer(s), norms {norms}, {rope['rope_type']}, {kind}: loss {float(ours.detach()):.7f} and "
            f"{float(theirs.detach()):.7f}, gradients of {len(apart)} tensors within {max(apart):.1e}"
        )


def measure(way: str, shape: Shape) -> dict[str, float]:
    """CPU seconds of forward and backward, the least of three after a first, and how far memory grows, MiB."""
    import torch

    head, embedding_VH, teacher, documents = make(shape)
    objective = Objective(NUM_STEPS, DECAY)
    counts = [num_supervised(documents, step) for step in range(NUM_STEPS)]
    if way == "eyrie":
        module: Any = TttLoss(head, embedding_VH, teacher, objective)
        packed = pack(documents, torch.device("cpu"))
        run = lambda: module(packed, counts)[0]  # noqa: E731
    else:
        module = peer(head, embedding_VH, teacher)
        run = lambda: peers_loss(module, documents[0], objective)  # noqa: E731
    memory, seconds = Memory(), []
    for _ in range(4):
        start = time.process_time()
        module.zero_grad()
        run().backward()
        seconds.append(time.process_time() - start)
    return {"cpu_s": min(seconds[1:]), "mib": memory.stop()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--way", choices=["eyrie", "speculators"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.hidden is None:
        compare()
        return
    shape = Shape(arguments.hidden, arguments.tokens, "one")
    if arguments.way:
        print(json.dumps(measure(arguments.way, shape)))
        return
    found = {}
    for way in ("eyrie", "speculators"):
        command = [sys.executable, "-m", "benchmarks.speculators_loss", *sys.argv[1:], "--way", way]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        found[way] = one = json.loads(done.stdout.splitlines()[-1])
        print(f"H={shape.hidden} T={shape.tokens} {way}: {one['cpu_s']:.3f} s CPU, {one['mib']:.0f} MiB", flush=True)
    ours, theirs = found["eyrie"], found["speculators"]
    times, memory = theirs["cpu_s"] / ours["cpu_s"], theirs["mib"] / ours["mib"]
    print(f"speculators / eyrie: {times:.2f} x CPU time, {memory:.2f} x memory")


if __name__ == "__main__":
    os.environ["TORCHDYNAMO_DISABLE"] = "1"
    main()
