"""Floating-point operations of a training step, and what share of the device's peak it reaches.

Counted are those that the loss needs, forwards and backwards, in matrix products and attention; what is computed twice
to save memory is not. Peaks are the vendors' for dense bfloat16 products; on another device, or in float32, no share is
given.
"""

from collections.abc import Iterable

from eyrie.eagle3.batches import Document
from eyrie.eagle3.config import HeadConfig
from eyrie.schemas import span_rows

PEAK_TFLOPS = {  # bfloat16, dense, by a part of the device's name; the first that occurs counts
    "B200": 2250.0,
    "H100 PCIe": 756.0,
    "H100": 989.0,
    "H200": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
    "A10": 125.0,
}


def peak_flops(device_name: str) -> float | None:
    """Operations per second of a device at most; None where it is not known."""
    return next((peak * 1e12 for name, peak in PEAK_TFLOPS.items() if name in device_name), None)


def step_operations(config: HeadConfig, documents: Iterable[Document], num_steps: int) -> float:
    """Operations (a multiplication and an addition are two) of the loss and its gradients for these documents."""
    spans = [
        (len(document), [span_rows(start, end) for start, end in document.spans if span_rows(start, end)])
        for document in documents
    ]
    num_tokens = sum(length for length, _ in spans)
    num_rows = sum(len(rows) for _, found in spans for rows in found)
    return operations(
        config,
        num_steps,
        num_tokens=num_tokens,
        num_rows=num_rows,
        row_keys=sum(_keys(rows) for _, found in spans for rows in found),
        token_keys=sum(length * (length + 1) / 2 for length, _ in spans),
    )


def operations(
    config: HeadConfig, num_steps: int, *, num_tokens: int, num_rows: int, row_keys: float, token_keys: float
) -> float:
    """`row_keys` and `token_keys`: how many step-0 keys all rows see, and all tokens see, at one step."""
    hidden, layers = config.hidden_size, config.num_hidden_layers
    query, key = (n * config.head_dim for n in (config.num_attention_heads, config.num_key_value_heads))
    projection = hidden * (query + 2 * key)
    finish = query * hidden + 3 * hidden * config.intermediate_size
    later = (num_steps - 1) * num_rows
    linear = num_tokens * projection  # of the embeddings, once for all steps
    linear += (num_tokens + later) * layers * projection
    linear += (num_tokens * (layers - 1) + num_rows + later * layers) * finish
    linear += num_steps * num_rows * hidden * config.draft_vocab_size
    diagonals = layers * num_rows * sum(range(num_steps))
    keys = (layers - 1) * (token_keys + (num_steps - 1) * row_keys) + num_steps * row_keys + diagonals
    fuse = num_tokens * 3 * config.target_hidden_size * hidden
    fuse *= 3 if config.fc_norm else 2  # features need no gradient, what a norm makes of them does
    teacher = num_rows * config.target_hidden_size * config.draft_vocab_size
    return 2.0 * (3 * (linear + 2 * query * keys) + fuse + teacher)


def _keys(rows: range) -> float:
    """The row at token t sees t + 1 keys of its document."""
    return len(rows) * (rows.start + 1 + rows.stop) / 2
