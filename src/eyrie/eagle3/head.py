"""The EAGLE-3 draft head: one decoder layer that continues the target's hidden states by itself.

In: frozen target embeddings of the next tokens and the hidden state g (fused from the target's aux hidden states, or
the head's own output of the step before). Out: the next g, and logits over the draft vocabulary. Parameter names are
the checkpoint's. Sources: arXiv:2503.01840, SGLang 0.5.23 `models/llama_eagle3.py`.

Shapes: B batch, T tokens, S keys (cached and new), H hidden, N query heads, G key/value heads, D head dimension.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.rope import cos_sin, rotate, signed_frequencies
from eyrie.eagle3.vocab import DraftVocab


class KeyValueCache(Protocol):
    """Where serving keeps the keys and values of earlier tokens."""

    def update(self, keys_BGTD: Tensor, values_BGTD: Tensor) -> tuple[Tensor, Tensor]:
        """Append the new keys and values; return all of them, [B, G, S, D] each, the new ones last."""
        ...


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class Attention(nn.Module):
    """Projections only; who attends to what is the caller's business (serving: a cache; training: packed rows)."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads, self.head_dim = (
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
        )
        query, key_value = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        self.q_proj = nn.Linear(2 * config.hidden_size, query, bias=False)
        self.k_proj = nn.Linear(2 * config.hidden_size, key_value, bias=False)
        self.v_proj = nn.Linear(2 * config.hidden_size, key_value, bias=False)
        self.o_proj = nn.Linear(query, config.hidden_size, bias=False)


class Mlp(nn.Module):
    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)


class MidLayer(nn.Module):
    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = Mlp(config)
        self.hidden_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class Eagle3Head(nn.Module):
    """The head's weights and its one layer. `d2t` and `t2d` hold the draft vocabulary (see eagle3/vocab.py)."""

    d2t: Tensor  # [draft vocabulary] int64 offsets: target id = draft id + d2t[draft id]
    t2d: Tensor  # [target vocabulary] bool: is this target id in the draft vocabulary
    frequencies_D: Tensor

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.fc = nn.Linear(3 * config.target_hidden_size, config.hidden_size, bias=False)
        self.midlayer = MidLayer(config)
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = nn.Linear(config.hidden_size, config.draft_vocab_size, bias=False)
        self.register_buffer("d2t", torch.zeros(config.draft_vocab_size, dtype=torch.int64))
        self.register_buffer("t2d", torch.zeros(config.vocab_size, dtype=torch.bool))
        frequencies_D, self.rope_scale = signed_frequencies(config)
        self.register_buffer("frequencies_D", frequencies_D, persistent=False)
        self._fused: tuple[Tensor, Tensor] | None = None

    def set_vocab(self, vocab: DraftVocab) -> None:
        """Take the draft vocabulary's maps."""
        self.d2t.copy_(vocab.d2t)
        self.t2d.copy_(vocab.t2d)

    def start_from(self, lm_head_VH: Tensor) -> None:
        """Start the output matrix from the target's own rows of the draft vocabulary; the rest stays random."""
        with torch.no_grad():
            self.lm_head.weight.copy_(lm_head_VH[self.t2d])

    def fuse(self, aux: Tensor) -> Tensor:
        """Aux hidden states [..., 3H] (low | mid | high) -> the first g [..., H]."""
        fused: Tensor = self.fc(aux)
        return fused

    def forward(
        self,
        embeds_BTH: Tensor,
        hidden_BTH: Tensor,
        positions_BT: Tensor,
        *,
        cache: KeyValueCache | None,
        mask_B1TS: Tensor | None,
    ) -> Tensor:
        """One pass of the layer: g [B, T, H] (un-normed) and the next tokens' embeddings -> the next g [B, T, H].

        `mask_B1TS` is bool, True = attend; None is plain causal with the T new tokens last. Without a cache the T
        tokens attend to themselves only.
        """
        queries_BTND, keys_BTGD, values_BTGD = self.project(embeds_BTH, hidden_BTH, positions_BT)
        keys_BGSD, values_BGSD = keys_BTGD.transpose(1, 2), values_BTGD.transpose(1, 2)
        if cache is not None:
            keys_BGSD, values_BGSD = cache.update(keys_BGSD, values_BGSD)
        num_new, num_keys = queries_BTND.shape[1], keys_BGSD.shape[2]
        if mask_B1TS is None and 1 < num_new < num_keys:
            mask_B1TS = torch.ones(num_new, num_keys, dtype=torch.bool, device=hidden_BTH.device).tril(
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
        return self.finish(hidden_BTH, attended_BNTD.transpose(1, 2).flatten(2))

    def project(self, embeds_BTH: Tensor, hidden_BTH: Tensor, positions_BT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries [B, T, N, D] and keys [B, T, G, D], and values [B, T, G, D]."""
        layer, attention = self.midlayer, self.midlayer.self_attn
        inputs_BTE = torch.cat([layer.input_layernorm(embeds_BTH), layer.hidden_norm(hidden_BTH)], dim=-1)
        weight = self._qkv_weight() if self._fused is None else self._fused[0]
        heads = torch.unflatten(F.linear(inputs_BTE, weight), -1, (-1, attention.head_dim))
        rotated, values_BTGD = torch.split(
            heads, [attention.num_heads + attention.num_kv_heads, attention.num_kv_heads], 2
        )
        rotated = rotate(rotated, *cos_sin(positions_BT, self.frequencies_D, self.rope_scale))
        queries_BTND, keys_BTGD = torch.split(rotated, [attention.num_heads, attention.num_kv_heads], 2)
        return queries_BTND, keys_BTGD, values_BTGD

    def finish(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """Output projection, residual on the un-normed g, MLP: g [..., H], attention [..., N*D] -> the next g."""
        mlp = self.midlayer.mlp
        middle = hidden + self.midlayer.self_attn.o_proj(attended)
        weight = self._gate_up_weight() if self._fused is None else self._fused[1]
        gate, up = F.linear(self.midlayer.post_attention_layernorm(middle), weight).chunk(2, dim=-1)
        next_hidden: Tensor = middle + mlp.down_proj(F.silu(gate) * up)
        return next_hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """g [..., H] -> logits over the draft vocabulary [..., draft_vocab_size]."""
        logits: Tensor = self.lm_head(self.norm(hidden))
        return logits

    def to_target_ids(self, draft_ids: Tensor) -> Tensor:
        """Draft vocabulary ids (int64) -> target vocabulary ids."""
        return draft_ids + self.d2t[draft_ids]

    def fuse_for_inference(self) -> None:
        """Keep q/k/v and gate/up as one matrix each: fewer calls per drafted token. Weights must not change after."""
        self._fused = (self._qkv_weight().detach(), self._gate_up_weight().detach())

    def _qkv_weight(self) -> Tensor:
        attention = self.midlayer.self_attn
        return torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight])

    def _gate_up_weight(self) -> Tensor:
        return torch.cat([self.midlayer.mlp.gate_proj.weight, self.midlayer.mlp.up_proj.weight])
