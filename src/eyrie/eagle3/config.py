"""What an EAGLE-3 draft head is: its sizes, where it listens to the target, and the config.json engines read.

In: the target's own configuration. Out: `HeadConfig`, and its JSON for SGLang, vLLM, llama.cpp, OpenVINO and
TensorRT-LLM. Engines disagree about layer ids, so both spellings are written: layer *inputs* at the top level (vLLM,
llama.cpp), layer *outputs* inside `eagle_config` (SGLang adds 1). Sources: arXiv:2503.01840, SGLang 0.5.23, vLLM 0.32.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from eyrie.io import read_json_object

CONFIG = "config.json"
MIN_TARGET_LAYERS = 7  # with 6 the layers would be 1, 2 and 2
ARCHITECTURE = "LlamaForCausalLMEagle3"
# Settings of other rotary embeddings (partial, multimodal); the head is a plain Llama layer and rotates every
# dimension. SGLang's YaRN reads no attention_factor.
_FOREIGN_ROPE_KEYS = ("partial_rotary_factor", "mrope_section", "mrope_interleaved", "attention_factor")
# Frequencies that follow the length of a sequence, or of its neighbours: SGLang makes others of "dynamic" than
# transformers, and factors of "longrope" may be for some dimensions only (Phi-4-mini).
_CHANGING_ROPES = ("dynamic", "longrope")
_SIZES = (
    "hidden_size",
    "target_hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "vocab_size",
    "draft_vocab_size",
    "num_hidden_layers",
)


SETTINGS = {"num_hidden_layers": "num_layers", "fc_norm": "fc_norm", "norm_output": "norm_output"}  # in train_head


class HeadConfigError(ValueError):
    """A target that no EAGLE-3 head fits, or a config.json that is not a head's."""


def aux_layer_ids(num_layers: int) -> tuple[int, int, int]:
    """The 0-based layer *outputs* whose hidden states feed the head: 1, N//2 - 1, N - 4. Raises HeadConfigError."""
    if num_layers < MIN_TARGET_LAYERS:
        raise HeadConfigError(
            f"the target has N = {num_layers} layers; EAGLE-3 listens to the outputs of layers 1, N//2 - 1 and N - 4, "
            f"which needs at least {MIN_TARGET_LAYERS}"
        )
    return 1, num_layers // 2 - 1, num_layers - 4


