"""The target model: loading it from a folder or the hub, and reading its hidden states.

Everything about the target (layers, sizes, vocabulary, special tokens) comes from its own files. Only safetensors
weights are read, so nothing is unpickled.

Shapes: B batch, T tokens, H hidden size, V vocabulary.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eyrie.params import Target


class TargetError(ValueError):
    """The target cannot be used: missing files, no chat template, too few layers, wrong device."""


@dataclass(frozen=True)
class TargetModel:
    """A loaded target. `model` is a transformers causal LM in eval mode on `device`; call it under `torch.no_grad`."""

    model: Any
    tokenizer: Any
    config: Any  # the text part of the model's configuration
    device: torch.device
    dtype: torch.dtype
    stop_token_ids: frozenset[int]

    @property
    def embed_tokens(self) -> torch.nn.Embedding:
        """The input embedding E [V, H]."""
        embedding: torch.nn.Embedding = self.model.get_input_embeddings()
        return embedding

    def forward(self, input_ids_BT: Tensor, **kwargs: Any) -> Tensor:
        """Run the decoder only, no logits. Returns the last hidden states [B, T, H], after the final norm."""
        hidden: Tensor = self.model.get_decoder()(input_ids=input_ids_BT, **kwargs).last_hidden_state
        return hidden

    def logits(self, last_hidden: Tensor) -> Tensor:
        """lm_head (and the target's logit soft-cap, if it has one) over `last_hidden` [..., H] -> float32 [..., V]."""
        logits = self.model.get_output_embeddings()(last_hidden).float()
        cap = getattr(self.config, "final_logit_softcapping", None)
        scaled: Tensor = logits if cap is None else torch.tanh(logits / cap) * cap
        return scaled


@contextmanager
def capture_layers(target: TargetModel, layer_ids: list[int]) -> Iterator[dict[int, Tensor]]:
    """Hook the outputs of decoder layers `layer_ids` (0-based). The dict holds the latest forward's [B, T, H] each."""
    captured: dict[int, Tensor] = {}
    layers = target.model.get_decoder().layers
    handles = []
    for layer_id in layer_ids:

        def keep(_module: Any, _args: Any, output: Any, layer_id: int = layer_id) -> None:
            captured[layer_id] = output[0] if isinstance(output, tuple) else output

        handles.append(layers[layer_id].register_forward_hook(keep))
    try:
        yield captured
    finally:
        for handle in handles:
            handle.remove()


def resolve_device(name: str) -> torch.device:
    """auto takes CUDA when there is one. Raises TargetError when cuda is asked for and missing."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise TargetError("target.device is cuda, but PyTorch sees no CUDA device here")
    return torch.device(name)


def load_config(target: Target) -> Any:
    """The target's transformers config. Raises TargetError."""
    from transformers import AutoConfig

    return _from_pretrained(AutoConfig, target)


def load_tokenizer(target: Target) -> Any:
    """The target's tokenizer, with `target.chat_template` applied. Raises TargetError when there is no template."""
    from transformers import AutoTokenizer

    tokenizer = _from_pretrained(AutoTokenizer, target)
    if target.chat_template is not None:
        try:
            tokenizer.chat_template = Path(target.chat_template).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TargetError(f"target.chat_template: cannot read {target.chat_template}: {error}") from None
    if not tokenizer.chat_template:
        raise TargetError(
            f"target {target.model}: its tokenizer has no chat template; name a .jinja file in target.chat_template"
        )
    return tokenizer


def load_target(target: Target) -> TargetModel:
    """Load weights and tokenizer. Raises TargetError: one sentence with the folder or name and what is wrong."""
    from transformers import AutoModelForCausalLM

    device, dtype = resolve_device(target.device), getattr(torch, target.dtype)
    tokenizer = load_tokenizer(target)
    model = _from_pretrained(
        AutoModelForCausalLM, target, dtype=dtype, use_safetensors=True, attn_implementation="sdpa"
    )
    model.eval().requires_grad_(False).to(device)
    config = model.config.get_text_config()
    return TargetModel(model, tokenizer, config, device, dtype, _stop_token_ids(model, tokenizer))


def _stop_token_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every id that ends a turn: generation_config's, config's and the tokenizer's."""
    found: set[int] = set()
    for value in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        if value is not None:
            found.update(value if isinstance(value, list) else [value])
    return frozenset(found)


def _from_pretrained(kind: Any, target: Target, **kwargs: Any) -> Any:
    """`kind.from_pretrained` with its many errors turned into one sentence."""
    local = Path(target.model).is_dir()
    if not local and (target.model.startswith((".", "/", "~")) or target.model.count("/") != 1):
        raise TargetError(f"target.model: {target.model} is neither a folder here nor a Hugging Face name (owner/name)")
    if not local and target.revision is None:
        raise TargetError(f"target.model: {target.model} is no folder here; a hub name needs a pinned target.revision")
    try:
        return kind.from_pretrained(
            target.model,
            revision=None if local else target.revision,
            trust_remote_code=target.trust_remote_code,
            local_files_only=local or bool(os.environ.get("HF_HUB_OFFLINE")),
            **kwargs,
        )
    except Exception as error:  # transformers raises many types here; each ends in the same sentence
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TargetError(f"target {target.model}: cannot be loaded: {reason}") from error
