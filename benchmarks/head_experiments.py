"""What a choice in head training is worth: one head per variant and seed, judged on the same held-out rows.

    python -m benchmarks.head_experiments --variants base lk_hybrid eagle3 --seeds 1 2 3 --steps 260

Run where a pipeline has run: it reads `data/features` and `data/responses` of the working directory and the parameters
of params.yaml, which `base` leaves as they are. Every variant is scored by the same rule, whatever it was trained by:
simulated acceptance length of a chain of five (joint prefix, the target's greedy token, outside the draft vocabulary a
miss) on all held-out rows, with the exact rule of supervised rows. One line per run, then mean and spread per variant;
lines are also appended to `--out`, and what is there already is not run again, so that it can be done in pieces.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.nn.utils import clip_grad_norm_

from eyrie.eagle3.batches import Document, pack
from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.logits import LogitScaling
from eyrie.eagle3.loss import TttLoss
from eyrie.eagle3.objective import Objective
from eyrie.eagle3.optimizer import Optimizer
from eyrie.eagle3.processes import Processes
from eyrie.eagle3.simulate import count_heldout, no_counts
from eyrie.eagle3.teacher import Teacher
from eyrie.eagle3.trainer import Trainer
from eyrie.eagle3.vocab import read_vocab
from eyrie.engines.target import load_config
from eyrie.engines.target_ends import load_ends
from eyrie.features.decoding import CPU
from eyrie.params import Params, TrainHead, load_params
from eyrie.stages import build_vocab, train_head
from eyrie.tables import teacher_positions

CHAIN = 5
VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "late_rows": {},  # the mask of a loss that begins one row late: the first draft of every answer is not learnt
    "lk": {"objective": "lk"},
    "lk_hybrid": {"objective": "lk_hybrid"},
    "eagle3": {"fc_norm": False, "norm_output": False},
    "k1": {"ttt_steps": 1},
    "k3": {"ttt_steps": 3},
    "k5": {"ttt_steps": 5},
    "k7": {"ttt_steps": 7},
    "vocab512": {"draft_vocab_size": 512},
    "vocab1024": {"draft_vocab_size": 1024},
    "vocab2048": {"draft_vocab_size": 2048},
    "vocab4096": {"draft_vocab_size": 4096},
    "eagle3.1": {"fc_norm": True, "norm_output": True},
    "fc_norm": {"fc_norm": True, "norm_output": False},
    "norm_output": {"fc_norm": False, "norm_output": True},
    "two_layers": {"num_layers": 2},
    "ema": {"ema_decay": 0.98},
    "tokens512": {"batch_tokens": 512, "micro_batch_tokens": 512},
    "rate0.008": {"learning_rate": 0.008},
    "rate0.003": {"learning_rate": 0.003},
    "decay1": {"ttt_decay": 1.0},
    "warmup10": {"warmup_steps": 10},
    "beta0.98": {"beta2": 0.98},
    "frozen_output": {},  # lm_head stays the target's rows, as vLLM's speculators trains
    "muon": {"learning_rate": 0.01},  # vLLM's default: Muon for the matrices between hidden states
    "last_aux": {},  # fc starts as the last of the three aux states
    "target_mlp": {},  # the MLP starts as that of the target's last layer
    "passing": {},  # attention and MLP start by adding nothing
}


class _LateRows:
    """Training batches whose answers seem to begin a token later."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def position(self) -> Any:
        return self._inner.position

    def __next__(self) -> list[Document]:
        return [begun_late(one) for one in next(self._inner)]

    def close(self) -> None:
        self._inner.close()


def begun_late(one: Document) -> Document:
    spans = tuple((start + 1, end) for start, end in one.spans if end - start > 1)
    left = set(teacher_positions(spans))
    return replace(
        one, spans=spans, teachers=one.teachers[[position in left for position in teacher_positions(one.spans)]]
    )


class _MuonAndAdamW(Optimizer):
    """PyTorch's Muon, at AdamW's scale; AdamW for the output matrix and the norms."""

    def __init__(self, head: Eagle3Head, settings: TrainHead) -> None:
        super().__init__(head, settings)
        matrices = [weight for name, weight in head.named_parameters() if weight.dim() > 1 and name != "lm_head.weight"]
        self._muon = torch.optim.Muon(matrices, weight_decay=settings.weight_decay, adjust_lr_fn="match_rms_adamw")

    def step(self, rate: float) -> float:
        norm = clip_grad_norm_(self._head.parameters(), self._settings.max_grad_norm)
        self._muon.param_groups[0]["lr"] = rate
        self._muon.step()
        self._muon.zero_grad()  # AdamW steps what has a gradient
        super().step(rate)
        return float(norm)


