"""Build the demo target: `python -m tools.demo.build_target --out resources/demo-target`.

In: the seeded text generator. Out: a folder with the tokenizer, the chat template, the
configuration and bf16 weights of a small Llama, ready for `from_pretrained`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from itertools import islice
from pathlib import Path

import torch
from torch import nn
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tools.demo.generator import SYSTEM_PROMPTS, samples
from tools.demo.tokenizer import BOS, EOS, PAD, TURN_END, VOCAB_SIZE, build_tokenizer
from tools.demo.train import TrainConfig, train

TOKENIZER_SEED = 7
TOKENIZER_SAMPLES = 20_000
NUM_THREADS = 2  # fixed: the order of sums, and so the weights, depends on it


def model_config(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """A deep and narrow Llama: depth is what makes drafting pay."""
    bos, eos, pad, turn_end = tokenizer.convert_tokens_to_ids([BOS, EOS, PAD, TURN_END])
    return LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=160,
        intermediate_size=448,
        num_hidden_layers=16,
        num_attention_heads=5,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
        tie_word_embeddings=True,
        bos_token_id=bos,
        eos_token_id=[turn_end, eos],
        pad_token_id=pad,
        rms_norm_eps=1e-5,
        dtype="bfloat16",
    )


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write everything `from_pretrained` needs; weights in bf16."""
    out.mkdir(parents=True, exist_ok=True)
    config = model.config
    half = LlamaForCausalLM(config).to(torch.bfloat16)
    half.load_state_dict(model.state_dict())
    half.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        do_sample=False,
    )
    half.save_pretrained(out)
    tokenizer.save_pretrained(out)
    # The class name that every release of transformers knows, and so every engine.
    path = out / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def init_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """fp32 weights drawn from the seed, arranged so that copying from the prompt is learned early.

    Embeddings are large next to Adam's steps, so that rare words stay distinct; the final norm is
    small in return, which keeps the first logits small. Each attention layer starts as a projection
    of the tokens it attends to (W_O = W_V^T per head), so that it copies before it is trained.
    """
    torch.manual_seed(seed)
    model = LlamaForCausalLM(model_config(tokenizer)).float()
    with torch.no_grad():
        model.model.embed_tokens.weight.normal_(std=0.5)
        model.model.norm.weight.fill_(0.06)
        for layer in model.model.layers:
            value_DH = layer.self_attn.v_proj.weight
            nn.init.orthogonal_(value_DH)
            heads = model.config.num_attention_heads
            layer.self_attn.o_proj.weight.copy_(0.1 * value_DH.T.repeat(1, heads))
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("resources/demo-target"))
    parser.add_argument("--work", type=Path, required=True, help="folder for the log, snapshots")
    parser.add_argument("--steps", type=int, default=TrainConfig.steps)
    parser.add_argument("--stop-after", type=int, default=None, help="stop early, to try things")
    parser.add_argument("--snapshot-every", type=int, default=100)
    args = parser.parse_args()
    torch.set_num_threads(NUM_THREADS)
    torch.use_deterministic_algorithms(True)
    args.work.mkdir(parents=True, exist_ok=True)
    config = TrainConfig(steps=args.steps)
    texts = (
        f"{message['role']}\n\n{message['content']}"
        for made in islice(samples(TOKENIZER_SEED), TOKENIZER_SAMPLES)
        for message in made.messages(SYSTEM_PROMPTS[0])
    )
    tokenizer = build_tokenizer(texts)
    model = init_model(tokenizer, config.seed)

    def on_step(done: int, current: LlamaForCausalLM) -> None:
        if done == args.stop_after:
            raise SystemExit(0)
        if done % args.snapshot_every == 0 and done < config.steps:
            save(current, tokenizer, args.work / "snapshot")

    with (args.work / "log.jsonl").open("a", buffering=1) as log:
        train(
            model,
            tokenizer,
            config,
            lambda line: log.write(line + "\n"),
            on_step,
            args.work / "state.pt",
            args.snapshot_every,
        )
    save(model, tokenizer, args.out)
    digest = hashlib.sha256((args.out / "model.safetensors").read_bytes()).hexdigest()
    print(json.dumps({"model_sha256": digest}))


if __name__ == "__main__":
    main()
