"""The ops themselves. `OPS` go under `torch.ops.sgl_kernel`; `SPECULATIVE` are functions of the package.

Arithmetic is in float32 and rounded once. Shapes: T tokens, N heads, D head size, B requests, V drafts per verify.
"""

import ctypes
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def convert_weight_packed(weight: Tensor) -> Tensor:
    return weight


def weight_packed_linear(x: Tensor, weight: Tensor, bias: Tensor | None, _is_packed: bool) -> Tensor:
    return F.linear(x, weight, bias)


def rmsnorm_cpu(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return (F.rms_norm(x.float(), x.shape[-1:], None, eps) * weight.float()).to(x.dtype)


def fused_add_rmsnorm_cpu(x: Tensor, residual: Tensor, weight: Tensor, eps: float) -> None:
    """In place: residual += x, x = norm(residual). The sum is rounded first, as it is for who reads the residual."""
    residual.add_(x)
    x.copy_(rmsnorm_cpu(residual, weight, eps))


def silu_and_mul_cpu(x: Tensor) -> Tensor:
    gate, up = x.chunk(2, dim=-1)
    return F.silu(gate) * up


def rotary_embedding_cpu(
    positions: Tensor, query: Tensor, key: Tensor, head_size: int, cos_sin_cache: Tensor, is_neox: bool
) -> tuple[Tensor, Tensor]:
    assert is_neox, "only the half-split layout of Llama"
    cos, sin = cos_sin_cache[positions.flatten()].float().unsqueeze(1).chunk(2, dim=-1)

    def rotate(x: Tensor) -> Tensor:
        first, second = x.reshape(positions.numel(), -1, head_size).float().chunk(2, dim=-1)
        turned = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
        return turned.to(x.dtype).reshape(x.shape)

    return rotate(query), rotate(key)


def init_cpu_threads_env(_cores: str) -> str:
    return ""


def initialize(_size: int, _rank: int) -> None:
    return None


def store_cache_cpu(key: Tensor, value: Tensor, keys: Tensor, values: Tensor, locations: Tensor, *_sizes: Any) -> None:
    keys[locations] = key.reshape(-1, *keys.shape[1:]).to(keys.dtype)
    values[locations] = value.reshape(-1, *values.shape[1:]).to(values.dtype)


def _attend(query_TND: Tensor, keys_SND: Tensor, values_SND: Tensor, scale: float, mask_TS: Tensor | None) -> Tensor:
    q, k, v = (part.float().transpose(0, 1).unsqueeze(0) for part in (query_TND, keys_SND, values_SND))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask_TS, scale=scale, enable_gqa=True)
    return out.squeeze(0).transpose(0, 1)


def decode_attention_cpu(
    query: Tensor, keys: Tensor, values: Tensor, _k_scale: Any, _v_scale: Any, out: Tensor, key: Tensor | None,
    value: Tensor | None, locations: Tensor, _logits: Tensor, req_to_token: Tensor, req_pool_indices: Tensor,
    seq_lens: Tensor, scale: float, cap: float, *_rest: Any,
) -> None:  # fmt: skip
    """One token per request, against its whole cache."""
    assert not cap
    if key is not None and value is not None:
        store_cache_cpu(key, value, keys, values, locations)
    for row, length in enumerate(seq_lens.tolist()):
        slots = req_to_token[int(req_pool_indices[row]), :length].long()
        out[row] = _attend(query[row : row + 1], keys[slots], values[slots], scale, None)[0].to(out.dtype)


