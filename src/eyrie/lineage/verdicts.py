"""What is current and what is not, job by job, judged by content: manifests, digests and today's fingerprint.

In: params and the files that are here. Out: a `Verdict` per job. Nothing is changed. A job whose inputs are not here (a
clone with pulled features and no upstream data) is current when all that can be compared agrees.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from eyrie.io import canonical_json
from eyrie.lineage.digests import Digests
from eyrie.lineage.fingerprint import fingerprint, key_of
from eyrie.lineage.jobs import Job, job_of, read_manifest
from eyrie.lineage.layout import STAGES
from eyrie.params import Params

State = Literal["current", "stale", "damaged", "missing"]
NONE = "(none)"


@dataclass(frozen=True)
class Verdict:
    """`reasons` are empty when the job is current. `inputs_here`: whether every input could be compared."""

    job: Job
    state: State
    reasons: tuple[str, ...]
    inputs_here: bool
    manifest: dict[str, Any] | None


def jobs_of(params: Params, stage_name: str) -> Iterator[Job]:
    """The stage's jobs in the order in which they can run: shards, then the gather step."""
    if STAGES[stage_name].sharded:
        for shard in range(params.generate_responses.num_shards):
            yield job_of(params, stage_name, shard)
    yield job_of(params, stage_name, None)


def judge(params: Params, digests: Digests, stages: Iterable[str] = STAGES) -> dict[str, list[Verdict]]:
    """stage -> verdicts of its jobs, in pipeline order. Raises FileNotFoundError (a file that params name is gone)."""
    verdicts = {}
    for name in stages:
        expected = fingerprint(params, STAGES[name], digests)
        jobs = list(jobs_of(params, name))
        digests.prefetch(path for job in jobs for path in job.outputs.values())
        verdicts[name] = [_judge_job(job, expected, digests) for job in jobs]
    return verdicts


def _judge_job(job: Job, expected: dict[str, Any], digests: Digests) -> Verdict:
    present = [path for path in job.outputs.values() if path.exists()]
    manifest = read_manifest(job.manifest)
    inputs_here = all(path.exists() for paths in job.inputs.values() for path in paths)

    def verdict(state: State, reasons: Iterable[str] = ()) -> Verdict:
        return Verdict(job, state, tuple(reasons), inputs_here, manifest)

    absent = [path for path in job.outputs.values() if path not in present]
    if absent:
        return verdict("missing", [f"{path} is not here" for path in absent])
    if manifest is None:
        what = "is damaged" if job.manifest.exists() else "is not here"
        return verdict("damaged", [f"{job.manifest} {what}: nothing says what made {present[0]}"])
    if key_of(manifest["made_by"], manifest["inputs"], job.name) != manifest["key"]:
        return verdict("damaged", [f"{job.manifest} was changed by hand"])
    damaged = [path for path in present if digests.of(path) != manifest["outputs"].get(str(path))]
    if damaged:
        return verdict("damaged", [f"{path} is not what its manifest says" for path in damaged])
    reasons = [*_differences(manifest["made_by"], expected), *_input_differences(job, manifest["inputs"], digests)]
    return verdict("stale" if reasons else "current", reasons)


def _input_differences(job: Job, recorded: dict[str, str], digests: Digests) -> Iterator[str]:
    paths = [path for paths in job.inputs.values() for path in paths]
    named = {str(path) for path in paths}
    for gone in sorted(recorded.keys() - named):
        yield f"input {gone} is no longer one"
    for path in paths:
        if str(path) not in recorded:
            yield f"input {path} is new"
        elif path.exists() and digests.of(path) != recorded[str(path)]:
            yield f"input {path} changed"


def _differences(made_by: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """What differs between two fingerprints, in words: parameters with both values, files and code by name. They are
    compared as JSON: to Python 1, 1.0 and true are equal, and a chat template renders each otherwise."""
    if canonical_json(made_by) == canonical_json(expected):
        return []
    stage = expected["stage"]
    reasons = [*_value_differences(stage, made_by.get("params"), expected["params"])]
    reasons += _value_differences("target", made_by.get("target"), expected["target"])
    before = made_by.get("sections") or {}
    for section, now in expected.get("sections", {}).items():
        reasons += _value_differences(section, before.get(section, NONE), now)
    for kind, prefix in (("files", ""), ("code", "src/eyrie/")):
        before, now = made_by.get(kind) or {}, expected[kind]
        for path in sorted(before.keys() | now.keys()):
            if before.get(path) != now.get(path):
                how = "changed" if path in before and path in now else "is new" if path in now else "is no longer used"
                reasons.append(f"{'code' if kind == 'code' else 'file'} {prefix}{path} {how}")
    return reasons or ["its fingerprint has another form: it was made by another version"]


def _value_differences(where: str, before: Any, now: Any) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*now, *(key for key in before if key not in now)]:
            yield from _value_differences(f"{where}.{key}", before.get(key, NONE), now.get(key, NONE))
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from _value_differences(f"{where}.{index}", old, new)
    elif canonical_json(before) != canonical_json(now):
        yield f"parameter {where}: {_short(before)} -> {_short(now)}"


def _short(value: Any) -> str:
    text = NONE if value == NONE else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
