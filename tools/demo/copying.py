"""First weights that can copy: an induction circuit written by hand into a fresh Llama.

Copying words from the prompt is what small models learn last, and everything in the demo text
depends on it, so the circuit is there from the start and training only has to refine it.

- Layer 0, head 0 attends to the previous token: queries and keys are constant (they read the one
  embedding column that all tokens share), and their rotary phases are chosen to peak one step back.
  Its value is a projection of that token, written to a second subspace of the residual stream.
- Layer 1 matches its own token with the previous token of earlier positions, on the slow rotary
  pairs only, which hardly turn over a prompt. All its heads copy what they attend to.
- Later layers start by copying a little of what they attend to.

H hidden size, D head size, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import LlamaForCausalLM

EMBEDDING_STD = 0.15
SHARED_COLUMN = 0.3  # value of column 0 of every embedding
FINAL_NORM = 0.6  # first weight of the final norm: bounds the first logits
PREVIOUS_AMPLITUDE = 4.0  # of queries and keys per unit of the shared column
PREVIOUS_GAIN = 0.25  # size of the previous token beside the current one, both after the norm
MATCH_GAIN = 4.5
COPY_GAIN = 1.0  # per head
FIRST_SLOW_PAIR = 5  # rotary pairs from here on turn by less than 0.02 rad per position


def rotary_frequencies(model: LlamaForCausalLM) -> torch.Tensor:
    """Radians per position of each rotary pair, [D / 2]; pair i holds dimensions i and i + D / 2."""
    theta = model.config.rope_parameters["rope_theta"]
    half = model.config.head_dim // 2
    return torch.pow(torch.tensor(theta), -torch.arange(half) / half)


def write_copying_circuit(model: LlamaForCausalLM) -> None:
    """Overwrite embeddings, norm and attention in place; random parts use torch's generator."""
    head, heads = model.config.head_dim, model.config.num_attention_heads
    layers = model.model.layers
    with torch.no_grad():
        embedding_VH = model.model.embed_tokens.weight.normal_(std=EMBEDDING_STD)
        embedding_VH[:, 0] = SHARED_COLUMN
        model.model.norm.weight.fill_(FINAL_NORM)
        for layer in layers:
            value_DH = layer.self_attn.v_proj.weight
            nn.init.orthogonal_(value_DH)
            value_DH[:, 0] = 0.0  # values tell tokens apart; the shared column cannot
            layer.self_attn.o_proj.weight.copy_(0.1 * value_DH.T.repeat(1, heads))
        frequencies = rotary_frequencies(model)
        first, second = layers[0].self_attn, layers[1].self_attn
        # The fastest three pairs tell neighbours apart and do not repeat within hundreds of steps.
        phase = (torch.arange(head // 2) < 3).float()
        first.k_proj.weight[:, 0] = PREVIOUS_AMPLITUDE * torch.cat([phase, torch.zeros_like(phase)])
        first.q_proj.weight[:head, 0] = PREVIOUS_AMPLITUDE * torch.cat(
            [phase * frequencies.cos(), -phase * frequencies.sin()]
        )
        subspace_HD = nn.init.orthogonal_(torch.empty(model.config.hidden_size, head))
        subspace_HD[0] = 0.0
        first.o_proj.weight[:, :head] = PREVIOUS_GAIN * subspace_HD
        slow = (torch.arange(head) % (head // 2) >= FIRST_SLOW_PAIR).float()[:, None]
        match_DH = MATCH_GAIN * slow * first.v_proj.weight
        second.q_proj.weight.copy_(match_DH.repeat(heads, 1))
        second.k_proj.weight.copy_(MATCH_GAIN * slow * subspace_HD.T)
        second.o_proj.weight.copy_(COPY_GAIN * second.v_proj.weight.T.repeat(1, heads))
