"""Servers, draft shapes, and what measures them: `evaluate_head`, `benchmark`, `report`, `tune`."""

import math
import re
from itertools import product
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from eyrie.params.base import Arm, PositiveInt, Section, Seed, Workload


class SglangServer(Section):
    """How SGLang is launched. The target, dtype and device come from `target`; the draft shape, requests at a time and
    context from what is served; the API key, when there is one, from the environment only."""

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] | None
    tp_size: PositiveInt
    mem_fraction_static: Annotated[float, Field(gt=0.0, lt=1.0)] | None
    attention_backend: Annotated[str, Field(min_length=1)] | None
    cuda_graph_max_bs_decode: PositiveInt | None
    context_length: Annotated[int, Field(ge=2)] | None
    start_timeout_s: Annotated[float, Field(gt=0.0)]
    extra_args: list[str]

    @field_validator("extra_args")
    @classmethod
    def _not_ours(cls, value: list[str]) -> list[str]:
        for argument in value:
            name = argument.split("=", 1)[0].replace("_", "-")
            if not name.startswith("--") or name in _SGLANG_OTHER_FLAGS:
                continue
            # SGLang takes the beginning of a flag for it
            meant = [flag for flag in _SGLANG_FLAGS_SET_ELSEWHERE if flag.startswith(name)]
            if meant:
                raise ValueError(f"{name} is set by {_SGLANG_FLAGS_SET_ELSEWHERE[min(meant, key=len)]}")
            if any(flag.startswith(name) for flag in _SGLANG_DRAFT_FLAGS):
                raise ValueError(f"{name} is set from the head and the draft shape")
        return value

    @property
    def num_gpus(self) -> int:
        """That the server takes: each of its data-parallel replicas and pipeline stages is `tp_size` of them."""
        asked = re.findall(
            r"--(?:dp|data-parallel|pp|pipeline-parallel)-size[= ](\d+)", " ".join(self.extra_args).replace("_", "-")
        )
        return self.tp_size * math.prod(map(int, asked))


_SGLANG_FLAGS_SET_ELSEWHERE = {
    "--model-path": "target.model",
    "--model": "target.model",
    "--revision": "target.revision",
    "--dtype": "target.dtype",
    "--device": "target.device",
    "--chat-template": "target.chat_template",
    "--default-chat-template-kwargs": "target.chat_template_settings",
    "--trust-remote-code": "target.trust_remote_code",
    "--host": "host",
    "--port": "port",
    "--tp": "tp_size",
    "--tp-size": "tp_size",
    "--tensor-parallel-size": "tp_size",
    "--mem-fraction-static": "mem_fraction_static",
    "--attention-backend": "attention_backend",
    "--cuda-graph-max-bs-decode": "cuda_graph_max_bs_decode",
    "--cuda-graph-max-bs": "cuda_graph_max_bs_decode (SGLang refuses the short name: it has two meanings now)",
    "--context-length": "context_length",
    "--max-running-requests": "what is served, the same for both arms",
    "--disable-overlap-schedule": "the arm eagle3_no_overlap",
    "--api-key": "the variable EYRIE_API_KEY; a key does not belong in params.yaml",
    "--admin-api-key": "nothing here; a key does not belong in params.yaml",
    "--ssl-keyfile-password": "nothing here; a password does not belong in params.yaml",
    "--config": "nothing here; give its options in extra_args",
}
_SGLANG_OTHER_FLAGS = frozenset({"--ssl-keyfile"})  # the beginning of another, and a flag itself
_SGLANG_DRAFT_FLAGS = frozenset(
    f"--speculative-{name}"
    for name in ("algorithm", "draft-model-path", "draft-model", "num-steps", "eagle-topk", "num-draft-tokens")
)


class Drafting(Section):
    """Draft tree shape as SGLang means it: `topk` 1 is a chain of `num_steps` drafts."""

    num_steps: Annotated[int, Field(ge=1, le=16)]
    topk: Annotated[int, Field(ge=1, le=16)]
    num_draft_tokens: Annotated[int, Field(ge=2, le=128)]

    @model_validator(mode="after")
    def _shape(self) -> Self:
        if self.topk == 1:
            bound = self.num_steps + 1
            if self.num_draft_tokens != bound:
                raise ValueError(
                    f"num_draft_tokens must be num_steps + 1 = {bound} when topk is 1, not {self.num_draft_tokens}"
                )
        else:
            bound = 1 + self.topk + (self.num_steps - 1) * self.topk * self.topk
            if self.num_draft_tokens > bound:
                raise ValueError(
                    f"num_draft_tokens must be at most {bound} for num_steps {self.num_steps} and topk {self.topk}, "
                    f"not {self.num_draft_tokens}"
                )
        return self


