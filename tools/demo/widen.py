"""The demo target at the size of a production target: `python -m tools.demo.widen --out FOLDER`.

In: the demo target. Out: a target that computes the same function with matrices as large as Llama-3.1-8B's: the same
tokenizer, the same answers up to rounding, but the time, memory and features of the larger one. So what a GPU costs can
be measured where no production target is at hand. It needs no training:

- The residual stream is carried into the wide one by an isometry P [h, H]: what is read and written turns with it. Norm
  weights do not turn, so they are moved into the matrices that read the normed state, and what is left is a constant,
  sqrt(h / H), for the mean over more columns.
- A narrow head keeps its rotary frequencies: pair i of d/2 turns like pair i * D/d of D/2. Its queries grow by
  sqrt(D / d), which the wider head's softmax takes off again.
- Heads, neurons and layers that the narrow target does not have are random and are read by nothing.
- Vocabulary rows beyond the tokenizer's copy the padding token's, which is never said.

h, d are the narrow sizes, H, D the wide ones; weights are [out, in].
"""

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

LLAMA_8B = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 128_256,
}
SEED = 20260103


def wide_config(narrow: LlamaConfig, sizes: dict[str, int]) -> LlamaConfig:
    """The narrow config with other sizes. Epsilon shrinks as the mean of squares does."""
    values = narrow.to_dict() | sizes
    values |= {
        "tie_word_embeddings": False,
        "rms_norm_eps": narrow.rms_norm_eps * narrow.hidden_size / sizes["hidden_size"],
    }
    return LlamaConfig(**values)


def isometry(narrow: int, wide: int, generator: torch.Generator) -> Tensor:
    """[narrow, wide] with orthonormal rows."""
    columns: Tensor = torch.linalg.qr(torch.randn(wide, narrow, generator=generator, dtype=torch.float64))[0]
    return columns.T.float()


