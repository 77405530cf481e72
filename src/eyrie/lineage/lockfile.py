"""Reading `dvc.lock`: what DVC says made an output, compared with today's parameters and code and with manifests.

In: `dvc.lock`, damaged or not. Out: which stages would be others now, and which records are false.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from eyrie.io import canonical_json, folder_files, write_text
from eyrie.lineage.digests import Digests
from eyrie.lineage.fingerprint import PACKAGE, code_of, dvc_params, local_files, parameters_of
from eyrie.lineage.jobs import read_manifest
from eyrie.lineage.layout import STAGES
from eyrie.lineage.verdicts import jobs_of
from eyrie.params import Params, load_yaml

DVC_LOCK = Path("dvc.lock")
TEMPLATE_SETTINGS = "target.chat_template_settings"
MD5S = Path(".eyrie/md5s.json")  # a target on this disk may have 140 GB, and every start of Snakemake asks


class LockFile:
    """The stages that `dvc.lock` holds; none when it is missing or cannot be read (`damaged`). `fresh`: files that
    params name are read again instead of trusting size and time."""

    def __init__(self, *, fresh: bool = False) -> None:
        self._md5s = Digests(fresh=fresh, memory=MD5S, hash_file=md5_of)
        self.damaged = False
        self.stages: dict[str, dict[str, Any]] = {}
        try:
            content = DVC_LOCK.read_bytes()
        except FileNotFoundError:
            return
        from dvc.schema import COMPILED_LOCKFILE_SCHEMA  # DVC's word on what it would read; 0.1 s to import
        from voluptuous import Invalid

        try:
            document = load_yaml(content)
            self.stages = COMPILED_LOCKFILE_SCHEMA(document).get("stages") or {}
        except (yaml.YAMLError, Invalid):
            self.damaged = True

    def params_of(self, stage: str) -> dict[str, Any]:
        """key -> value as recorded; keys as in `fingerprint.dvc_params`."""
        recorded = self.stages.get(stage, {}).get("params") or {}
        sections: dict[str, Any] = recorded.get("params.yaml") or {}
        return sections

    def outs_of(self, stage: str) -> dict[str, str]:
        """path -> md5 as recorded."""
        return {out["path"]: out.get("md5", "") for out in self.stages.get(stage, {}).get("outs") or []}

    def deps_of(self, stage: str) -> dict[str, str]:
        return {dep["path"]: dep.get("md5", "") for dep in self.stages.get(stage, {}).get("deps") or []}

    def differs(self, stage_name: str, params: Params) -> bool:
        """Whether the stage's parameters, code or files that params name are others than recorded.

        False when there is no record: then nothing can be said.
        """
        if stage_name not in self.stages:
            return False
        stage = STAGES[stage_name]
        if not _are_same(self.params_of(stage_name), dvc_params(parameters_of(params, stage))):
            return True
        deps = self.deps_of(stage_name)
        code = [f"src/eyrie/{path.relative_to(PACKAGE).as_posix()}" for path in code_of(stage_name)]
        now = {**{name: md5_of(PACKAGE.parent.parent / name) for name in code}}
        now |= {name: md5_of(Path(name), self._md5s.of) for name in local_files(params, stage)}
        self._md5s.save()
        files = {name: md5 for name, md5 in deps.items() if name.startswith("src/eyrie/")}
        return files != {name: now[name] for name in code} or any(deps.get(name) != now[name] for name in now)

    def vouches_for(self, stage_name: str, params: Params) -> bool:
        """Whether outputs of the stage that are not here are known to be what would be made now."""
        return stage_name in self.stages and not self.differs(stage_name, params)

    def is_false(self, stage_name: str, params: Params) -> bool:
        """Whether the record gives the outputs that are here other parameters than their manifests do."""
        if stage_name not in self.stages:
            return False
        recorded = self.params_of(stage_name)
        for job in jobs_of(params, stage_name):
            manifest = read_manifest(job.manifest)
            if manifest is None:
                continue
            if not _are_same(recorded, dvc_params(manifest["made_by"])):
                return True
        return False

    def drop(self, stages: list[str]) -> None:
        """Take the records of `stages` out of the file."""
        _rewrite([name for name in self.stages if name not in stages])

    def put_in_order(self) -> None:
        """Bring the records into the order of the stages. DVC appends one that was dropped, and git would see a change
        after a run that restored all that a commit says."""
        ordered = [name for name in STAGES if name in self.stages]
        ordered += [name for name in self.stages if name not in STAGES]
        if ordered != [*self.stages]:
            _rewrite(ordered)


def _are_same(recorded: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether two sets of parameters make the same. A record has numbers as params.yaml spells them, 1 for 1.0; only a
    template's settings have no type of their own, and a template renders 1, 1.0 and true each otherwise."""
    spelt = [canonical_json(params.get(TEMPLATE_SETTINGS)) for params in (recorded, expected)]
    return recorded == expected and spelt[0] == spelt[1]


def in_conflict() -> bool:
    """Whether `dvc.lock` holds the marks of a merge that waits for somebody to take a side."""
    try:
        return any(line.startswith(b"<<<<<<< ") for line in DVC_LOCK.read_bytes().splitlines())
    except FileNotFoundError:
        return False


def _rewrite(stages: list[str]) -> None:
    """Leave the records of `stages` in `dvc.lock`, in that order, each byte as DVC writes it."""
    from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

    document = parse_yaml_for_update(DVC_LOCK.read_text(encoding="utf-8"), str(DVC_LOCK))
    records = document["stages"]
    taken = {name: records.pop(name) for name in [*records]}
    for name in stages:
        records[name] = taken[name]
    write_text(DVC_LOCK, dumps_yaml(document))


def md5_of(path: Path, of_file: Callable[[Path], str] | None = None) -> str:
    """DVC's hash of a file, or of a folder (md5 of the JSON list of its files, with the suffix `.dir`). `of_file`: what
    gives a file's, if it is not to be read."""
    if not path.is_dir() and of_file is not None:
        return of_file(path)
    if not path.is_dir():
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    files = folder_files(path)
    entries = [{"md5": md5_of(item, of_file), "relpath": item.relative_to(path).as_posix()} for item in files]
    entries.sort(key=lambda entry: entry["relpath"])
    text = json.dumps(entries, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"
