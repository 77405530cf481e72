"""Time and memory of one optimizer step of head training, against the straightforward way, and against the machine.

    python -m benchmarks.training --hidden 1024 --tokens 2048 --documents mixed

Both ways train the same head on the same documents (K = 7, D = 8192, V = 32000), each in a process of its own: seconds
per optimizer step (the least disturbed one), per supervised token (one row at one step), and how far resident memory
grows above what it was before the first step. `--documents mixed` draws lengths from a log-normal distribution like
that of chat data until they fill `--tokens`; with `one`, a single sequence, nobody pads. The roofline counts the
floating-point operations of Eyrie's way and divides by the speed of a large matrix product measured on the same threads
right before and after. CPU seconds are printed beside wall seconds: on a busy machine they are what to compare.
With `--dtype bfloat16` products are bfloat16 under autocast, as public trainers compute, and weights float32.

    python -m benchmarks.training --device cuda --dtype bfloat16 --hidden 4096 --tokens 4096 --documents mixed \\
        --vocab 128256 --draft-vocab 32000

On a GPU time is the device's, and memory is what PyTorch allocates.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NUM_STEPS, DECAY = 7, 0.8
WAYS = ("eyrie", "eyrie, compiled", "eyrie, recomputing", "straightforward")


@dataclass(frozen=True)
class Shape:
    hidden: int
    tokens: int
    documents: str
    answer: int = 60
    objective: Any = "kl"
    vocab: int = 32000
    draft_vocab: int = 8192
    device: str = "cpu"
    dtype: str = "float32"

    @property
    def heads(self) -> tuple[int, int]:
        return self.hidden // 64, max(self.hidden // 256, 1)

    @property
    def intermediate(self) -> int:
        return 11 * self.hidden // 4


def lengths(shape: Shape) -> list[int]:
    """Document lengths that add up to `tokens`: log-normal, median 380, those that do not fit drawn again."""
    import numpy as np

    if shape.documents == "one":
        return [shape.tokens]
    generator = np.random.default_rng(1)
    found: list[int] = []
    while (room := shape.tokens - sum(found)) > 0:
        drawn = int(math.exp(generator.normal(math.log(380), 0.8)))
        if room < 96 or (found and room < 200):
            found.append(room)
        elif 48 <= drawn <= room - 48:
            found.append(drawn)
    return found


def make(shape: Shape) -> tuple[Any, Any, Any, list[Any]]:
    """Head, embedding, teacher and random documents; `answer` per cent of each document are its answer."""
    import torch
    from transformers import LlamaConfig

    from eyrie.eagle3.batches import Document
    from eyrie.eagle3.config import HeadConfig
    from eyrie.eagle3.head import Eagle3Head
    from eyrie.eagle3.logits import LogitScaling
    from eyrie.eagle3.teacher import Teacher
    from eyrie.tables import teacher_positions

    torch.manual_seed(0)
    heads, groups = shape.heads
    config = LlamaConfig(
        hidden_size=shape.hidden,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        head_dim=64,
        num_hidden_layers=8,
        vocab_size=shape.vocab,
        max_position_embeddings=8192,
    )
    head = Eagle3Head(
        HeadConfig.from_target(config, draft_vocab_size=shape.draft_vocab, intermediate_size=shape.intermediate)
    )
    ids = torch.arange(shape.draft_vocab) * 3
    head.d2t.copy_(ids - torch.arange(shape.draft_vocab))
    head.t2d[ids] = True
    documents = []
    for index, length in enumerate(lengths(shape)):
        spans = ((length - length * shape.answer // 100, length),)
        aux = torch.randn(length, 3 * shape.hidden).bfloat16()
        teachers = torch.randn(len(teacher_positions(spans)), shape.hidden).bfloat16()
        documents.append(Document(str(index), torch.randint(0, shape.vocab, (length,)), aux, teachers, spans))
    device = torch.device(shape.device)
    dtype = getattr(torch, shape.dtype)  # the target's
    embedding, output = (torch.randn(shape.vocab, shape.hidden, device=device) * shape.hidden**-0.5 for _ in range(2))
    return head.to(device), embedding.to(dtype), Teacher(output.to(dtype), LogitScaling(), ids.to(device)), documents


def loss_of(way: str, shape: Shape) -> tuple[Any, Callable[[], Any]]:
    """The head, and a function that computes its loss one way."""
    import torch

    from benchmarks.straightforward_head import StraightforwardLoss
    from eyrie.eagle3.batches import num_supervised, pack
    from eyrie.eagle3.loss import TttLoss
    from eyrie.eagle3.objective import Objective

    head, embedding, teacher, documents = make(shape)
    device = torch.device(shape.device)
    if way == "straightforward":
        plain = StraightforwardLoss(head, embedding, teacher, num_steps=NUM_STEPS, decay=DECAY)
        return head, lambda: plain(documents)
    objective = Objective(NUM_STEPS, DECAY, shape.objective, compiled="compiled" in way)
    module = TttLoss(head, embedding, teacher, objective, recompute="recomputing" in way)
    counts = [num_supervised(documents, step) for step in range(NUM_STEPS)]
    return head, lambda: module(pack(documents, device), counts)[0]


def work(way: str, shape: Shape, num_steps: int) -> dict[str, Any]:
    """Measure one way in this process."""
    import torch

    on_gpu = shape.device == "cuda"
    matmul_before = matmul_gflops(shape)
    head, compute_loss = loss_of(way, shape)
    fused = None if way == "straightforward" else True  # public trainers take AdamW's default
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-4, fused=fused)
    memory: Memory | GpuMemory = GpuMemory() if on_gpu else Memory()
    walls, cpus, losses = [], [], []
    for _ in range(num_steps + 1):  # the first one warms up
        wall, cpu = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        with torch.autocast(shape.device, torch.bfloat16, enabled=shape.dtype == "bfloat16"):
            loss = compute_loss()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())  # waits for the device
        if on_gpu:
            torch.cuda.synchronize()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    peak = memory.stop()
    return {
        "way": way,
        "first_loss": losses[0],
        "wall_s": min(walls[1:]),
        "cpu_s": min(cpus[1:]),
        "peak_mib": peak,
        "matmul_gflops": [matmul_before, matmul_gflops(shape)],
    }


class Memory:
    """How far resident memory grows, sampled every 10 ms."""

    def __init__(self) -> None:
        self._before = self._peak = self._now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """MiB above what it was at the start."""
        self._done.set()
        self._thread.join()
        return (self._peak - self._before) / 2**20

    def _watch(self) -> None:
        while not self._done.wait(0.01):
            self._peak = max(self._peak, self._now())

    def _now(self) -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class GpuMemory:
    """What PyTorch allocates above what it had at the start."""

    def __init__(self) -> None:
        import torch

        torch.cuda.reset_peak_memory_stats()
        self._before = torch.cuda.memory_allocated()

    def stop(self) -> float:
        """MiB."""
        import torch

        return float(torch.cuda.max_memory_allocated() - self._before) / 2**20


def matmul_gflops(shape: Shape) -> float:
    """The best of several large products, in 10^9 operations a second: of the device, or of a CPU thread's own time."""
    import torch

    on_gpu = shape.device == "cuda"
    size, repeats = (8192, 5) if on_gpu else (2048, 1)
    clock = time.perf_counter if on_gpu else time.process_time
    a, b = (torch.randn(size, size, device=shape.device, dtype=getattr(torch, shape.dtype)) for _ in range(2))
    best = math.inf
    for _ in range(6):
        if on_gpu:
            torch.cuda.synchronize()
        start = clock()
        for _ in range(repeats):
            a @ b
        if on_gpu:
            torch.cuda.synchronize()
        best = min(best, (clock() - start) / repeats)
    return 2 * size**3 / best / 1e9


