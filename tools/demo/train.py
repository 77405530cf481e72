"""Training of the demo target: warm-up, a constant stage, and a linear decay to zero.

In: a model, a tokenizer, seeds and a number of steps. Out: the trained model and a log of
JSON lines. Matrices of the layers are trained by Muon (it needs far fewer tokens than AdamW at
this size), embeddings and norms by AdamW. Loss is in nats per weighted token.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from tools.demo.data import Batch, batches


@dataclass(frozen=True)
class TrainConfig:
    """Choices of the run; `batch_tokens` counts positions per micro-batch, padding included."""

    seed: int
    steps: int
    warmup_steps: int
    decay_share: float
    muon_lr: float
    adam_lr: float
    batch_tokens: int = 3072
    max_norm: float = 1.0


def lr_scale(step: int, config: TrainConfig) -> float:
    """Factor on the learning rates at 0-based `step`: in (0, 1]."""
    decay = int(config.steps * config.decay_share)
    return min((step + 1) / config.warmup_steps, 1.0, (config.steps - step) / max(decay, 1))


def build_optimizers(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the rest."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "layers" not in name]
    muon = torch.optim.Muon(matrices, lr=config.muon_lr, momentum=0.95, weight_decay=0.01, ns_steps=5)
    adam = torch.optim.AdamW(others, lr=config.adam_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    return [muon, adam]


def batch_loss(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Weighted mean of the loss."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden_BTH = model.model(input_ids=batch.ids_BT[:, :-1], use_cache=False)[0]
        weights_BT = batch.weights_BT[:, 1:]
        rows = weights_BT > 0
        logits_RV = model.lm_head(hidden_BTH[rows])
    loss_R = cross_entropy(logits_RV.float(), batch.ids_BT[:, 1:][rows], reduction="none")
    return (loss_R * weights_BT[rows]).sum() / weights_BT.sum()


def save_state(path: Path, done: int, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> None:
    """Write what a run needs to go on after `done` steps."""
    state = {"done": done, "model": model.state_dict()}
    state["optimizers"] = [optimizer.state_dict() for optimizer in optimizers]
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def load_state(path: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> int:
    """Restore a run in place and return the number of steps it had done."""
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return int(state["done"])


def train(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    config: TrainConfig,
    log: Callable[[str], Any],
    state_path: Path,
    save_every: int,
) -> None:
    """Train in place and write the state every `save_every` steps.

    A run goes on from `state_path` when it exists. While the rate is constant the number of steps
    has no influence, so a run may go on with another number and still equal a run from scratch.
    """
    log(json.dumps({"config": asdict(config)}))
    optimizers = build_optimizers(model, config)
    base_lrs = [config.muon_lr, config.adam_lr]
    done = load_state(state_path, model, optimizers) if state_path.exists() else 0
    stream = batches(tokenizer, config.seed, config.batch_tokens)
    tokens, begun = 0, time.monotonic()
    for _ in range(done):
        tokens += next(stream).ids_BT.numel()
    model.train()
    for step in range(done, config.steps):
        batch = next(stream)
        loss = batch_loss(model, batch)
        loss.backward()
        tokens += batch.ids_BT.numel()
        nn.utils.clip_grad_norm_(model.parameters(), config.max_norm)
        for optimizer, base_lr in zip(optimizers, base_lrs, strict=True):
            optimizer.param_groups[0]["lr"] = base_lr * lr_scale(step, config)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        seconds = time.monotonic() - begun
        row = {"step": step + 1, "loss": round(loss.item(), 6), "tokens": tokens}
        log(json.dumps(row | {"seconds": round(seconds, 1)}))
        if (step + 1) % save_every == 0:
            save_state(state_path, step + 1, model, optimizers)
