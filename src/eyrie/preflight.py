"""What can be known to be wrong before any work starts: files that params name, and what the target's folder says.

Looks at small local files only, so that it costs nothing at the start of every run. A target named on the hub is
checked when it is loaded.
"""

import re
from pathlib import Path
from typing import Any

from eyrie.eagle3.config import (
    MIN_TARGET_LAYERS,
    SETTINGS,
    HeadConfigError,
    check_can_go_on,
    named_head,
    read_head_config,
)
from eyrie.eagle3.loggers import check_loggers
from eyrie.engines.servers import (
    INSTALL_SGLANG,
    SERVERS_VARIABLE,
    check_arms,
    check_key,
    is_installed,
    named_server,
    named_servers,
    server_addresses,
)
from eyrie.engines.sglang_targets import check_drafts_are_served
from eyrie.io import expand, read_json_object
from eyrie.lineage.layout import HEAD
from eyrie.params import Params
from eyrie.privacy.quarantine import check_quarantine


class PreflightError(ValueError):
    """A run with these parameters cannot work here."""


def preflight(params: Params) -> None:
    """Raise PreflightError, ServerError or QuarantineError with one sentence about the first thing that is wrong."""
    if "{" in str(Path.cwd()) or "}" in str(Path.cwd()):
        raise PreflightError(f"the project's folder has a brace in its path, which DVC cannot work in: {Path.cwd()}")
    for source in params.select_prompts.origins:
        if source.path and "://" not in source.path and not any(path.is_file() for path in expand(source.path)):
            raise PreflightError(f"select_prompts.sources.{source.name}: no file matches {source.path}")
    if not Path(params.filter_prompts.analyzer_config).is_file():
        raise PreflightError(f"filter_prompts.analyzer_config: no such file: {params.filter_prompts.analyzer_config}")
    if params.filter_prompts.quarantine is not None:
        check_quarantine(Path(params.filter_prompts.quarantine))
    if params.generate_responses.engine == "sglang" and not server_addresses() and not is_installed():
        raise PreflightError(
            f"generate_responses.engine: sglang is not installed here: {INSTALL_SGLANG}; or name running servers, "
            f"as in {SERVERS_VARIABLE}=http://127.0.0.1:30000"
        )
    if params.benchmark.engine == "sglang" and named_server("baseline") is None and not is_installed():
        raise PreflightError(
            f"benchmark.engine: sglang is not installed here: {INSTALL_SGLANG}; or set it to reference"
        )
    check_arms(params.benchmark.arms)
    if params.generate_responses.engine == "sglang" and not server_addresses():
        check_key(params.generate_responses.sglang.host)
    if params.benchmark.engine == "sglang" and set(params.benchmark.arms) - named_servers().keys():
        check_key(params.benchmark.sglang.host)
    check_target(params)
    if (folder := Path(params.target.model)).is_dir():
        check_drafts_are_served(params, _json(folder / "config.json").get("architectures"))
    _check_start(params)
    check_loggers()


def check_target(params: Params) -> None:
    """Raise PreflightError when `target` names no model, or one that cannot have a head."""
    target = params.target
    if target.chat_template is not None and not Path(target.chat_template).is_file():
        raise PreflightError(f"target.chat_template: no such file: {target.chat_template}")
    folder = Path(target.model)
    if not folder.is_dir():
        if target.model.startswith((".", "/", "~")) or target.model.count("/") != 1:
            raise PreflightError(
                f"target.model: {target.model} is neither a folder here nor a Hugging Face name (owner/name)"
            )
        if target.revision is None:
            raise PreflightError(
                f"target.model: {target.model} is no folder here, and a hub name needs a pinned target.revision"
            )
        if re.fullmatch("[0-9a-f]{40}", target.revision) is None:
            raise PreflightError(
                f"target.revision: {target.revision} may mean another model tomorrow; pin the revision: the 40 "
                f"hexadecimal digits of a commit of {target.model}"
            )
        return
    num_layers, vocab_size = _sizes(folder / "config.json")
    if num_layers is not None and num_layers < MIN_TARGET_LAYERS:
        raise PreflightError(
            f"{folder}/config.json: num_hidden_layers is {num_layers}; EAGLE-3 reads three different layers and needs "
            f"at least {MIN_TARGET_LAYERS}"
        )
    draft_vocab_size = params.build_vocab.draft_vocab_size
    if vocab_size is not None and draft_vocab_size > vocab_size:
        raise PreflightError(
            f"build_vocab.draft_vocab_size: {draft_vocab_size} is over the target's vocabulary of {vocab_size}"
        )
    if not any(folder.glob("*.safetensors")):
        raise PreflightError(f"target.model: {folder} holds no *.safetensors weights")
    if target.chat_template is None and not _has_chat_template(folder):
        raise PreflightError(f"target.model: {folder} has no chat template; name a .jinja file in target.chat_template")


def _check_start(params: Params) -> None:
    """The head to go on from."""
    name = params.train_head.init_from
    if name is None:
        return
    try:
        folder = named_head(name, params.train_head.init_revision)
    except HeadConfigError as error:
        raise PreflightError(str(error)) from None
    if folder is not None and folder.resolve() == Path(HEAD).resolve():
        raise PreflightError(
            f"train_head.init_from: {name} is what train_head writes, and is removed before it runs; copy it to "
            "another folder and name that"
        )
    if folder is not None:
        target = Path(params.target.model)
        num_layers = _sizes(target / "config.json")[0] if target.is_dir() else None
        try:
            theirs = read_head_config(folder, num_target_layers=num_layers or MIN_TARGET_LAYERS)
            wanted = {name: getattr(params.train_head, setting) for name, setting in SETTINGS.items()}
            check_can_go_on(folder, theirs, wanted)
        except HeadConfigError as error:
            raise PreflightError(f"train_head.init_from: {error}") from None


def _sizes(path: Path) -> tuple[int | None, int | None]:
    """The layers and the vocabulary of a target's config.json. None: it leaves out what its class's default is, which
    the stages that load the target look at. Raises PreflightError."""
    config = _json(path)
    text = config["text_config"] if isinstance(config.get("text_config"), dict) else config
    for name in ("per_layer_config", "global_head_dim"):  # Gemma 4
        if text.get(name):
            raise PreflightError(
                f"{path}: {name} gives layers sizes of their own; an EAGLE-3 head takes its sizes from "
                "the target, so all layers must agree"
            )
    found = []
    for name in ("num_hidden_layers", "vocab_size"):
        value = text.get(name)
        if not isinstance(value, int | None):
            raise PreflightError(f"{path}: {name} is {value!r}; expected a number")
        found.append(value)
    return found[0], found[1]


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():  # chat_template.json is a processor's, which no stage loads
        return True
    tokenizer_config = folder / "tokenizer_config.json"
    return tokenizer_config.is_file() and bool(_json(tokenizer_config).get("chat_template"))


def _json(path: Path) -> dict[str, Any]:
    try:
        return read_json_object(path)
    except FileNotFoundError:
        raise PreflightError(f"{path}: no such file; target.model must be a Hugging Face model folder") from None
    except ValueError as error:
        raise PreflightError(str(error)) from None
