"""What `eyrie tune` writes and `eyrie serve` reads: how to draft at how many requests at a time, and why."""

from typing import Self

from pydantic import Field, model_validator

from eyrie.params import Drafting
from eyrie.schemas import Document


class OfflineShape(Document):
    """What a draft shape would accept, from the drafts recorded on held-out prompts."""

    drafting: Drafting
    acceptance_length: float
    acceptance_by_position: list[float] = Field(description="share of verify steps whose i-th draft was accepted")


class TunedShape(Document):
    """One measurement of the tuner: a shape (null: the baseline) at one concurrency in one round."""

    concurrency: int
    round: int
    drafting: Drafting | None
    num_requests: int
    num_errors: int
    tpot_ms: float = Field(description="median over the requests")
    output_throughput_tok_s: float
    acceptance_length: float | None


class ServingBand(Document):
    """What to serve with while between `min_concurrency` and `max_concurrency` requests run at a time."""

    min_concurrency: int
    max_concurrency: int | None = Field(description="null: no upper end")
    drafting: Drafting | None = Field(description="null: EAGLE-3 off, the baseline is as fast or faster")
    measured_at: int = Field(description="the concurrency that was measured")
    speedup: float = Field(description="output tokens per second over the baseline's; 1 for the baseline itself")


class ServingPlan(Document):
    """`reports/serving.json`: the best configuration per band of concurrency, in order and without gaps, and why."""

    engine: str
    device: str
    target: str
    target_revision: str = Field(description="the pinned commit, or sha256: and the digest of the folder")
    head_digest: str = Field(description="sha256 of the head's folder that was tuned")
    bands: list[ServingBand]
    offline: list[OfflineShape]
    measured: list[TunedShape]

    @model_validator(mode="after")
    def _holds_every_concurrency(self) -> Self:
        begin: int | None = 1
        for band in self.bands:
            if band.min_concurrency != begin:
                raise ValueError(f"bands: min_concurrency is {band.min_concurrency} where {begin} must follow")
            begin = None if band.max_concurrency is None else band.max_concurrency + 1
        if begin is not None:
            raise ValueError(f"bands: none holds a concurrency of {begin}; the last one has no max_concurrency")
        return self

    def band_for(self, concurrency: int) -> ServingBand:
        """The band that holds `concurrency` (at least 1)."""
        return next(band for band in self.bands if band.max_concurrency is None or concurrency <= band.max_concurrency)
