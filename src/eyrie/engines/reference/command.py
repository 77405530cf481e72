"""`python -m eyrie.engines.reference --model DIR --port P --max-running-requests M --context-length C ...`

Serve a target, with `--head DIR --num-steps S --topk K --num-draft-tokens N` through its draft head.
"""

import argparse
import asyncio
import contextlib
import json
import socket
import sys
from datetime import date
from pathlib import Path

import torch
import uvicorn
from pydantic import ValidationError

from eyrie.eagle3.checkpoint import load_head
from eyrie.engines.memory import out_of_memory_says
from eyrie.engines.reference.engine import Engine
from eyrie.engines.reference.loop import EngineLoop
from eyrie.engines.reference.server import build_app
from eyrie.engines.target import load_target
from eyrie.params import Drafting, Target


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m eyrie.engines.reference", description=__doc__)
    parser.add_argument("--model", required=True, help="folder or hub name of the target")
    parser.add_argument("--revision", help="pinned commit, for a hub name")
    parser.add_argument("--dtype", required=True, choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--chat-template", help="a .jinja file instead of the target's own")
    parser.add_argument("--chat-template-settings", type=json.loads, default={}, help="JSON: the template's variables")
    parser.add_argument("--template-date", default=date.today().isoformat(), help="YYYY-MM-DD; default: today")
    parser.add_argument("--trust-remote-code", action="store_true")
    parser.add_argument("--head", type=Path, help="folder of the draft head; without it decoding is plain")
    parser.add_argument("--num-steps", type=int)
    parser.add_argument("--topk", type=int)
    parser.add_argument("--num-draft-tokens", type=int)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--max-running-requests", type=int, required=True, help="slots of key/value memory")
    parser.add_argument("--context-length", type=int, help="tokens per slot; default: what the target holds")
    parser.add_argument("--threads", type=int, help="CPU threads; default: what PyTorch takes")
    return parser.parse_args(arguments)


def _drafting(options: argparse.Namespace) -> Drafting | None:
    """All three numbers with a head, none without. Raises ValueError."""
    names = ("num_steps", "topk", "num_draft_tokens")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    flags = ", ".join(f"--{name.replace('_', '-')}" for name in names)
    if len(given) != (0 if options.head is None else 3):
        raise ValueError(f"{flags} are needed with --head, all three, and mean nothing without it")
    try:
        return Drafting(**given) if given else None
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _bind(host: str, port: int) -> socket.socket:
    """Take the port before the model is loaded. Raises ValueError when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named: without it a reused connection got its
    # first token 35 ms late, when the client's delayed acknowledgement let it through.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ValueError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listener


@out_of_memory_says("lower --max-running-requests or --context-length")
def _build_engine(options: argparse.Namespace, drafting: Drafting | None) -> Engine:
    if options.max_running_requests < 1:
        raise ValueError(f"--max-running-requests must be at least 1, not {options.max_running_requests}")
    target = load_target(
        Target(
            model=options.model,
            revision=options.revision,
            dtype=options.dtype,
            device=options.device,
            chat_template=options.chat_template,
            chat_template_settings=options.chat_template_settings,
            template_date=options.template_date,
            trust_remote_code=options.trust_remote_code,
        )
    )
    head = None
    if options.head is not None:
        head = load_head(options.head, target.config, device=target.device, dtype=target.dtype)
    return Engine(
        target,
        head=head,
        drafting=drafting,
        max_running_requests=options.max_running_requests,
        context_length=options.context_length,
    )


class _Server(uvicorn.Server):  # type: ignore[misc]
    """Ends the answers under way when it is told to end; uvicorn would wait for them, then cut them off."""

    def __init__(self, config: uvicorn.Config, loop: EngineLoop) -> None:
        super().__init__(config)
        self._engine_loop = loop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._engine_loop.stop()
        await super().shutdown(sockets)


async def _serve(engine: Engine, listener: socket.socket, model_name: str) -> None:
    loop = EngineLoop(engine)
    config = uvicorn.Config(
        build_app(loop, model_name=model_name), log_level="warning", access_log=False, timeout_graceful_shutdown=1
    )
    server = _Server(config, loop)
    stepping = asyncio.create_task(loop.run())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    done, _ = await asyncio.wait({stepping, serving}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    for task in done:
        task.result()


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    try:
        drafting = _drafting(options)
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        with contextlib.closing(_bind(options.host, options.port)) as listener:
            engine = _build_engine(options, drafting)
            asyncio.run(_serve(engine, listener, options.model))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"eyrie reference engine: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
