"""`eyrie benchmark`: what the head gains over HTTP, side by side on the same prompts.

In: the head, the target, the screened benchmark prompts. Out: one line per measurement (`cells`), and both arms
compared per workload and concurrency (`metrics`).

Two servers stay loaded, one plain and one that drafts, otherwise the same: same engine, slots, context and threads.
Only one is driven at a time, and who goes first alternates with every repeat, so that a machine that slows down or
warms up does so for both.
"""

import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from eyrie.bench.client import Load, run_load
from eyrie.bench.hardware import describe_device
from eyrie.bench.metrics import Measurement, compare, to_cell
from eyrie.bench.workloads import BenchPrompt, benchmark_prompts, conversation_tokens
from eyrie.engines.launch import free_port, launch_server, stop_on_sigterm
from eyrie.engines.target import load_chat, load_config, resolve_device
from eyrie.io import progress, write_json, write_jsonl
from eyrie.params import Arm, Params, Workload
from eyrie.schemas import BenchmarkMetrics

logger = logging.getLogger(__name__)

_START_TIMEOUT_S = 900.0
_REQUEST_TIMEOUT_S = 600.0


def run(params: Params, *, head: Path, clean: Path, cells: Path, metrics: Path) -> None:
    """Measure both arms. Raises ServerError, TargetError, SchemaError, ValueError."""
    section = params.benchmark
    prompts = benchmark_prompts(clean, section.workloads, num_prompts=section.num_prompts, seed=section.seed)
    with (
        stop_on_sigterm(),
        tempfile.TemporaryDirectory(prefix="eyrie-benchmark-") as folder,
        _servers(params, head, _context_length(params, prompts), Path(folder)) as servers,
    ):
        measurements = list(_measure(params, servers, prompts))
    _warn_of_differences(measurements)
    comparisons = compare(measurements)
    write_jsonl(cells, [to_cell(measurement) for measurement in measurements])
    write_json(
        metrics,
        BenchmarkMetrics(
            engine=section.engine,
            device=describe_device(resolve_device(params.target.device), num_threads=_server_threads()),
            num_steps=section.num_steps,
            topk=section.topk,
            num_draft_tokens=section.num_draft_tokens,
            num_errors=sum(len(item.records) - len(item.finished) for item in measurements),
            comparisons=comparisons,
        ),
    )
    for comparison in comparisons:
        if comparison.workload == "all":
            logger.info(
                "concurrency %d: TPOT %.2f -> %.2f ms (x %.2f), acceptance length %.2f",
                comparison.concurrency,
                comparison.baseline_tpot_ms,
                comparison.eagle3_tpot_ms,
                comparison.tpot_ratio,
                comparison.acceptance_length,
            )


def _measure(
    params: Params, servers: dict[Arm, str], prompts: dict[Workload, list[BenchPrompt]]
) -> Iterator[Measurement]:
    section = params.benchmark

    def load_on(arm: Arm, asked: list[BenchPrompt], concurrency: int, workload: Workload, repeat: int) -> Measurement:
        load = Load(concurrency, section.output_tokens, 0.0, section.seed, _REQUEST_TIMEOUT_S)
        result = asyncio.run(run_load(servers[arm], params.target.model, asked, load))
        return Measurement(workload, concurrency, arm, repeat, result.records, result.duration_s)

    arms: tuple[Arm, ...] = ("baseline", "eagle3")
    for arm in arms:  # warm-up, not kept
        for workload, asked in prompts.items():
            load_on(arm, asked[:1], 1, workload, 0)
    total = len(prompts) * len(section.concurrency) * section.repeats * len(arms)
    with progress(total, desc="benchmark", unit="loads") as bar:
        for workload, asked in prompts.items():
            for concurrency in section.concurrency:
                for repeat in range(section.repeats):
                    for arm in arms if repeat % 2 == 0 else arms[::-1]:
                        yield load_on(arm, asked, concurrency, workload, repeat)
                        bar.update()


def _server_threads() -> int:
    """One core is left to the load generator."""
    return max(torch.get_num_threads() - 1, 1)


@contextmanager
def _servers(params: Params, head: Path, context_length: int, folder: Path) -> Iterator[dict[Arm, str]]:
    """Base URL of a plain and of a drafting server."""
    section, target = params.benchmark, params.target
    command = [sys.executable, "-m", "eyrie.engines.reference", "--model", target.model, "--dtype", target.dtype]
    command += ["--device", target.device, "--max-running-requests", str(max(section.concurrency))]
    command += ["--context-length", str(context_length)]
    command += ["--threads", str(_server_threads())]
    if target.revision is not None:
        command += ["--revision", target.revision]
    if target.chat_template is not None:
        command += ["--chat-template", target.chat_template]
    command += ["--chat-template-settings", json.dumps(target.chat_template_settings)]
    command += ["--template-date", target.template_date]
    if target.trust_remote_code:
        command += ["--trust-remote-code"]
    drafting = ["--head", str(head), "--num-steps", str(section.num_steps), "--topk", str(section.topk)]
    drafting += ["--num-draft-tokens", str(section.num_draft_tokens)]
    commands: dict[Arm, list[str]] = {"baseline": command, "eagle3": [*command, *drafting]}
    with ExitStack() as stack:
        servers = {}
        for arm, arguments in commands.items():
            port = free_port()
            servers[arm] = stack.enter_context(
                launch_server([*arguments, "--port", str(port)], port=port, log=folder / f"{arm}.log", env={})
            )
        for server in servers.values():
            server.wait_until_healthy(_START_TIMEOUT_S)
        yield {arm: server.base_url for arm, server in servers.items()}


def _context_length(params: Params, prompts: dict[Workload, list[BenchPrompt]]) -> int:
    """Tokens the longest conversation may grow to, at most what the target holds: the memory a slot needs."""
    chat, output_tokens = load_chat(params.target), params.benchmark.output_tokens
    longest = max(
        conversation_tokens(chat, prompt.system, prompt.turns, output_tokens=output_tokens)
        for asked in prompts.values()
        for prompt in asked
    )
    limit: int = load_config(params.target).get_text_config().max_position_embeddings
    return min(longest, limit)


def _warn_of_differences(measurements: list[Measurement]) -> None:
    """Greedy decoding must give both arms the same number of tokens, or they did not do the same work."""
    tokens: dict[tuple[Workload, int, int], set[int]] = {}
    for item in measurements:
        key = (item.workload, item.concurrency, item.repeat)
        tokens.setdefault(key, set()).add(sum(record.output_tokens for record in item.finished))
    for (workload, concurrency, repeat), totals in tokens.items():
        if len(totals) > 1:
            logger.warning(
                "%s, concurrency %d, repeat %d: the arms returned %s tokens; they should be equal",
                workload,
                concurrency,
                repeat,
                " and ".join(str(total) for total in sorted(totals)),
            )
