"""What a run will take, as lines of arithmetic: tokens, bytes, weights, FLOPs, hours, memory, money.

In: parameters, the target's facts, a device of resources/estimate/hardware.yaml, lengths that are assumed. Out:
`Estimate`: every figure beside the sum that gives it. FLOPs count a multiplication and an addition as two; an hour is
one in which all devices work. The efficiencies are assumptions: `eyrie estimate` after a run says how wrong they were.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from eyrie.estimate.sizes import HeadSize, TargetFacts, head_size
from eyrie.features.encodings import num_bits, planes_of
from eyrie.params import Params

HARDWARE = Path("resources/estimate/hardware.yaml")
DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
SCREENING_CORE_HOURS_PER_MILLION = 0.33  # docs/decisions.md, Screening
OPTIMIZER_BYTES = 16  # per weight of the head: float32 weight, gradient and two moments


@dataclass(frozen=True)
class Line:
    """`value` in words, and how it came about."""

    name: str
    value: str
    arithmetic: str


@dataclass(frozen=True)
class Device:
    name: str
    count: int
    flops: float  # per second, each, as assumed to be reached
    bytes_per_s: float  # memory bandwidth, the same
    memory_bytes: float

    @property
    def all_flops(self) -> float:
        return self.count * self.flops

    @property
    def all_bytes_per_s(self) -> float:
        return self.count * self.bytes_per_s


@dataclass(frozen=True)
class Lengths:
    """Assumed means, tokens."""

    prompt: int
    answer: int


@dataclass
class Estimate:
    lines: list[Line] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)  # by stage
    memory_bytes: dict[str, float] = field(default_factory=dict)  # by stage, of all devices together
    num_tokens: int = 0
    feature_bytes: int = 0
    head: HeadSize | None = None

    def add(self, name: str, value: str, arithmetic: str) -> None:
        self.lines.append(Line(name, value, arithmetic))


def read_device(name: str, count: int) -> Device:
    """Raises ValueError with the names there are."""
    hardware = _hardware()
    if name not in hardware["devices"]:
        raise ValueError(f"--gpu {name}: not in {HARDWARE}; there are {', '.join(hardware['devices'])}")
    found, efficiency = hardware["devices"][name], hardware["efficiency"]
    return Device(
        name=name,
        count=count,
        flops=found["tflops"] * 1e12 * efficiency["compute"],
        bytes_per_s=found["bandwidth_gb_s"] * 1e9 * efficiency["bandwidth"],
        memory_bytes=found["memory_gb"] * 1e9,
    )


def feature_bytes_per_token(hidden_size: int, encoding: Any) -> int:
    """Of a token with all four states: three aux, one last. Rows that teach nothing have no last state on disk."""
    aux = planes_of(num_bits(encoding, "aux"), 3, hidden_size)
    last = planes_of(num_bits(encoding, "last"), 1, hidden_size)
    return sum(aux.values()) + sum(last.values())


def make_estimate(params: Params, facts: TargetFacts, device: Device, lengths: Lengths) -> Estimate:
    """All of it, in the order of the stages."""
    estimate = Estimate(head=head_size(facts, params))
    _target(estimate, params, facts)
    _data(estimate, params, facts, lengths)
    _generation(estimate, params, facts, device, lengths)
    _extraction(estimate, params, facts, device, lengths)
    _training(estimate, params, facts, device)
    _measuring(estimate, params, facts, device, lengths)
    _storage(estimate, params)
    return estimate


def _target(estimate: Estimate, params: Params, facts: TargetFacts) -> None:
    size, ends = DTYPE_BYTES[params.target.dtype], 1 if facts.tied else 2
    active = facts.body_weights(active=True) + ends * facts.embedding_weights
    estimate.add(
        "target weights",
        f"{facts.weights / 1e9:.2f} B",
        f"{ends} x V {facts.vocab_size:,} x H {facts.hidden_size:,} + attention {facts.attention_weights / 1e9:.2f} B "
        f"+ MLP {facts.mlp_weights(active=False) / 1e9:.2f} B; {active / 1e9:.2f} B of them for one token",
    )
    estimate.add("target memory", f"{facts.weights * size / 1e9:.1f} GB", f"{facts.weights / 1e9:.2f} B x {size} bytes")
    head = estimate.head
    assert head is not None
    estimate.add(
        "head weights",
        f"{head.total / 1e6:.1f} M",
        f"fc {head.fc:,} + attention {head.attention:,} + MLP {head.mlp:,} + lm_head {head.lm_head:,} + norms "
        f"{head.norms:,}" + (f" + embedding {head.embedding:,}" if head.embedding else ""),
    )


def _data(estimate: Estimate, params: Params, facts: TargetFacts, lengths: Lengths) -> None:
    prompts = params.select_prompts.max_prompts
    estimate.num_tokens = prompts * (lengths.prompt + lengths.answer)
    estimate.add(
        "tokens",
        f"{estimate.num_tokens / 1e6:,.1f} M",
        f"{prompts:,} prompts (max_prompts) x ({lengths.prompt} prompt + {lengths.answer} answer, assumed)",
    )
    hidden = facts.hidden_size
    for encoding in ("bf16", "int8", "int4"):
        try:
            each = feature_bytes_per_token(hidden, encoding)
        except ValueError:  # no groups of 32 channels: only bf16 fits
            continue
        chosen = encoding == params.extract_features.encoding
        sum_of = f"4 x {hidden:,} x 2" if encoding == "bf16" else "codes, scales and outliers of 4 states"
        estimate.add(
            f"features, {encoding}{' (chosen)' if chosen else ''}",
            f"{each:,} B/token, {estimate.num_tokens * each / 1e9:,.1f} GB",
            f"{sum_of}; at most: rows that teach nothing have no last hidden state",
        )
        if chosen:
            estimate.feature_bytes = estimate.num_tokens * each
    core_hours = SCREENING_CORE_HOURS_PER_MILLION * prompts / 1e6
    estimate.seconds["filter_prompts"] = core_hours * 3600
    estimate.add(
        "filter_prompts",
        _hours(core_hours * 3600),
        f"{SCREENING_CORE_HOURS_PER_MILLION} core-hours per million prompts, one core",
    )


def _step_seconds(params: Params, facts: TargetFacts, device: Device, num_requests: int, context: int) -> float:
    """One token for each of so many requests: weights and caches read once, or the products if they take longer."""
    size = DTYPE_BYTES[params.target.dtype]
    read = min(facts.weights, facts.active_weights * num_requests) * size
    caches = num_requests * context * facts.kv_bytes_per_token
    return max((read + caches) / device.all_bytes_per_s, 2 * facts.active_weights * num_requests / device.all_flops)


def _generation(estimate: Estimate, params: Params, facts: TargetFacts, device: Device, lengths: Lengths) -> None:
    section, prompts = params.generate_responses, params.select_prompts.max_prompts
    at_once, context = min(section.concurrency, prompts), lengths.prompt + lengths.answer // 2
    step = _step_seconds(params, facts, device, at_once, context)
    steps = prompts * lengths.answer / at_once
    prefill = 2 * facts.active_weights * prompts * lengths.prompt
    seconds = steps * step + prefill / device.all_flops
    estimate.seconds["generate_responses"] = seconds
    estimate.add(
        "generate_responses",
        _hours(seconds),
        f"{steps:,.0f} steps of {at_once} answers x {step * 1e3:.1f} ms + prefill {prefill:.2e} FLOP on "
        f"{device.count} x {device.name}",
    )
    caches = at_once * (section.max_prompt_tokens + _longest_answer(params)) * facts.kv_bytes_per_token
    weights = facts.weights * DTYPE_BYTES[params.target.dtype]
    _memory(estimate, "generate_responses", weights + caches, device, f"weights + {at_once} caches of full length")


def _longest_answer(params: Params) -> int:
    return max(sampling.max_new_tokens for sampling in params.generate_responses.sampling.values())


def _extraction(estimate: Estimate, params: Params, facts: TargetFacts, device: Device, lengths: Lengths) -> None:
    mean = lengths.prompt + lengths.answer
    attention = 4 * facts.num_layers * facts.num_heads * facts.head_dim * (mean // 2)
    flops = estimate.num_tokens * (2 * facts.body_weights(active=True) + attention)
    seconds = flops / device.all_flops
    estimate.seconds["extract_features"] = seconds
    estimate.add(
        "extract_features",
        _hours(seconds),
        f"{flops:.2e} FLOP = tokens x (2 x {facts.body_weights(active=True) / 1e9:.2f} B + attention {attention:.1e})",
    )
    size = DTYPE_BYTES[params.target.dtype]
    per_token = (
        size * (4 * facts.hidden_size + 3 * max(facts.intermediate_size, facts.hidden_size)) + 8 * facts.hidden_size
    )
    block = params.extract_features.max_batch_tokens * per_token
    _memory(
        estimate, "extract_features", facts.weights * size + block, device, "weights + one block of max_batch_tokens"
    )


def _training(estimate: Estimate, params: Params, facts: TargetFacts, device: Device) -> None:
    section, head = params.train_head, estimate.head
    assert head is not None
    tokens = section.max_steps * section.batch_tokens
    repeated = head.attention + head.mlp + head.lm_head
    teacher = (
        2 * facts.hidden_size * (params.build_vocab.draft_vocab_size if section.objective == "kl" else facts.vocab_size)
    )
    per_token = 6 * (head.fc + section.ttt_steps * repeated) + teacher
    if section.activation_checkpointing:
        per_token += 2 * section.ttt_steps * repeated
    devices = min(section.num_processes, device.count)
    seconds = tokens * per_token / (devices * device.flops)
    estimate.seconds["train_head"] = seconds
    estimate.add(
        "train_head",
        _hours(seconds),
        f"{tokens / 1e6:,.1f} M tokens ({section.max_steps:,} x {section.batch_tokens:,}) x {per_token:.2e} FLOP "
        f"(6 x (fc + {section.ttt_steps} x {repeated / 1e6:.0f} M) + teacher) on {devices} x {device.name}; every "
        "token taken for supervised",
    )
    size = 4 if section.compute_dtype == "float32" else 2
    activations = (
        section.micro_batch_tokens * section.ttt_steps * (12 * facts.hidden_size + 3 * section.intermediate_size) * size
    )
    if section.activation_checkpointing:
        activations //= section.ttt_steps
    ends = (1 if facts.tied else 2) * facts.embedding_weights * 4
    peak = devices * (OPTIMIZER_BYTES * head.total + activations + ends)
    _memory(
        estimate,
        "train_head",
        peak,
        device,
        f"{devices} x ({OPTIMIZER_BYTES} bytes x head + activations {activations / 1e9:.1f} GB + the target's ends)",
    )


def _measuring(estimate: Estimate, params: Params, facts: TargetFacts, device: Device, lengths: Lengths) -> None:
    """Both as if drafting gained nothing, so upper bounds."""
    evaluate, bench = params.evaluate_head, params.benchmark
    at_once = min(32, evaluate.max_prompts)
    step = _step_seconds(params, facts, device, at_once, lengths.prompt + evaluate.max_new_tokens // 2)
    seconds = 2 * evaluate.max_prompts * evaluate.max_new_tokens / at_once * step
    estimate.seconds["evaluate_head"] = seconds
    estimate.add(
        "evaluate_head",
        _hours(seconds),
        f"2 arms x {evaluate.max_prompts} prompts x {evaluate.max_new_tokens} tokens, {at_once} at a time",
    )
    total = 0.0
    for at_once in bench.concurrency:
        step = _step_seconds(params, facts, device, at_once, lengths.prompt + bench.output_tokens // 2)
        requests = max(bench.num_prompts, at_once) * len(bench.workloads)
        total += len(bench.arms) * bench.repeats * requests * bench.output_tokens / at_once * step
    estimate.seconds["benchmark"] = total
    estimate.add(
        "benchmark",
        _hours(total),
        f"{len(bench.arms)} arms x {bench.repeats} repeats x {len(bench.workloads)} workloads at concurrency "
        f"{bench.concurrency}; loading the servers is not in it",
    )


def _storage(estimate: Estimate, params: Params) -> None:
    prices, head = _hardware()["gcs"], estimate.head
    assert head is not None
    stored = estimate.feature_bytes + 2 * head.total + 8 * estimate.num_tokens
    per_month = stored / 1e9 * prices["storage_per_gb_month"]
    objects = 2 * params.generate_responses.num_shards + 10
    operations = objects * (prices["class_a_per_1000"] + prices["class_b_per_1000"]) / 1000
    estimate.add(
        "Cloud Storage",
        f"{per_month:,.2f} USD/month",
        f"{stored / 1e9:,.1f} GB x {prices['storage_per_gb_month']} + once {operations:.4f} for {objects} objects "
        f"written and read; {stored / 1e9 * prices['egress_per_gb']:,.2f} USD each time all of it leaves the cloud",
    )


def _memory(estimate: Estimate, stage: str, needed: float, device: Device, arithmetic: str) -> None:
    estimate.memory_bytes[stage] = needed
    wanted = -(-needed // (0.9 * device.memory_bytes))
    verdict = "fits" if wanted <= device.count else f"needs {wanted:.0f} of them"
    estimate.add(
        f"{stage}, peak memory",
        f"{needed / 1e9:.1f} GB",
        f"{arithmetic}; {device.count} x {device.name} of {device.memory_bytes / 1e9:.0f} GB: {verdict}",
    )


def _hardware() -> dict[str, Any]:
    hardware: dict[str, Any] = yaml.safe_load(HARDWARE.read_text(encoding="utf-8"))
    return hardware


def _hours(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 3600:.1f} h"