@dataclass(frozen=True)
class HeadConfig:
    """Sizes of one head. The checkpoint is always bfloat16; the dtype in memory is the loader's choice."""

    hidden_size: int
    target_hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_parameters: dict[str, Any]  # as transformers 5 spells it: rope_theta, rope_type and the type's own settings
    max_position_embeddings: int
    vocab_size: int  # the target's
    draft_vocab_size: int
    aux_layer_ids: tuple[int, int, int]  # 0-based layer outputs, see `aux_layer_ids`
    bos_token_id: int | None
    eos_token_id: int | list[int] | None
    num_hidden_layers: int
    fc_norm: bool  # EAGLE-3.1: RMSNorm on each aux hidden state before `fc`
    norm_output: bool  # EAGLE-3.1: the normed state is fed to the next step

    @classmethod
    def from_target(
        cls,
        config: Any,
        *,
        draft_vocab_size: int,
        intermediate_size: int,
        hidden_size: int | None = None,
        num_hidden_layers: int = 1,
        fc_norm: bool = False,
        norm_output: bool = False,
    ) -> Self:
        """The head for a target's text configuration; `hidden_size` None is the target's.

        Raises HeadConfigError when the target has too few layers, layers of different sizes or no rotary positions.
        """
        hidden_size = hidden_size or config.hidden_size
        target_heads = _shared(config, "num_attention_heads")
        num_heads, num_kv_heads = head_counts(
            hidden_size, target_heads, _shared(config, "num_key_value_heads") or target_heads
        )
        return cls(
            hidden_size=hidden_size,
            target_hidden_size=config.hidden_size,
            intermediate_size=intermediate_size,
            num_attention_heads=num_heads,
            num_key_value_heads=num_kv_heads,
            head_dim=_shared(config, "head_dim") or config.hidden_size // target_heads,
            rms_norm_eps=getattr(config, "rms_norm_eps", 1e-6),
            rope_parameters=_plain_rope(getattr(config, "rope_parameters", None)),
            max_position_embeddings=config.max_position_embeddings,
            vocab_size=config.vocab_size,
            draft_vocab_size=draft_vocab_size,
            aux_layer_ids=aux_layer_ids(config.num_hidden_layers),
            bos_token_id=config.bos_token_id,
            eos_token_id=config.eos_token_id,
            num_hidden_layers=num_hidden_layers,
            fc_norm=fc_norm,
            norm_output=norm_output,
        )

    @classmethod
    def from_json(cls, raw: dict[str, Any], *, num_target_layers: int) -> Self:
        """Read what `to_json` wrote, or the config.json of a head that others published in the same layout.

        What theirs leave out is what SGLang takes for it: aux layers by the target's depth, the target's hidden size
        equal to the head's, EAGLE-3 without norms, rotary base 10,000. Raises HeadConfigError naming the missing key,
        the value of another type or the contradiction.
        """
        raw = {name: value for name, value in raw.items() if value is not None}
        if raw.get("architectures") != [ARCHITECTURE]:
            raise HeadConfigError(f"architectures is {raw.get('architectures')}, not [{ARCHITECTURE!r}]")
        if raw.get("hidden_act", "silu") != "silu":
            raise HeadConfigError(f"hidden_act is {raw['hidden_act']}; an EAGLE-3 head has silu")
        _check_types(raw)
        try:
            defaults = _usual_values(raw)
            values = {
                name: raw[name] if name in raw or name not in defaults else defaults[name]
                for name in cls.__dataclass_fields__
                if name != "aux_layer_ids"
            }
        except KeyError as error:
            raise HeadConfigError(f"missing key {error}") from None
        rope = values["rope_parameters"]
        if not isinstance(rope, dict) or not isinstance(rope.get("rope_theta"), int | float) or "rope_type" not in rope:
            raise HeadConfigError(f"rope_parameters is {rope}; expected a rope_type, and a number as rope_theta")
        if values["hidden_size"] % values["num_attention_heads"]:
            raise HeadConfigError(
                f"num_attention_heads is {values['num_attention_heads']}, which does not divide hidden_size "
                f"({values['hidden_size']}): SGLang cannot read such a config.json"
            )
        return cls(aux_layer_ids=_written_layers(raw) or aux_layer_ids(num_target_layers), **values)

    def to_json(self) -> dict[str, Any]:
        """The serving config.json, both layer-id spellings and both rope spellings included."""
        rope = self.rope_parameters
        scaling = None if rope["rope_type"] == "default" else {k: v for k, v in rope.items() if k != "rope_theta"}
        return {
            "architectures": [ARCHITECTURE],
            "model_type": "llama",
            "num_hidden_layers": self.num_hidden_layers,
            "hidden_size": self.hidden_size,
            "target_hidden_size": self.target_hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_parameters": rope,
            # transformers 4 and llama.cpp read these two instead
            "rope_theta": rope["rope_theta"],
            "rope_scaling": scaling,
            "max_position_embeddings": self.max_position_embeddings,
            "vocab_size": self.vocab_size,
            "draft_vocab_size": self.draft_vocab_size,
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
            "dtype": "bfloat16",
            "bos_token_id": self.bos_token_id,
            "eos_token_id": self.eos_token_id,
            "fc_norm": self.fc_norm,
            "norm_output": self.norm_output,
            "eagle_aux_hidden_state_layer_ids": [layer + 1 for layer in self.aux_layer_ids],
            "eagle_config": {
                "eagle_aux_hidden_state_layer_ids": list(self.aux_layer_ids),
                "use_aux_hidden_state": True,
            },
        }


def check_target(config: Any) -> None:
    """Raise HeadConfigError when no head fits a target of this text configuration, whatever the head's own sizes."""
    HeadConfig.from_target(config, draft_vocab_size=1, intermediate_size=1)


def named_head(name: str, revision: str | None) -> Path | None:
    """The folder of the head to go on from; None where `name` is the hub's. Raises HeadConfigError."""
    if Path(name).is_dir():
        return Path(name)
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise HeadConfigError(f"train_head.init_from: {name} is neither a folder here nor a hub name (owner/name)")
    if revision is None:
        raise HeadConfigError(
            f"train_head.init_from: {name} is no folder here; a hub name needs a pinned init_revision"
        )
    if re.fullmatch("[0-9a-f]{40}", revision) is None:
        raise HeadConfigError(
            f"train_head.init_revision: {revision} may mean another head tomorrow; pin the revision: the 40 "
            f"hexadecimal digits of a commit of {name}"
        )
    return None


def read_head_config(folder: Path, *, num_target_layers: int) -> HeadConfig:
    """What the head's config.json says, and where it says nothing what SGLang takes. Raises HeadConfigError."""
    path = folder / CONFIG
    try:
        raw = read_json_object(path)
    except FileNotFoundError:
        raise HeadConfigError(f"{path}: no such file") from None
    except ValueError as error:
        raise HeadConfigError(str(error)) from None
    try:
        return HeadConfig.from_json(raw, num_target_layers=num_target_layers)
    except HeadConfigError as error:
        raise HeadConfigError(f"{path}: {error}") from None