def rotary_places(narrow: int, wide: int) -> Tensor:
    """Where the narrow head's dimensions go in the wide one: every pair (i, i + half) turns as fast as before."""
    pairs = torch.arange(narrow // 2) * (wide // narrow)
    return torch.cat([pairs, pairs + wide // 2])


class Widening:
    def __init__(self, narrow: LlamaForCausalLM, sizes: dict[str, int]) -> None:
        """Raises ValueError: sizes that cannot hold the narrow target."""
        self.narrow, self.old = narrow, narrow.config
        self.new = wide_config(narrow.config, sizes)
        if self.old.num_key_value_heads != 1 or self.new.head_dim % self.old.head_dim:
            raise ValueError("the narrow target must have one key/value head, of a size that divides the wide one's")
        for name in sizes:
            if getattr(self.new, name) < getattr(self.old, name):
                raise ValueError(f"{name} is {getattr(self.new, name)}, less than the narrow target's")
        random = torch.Generator().manual_seed(SEED)
        self.turn_hH = isometry(self.old.hidden_size, self.new.hidden_size, random)
        self.scale = math.sqrt(self.old.hidden_size / self.new.hidden_size)
        self.places = rotary_places(self.old.head_dim, self.new.head_dim)
        width = self.new.hidden_size
        most_rows = max(self.new.intermediate_size, self.new.num_attention_heads * self.new.head_dim)
        self.block = torch.randn(most_rows, width, generator=random) / math.sqrt(width)

    def ends(self) -> dict[str, Tensor]:
        """Embedding, final norm and lm_head."""
        embedding_Vh = self.narrow.model.embed_tokens.weight.float()
        head_Vh = self.narrow.lm_head.weight.float() * self.narrow.model.norm.weight.float()
        pads = [self.old.pad_token_id] * (self.new.vocab_size - self.old.vocab_size)
        rows = torch.tensor([*range(self.old.vocab_size), *pads])
        return {
            "model.embed_tokens.weight": (embedding_Vh @ self.turn_hH)[rows],
            "model.norm.weight": torch.full((self.new.hidden_size,), self.scale),
            "lm_head.weight": (head_Vh @ self.turn_hH)[rows],
        }

    def layer(self, place: int, source: int | None) -> dict[str, Tensor]:
        """The tensors of wide layer `place`: narrow layer `source`, or one that writes nothing."""
        old, new = self.old, self.new
        heads, shared = new.num_attention_heads, new.num_attention_heads // new.num_key_value_heads
        width, inner = new.hidden_size, new.intermediate_size
        wide = {
            "self_attn.q_proj": self._draw(heads * new.head_dim, width),
            "self_attn.k_proj": self._draw(new.num_key_value_heads * new.head_dim, width),
            "self_attn.v_proj": self._draw(new.num_key_value_heads * new.head_dim, width),
            "self_attn.o_proj": torch.zeros(width, heads * new.head_dim),
            "mlp.gate_proj": self._draw(inner, width),
            "mlp.up_proj": self._draw(inner, width),
            "mlp.down_proj": torch.zeros(width, inner),
        }
        if source is not None:
            layer = self.narrow.model.layers[source]
            attention, mlp = layer.self_attn, layer.mlp
            before_h, after_h = layer.input_layernorm.weight.float(), layer.post_attention_layernorm.weight.float()
            for head in range(old.num_attention_heads):
                rows = slice(head * old.head_dim, (head + 1) * old.head_dim)
                query, growth = torch.zeros(new.head_dim, width), math.sqrt(new.head_dim / old.head_dim)
                query[self.places] = growth * self._reads(attention.q_proj.weight[rows], before_h)
                at = head * new.head_dim
                wide["self_attn.q_proj"][at : at + new.head_dim] = query
                wide["self_attn.o_proj"][:, at : at + old.head_dim] = self._writes(attention.o_proj.weight[:, rows])
            for head in range(-(-old.num_attention_heads // shared)):  # the same one for each group of query heads
                at = head * new.head_dim
                key = torch.zeros(new.head_dim, width)
                key[self.places] = self._reads(attention.k_proj.weight, before_h)
                wide["self_attn.k_proj"][at : at + new.head_dim] = key
                wide["self_attn.v_proj"][at : at + old.head_dim] = self._reads(attention.v_proj.weight, before_h)
            neurons = slice(0, old.intermediate_size)
            wide["mlp.gate_proj"][neurons] = self._reads(mlp.gate_proj.weight, after_h)
            wide["mlp.up_proj"][neurons] = self._reads(mlp.up_proj.weight, after_h)
            wide["mlp.down_proj"][:, neurons] = self._writes(mlp.down_proj.weight)
        norms = {name: torch.full((width,), self.scale) for name in ("input_layernorm", "post_attention_layernorm")}
        return {f"model.layers.{place}.{name}.weight": tensor for name, tensor in (wide | norms).items()}

    def sources(self) -> list[int | None]:
        """Which narrow layer each wide one is; the silent ones lie evenly between them."""
        old, new = self.old.num_hidden_layers, self.new.num_hidden_layers
        places = {(index * new) // old: index for index in range(old)}
        return [places.get(place) for place in range(new)]

    def _reads(self, weight: Tensor, norm_h: Tensor) -> Tensor:
        """A matrix that reads the normed state: [out, h] -> [out, H]."""
        return (weight.float() * norm_h) @ self.turn_hH

    def _writes(self, weight: Tensor) -> Tensor:
        """A matrix that writes to the residual stream: [h, in] -> [H, in]."""
        return self.turn_hH.T @ weight.float()

    def _draw(self, rows: int, columns: int) -> Tensor:
        """[rows, columns] of the one random block: nothing reads it, and eight billion draws would take a minute."""
        return self.block[:rows, :columns].clone()


def widen(narrow: LlamaForCausalLM, sizes: dict[str, int]) -> LlamaForCausalLM:
    """A target of `sizes` that answers as `narrow` does, in `narrow`'s dtype. Raises ValueError."""
    making = Widening(narrow, sizes)
    with torch.device("meta"):
        model = LlamaForCausalLM(making.new)
    dtype = narrow.dtype
    with torch.no_grad():
        state = {name: tensor.to(dtype) for name, tensor in making.ends().items()}
        for place, source in enumerate(making.sources()):
            state |= {name: tensor.to(dtype) for name, tensor in making.layer(place, source).items()}
    model.load_state_dict(state, assign=True)
    model.model.rotary_emb = type(model.model.rotary_emb)(making.new)  # its frequencies are no parameters
    model.generation_config = narrow.generation_config
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, default=Path("resources/demo-target"))
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    narrow = LlamaForCausalLM.from_pretrained(args.demo, dtype=torch.bfloat16)
    model = widen(narrow, LLAMA_8B)
    model.save_pretrained(args.out, max_shard_size="4GB")
    AutoTokenizer.from_pretrained(args.demo).save_pretrained(args.out)
    print(f"{args.out}: {sum(p.numel() for p in model.parameters()) / 1e9:.2f} billion parameters")


if __name__ == "__main__":
    main()
