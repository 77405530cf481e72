"""The JSON documents that pass between stages, as pydantic models: `io.read_json` / `io.write_json`.

Arrow tables are in `tables`.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from eyrie.params import Arm, Drafting, Workload


class SchemaError(ValueError):
    """An artefact is not what this version of Eyrie writes."""


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)  # every command imports them all


class FunnelStep(Document):
    """What one step of selection or screening left: `kept` prompts, and why the others went (counts only)."""

    name: str
    kept: int
    dropped: dict[str, int]


class PromptMetrics(Document):
    """`reports/metrics/filter_prompts.json`, and what `select_prompts.json` shares with it.

    Counts and types only, never a value.
    """

    funnel: list[FunnelStep]
    by_workload: dict[str, int]
    by_split: dict[str, int]
    mix_distance_before: float | None = Field(description="total variation to the wanted mix; after: what is kept")
    mix_distance_after: float | None
    entities: dict[str, dict[str, int]] = Field(description="entity type -> action -> count; filter_prompts only")
    sources: dict[str, dict[str, str | int]] = Field(
        description="source -> license, provenance, override, raw, kept; select_prompts only"
    )


class MixDistance(Document):
    """Total variation distance in [0, 1] of the training prompts to the wanted mix on one axis."""

    before: float = Field(description="what is usable; after: what was taken")
    after: float


class Shortfall(Document):
    """A workload, or a part of it, of which the sources have less than its share."""

    workload: str
    part: str = Field(description='length and turns when traffic is matched, "" for the whole workload')
    wanted: int
    available: int


class MalformedRow(Document):
    """Where a row is that gave no prompt; `number` counts from 1 in the file."""

    source: str
    file: str
    number: int
    reason: str


class SelectionMetrics(PromptMetrics):
    """`reports/metrics/select_prompts.json`."""

    wanted_mix: dict[str, float] = Field(description="workload -> share of the training prompts asked for")
    mix_axes: dict[str, MixDistance] = Field(description="workload; also length and turns when traffic is matched")
    shortfalls: list[Shortfall]
    num_malformed: int
    malformed_rows: list[MalformedRow] = Field(description="the first hundred")


class ResponseMetrics(Document):
    """`reports/metrics/generate_responses.json`."""

    num_conversations: int
    num_rows: int
    num_prompt_tokens: int
    num_response_tokens: int
    finish_reasons: dict[str, int]
    response_tokens: dict[str, dict[str, int]] = Field(
        description="workload, or all -> p10, p50, p90, p99, max of the tokens of an answer"
    )
    by_workload: dict[str, dict[str, int]] = Field(description="workload -> rows, response_tokens, truncated")
    skipped: dict[str, int] = Field(description="reason -> conversations left out")


class VocabMetrics(Document):
    """`reports/metrics/build_vocab.json`. `coverage` is the share of response tokens inside the draft vocabulary."""

    vocab_size: int
    draft_vocab_size: int
    coverage_train: float
    coverage_heldout: float
    digest: str


class FeatureMetrics(Document):
    """`reports/metrics/extract_features.json`."""

    num_rows: int
    num_tokens: int
    num_bytes: int
    bytes_per_token: float
    encoding: str
    hidden_size: int
    aux_layer_ids: list[int] = Field(description="0-based layer outputs")


class TrainMetrics(Document):
    """`reports/metrics/train_head.json`, of the exported (best held-out) checkpoint."""

    steps: int
    best_step: int
    tokens_seen: int
    supervised_tokens_seen: int
    train_loss: float
    heldout_loss: float
    heldout_acceptance_length: float = Field(description="simulated: joint prefix, out-of-vocabulary is a miss")
    heldout_decoded_acceptance_length: float | None = Field(
        description="by decoding train_head.decode_prompts prompts with a chain of train_head.ttt_steps drafts"
    )
    heldout_accuracy: list[float] = Field(description="per TTT step")
    num_parameters: int


class Acceptance(Document):
    """Pooled counts of one workload (or of all): tau = num_tokens / num_verify_steps, prefill's token excluded."""

    num_prompts: int
    num_identical: int = Field(description="greedy outputs equal to the baseline's, token for token")
    num_tokens: int
    num_verify_steps: int
    acceptance_length: float
    acceptance_by_position: list[float] = Field(description="share of verify steps whose i-th draft was accepted")


class Mismatch(Document):
    """Where two greedy answers part: the tokens before, and what each arm goes on with."""

    prompt_id: str
    workload: Workload
    position: int = Field(description="index of the first different output token, over the prompt's answers in a row")
    baseline_margin: float | None = Field(
        description="the baseline's logit of its own token less that of the other arm's token; null: not known"
    )
    near_tie: bool = Field(description="rounding in the target's dtype explains the margin")
    shared_text: str
    baseline_text: str
    eagle3_text: str


