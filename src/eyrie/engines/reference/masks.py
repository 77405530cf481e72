"""Additive attention masks of slots with different lengths, cut out of one small preallocated table.

`PrefixMasks` says which tokens precede which; `layer_masks` makes of it what each kind of the target's layers sees.

Row r of a slot that starts at column p may see columns 0..p+r. In the table row r is 0 up to column `offset + r` and
-inf after it, so the mask of start p is the window that begins at `offset - p`. Masks are copies of it: kernels of GPUs
read a mask in pieces of 16 bytes and end the process ("misaligned address") where it begins between two.

Shapes: B slots, T new tokens (rows) per slot, S columns read, N nodes of a draft tree.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.masking_utils import chunked_overlay, sliding_window_overlay


class PrefixMasks:
    """Masks for up to `max_rows` new tokens over up to `max_columns` columns, in the attention's dtype."""

    def __init__(self, max_rows: int, max_columns: int, *, device: torch.device, dtype: torch.dtype) -> None:
        self._offset = max_columns
        columns = torch.arange(2 * max_columns + max_rows, device=device)
        seen = columns <= max_columns + torch.arange(max_rows, device=device)[:, None]
        self._table = torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill_(~seen, -torch.inf)

    def causal(self, starts: Sequence[int], num_rows: int) -> Tensor:
        """[B, 1, T, S], S = max(starts) + T: the rows follow each other."""
        width = max(starts) + num_rows
        if len(starts) == 1:
            return self._window(starts[0], num_rows, width).clone()[None, None]
        return torch.stack([self._window(start, num_rows, width) for start in starts])[:, None]

    def tree(self, starts: Sequence[int], seen_BTN: Tensor) -> Tensor:
        """[B, 1, T, S], S = max(starts) + N: every row sees all columns before `start`, and of the N columns from
        `start` on those that `seen_BTN` (bool) says. Starts are >= 1."""
        num_rows, num_nodes = seen_BTN.shape[1:]
        width = max(starts) + num_nodes
        prefix_BS = torch.stack([self._window(start - 1, 1, width)[0] for start in starts])
        mask_BTS = prefix_BS[:, None].repeat(1, num_rows, 1)
        columns_BN = torch.tensor(starts, device=mask_BTS.device)[:, None] + torch.arange(
            num_nodes, device=mask_BTS.device
        )
        hidden_BTN = torch.zeros_like(seen_BTN, dtype=mask_BTS.dtype).masked_fill_(~seen_BTN, -torch.inf)
        mask_BTS.scatter_(2, columns_BN[:, None].expand_as(hidden_BTN), hidden_BTN)
        return mask_BTS[:, None]

    def _window(self, start: int, num_rows: int, width: int) -> Tensor:
        begin = self._offset - start
        return self._table[:num_rows, begin : begin + width]


def layer_masks(
    config: Any, mask_B1TS: Tensor, starts: Sequence[int], positions_BT: Tensor
) -> Tensor | dict[str, Tensor]:
    """The `attention_mask` of a transformers decoder: one mask per kind of layer, or one when all layers are alike.

    A sliding or chunked layer sees less than `mask_B1TS`; what it does not see is decided by positions, which in a
    draft tree are not columns. Row t of slot b stands in column `starts[b] + t` at `positions_BT[b, t]`, the columns
    before it at their own number. The rule by which a configuration has several kinds is that of
    `transformers.masking_utils.create_masks_for_generate`.
    """
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return {kind: _seen_by(kind, config, mask_B1TS, starts, positions_BT) for kind in sorted(set(kinds))}
    if getattr(config, "sliding_window", None):
        return _seen_by("sliding_attention", config, mask_B1TS, starts, positions_BT)
    if getattr(config, "attention_chunk_size", None):
        return _seen_by("chunked_attention", config, mask_B1TS, starts, positions_BT)
    return mask_B1TS


def _seen_by(kind: str, config: Any, mask_B1TS: Tensor, starts: Sequence[int], positions_BT: Tensor) -> Tensor:
    num_slots, _, num_rows, width = mask_B1TS.shape
    device = mask_B1TS.device
    if kind == "sliding_attention":
        local_size = config.sliding_window
        sees = sliding_window_overlay(local_size)
    elif kind == "chunked_attention":
        local_size = config.attention_chunk_size
        sees = chunked_overlay(local_size, torch.zeros(num_slots, dtype=torch.long, device=device))
    else:
        return mask_B1TS
    if width <= local_size:
        return mask_B1TS
    columns_BS = torch.arange(width, device=device).repeat(num_slots, 1)
    own_BT = torch.tensor(starts, device=device)[:, None] + torch.arange(num_rows, device=device)
    columns_BS.scatter_(1, own_BT, positions_BT.expand(num_slots, -1))
    slots_B111 = torch.arange(num_slots, device=device)[:, None, None, None]
    seen_B1TS = sees(slots_B111, 0, positions_BT[:, None, :, None], columns_BS[:, None, None, :])
    return mask_B1TS.masked_fill(~seen_B1TS, -torch.inf)
