"""SGLang's own load generator, `python -m sglang.benchmark.serving`, with its figures in this package's terms.

In: chat requests. Out: the same records as `client.run_load`, read from its detailed output. Per-request verify counts
are not in it. Its `openai` data set is used, because `custom` keeps the first user turn only and shuffles.

It loads a tokenizer with `trust_remote_code`, so it is handed one that was saved without code. Source: SGLang 0.5.23,
`sglang/benchmark/serving.py`, `datasets/openai_dataset.py`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eyrie.bench.client import Load, LoadResult, Messages, RequestRecord
from eyrie.children import die_with
from eyrie.engines.servers import ServerError, error_kind, no_proxy_here, without_key
from eyrie.io import digest_of, private_folder

_WARM_UP_FAILED = "Warmup failed - Please make sure benchmark arguments are correctly specified. Error: "
_START_UP_S = 300.0  # imports, the tokenizer, the warm-up request


def save_tokenizer(tokenizer: Any, folder: Path) -> Path:
    """The tokenizer's files without a word of its model's own code, all of them or no folder. Returns `folder`."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    tokenizer.save_pretrained(partial)
    path = partial / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("auto_map", None)
    path.write_text(json.dumps(config), encoding="utf-8")
    for code in partial.glob("*.py"):
        code.unlink()
    partial.replace(folder)
    return folder


def run_sglang_client(
    base_url: str,
    model: str,
    requests: Sequence[Messages],
    load: Load,
    *,
    tokenizer: Path,
    folder: Path,
    api_key: str | None = None,
) -> LoadResult:
    """Ask everything once: one warm-up request, the cache emptied, then the load. `folder` takes its files and its log.
    Only this user can enter it: prompts and answers are in there.

    Raises ServerError when the client fails or measures something else.
    """
    private_folder(folder)
    dataset, output, log = folder / "requests.jsonl", folder / "output.jsonl", folder / "client.log"
    dataset.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in requests), encoding="utf-8")
    output.unlink(missing_ok=True)
    command = [sys.executable, "-m", "sglang.benchmark.serving", "--backend", "sglang-oai-chat"]
    command += ["--base-url", base_url, "--model", str(tokenizer), "--tokenizer", str(tokenizer)]
    command += ["--served-model-name", model, "--dataset-name", "openai", "--dataset-path", str(dataset)]
    command += ["--num-prompts", str(len(requests)), "--max-concurrency", str(load.concurrency)]
    command += ["--sharegpt-output-len", str(load.output_tokens), "--disable-ignore-eos", "--disable-tqdm"]
    command += ["--extra-request-body", json.dumps(load.extra_body()), "--seed", str(load.seed), "--flush-cache"]
    command += ["--output-file", str(output), "--output-details", "--ready-check-timeout-sec", "0"]
    environment = (
        os.environ | no_proxy_here() | {"HF_HUB_OFFLINE": "1"} | ({"OPENAI_API_KEY": api_key} if api_key else {})
    )
    with log.open("wb") as written:
        try:
            done = subprocess.run(  # noqa: S603 - an argument list that Eyrie made
                command,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                env=environment,
                preexec_fn=die_with(os.getpid()),
                timeout=_START_UP_S + load.timeout_s * len(requests),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ServerError(f"{base_url}: SGLang's load generator did not end in time; its log is {log}") from None
    result = output.read_text(encoding="utf-8") if output.is_file() else ""
    output.unlink(missing_ok=True)  # the server's arguments are in it, the API key among them
    if done.returncode or not result:
        raise ServerError(
            f"{base_url}: SGLang's load generator ended with status {done.returncode}, lastly: {_last_words(log)}; its "
            f"log is {log}"
        )
    return read_output(json.loads(result.splitlines()[-1]), num_requests=len(requests), most_tokens=load.output_tokens)


def read_output(result: dict[str, Any], *, num_requests: int, most_tokens: int) -> LoadResult:
    """Records from one line of its detailed output; `most_tokens` were asked for. Raises ServerError when it measured
    another number of requests."""
    names = ("input_lens", "output_lens", "ttfts", "itls", "generated_texts", "errors")
    columns = [result[name] for name in names]
    for name, column in zip(names, columns, strict=True):
        if len(column) != num_requests:
            raise ServerError(
                f"SGLang's load generator gave {name} of {len(column)} requests instead of {num_requests}"
            )
    records = []
    for input_tokens, output_tokens, ttft_s, gaps_s, text, error in zip(*columns, strict=True):
        if failed := _why_failed(error, text, output_tokens, most_tokens):
            records.append(RequestRecord(error=failed))
            continue
        records.append(
            RequestRecord(
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                ttft_s=ttft_s,
                latency_s=ttft_s + sum(gaps_s),
                gaps_s=gaps_s,
                answer_digest=digest_of(text),
            )
        )
    return LoadResult(records, float(result["duration"]))


def _why_failed(error: str, text: str, output_tokens: int, most_tokens: int) -> str | None:
    """An error that comes inside a stream is none to it: it gives the request the tokens that the last usage told, or
    the most that were asked for. That shows where no text came before."""
    if error:
        return _kind_of_failure(error)
    told_nothing = not text and output_tokens == most_tokens > 1
    return "the stream held no answer" if output_tokens == 0 or told_nothing else None


def _kind_of_failure(error: str) -> str:
    """What it writes of a failed request is a traceback, or the status' words and the server's answer. Kept is what
    kind of failure it was: the rest may quote the request."""
    *_, last = error.rpartition("Traceback (most recent call last):\n")
    if last != error:
        raised = re.search(r"^([\w.]+)(?::|$)", last, re.MULTILINE)
        return raised[1] if raised else "an exception"
    reason, _, body = error.partition(": ")
    words = reason if re.fullmatch(r"[A-Za-z' -]{1,40}", reason) else "refused"
    return f"{words}{error_kind(body)}"


def _last_words(log: Path) -> str:
    text = without_key(log.read_text(encoding="utf-8", errors="replace")).strip()
    *_, failure = text.rpartition(_WARM_UP_FAILED)
    if failure != text:
        return f"its first request failed: {_kind_of_failure(failure)}"
    return text.splitlines()[-1][:500] if text else "nothing"
