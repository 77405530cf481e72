"""Build the demo target: `python -m tools.demo.build_target --out resources/demo-target`.

In: the seeded text generator. Out: a folder with the tokenizer, the chat template, the
configuration and bf16 weights of a small Llama, ready for `from_pretrained`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tools.demo.copying import write_copying_circuit
from tools.demo.generator import SYSTEM_PROMPTS, samples
from tools.demo.tokenizer import BOS, EOS, PAD, TURN_END, VOCAB_SIZE, build_tokenizer
from tools.demo.train import TrainConfig, train

TOKENIZER_SEED = 7
TOKENIZER_SAMPLES = 20_000
NUM_LAYERS = 20  # depth is what makes drafting pay
TRAINED_LAYERS = (0, 4, 8, 12, 16)  # 0-based places of the shallow model's layers
SHALLOW = TrainConfig(seed=20260101, steps=900, warmup_steps=20, decay_share=0.3, muon_lr=0.008, adam_lr=2e-3)
DEEP = TrainConfig(seed=20260102, steps=80, warmup_steps=8, decay_share=0.9, muon_lr=0.003, adam_lr=4e-4)
NUM_THREADS = 2  # fixed: the order of sums, and so the weights, depends on it


def model_config(tokenizer: PreTrainedTokenizerFast, num_layers: int) -> LlamaConfig:
    """A narrow Llama of `num_layers` layers."""
    bos, eos, pad, turn_end = tokenizer.convert_tokens_to_ids([BOS, EOS, PAD, TURN_END])
    return LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=160,
        intermediate_size=448,
        num_hidden_layers=num_layers,
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
    """The shallow model with fp32 weights drawn from the seed, able to copy from the start."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(model_config(tokenizer, len(TRAINED_LAYERS))).float()
    write_copying_circuit(model)
    return model


def grow(shallow: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """The deep model that computes what the shallow one does.

    Trained layers move to `TRAINED_LAYERS`; the layers between them write nothing yet, because
    their output projections start at zero. Training a shallow model and growing it takes a
    fraction of the time that training the deep one from scratch does.
    """
    torch.manual_seed(seed)
    deep = LlamaForCausalLM(model_config(tokenizer, NUM_LAYERS)).float()
    with torch.no_grad():
        for layer in deep.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    for source, place in zip(shallow.model.layers, TRAINED_LAYERS, strict=True):
        deep.model.layers[place].load_state_dict(source.state_dict())
    deep.model.embed_tokens.load_state_dict(shallow.model.embed_tokens.state_dict())
    deep.model.norm.load_state_dict(shallow.model.norm.state_dict())
    return deep


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("resources/demo-target"))
    parser.add_argument("--work", type=Path, required=True, help="folder for the log, snapshots")
    parser.add_argument("--shallow-steps", type=int, default=SHALLOW.steps)
    parser.add_argument("--deep-steps", type=int, default=DEEP.steps)
    parser.add_argument("--save-every", type=int, default=50)
    args = parser.parse_args()
    torch.set_num_threads(NUM_THREADS)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # costs time, changes nothing here
    args.work.mkdir(parents=True, exist_ok=True)
    texts = (
        f"{message['role']}\n\n{message['content']}"
        for made in islice(samples(TOKENIZER_SEED), TOKENIZER_SAMPLES)
        for message in made.messages(SYSTEM_PROMPTS[0])
    )
    tokenizer = build_tokenizer(texts)
    shallow_config = replace(SHALLOW, steps=args.shallow_steps)
    deep_config = replace(DEEP, steps=args.deep_steps)
    with (args.work / "log.jsonl").open("a", buffering=1) as log:

        def run(model: LlamaForCausalLM, config: TrainConfig, name: str) -> None:
            state = args.work / f"{name}.pt"
            model.set_attn_implementation("eager")  # on CPU its backward is the faster one
            train(model, tokenizer, config, lambda row: log.write(row + "\n"), state, args.save_every)

        shallow = init_model(tokenizer, SHALLOW.seed)
        run(shallow, shallow_config, "shallow")
        save(shallow, tokenizer, args.work / "shallow")
        model = grow(shallow, tokenizer, DEEP.seed)
        run(model, deep_config, "deep")
    save(model, tokenizer, args.out)
    digest = hashlib.sha256((args.out / "model.safetensors").read_bytes()).hexdigest()
    print(json.dumps({"model_sha256": digest}))


if __name__ == "__main__":
    main()