def start(head: Eagle3Head, variant: str, target: Path, num_layers: int) -> None:
    """What some variants begin with, in place of random weights."""
    size, layer = head.config.hidden_size, head.midlayer
    with torch.no_grad():
        if variant == "frozen_output":
            head.lm_head.weight.requires_grad_(False)
        elif variant == "last_aux":
            head.fc.weight.zero_()
            head.fc.weight[:, 2 * size :].copy_(torch.eye(size))
        elif variant == "target_mlp":
            last = f"model.layers.{num_layers - 1}.mlp."
            tensors = [tensor for path in target.glob("*.safetensors") for tensor in load_file(path).items()]
            layer.mlp.load_state_dict(
                {name.removeprefix(last): tensor for name, tensor in tensors if name.startswith(last)}
            )
        elif variant == "passing":
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()


def run(params: Params, variant: str, seed: int, steps: int) -> dict[str, Any]:
    """Train and score one head."""
    changes = dict(VARIANTS[variant])
    draft_vocab_size = changes.pop("draft_vocab_size", params.build_vocab.draft_vocab_size)
    changes |= {"seed": seed, "max_steps": steps, "eval_every": steps, "patience": None}
    settings = params.train_head.model_copy(update=changes)
    features, responses = (sorted(Path("data").glob(f"{name}/shard-*.*")) for name in ("features", "responses"))
    features = [path for path in features if path.suffix == ".arrow"]
    responses = [path for path in responses if path.suffix == ".parquet"]
    with tempfile.TemporaryDirectory() as folder:
        vocab_params = params.build_vocab.model_copy(update={"draft_vocab_size": draft_vocab_size})
        made = Path(folder) / "vocab.safetensors"
        build_vocab.run(
            params.model_copy(update={"build_vocab": vocab_params}),
            responses=responses,
            vocab=made,
            metrics=Path(folder) / "vocab.json",
        )
        config = load_config(params.target).get_text_config()
        vocab = read_vocab(made, vocab_size=config.vocab_size)
    head_config = HeadConfig.from_target(
        config,
        draft_vocab_size=draft_vocab_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.num_layers,
        fc_norm=settings.fc_norm,
        norm_output=settings.norm_output,
    )
    ends = load_ends(params.target)
    teacher = Teacher(ends.lm_head_VH, LogitScaling.of(config), vocab.target_ids)
    torch.manual_seed(seed)
    head = Eagle3Head(head_config)
    head.set_vocab(vocab)
    head.start_from(ends.embedding_VH, ends.lm_head_VH)
    start(head, variant, Path(params.target.model), config.num_hidden_layers)
    batches = partial(train_head._TrainingBatches, features, settings, Processes(), CPU)
    heldout = partial(train_head._heldout_batches, features, settings, Processes(), CPU)
    started = time.process_time()
    trainer = Trainer(
        head,
        ends.embedding_VH,
        teacher,
        batches=(lambda position: _LateRows(batches(position))) if variant == "late_rows" else batches,
        heldout=heldout,
        settings=settings,
    )
    if variant == "muon":
        trainer.optimizer = _MuonAndAdamW(head, settings)
    trainer.run()
    cpu_s = time.process_time() - started
    return {"variant": variant, "seed": seed, "steps": steps, **score(head, ends.embedding_VH, teacher, heldout())} | {
        "cpu_s": round(cpu_s, 1)
    }


def score(head: Eagle3Head, embedding: Any, teacher: Teacher, heldout: Iterator[list[Document]]) -> dict[str, Any]:
    """The figures all variants share."""
    objective = Objective(CHAIN, 1.0)
    module = TttLoss(head, embedding, teacher, objective)
    counts = no_counts(CHAIN)
    for documents in heldout:
        batch = pack(documents, torch.device("cpu"))
        count_heldout(counts, module, batch, teacher.argmax(batch.teacher_last_RH))
    found = counts.score(objective)
    return {"acceptance_length": found.acceptance_length, "accuracy": found.accuracy}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=260)
    parser.add_argument("--out", type=Path, default=Path("head_experiments.jsonl"))
    arguments = parser.parse_args()
    params = load_params(Path("params.yaml"))
    lines = arguments.out.read_text().splitlines() if arguments.out.exists() else []
    results = [json.loads(line) for line in lines]
    for seed in arguments.seeds:
        for variant in arguments.variants:
            if any(
                (found["variant"], found["seed"], found["steps"]) == (variant, seed, arguments.steps)
                for found in results
            ):
                continue
            results.append(run(params, variant, seed, arguments.steps))
            with arguments.out.open("a") as out:
                out.write(json.dumps(results[-1]) + "\n")
            print(json.dumps(results[-1]), flush=True)
    print("| variant | runs | acceptance length | spread | first draft | last draft |\n|---|---|---|---|---|---|")
    for variant in arguments.variants:
        runs = [found for found in results if (found["variant"], found["steps"]) == (variant, arguments.steps)]
        if runs:
            lengths = [found["acceptance_length"] for found in runs]
            first, last = (statistics.mean(found["accuracy"][index] for found in runs) for index in (0, -1))
            print(
                f"| {variant} | {len(runs)} | {statistics.mean(lengths):.3f} | {min(lengths):.3f} - {max(lengths):.3f} "
                f"| {first:.3f} | {last:.3f} |"
            )


if __name__ == "__main__":
    main()
