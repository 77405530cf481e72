"""The servers of several arms, started side by side and alike but for what they draft."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from eyrie.engines.launch import Server, free_port, launch_server
from eyrie.params import Drafting, Params

NameT = TypeVar("NameT", bound=str)

_START_TIMEOUT_S = 900.0


def server_threads() -> int:
    """One core is left to the load generator."""
    return max(torch.get_num_threads() - 1, 1)


@contextmanager
def serve_arms(
    params: Params,
    head: Path,
    arms: Mapping[NameT, Drafting | None],
    *,
    context_length: int,
    max_running_requests: int,
    folder: Path,
) -> Iterator[dict[NameT, Server]]:
    """Healthy servers by the arm's name until the context ends; their logs are in `folder`. Raises ServerError."""
    target = params.target
    command = [sys.executable, "-m", "eyrie.engines.reference", "--model", target.model, "--dtype", target.dtype]
    command += ["--device", target.device, "--max-running-requests", str(max_running_requests)]
    command += ["--context-length", str(context_length), "--threads", str(server_threads())]
    if target.revision is not None:
        command += ["--revision", target.revision]
    if target.chat_template is not None:
        command += ["--chat-template", target.chat_template]
    command += ["--chat-template-settings", json.dumps(target.chat_template_settings)]
    command += ["--template-date", target.template_date]
    if target.trust_remote_code:
        command += ["--trust-remote-code"]
    with ExitStack() as stack:
        servers = {}
        for arm, drafting in arms.items():
            extra: list[str] = []
            if drafting is not None:
                extra = ["--head", str(head), "--num-steps", str(drafting.num_steps), "--topk", str(drafting.topk)]
                extra += ["--num-draft-tokens", str(drafting.num_draft_tokens)]
            port = free_port()
            whole = [*command, *extra, "--port", str(port)]
            servers[arm] = stack.enter_context(launch_server(whole, port=port, log=folder / f"{arm}.log", env={}))
        for server in servers.values():
            server.wait_until_healthy(_START_TIMEOUT_S)
        yield servers
