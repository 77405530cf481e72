"""The servers of several arms, started side by side and alike but for what they draft."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from eyrie.engines.serving import RunningServer, ServerSpec, running_server, servable_context
from eyrie.engines.target import load_config
from eyrie.params import Drafting, Params

NameT = TypeVar("NameT", bound=str)


def server_threads() -> int:
    """One core is left to the load generator."""
    return max(torch.get_num_threads() - 1, 1)


def context_to_share(params: Params, shapes: Iterable[Drafting | None]) -> tuple[int, int]:
    """The longest context that every arm can be served with, and the tokens of it that no conversation may use.

    SGLang keeps room for drafts in the context of every request (0.5.23, `compute_num_reserved_tokens`) and refuses
    what does not fit beside it; the reference engine keeps it outside. Raises TargetError.
    """
    section = params.benchmark
    longest = servable_context(load_config(params.target).get_text_config(), section.engine)
    if section.engine == "reference":
        return longest, 0
    reserved = (max(shape.topk * shape.num_steps, shape.num_draft_tokens) for shape in shapes if shape is not None)
    return min(longest, section.sglang.context_length or longest), max(reserved, default=0)


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
