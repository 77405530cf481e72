"""Running one job of a stage: nothing when its output is current, else into scratch, then published whole.

A job is a stage, one shard of it, or its gather step. Its outputs are built in `.eyrie/scratch/<job>/<key>.partial`;
the key names the content (fingerprint and input digests), and a finished build loses the suffix. Publishing links the
files into place and writes the manifest last. So a killed job leaves the old outputs or the new ones, and a tool that
deletes outputs before a rerun (DVC and Snakemake both do) loses nothing: a finished key is linked again.

A stage that resumes keeps its finished parts in `<key>.resume`, which outlives a failure or a kill of the job and goes
when the build is whole.
"""

import errno
import json
import logging
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from eyrie.importing import large_imports
from eyrie.io import SNAKEMAKE_TIMESTAMP, write_text
from eyrie.lineage.digests import Digests
from eyrie.lineage.fingerprint import fingerprint, key_of
from eyrie.lineage.layout import MADE_WITH, STAGES, Stage, expand_shards
from eyrie.lineage.timings import record_timing
from eyrie.params import Params

logger = logging.getLogger(__name__)

SCRATCH = Path(".eyrie/scratch")
KEPT_BUILDS = 3  # finished builds kept per job: going back to an earlier parameter costs nothing


@dataclass(frozen=True)
class Job:
    """One unit of work: `name` is unique, paths are relative to the working directory."""

    stage: Stage
    name: str
    shard: int | None
    inputs: dict[str, list[Path]]
    outputs: dict[str, Path]
    made_with: dict[Path, Path] = field(default_factory=dict)  # input -> the manifest of the job that made it

    def argument(self, key: str) -> Path | list[Path]:
        """The input `key` as the stage takes it: a path, a list of all shards, or the folder of a tuple of files."""
        gathers = self.stage.sharded and self.shard is None
        pattern = (self.stage.gather_inputs if gathers else self.stage.inputs)[key]
        if isinstance(pattern, tuple):
            return self.inputs[key][0].parent
        return self.inputs[key] if self.shard is None and "{shard" in pattern else self.inputs[key][0]

    @property
    def manifest(self) -> Path:
        return manifest_path(next(iter(self.outputs.values())))


def manifest_path(output: Path) -> Path:
    """The manifest beside a job's first output."""
    return output.with_name(output.name + ".manifest.json")


def read_manifest(path: Path) -> dict[str, Any] | None:
    """A job's manifest; None when it is missing or damaged."""
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        parts = [manifest[name] for name in ("made_by", "inputs", "outputs")]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return manifest if "key" in manifest and all(isinstance(part, dict) for part in parts) else None


def job_of(params: Params, stage_name: str, shard: int | None) -> Job:
    """The job of a whole stage or gather step (`shard` None) or of one shard. Raises ValueError on a wrong shard."""
    stage = STAGES[stage_name]
    num_shards = params.generate_responses.num_shards
    if shard is not None and not (stage.sharded and 0 <= shard < num_shards):
        bound = f"0..{num_shards - 1}" if stage.sharded else "none: the stage has no shards"
        raise ValueError(f"{stage_name}: shard {shard} is out of range ({bound})")
    if stage.sharded and shard is None:
        inputs, outputs = stage.gather_inputs, stage.gather_outputs
    else:
        inputs, outputs = stage.inputs, stage.outputs

    def paths(pattern: str | tuple[str, ...]) -> list[Path]:
        if shard is not None and isinstance(pattern, str):
            return [Path(pattern.format(shard=shard))]
        return [Path(path) for path in expand_shards(pattern, num_shards)]

    singles = [path for pattern in inputs.values() for path in (pattern if isinstance(pattern, tuple) else (pattern,))]
    made_with = {
        path: manifest_path(first)
        for single in singles
        for path, first in zip(paths(single), paths(MADE_WITH[single]), strict=True)
    }
    return Job(
        stage=stage,
        name=stage_name if shard is None else f"{stage_name}-{shard:04d}",
        shard=shard,
        inputs={key: paths(pattern) for key, pattern in inputs.items()},
        outputs={key: paths(pattern)[0] for key, pattern in outputs.items()},
        made_with=made_with,
    )


def run_job_of_stage(params: Params, job: Job) -> str:
    """`run_job` with the stage's own `run`, or its `gather` for the gather step. Returns and raises as `run_job`."""

    def body(outputs: dict[str, Path], scratch: Path) -> None:
        with large_imports():
            module = import_module(f"eyrie.stages.{job.stage.name}")
        arguments: dict[str, Any] = {key: job.argument(key) for key in job.inputs}
        if job.shard is not None:
            arguments["shard"] = job.shard
        gathers = job.stage.sharded and job.shard is None
        if job.stage.resumes and not gathers:
            scratch.mkdir(exist_ok=True)
            arguments["scratch"] = scratch
        (module.gather if gathers else module.run)(params, **arguments, **outputs)

    return run_job(params, job, body)


