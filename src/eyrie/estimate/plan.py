"""What a run will take, as lines of arithmetic: tokens, bytes, weights, FLOPs, hours, memory, money.

In: parameters, the target's facts, a device of resources/estimate/hardware.yaml, lengths that are assumed. Out:
`Estimate`: every figure beside the sum that gives it. FLOPs count a multiplication and an addition as two; an hour is
one in which all devices work. The efficiencies are assumptions: `eyrie estimate` after a run says how wrong they were.
"""

from dataclasses import dataclass
from typing import Any

from eyrie.engines.slots import num_slots
from eyrie.estimate.lines import (
    USABLE,
    Device,
    Estimate,
    Lengths,
    add_memory,
    in_hours,
    read_hardware,
    teraflops,
)
from eyrie.estimate.sizes import DTYPE_BYTES, TargetFacts, head_size
from eyrie.features.encodings import num_bits, planes_of
from eyrie.params import Params

SCREENING_CORE_HOURS_PER_MILLION = 0.33  # docs/decisions.md, Screening
CLIENT_START_S = 15.0  # docs/decisions.md: SGLang's load generator, for every load
OPTIMIZER_BYTES = 16  # per weight of the head: float32 weight, gradient and two moments


def feature_bytes_per_token(hidden_size: int, encoding: Any) -> int:
    """Of a token with all four states: three aux, one last. Rows that teach nothing have no last state on disk."""
    aux = planes_of(num_bits(encoding, "aux"), 3, hidden_size)
    last = planes_of(num_bits(encoding, "last"), 1, hidden_size)
    return sum(aux.values()) + sum(last.values())


def make_estimate(params: Params, facts: TargetFacts, device: Device, lengths: Lengths) -> Estimate:
    """All of it, in the order of the stages."""
    estimate = Estimate(head=head_size(facts, params))
    _device(estimate, device)
    _target(estimate, params, facts)
    _data(estimate, params, facts, lengths)
    _generation(estimate, params, facts, device, lengths)
    _extraction(estimate, params, facts, device, lengths)
    _training(estimate, params, facts, device)
    _disk(estimate, params)
    _measuring(estimate, params, facts, device, lengths)
    _storage(estimate, params)
    return estimate


def _device(estimate: Estimate, device: Device) -> None:
    efficiency = read_hardware()["efficiency"]
    reached = f"{teraflops(device.flops)} ({efficiency['compute']:.0%} of what is stated)"
    bandwidth = f"{device.bytes_per_s / 1e9:,.0f} GB/s ({efficiency['bandwidth']:.0%})"
    memory = f"{device.memory_bytes / 1e9:.0f} GB of memory ({USABLE:.0%} usable)"
    estimate.add("device", f"{device.count} x {device.name}", f"each {reached}, {bandwidth}, {memory}")


def _target(estimate: Estimate, params: Params, facts: TargetFacts) -> None:
    size, ends = DTYPE_BYTES[params.target.dtype], 1 if facts.tied else 2
    active = facts.body_weights(active=True) + ends * facts.embedding_weights
    layers = f"attention {facts.attention_weights / 1e9:.2f} B + MLP {facts.mlp_weights(active=False) / 1e9:.2f} B"
    if facts.counted is not None:
        layers = f"layers {facts.counted[0] / 1e9:.2f} B, counted in the model that config.json makes"
    estimate.add(
        "target weights",
        f"{facts.weights / 1e9:.2f} B",
        f"{ends} x V {facts.vocab_size:,} x H {facts.hidden_size:,} + {layers}; {active / 1e9:.2f} B of them for one "
        "token",
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
        in_hours(core_hours * 3600),
        f"{SCREENING_CORE_HOURS_PER_MILLION} core-hours per million prompts, one core",
    )


@dataclass(frozen=True)
class _Step:
    """One token for each of so many requests: weights and caches read once, or the products if they take longer."""

    seconds: float
    arithmetic: str


def _step(params: Params, facts: TargetFacts, device: Device, num_requests: int, context: int) -> _Step:
    weights = min(facts.weights, facts.active_weights * num_requests) * DTYPE_BYTES[params.target.dtype]
    caches = num_requests * context * facts.kv_bytes_per_token(params.target.dtype)
    flops = 2 * facts.active_weights * num_requests
    reading, computing = (weights + caches) / device.all_bytes_per_s, flops / device.all_flops
    if reading >= computing:
        rate = f"{device.all_bytes_per_s / 1e9:,.0f} GB/s"
        return _Step(reading, f"({weights / 1e9:.3g} GB of weights + {caches / 1e9:.2g} of caches) / {rate}")
    return _Step(computing, f"{flops:.2e} FLOP / {teraflops(device.all_flops)}")


