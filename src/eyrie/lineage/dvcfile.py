"""`dvc.yaml`, written from the stage table, so that DVC's `deps`, `params` and `outs` are what the manifests use.

`eyrie sync` writes it; every run checks it. Local files that params name (sources, the target's folder) are deps, so
the text is a function of params.yaml too.
"""

from pathlib import Path
from typing import Any

import yaml

from eyrie.io import write_text
from eyrie.lineage.fingerprint import PACKAGE, code_of, dvc_params, local_files, parameters_of
from eyrie.lineage.jobs import manifest_path
from eyrie.lineage.layout import MADE_WITH, STAGES, UNSCREENED, Stage
from eyrie.params import Params

DVC_YAML = Path("dvc.yaml")
PROFILE = r'"\${SNAKEMAKE_PROFILE:-workflow/profiles/default}"'  # the backslash keeps DVC from expanding it itself
IN_GIT = ("reports/", "data/vocab/")  # the map is small, and with it pulled features are all that training needs
HEADER = """\
# Written by `eyrie sync` from the stage table (src/eyrie/lineage/layout.py) and params.yaml: edit those.
# Each stage runs its Snakemake rules and no others (but what it reads that no remote has); SNAKEMAKE_PROFILE chooses
# the cluster.
"""


def dvc_yaml(params: Params) -> str:
    """The text of dvc.yaml."""
    document = {
        "stages": {stage.name: _stage(params, stage) for stage in STAGES.values()},
        "plots": [{path: properties} for stage in STAGES.values() for path, properties in stage.plots.items()],
    }
    return HEADER + yaml.safe_dump(document, sort_keys=False, width=120)


def sync_dvc_yaml(params: Params) -> bool:
    """Write dvc.yaml when its text differs. Returns whether it did."""
    if is_in_step(params):
        return False
    write_text(DVC_YAML, dvc_yaml(params))
    return True


def is_in_step(params: Params) -> bool:
    """Whether dvc.yaml is what `sync_dvc_yaml` would write."""
    return DVC_YAML.is_file() and DVC_YAML.read_text(encoding="utf-8") == dvc_yaml(params)


def _stage(params: Params, stage: Stage) -> dict[str, Any]:
    code = [f"src/eyrie/{path.relative_to(PACKAGE).as_posix()}" for path in code_of(stage.name)]
    read = [path for value in stage.inputs.values() for path in (value if isinstance(value, tuple) else (value,))]
    inputs = [_tracked(path) for path in read]
    # DVC sees a manifest and thinks the file itself is here: in a clone Snakemake makes it
    rules = [
        rule for other in STAGES.values() if UNSCREENED & {*read} & {*other.outputs.values()} for rule in other.rules
    ]
    document: dict[str, Any] = {
        "cmd": f"snakemake --profile {PROFILE} --allowed-rules {' '.join([*rules, *stage.rules])} -- {stage.name}",
        "deps": [*dict.fromkeys(inputs), *map(_literal, local_files(params, stage)), *code],
        "params": [*dvc_params(parameters_of(params, stage))],
        "outs": _outs(stage),
    }
    metrics = [path for path in (*stage.outputs.values(), *stage.gather_outputs.values()) if _is_metrics(path)]
    if metrics:
        document["metrics"] = [{path: {"cache": False}} for path in metrics]
    return document


def _outs(stage: Stage) -> list[Any]:
    """Data and models in DVC's cache; what is small and meant for git outside it. Shards as their folder.

    A manifest that stands for a file persists: DVC would take it away, or put an earlier one back from its run cache,
    and leave the file.
    """
    outs: dict[str, bool] = {}
    persisting = {_tracked(path) for path in stage.outputs.values() if path in UNSCREENED}
    for group in (stage.outputs, stage.gather_outputs):
        paths = [Path(path) for path in group.values()]
        for path in [*paths, *([manifest_path(paths[0])] if paths else [])]:
            if not _is_metrics(str(path)):
                outs[_tracked(str(path))] = not str(path).startswith(IN_GIT)
    return [
        {path: {"persist": True}} if path in persisting else path if cached else {path: {"cache": False}}
        for path, cached in outs.items()
    ]


def _is_metrics(path: str) -> bool:
    return path.startswith("reports/metrics/") and not path.endswith(".manifest.json")


def _literal(path: str) -> str:
    """For DVC `${` begins a variable of its own."""
    return path.replace("${", r"\${")


def _tracked(path: str) -> str:
    """What DVC tracks: the folder of a sharded output, the manifest for unscreened text, else the path itself."""
    if path in UNSCREENED:
        return str(manifest_path(Path(MADE_WITH[path])))
    return str(Path(path).parent) if "{shard" in path else path