class EvaluateHead(Drafting):
    max_new_tokens: Annotated[int, Field(ge=2)]
    max_prompts: PositiveInt
    temperature: Annotated[float, Field(ge=0.0, le=2.0)]
    num_processes: PositiveInt


class Benchmark(Drafting):
    engine: Literal["reference", "sglang"]
    sglang: SglangServer
    arms: list[Arm]
    tree: Drafting
    workloads: Annotated[list[Workload], Field(min_length=1)]
    concurrency: Annotated[list[PositiveInt], Field(min_length=1)]
    num_prompts: PositiveInt
    output_tokens: Annotated[int, Field(ge=2)]
    repeats: PositiveInt
    seed: Seed

    @model_validator(mode="after")
    def _arms(self) -> Self:
        if missing := {"baseline", "eagle3"} - set(self.arms):
            raise ValueError(f"arms must hold baseline and eagle3; {', '.join(sorted(missing))} is missing")
        if self.arms[0] != "baseline":
            raise ValueError(f"arms: baseline comes first, the others get its histories; {self.arms[0]} does here")
        for name, values in (("arms", self.arms), ("workloads", self.workloads), ("concurrency", self.concurrency)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: each one once")
        if self.num_prompts < max(self.concurrency):
            raise ValueError(
                f"num_prompts must be at least the highest concurrency, {max(self.concurrency)}, not "
                f"{self.num_prompts}: fewer requests are never so many at a time"
            )
        if self.engine == "reference" and "eagle3_no_overlap" in self.arms:
            raise ValueError("arms: eagle3_no_overlap needs engine sglang; the reference engine overlaps nothing")
        if "tree" in self.arms and self.tree.topk == 1:
            raise ValueError("tree.topk must be at least 2 for the arm tree, not 1")
        return self

    def drafting(self, arm: Arm) -> Drafting | None:
        """The shape that an arm drafts; None for the baseline."""
        if arm == "baseline":
            return None
        if arm == "tree":
            return self.tree
        if arm == "chain":
            return Drafting(num_steps=self.num_steps, topk=1, num_draft_tokens=self.num_steps + 1)
        return Drafting(num_steps=self.num_steps, topk=self.topk, num_draft_tokens=self.num_draft_tokens)


class Report(Section):
    title: Annotated[str, Field(min_length=1)]
    gpu_hour_price: Annotated[float, Field(gt=0.0)] | None
    currency: Annotated[str, Field(min_length=1, max_length=8)]


class Tune(Section):
    """What `eyrie tune` tries; no stage reads it."""

    num_steps: Annotated[list[Annotated[int, Field(ge=1, le=16)]], Field(min_length=1)]
    topk: Annotated[list[Annotated[int, Field(ge=1, le=16)]], Field(min_length=1)]
    num_draft_tokens: Annotated[list[Annotated[int, Field(ge=2, le=128)]], Field(min_length=1)]
    concurrency: Annotated[list[PositiveInt], Field(min_length=1)]
    heldout_prompts: PositiveInt
    max_new_tokens: Annotated[int, Field(ge=2)]
    shortlist: PositiveInt
    num_prompts: PositiveInt
    rounds: PositiveInt

    @property
    def shapes(self) -> list[Drafting]:
        """Every allowed combination, chains once each whatever `num_draft_tokens` says."""
        found: dict[tuple[int, int, int], Drafting] = {}
        for steps, topk, tokens in product(self.num_steps, self.topk, self.num_draft_tokens):
            wanted = steps + 1 if topk == 1 else tokens
            if topk == 1 or topk < wanted <= 1 + topk + (steps - 1) * topk * topk:
                found[steps, topk, wanted] = Drafting(num_steps=steps, topk=topk, num_draft_tokens=wanted)
        return [found[key] for key in sorted(found)]

    @model_validator(mode="after")
    def _has_shapes(self) -> Self:
        if len(set(self.concurrency)) < len(self.concurrency):
            raise ValueError("concurrency: each one once")
        if not self.shapes:
            raise ValueError("no num_draft_tokens fits any num_steps and topk: more than topk, and what the tree holds")
        return self
