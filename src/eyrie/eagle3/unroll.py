"""The head's states at every step of the training-time test, with what training saves against running it as serving.

In: a packed batch and the target's frozen embedding. Out: the state of every row after each step. Source:
arXiv:2503.01840; which rows: eagle3/batches.py. What is saved:

- in the last layer only rows make queries; every token makes keys and values, and that at step 0 alone;
- row t at step k reads the embedding of token t+k+1, as row t+k did at step 0: its part of q, k and v is made once;
- gradients of weights grow in place (eagle3/reused.py);
- weights of norms of inputs (frozen embeddings, aux hidden states) are multiplied into the matrix that follows: else
  their gradients would take a product as large as the matrix's own.

Shapes: T tokens and R rows of the batch, X tokens that rows read, H hidden, E outputs of a projection, N query heads,
G key/value heads, D head dimension, K TTT steps.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from eyrie.eagle3.attention import TttAttention
from eyrie.eagle3.batches import PackedBatch
from eyrie.eagle3.head import DecoderLayer, Eagle3Head
from eyrie.eagle3.reused import ReusedLinear, computed
from eyrie.eagle3.rope import Rotation, rotate


def unroll(
    head: Eagle3Head, embedding_VH: Tensor, batch: PackedBatch, num_steps: int, *, recompute: bool = False
) -> list[Tensor]:
    """The head's states after steps 0 ... K-1, each [R, H]: what serving computes for the same rows, draft by draft.

    Rows go on past the end of their span; `batch.supervised(step)` says which of them count. With `recompute`, each
    step's inner tensors are made again in the backward instead of being kept.
    """
    wide = head.norm.weight.dtype  # the residual stream stays in the weights' own precision, also under autocast
    layers = [_Layer(layer) for layer in head.stack]
    positions_R = batch.positions_T[batch.rows_R]
    embeds_TH = head.embed(batch.next_ids_T, embedding_VH).to(wide)
    read = _Read.of(head.midlayer, embeds_TH, batch, num_steps, rows_only=len(layers) == 1)

    def first_step(aux_TE: Tensor) -> tuple[Tensor, ...]:
        """The state after step 0, and the keys and values that each layer made of every token."""
        hidden_TH, rotation = head.fuse(aux_TE.to(wide), fold=True).to(wide), head.rotation(batch.positions_T)
        made: list[Tensor] = []
        for layer in layers:
            is_first, is_last = layer is layers[0], layer is layers[-1]
            normed_TH = layer.norm(hidden_TH)
            made += layer.keys_values(normed_TH, read.keys_values_TE if is_first else None, rotation)
            runs, read_queries = batch.documents, read.queries_XE
            if is_last:  # from here on there are rows only
                hidden_TH, normed_TH = (x.index_select(0, batch.rows_R) for x in (hidden_TH, normed_TH))
                runs, read_queries, rotation = batch.runs, read.queries(0), head.rotation(positions_R)
            queries_RND = layer.queries(normed_TH, read_queries if is_first else None, rotation)
            hidden_TH = layer.finish(hidden_TH, TttAttention.apply(queries_RND, *made[-2:], runs))
        return head.feed_forward(hidden_TH), *made

    def next_step(step: int, hidden_RH: Tensor) -> tuple[Tensor, ...]:
        """The next state, and the keys and values that each layer made on the way."""
        rotation = head.rotation(positions_R + step)
        made: list[Tensor] = []
        for index, (layer, earlier) in enumerate(zip(layers, diagonals, strict=True)):
            normed_RH = layer.norm(hidden_RH)
            made += layer.keys_values(normed_RH, None if index else read.keys_values(step), rotation)
            queries_RND = layer.queries(normed_RH, None if index else read.queries(step), rotation)
            attended_RND = TttAttention.apply(
                queries_RND, *memory[2 * index :][:2], batch.runs, *earlier[: 2 * step - 2], *made[-2:]
            )
            hidden_RH = layer.finish(hidden_RH, attended_RND)
        return head.feed_forward(hidden_RH), *made

    if recompute:
        hidden_RH, *memory = checkpoint(first_step, batch.aux_TE, use_reentrant=False)
    else:
        hidden_RH, *memory = first_step(batch.aux_TE)
    outputs = [hidden_RH]
    diagonals: list[list[Tensor]] = [[] for _ in layers]  # of each layer K_1, V_1, K_2, V_2 ..., [R, G, D] each
    for step in range(1, num_steps):
        if recompute:
            hidden_RH, *made = checkpoint(next_step, step, hidden_RH, use_reentrant=False)
        else:
            hidden_RH, *made = next_step(step, hidden_RH)
        for index, earlier in enumerate(diagonals):
            earlier.extend(made[2 * index : 2 * index + 2])
        outputs.append(hidden_RH)
    return outputs


@dataclass(frozen=True)
class _Read:
    """What the next tokens' embeddings add to the first layer's queries, keys and values, before rotation."""

    queries_XE: Tensor
    keys_values_TE: Tensor
    first_R: Tensor  # which of the X a row reads at step 0; at step k it reads the one k later
    rows_R: Tensor

    @classmethod
    def of(
        cls, layer: DecoderLayer, embeds_TH: Tensor, batch: PackedBatch, num_steps: int, *, rows_only: bool
    ) -> "_Read":
        """With `rows_only` queries are made of the tokens that rows read, unless many short runs read more than all."""
        norm, attention = layer.input_layernorm, layer.self_attn
        assert norm is not None
        half = slice(embeds_TH.shape[1])
        query_EH, keys_values_EH = (
            weight_EH * norm.weight for weight_EH in (attention.q_proj.weight[:, half], attention.keys_values(half))
        )
        unscaled_TH = norm.unscaled(embeds_TH)
        read_XH, first_R = unscaled_TH, batch.rows_R
        if rows_only and batch.num_read_by_rows(num_steps) < len(unscaled_TH):
            tokens_X, first_R = batch.read_by_rows(num_steps)
            read_XH = unscaled_TH.index_select(0, tokens_X)
        return cls(F.linear(read_XH, query_EH), F.linear(unscaled_TH, keys_values_EH), first_R, batch.rows_R)

    def queries(self, step: int) -> Tensor:
        return _later(self.queries_XE, self.first_R, step)

    def keys_values(self, step: int) -> Tensor:
        return _later(self.keys_values_TE, self.rows_R, step)


def _later(x: Tensor, places_R: Tensor, step: int) -> Tensor:
    """Past the batch's end the last one, for rows that do not count there."""
    return x.index_select(0, (places_R + step).clamp(max=len(x) - 1))


