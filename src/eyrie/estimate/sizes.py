"""Weights of a target and of its head, from a configuration alone: no weights.

In: the facts of a config.json. Out: numbers of weights. Of a target on the hub they are a sum over sizes, in which
norms and biases are left out (below 0.1%). Of a folder they are counted in the model that its config.json makes: latent
attention, shared experts and first dense layers are in no such sum. The head is counted whole.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import yaml

from eyrie.eagle3.config import head_counts
from eyrie.engines.target import EMBEDDING, TargetError, decoder_of, load_config, model_without_weights
from eyrie.params import Params, Target

TARGETS = Path("resources/estimate/targets.yaml")
DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class TargetFacts:
    """Sizes of a target. `expert_size` is the intermediate size of one expert, 0 in a dense target."""

    origin: str
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tied: bool
    num_experts: int
    num_active_experts: int
    num_shared_experts: int
    expert_size: int
    latent_size: int  # of what latent attention caches per token and layer, 0 in other targets
    counted: tuple[int, int] | None = None  # between the ends of the model itself: all, and those that a token meets

    @classmethod
    def from_config(cls, raw: dict[str, Any], *, origin: str) -> Self:
        """Raises ValueError naming the key that is missing."""
        text = {**raw, **(raw.get("text_config") or {})}
        try:
            heads = text["num_attention_heads"]
            experts = text.get("num_local_experts") or text.get("num_experts") or text.get("n_routed_experts") or 0
            latent = text.get("kv_lora_rank") or 0
            return cls(
                origin=origin,
                hidden_size=text["hidden_size"],
                num_layers=text["num_hidden_layers"],
                num_heads=heads,
                num_kv_heads=text.get("num_key_value_heads") or heads,
                head_dim=text.get("head_dim") or text["hidden_size"] // heads,
                intermediate_size=text["intermediate_size"],
                vocab_size=text["vocab_size"],
                tied=bool(text.get("tie_word_embeddings", False)),
                num_experts=experts,
                num_active_experts=text["num_experts_per_tok"] if experts else 0,
                # Llama 4 adds to the routed expert one that every token passes
                num_shared_experts=1 if str(text.get("model_type", "")).startswith("llama4") else 0,
                expert_size=(text.get("moe_intermediate_size") or text["intermediate_size"]) if experts else 0,
                latent_size=latent + text["qk_rope_head_dim"] if latent else 0,
            )
        except KeyError as error:
            raise ValueError(f"{origin}: missing key {error}; eyrie estimate needs it") from None

    @property
    def embedding_weights(self) -> int:
        """One of the two matrices at the ends, [V, H]."""
        return self.vocab_size * self.hidden_size

    @property
    def attention_weights(self) -> int:
        """All layers: q and o are H x heads x D, k and v are H x kv heads x D."""
        per_layer = 2 * self.hidden_size * self.head_dim * (self.num_heads + self.num_kv_heads)
        return self.num_layers * per_layer

    def mlp_weights(self, *, active: bool) -> int:
        """All layers: three matrices H x I, of every expert or of those that work on one token."""
        if not self.num_experts:
            return self.num_layers * 3 * self.hidden_size * self.intermediate_size
        experts = self.num_active_experts if active else self.num_experts
        return self.num_layers * (
            3 * self.hidden_size * self.expert_size * (experts + self.num_shared_experts)
            + self.hidden_size * self.num_experts  # the router
        )

    @property
    def weights(self) -> int:
        return (1 if self.tied else 2) * self.embedding_weights + self.body_weights(active=False)

    def body_weights(self, *, active: bool) -> int:
        """Without the ends: what extraction runs."""
        if self.counted is not None:
            return self.counted[1 if active else 0]
        return self.attention_weights + self.mlp_weights(active=active)

    @property
    def active_weights(self) -> int:
        """What one token is multiplied with, lm_head included."""
        return self.body_weights(active=True) + self.embedding_weights

    def kv_bytes_per_token(self, dtype: str) -> int:
        """Keys and values of all layers; a sliding layer keeps less, and the reference engine keeps what latent
        attention is unpacked to."""
        values = self.latent_size or 2 * self.num_kv_heads * self.head_dim
        return self.num_layers * values * DTYPE_BYTES[dtype]


@dataclass(frozen=True)
class HeadSize:
    """Weights of a head by part. `fc` runs at the first step of a row only, layers and `lm_head` at each."""

    fc: int
    attention: int
    mlp: int
    lm_head: int
    norms: int
    embedding: int

    @property
    def total(self) -> int:
        return self.fc + self.attention + self.mlp + self.lm_head + self.norms + self.embedding


def head_size(facts: TargetFacts, params: Params) -> HeadSize:
    """The head that `params` ask for, as `HeadConfig.from_target` makes it."""
    section = params.train_head
    target_hidden, hidden = facts.hidden_size, section.hidden_size or facts.hidden_size
    num_heads, num_kv_heads = head_counts(hidden, facts.num_heads, facts.num_kv_heads)
    query, key_value = num_heads * facts.head_dim, num_kv_heads * facts.head_dim
    layers = section.num_layers
    inputs = 2 * hidden + (layers - 1) * hidden  # the first layer reads 2H, the others H
    return HeadSize(
        fc=3 * target_hidden * hidden,
        attention=inputs * (query + 2 * key_value) + layers * query * hidden,
        mlp=layers * 3 * hidden * section.intermediate_size,
        lm_head=params.build_vocab.draft_vocab_size * hidden,
        # per layer: before attention, before the MLP; once: of the hidden state, at the end; before fc: EAGLE-3.1
        norms=hidden * (2 * layers + 2) + (3 * target_hidden if section.fc_norm else 0),
        embedding=0 if hidden == target_hidden else facts.vocab_size * hidden,
    )


def target_facts(params: Params) -> TargetFacts:
    """From the folder's config.json, else from the bundled facts of a hub name. Raises ValueError."""
    model = params.target.model
    config = Path(model) / "config.json"
    if Path(model).is_dir():
        return _facts_of_folder(params.target, config)
    bundled = yaml.safe_load(TARGETS.read_text(encoding="utf-8"))
    if model not in bundled:
        raise ValueError(
            f"target.model: {model} is no folder here, and {TARGETS} has no facts of it; download its config.json into "
            "a folder and name that, or add the facts"
        )
    return TargetFacts.from_config(bundled[model], origin=f"{TARGETS} ({model})")


def _facts_of_folder(target: Target, path: Path) -> TargetFacts:
    """With what the class of the target takes for keys that config.json leaves out; of a class that transformers does
    not have, by the sum."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None
    try:
        whole = load_config(target)
        facts = TargetFacts.from_config({**whole.to_dict(), **whole.get_text_config().to_dict()}, origin=str(path))
        return replace(facts, counted=_count_between_ends(target, facts))
    except TargetError:
        return TargetFacts.from_config(raw, origin=str(path))


def _count_between_ends(target: Target, facts: TargetFacts) -> tuple[int, int]:
    """All weights, and those that one token meets: of the experts, which transformers keeps in one tensor each, its
    share."""
    decoder = decoder_of(model_without_weights(target))
    sizes = [
        (parameter.shape, parameter.numel()) for name, parameter in decoder.named_parameters() if name != EMBEDDING
    ]
    everything = sum(size for _, size in sizes)
    experts = sum(size for shape, size in sizes if len(shape) == 3 and shape[0] == facts.num_experts)
    idle = experts * (facts.num_experts - facts.num_active_experts) // max(facts.num_experts, 1)
    return everything, everything - idle
