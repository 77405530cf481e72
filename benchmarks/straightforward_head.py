"""The training-time test as it is usually written, to compare with: padded, full width, eager, plain autograd.

Every sequence is padded to the longest of its batch; the teacher's logits over the whole vocabulary exist for every
position at once; attention over the causal keys and one diagonal key per earlier step is one eager softmax over
[B, N, T, T + k] scores; every position passes every step, and positions that do not count are masked out of the loss.
Head, loss and optimizer are those of Eyrie, and so is the result: the benchmark checks that both losses are equal.

Shapes: B sequences, T tokens of the longest, H hidden, V and D target and draft vocabulary, N query heads, K steps.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from eyrie.eagle3.batches import Document
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.teacher import Teacher
from eyrie.schemas import span_rows, teacher_positions


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
            p_BTD = logits_BTV.float()[..., self.teacher.target_ids_D].softmax(-1)
        num_tokens = ids_BT.shape[1]
        positions_BT = torch.arange(num_tokens, device=device)[None]
        future_TT = torch.ones(num_tokens, num_tokens, dtype=torch.bool, device=device).triu(1)
        layer = head.midlayer
        weights = layer.weights()
        hidden_BTH = head.fuse(aux_BTE)
        keys: list[Tensor] = []
        values: list[Tensor] = []
        loss = torch.zeros((), device=device)
        for step in range(num_steps):
            embeds_BTH = head.embed(_shift(ids_BT, step + 1), self.embedding_VH)
            queries, key, value = layer.project(embeds_BTH, hidden_BTH, head.rotation(positions_BT + step), weights)
            groups = queries.shape[2] // key.shape[2]
            keys.append(key.repeat_interleave(groups, 2).transpose(1, 2))
            values.append(value.repeat_interleave(groups, 2).transpose(1, 2))
            queries = queries.transpose(1, 2) * queries.shape[-1] ** -0.5
            scores = (queries @ keys[0].transpose(2, 3)).masked_fill(future_TT, -torch.inf)
            diagonals = [(queries * earlier).sum(-1, keepdim=True) for earlier in keys[1:]]
            shares = torch.cat([scores, *diagonals], -1).softmax(-1)
            attended = shares[..., :num_tokens] @ values[0]
            for index, earlier in enumerate(values[1:]):
                attended = attended + shares[..., num_tokens + index, None] * earlier
            hidden_BTH = layer.finish(hidden_BTH, attended.transpose(1, 2).flatten(2), weights)
            log_q_BTD = head.logits(hidden_BTH).log_softmax(-1)
            target_BTD = _shift(p_BTD, step + 1)
            divergence_BT = (torch.xlogy(target_BTD, target_BTD) - target_BTD * log_q_BTD).sum(-1)
            supervised_BT = supervised_KBT[step]
            if supervised_BT.any():
                mean = divergence_BT.masked_fill(~supervised_BT, 0.0).sum() / supervised_BT.sum()
                loss = loss + self.decay**step * mean
        return loss


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
