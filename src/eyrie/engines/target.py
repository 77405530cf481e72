"""The target model: loading it from a folder or the hub, and reading its hidden states.

Everything about the target (layers, sizes, vocabulary, special tokens) comes from its own files. Only safetensors
weights are read, so nothing is unpickled. Of the two matrices at its ends alone: engines/target_ends.py.

Shapes: B batch, T tokens, H hidden size, V vocabulary.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateSyntaxError
from torch import Tensor

from eyrie.chat.template import ChatTemplate, ChatTemplateError, Message
from eyrie.eagle3.logits import LogitScaling
from eyrie.eagle3.processes import Processes
from eyrie.params import Target

EMBEDDING = "embed_tokens.weight"  # how the name of the input embedding ends, in files and in modules

_PROBE = "Hello"
_CHECKED_TOKENS = 4
_ROUNDINGS = 4  # scaling and capping round about as often
_LEAST_EPS = 1e-5  # of sums over the hidden size in float32


class TargetError(ValueError):
    """The target cannot be used: missing files, no chat template, too few layers, wrong device."""


@dataclass(frozen=True)
class TargetModel:
    """A loaded target. `model` is a transformers causal LM in eval mode on `device`; call it under `torch.no_grad`.

    Of a target split over `processes` this one has a part; all of them make the same calls, and get the same results.
    """

    model: Any
    chat: ChatTemplate
    config: Any  # the text part of the model's configuration
    device: torch.device
    dtype: torch.dtype
    processes: Processes = field(default=Processes())

    @property
    def tokenizer(self) -> Any:
        return self.chat.tokenizer

    @property
    def stop_token_ids(self) -> frozenset[int]:
        return self.chat.stop_ids

    @property
    def decoder(self) -> Any:
        """The layers between the two ends, with the final norm."""
        return decoder_of(self.model)

    @property
    def embed_tokens(self) -> torch.nn.Embedding:
        """The input embedding E [V, H]."""
        embedding: torch.nn.Embedding = self.model.get_input_embeddings()
        return embedding

    def whole_embedding(self) -> Tensor:
        """Its matrix [V, H], whole also where processes hold a part each: lm_head's plan cuts both of tied ends."""
        weight: Any = self.embed_tokens.weight
        whole: Tensor = weight.full_tensor() if hasattr(weight, "full_tensor") else weight  # a DTensor has it
        return whole

    def forward(self, input_ids_BT: Tensor, **kwargs: Any) -> Tensor:
        """Run the decoder only, no logits. Returns the last hidden states [B, T, H], after the final norm."""
        hidden: Tensor = self.decoder(input_ids=input_ids_BT, **kwargs).last_hidden_state
        return hidden

    def logits(self, last_hidden: Tensor) -> Tensor:
        """lm_head and the target's own scaling over `last_hidden` [..., H] -> float32 [..., V]."""
        return LogitScaling.of(self.config)(self.model.get_output_embeddings()(last_hidden).float())


@contextmanager
def capture_layers(target: TargetModel, layer_ids: list[int]) -> Iterator[dict[int, Tensor]]:
    """Hook the outputs of decoder layers `layer_ids` (0-based). The dict holds the latest forward's [B, T, H] each."""
    captured: dict[int, Tensor] = {}
    layers = target.decoder.layers
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


def untuned_length(config: Any) -> int | None:
    """Tokens within which sequences that share a forward do not change each other; None where they never do.

    Llama 4's layers without rotary positions scale their queries from `floor_scale` tokens on, and transformers counts
    the tokens of a forward for that, not their positions. "longrope" (Phi-3, Phi-4-mini) turns all of a forward by its
    long factors once one position is past the original length.
    """
    if getattr(config, "attn_temperature_tuning", False):
        return int(config.floor_scale) - 1
    rope = getattr(config, "rope_parameters", None) or {}
    return int(rope["original_max_position_embeddings"]) if rope.get("rope_type") == "longrope" else None


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


