"""The target with its slot memory: one forward for both arms, over any block of slots.

Shapes: B slots, T new tokens per slot, S columns read, H hidden, V vocabulary.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from eyrie.engines.reference.kv_cache import TargetCache
from eyrie.engines.reference.masks import layer_masks
from eyrie.engines.target import TargetError, TargetModel, capture_layers, untuned_length


def longest_context(config: Any) -> int:
    """Tokens of a sequence that the engine runs exactly, of a target's text configuration. Raises TargetError."""
    kinds = set(getattr(config, "layer_types", None) or []) - {
        "full_attention",
        "sliding_attention",
        "chunked_attention",
    }
    if kinds:
        raise TargetError(
            f"target {config.model_type}: its layers of type {sorted(kinds)} keep no key/value cache; the reference "
            "engine cannot run it; answer with generate_responses.engine transformers, serve it with SGLang"
        )
    longest: int = config.max_position_embeddings
    return min(longest, untuned_length(config) or longest)


class TargetRunner:
    """Owns the target's cache and, when `aux_layers` are given, the hooks that read its hidden states."""

    def __init__(self, target: TargetModel, *, num_slots: int, num_columns: int, aux_layers: Sequence[int]) -> None:
        self.target = target
        self.cache = TargetCache(target, num_slots, num_columns)
        self._aux_layers = list(aux_layers)
        self._hooks = ExitStack()
        self._captured = self._hooks.enter_context(capture_layers(target, self._aux_layers)) if aux_layers else {}

    def close(self) -> None:
        """Take the hooks off, let the cache go."""
        self._hooks.close()
        del self.cache

    def forward(
        self,
        input_ids_BT: Tensor,
        *,
        first_slot: int,
        starts: Sequence[int],
        positions_BT: Tensor,
        mask_B1TS: Tensor,
    ) -> Tensor:
        """Append T tokens to slots `first_slot` and on, behind their first `starts[b]`; last hidden [B, T, H]."""
        self.cache.store.begin(first_slot, starts, input_ids_BT.shape[1])
        return self.target.forward(
            input_ids_BT,
            position_ids=positions_BT,
            attention_mask=layer_masks(self.target.config, mask_B1TS, starts, positions_BT),
            past_key_values=self.cache,
            use_cache=True,
        )

    def aux(self) -> Tensor:
        """The latest forward's aux hidden states [B, T, 3H], low | mid | high."""
        return torch.cat([self._captured[layer] for layer in self._aux_layers], dim=-1)
