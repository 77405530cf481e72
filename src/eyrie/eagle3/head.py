"""The EAGLE-3 draft head: a decoder layer (or a few) that continues the target's hidden states by itself.

In: frozen target embeddings of the next tokens and the hidden state g (fused from the target's aux hidden states, or
the head's own output of the step before). Out: the next g, and logits over the draft vocabulary. Parameter names are
the checkpoint's. EAGLE-3.1 is two options of the same head: `fc_norm` norms each aux hidden state before `fc`, and
`norm_output` feeds the normed state forward. Sources: arXiv:2503.01840, SGLang 0.5.23 `models/llama_eagle3.py`.

Shapes: B batch, T tokens, S keys (cached and new), H hidden, N query heads, G key/value heads, D head dimension.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.rope import Rotation, cos_sin, rotate, signed_frequencies
from eyrie.eagle3.vocab import DraftVocab

Product = Callable[[Tensor], Tensor]  # x -> x W^T for one weight


@dataclass(frozen=True)
class Products:
    """What a layer multiplies by after attention: gate and up are one matrix."""

    output: Product
    gate_up: Product
    down: Product


class KeyValueCache(Protocol):
    """Where serving keeps the keys and values of earlier tokens."""

    def update(self, layer: int, keys_BGTD: Tensor, values_BGTD: Tensor) -> tuple[Tensor, Tensor]:
        """Append a layer's new keys and values; return all of them, [B, G, S, D] each, the new ones last."""
        ...


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)

    def unscaled(self, x: Tensor) -> Tensor:
        """x [..., size] over its root mean square, without the weight."""
        return F.rms_norm(x, self.weight.shape, None, self.eps)


class Attention(nn.Module):
    """Projections only; who attends to what is the caller's business (serving: a cache; training: packed rows)."""

    def __init__(self, config: HeadConfig, input_size: int) -> None:
        super().__init__()
        query, key_value = (
            heads * config.head_dim for heads in (config.num_attention_heads, config.num_key_value_heads)
        )
        self.q_proj = nn.Linear(input_size, query, bias=False)
        self.k_proj = nn.Linear(input_size, key_value, bias=False)
        self.v_proj = nn.Linear(input_size, key_value, bias=False)
        self.o_proj = nn.Linear(query, config.hidden_size, bias=False)

    def keys_values(self, columns: slice = slice(None)) -> Tensor:
        """The weights of keys and values as one matrix [2G D, inputs], or of some inputs."""
        return torch.cat([self.k_proj.weight[:, columns], self.v_proj.weight[:, columns]])


class SwiGlu(torch.autograd.Function):
    """apply([..., 2M]) -> silu(first half) * second half [..., M], keeping nothing but its input for the backward."""

    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        ctx.save_for_backward(both)
        gate, up = both.chunk(2, dim=-1)
        return F.silu(gate).mul_(up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (both,) = ctx.saved_tensors
        gate, up = both.chunk(2, dim=-1)
        grads = torch.empty_like(both)
        grad_gate, grad_up = grads.chunk(2, dim=-1)
        torch.mul(grad, F.silu(gate), out=grad_up)
        torch.ops.aten.silu_backward.grad_input(grad * up, gate, grad_input=grad_gate)
        return grads


class Mlp(nn.Module):
    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)


