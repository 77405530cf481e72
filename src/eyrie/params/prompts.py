"""`select_prompts` and `filter_prompts`: which prompts, under which licence, screened for what."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from eyrie.params.base import PositiveInt, Section, Seed, Share, Split, Workload


class Origin(Section):
    """Where rows are, and where in a row the turns and the workload are."""

    name: Annotated[str, Field(min_length=1)]
    path: str | None
    hub: str | None
    hub_config: str | None
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None
    hub_split: str | None
    turns: Literal["messages", "conversations", "alpaca", "text", "openai_log"]
    column: str | None
    workload: Workload | None
    workload_column: str | None

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.path is None) == (self.hub is None):
            raise ValueError("exactly one of path and hub must be set")
        if self.path is not None and re.search(r"://[^/]*@", self.path):
            raise ValueError("path: an address here has no user and password; messages and reports show it")
        if self.hub is not None and (self.revision is None or self.hub_split is None):
            raise ValueError("a hub source needs a pinned revision and a hub_split")
        if (self.workload is None) == (self.workload_column is None):
            raise ValueError("exactly one of workload and workload_column must be set")
        if (self.column is None) == (self.turns in ("messages", "conversations", "text")):
            raise ValueError("column must be set for messages, conversations and text, and null for alpaca, openai_log")
        return self


class Source(Origin):
    split: Split | Literal["by_digest"]
    license: str | None
    license_override: str | None
    keep_answers: Annotated[str, Field(pattern=r"\S")] | None

    @model_validator(mode="after")
    def _answers_are_there(self) -> Self:
        if self.keep_answers is not None and self.turns not in ("messages", "conversations"):
            raise ValueError("keep_answers needs turns with answers: messages or conversations")
        return self


class SelectPrompts(Section):
    seed: Seed
    system_prompt: str | None
    keep_system_prompts: bool
    max_prompts: PositiveInt
    workload_mix: dict[Workload, Share] | None
    traffic_sample: Origin | None
    max_chars: PositiveInt
    max_turns: PositiveInt
    malformed_rows: Literal["skip", "refuse"]
    near_duplicate_threshold: Annotated[float, Field(gt=0.0, le=1.0)]
    decontamination_words: Annotated[int, Field(ge=4)]
    decontaminate_against: list[Origin]
    digest_split: dict[Split, Share]
    allowed_licenses: list[str]
    denied_provenance: list[str]
    sources: Annotated[list[Source], Field(min_length=1)]

    @property
    def origins(self) -> list[Origin]:
        """Everything that the stage reads."""
        sample = [self.traffic_sample] if self.traffic_sample is not None else []
        return [*self.sources, *sample, *self.decontaminate_against]

    @model_validator(mode="after")
    def _sums(self) -> Self:
        if (self.workload_mix is None) == (self.traffic_sample is None):
            raise ValueError("exactly one of workload_mix and traffic_sample must be set")
        for name, shares in (("workload_mix", self.workload_mix), ("digest_split", self.digest_split)):
            total = 1.0 if shares is None else sum(shares.values())
            if abs(total - 1.0) > 1e-6:
                raise ValueError(f"{name} shares must sum to 1, they sum to {total:g}")
        if not any(source.split in ("train", "by_digest") for source in self.sources):
            raise ValueError("sources: at least one source must have split: train or by_digest")
        names = [origin.name for origin in self.origins]
        if len(set(names)) != len(names):
            raise ValueError("sources: names must be unique")
        return self


class CloudDlp(Section):
    """Google Cloud's Sensitive Data Protection; `info_types` maps each infoType to an entity type of the policy."""

    project: Annotated[str, Field(min_length=1)] | None
    location: Annotated[str, Field(min_length=1)]
    min_likelihood: Literal["very_unlikely", "unlikely", "possible", "likely", "very_likely"]
    requests_per_minute: PositiveInt
    request_timeout_s: Annotated[float, Field(gt=0.0)]
    retry_timeout_s: Annotated[float, Field(gt=0.0)]
    info_types: Annotated[dict[str, str], Field(min_length=1)]


SURROGATE_ENTITIES = frozenset({"EMAIL_ADDRESS", "PHONE_NUMBER"})


def unfit_surrogate(policy: Mapping[str, str]) -> str | None:
    """What is wrong with the first entry that asks for a surrogate which nobody makes."""
    for entity, action in policy.items():
        if action == "surrogate" and entity not in SURROGATE_ENTITIES:
            names = ", ".join(sorted(SURROGATE_ENTITIES))
            return f"policy.{entity}: surrogates exist for {names}; use drop, redact or keep"
    return None


class FilterPrompts(Section):
    backend: Literal["presidio", "cloud_dlp", "both"]
    analyzer_config: Annotated[str, Field(min_length=1)]
    fail_closed: bool
    score_threshold: Share
    entity_thresholds: dict[str, Share]
    max_chars: PositiveInt
    seed: Seed
    quarantine: Annotated[str, Field(min_length=1)] | None
    policy: dict[str, Literal["drop", "surrogate", "redact", "keep"]]
    cloud_dlp: CloudDlp

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.backend != "presidio" and self.cloud_dlp.project is None:
            raise ValueError(f"cloud_dlp.project must be set when backend is {self.backend}")
        if fault := unfit_surrogate(self.policy):
            raise ValueError(fault)
        if unknown := sorted(set(self.entity_thresholds) - set(self.policy)):
            raise ValueError(f"entity_thresholds: {', '.join(unknown)} is not in the policy")
        if self.backend != "presidio" and (
            unlisted := sorted(set(self.cloud_dlp.info_types.values()) - set(self.policy))
        ):
            raise ValueError(f"cloud_dlp.info_types: {', '.join(unlisted)} is not in the policy")
        return self
