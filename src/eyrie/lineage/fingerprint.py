"""What a stage's output depends on besides its input files: parameters, target, code, and files that parameters name.

The same fingerprint feeds the manifests (is this output current?), Snakemake (a stamp file as rule input) and DVC
(`deps` and `params` of the stage).
"""

import ast
import errno
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

import eyrie
from eyrie.io import canonical_json, digest_of, expand, write_text
from eyrie.lineage.digests import Digests
from eyrie.lineage.layout import STAGES, Stage
from eyrie.params import Params, load_yaml

PACKAGE = Path(eyrie.__file__).parent
STAMPS = Path(".eyrie/stamps")

# Code that decides nothing about an output's content: parameters reach a stage as values, which are fingerprinted.
NOT_CODE_OF_A_STAGE = PACKAGE / "params"
# Imports of ours as everybody writes them, and signs of ours written otherwise.
_STATEMENT = re.compile(r"^[ \t]*((?:from eyrie\b|import [^\n]*\beyrie\b)[^\n(]*(?:\([^)]*\))?[^\n]*)$", re.MULTILINE)
_OTHERWISE = re.compile(
    r"^[ \t]*(?!from eyrie\b|import )(?=\S)[^\n]*\b(?:from|import)[ \t]+eyrie\b|^[ \t]*import [^\n]*\\$"
    r"|\bfrom[ \t]*\.[.\w \t]*\bimport\b",
    re.MULTILINE,
)
DATA = frozenset({".css", ".html"})  # what is shipped beside modules; anything else there is an editor's or a desktop's


@cache
def code_of(stage: str) -> tuple[Path, ...]:
    """The stage's module, the programs it starts, every first-party module that these import (transitively), and data
    files beside those modules."""
    found: set[Path] = set()
    todo = [PACKAGE / "stages" / f"{stage}.py", *(PACKAGE / program for program in STAGES[stage].starts)]
    while todo:
        path = todo.pop()
        if path in found or path.is_relative_to(NOT_CODE_OF_A_STAGE):
            continue
        found.add(path)
        todo.extend(_imports(path))
    folders = {path.parent for path in found} - {PACKAGE, PACKAGE / "stages"}
    data = {item for folder in folders for item in folder.iterdir() if item.suffix in DATA and item.name[0] != "."}
    return tuple(sorted(found | data))


@cache
def _imports(path: Path) -> frozenset[Path]:
    modules: set[str] = set()
    for node in _import_nodes(path.read_text(encoding="utf-8")):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = _package_of(path, node.level)
            module = ".".join([*package, *([node.module] if node.module else [])])
            modules.add(module)
            modules.update(f"{module}.{alias.name}" for alias in node.names)
    return frozenset(file for module in modules if (file := _module_file(module)) is not None)


def _package_of(path: Path, level: int) -> list[str]:
    """The package, name by name, that the dots of a relative import mean in the module `path`; empty without dots."""
    names = ["eyrie", *path.relative_to(PACKAGE).parent.parts]
    return names[: len(names) + 1 - level] if level else []


def _import_nodes(text: str) -> Iterable[ast.AST]:
    """Nodes with every import of ours. Every process asks this of every module, and to parse those whole takes half a
    second: so their import statements alone, where these are written as usual."""
    if _OTHERWISE.search(text) is None:
        try:
            return [node for found in _STATEMENT.findall(text) for node in ast.parse(found).body]
        except SyntaxError:  # a comment with a bracket, a docstring
            pass
    return ast.walk(ast.parse(text))


def _module_file(module: str) -> Path | None:
    """File of a first-party module; None for others and for packages without code of their own."""
    head, _, rest = module.partition(".")
    if head != "eyrie" or not rest:
        return None
    path = PACKAGE.joinpath(*rest.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    init = path / "__init__.py"
    return init if init.is_file() and init.stat().st_size else None


def local_files(params: Params, stage: Stage) -> list[str]:
    """Local files and folders that the stage reads because parameters name them (globs are expanded), sorted."""
    section = getattr(params, stage.name)
    paths = [str(getattr(section, name)) for name in stage.files]
    if stage.name == "select_prompts":
        patterns = [source.path for source in section.origins if source.path and "://" not in source.path]
        paths += [str(path) for pattern in patterns for path in expand(pattern)]
    if stage.name == "filter_prompts":
        config = Path(section.analyzer_config)
        unnamed = (config.parent / "names", config.parent / "secrets")  # where two recognisers look, unasked
        paths += [str(path) for path in (*named_beside(config), *filter(Path.is_dir, unnamed))]
    if stage.name == "train_head" and section.init_from is not None and Path(section.init_from).is_dir():
        paths.append(section.init_from)
    if stage.uses_target:
        paths += [params.target.model] if Path(params.target.model).is_dir() else []
        paths += [params.target.chat_template] if params.target.chat_template else []
    return sorted(set(paths))


def named_beside(config: Path) -> list[Path]:
    """Files and folders that a YAML file names and that lie beside it (models, word lists), sorted.

    None for a file that is no YAML: whoever reads it says so.
    """
    found: set[Path] = set()
    try:
        todo: list[Any] = [load_yaml(config.read_text(encoding="utf-8"))]
    except (UnicodeDecodeError, yaml.YAMLError):
        return []
    while todo:
        value = todo.pop()
        if isinstance(value, dict | list):
            todo.extend(value.values() if isinstance(value, dict) else value)
        elif isinstance(value, str) and value and _exists(config.parent / value):
            found.add(config.parent / value)
    return sorted(found - {config, config.parent})


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # a pattern or a sentence, no name
            return False
        raise


def parameters_of(params: Params, stage: Stage) -> dict[str, Any]:
    """The part of a fingerprint that params.yaml gives. Where the target runs is no part of what it computes."""
    section = params.model_dump(mode="json")
    target = section["target"]
    return {
        "stage": stage.name,
        "params": section[stage.name],
        "target": {key: target[key] for key in sorted(target) if key != "device"} if stage.uses_target else None,
        **({"sections": {name: section[name] for name in stage.sections}} if stage.sections else {}),
    }


def fingerprint(params: Params, stage: Stage, digests: Digests) -> dict[str, Any]:
    """The stage's fingerprint as JSON. Raises FileNotFoundError when a file that params name is missing."""
    return {
        **parameters_of(params, stage),
        "files": {path: digests.of(Path(path)) for path in local_files(params, stage)},
        "code": {path.relative_to(PACKAGE).as_posix(): digests.of(path) for path in code_of(stage.name)},
    }


def dvc_params(made_by: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a fingerprint under the keys that DVC gets: each of the target's, and whole sections."""
    target = {f"target.{key}": value for key, value in (made_by["target"] or {}).items()}
    return {**target, made_by["stage"]: made_by["params"], **made_by.get("sections", {})}


def write_stamps(params: Params, folder: Path = STAMPS) -> None:
    """Write each stage's fingerprint, only where it changed: its new mtime is what tells Snakemake to look again."""
    digests = Digests()
    for stage in STAGES.values():
        text = canonical_json(fingerprint(params, stage, digests)) + "\n"
        path = folder / f"{stage.name}.json"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
    digests.save()


def key_of(fingerprint_: dict[str, Any], inputs: dict[str, str], job: str) -> str:
    """Hex digest that names one job's content: its fingerprint, its inputs' digests, and which shard it is."""
    return digest_of({"fingerprint": fingerprint_, "inputs": inputs, "job": job})