class DecoderLayer(nn.Module):
    """The first layer reads the next token's embedding beside g, each under its own norm; later layers read g alone."""

    def __init__(self, config: HeadConfig, *, first: bool) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads, self.head_dim = (
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
        )
        self.self_attn = Attention(config, config.hidden_size * (2 if first else 1))
        self.mlp = Mlp(config)
        self.hidden_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps) if first else None
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self._fused: tuple[Tensor, Products] | None = None

    def products(self, multiply: Callable[[Tensor], Product] | None = None) -> Products:
        """What `finish` multiplies by, made once for many passes; `multiply` makes a product of a weight."""
        make, mlp = multiply or _plain_product, self.mlp
        return Products(
            output=make(self.self_attn.o_proj.weight),
            gate_up=make(torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight])),
            down=make(mlp.down_proj.weight),
        )

    def forward(
        self,
        embeds_BTH: Tensor,
        hidden_BTH: Tensor,
        rotation: Rotation,
        attend: Callable[[Tensor, Tensor, Tensor], Tensor],
    ) -> Tensor:
        """The next g [B, T, H].

        `attend` gets queries [B, T, N, D] and keys [B, T, G, D], rotated, and values [B, T, G, D]; it returns
        [B, T, N * D].
        """
        qkv_EH, products = self._fused or (self._qkv(), self.products())
        inputs = self.hidden_norm(hidden_BTH)
        if self.input_layernorm is not None:
            inputs = torch.cat([self.input_layernorm(embeds_BTH), inputs], -1)
        heads = torch.unflatten(F.linear(inputs, qkv_EH), -1, (-1, self.head_dim))
        rotated, values_BTGD = torch.split(heads, [self.num_heads + self.num_kv_heads, self.num_kv_heads], 2)
        queries_BTND, keys_BTGD = torch.split(rotate(rotated, rotation), [self.num_heads, self.num_kv_heads], 2)
        return self.finish(hidden_BTH, attend(queries_BTND, keys_BTGD, values_BTGD), products)

    def _qkv(self) -> Tensor:
        return torch.cat([self.self_attn.q_proj.weight, self.self_attn.keys_values()])

    def finish(self, hidden: Tensor, attended: Tensor, products: Products) -> Tensor:
        """Output projection, residual on the un-normed g, MLP: g [..., H], attention [..., N*D] -> the next g."""
        middle = hidden + products.output(attended)
        both = products.gate_up(self.post_attention_layernorm(middle))
        return middle + products.down(SwiGlu.apply(both))

    def fuse_for_inference(self) -> None:
        """Keep q/k/v and gate/up as one matrix each: fewer calls per drafted token. Weights must not change after."""
        with torch.no_grad():
            self._fused = self._qkv(), self.products()


def _plain_product(weight: Tensor) -> Product:
    return partial(F.linear, weight=weight)


