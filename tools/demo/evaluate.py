"""Measure the demo target: `python -m tools.demo.evaluate --target resources/demo-target`.

In: a target folder and the seed of unseen conversations. Out: a JSON object per workload with the
loss in nats, the entropy in nats and the top-1 accuracy per reference answer token, and the share
of greedy answers that end, are free of loops, and equal the reference.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from tools.demo.data import encode
from tools.demo.generator import WORKLOADS, Sample, sample

EVAL_SEED = 99
MAX_NEW_TOKENS = 320


def has_loop(ids: list[int], max_period: int = 16, times: int = 4) -> bool:
    """Whether a piece of up to `max_period` ids occurs `times` times in a row."""
    for period in range(1, max_period + 1):
        run = 0
        for at in range(period, len(ids)):
            run = run + 1 if ids[at] == ids[at - period] else 0
            if run >= period * (times - 1):
                return True
    return False


@torch.inference_mode()
def teacher_forced(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, made: Sample) -> dict[str, float]:
    """Sums over the answer tokens of one conversation."""
    ids, weights = encode(tokenizer, made, None)
    logits_TV = model(input_ids=torch.tensor([ids])).logits[0, :-1].float()
    rows = torch.tensor(weights[1:]) == 1.0
    logits_RV, labels_R = logits_TV[rows], torch.tensor(ids[1:])[rows]
    log_probs_RV = logits_RV.log_softmax(-1)
    return {
        "tokens": float(rows.sum()),
        "loss": float(cross_entropy(logits_RV, labels_R, reduction="sum")),
        "entropy": float(-(log_probs_RV.exp() * log_probs_RV).sum()),
        "top1": float((logits_RV.argmax(-1) == labels_R).sum()),
    }


@torch.inference_mode()
def greedy(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, messages: list[dict[str, str]]) -> list[int]:
    """The greedy answer to the messages, its end of turn included."""
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    output = model.generate(**prompt, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
    found: list[int] = output[0, prompt["input_ids"].shape[1] :].tolist()
    return found


def measure(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    workload: str,
    forced: int,
    generated: int,
    *,
    long: bool = False,
) -> tuple[dict[str, float], str, str]:
    """Figures of one workload, and its first prompt and greedy answer."""
    rng = random.Random(f"{EVAL_SEED} {workload} {long}")
    made = [sample(workload, rng, long=long) for _ in range(forced)]
    sums: dict[str, float] = {}
    for conversation in made:
        for key, value in teacher_forced(model, tokenizer, conversation).items():
            sums[key] = sums.get(key, 0.0) + value
    figures = {key: sums[key] / sums["tokens"] for key in ("loss", "entropy", "top1")}
    ended = loops = equal = length = 0
    first = ("", "")
    for conversation in made[:generated]:
        messages = conversation.messages()[:-1]
        ids = greedy(model, tokenizer, messages)
        ended += ids[-1] in model.config.eos_token_id
        loops += has_loop(ids)
        length += len(ids)
        text = tokenizer.decode(ids, skip_special_tokens=True)
        equal += text == conversation.turns[-1][1]
        first = first if first[1] else (messages[-1]["content"], text)
    figures |= {"ended": ended / generated, "loops": loops / generated}
    figures |= {"exact": equal / generated, "answer_tokens": length / generated}
    return {key: round(value, 4) for key, value in figures.items()}, *first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, default=Path("resources/demo-target"))
    parser.add_argument("--forced", type=int, default=60, help="conversations scored per workload")
    parser.add_argument("--generated", type=int, default=20, help="of these, answered greedily")
    args = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(args.target)
    model = LlamaForCausalLM.from_pretrained(args.target, dtype=torch.bfloat16).eval()
    for workload in (*WORKLOADS, "extraction, long"):
        long = workload.endswith("long")
        figures, prompt, answer = measure(
            model,
            tokenizer,
            workload.split(",")[0],
            args.forced // (6 if long else 1),
            args.generated // (4 if long else 1),
            long=long,
        )
        row = {"workload": workload, **figures, "prompt": prompt[-300:], "answer": answer[:400]}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