def run_job(params: Params, job: Job, body: Callable[[dict[str, Path], Path], None]) -> str:
    """Bring the job's outputs up to date. `body` gets a temporary path for each key of `outputs`, and the path of a
    folder, not made yet, that the next attempt at the same content finds again.

    Returns `current`, `restored` (an earlier build of the same content was linked again) or `built`.
    Raises FileNotFoundError naming a missing input, and whatever `body` raises.
    """
    digests = Digests()
    for path in (path for paths in job.inputs.values() for path in paths):
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file; run the stage that makes it first")
    digests.prefetch(path for paths in job.inputs.values() for path in paths)
    inputs = {str(path): digests.of(path) for paths in job.inputs.values() for path in paths}
    _check_inputs(job, inputs)
    made_by = fingerprint(params, job.stage, digests)
    key = key_of(made_by, inputs, job.name)
    build = SCRATCH / job.name / key[:24]
    build.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(build.parent / "lock"):
        if _is_current(job, key, digests):
            outcome = "current"
            for path in (*job.outputs.values(), job.manifest):
                with suppress(OSError):
                    os.utime(path, follow_symlinks=False)  # newer than its inputs, or Snakemake would ask again
        else:
            outcome = "restored" if _is_intact(build, job) else "built"
            if outcome == "built":
                _build(job, build, made_by, inputs, key, body)
            _publish(job, build)
        digests.save()
        _prune(build)
    return outcome


def _check_inputs(job: Job, inputs: dict[str, str]) -> None:
    """Raise ValueError naming an input that is not what the manifest that came with it says. No manifest, no word."""
    manifests: dict[Path, dict[str, Any] | None] = {}
    for path, digest in inputs.items():
        beside = job.made_with.get(Path(path))
        if beside is None:
            continue
        if beside not in manifests:
            manifests[beside] = read_manifest(beside)
        manifest = manifests[beside]
        if manifest is not None and manifest["outputs"].get(path, digest) != digest:
            raise ValueError(f"{path}: damaged: it is not what {beside} says; run the workflow to have it made again")


def keep_build(job: Job) -> None:
    """Link current outputs into scratch where it lacks them, as if they had been built here: they came from elsewhere
    (DVC's cache), or scratch was removed. Not while another run builds the job."""
    manifest = read_manifest(job.manifest)
    if manifest is None:
        return
    build = SCRATCH / job.name / manifest["key"][:24]
    if build.exists():
        return
    build.parent.mkdir(parents=True, exist_ok=True)
    with suppress(Timeout), FileLock(build.parent / "lock", timeout=0):
        partial = build.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for path in job.outputs.values():
            _link(path, partial / path.name, touch=False)
        write_text(partial / "manifest.json", job.manifest.read_text(encoding="utf-8"))
        partial.replace(build)
        _prune(build)


def _build(
    job: Job,
    build: Path,
    made_by: dict[str, Any],
    inputs: dict[str, str],
    key: str,
    body: Callable[[dict[str, Path], Path], None],
) -> None:
    partial, resume = build.with_suffix(".partial"), build.with_suffix(".resume")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    started = time.monotonic()
    try:
        body({name: partial / path.name for name, path in job.outputs.items()}, resume)
        fresh = Digests(fresh=True)
        outputs = {str(path): fresh.of(partial / path.name) for path in job.outputs.values()}
        manifest = {"key": key, "made_by": made_by, "inputs": inputs, "outputs": outputs}
        write_text(partial / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
            error.filename = str(build.parent)  # a write does not say on which disk it failed
        raise
    shutil.rmtree(build, ignore_errors=True)
    partial.replace(build)
    shutil.rmtree(resume, ignore_errors=True)
    record_timing(job.name, time.monotonic() - started)


def _is_intact(build: Path, job: Job) -> bool:
    """Whether a finished build is there and its files still have the digests its manifest gives."""
    manifest = read_manifest(build / "manifest.json")
    fresh = Digests(fresh=True)  # kept files share their inode with what was published: read them
    return manifest is not None and all(
        (build / path.name).exists() and fresh.of(build / path.name) == manifest["outputs"].get(str(path))
        for path in job.outputs.values()
    )


def _is_current(job: Job, key: str, digests: Digests) -> bool:
    manifest = read_manifest(job.manifest)
    return (
        manifest is not None
        and manifest["key"] == key
        and all(
            path.exists() and digests.of(path) == manifest["outputs"].get(str(path)) for path in job.outputs.values()
        )
    )


def _publish(job: Job, build: Path) -> None:
    """Link every output into place, the manifest last."""
    for path in job.outputs.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.publishing")
        _remove(temporary)
        _link(build / path.name, temporary)
        if path.is_dir() or temporary.is_dir():
            _remove(path)  # a folder cannot be replaced in one step
        temporary.replace(path)
    for left in job.manifest.parent.glob(f".{job.manifest.name}.*.tmp"):  # by a kill at the next line
        left.unlink(missing_ok=True)
    write_text(job.manifest, (build / "manifest.json").read_text(encoding="utf-8"))


def _link(source: Path, target: Path, *, touch: bool = True) -> None:
    """Hard links where the file system has them, copies elsewhere. With `touch`, modification times become now."""
    if source.is_dir():
        target.mkdir()
        for entry in source.iterdir():
            if entry.name != SNAKEMAKE_TIMESTAMP:
                _link(entry, target / entry.name, touch=touch)
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    if touch:
        with suppress(OSError):
            os.utime(target, follow_symlinks=False)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _prune(build: Path) -> None:
    """Keep the newest builds and the newest unfinished work of the job; drop older ones. The build in use is always
    the newest."""
    with suppress(OSError):
        os.utime(build)
    for partial in build.parent.glob("*.partial"):  # of a killed job: whoever works on one has the lock
        shutil.rmtree(partial, ignore_errors=True)
    for suffix in ("", ".resume"):
        folders = [item for item in build.parent.iterdir() if item.is_dir() and item.suffix == suffix]
        for old in sorted(folders, key=lambda item: item.stat().st_mtime, reverse=True)[KEPT_BUILDS:]:
            shutil.rmtree(old, ignore_errors=True)
