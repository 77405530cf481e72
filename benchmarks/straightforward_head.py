"""The training-time test as public trainers write it, to compare with: padded, full width, eager, plain autograd.

Every sequence is padded to the longest of its batch; the teacher's logits over the whole vocabulary exist for every
position at once; one linear layer each for q, k, v, gate and up; attention over the causal keys and one diagonal key
per earlier step is one eager softmax over [B, N, T, T + k] scores; every position passes every step, and positions that
do not count are masked out of the loss, which is the cross-entropy; each step counts how often head and teacher agree.
Mirrors SpecForge `core/eagle3.py` and `modeling/draft/llama3_eagle.py` (attention backend "sdpa"), but for two things:
which positions count is the exact rule of Eyrie, and a step's mean is over those. The weights are Eyrie's, and so is
the loss: the benchmark checks that both are equal.

Shapes: B sequences, T tokens of the longest, H hidden, V and D target and draft vocabulary, N query heads, K steps.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from eyrie.eagle3.batches import Document
from eyrie.eagle3.head import DecoderLayer, Eagle3Head
from eyrie.eagle3.rope import Rotation, rotate
from eyrie.eagle3.teacher import Teacher
from eyrie.tables import span_rows, teacher_positions


class StraightforwardLoss(torch.nn.Module):
    """The same loss as `TttLoss`, for a list of documents."""

    def __init__(
        self, head: Eagle3Head, embedding_VH: Tensor, teacher: Teacher, *, num_steps: int, decay: float
    ) -> None:
        super().__init__()
        self.head, self.embedding_VH, self.teacher = head, embedding_VH, teacher
        self.num_steps, self.decay = num_steps, decay

    def forward(self, documents: Sequence[Document]) -> Tensor:
        head, num_steps = self.head, self.num_steps
        device = self.embedding_VH.device
        ids_BT, aux_BTE, last_BTH, supervised_KBT = (x.to(device) for x in _padded(documents, num_steps))
        with torch.no_grad():
            logits_BTV = last_BTH.to(self.teacher.lm_head_VH.dtype) @ self.teacher.lm_head_VH.T
            inside_BT = head.t2d[logits_BTV.argmax(-1)]
            p_BTD = logits_BTV[..., head.t2d].float().softmax(-1)
            negative_entropy_BT = torch.xlogy(p_BTD, p_BTD).sum(-1)
            del logits_BTV
        num_tokens = ids_BT.shape[1]
        positions_BT = torch.arange(num_tokens, device=device)[None]
        mask_TT = torch.full((num_tokens, num_tokens), torch.finfo(aux_BTE.dtype).min, device=device).triu(1)
        hidden_BTH = head.fuse(aux_BTE)
        keys: list[Tensor] = []
        values: list[Tensor] = []
        self.agreements: list[Tensor] = []
        loss = torch.zeros((), device=device)
        for step in range(num_steps):
            embeds_BTH = head.embed(_shift(ids_BT, step + 1), self.embedding_VH)
            rotation = head.rotation(positions_BT + step)
            hidden_BTH = _layer(head.midlayer, embeds_BTH, hidden_BTH, rotation, keys, values, mask_TT)
            logits_BTD = head.logits(hidden_BTH).float()
            target_BTD = _shift(p_BTD, step + 1)
            mask_BT1 = supervised_KBT[step][..., None]
            with torch.no_grad():
                agree_BT = logits_BTD.argmax(-1) == target_BTD.argmax(-1)
                self.agreements.append((agree_BT & mask_BT1[..., 0] & _shift(inside_BT, step + 1)).sum())
            entropies_BTD = target_BTD * logits_BTD.log_softmax(-1)
            if mask_BT1.any():
                cross = -(mask_BT1 * entropies_BTD).sum()
                constant = _shift(negative_entropy_BT, step + 1)[mask_BT1[..., 0]].sum()
                loss = loss + self.decay**step * (cross + constant) / mask_BT1.sum()
        return loss


def _layer(
    layer: DecoderLayer,
    embeds_BTH: Tensor,
    hidden_BTH: Tensor,
    rotation: Rotation,
    keys: list[Tensor],
    values: list[Tensor],
    mask_TT: Tensor,
) -> Tensor:
    """The next hidden state; this step's keys and values are appended to those of the steps before."""
    attention, mlp, num_tokens = layer.self_attn, layer.mlp, len(mask_TT)
    assert layer.input_layernorm is not None
    inputs = torch.cat([layer.input_layernorm(embeds_BTH), layer.hidden_norm(hidden_BTH)], -1)
    queries, key, value = (
        torch.unflatten(projection(inputs), -1, (-1, layer.head_dim))
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    groups = queries.shape[2] // key.shape[2]
    keys.append(rotate(key, rotation).repeat_interleave(groups, 2).transpose(1, 2))
    values.append(value.repeat_interleave(groups, 2).transpose(1, 2))
    queries, root = rotate(queries, rotation).transpose(1, 2), math.sqrt(layer.head_dim)
    scores = queries @ keys[0].transpose(2, 3) / root + mask_TT
    for earlier in keys[1:]:
        scores = torch.cat([scores, ((queries * earlier).sum(-1) / root)[..., None]], -1)
    shares = scores.softmax(-1, dtype=torch.float32).to(queries.dtype)
    attended = shares[..., :num_tokens] @ values[0]
    for index, earlier in enumerate(values[1:]):
        attended = attended + shares[..., num_tokens + index, None] * earlier
    middle = hidden_BTH + attention.o_proj(attended.transpose(1, 2).flatten(2))
    normed = layer.post_attention_layernorm(middle)
    next_hidden: Tensor = middle + mlp.down_proj(F.silu(mlp.gate_proj(normed)) * mlp.up_proj(normed))
    return next_hidden


def _padded(documents: Sequence[Document], num_steps: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    longest = max(len(document) for document in documents)

    def pad(x: Tensor) -> Tensor:
        return F.pad(x, (0, 0) * (x.dim() - 1) + (0, longest - len(x)))

    supervised_KBT = torch.zeros(num_steps, len(documents), longest, dtype=torch.bool)
    for index, document in enumerate(documents):
        for start, end in document.spans:
            rows = span_rows(start, end)
            for step in range(num_steps):
                supervised_KBT[step, index, rows.start : max(rows.stop - step, rows.start)] = True
    ids, aux, last = (
        torch.stack([pad(find(document)) for document in documents])
        for find in (lambda document: document.input_ids, lambda document: document.aux, _last)
    )
    return ids, aux.float(), last.float(), supervised_KBT


def _last(document: Document) -> Tensor:
    """[T, H]: the last hidden state of every token, as public trainers hold it; zeros where nobody is taught."""
    last_TH = document.teachers.new_zeros(len(document), document.teachers.shape[1])
    last_TH[teacher_positions(document.spans)] = document.teachers
    return last_TH


def _shift(x_BT: Tensor, by: int) -> Tensor:
    """Position t gets what stood at t + by; zeros come in from the right."""
    by = min(by, x_BT.shape[1])
    return torch.cat([x_BT[:, by:], torch.zeros_like(x_BT[:, :by])], 1)