class Eagle3Head(nn.Module):
    """The head's weights and its layers. `d2t` and `t2d` hold the draft vocabulary (see eagle3/vocab.py)."""

    d2t: Tensor  # [draft vocabulary] int64 offsets: target id = draft id + d2t[draft id]
    t2d: Tensor  # [target vocabulary] bool: is this target id in the draft vocabulary
    frequencies_D: Tensor

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        size, target_size, eps = config.hidden_size, config.target_hidden_size, config.rms_norm_eps
        self.fc_norm = nn.ModuleList([RMSNorm(target_size, eps) for _ in range(3)] if config.fc_norm else [])
        self.fc = nn.Linear(3 * target_size, size, bias=False)
        self.midlayer = DecoderLayer(config, first=True)
        # engines call the first layer `midlayer` or `layers.0`, and the others `layers.1` and on
        later = {str(index): DecoderLayer(config, first=False) for index in range(1, config.num_hidden_layers)}
        self.layers = nn.ModuleDict(later)
        self.norm = RMSNorm(size, eps)
        self.lm_head = nn.Linear(size, config.draft_vocab_size, bias=False)
        # engines cannot share the target's embedding with a head of another width
        self.embed_tokens = nn.Embedding(config.vocab_size, size) if size != target_size else None
        self.register_buffer("d2t", torch.zeros(config.draft_vocab_size, dtype=torch.int64))
        self.register_buffer("t2d", torch.zeros(config.vocab_size, dtype=torch.bool))
        frequencies_D, self.rope_scale = signed_frequencies(config)
        self.register_buffer("frequencies_D", frequencies_D, persistent=False)

    @property
    def stack(self) -> list[DecoderLayer]:
        """All decoder layers in order."""
        return [self.midlayer, *self.layers.values()]  # type: ignore[list-item]

    def set_vocab(self, vocab: DraftVocab) -> None:
        """Take the draft vocabulary's maps."""
        self.d2t.copy_(vocab.d2t)
        self.t2d.copy_(vocab.t2d)

    def start_from(self, embedding_VH: Tensor, lm_head_VH: Tensor, *, logit_scale: float = 1.0) -> None:
        """Start the output matrix from the target's own rows of the draft vocabulary, with the target's scale in them:
        the head has none; the rest stays random.

        A head of another width starts instead with the target's embedding, turned to its principal directions.
        """
        with torch.no_grad():
            if self.embed_tokens is None:
                self.lm_head.weight.copy_(lm_head_VH[self.t2d] * logit_scale)
            else:
                wide = embedding_VH.double()
                directions = torch.linalg.eigh(wide.T @ wide).eigenvectors.flip(-1)[:, : self.config.hidden_size]
                self.embed_tokens.weight.zero_()
                self.embed_tokens.weight[:, : directions.shape[1]] = (wide @ directions).to(self.fc.weight.dtype)

    def embed(self, ids: Tensor, target_embedding_VH: Tensor) -> Tensor:
        """Embeddings of target ids [...] -> [..., H]: the target's own, or the head's where the widths differ."""
        return F.embedding(ids, target_embedding_VH if self.embed_tokens is None else self.embed_tokens.weight)

    def fuse(self, aux: Tensor, *, fold: bool = False) -> Tensor:
        """Aux hidden states [..., 3H] (low | mid | high) -> the first g [..., H].

        With `fold` the weights of `fc_norm` are multiplied into `fc`, not into `aux`: the same to rounding.
        """
        weight, norms = self.fc.weight, [norm for norm in self.fc_norm if isinstance(norm, RMSNorm)]
        if norms:
            parts = zip(norms, aux.chunk(3, dim=-1), strict=True)
            aux = torch.cat([norm.unscaled(part) if fold else norm(part) for norm, part in parts], dim=-1)
            if fold:
                weight = weight * torch.cat([norm.weight for norm in norms])
        return F.linear(aux, weight)

    def forward(
        self,
        embeds_BTH: Tensor,
        hidden_BTH: Tensor,
        positions_BT: Tensor,
        *,
        cache: KeyValueCache | None,
        mask_B1TS: Tensor | None,
    ) -> Tensor:
        """One pass: g [B, T, H] and the next tokens' embeddings -> the next g [B, T, H].

        `mask_B1TS` is bool (True = attend) or added to the scores, in their type; None is plain causal with the T new
        tokens last. Without a cache the T tokens attend to themselves only.
        """
        rotation = self.rotation(positions_BT)
        for index, layer in enumerate(self.stack):
            attend = partial(self._attend, index, cache, mask_B1TS)
            hidden_BTH = layer(embeds_BTH, hidden_BTH, rotation, attend)
        return self.feed_forward(hidden_BTH)

    def _attend(
        self,
        index: int,
        cache: KeyValueCache | None,
        mask_B1TS: Tensor | None,
        queries_BTND: Tensor,
        keys_BTGD: Tensor,
        values_BTGD: Tensor,
    ) -> Tensor:
        keys_BGSD, values_BGSD = keys_BTGD.transpose(1, 2), values_BTGD.transpose(1, 2)
        if cache is not None:
            keys_BGSD, values_BGSD = cache.update(index, keys_BGSD, values_BGSD)
        num_new, num_keys = queries_BTND.shape[1], keys_BGSD.shape[2]
        if mask_B1TS is None and 1 < num_new < num_keys:
            mask_B1TS = torch.ones(num_new, num_keys, dtype=torch.bool, device=queries_BTND.device).tril(
                num_keys - num_new
            )
        attended_BNTD = F.scaled_dot_product_attention(
            queries_BTND.transpose(1, 2),
            keys_BGSD,
            values_BGSD,
            attn_mask=mask_B1TS,
            is_causal=mask_B1TS is None and num_new > 1,
            enable_gqa=True,
        )
        return attended_BNTD.transpose(1, 2).flatten(2)

    def rotation(self, positions_BT: Tensor) -> Rotation:
        """What `rotate` needs. Positions count from 0 in each sequence."""
        return cos_sin(positions_BT, self.frequencies_D, self.rope_scale)

    def feed_forward(self, hidden: Tensor) -> Tensor:
        """The last layer's output [..., H] -> the g of the next step: as it is (EAGLE-3) or normed (EAGLE-3.1)."""
        fed: Tensor = self.norm(hidden) if self.config.norm_output else hidden
        return fed

    def final_norm(self, hidden: Tensor) -> Tensor:
        """g [..., H] -> the input of `lm_head`."""
        normed: Tensor = hidden if self.config.norm_output else self.norm(hidden)
        return normed

    def logits(self, hidden: Tensor) -> Tensor:
        """g [..., H] -> logits over the draft vocabulary [..., draft_vocab_size]."""
        logits: Tensor = self.lm_head(self.final_norm(hidden))
        return logits

    def to_target_ids(self, draft_ids: Tensor) -> Tensor:
        """Draft vocabulary ids (int64) -> target vocabulary ids."""
        return draft_ids + self.d2t[draft_ids]

    def fuse_for_inference(self) -> None:
        """Fewer calls per drafted token. Weights must not change after."""
        for layer in self.stack:
            layer.fuse_for_inference()
