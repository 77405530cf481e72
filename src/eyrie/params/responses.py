"""`generate_responses`: who answers the prompts, and how answers are sampled."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from eyrie.params.base import WORKLOAD_RULE, PositiveInt, Section, Seed, is_workload
from eyrie.params.serving import SglangServer


class Sampling(Section):
    max_new_tokens: PositiveInt
    temperature: Annotated[float, Field(ge=0.0, le=2.0)]
    top_p: Annotated[float, Field(gt=0.0, le=1.0)]


class GenerateResponses(Section):
    seed: Seed
    num_shards: Annotated[int, Field(ge=1, le=9999)]
    engine: Literal["reference", "transformers", "sglang"]
    concurrency: PositiveInt
    max_prompt_tokens: PositiveInt
    sampling: dict[str, Sampling]
    sglang: SglangServer

    @model_validator(mode="after")
    def _names_workloads(self) -> Self:
        if "default" not in self.sampling:
            raise ValueError("sampling needs the key default, for every workload that it does not name")
        for name in self.sampling.keys() - {"default"}:
            if not is_workload(name):
                raise ValueError(f"sampling names {name!r}: {WORKLOAD_RULE}")
        return self
