"""A head small enough to check by hand, and random documents for it."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LlamaConfig

from eyrie.eagle3.batches import Document
from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.teacher import Teacher
from eyrie.eagle3.vocab import build_vocab

VOCAB, DRAFT_VOCAB, HIDDEN = 40, 16, 24


def target_config(**changes: object) -> LlamaConfig:
    values = {
        "hidden_size": HIDDEN,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "num_hidden_layers": 8,
        "vocab_size": VOCAB,
        "intermediate_size": 32,
        "max_position_embeddings": 128,
        "bos_token_id": 1,
        "eos_token_id": [2, 3],
    }
    return LlamaConfig(**{**values, **changes})


@dataclass
class Tiny:
    head: Eagle3Head
    embedding_VH: Tensor
    teacher: Teacher


def tiny(dtype: torch.dtype = torch.float64, seed: int = 0, **changes: object) -> Tiny:
    """A random head whose draft vocabulary is every id with an odd count, norms not at one."""
    generator = torch.Generator().manual_seed(seed)
    config = HeadConfig.from_target(target_config(**changes), draft_vocab_size=DRAFT_VOCAB, intermediate_size=20)
    head = Eagle3Head(config)
    with torch.no_grad():
        for parameter in head.parameters():
            scale = 0.4 if parameter.dim() > 1 else 0.2
            noise = torch.randn(parameter.shape, generator=generator) * scale
            parameter.copy_(noise if parameter.dim() > 1 else 1 + noise)
    counts = torch.randint(0, 20, (VOCAB,), generator=generator)
    vocab = build_vocab(counts, draft_vocab_size=DRAFT_VOCAB, always=frozenset({2, 3}))
    head.set_vocab(vocab)
    embedding_VH = torch.randn(VOCAB, HIDDEN, generator=generator).to(dtype)
    lm_head_VH = torch.randn(VOCAB, HIDDEN, generator=generator).to(dtype)
    return Tiny(head.to(dtype), embedding_VH, Teacher(lm_head_VH, None, vocab.target_ids))


def document(length: int, spans: list[tuple[int, int]], seed: int = 0) -> Document:
    generator = torch.Generator().manual_seed(seed)
    return Document(
        origin=f"document {seed}",
        input_ids=torch.randint(0, VOCAB, (length,), generator=generator),
        aux=torch.randn(length, 3 * HIDDEN, generator=generator).bfloat16(),
        last=torch.randn(length, HIDDEN, generator=generator).bfloat16(),
        spans=tuple(spans),
    )


class GrowingCache:
    """A key/value cache that keeps gradients, and can be forked."""

    def __init__(self) -> None:
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def update(self, keys_BGTD: Tensor, values_BGTD: Tensor) -> tuple[Tensor, Tensor]:
        self.keys.append(keys_BGTD)
        self.values.append(values_BGTD)
        return torch.cat(self.keys, 2), torch.cat(self.values, 2)


def drafted_hidden(made: Tiny, doc: Document, row: int, num_steps: int) -> list[Tensor]:
    """g_1 ... g_K [H] of one row as serving computes it: prefill rows 0..row, then one draft step at a time."""
    head, embed = made.head, made.embedding_VH
    cache = GrowingCache()
    context = slice(0, row + 1)
    hidden = head(
        embed[doc.input_ids[1 : row + 2]][None],
        head.fuse(doc.aux[context].to(embed.dtype))[None],
        torch.arange(row + 1)[None],
        cache=cache,
        mask_B1TS=None,
    )[:, -1:]
    outputs = [hidden[0, 0]]
    for step in range(1, num_steps):
        token = doc.input_ids[row + 1 + step]
        hidden = head(embed[token][None, None], hidden, torch.tensor([[row + step]]), cache=cache, mask_B1TS=None)
        outputs.append(hidden[0, 0])
    return outputs
