"""params.yaml as frozen, strictly checked values.

In: a YAML file. Out: `Params`, one attribute per section. The schema has no defaults, so the file is always the
whole truth; an unknown, missing or out-of-range key raises `ParamsError` naming path, value and bound.
"""

import math
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from eyrie.params.base import Arm, Section, Split, Workload, is_workload
from eyrie.params.head import BuildVocab, ExtractFeatures, TrainHead
from eyrie.params.prompts import FilterPrompts, Origin, SelectPrompts, Source
from eyrie.params.responses import GenerateResponses
from eyrie.params.serving import Benchmark, Drafting, EvaluateHead, Report, SglangServer, Tune
from eyrie.params.yaml12 import load_yaml

__all__ = [
    "STAGES",
    "Arm",
    "Benchmark",
    "Drafting",
    "EvaluateHead",
    "FilterPrompts",
    "GenerateResponses",
    "Origin",
    "Params",
    "ParamsError",
    "SelectPrompts",
    "SglangServer",
    "Source",
    "Split",
    "Target",
    "TrainHead",
    "Workload",
    "is_workload",
    "load_params",
    "load_yaml",
    "parse_params",
]


class ParamsError(ValueError):
    """params.yaml is missing, is not YAML, or holds a wrong key or value."""


class Target(Section):
    model: Annotated[str, Field(min_length=1)]
    revision: str | None
    dtype: Literal["float32", "bfloat16", "float16"]
    device: Literal["auto", "cpu", "cuda"]
    chat_template: str | None
    chat_template_settings: dict[str, Any]
    template_date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    trust_remote_code: bool

    @field_validator("template_date")
    @classmethod
    def _is_a_day(cls, value: str) -> str:
        try:
            date.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a day of the calendar, YYYY-MM-DD") from None
        return value


class Params(Section):
    target: Target
    select_prompts: SelectPrompts
    filter_prompts: FilterPrompts
    generate_responses: GenerateResponses
    build_vocab: BuildVocab
    extract_features: ExtractFeatures
    train_head: TrainHead
    evaluate_head: EvaluateHead
    benchmark: Benchmark
    report: Report
    tune: Tune


STAGES: tuple[str, ...] = tuple(name for name in Params.model_fields if name not in ("target", "tune"))


def parse_params(raw: Any, *, origin: str) -> Params:
    """Check a parsed YAML document. Raises ParamsError: one line per wrong key, with path, value and bound."""
    if not isinstance(raw, dict):
        raise ParamsError(f"{origin}: expected one mapping with the sections {', '.join(Params.model_fields)}")
    try:
        sentence = _no_json(raw)
    except RecursionError:
        raise ParamsError(f"{origin}: nested too deeply; an alias may stand inside its own anchor") from None
    if sentence is not None:
        raise ParamsError(f"{origin}: {sentence}; put quotes around it to make it a text")
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        lines = [_describe(detail) for detail in error.errors()]
        raise ParamsError("\n".join(f"{origin}: {line}" for line in lines)) from None
    if (where := _unwritable(raw)) is not None:
        raise ParamsError(f"{origin}: {where}: a text with a null byte or a lone surrogate, which no file may hold")
    return params


def load_params(path: Path) -> Params:
    """Read and check `path`. Raises ParamsError."""
    try:
        raw = load_yaml(path.read_text(encoding="utf-8"), as_dvc=True)
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the repository root") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParamsError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    return parse_params(raw, origin=str(path))


def _no_json(value: Any, path: str = "") -> str | None:
    """What in the document JSON has not, in manifests or with DVC, as the start of a sentence; None: there is none."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(value, dict) and not isinstance(key, str):
                return f"{path or 'top level'}: the key {key} is no text"
            if (inside := _no_json(item, f"{path}.{key}".removeprefix("."))) is not None:
                return inside
        return None
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return None
    return f"{path}: {value} is no JSON value ({type(value).__name__})"


def _unwritable(value: Any) -> str | None:
    """The path of a text in the document that is no part of a name, a file or a prompt; None: there is none."""
    if isinstance(value, str):
        return "" if re.search(r"[\0\ud800-\udfff]", value) else None
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if _unwritable(key) is not None:
            return repr(key)
        if (inside := _unwritable(item)) is not None:
            return f"{key}.{inside}".removesuffix(".")
    return None


def _describe(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "missing":
        return f"{where}: missing key"
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown key"
    value = detail["input"]
    shown = "" if isinstance(value, dict | list) else f" (got {value!r})"
    return f"{where}: {message}{shown}"
