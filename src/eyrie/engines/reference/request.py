"""A request to the engine, what became of it, and the sums over many."""

from dataclasses import dataclass, field

from eyrie.engines.reference.sampling import SamplingParams, UniformStream


@dataclass(eq=False)
class Request:
    """One request and what became of it. `finish_reason` is None while it waits or runs."""

    prompt_ids: list[int]
    params: SamplingParams
    uniforms: UniformStream
    accepted_by_position: list[int]  # verify steps whose i-th draft was accepted and kept
    output_ids: list[int] = field(default_factory=list)
    top_logprobs: list[list[tuple[float, int]]] = field(default_factory=list)  # per output token: (log-prob, token)
    finish_reason: str | None = None  # stop | length | abort
    num_cached: int = 0
    num_verify_steps: int = 0


@dataclass
class Totals:
    """Pooled over the requests finished since the start or the last reset."""

    num_requests: int = 0
    num_tokens: int = 0  # prefill's token excluded
    num_verify_steps: int = 0
    accepted_by_position: list[int] = field(default_factory=list)

    @property
    def acceptance_length(self) -> float | None:
        return self.num_tokens / self.num_verify_steps if self.num_verify_steps else None
