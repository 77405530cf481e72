"""The servers of several arms, started side by side and alike but for what they draft."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from eyrie.engines.serving import RunningServer, ServerSpec, running_server
from eyrie.params import Drafting, Params

NameT = TypeVar("NameT", bound=str)


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
) -> Iterator[dict[NameT, RunningServer]]:
    """Healthy servers by the arm's name until the context ends; their logs are in `folder`. Raises ServerError."""
    section = params.benchmark
    with ExitStack() as stack:
        servers: dict[NameT, RunningServer] = {}
        for arm, drafting in arms.items():
            spec = ServerSpec(
                name=arm,
                target=params.target,
                head=None if drafting is None else head,
                drafting=drafting,
                max_running_requests=max_running_requests,
                context_length=context_length,
                overlap=arm != "eagle3_no_overlap",
                threads=server_threads(),
            )
            servers[arm] = stack.enter_context(
                running_server(spec, engine=section.engine, settings=section.sglang, folder=folder)
            )
        for server in servers.values():
            server.wait_until_healthy()
        yield servers
