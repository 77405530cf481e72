"""Before Snakemake plans: make modification times say what content says, because they are all that Snakemake looks at.

In: params, manifests, outputs, `dvc.lock`. Out: an output that is current is newer than its inputs and stamps, one
that is stale or damaged is older than its stamp; nothing is in the future (after the clock was moved back). So a clone
with pulled outputs has nothing to do, a damaged output is made again, and nothing is judged by the order in which files
came. What is current is also linked into scratch, to be linked back should a tool delete it before it asks again.
"""

import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from eyrie.io import SNAKEMAKE_TIMESTAMP
from eyrie.lineage.cache import evict
from eyrie.lineage.digests import Digests
from eyrie.lineage.fingerprint import STAMPS
from eyrie.lineage.jobs import keep_build
from eyrie.lineage.layout import SHARD, STAGES
from eyrie.lineage.lockfile import LockFile
from eyrie.lineage.verdicts import Verdict, jobs_of, judge
from eyrie.params import Params

METADATA = Path(".snakemake/metadata")
STALE_NS = 1_000_000_000  # one second after the epoch: older than any stamp (0 would read as "no time")


def settle(params: Params, *, alone: bool) -> list[str]:
    """Bring the times in order. `alone`: no other run is at work, so files that no job owns may go.

    Returns a sentence for each output that is damaged.
    """
    digests = Digests()
    if alone:
        for path in stray_files(params):
            path.unlink(missing_ok=True)
    _leave_the_future(params, digests)
    verdicts = judge(params, digests)
    settler = _Settler(params, digests)
    damaged: list[str] = []
    suspects: list[Path] = []
    for name, jobs in verdicts.items():
        for verdict in jobs:
            settler.settle(name, verdict)
            if verdict.state == "damaged":
                damaged += [f"{reason}; it will be made again" for reason in verdict.reasons]
                suspects += [*verdict.job.outputs.values(), verdict.job.manifest]
    if suspects:
        evict(suspects)
    digests.save()
    return damaged


class _Settler:
    """Goes through the jobs in pipeline order; remembers how new each file is, or would be if it were here."""

    def __init__(self, params: Params, digests: Digests) -> None:
        self._digests = digests
        self._mtimes: dict[Path, int] = {}
        self._doomed: set[Path] = set()  # files that are not here and would not be the same if they were made now
        self._params = params
        self._known: dict[str, bool] = {}

    @cached_property
    def _lock(self) -> LockFile:
        return LockFile()  # only where an output is missing: it takes 0.3 s to import what reads it

    def settle(self, stage: str, verdict: Verdict) -> None:
        job = verdict.job
        inputs = [path for paths in job.inputs.values() for path in paths]
        files = [*job.outputs.values(), job.manifest]
        newest = max([_mtime(STAMPS / f"{stage}.json") or 0, *(self._newest(path) for path in inputs)])
        doomed = any(path in self._doomed and not path.exists() for path in inputs)
        times = [mtime for path in files if (mtime := _mtime(path)) is not None]
        if verdict.state == "current":
            keep_build(job)  # Snakemake deletes it when something upstream runs again, even with the same bytes
        if verdict.state == "missing" and (doomed or not self._is_known(stage)):
            doomed = True
            self._doomed.update(files)
        if verdict.state in ("current", "missing") and not doomed:
            # of a missing job, what is here (metrics that came with git) must not ask for the rest either
            if times and (min(times) < newest or (verdict.state == "current" and len(times) < len(files))):
                now = max(time.time_ns(), newest + 1)
                for path in files:
                    if path.exists():
                        self._digests.touch(path, now)
                times = [now]
        elif times:
            self._digests.touch(next(path for path in reversed(files) if path.exists()), STALE_NS)
            _forget_checksums(files)
        for path in files:
            self._mtimes[path] = max([newest, *times])

    def _newest(self, path: Path) -> int:
        """When an input last changed, as Snakemake takes it: of a symbolic link and its file the newer one."""
        mtime = _mtime(path)
        if mtime is None:
            return self._mtimes.get(path, 0)
        return max(mtime, path.stat().st_mtime_ns) if path.is_symlink() else mtime

    def _is_known(self, stage: str) -> bool:
        """Whether `dvc.lock` vouches for outputs that are not here. Without a record nobody does: a kill may have
        struck between the deleting of the old ones and the making of others."""
        if stage not in self._known:
            self._known[stage] = self._lock.vouches_for(stage, self._params)
        return self._known[stage]


def stray_files(params: Params) -> list[Path]:
    """Files in the folders of shards that belong to no job: shards beyond `num_shards`, temporary files of a kill."""
    num_shards = params.generate_responses.num_shards
    strays = []
    for stage in STAGES.values():
        for pattern in (path for path in stage.outputs.values() if SHARD in path):
            outputs = {Path(pattern.format(shard=shard)).name for shard in range(num_shards)}
            owned = outputs | {f"{name}.manifest.json" for name in outputs} | {".gitignore"}
            folder = Path(pattern).parent
            if folder.is_dir():
                strays += [path for path in folder.iterdir() if path.is_file() and path.name not in owned]
    return sorted(strays)


def _forget_checksums(outputs: list[Path]) -> None:
    """Remove Snakemake's records of a job: an input with the checksum in them would not count as newer."""
    for path in outputs:
        (METADATA / urlsafe_b64encode(str(path).encode()).decode()).unlink(missing_ok=True)


def _leave_the_future(params: Params, digests: Digests) -> None:
    now = time.time_ns()
    for path in (*STAMPS.glob("*.json"), *_all_files(params)):
        mtime = _mtime(path)
        if mtime is not None and mtime > now:
            digests.touch(path, now)


def _all_files(params: Params) -> Iterable[Path]:
    for name in STAGES:
        for job in jobs_of(params, name):
            yield from (*job.outputs.values(), job.manifest)


def _mtime(path: Path) -> int | None:
    """An output's modification time as Snakemake takes it: of a symbolic link its own; None when it is not here."""
    with suppress(OSError):
        return (path / SNAKEMAKE_TIMESTAMP).stat().st_mtime_ns
    with suppress(OSError):
        path.stat()  # a link to nothing is not here
        return path.lstat().st_mtime_ns
    return None
