"""Which drafts are verified: growing candidates level by level, then keeping the best of all.

Every level expands its `topk` frontier nodes into `topk` children each and keeps as next frontier the `topk` children
with the highest path probability; the tree that is verified is the root and the `num_draft_tokens - 1` best candidates
of all levels. Upstream: SGLang `srt/speculative/spec_utils.py` (`select_top_k_tokens`) and `eagle_utils.py`
(`organize_draft_results`, `build_tree_kernel_efficient`); EAGLE-2, arXiv:2406.16858, section 4.

Candidates are numbered in the order they are drafted: K of level 0, then K*K of every later level. Ties go to the lower
number, and a parent has a lower number and no lower probability than its children, so the chosen set is always a tree.

Shapes: B slots, K topk, C candidates, N = num_draft_tokens rows of the tree (row 0 the root).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eyrie.eagle3.processes import Processes


@dataclass(frozen=True)
class DraftTree:
    """`drafts` [B, N-1] are the tokens of rows 1..N-1; `parents_BN` rows of the parents (the root's is 0); `depths_BN`
    distances to the root; `seen_BNN` bool: is the column's node the row's node itself or above it."""

    drafts: Tensor
    parents_BN: Tensor
    depths_BN: Tensor
    seen_BNN: Tensor

    def agreed(self, processes: Processes) -> "DraftTree":
        """The first process's tree."""
        return DraftTree(*(processes.agree(part) for part in vars(self).values()))


class CandidateTree:
    """Collects candidates level by level."""

    def __init__(self, topk: int) -> None:
        self._topk = topk
        self._scores: list[Tensor] = []
        self._tokens: list[Tensor] = []
        self._parents: list[Tensor] = []
        self._num_candidates = 0
        self._frontier_BK: Tensor | None = None  # candidate numbers
        self._frontier_scores_BK: Tensor | None = None

    def grow(self, probs_BJK: Tensor, tokens_BJK: Tensor) -> tuple[Tensor, Tensor]:
        """Add a level: for each of the J frontier nodes (J = 1, the root, at first) its K best drafts.

        Returns the tokens [B, K] of the new frontier and, for each, which of the J nodes it continues [B, K].
        """
        num_slots, num_nodes = probs_BJK.shape[:2]
        scores_BJK = probs_BJK if self._frontier_scores_BK is None else probs_BJK * self._frontier_scores_BK[..., None]
        scores_BC, tokens_BC = scores_BJK.flatten(1), tokens_BJK.flatten(1)
        if self._frontier_BK is None:
            parents_BC = torch.full_like(tokens_BC, -1)
        else:
            parents_BC = self._frontier_BK.repeat_interleave(self._topk, dim=1)
        self._scores.append(scores_BC)
        self._tokens.append(tokens_BC)
        self._parents.append(parents_BC)
        best_BK = scores_BC.sort(dim=1, descending=True, stable=True).indices[:, : self._topk]
        self._frontier_scores_BK = scores_BC.gather(1, best_BK)
        self._frontier_BK = best_BK + self._num_candidates
        self._num_candidates += num_nodes * self._topk
        assert best_BK.shape == (num_slots, self._topk)
        return tokens_BC.gather(1, best_BK), best_BK // self._topk

    def best(self, num_draft_tokens: int) -> DraftTree:
        """The root and the `num_draft_tokens - 1` candidates with the highest path probability."""
        scores_BC, tokens_BC, parents_BC = (
            torch.cat(parts, dim=1) for parts in (self._scores, self._tokens, self._parents)
        )
        num_kept = num_draft_tokens - 1
        order_BC = scores_BC.sort(dim=1, descending=True, stable=True).indices[:, :num_kept]
        kept_BC = order_BC.sort(dim=1).values
        above_BC = parents_BC.gather(1, kept_BC)
        rows_BC = torch.where(above_BC < 0, 0, torch.searchsorted(kept_BC, above_BC.clamp_min(0)) + 1)
        parents_BN = torch.cat([torch.zeros_like(rows_BC[:, :1]), rows_BC], dim=1)
        ancestors_BN = torch.arange(num_draft_tokens, device=parents_BN.device).expand_as(parents_BN)
        seen_BNN = torch.zeros(*parents_BN.shape, num_draft_tokens, dtype=torch.bool, device=parents_BN.device)
        seen_BNN.scatter_(2, ancestors_BN[..., None], True)
        for _ in self._scores:  # one level up at a time
            ancestors_BN = parents_BN.gather(1, ancestors_BN)
            seen_BNN.scatter_(2, ancestors_BN[..., None], True)
        return DraftTree(tokens_BC.gather(1, kept_BC), parents_BN, seen_BNN.sum(-1) - 1, seen_BNN)

    def follow(self, continuations: Sequence[Sequence[int]]) -> list[list[list[int]]]:
        """Per slot, the candidates that lie on its continuation (the target's own next tokens), level by level until
        there is none; for each, its rank among the candidates of the first 1, 2, ... levels, 0 the best.

        A tree of S levels and N rows holds a candidate when its rank among the first S levels is below N - 1: every
        shape's acceptance can be read from one tree of the most levels.
        """
        scores_BC, tokens_BC, parents_BC = (
            torch.cat(parts, dim=1) for parts in (self._scores, self._tokens, self._parents)
        )
        ends = [sum(part.shape[1] for part in self._scores[: level + 1]) for level in range(len(self._scores))]
        order = [scores_BC[:, :end].sort(dim=1, descending=True, stable=True).indices.argsort(dim=1) for end in ends]
        ranks_BC = [of_level.tolist() for of_level in order]
        tokens, parents = tokens_BC.tolist(), parents_BC.tolist()
        paths = []
        for slot, continuation in enumerate(continuations):
            path: list[list[int]] = []
            begin, above = 0, -1
            for level, (end, token) in enumerate(zip(ends, continuation, strict=False)):
                own = (c for c in range(begin, end) if parents[slot][c] == above and tokens[slot][c] == token)
                candidate = next(own, None)
                if candidate is None:
                    break
                path.append([of_level[slot][candidate] for of_level in ranks_BC[level:]])
                begin, above = end, candidate
            paths.append(path)
        return paths
