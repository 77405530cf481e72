"""Preallocated key/value memory of the running requests, one slot each, for the target and for the head.

Running requests own slots 0..B-1; when one leaves, the last one moves into its place, so that a forward always runs on
a contiguous block. Tokens are written in place: nothing is concatenated per token. Before a forward `begin` says which
slots take part, where each one's new tokens go and how many there are; a forward then reads the columns
0..max(start)+T-1 of these slots, and the mask hides what lies beyond a slot's own tokens.

Shapes: L layers, M slots, S columns per slot, B slots taking part, T new tokens per slot, G key/value heads,
D head dimension (keys and values may differ).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import CacheLayerMixin

from eyrie.engines.target import TargetError, TargetModel


class SlotStore:
    """Keys and values [L, M, G, S, D]. Zeros at first: a masked column must be finite, 0 * NaN is NaN."""

    def __init__(self, keys_LMGSD: Tensor, values_LMGSD: Tensor) -> None:
        self.num_columns = keys_LMGSD.shape[3]
        self._both = (keys_LMGSD, values_LMGSD)
        self._keys, self._values = list(keys_LMGSD), list(values_LMGSD)
        self._first_slot = self._num_slots = self._num_new = 0
        self._start: int | None = 0
        self._rows_B1, self._columns_BT = torch.empty(0), torch.empty(0)
        self.width = 0  # columns the current forward reads

    def begin(self, first_slot: int, starts: Sequence[int], num_new: int) -> None:
        """Slot `first_slot + b` takes `num_new` tokens at columns `starts[b]` and on."""
        self._first_slot, self._num_slots, self._num_new = first_slot, len(starts), num_new
        highest = max(starts)
        self.width = highest + num_new
        assert self.width <= self.num_columns, (self.width, self.num_columns)
        self._start = highest if min(starts) == highest else None
        if self._start is None:
            device = self._both[0].device
            self._rows_B1 = torch.arange(len(starts), device=device)[:, None]
            self._columns_BT = torch.tensor(starts, device=device)[:, None] + torch.arange(num_new, device=device)

    def append(self, layer: int, keys_BGTD: Tensor, values_BGTD: Tensor) -> tuple[Tensor, Tensor]:
        """Write the new tokens; return what the slots hold, [B, G, width, D] views."""
        keys_BGSD = self._keys[layer].narrow(0, self._first_slot, self._num_slots)
        values_BGSD = self._values[layer].narrow(0, self._first_slot, self._num_slots)
        if self._start is not None:
            keys_BGSD.narrow(2, self._start, self._num_new).copy_(keys_BGTD)
            values_BGSD.narrow(2, self._start, self._num_new).copy_(values_BGTD)
        else:
            keys_BGSD[self._rows_B1, :, self._columns_BT] = keys_BGTD.transpose(1, 2)
            values_BGSD[self._rows_B1, :, self._columns_BT] = values_BGTD.transpose(1, 2)
        return keys_BGSD.narrow(2, 0, self.width), values_BGSD.narrow(2, 0, self.width)

    def keep(self, slot: int, start: int, rows: Sequence[int]) -> None:
        """Of the tokens written at `start` and on, move those numbered `rows` (ascending) together at `start`."""
        if list(rows) == list(range(len(rows))):
            return
        for tensor in self._both:
            source = torch.tensor(rows, device=tensor.device) + start
            tensor[:, slot, :, start : start + len(rows)] = tensor[:, slot, :, source]

    def move(self, source: int, destination: int, num_tokens: int) -> None:
        """Copy a slot's first `num_tokens` columns over another slot."""
        for tensor in self._both:
            tensor[:, destination, :, :num_tokens] = tensor[:, source, :, :num_tokens]


class _SlotLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer of a `SlotStore`, as transformers asks for it."""

    def __init__(self, store: SlotStore, layer: int) -> None:
        super().__init__()
        self._store, self._layer = store, layer
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        raise AssertionError("slot memory is allocated at start")

    def update(self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any) -> tuple[Tensor, Tensor]:
        return self._store.append(self._layer, key_states, value_states)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._store.width, 0

    def get_seq_length(self) -> int:
        return self._store.width - self._store._num_new

    def get_max_length(self) -> int:
        return self._store.num_columns


class TargetCache(Cache):  # type: ignore[misc]
    """The target's slots, handed to transformers as `past_key_values`."""

    def __init__(self, target: TargetModel, num_slots: int, num_columns: int) -> None:
        self.store = _allocate(target, num_slots, num_columns)
        super().__init__(layers=[_SlotLayer(self.store, layer) for layer in range(target.config.num_hidden_layers)])


class HeadCache:
    """The head's slots, as `eagle3.head.KeyValueCache` asks for them."""

    def __init__(
        self, head_config: Any, num_slots: int, num_columns: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        layers, heads = head_config.num_hidden_layers, head_config.num_key_value_heads
        shape = (layers, num_slots, heads, num_columns, head_config.head_dim)
        self.store = SlotStore(*(torch.zeros(shape, dtype=dtype, device=device) for _ in range(2)))

    def update(self, layer: int, keys_BGTD: Tensor, values_BGTD: Tensor) -> tuple[Tensor, Tensor]:
        return self.store.append(layer, keys_BGTD, values_BGTD)


def _allocate(target: TargetModel, num_slots: int, num_columns: int) -> SlotStore:
    """Ask the target itself, with one token, how its keys and values are shaped. Raises TargetError."""
    cache = DynamicCache(config=target.config)
    with torch.inference_mode():
        target.forward(torch.zeros(1, 1, dtype=torch.long, device=target.device), past_key_values=cache, use_cache=True)
    shapes = {
        (tuple(getattr(layer, "keys", torch.empty(0)).shape), tuple(getattr(layer, "values", torch.empty(0)).shape))
        for layer in cache.layers
    }
    if len(shapes) != 1 or len(next(iter(shapes))[0]) != 4:
        raise TargetError(
            f"target {target.config.model_type}: the reference engine needs the same key and value shape in every "
            f"layer, found {sorted(shapes)}; serve this target with SGLang"
        )
    tensors = []
    for _, num_heads, _, head_dim in shapes.pop():
        shape = (len(cache.layers), num_slots, num_heads, num_columns, head_dim)
        tensors.append(torch.zeros(shape, dtype=target.dtype, device=target.device))
    return SlotStore(*tensors)