def _generation(estimate: Estimate, params: Params, facts: TargetFacts, device: Device, lengths: Lengths) -> None:
    section, prompts = params.generate_responses, params.select_prompts.max_prompts
    weights = facts.weights * DTYPE_BYTES[params.target.dtype]
    at_once, each, how = min(section.concurrency, prompts), section.max_prompt_tokens + _longest_answer(params), ""
    if section.engine == "sglang":  # requests that find no room wait
        each = lengths.prompt + lengths.answer
        room = device.count * USABLE * device.memory_bytes - weights
        if (fitting := max(int(room // (each * facts.kv_bytes_per_token(params.target.dtype))), 1)) < at_once:
            at_once, how = fitting, f" (of {at_once}: the rest waits)"
    context = lengths.prompt + lengths.answer // 2
    step = _step(params, facts, device, at_once, context)
    steps = prompts * lengths.answer / at_once
    prefill = 2 * facts.active_weights * prompts * lengths.prompt
    seconds = steps * step.seconds + prefill / device.all_flops
    estimate.seconds["generate_responses"] = seconds
    estimate.add(
        "generate_responses",
        in_hours(seconds),
        f"{steps:,.0f} steps of {at_once} answers x {step.seconds * 1e3:.1f} ms ({step.arithmetic}) + prefill "
        f"{prefill:.2e} FLOP / {teraflops(device.all_flops)}",
    )
    needed = weights + at_once * each * facts.kv_bytes_per_token(params.target.dtype)
    add_memory(estimate, "generate_responses", needed, device, f"weights + {at_once} caches x {each:,} tokens{how}")


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
        in_hours(seconds),
        f"tokens x (2 x {facts.body_weights(active=True) / 1e9:.2f} B + attention {attention:.1e}) = "
        f"{flops:.2e} FLOP / {teraflops(device.all_flops)}",
    )
    size = DTYPE_BYTES[params.target.dtype]
    per_token = (
        size * (4 * facts.hidden_size + 3 * max(facts.intermediate_size, facts.hidden_size)) + 8 * facts.hidden_size
    )
    block = params.extract_features.max_batch_tokens * per_token
    add_memory(
        estimate, "extract_features", facts.weights * size + block, device, "weights + one block of max_batch_tokens"
    )


def _training(estimate: Estimate, params: Params, facts: TargetFacts, device: Device) -> None:
    section, head = params.train_head, estimate.head
    assert head is not None
    tokens = section.max_steps * section.batch_tokens
    repeated = head.attention + head.mlp + head.lm_head
    num_logits = params.build_vocab.draft_vocab_size + (0 if section.objective == "kl" else facts.vocab_size)
    teacher = 2 * facts.hidden_size * num_logits
    per_token = 6 * (head.fc + section.ttt_steps * repeated) + teacher
    if section.activation_checkpointing:
        per_token += 2 * section.ttt_steps * repeated
    devices = min(section.num_processes, device.count)
    seconds = tokens * per_token / (devices * device.flops)
    estimate.seconds["train_head"] = seconds
    estimate.add(
        "train_head",
        in_hours(seconds),
        f"{tokens / 1e6:,.1f} M tokens ({section.max_steps:,} x {section.batch_tokens:,}) x {per_token:.2e} FLOP "
        f"(6 x (fc + {section.ttt_steps} x {repeated / 1e6:.0f} M) + teacher) / "
        f"{teraflops(devices * device.flops)} of {devices} x {device.name}; every token taken for supervised",
    )
    _training_memory(estimate, params, facts, device, devices)


def _disk(estimate: Estimate, params: Params) -> None:
    """What the disk must do for the hours of the two stages to be those of the device."""
    trained = params.train_head.max_steps * params.train_head.batch_tokens
    read = trained * estimate.feature_bytes / estimate.num_tokens
    written_per_s = estimate.feature_bytes / estimate.seconds["extract_features"]
    read_per_s = read / estimate.seconds["train_head"]
    estimate.add(
        "disk",
        f"{written_per_s / 1e9:.2g} GB/s to write, {read_per_s / 1e9:.2g} GB/s to read",
        f"features {estimate.feature_bytes / 1e9:,.1f} GB in the hours of extract_features, {read / 1e9:,.1f} GB "
        f"({trained / 1e6:,.1f} M tokens) in those of train_head; a slower disk makes these stages longer",
    )


def _training_memory(estimate: Estimate, params: Params, facts: TargetFacts, device: Device, devices: int) -> None:
    """Of the first process, which also decodes."""
    section, head = params.train_head, estimate.head
    assert head is not None
    size = 4 if section.compute_dtype == "float32" else 2
    activations = (
        section.micro_batch_tokens * section.ttt_steps * (12 * facts.hidden_size + 3 * section.intermediate_size) * size
    )
    if section.activation_checkpointing:
        activations //= section.ttt_steps
    state = OPTIMIZER_BYTES * head.total
    parts = {f"{OPTIMIZER_BYTES} bytes x head": state}
    if section.parallel == "fsdp" and devices > 1:
        parts = {
            f"{OPTIMIZER_BYTES} bytes x head / {devices}": state // devices,
            "its weights and gradients whole": 8 * head.total,
        }
    target_size = DTYPE_BYTES[params.target.dtype]
    parts["activations"] = activations
    parts["the target's ends"] = (1 if facts.tied else 2) * facts.embedding_weights * target_size
    if section.decode_prompts:
        parts["the target and a head that decode"] = facts.weights * target_size + 2 * head.total
        longest = min(section.max_sequence_tokens, params.generate_responses.max_prompt_tokens)
        parts["their caches at most"] = section.decode_prompts * longest * facts.kv_bytes_per_token(params.target.dtype)
    peak = sum(parts.values())
    estimate.memory_bytes["train_head"] = peak
    fits = peak <= USABLE * device.memory_bytes
    less = "decode_prompts: 0, fewer micro_batch_tokens, activation_checkpointing or fsdp take less"
    estimate.add(
        "train_head, peak memory of a GPU",
        f"{peak / 1e9:.1f} GB",
        " + ".join(f"{name} ({value / 1e9:.1f})" for name, value in parts.items())
        + f"; {device.name} of {device.memory_bytes / 1e9:.0f} GB: {'fits' if fits else 'does not fit: ' + less}",
    )


def _measuring(estimate: Estimate, params: Params, facts: TargetFacts, device: Device, lengths: Lengths) -> None:
    """Both as if drafting gained nothing, and with one turn a prompt."""
    evaluate, bench = params.evaluate_head, params.benchmark
    longest = params.generate_responses.max_prompt_tokens + evaluate.max_new_tokens  # every cache has room for it
    at_once = num_slots(evaluate.max_prompts, longest)
    step = _step(params, facts, device, at_once, lengths.prompt + evaluate.max_new_tokens // 2)
    seconds = 2 * evaluate.max_prompts * evaluate.max_new_tokens / at_once * step.seconds
    estimate.seconds["evaluate_head"] = seconds
    estimate.add(
        "evaluate_head",
        in_hours(seconds),
        f"2 arms x {evaluate.max_prompts} prompts x {evaluate.max_new_tokens} tokens / {at_once} at a time x "
        f"{step.seconds * 1e3:.1f} ms",
    )
    size, head = DTYPE_BYTES[params.target.dtype], estimate.head
    assert head is not None
    caches = at_once * longest * facts.kv_bytes_per_token(params.target.dtype)
    needed = facts.weights * size + caches + device.count * size * head.total
    how = f"weights + {at_once} caches x {longest:,} tokens, the longest prompt taken for max_prompt_tokens, "
    how += f"+ {device.count} x head"
    add_memory(estimate, "evaluate_head", needed, device, how)
    cells = len(bench.arms) * bench.repeats * len(bench.workloads)
    starts = CLIENT_START_S * cells * len(bench.concurrency) if bench.engine == "sglang" else 0.0
    total = starts
    for at_once in bench.concurrency:
        step = _step(params, facts, device, at_once, lengths.prompt + bench.output_tokens // 2)
        requests = cells * max(bench.num_prompts, at_once)
        prefill = 2 * facts.active_weights * requests * lengths.prompt / device.all_flops
        total += requests * bench.output_tokens / at_once * step.seconds + prefill
    estimate.seconds["benchmark"] = total
    estimate.add(
        "benchmark",
        in_hours(total),
        f"{len(bench.arms)} arms x {bench.repeats} repeats x {len(bench.workloads)} workloads x {bench.num_prompts} "
        f"prompts x ({lengths.prompt} prompt + {bench.output_tokens} answer) at concurrency {bench.concurrency}"
        + (f" + {starts:.0f} s in which SGLang's client starts, {CLIENT_START_S:.0f} a load" if starts else "")
        + "; every further turn is a request more, and loading the servers is not in it",
    )


def _storage(estimate: Estimate, params: Params) -> None:
    prices, head = read_hardware()["gcs"], estimate.head
    assert head is not None
    answers = 8 * estimate.num_tokens  # ids and spans
    stored = estimate.feature_bytes + 2 * head.total + answers
    per_month = stored / 1e9 * prices["storage_per_gb_month"]
    objects = 2 * params.generate_responses.num_shards + 10
    operations = objects * (prices["class_a_per_1000"] + prices["class_b_per_1000"]) / 1000
    estimate.add(
        "Cloud Storage",
        f"{per_month:,.2f} USD/month",
        f"(features {estimate.feature_bytes / 1e9:,.1f} + head {2 * head.total / 1e9:.1f} + answers "
        f"{answers / 1e9:.1f} GB) x {prices['storage_per_gb_month']}, once {operations:.4f} for {objects} objects "
        f"written and read; {stored / 1e9 * prices['egress_per_gb']:,.2f} USD each time all of it leaves the cloud",
    )