def check_can_go_on(folder: Path, theirs: HeadConfig, wanted: Mapping[str, Any]) -> None:
    """Weights say nothing of norms after the layer, heads or aux layers, so shapes alone would let a head start from
    another kind's weights. Raises HeadConfigError where the head in `folder` differs from what is `wanted`."""
    for name, value in wanted.items():
        if (found := getattr(theirs, name)) != value:
            setting = SETTINGS.get(name)
            raise HeadConfigError(
                f"{folder}: {name} is {found} there, but {value} in the head to train; "
                + (f"set train_head.{setting} as it is there" if setting else "it was made for another target model")
            )


def head_counts(hidden_size: int, num_heads: int, num_kv_heads: int) -> tuple[int, int]:
    """Attention and key-value heads: the target's, where a head of this width may have them.

    Engines read its config.json with transformers' LlamaConfig, which refuses a number of heads that does not divide
    `hidden_size` (GLM-4.5-Air: 96 and 4,096), whatever `head_dim` is. Then it is the largest below that does.
    """
    dividing = [count for count in range(num_heads, 0, -1) if hidden_size % count == 0]
    chosen = next((count for count in dividing if count % num_kv_heads == 0), dividing[0])
    return chosen, math.gcd(chosen, num_kv_heads)


def _shared(config: Any, name: str) -> Any:
    """A size that all layers of the target share; None where its configuration does not say it."""
    try:
        return getattr(config, name, None)
    except RuntimeError:  # what transformers raises for a size that layers have one by one (Gemma 4)
        raise HeadConfigError(
            f"the layers of the target ({config.model_type}) differ in {name}; an EAGLE-3 head takes its sizes "
            "from the target, so all layers must agree"
        ) from None


def _check_types(raw: dict[str, Any]) -> None:
    for name in _SIZES:
        if name in raw and (type(raw[name]) is not int or raw[name] < 1):
            raise HeadConfigError(f"{name} is {raw[name]!r}; expected a whole number of at least 1")
    kinds = {
        "rms_norm_eps": (int | float, "a number"),
        "fc_norm": (bool, "true or false"),
        "norm_output": (bool, "true or false"),
        "rope_scaling": (dict, "an object"),
    }
    for name, (kind, words) in kinds.items():
        if name in raw and not isinstance(raw[name], kind):
            raise HeadConfigError(f"{name} is {raw[name]!r}; expected {words}")


def _usual_values(raw: dict[str, Any]) -> dict[str, Any]:
    """What a config.json means by the keys that it may leave out. Raises KeyError."""
    hidden_size, num_heads = raw["hidden_size"], raw["num_attention_heads"]
    scaling = raw.get("rope_scaling") or {}
    rope_type = scaling.get("rope_type", scaling.get("type", "default"))
    return {
        "target_hidden_size": hidden_size,
        "num_key_value_heads": num_heads,
        "head_dim": hidden_size // num_heads,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            **{key: value for key, value in scaling.items() if key != "type"},
            "rope_type": rope_type,
            "rope_theta": raw.get("rope_theta", 10000.0),
        },
        "draft_vocab_size": raw["vocab_size"],
        "bos_token_id": None,
        "eos_token_id": None,
        "num_hidden_layers": 1,
        "fc_norm": raw.get("use_aux_norm", False),  # its older name
        "norm_output": False,
    }


def _written_layers(raw: dict[str, Any]) -> tuple[int, int, int] | None:
    """The aux layers (0-based outputs) that a config.json names, in either spelling; None where it names none."""
    nested = raw.get("eagle_config")
    outputs = nested.get("eagle_aux_hidden_state_layer_ids") if isinstance(nested, dict) else None
    inputs = raw.get("eagle_aux_hidden_state_layer_ids")
    if inputs is None and outputs is None:
        return None
    for ids in (inputs, outputs):
        if ids is not None and not (isinstance(ids, list) and all(type(layer) is int for layer in ids)):
            raise HeadConfigError(f"eagle_aux_hidden_state_layer_ids is {ids!r}; expected a list of whole numbers")
    found = [layer - 1 for layer in inputs or []] if outputs is None else list(outputs)
    if len(found) != 3 or (inputs is not None and inputs != [layer + 1 for layer in found]):
        raise HeadConfigError(
            f"eagle_aux_hidden_state_layer_ids is {inputs} (layer inputs) but eagle_config says {outputs} (layer "
            "outputs); the first must be the second plus 1, three of each"
        )
    return found[0], found[1], found[2]


def _plain_rope(rope: dict[str, Any] | None) -> dict[str, Any]:
    """One layer's rope settings; a target with several kinds of layers (Gemma 3) gives its full-attention ones."""
    if not rope:
        raise HeadConfigError(
            f"the target's rope_parameters are {rope}; an EAGLE-3 head turns by the target's rotary positions"
        )
    chosen = rope.get("full_attention", rope)
    if chosen.get("rope_type") in _CHANGING_ROPES:
        return {"rope_type": "default", "rope_theta": chosen["rope_theta"]}
    return {key: value for key, value in chosen.items() if key not in _FOREIGN_ROPE_KEYS}
