"""`eyrie serve [--baseline] [--print] [--engine ...]`: the server that the benchmark measured, for a person.

In: params.yaml, the head, and the tuner's `reports/serving.json` when there is one; its band for the most requests at
a time says how to draft, or that drafting does not pay. Out: a server that runs until Ctrl-C.
"""

import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eyrie.engines.launch import server_folder, stop_on_signals
from eyrie.engines.servers import API_KEY_VARIABLE, ServerError, check_key
from eyrie.engines.serving import EngineName, ServerSpec, running_server, server_command
from eyrie.io import path_digest, read_json
from eyrie.lineage.digests import target_revision
from eyrie.lineage.layout import HEAD, SERVING
from eyrie.params import Params
from eyrie.serving_plan import ServingPlan

PLAN = Path(SERVING)
DEFAULT_PORT = 30000


@dataclass(frozen=True)
class Choice:
    spec: ServerSpec
    why: str


def choose(
    params: Params, *, engine: EngineName, baseline: bool, concurrency: int | None, head: Path, plan: Path
) -> Choice:
    """What to serve on `engine` for at most `concurrency` requests at a time (None: the benchmark's highest).

    Raises ServerError when there is no head, SchemaError when the plan cannot be read.
    """
    section = params.benchmark
    requests = concurrency or max(section.concurrency)
    drafting, why = section.drafting("eagle3"), "the draft shape of params.yaml's benchmark"
    if baseline:
        drafting, why = None, "the baseline, as asked"
    elif plan.is_file():
        document = read_json(plan, ServingPlan)
        band = document.band_for(requests)
        drafting = band.drafting
        load = f"{band.measured_at} request{'s' if band.measured_at > 1 else ''} at a time"
        measured = f"{plan}, measured at {load} ({band.speedup:.2f} x the baseline)"
        if others := _measured_with(document, params, engine=engine, head=head):
            measured += f" with {' and '.join(others)} (eyrie tune measures again)"
        why = measured if drafting is not None else f"the baseline: {measured}; drafting did not pay"
    if drafting is not None and not (head / "config.json").is_file():
        raise ServerError(f"{head}: no head here; `eyrie run` trains one, or serve the target alone with --baseline")
    spec = ServerSpec(
        name="serve",
        target=params.target,
        head=None if drafting is None else head,
        drafting=drafting,
        max_running_requests=requests,
        context_length=None,
    )
    return Choice(spec, why)


def _measured_with(plan: ServingPlan, params: Params, *, engine: EngineName, head: Path) -> list[str]:
    """What the plan was measured with that is not what is served."""
    others = []
    if head.is_dir() and path_digest(head) != plan.head_digest:
        others.append("another head")
    if plan.target != params.target.model:
        others.append(f"the target {plan.target}")
    elif plan.target_revision != target_revision(params.target.model, params.target.revision):
        others.append("another version of the target")
    if plan.engine != engine:
        others.append(f"the engine {plan.engine}")
    return others


def shown_command(params: Params, spec: ServerSpec, *, engine: EngineName) -> str:
    """The command for a shell; a key is the variable's name, never its value. Raises ServerError for an open host
    without a key."""
    settings = params.benchmark.sglang
    port = (settings.port if engine == "sglang" else None) or DEFAULT_PORT
    command = shlex.join(server_command(spec, engine=engine, settings=settings, port=port))
    if engine == "sglang":
        check_key(settings.host)
        if os.environ.get(API_KEY_VARIABLE):
            command += f' --api-key "${{{API_KEY_VARIABLE}:?}}"'
    if engine == "sglang" and params.target.device == "cpu":
        command = f"SGLANG_USE_CPU_ENGINE=1 {command}"
    return command


def curl_line(base_url: str, model: str) -> str:
    key = f' -H "Authorization: Bearer ${API_KEY_VARIABLE}"' if os.environ.get(API_KEY_VARIABLE) else ""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 64})
    return f'curl {base_url}/v1/chat/completions{key} -H "Content-Type: application/json" -d {shlex.quote(body)}'


def serve(params: Params, choice: Choice, *, engine: EngineName, say: Callable[[str], object]) -> None:
    """Serve until Ctrl-C, SIGTERM or SIGHUP, or until the server ends itself. Raises ServerError, CheckpointError."""
    logging.basicConfig(level=logging.INFO, format="serve: %(message)s", stream=sys.stderr)
    settings = params.benchmark.sglang
    say(f"Serving by {choice.why}.")
    try:
        with (
            stop_on_signals(),
            server_folder() as folder,
            running_server(choice.spec, engine=engine, settings=settings, folder=folder) as server,
        ):
            say(f"Loading; its log is {server.log}")
            server.wait_until_healthy()
            say(f"Ready. Ctrl-C ends it. Try:\n{curl_line(server.base_url, params.target.model)}")
            while server.process is not None and server.process.poll() is None:
                time.sleep(0.2)
            if server.process is not None:
                raise ServerError(f"the server ended with status {server.process.returncode}")
    except KeyboardInterrupt:
        say("Stopped.")


def default_head() -> Path:
    return Path(HEAD)
