"""A target behind HTTP, with or without its head: what to serve, the exact command, and a server that is always gone
afterwards.

In: a `ServerSpec`, the same for every engine. Out: a `RunningServer`. Two arms differ in `head`, `drafting` and
`overlap` only; `max_running_requests` is given to both, because SGLang's default for EAGLE (48) differs from its own.

A server that runs already can be named in the environment, `EYRIE_NAMED_SERVERS=baseline=http://...,eagle3=http://...`;
then nothing is launched or stopped, and `wait_until_healthy` checks that it serves what was asked for.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eyrie.eagle3.checkpoint import check_head
from eyrie.engines.launch import Server, free_port, launch_server
from eyrie.engines.reference.target_runner import longest_context
from eyrie.engines.server_facts import check_serves
from eyrie.engines.servers import named_server
from eyrie.engines.sglang_server import (
    check_can_launch,
    check_port,
    explain_failure,
    forget_key,
    key_arguments,
    local_address,
    sglang_command,
    sglang_environment,
)
from eyrie.engines.spec import ServerSpec
from eyrie.engines.target import load_config
from eyrie.params import SglangServer

__all__ = ["EngineName", "RunningServer", "ServerSpec", "running_server", "servable_context", "server_command"]

EngineName = Literal["reference", "sglang"]

_REFERENCE_START_TIMEOUT_S = 900.0
_NAMED_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class RunningServer:
    """A server that is loading or loaded; `log` and `process` are None for one that was not launched here."""

    base_url: str
    log: Path | None
    process: subprocess.Popen[bytes] | None
    wait: Callable[[], None]

    def wait_until_healthy(self) -> None:
        """Return once it answers. Raises ServerError: one sentence that says what is wrong, and the log's end."""
        self.wait()


def servable_context(config: Any, engine: EngineName) -> int:
    """Tokens of a sequence that the engine serves of a target with this text configuration. Raises TargetError."""
    longest: int = config.max_position_embeddings
    return longest if engine == "sglang" else longest_context(config)


def server_command(spec: ServerSpec, *, engine: EngineName, settings: SglangServer, port: int) -> list[str]:
    """The exact arguments, the API key excepted: it goes by a private file, never by the process list."""
    return sglang_command(spec, settings, port=port) if engine == "sglang" else _reference_command(spec, port=port)


@contextlib.contextmanager
def running_server(
    spec: ServerSpec, *, engine: EngineName, settings: SglangServer, folder: Path
) -> Iterator[RunningServer]:
    """Serve `spec` until the context ends; its log goes to `folder`. Yields at once: call `wait_until_healthy`.

    Raises before anything starts: ServerError (no SGLang, too few GPUs, a busy port), CheckpointError (the head was
    made for another target, a smaller context or is damaged), TargetError.
    """
    if (named := named_server(spec.name)) is not None:
        there = Server(named, None, None)

        def wait_for_named() -> None:
            there.wait_until_healthy(_NAMED_TIMEOUT_S)
            check_serves(there.base_url, spec)

        yield RunningServer(named, None, None, wait_for_named)
        return
    context_length = (settings.context_length if engine == "sglang" else None) or spec.context_length
    if spec.head is not None:
        check_head(spec.head, load_config(spec.target).get_text_config(), context_length=context_length)
    log = folder / f"{spec.name}.log"
    if engine == "reference":
        port = free_port()
        with launch_server(_reference_command(spec, port=port), port=port, log=log, env={}) as server:
            yield RunningServer(
                server.base_url, log, server.process, lambda: server.wait_until_healthy(_REFERENCE_START_TIMEOUT_S)
            )
        return
    check_can_launch(spec, settings)
    port = settings.port or free_port()
    check_port(settings.host, port)
    with key_arguments(folder) as key:
        command = [*sglang_command(spec, settings, port=port), *key]
        with launch_server(command, port=port, log=log, env=sglang_environment(spec)) as server:
            address = local_address(settings.host, port)
            reached = Server(address, server.process, log)

            def wait() -> None:
                reached.wait_until_healthy(settings.start_timeout_s, explain_failure)
                forget_key(folder)

            yield RunningServer(address, log, server.process, wait)


def _reference_command(spec: ServerSpec, *, port: int) -> list[str]:
    target = spec.target
    command = [sys.executable, "-m", "eyrie.engines.reference", "--model", target.model, "--dtype", target.dtype]
    command += ["--device", target.device, "--max-running-requests", str(spec.max_running_requests)]
    if spec.context_length is not None:
        command += ["--context-length", str(spec.context_length)]
    if spec.threads is not None:
        command += ["--threads", str(spec.threads)]
    if target.revision is not None:
        command += ["--revision", target.revision]
    if target.chat_template is not None:
        command += ["--chat-template", target.chat_template]
    command += ["--chat-template-settings", json.dumps(target.chat_template_settings)]
    command += ["--template-date", target.template_date]
    if target.trust_remote_code:
        command += ["--trust-remote-code"]
    if spec.drafting is not None:
        command += ["--head", str(spec.head), "--num-steps", str(spec.drafting.num_steps)]
        command += ["--topk", str(spec.drafting.topk), "--num-draft-tokens", str(spec.drafting.num_draft_tokens)]
    return [*command, "--port", str(port)]
