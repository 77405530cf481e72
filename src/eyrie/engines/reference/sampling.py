"""The target's choice of the next token at many positions at once, and how far the drafts agree with it.

Sampling inverts the cumulative distribution with a uniform number that belongs to the request's seed and the *output
index*, not to the step. Verify draws the target's own token at every drafted position and accepts the draft that equals
it: a draft is accepted with exactly the target's probability for it, and whatever the drafts are the output has the
target's distribution (the target-only rule of SGLang's `tree_speculative_sampling_target_only`; a deterministic draft
in SpecInfer's multi-round rejection, arXiv:2305.09781, gives the same). Tying the number to the output index makes
more of it: with the same seed, drafting returns the very tokens that plain decoding returns.

Shapes: B slots, T positions, V vocabulary.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

_LEAST_TEMPERATURE = 1e-6  # below it SGLang is greedy, and logits divided by it leave float32
_LEAST_TOP_P = 1e-6  # float32 makes 0 of much less, and of the nucleus nothing


@dataclass(frozen=True)
class SamplingParams:
    """How one request is decoded. `temperature` 0 is greedy; `seed` None draws one. `top_logprobs` most likely tokens
    are kept at every output position (plain decoding only)."""

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    ignore_eos: bool = False
    top_logprobs: int = 0

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("max_new_tokens", self.max_new_tokens, 1, None),
            ("temperature", self.temperature, 0.0, 2.0),
            ("top_p", self.top_p, 0.0, 1.0),
            ("top_logprobs", self.top_logprobs, 0, 20),
        ):
            if value < low or (high is not None and value > high) or (name == "top_p" and value == 0.0):
                bound = f"at least {low}" if high is None else f"between {low:g} and {high:g}"
                raise ValueError(f"{name} must be {bound}, not {value}")


@dataclass
class UniformStream:
    """The uniform numbers of one seed, by output index."""

    seed: int
    _drawn: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - sampling, not cryptography

    def at(self, index: int) -> float:
        """In [0, 1). The same index always gives the same number."""
        while len(self._drawn) <= index:
            self._drawn.append(self._random.random())
        return self._drawn[index]


def sample(logits_TV: Tensor, *, temperature: float, top_p: float, uniforms: Sequence[float]) -> Tensor:
    """Token ids [T] of softmax(logits / temperature) cut to its `top_p` nucleus. `temperature` > 0."""
    temperature, top_p = max(temperature, _LEAST_TEMPERATURE), max(top_p, _LEAST_TOP_P)
    probs_TV = torch.softmax(logits_TV.float() / temperature, dim=-1)
    order_TV = None
    if top_p < 1.0:
        probs_TV, order_TV = probs_TV.sort(dim=-1, descending=True, stable=True)
        before_TV = probs_TV.cumsum(-1) - probs_TV
        probs_TV = probs_TV.masked_fill(before_TV >= top_p, 0.0)  # the most likely token always stays
    cumulative_TV = probs_TV.cumsum(-1, dtype=torch.float64)
    uniforms_T1 = torch.tensor(uniforms, dtype=torch.float64, device=logits_TV.device)[:, None]
    index_T1 = torch.searchsorted(cumulative_TV, uniforms_T1 * cumulative_TV[:, -1:], right=True)
    index_T1 = index_T1.clamp_max(logits_TV.shape[-1] - 1)
    return (index_T1 if order_TV is None else order_TV.gather(1, index_T1))[:, 0]


def accept_chain(drafts: Sequence[int], chosen: Sequence[int]) -> int:
    """How many of the leading drafts the target chose itself. `chosen[i]` is its choice where `drafts[i]` stands."""
    accepted = 0
    for draft, choice in zip(drafts, chosen, strict=False):
        if draft != choice:
            break
        accepted += 1
    return accepted


def accept_tree(tokens: Sequence[int], parents: Sequence[int], chosen: Sequence[int]) -> list[int]:
    """The accepted path, root (row 0) first: from each node on to the child that is the target's choice there.

    `parents[row]` < row is the parent's row, the root's is ignored; `chosen[row]` is the target's choice after `row`.
    """
    children = {(parents[row], tokens[row]): row for row in range(1, len(tokens))}
    path = [0]
    while (child := children.get((path[-1], chosen[path[-1]]))) is not None:
        path.append(child)
    return path
