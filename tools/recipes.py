"""`python -m tools.recipes`: write recipes/*.yaml from params.yaml and the changes in recipes/changes/.

A recipe is a whole params.yaml: comments and keys come from the repository's, values from common.yaml and the recipe's
own file, whose opening comment opens the recipe; the command of a server that answers follows it. Sources of prompts
are added to those of params.yaml, everything else is replaced. A key that params.yaml does not have is refused.
"""

import copy
import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

FOLDER = Path("recipes")
CHANGES = FOLDER / "changes"
COMMON = CHANGES / "common.yaml"
ADVICE = (
    "# A recipe: `make run RECIPE={name}` makes it params.yaml. Written by `make recipes`: change recipes/changes/.\n"
    "# It passes the checks and shows the way with {prompts}; a head worth serving wants\n"
    "# your own traffic, 50,000 prompts or more: select_prompts.sources and workload_mix (docs/first-target.md).\n#\n"
)
SERVING = (
    "# Serving: `eyrie serve`. A server for EYRIE_SERVERS, which only answers:\n"
    "#   python -m sglang.launch_server {flags}\n"
)
PROMPTS = "the sample prompts and GSM8K"


def names() -> list[str]:
    return sorted(path.stem for path in CHANGES.glob("*.yaml") if path != COMMON)


def render(name: str) -> str:
    """The text of recipes/{name}.yaml. Raises KeyError for a change of a key that params.yaml does not have."""
    yaml = YAML()
    yaml.width = 120
    yaml.preserve_quotes = True
    yaml.representer.add_representer(type(None), _null)
    yaml.indent(mapping=2, sequence=4, offset=2)
    params = yaml.load(Path("params.yaml").read_text(encoding="utf-8"))
    own = (CHANGES / f"{name}.yaml").read_text(encoding="utf-8")
    for text in (COMMON.read_text(encoding="utf-8"), own):
        _apply(params, YAML().load(text), path="")
    buffer = io.StringIO()
    yaml.dump(params, buffer)
    notes = "".join(line + "\n" for line in own.splitlines() if line.startswith("#"))
    return ADVICE.format(name=name, prompts=PROMPTS) + notes + _serving(params) + "\n" + buffer.getvalue()


def _serving(params: CommentedMap) -> str:
    target, settings = params["target"], params["generate_responses"]["sglang"]
    flags = f"--model-path {target['model']} --revision {target['revision']} --dtype {target['dtype']}"
    for key in ("tp_size", "context_length"):
        if settings[key] not in (None, 1):
            flags += f" --{key.replace('_', '-')} {settings[key]}"
    return SERVING.format(flags=flags)


def _null(representer: Any, _value: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _apply(params: CommentedMap, changes: CommentedMap, *, path: str) -> None:
    for key, value in changes.items():
        where = f"{path}{key}"
        if key not in params:
            raise KeyError(f"recipes/changes: {where} is no key of params.yaml")
        if where == "select_prompts.sources":
            params[key].extend(copy.deepcopy(list(value)))
        elif isinstance(value, CommentedMap) and value and isinstance(params[key], CommentedMap) and params[key]:
            _apply(params[key], value, path=f"{where}.")
        else:
            _replace(params, key, value)


def _replace(params: CommentedMap, key: str, value: Any) -> None:
    if isinstance(params[key], CommentedMap | CommentedSeq):
        value.fa.set_flow_style()  # comments inside what is replaced go with it
    params[key] = value


def main() -> None:
    for name in names():
        (FOLDER / f"{name}.yaml").write_text(render(name), encoding="utf-8")
        print(FOLDER / f"{name}.yaml")


if __name__ == "__main__":
    main()