def extend_attention_cpu(
    query: Tensor, _key: Tensor, _value: Tensor, out: Tensor, keys: Tensor, values: Tensor, _k_scale: Any,
    _v_scale: Any, req_to_token: Tensor, req_pool_indices: Tensor, seq_lens: Tensor, extend_lens: Tensor,
    extend_starts: Tensor,
    _longest: int, scale: float, cap: float, _cross: Any, _window: Any, _encoder: Any, _sinks: Any,
    tree_mask: Tensor | None, is_causal: bool,
) -> None:  # fmt: skip
    """Several new tokens per request: all of its prefix, and of the new ones those that the tree or causality allow."""
    assert not cap
    for row, (length, new, start) in enumerate(
        zip(seq_lens.tolist(), extend_lens.tolist(), extend_starts.tolist(), strict=False)
    ):
        if new == 0:
            continue
        slots = req_to_token[int(req_pool_indices[row]), :length].long()
        mask = torch.ones(new, length, dtype=torch.bool)
        if tree_mask is not None:
            mask[:, length - new :] = tree_mask.view(-1, new, new)[row]
        elif is_causal:
            mask[:, length - new :].tril_()
        here = slice(start, start + new)
        out[here] = _attend(query[here], keys[slots], values[slots], scale, mask).to(out.dtype)


OPS = (
    convert_weight_packed, weight_packed_linear, rmsnorm_cpu, fused_add_rmsnorm_cpu, silu_and_mul_cpu,
    rotary_embedding_cpu, init_cpu_threads_env, initialize, store_cache_cpu, decode_attention_cpu, extend_attention_cpu,
)  # fmt: skip

# Ops that SGLang looks up while it is imported; nothing here calls them.
IMPORTED = (
    "apply_rotary_pos_emb_cpu",
    "flash_attn_varlen_func",
    "conv3d_embed_cpu",
    "fused_gdn_gating_cpu",
    "fused_moe_router_cpu",
    "fused_dual_residual_rmsnorm_cpu",
    "fused_sigmoid_mul_cpu",
    "fused_qk_gemma_rmsnorm_cpu",
    "fused_qk_gemma_rmsnorm_with_gate_cpu",
    "fused_qkvzba_split_reshape_cat_contiguous_cpu",
    "fused_qkvzba_split_reshape_cat_cpu",
    "fused_sigmoid_gating_delta_rule_update_cpu",
)


def build_draft_decode_metadata_cpu(
    req_to_token: Tensor, req_pool_indices: Tensor, seq_lens: Tensor, topk: int, num_steps: int, pool_len: int
) -> Tensor:
    """Each branch's cache slots: the request's prefix, then the branch's own `num_steps`."""
    table = torch.zeros(req_pool_indices.numel() * topk, pool_len, dtype=req_to_token.dtype)
    for row, length in enumerate(seq_lens.tolist()):
        slots = req_to_token[int(req_pool_indices[row])]
        for branch in range(topk):
            own = length + branch * num_steps
            table[row * topk + branch, :length] = slots[:length]
            table[row * topk + branch, length : length + num_steps] = slots[own : own + num_steps]
    return table


def assign_draft_cache_locs_contiguous_cpu(
    req_pool_indices: Tensor, req_to_token: Tensor, seq_lens: Tensor, out: Tensor, _pool_len: int, topk: int,
    columns: int,
) -> None:  # fmt: skip
    starts = seq_lens.tolist()
    rows = [
        req_to_token[int(req), start : start + topk * columns]
        for req, start in zip(req_pool_indices, starts, strict=False)
    ]
    joined = torch.cat(rows)
    out.view(-1)[: joined.numel()] = joined.to(out.dtype)


def assign_extend_cache_locs_cpu(
    req_pool_indices: Tensor, req_to_token: Tensor, starts: Tensor, ends: Tensor, out: Tensor, _pool_len: int
) -> None:
    rows = [
        req_to_token[int(req), start:end]
        for req, start, end in zip(req_pool_indices, starts.tolist(), ends.tolist(), strict=False)
    ]
    joined = torch.cat(rows)
    out.view(-1)[: joined.numel()] = joined.to(out.dtype)


def assign_req_to_token_pool_cpu(
    req_pool_indices: Tensor, req_to_token: Tensor, starts: Tensor, ends: Tensor, locations: Tensor, _pool_len: int
) -> None:
    done = 0
    for req, start, end in zip(req_pool_indices.tolist(), starts.tolist(), ends.tolist(), strict=False):
        req_to_token[req, start:end] = locations[done : done + end - start].to(req_to_token.dtype)
        done += end - start