def count_parameters(target: Target) -> int:
    """Of the whole model, by its configuration: what memory holds may be packed, or one process's part. Raises
    TargetError."""
    return sum(int(parameter.numel()) for parameter in model_without_weights(target).parameters())


def check_parts(target: Target) -> None:
    """Are the parts that later stages read where they look for them? By the configuration alone, so that it can be
    asked before a server has answered. Raises TargetError."""
    model = model_without_weights(target)
    name, head = type(model).__name__, model.get_output_embeddings()
    if not hasattr(decoder_of(model), "layers"):
        raise TargetError(f"target {target.model}: {name} has no list of layers whose outputs could be read")
    if getattr(model.config.get_text_config(), "altup_num_inputs", None):  # Gemma 3n
        raise TargetError(
            f"target {target.model}: layers of {name} hand on several hidden states per token; a head reads one of each"
        )
    if not any(parameter.endswith(EMBEDDING) for parameter, _ in model.named_parameters()):
        raise TargetError(
            f"target {target.model}: {name} has no embedding named ...{EMBEDDING} that a head could share"
        )
    _check_no_bias(target, head)


def model_without_weights(target: Target) -> Any:
    """The model that the configuration makes, on the meta device. Raises TargetError."""
    from transformers import AutoModelForCausalLM

    config = load_config(target)
    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=target.trust_remote_code)
    except Exception as error:  # of many types, as in _from_pretrained
        raise TargetError(
            f"target {target.model}: cannot be made of its configuration: {_first_line(error)}"
        ) from error


def decoder_of(model: Any) -> Any:
    """See `TargetModel.decoder`."""
    decoder = model.get_decoder()
    # Llama4ForCausalLM takes itself for its decoder
    return decoder.model if decoder is model else decoder


def load_chat(target: Target) -> ChatTemplate:
    """The target's tokenizer with its chat template, or the one that params name. Raises TargetError when there is
    none."""
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
    chat = ChatTemplate(
        tokenizer,
        _load_stop_token_ids(target, tokenizer),
        target.chat_template_settings,
        date.fromisoformat(target.template_date),
    )
    _check_template(target, chat)
    return chat


def _check_template(target: Target, chat: ChatTemplate) -> None:
    """Raises TargetError for a template that renders no user turn, or one without its text (some want content as a list
    of parts), and for a setting that it does not read: each would be found in what was trained, or not at all."""
    for name in chat.settings:
        if re.search(rf"\b{re.escape(name)}\b", str(chat.tokenizer.chat_template)) is None:
            raise TargetError(
                f"target.chat_template_settings.{name}: the chat template of {target.model} reads no such variable"
            )
    asked: list[Message] = [{"role": "user", "content": _PROBE}]
    try:
        try:
            text = chat.text(asked, asks=True)
        except ChatTemplateError:  # of a template that wants a system prompt
            text = chat.text([{"role": "system", "content": _PROBE}, *asked], asks=True)
    except ChatTemplateError as error:  # its cause quotes the probe at most
        cause = error.__context__
        why = " ".join(str(cause).split()) + (
            f" (line {cause.lineno})" if isinstance(cause, TemplateSyntaxError) else ""
        )
        raise TargetError(f"target {target.model}: its chat template renders no user turn: {why}") from None
    if _PROBE not in text:
        raise TargetError(
            f"target {target.model}: its chat template leaves out what the user says; it may want content as a list of "
            "parts, and needs to take text: name a .jinja file in target.chat_template"
        )


