"""The head with its slot memory: draft extend over true hidden states, then drafting a chain or a tree.

Row t of the head pairs the fused aux state at position t with the embedding of token t+1 and predicts token t+2; its
rotary position is t. Extend runs over tokens the target has confirmed, with the target's own aux states, so what stays
in the cache is true; what drafting writes lies behind it and is overwritten. Source: SGLang 0.5.23
`srt/speculative/eagle_worker.py` (`forward_draft_extend`, `draft_forward`).

Shapes: B slots, T rows, K topk, N nodes drafted so far, H hidden.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from eyrie.eagle3.head import Eagle3Head
from eyrie.engines.reference.draft_tree import CandidateTree, DraftTree
from eyrie.engines.reference.kv_cache import HeadCache
from eyrie.engines.reference.masks import PrefixMasks
from eyrie.engines.target import TargetModel
from eyrie.params import Drafting


class Drafter:
    """Keeps, per slot, the head's cache and its output for the newest confirmed token."""

    def __init__(
        self,
        head: Eagle3Head,
        target: TargetModel,
        drafting: Drafting,
        masks: PrefixMasks,
        *,
        num_slots: int,
        num_columns: int,
    ) -> None:
        self._head, self._drafting, self._masks = head, drafting, masks
        self._embedding_VH = target.whole_embedding()
        self._device = target.device
        self._cache = HeadCache(head.config, num_slots, num_columns, target.device, target.dtype)
        self._newest_M1H = torch.zeros(num_slots, 1, head.config.hidden_size, dtype=target.dtype, device=target.device)
        self._offsets = torch.arange(drafting.num_steps, device=target.device)

    def extend(
        self,
        first_slot: int,
        starts: Sequence[int],
        aux: Tensor,
        next_ids_BT: Tensor,
        positions_BT: Tensor,
        num_rows: Sequence[int],
    ) -> None:
        """Append confirmed rows: `aux` [B, T, 3H] at `positions_BT` and the tokens after them.

        Slot b has `num_rows[b]` <= T true rows; the rest is padding that the next write covers.
        """
        head = self._head
        self._cache.store.begin(first_slot, starts, next_ids_BT.shape[1])
        mask = self._masks.causal(starts, next_ids_BT.shape[1])
        hidden_BTH = head(
            head.embed(next_ids_BT, self._embedding_VH), head.fuse(aux), positions_BT, cache=self._cache, mask_B1TS=mask
        )
        for index, count in enumerate(num_rows):
            self._newest_M1H[first_slot + index, 0] = hidden_BTH[index, count - 1]

    def draft_chain(self, starts: Sequence[int]) -> Tensor:
        """The head's best token `num_steps` times in a row, for slots 0..B-1: target ids [B, num_steps]."""
        head, num_steps = self._head, self._drafting.num_steps
        positions = torch.tensor(starts, device=self._device)[:, None] + self._offsets
        hidden_B1H = self._newest_M1H[: len(starts)]
        drafted = []
        for step in range(num_steps):
            token_B1 = head.to_target_ids(head.logits(hidden_B1H).argmax(-1))
            drafted.append(token_B1)
            if step + 1 < num_steps:
                columns = [start + step for start in starts]
                self._cache.store.begin(0, columns, 1)
                hidden_B1H = head(
                    head.embed(token_B1, self._embedding_VH),
                    hidden_B1H,
                    positions[:, step : step + 1],
                    cache=self._cache,
                    mask_B1TS=None if len(starts) == 1 else self._masks.causal(columns, 1),
                )
        return torch.cat(drafted, dim=1)

    def draft_tree(self, starts: Sequence[int]) -> DraftTree:
        """The best `num_draft_tokens - 1` drafts of `num_steps` levels of `topk`, for slots 0..B-1."""
        return self.grow_tree(starts).best(self._drafting.num_draft_tokens)

    def grow_tree(self, starts: Sequence[int]) -> CandidateTree:
        """All candidates of `num_steps` levels of `topk`, for slots 0..B-1."""
        head, topk, num_steps = self._head, self._drafting.topk, self._drafting.num_steps
        num_slots = len(starts)
        tree = CandidateTree(topk)
        hidden_BJH = self._newest_M1H[:num_slots]
        seen_BKN = torch.zeros(num_slots, 1, 0, dtype=torch.bool, device=self._device)
        own_BKK = torch.eye(topk, dtype=torch.bool, device=self._device).expand(num_slots, topk, topk)
        positions_B1 = torch.tensor(starts, device=self._device)[:, None]
        for step in range(num_steps):
            probs_BJK, draft_ids_BJK = head.logits(hidden_BJH).float().softmax(-1).topk(topk, dim=-1)
            tokens_BK, origins_BK = tree.grow(probs_BJK, head.to_target_ids(draft_ids_BJK))
            if step + 1 == num_steps:
                break
            seen_BKN = torch.cat([_rows(seen_BKN, origins_BK), own_BKK], dim=-1)
            self._cache.store.begin(0, [start + step * topk for start in starts], topk)
            hidden_BJH = head(
                head.embed(tokens_BK, self._embedding_VH),
                _rows(hidden_BJH, origins_BK),
                (positions_B1 + step).expand(num_slots, topk),
                cache=self._cache,
                mask_B1TS=self._masks.tree(starts, seen_BKN),
            )
        return tree

    def move(self, source: int, destination: int, num_tokens: int) -> None:
        """Give slot `destination` what slot `source` holds."""
        self._cache.store.move(source, destination, num_tokens)
        self._newest_M1H[destination] = self._newest_M1H[source]


def _rows(values_BJX: Tensor, rows_BK: Tensor) -> Tensor:
    """Rows `rows_BK` of each slot: [B, J, X] -> [B, K, X]."""
    return values_BJX.gather(1, rows_BK[..., None].expand(-1, -1, values_BJX.shape[-1]))
