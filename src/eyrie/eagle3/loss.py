"""Training-time test: unroll the head K steps on its own output, and compare every step with the target.

In: a packed batch, the target's frozen embedding, the teacher. Out: the loss of eagle3/objective.py. Source:
arXiv:2503.01840; which rows and teachers: eagle3/batches.py.

Shapes: T tokens and R rows of the batch, H hidden, V target vocabulary, K TTT steps.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from eyrie.eagle3.attention import TttAttention
from eyrie.eagle3.batches import PackedBatch
from eyrie.eagle3.head import Eagle3Head, Products
from eyrie.eagle3.objective import Objective, WeightedScore
from eyrie.eagle3.reused import ReusedLinear
from eyrie.eagle3.rope import Rotation
from eyrie.eagle3.teacher import Teacher

Memory = list[tuple[Tensor, Tensor]]  # step-0 keys and values [T, G, D] of each layer
Diagonals = list[list[Tensor]]  # for each layer K_1, V_1, K_2, V_2 ..., [R, G, D] each


def unroll(
    head: Eagle3Head, embedding_VH: Tensor, batch: PackedBatch, num_steps: int, *, recompute: bool = False
) -> list[Tensor]:
    """The head's states after steps 0 ... K-1, each [R, H]: what serving computes for the same rows, draft by draft.

    Rows go on past the end of their span; `batch.supervised(step)` says which of them count. With `recompute`, each
    step's inner tensors are made again in the backward instead of being kept.
    """
    products = [layer.products(ReusedLinear) for layer in head.stack]
    hidden_RH, read, memory = _first_pass(head, embedding_VH, batch, products, recompute)
    outputs = [hidden_RH]
    diagonals: Diagonals = [[] for _ in head.stack]
    positions_R = batch.positions_T[batch.rows_R]

    def next_step(step: int, hidden_RH: Tensor) -> tuple[Tensor, ...]:
        """The next state, and the keys and values that each layer made on the way."""
        rotation = head.rotation((positions_R + step)[None])
        tokens_R = batch.tokens_after(step)
        made: list[Tensor] = []
        for layer, product, read_TE, (keys_TGD, values_TGD), earlier in zip(
            head.stack, products, read, memory, diagonals, strict=True
        ):
            read_RE = None if read_TE is None else read_TE.index_select(0, tokens_R)[None]
            queries, keys, values = layer.project(read_RE, hidden_RH[None], rotation, product)
            made += [keys[0], values[0]]
            attended_RND = TttAttention.apply(
                queries[0], keys_TGD, values_TGD, batch.runs, *earlier[: 2 * step - 2], keys[0], values[0]
            )
            hidden_RH = layer.finish(hidden_RH, attended_RND.flatten(1), product)
        return head.feed_forward(hidden_RH), *made

    for step in range(1, num_steps):
        if recompute:
            hidden_RH, *made = checkpoint(next_step, step, hidden_RH, use_reentrant=False)
        else:
            hidden_RH, *made = next_step(step, hidden_RH)
        for index, earlier in enumerate(diagonals):
            earlier.extend(made[2 * index : 2 * index + 2])
        outputs.append(hidden_RH)
    return outputs


def _first_pass(
    head: Eagle3Head, embedding_VH: Tensor, batch: PackedBatch, products: list[Products], recompute: bool
) -> tuple[Tensor, list[Tensor | None], Memory]:
    """Step 0: every token makes keys and values in every layer; only in the last layer do rows alone suffice.

    Besides: what each layer reads of the embedding of every token's next token. Step k of a row reads that of the token
    k later.
    """
    wide = head.norm.weight.dtype  # the residual stream stays in the weights' own precision, also under autocast
    embeds_TH = head.embed(batch.next_ids_T, embedding_VH).to(wide)
    read = [layer.read(embeds_TH, product) for layer, product in zip(head.stack, products, strict=True)]

    def first_step(aux_TE: Tensor) -> tuple[Tensor, ...]:
        hidden_TH = head.fuse(aux_TE.to(wide)).to(wide)
        rotation: Rotation = head.rotation(batch.positions_T[None])
        made: list[Tensor] = []
        for layer, product, read_TE in zip(head.stack, products, read, strict=True):
            queries, keys, values = layer.project(
                None if read_TE is None else read_TE[None], hidden_TH[None], rotation, product
            )
            made += [keys[0], values[0]]
            last = layer is head.stack[-1]
            queries_RND = queries[0].index_select(0, batch.rows_R) if last else queries[0]
            if last:
                hidden_TH = hidden_TH.index_select(0, batch.rows_R)
            attended = TttAttention.apply(queries_RND, keys[0], values[0], batch.runs if last else batch.documents)
            hidden_TH = layer.finish(hidden_TH, attended.flatten(1), product)
        return head.feed_forward(hidden_TH), *made

    if recompute:
        hidden_RH, *made = checkpoint(first_step, batch.aux_TE, use_reentrant=False)
    else:
        hidden_RH, *made = first_step(batch.aux_TE)
    return hidden_RH, read, list(zip(made[::2], made[1::2], strict=True))


class TttLoss(nn.Module):
    """The head with what its loss needs, as one module: what data-parallel training wraps."""

    def __init__(
        self, head: Eagle3Head, embedding_VH: Tensor, teacher: Teacher, objective: Objective, *, recompute: bool = False
    ) -> None:
        super().__init__()
        self.head, self.embedding_VH, self.teacher = head, embedding_VH, teacher
        self.objective, self.recompute = objective, recompute

    def forward(self, batch: PackedBatch, row_counts: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The batch's share of the loss, a scalar in nats, and the row losses summed per step [K].

        `row_counts[k]` rows are supervised at step k in all batches of the optimizer step together.
        """
        states = unroll(self.head, self.embedding_VH, batch, self.objective.num_steps, recompute=self.recompute)
        normed = [self.head.final_norm(hidden_RH) for hidden_RH in states]
        loss: Tensor
        loss, sums_K = WeightedScore.apply(
            self.objective,
            self.teacher,
            batch,
            self.objective.weights(row_counts),
            self.head.lm_head.weight,
            *normed,
        )
        return loss, sums_K
