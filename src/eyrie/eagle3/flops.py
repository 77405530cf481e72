"""Floating-point operations of a training step, and what share of the device's peak it reaches.

Counted are those that the loss needs, forwards and backwards, in matrix products and attention; what is computed twice
to save memory is not. Peaks are the vendors' for dense bfloat16 products; on another device, or in float32, no share is
given.
"""

import re
import time
from collections.abc import Iterable

import torch

from eyrie.eagle3.batches import Document
from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.objective import Objective
from eyrie.tables import span_rows

PEAK_TFLOPS = {  # bfloat16, dense, by words of the device's name; the first of which all occur counts
    "B200": 2250.0,
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.0,
    "H200 NVL": 835.0,
    "H200": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L40": 181.0,
    "L4": 121.0,
    "A10G": 70.0,
    "A10": 125.0,
}


def peak_flops(device_name: str) -> float | None:
    """Operations per second of a device at most; None where it is not known, as of a part of a device."""
    words = {*re.split(r"[\W_]+", device_name)}
    if "MIG" in words:
        return None
    return next((peak * 1e12 for name, peak in PEAK_TFLOPS.items() if words.issuperset(name.split())), None)


class Speed:
    """Tokens per second since training began here and, where the device's peak is known, the share of it reached."""

    def __init__(self, device: torch.device, compute_dtype: str) -> None:
        known = device.type == "cuda" and compute_dtype == "bfloat16"
        self._peak = peak_flops(torch.cuda.get_device_name(device)) if known else None
        self._started, self._tokens, self._operations = time.monotonic(), 0, 0.0

    def add(self, num_tokens: int, operations: float) -> None:
        """One step: tokens of all processes, operations of this one."""
        self._tokens += num_tokens
        self._operations += operations

    def __str__(self) -> str:
        seconds = time.monotonic() - self._started
        share = "" if self._peak is None else f", MFU {self._operations / seconds / self._peak:.0%}"
        return f"{self._tokens / seconds:.0f} tokens/s{share}"


def step_operations(config: HeadConfig, documents: Iterable[Document], objective: Objective) -> float:
    """Operations (a multiplication and an addition are two) of the loss and its gradients for these documents."""
    num_steps = objective.num_steps
    spans = [
        (len(document), [span_rows(start, end) for start, end in document.spans if span_rows(start, end)])
        for document in documents
    ]
    runs = [rows for _, found in spans for rows in found]
    num_tokens, num_rows = sum(length for length, _ in spans), sum(map(len, runs))
    row_keys = sum(map(_keys, runs))  # how many step-0 keys all rows see at one step
    hidden, layers = config.hidden_size, config.num_hidden_layers
    query, key = (n * config.head_dim for n in (config.num_attention_heads, config.num_key_value_heads))
    # of the embeddings, once for all steps; the target's own need no gradient
    read_tokens = min(num_rows + len(runs) * (num_steps - 1), num_tokens) if layers == 1 else num_tokens
    read = hidden * (read_tokens * query + num_tokens * 2 * key)
    read *= 2 if hidden == config.target_hidden_size else 3
    # all tokens make keys and values at step 0, and go on to the next layer; else there are rows only
    rows = (num_tokens * (layers - 1) + num_rows) + (num_steps - 1) * num_rows * layers
    linear = hidden * 2 * key * layers * (num_tokens + (num_steps - 1) * num_rows)
    linear += rows * (hidden * query + query * hidden + 3 * hidden * config.intermediate_size)
    linear += num_steps * num_rows * hidden * config.draft_vocab_size
    token_keys = sum(length * (length + 1) / 2 for length, _ in spans)
    keys = (layers - 1) * (token_keys + (num_steps - 1) * row_keys) + num_steps * row_keys
    keys += layers * num_rows * sum(range(num_steps))  # the diagonals
    fuse = 2 * num_tokens * 3 * config.target_hidden_size * hidden  # of features, which need no gradient
    # but for KL the share that the draft vocabulary has of the target's distribution takes all of its logits
    num_logits = config.draft_vocab_size + (0 if objective.kind == "kl" else config.vocab_size)
    teacher = num_rows * config.target_hidden_size * num_logits
    return 2.0 * (3 * (linear + 2 * query * keys) + read + fuse + teacher)


def _keys(rows: range) -> float:
    """The row at token t sees t + 1 keys of its document."""
    return len(rows) * (rows.start + 1 + rows.stop) / 2