class AnswerCheck(Document):
    """Greedy answers of a drafting arm against the baseline's, over HTTP, on the benchmark's own prompts."""

    num_answers: int
    num_identical: int
    mismatches: list[Mismatch]


class LoadCheck(Document):
    """Answers under load, text for text, against the baseline's to the same requests."""

    num_answers: int
    num_identical: int


class EvaluationOutput(Document):
    """One line of evaluate_head's outputs: both arms' token ids, one list per turn, and no text."""

    prompt_id: str
    workload: Workload
    baseline_ids: list[list[int]]
    eagle3_ids: list[list[int]]


class EvaluationMetrics(Document):
    """`reports/metrics/evaluate_head.json`."""

    target_parameters: int
    num_steps: int
    topk: int
    num_draft_tokens: int
    temperature: float
    near_tie_margin: float = Field(description="the largest margin that rounding in the target's dtype explains")
    overall: Acceptance
    workloads: dict[Workload, Acceptance]
    mismatches: list[Mismatch]


class Quantiles(Document):
    """Milliseconds; over requests for ttft, tpot, e2e, over stream gaps for itl."""

    mean: float
    median: float
    p95: float
    p99: float


class BenchmarkCell(Document):
    """One line of `reports/benchmark/cells.jsonl`: one measurement of one arm."""

    workload: Workload
    concurrency: int
    arm: Arm
    repeat: int
    num_requests: int
    num_errors: int
    duration_s: float
    input_tokens: int
    output_tokens: int
    output_throughput_tok_s: float
    ttft_ms: Quantiles
    tpot_ms: Quantiles
    itl_ms: Quantiles
    e2e_ms: Quantiles
    acceptance_length: float | None = Field(description="pooled over the requests; null for the baseline")


Range = tuple[float, float]  # the lowest and the highest repeat


class Comparison(Document):
    """Baseline and eagle3 of one workload (or `all`) at one concurrency: medians over repeats of each one's median, and
    the range of the repeats. A repeat of `all` is its requests of all workloads pooled."""

    workload: Workload | Literal["all"]
    concurrency: int
    baseline_tpot_ms: float
    baseline_tpot_range_ms: Range
    eagle3_tpot_ms: float
    eagle3_tpot_range_ms: Range
    tpot_ratio: Annotated[float, Field(description="eagle3 / baseline; below 1 is faster")]
    baseline_throughput_tok_s: float
    baseline_throughput_range_tok_s: Range
    eagle3_throughput_tok_s: float
    eagle3_throughput_range_tok_s: Range
    throughput_ratio: Annotated[float, Field(description="eagle3 / baseline; above 1 is faster")]
    baseline_ttft_ms: float
    baseline_ttft_range_ms: Range
    eagle3_ttft_ms: float
    eagle3_ttft_range_ms: Range
    ttft_ratio: Annotated[float, Field(description="eagle3 / baseline; above 1: the first token comes later")]
    acceptance_length: float


class ArmFigure(Document):
    """One arm at one concurrency, all workloads pooled."""

    arm: Arm
    concurrency: int
    tpot_ms: float
    ttft_ms: float
    output_throughput_tok_s: float
    output_throughput_range_tok_s: Range
    acceptance_length: float | None = Field(description="null for the baseline")


class BenchmarkMetrics(Document):
    """`reports/metrics/benchmark.json`."""

    engine: str
    client: Literal["eyrie", "sglang"] = Field(description="whose load generator")
    device: str = Field(description="of the machine that the benchmark ran on; not where `named_servers` are")
    named_servers: list[Arm] = Field(description="arms whose servers ran already, on machines that are not known")
    context_length: int
    num_steps: int
    topk: int
    num_draft_tokens: int
    arms: dict[Arm, Drafting | None] = Field(description="the shape that each arm drafts")
    num_errors: int
    num_prompts: dict[Workload, int] = Field(description="conversations measured")
    stand_ins: list[Workload] = Field(description="measured with Eyrie's own stand-ins, not with the named data set")
    left_out: dict[Workload, str] = Field(description="workload -> why it, or part of it, was not measured or compared")
    answers: dict[Arm, AnswerCheck] = Field(description="drafting arm -> its greedy answers against the baseline's")
    load_answers: dict[Arm, LoadCheck] = Field(
        description="arm -> its answers under load against those of the baseline's same load; the baseline's against "
        "those of its first repeat"
    )
    comparisons: list[Comparison]
    figures: list[ArmFigure]
