"""`eyrie benchmark`: what the head gains over HTTP, side by side on the same prompts.

In: the head, the target, the screened benchmark prompts. Out: one line per measurement (`cells`), and the arms
compared per workload and concurrency (`metrics`).

With the reference engine the servers of all arms stay loaded and only one is driven at a time; with SGLang, which fills
the GPU, arms run one after the other. Either way they are the same but for the drafting: engine, slots, context,
threads, requests. Finished cells outlive a kill in `scratch`.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from eyrie.bench.arms import context_to_share, serve_arms, server_threads
from eyrie.bench.gate import GateAnswer, check_answers
from eyrie.bench.hardware import describe_device
from eyrie.bench.measuring import Bench, Client
from eyrie.bench.metrics import compare, pooled_figures, to_cell
from eyrie.bench.workloads import benchmark_prompts
from eyrie.engines.launch import stop_on_sigterm
from eyrie.engines.servers import API_KEY_VARIABLE, is_installed
from eyrie.engines.serving import RunningServer
from eyrie.engines.target import load_chat, resolve_device
from eyrie.io import write_json, write_jsonl
from eyrie.lineage.journal import Journal
from eyrie.params import Arm, Params
from eyrie.schemas import BenchmarkMetrics

logger = logging.getLogger(__name__)


def run(params: Params, *, head: Path, clean: Path, cells: Path, metrics: Path, scratch: Path) -> None:
    """Measure all arms. Raises ServerError, TargetError, SchemaError, ValueError."""
    section = params.benchmark
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

    on_sglang = section.engine == "sglang"
    client: Client = "sglang" if on_sglang and is_installed() else "eyrie"
    with stop_on_sigterm(), Journal(scratch / "journal.jsonl") as journal:
        bench = Bench(
            section=section,
            model=params.target.model,
            chat=chat,
            prompts=choice.prompts,
            context_length=choice.longest,
            groups=[[arm] for arm in section.arms] if on_sglang else [section.arms],
            client=client,
            serve=serve,
            journal=journal,
            folder=scratch,
            api_key=os.environ.get(API_KEY_VARIABLE),
        )
        bench.measure()
        measurements = bench.measurements
        answers = {arm: bench.answers(arm) for arm in section.arms}
    accepted = _accepted(answers)
    document = BenchmarkMetrics(
        engine=section.engine,
        client=client,
        device=describe_device(resolve_device(params.target.device), num_threads=server_threads()),
        context_length=choice.served_context,
        num_steps=section.num_steps,
        topk=section.topk,
        num_draft_tokens=section.num_draft_tokens,
        arms={arm: section.drafting(arm) for arm in section.arms},
        num_errors=sum(len(item.records) - len(item.finished) for item in measurements),
        num_prompts={workload: len(prompts) for workload, prompts in choice.prompts.items()},
        stand_ins=choice.stand_ins,
        left_out=choice.left_out,
        answers={
            arm: check_answers(chat, answers["baseline"], drafted, dtype=params.target.dtype)
            for arm, drafted in answers.items()
            if arm != "baseline"
        },
        comparisons=compare(measurements, accepted),
        figures=pooled_figures(measurements, accepted),
    )
    write_jsonl(cells, [to_cell(measurement) for measurement in measurements])
    write_json(metrics, document)
    _log(document)


def _accepted(answers: Mapping[Arm, Sequence[GateAnswer]]) -> dict[tuple[Arm, str], float]:
    """Acceptance length per arm and workload (and `all`), from the per-request verify counts of the fixed set."""
    sums: dict[tuple[Arm, str], tuple[int, int]] = {}
    for arm, given in answers.items():
        for answer in given:
            for name in (str(answer.workload), "all"):
                tokens, steps = sums.get((arm, name), (0, 0))
                if answer.num_verify_steps:
                    sums[arm, name] = (tokens + len(answer.output) - 1, steps + answer.num_verify_steps)
    return {key: tokens / steps for key, (tokens, steps) in sums.items()}


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
