"""params.yaml as frozen, strictly checked values.

In: a YAML file. Out: `Params`, one attribute per section. The schema has no defaults, so the file is always the
whole truth; an unknown, missing or out-of-range key raises `ParamsError` naming path, value and bound.
"""

from datetime import date
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

Workload = Literal["chat", "code", "math", "extraction", "multi_turn", "instruction", "summarisation", "long_context"]
Arm = Literal["baseline", "eagle3", "eagle3_no_overlap", "chain", "tree"]
Split = Literal["train", "heldout", "benchmark"]
PositiveInt = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class ParamsError(ValueError):
    """params.yaml is missing, is not YAML, or holds a wrong key or value."""


class Section(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Target(Section):
    model: Annotated[str, Field(min_length=1)]
    revision: str | None
    dtype: Literal["float32", "bfloat16", "float16"]
    device: Literal["auto", "cpu", "cuda"]
    chat_template: str | None
    chat_template_settings: dict[str, Any]
    template_date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    trust_remote_code: bool

    @field_validator("template_date")
    @classmethod
    def _is_a_day(cls, value: str) -> str:
        try:
            date.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a day of the calendar, YYYY-MM-DD") from None
        return value


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
        if unknown := sorted(set(self.entity_thresholds) - set(self.policy)):
            raise ValueError(f"entity_thresholds: {', '.join(unknown)} is not in the policy")
        if self.backend != "presidio" and (
            unlisted := sorted(set(self.cloud_dlp.info_types.values()) - set(self.policy))
        ):
            raise ValueError(f"cloud_dlp.info_types: {', '.join(unlisted)} is not in the policy")
        return self


class Sampling(Section):
    max_new_tokens: PositiveInt
    temperature: Annotated[float, Field(ge=0.0, le=2.0)]
    top_p: Annotated[float, Field(gt=0.0, le=1.0)]


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
            if instead := _SGLANG_FLAGS_SET_ELSEWHERE.get(name):
                raise ValueError(f"{name} is set by {instead}")
            if name in _SGLANG_DRAFT_FLAGS:
                raise ValueError(f"{name} is set from the head and the draft shape")
        return value


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
    "--config": "nothing here; give its options in extra_args",
}
_SGLANG_DRAFT_FLAGS = frozenset(
    f"--speculative-{name}"
    for name in ("algorithm", "draft-model-path", "draft-model", "num-steps", "eagle-topk", "num-draft-tokens")
)


class GenerateResponses(Section):
    seed: Seed
    num_shards: Annotated[int, Field(ge=1, le=9999)]
    engine: Literal["reference", "transformers", "sglang"]
    concurrency: PositiveInt
    max_prompt_tokens: PositiveInt
    sampling: dict[Workload | Literal["default"], Sampling]
    sglang: SglangServer

    @model_validator(mode="after")
    def _has_default(self) -> Self:
        if "default" not in self.sampling:
            raise ValueError("sampling needs the key default, for every workload that it does not name")
        return self


class BuildVocab(Section):
    draft_vocab_size: Annotated[int, Field(ge=2)]


class ExtractFeatures(Section):
    encoding: Literal["bf16", "int8", "int4"]
    truncated_answers: Literal["keep", "drop"]
    max_batch_tokens: PositiveInt
    num_processes: PositiveInt


class TrainHead(Section):
    seed: Seed
    init_from: Annotated[str, Field(min_length=1)] | None
    init_revision: str | None
    hidden_size: PositiveInt | None
    intermediate_size: PositiveInt
    num_layers: Annotated[int, Field(ge=1, le=8)]
    fc_norm: bool
    norm_output: bool
    ttt_steps: Annotated[int, Field(ge=1, le=16)]
    ttt_decay: Annotated[float, Field(gt=0.0, le=1.0)]
    objective: Literal["kl", "lk", "lk_hybrid"]
    lk_eta: Annotated[float, Field(gt=0.0)]
    learning_rate: Annotated[float, Field(gt=0.0, lt=1.0)]
    warmup_steps: Annotated[int, Field(ge=0)]
    max_steps: PositiveInt
    batch_tokens: PositiveInt
    micro_batch_tokens: PositiveInt
    num_processes: PositiveInt
    parallel: Literal["ddp", "fsdp"]
    max_sequence_tokens: Annotated[int, Field(ge=16)]
    shuffle_tokens: PositiveInt
    weight_decay: Annotated[float, Field(ge=0.0, lt=1.0)]
    beta1: Annotated[float, Field(ge=0.0, lt=1.0)]
    beta2: Annotated[float, Field(ge=0.0, lt=1.0)]
    max_grad_norm: Annotated[float, Field(gt=0.0)]
    ema_decay: Annotated[float, Field(gt=0.0, lt=1.0)] | None
    compute_dtype: Literal["float32", "bfloat16"]
    activation_checkpointing: bool
    compile: bool
    eval_every: PositiveInt
    decode_prompts: Annotated[int, Field(ge=0)]
    patience: PositiveInt | None
    log_every: PositiveInt
    checkpoint_every: PositiveInt
    keep_checkpoints: PositiveInt

    @model_validator(mode="after")
    def _whole_micro_batches(self) -> Self:
        together = self.micro_batch_tokens * self.num_processes
        if self.batch_tokens % together:
            raise ValueError(
                f"batch_tokens must be a multiple of micro_batch_tokens * num_processes ({together}), "
                f"not {self.batch_tokens}"
            )
        return self


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
        for name, values in (("arms", self.arms), ("workloads", self.workloads), ("concurrency", self.concurrency)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: each one once")
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


class Params(Section):
    target: Target
    select_prompts: SelectPrompts
    filter_prompts: FilterPrompts
    generate_responses: GenerateResponses
    build_vocab: BuildVocab
    extract_features: ExtractFeatures
    train_head: TrainHead
    evaluate_head: EvaluateHead
    benchmark: Benchmark
    report: Report
    tune: Tune


STAGES: tuple[str, ...] = tuple(name for name in Params.model_fields if name not in ("target", "tune"))


def parse_params(raw: Any, *, origin: str) -> Params:
    """Check a parsed YAML document. Raises ParamsError: one line per wrong key, with path, value and bound."""
    if not isinstance(raw, dict):
        raise ParamsError(f"{origin}: expected one mapping with the sections {', '.join(Params.model_fields)}")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        lines = [_describe(detail) for detail in error.errors()]
        raise ParamsError("\n".join(f"{origin}: {line}" for line in lines)) from None


def load_params(path: Path) -> Params:
    """Read and check `path`. Raises ParamsError."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the repository root or pass --params") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParamsError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    return parse_params(raw, origin=str(path))


def _describe(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "missing":
        return f"{where}: missing key"
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown key"
    value = detail["input"]
    shown = "" if isinstance(value, dict | list) else f" (got {value!r})"
    return f"{where}: {message}{shown}"