class _Layer:
    """A decoder layer that is applied many times before its gradients are asked for."""

    def __init__(self, layer: DecoderLayer) -> None:
        self._layer = layer
        half = slice(-len(layer.hidden_norm.weight), None)  # of the first layer's weights, what is not the embedding's
        self._query = ReusedLinear(layer.self_attn.q_proj.weight[:, half])
        self._keys_values = ReusedLinear(layer.self_attn.keys_values(half))
        self._products = layer.products(ReusedLinear)

    def norm(self, hidden_RH: Tensor) -> Tensor:
        """What `queries` and `keys_values` read: one copy in the type of products for both."""
        return computed(self._layer.hidden_norm(hidden_RH))

    def queries(self, normed_RH: Tensor, read_RE: Tensor | None, rotation: Rotation) -> Tensor:
        """[R, N, D]; `read_RE` is the embedding's part, in the first layer."""
        query_RE = self._query(normed_RH)
        query_RE = query_RE if read_RE is None else query_RE + read_RE
        return rotate(torch.unflatten(query_RE, -1, (-1, self._layer.head_dim)), rotation)

    def keys_values(self, normed_RH: Tensor, read_RE: Tensor | None, rotation: Rotation) -> tuple[Tensor, Tensor]:
        """[R, G, D] each."""
        both_RE = self._keys_values(normed_RH)
        both_RE = both_RE if read_RE is None else both_RE + read_RE
        keys_RGD, values_RGD = torch.unflatten(both_RE, -1, (2, -1, self._layer.head_dim)).unbind(-3)
        return rotate(keys_RGD, rotation), values_RGD

    def finish(self, hidden_RH: Tensor, attended_RND: Tensor) -> Tensor:
        """The next state."""
        return self._layer.finish(hidden_RH, attended_RND.flatten(1), self._products)
