"""`eyrie benchmark`: what the head gains over HTTP, side by side on the same prompts.

In: the head, the target, the screened benchmark prompts. Out: one line per measurement (`cells`), and the arms
compared per workload and concurrency (`metrics`).

With the reference engine the servers of all arms stay loaded and only one is driven at a time; with SGLang, which fills
the GPU, arms run one after the other. Either way they are the same but for the drafting: engine, slots, context,
threads, requests. Finished cells outlive a kill in `scratch`.
"""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from eyrie.bench.arms import context_to_share, serve_arms, server_threads
from eyrie.bench.gate import GateAnswer, check_answers
from eyrie.bench.hardware import conditions, describe_device
from eyrie.bench.measuring import Bench, Client
from eyrie.bench.metrics import Accepted, Measurement, check_load, compare, pooled_figures, to_cell, uneven
from eyrie.bench.workloads import benchmark_prompts
from eyrie.engines.launch import stop_on_signals
from eyrie.engines.servers import API_KEY_VARIABLE, check_arms, is_installed, named_servers
from eyrie.engines.serving import RunningServer
from eyrie.engines.target import load_chat, resolve_device
from eyrie.io import write_json, write_jsonl
from eyrie.lineage.journal import Journal
from eyrie.params import Arm, Params, Workload
from eyrie.schemas import BenchmarkMetrics

logger = logging.getLogger(__name__)

_JOURNAL = "journal.jsonl"


def run(params: Params, *, head: Path, clean: Path, cells: Path, metrics: Path, scratch: Path) -> None:
    """Measure all arms. Raises ServerError, TargetError, SchemaError, ValueError (nothing to measure or compare)."""
    section = params.benchmark
    named = named_servers()
    check_arms(section.arms)
    chat = load_chat(params.target)
    context_length, reserved = context_to_share(params, map(section.drafting, section.arms))
    choice = benchmark_prompts(
        clean,
        section.workloads,
        num_prompts=section.num_prompts,
        seed=section.seed,
        chat=chat,
        output_tokens=section.output_tokens,
        context_length=context_length,
        reserved=reserved,
    )
    for workload, why in choice.left_out.items():
        logger.warning("workload %s: not measured whole: %s", workload, why)

    def serve(arms: Sequence[Arm]) -> AbstractContextManager[Mapping[Arm, RunningServer]]:
        return serve_arms(
            params,
            head,
            {arm: section.drafting(arm) for arm in arms},
            context_length=choice.served_context,
            max_running_requests=max(section.concurrency),
            folder=scratch,
        )

    device = describe_device(resolve_device(params.target.device), num_threads=server_threads())
    on_sglang = section.engine == "sglang"
    client: Client = "sglang" if on_sglang and is_installed() else "eyrie"
    with stop_on_signals(), Journal(scratch / _JOURNAL) as journal:
        bench = Bench(
            section=section,
            model=params.target.model,
            chat=chat,
            prompts=choice.prompts,
            context_length=choice.longest,
            groups=[[arm] for arm in section.arms] if on_sglang else [section.arms],
            conditions=conditions(device, section.arms),
            client=client,
            serve=serve,
            journal=journal,
            folder=scratch,
            api_key=os.environ.get(API_KEY_VARIABLE),
        )
        bench.measure()
        measurements = bench.measurements
        answers = {arm: bench.answers(arm) for arm in section.arms}
        not_measured, partly = bench.left_out, bench.partly
    accepted = _accepted(answers)
    comparisons = compare(measurements, accepted)
    not_compared = _not_compared(measurements)
    if not comparisons:
        reasons = "; ".join(f"{workload}: {why}" for workload, why in not_compared.items())
        raise ValueError(f"no load can be compared: {reasons}; to measure anew, remove {scratch / _JOURNAL}")
    for workload, why in (not_measured | _merge([partly, not_compared])).items():
        logger.warning("workload %s: %s", workload, why)
    document = BenchmarkMetrics(
        engine=section.engine,
        client=client,
        device=device,
        named_servers=[arm for arm in section.arms if arm in named],
        context_length=choice.served_context,
        num_steps=section.num_steps,
        topk=section.topk,
        num_draft_tokens=section.num_draft_tokens,
        arms={arm: section.drafting(arm) for arm in section.arms},
        num_errors=sum(len(item.records) - len(item.finished) for item in measurements),
        num_prompts={
            workload: len(prompts) for workload, prompts in choice.prompts.items() if workload not in not_measured
        },
        stand_ins=[workload for workload in choice.stand_ins if workload not in not_measured],
        left_out=_merge([choice.left_out, not_measured, partly, not_compared]),
        answers={
            arm: check_answers(chat, answers["baseline"], drafted, dtype=params.target.dtype)
            for arm, drafted in answers.items()
            if arm != "baseline"
        },
        load_answers=check_load(measurements),
        comparisons=comparisons,
        figures=pooled_figures(measurements, accepted),
    )
    write_jsonl(cells, [to_cell(measurement) for measurement in measurements])
    write_json(metrics, document)
    _log(document)


def _not_compared(measurements: Sequence[Measurement]) -> dict[Workload, str]:
    """Per workload, the concurrencies at which the arms did not do the same work."""
    found: dict[Workload, list[str]] = {}
    for (workload, concurrency), why in uneven(measurements).items():
        found.setdefault(workload, []).append(f"no speed-up at concurrency {concurrency}, for {why}")
    return {workload: "; ".join(reasons) for workload, reasons in found.items()}


def _merge(given: Iterable[Mapping[Workload, str]]) -> dict[Workload, str]:
    """Several reasons of one workload become one."""
    found: dict[Workload, list[str]] = {}
    for reasons in given:
        for workload, why in reasons.items():
            found.setdefault(workload, []).append(why)
    return {workload: "; ".join(whys) for workload, whys in found.items()}


def _accepted(answers: Mapping[Arm, Sequence[GateAnswer]]) -> Accepted:
    """From the per-request verify counts of the fixed set."""
    sums: dict[tuple[Arm, Workload], tuple[int, int]] = {}
    for arm, given in answers.items():
        for answer in given:
            if answer.num_verify_steps:
                tokens, steps = sums.get((arm, answer.workload), (0, 0))
                sums[arm, answer.workload] = (tokens + len(answer.output) - 1, steps + answer.num_verify_steps)
    return sums


def _log(document: BenchmarkMetrics) -> None:
    for comparison in document.comparisons:
        if comparison.workload == "all":
            logger.info(
                "concurrency %d: TPOT %.2f -> %.2f ms (x %.2f), acceptance length %.2f",
                comparison.concurrency,
                comparison.baseline_tpot_ms,
                comparison.eagle3_tpot_ms,
                comparison.tpot_ratio,
                comparison.acceptance_length,
            )
    for arm, check in document.answers.items():
        ties = sum(mismatch.near_tie for mismatch in check.mismatches)
        logger.log(
            logging.INFO if check.num_identical + ties == check.num_answers else logging.WARNING,
            "arm %s: %d of %d greedy answers identical to the baseline's; %d differ at a near tie",
            arm,
            check.num_identical,
            check.num_answers,
            ties,
        )