def fill_bonus_tokens_cpu(accepted: Tensor, accept_lens: Tensor, bonus: Tensor, stride: int) -> None:
    last = torch.arange(bonus.numel()) * stride + accept_lens.long() - 1
    bonus.copy_(accepted.view(-1)[last].to(bonus.dtype))


def fill_accept_out_cache_loc_cpu(accept_index: Tensor, locations: Tensor, out: Tensor, *_rest: Any) -> None:
    kept = accept_index.view(-1)
    kept = kept[kept >= 0].long()
    out.view(-1)[: kept.numel()] = locations[kept].to(out.dtype)


def verify_tree_greedy_cpu(
    predicts: Tensor,
    accept_index: Tensor,
    accept_token_num: Tensor,
    candidates: Tensor,
    retrive_index: Tensor,
    retrive_next_token: Tensor,
    retrive_next_sibling: Tensor,
    target_predict: Tensor,
) -> None:
    """Walk down from the root while a child is what the target says."""
    says = target_predict.reshape(-1)
    for row in range(candidates.shape[0]):
        node = int(retrive_index[row, 0])
        accept_index[row, 0] = node
        accepted, at = 0, 0
        while accepted + 1 < accept_index.shape[1]:
            at = int(retrive_next_token[row, at])
            while at != -1 and int(candidates[row, at]) != int(says[node]):
                at = int(retrive_next_sibling[row, at])
            if at == -1:
                break
            predicts[node] = says[node].to(predicts.dtype)
            accepted += 1
            node = int(retrive_index[row, at])
            accept_index[row, accepted] = node
        accept_token_num[row] = accepted
        predicts[node] = says[node].to(predicts.dtype)


def build_tree_kernel_efficient_cpu(
    parents: Tensor, selected: Tensor, seq_lens: Tensor, mask: Tensor, positions: Tensor, index: Tensor, child: Tensor,
    sibling: Tensor, topk: int, _depth: int, num_drafts: int, mask_mode: int,
) -> None:  # fmt: skip
    """Who descends from whom. Draft i+1 of a request is the candidate `selected[i]`; candidates come in rows of `topk`,
    one row per parent, and `parents[row]` is the candidate whose children they are (row 0: the root's)."""
    assert int(mask_mode) == 1, mask_mode
    allowed = mask.view(-1, num_drafts, num_drafts)
    for row, length in enumerate(seq_lens.tolist()):
        chosen, origin = selected[row].tolist(), parents[row].tolist()
        above = [0] * num_drafts
        for node in range(1, num_drafts):
            group = chosen[node - 1] // topk
            above[node] = 0 if group == 0 else chosen.index(origin[group]) + 1
        allowed[row] = False
        for node in range(num_drafts):
            index[row, node] = row * num_drafts + node
            depth, at = 0, node
            while at:
                allowed[row, node, at] = True
                depth, at = depth + 1, above[at]
            allowed[row, node, 0] = True
            positions[row * num_drafts + node] = length + depth
        for node in range(num_drafts - 1, 0, -1):
            sibling[row, node] = child[row, above[node]]
            child[row, above[node]] = node


def copy_all_layer_kv_cache_cpu(buffers: Tensor, strides: Tensor, targets: Tensor, sources: Tensor) -> None:
    """Move slots of every layer's cache, all read before any is written."""
    for address, stride in zip(buffers.tolist(), strides.tolist(), strict=True):
        read = [ctypes.string_at(address + slot * stride, stride) for slot in sources.tolist()]
        for slot, data in zip(targets.tolist(), read, strict=True):
            ctypes.memmove(address + slot * stride, data, stride)


SPECULATIVE = {
    function.__name__: function
    for function in (
        build_draft_decode_metadata_cpu,
        assign_draft_cache_locs_contiguous_cpu,
        assign_extend_cache_locs_cpu,
        assign_req_to_token_pool_cpu,
        fill_bonus_tokens_cpu,
        fill_accept_out_cache_loc_cpu,
        verify_tree_greedy_cpu,
        build_tree_kernel_efficient_cpu,
        copy_all_layer_kv_cache_cpu,
    )
}
