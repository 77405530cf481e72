"""Additive attention masks of slots with different lengths, cut out of one small preallocated table.

Row r of a slot that starts at column p may see columns 0..p+r. In the table row r is 0 up to column `offset + r` and
-inf after it, so the mask of start p is the window that begins at `offset - p`: a view, not a new tensor.

Shapes: B slots, T new tokens (rows) per slot, S columns read, N nodes of a draft tree.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


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
            return self._window(starts[0], num_rows, width)[None, None]
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
