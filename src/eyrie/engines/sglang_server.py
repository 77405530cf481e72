"""SGLang as a subprocess: its command, what must be there before it starts, and what went wrong when it did not.

Facts are of SGLang 0.5.23. `--dtype` is always given: under `auto` a head whose config says float32 would run in
float16. `--cuda-graph-max-bs` is never given: it became ambiguous and ends the server.
"""

import contextlib
import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from eyrie.engines.servers import API_KEY_VARIABLE, INSTALL_SGLANG, ServerError, check_key, is_installed, no_proxy_here
from eyrie.engines.sglang_targets import check_can_draft
from eyrie.engines.spec import ServerSpec
from eyrie.engines.target import load_config
from eyrie.params import SglangServer
from eyrie.start_with_key import config_with

# Of its context: a prompt must leave 7 tokens free, or SGLang refuses it, and an answer ends 2 tokens before the end.
CONTEXT_KEPT = 6
_KEY_FILE = "api-key.yaml"

_NO_GPU = (
    "SGLang needs a CUDA GPU and PyTorch sees none here; run on a GPU machine, name running servers in the "
    "environment, or set the engine to reference"
)
# What SGLang and PyTorch write -> what it means. The first that is found counts.
_DIAGNOSES: tuple[tuple[str, str], ...] = (
    (
        r"Not enough memory\. Please try to increase",
        "the target and head leave no GPU memory for the cache: raise mem_fraction_static or tp_size, or lower "
        "context_length",
    ),
    (
        r"CUDA out of memory|OutOfMemoryError|CUDA error: out of memory|DefaultCPUAllocator: (?:can't|not enough)",
        "out of memory: lower mem_fraction_static, cuda_graph_max_bs_decode or context_length, raise tp_size, or stop "
        "what else uses the GPU",
    ),
    (r"address already in use|Errno 98", "the port is busy: set another one, or null for a free one"),
    (r"No accelerator|no NVIDIA driver|No CUDA GPUs are available|not compiled with CUDA", _NO_GPU),
    (
        r"Model architectures (?P<what>.{0,120}?) are not supported",
        "SGLang does not support the target's architecture {what}",
    ),
    (
        r"Cannot find any model weights with `(?P<what>[^`]*)`|does not appear to have a file named (?P<what2>\S+)",
        "weights are missing: {what}",
    ),
    (
        r"(?P<what>KeyError: '?[\w.]*(?:weight|norm|d2t|lm_head)[\w.]*'?)",
        "the weights do not have the names that SGLang expects ({what})",
    ),
    (
        r"size mismatch|shape mismatch|attempted to load weight|mat1 and mat2 shapes cannot be multiplied",
        "the weights do not have the shapes that the config says: the head was made for another target, or the "
        "checkpoint is damaged",
    ),
    (r"error: (?P<what>(?:ambiguous option|unrecognized arguments|argument ).*)", "SGLang refuses a flag: {what}"),
    (r"User-specified context_length \((?P<what>\d+)\)", "context_length {what} is over what the target holds"),
    (r"No module named 'sglang'", f"SGLang is not installed: {INSTALL_SGLANG}"),
)


def sglang_command(spec: ServerSpec, settings: SglangServer, *, port: int) -> list[str]:
    """`python -m sglang.launch_server ...` for one arm, without the API key."""
    target, drafting = spec.target, spec.drafting
    command = [sys.executable, "-m", "sglang.launch_server", "--model-path", target.model, "--dtype", target.dtype]
    if target.revision is not None:
        command += ["--revision", target.revision]
    if target.device != "auto":
        command += ["--device", target.device]
    if target.chat_template is not None:
        command += ["--chat-template", target.chat_template]
    if target.chat_template_settings:
        command += ["--default-chat-template-kwargs", json.dumps(target.chat_template_settings)]
    if target.trust_remote_code:
        command += ["--trust-remote-code"]
    command += ["--host", settings.host, "--port", str(port), "--tp-size", str(settings.tp_size)]
    command += ["--max-running-requests", str(spec.max_running_requests)]
    context_length = settings.context_length or spec.context_length
    if context_length is not None:
        command += ["--context-length", str(context_length)]
    if settings.mem_fraction_static is not None:
        command += ["--mem-fraction-static", str(settings.mem_fraction_static)]
    if settings.attention_backend is not None:
        command += ["--attention-backend", settings.attention_backend]
    if settings.cuda_graph_max_bs_decode is not None:
        command += ["--cuda-graph-max-bs-decode", str(settings.cuda_graph_max_bs_decode)]
    if drafting is not None:
        command += ["--speculative-algorithm", "EAGLE3", "--speculative-draft-model-path", str(spec.head)]
        command += ["--speculative-num-steps", str(drafting.num_steps)]
        command += ["--speculative-eagle-topk", str(drafting.topk)]
        command += ["--speculative-num-draft-tokens", str(drafting.num_draft_tokens)]
    if not spec.overlap:
        command += ["--disable-overlap-schedule"]
    return [*command, "--enable-metrics", *settings.extra_args]


def sglang_environment(spec: ServerSpec) -> dict[str, str]:
    """Variables that the server needs besides this process's own."""
    cpu = {"SGLANG_USE_CPU_ENGINE": "1"} if spec.target.device == "cpu" else {}
    return {"HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1", **no_proxy_here(), **cpu}


def check_can_launch(spec: ServerSpec, settings: SglangServer) -> None:
    """Raises ServerError: SGLang is not installed, everybody could use it, it cannot draft for the target, or there are
    not the GPUs."""
    if not is_installed():
        raise ServerError(f"SGLang is not installed here: {INSTALL_SGLANG}; or set the engine to reference")
    check_key(settings.host)
    if spec.drafting is not None:
        check_can_draft(load_config(spec.target).architectures)
    if spec.target.device == "cpu":
        return
    if not torch.cuda.is_available():
        raise ServerError(_NO_GPU)
    if settings.num_gpus > torch.cuda.device_count():
        raise ServerError(
            f"tp_size and extra_args ask for {settings.num_gpus} GPUs, but this machine has {torch.cuda.device_count()}"
        )
    if spec.drafting is not None and spec.drafting.topk > 1 and settings.attention_backend == "trtllm_mha":
        raise ServerError(
            f"attention_backend trtllm_mha drafts chains only and topk is {spec.drafting.topk}: set flashinfer, fa3 "
            "or triton"
        )


def check_port(host: str, port: int) -> None:
    """Raises ServerError when something listens there, before minutes of loading."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServerError(f"cannot listen on {host}:{port}: {error.strerror}") from None


def local_address(host: str, port: int) -> str:
    """How this machine reaches a server that listens on `host`."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


@contextlib.contextmanager
def key_arguments(folder: Path) -> Iterator[list[str]]:
    """Arguments that give the server the environment's API key through a file that only this user can read. A server
    that answers has read it: `forget_key` removes it then."""
    key = os.environ.get(API_KEY_VARIABLE)
    if not key:
        yield []
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _KEY_FILE
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write(config_with(key))
    try:
        yield ["--config", str(path)]
    finally:
        path.unlink(missing_ok=True)


def forget_key(folder: Path) -> None:
    """Remove the file of `key_arguments`."""
    (folder / _KEY_FILE).unlink(missing_ok=True)


def explain_failure(log: str) -> str | None:
    """One sentence for a log that ended too soon, or None when nothing in it is known."""
    for pattern, sentence in _DIAGNOSES:
        if found := re.search(pattern, log, re.IGNORECASE):
            named = [text for text in found.groupdict().values() if text]
            return sentence.format(what=named[0].strip() if named else "")
    return None