def load_target(target: Target, processes: Processes | None = None) -> TargetModel:
    """Load weights and tokenizer. Raises TargetError: one sentence with the folder or name and what is wrong.

    Several `processes` hold a part of every matrix each, by the model's own tensor-parallel plan; all of them run each
    forward together, and each gets whole hidden states. A quantised checkpoint gives the values that it holds; whether
    they stay packed in memory is its method's choice (compressed-tensors unpacks them).
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    processes = processes or Processes()
    device, dtype = processes.device(resolve_device(target.device)), getattr(torch, target.dtype)
    config = load_config(target)
    quantised = getattr(config, "quantization_config", None) is not None
    placing: dict[str, Any] = {}
    if processes.world_size > 1:
        if quantised:
            raise TargetError(
                f"target {target.model}: transformers cannot split a quantised target; num_processes must be 1, on a "
                "device that holds it"
            )
        placing = {"distributed_config": _tensor_parallel(target, config, processes.world_size)}
    elif quantised:
        placing = {"device_map": {"": device}}  # packed weights cannot be moved afterwards
    # Without attn_implementation transformers takes SDPA where the model allows it, and eager attention where not:
    # GPT-OSS adds a sink to every softmax, which SDPA cannot.
    model = _from_pretrained(AutoModelForCausalLM, target, dtype=dtype, use_safetensors=True, **placing)
    model.eval().requires_grad_(False)
    if not placing:
        model.to(device)
    loaded = TargetModel(model, load_chat(target), model.config.get_text_config(), device, dtype, processes)
    _check_logits(target, loaded)
    return loaded


def _check_logits(target: Target, loaded: TargetModel) -> None:
    """Raises TargetError where the model makes its logits otherwise than heads are taught: the loss would be wrong and
    nothing would show it. One forward of a few tokens, which packed weights need before a part of the model is called.
    """
    _check_no_bias(target, loaded.model.get_output_embeddings())
    states: list[Tensor] = []
    hook = loaded.decoder.register_forward_hook(lambda _module, _args, output: states.append(output[0]))
    ids = torch.arange(_CHECKED_TOKENS, device=loaded.device)[None]
    try:
        with torch.inference_mode():
            own = loaded.model(input_ids=ids, use_cache=False).logits.float()
            ours = loaded.logits(states[-1])
    finally:
        hook.remove()
    # the model scales in its own dtype, ours is float32
    bound = _ROUNDINGS * max(torch.finfo(loaded.dtype).eps, _LEAST_EPS) * float(own.abs().max())
    difference = float((own - ours).abs().max())
    if not difference <= bound:
        raise TargetError(
            f"target {target.model}: {type(loaded.model).__name__} makes other logits of its hidden states than its "
            f"output matrix and configuration say ({difference:.3g} apart, at most {bound:.3g}); no head can be taught "
            "of it"
        )


def _check_no_bias(target: Target, output_embeddings: Any) -> None:
    if getattr(output_embeddings, "bias", None) is not None:
        raise TargetError(f"target {target.model}: its output matrix has a bias, which draft heads are not taught with")


def _tensor_parallel(target: Target, config: Any, num_processes: int) -> Any:
    """How transformers splits the target. Raises TargetError when its key and value heads cannot be dealt out."""
    from transformers.distributed import DistributedConfig

    text = config.get_text_config()
    num_heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    if num_heads % num_processes:
        raise TargetError(
            f"target {target.model}: its {num_heads} key/value heads cannot be dealt to {num_processes} processes; "
            "num_processes must divide them"
        )
    # said by every class of text models; Gemma3ForConditionalGeneration's plan cuts the matrix and does not gather
    return DistributedConfig(tp_size=num_processes, tp_plan={"lm_head": "colwise_gather_output"})


def _load_stop_token_ids(target: Target, tokenizer: Any) -> frozenset[int]:
    """Every id that ends a turn: generation_config.json's (when there is one), config's and the tokenizer's."""
    from transformers import GenerationConfig

    try:
        generation = _from_pretrained(GenerationConfig, target, trust_remote_code=None).eos_token_id
    except TargetError:  # a target need not have the file
        generation = None
    found: set[int] = set()
    config = load_config(target)
    configured = (getattr(part, "eos_token_id", None) for part in (config, config.get_text_config()))
    for value in (generation, *configured, tokenizer.eos_token_id):
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
            local_files_only=local or bool(os.environ.get("HF_HUB_OFFLINE")),
            **{"trust_remote_code": target.trust_remote_code, **kwargs},
        )
    except Exception as error:  # transformers raises many types here; each ends in the same sentence
        raise TargetError(f"target {target.model}: cannot be loaded: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    said = str(error).strip()
    return said.splitlines()[0] if said else type(error).__name__