def operations(shape: Shape) -> tuple[float, int]:
    """Floating-point operations of one step of Eyrie's way (no recomputation), and supervised tokens."""
    from eyrie.eagle3.batches import num_supervised
    from eyrie.eagle3.flops import step_operations
    from eyrie.eagle3.objective import Objective

    head, _, _, documents = make(shape)
    supervised = sum(num_supervised(documents, step) for step in range(NUM_STEPS))
    return step_operations(head.config, documents, Objective(NUM_STEPS, DECAY, shape.objective)), supervised


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--documents", choices=["one", "mixed"], default="one")
    parser.add_argument("--answer", type=int, default=Shape.answer, help="per cent of a document")
    parser.add_argument("--objective", choices=["kl", "lk", "lk_hybrid"], default="kl")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--vocab", type=int, default=Shape.vocab)
    parser.add_argument("--draft-vocab", type=int, default=Shape.draft_vocab)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--work", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    shape = Shape(
        arguments.hidden,
        arguments.tokens,
        arguments.documents,
        arguments.answer,
        arguments.objective,
        arguments.vocab,
        arguments.draft_vocab,
        arguments.device,
        arguments.dtype,
    )
    clock = "wall_s" if shape.device == "cuda" else "cpu_s"
    if arguments.objective != "kl" and "straightforward" in arguments.ways:
        parser.error("the straightforward way has objective kl only; name --ways without it")
    if arguments.work:
        print(json.dumps(work(arguments.work, shape, arguments.steps)))
        return
    flops, supervised = operations(shape)
    print(f"H={shape.hidden} T={shape.tokens} documents={shape.documents} lengths={lengths(shape)}")
    print(
        f"{flops / 1e9:.1f} GFLOP per step, {supervised} supervised tokens, {flops / supervised / 1e6:.2f} MFLOP each"
    )
    results = {}
    for way in arguments.ways:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.training", *sys.argv[1:], "--work", way],
            env={**os.environ, "OMP_NUM_THREADS": str(arguments.threads)},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        results[way] = found = json.loads(done.stdout.splitlines()[-1])
        peak = max(found["matmul_gflops"])
        share = f", {flops / found[clock] / 1e9 / peak:.0%} of {peak:.0f} GFLOP/s" if way == "eyrie" else ""
        print(
            f"{way:20s} {found['wall_s']:8.3f} s/step wall {found['cpu_s']:8.3f} s/step CPU "
            f"{found[clock] / supervised * 1e6:8.1f} us/supervised token {found['peak_mib']:8.0f} MiB{share}",
            flush=True,
        )
    if {"eyrie", "straightforward"} <= results.keys():
        ours, theirs = results["eyrie"], results["straightforward"]
        assert math.isclose(
            ours["first_loss"], theirs["first_loss"], rel_tol=1e-4 if shape.dtype == "float32" else 1e-2
        )
        print(
            f"straightforward / eyrie: {theirs['cpu_s'] / ours['cpu_s']:.2f} x CPU time, "
            f"{theirs['wall_s'] / ours['wall_s']:.2f} x wall time, {theirs['peak_mib'] / ours['peak_mib']:.2f} x memory"
        )


if __name__ == "__main__":
    main()
