"""`eyrie pull` and `make remote`: outputs from the DVC remote, checked by content before anything uses them.

In: `dvc.lock`, the remote, optionally stages and a shard. Out: the outputs, in an order of times that leaves both doors
nothing to do. DVC names objects by their md5, and every output's manifest holds its sha256: an object that was changed
in the remote is named and taken away again, here and in DVC's cache.
"""

import os
import re
from pathlib import Path

from eyrie.lineage.cache import absent_from_cache, dvc_repo, evict, files_of, is_in_remote
from eyrie.lineage.digests import Digests
from eyrie.lineage.dvcfile import IN_GIT
from eyrie.lineage.jobs import job_of, keep_build, manifest_path
from eyrie.lineage.layout import NEVER_PUSHED, STAGES, UNSCREENED
from eyrie.lineage.lockfile import LockFile
from eyrie.lineage.verdicts import Verdict, judge
from eyrie.params import Params

REMOTE = "storage"
BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[^\s]*)?")


class PullError(ValueError):
    """Something asked for cannot be had, or is not what it should be."""


def set_remote(url: str) -> None:
    """Make `gs://bucket/path` the default DVC remote, its objects verified on arrival. Raises PullError or
    NoRepositoryError."""
    if not BUCKET.fullmatch(url):
        raise PullError(f"{url}: expected gs://bucket/path")
    with dvc_repo() as repo, repo.config.edit("repo") as config:
        config["core"]["remote"] = REMOTE
        config["remote"].setdefault(REMOTE, {})
        config["remote"][REMOTE] |= {"url": url, "verify": True}


def pull(params: Params, stages: list[str], *, shard: int | None = None, jobs: int | None = None) -> list[str]:
    """Pull the outputs of `stages` (all recorded ones when empty), or one shard of a stage.

    Returns a sentence per stage. Raises PullError naming what is not recorded, not in the remote, or not whole, and
    RemoteError when the remote gives no answer.
    """
    lock = LockFile()
    wanted = stages or [name for name in STAGES if name in lock.stages]
    targets = _targets(params, wanted, lock, shard)
    _ask_first(wanted, targets, lock)
    for _ in range(2):  # what was damaged here already passes for whole with DVC: without it the remote is asked
        _fetch(targets, jobs, lock)
        digests = Digests()
        judged = judge(params, digests, wanted)
        bad = [path for verdicts in judged.values() for verdict in verdicts for path in _damaged(verdict, digests)]
        if not bad:
            break
        _discard(bad)
    else:
        names = "; ".join(str(path) for path in bad)
        raise PullError(
            f"{names}: not what the manifest says: the object in the remote is damaged. It was removed here"
        )
    sentences = []
    for name, verdicts in judged.items():
        here = [verdict for verdict in verdicts if verdict.state != "missing"]
        for verdict in here:
            if verdict.state == "current":
                keep_build(verdict.job)
        stale = next((reason for verdict in here for reason in verdict.reasons), "")
        count = f"{len(here)} of {len(verdicts)} jobs' outputs" if len(verdicts) > 1 else "outputs"
        if not here and UNSCREENED & {*STAGES[name].outputs.values()}:
            sentences.append(f"{name}: not here: {NEVER_PUSHED}")
            continue
        sentences.append(f"{name}: {count} here" + (f"; not current: {stale}" if stale else ""))
    digests.save()
    return sentences


def _targets(params: Params, stages: list[str], lock: LockFile, shard: int | None) -> list[str]:
    if lock.damaged:
        raise PullError(
            "dvc.lock cannot be read (a merge, perhaps), so nothing is known to pull; take one side of it, or have "
            "`eyrie record` write it again from what is here"
        )
    for name in stages:
        if name not in STAGES:
            raise PullError(f"{name}: no such stage; stages are {', '.join(STAGES)}")
        if name not in lock.stages:
            raise PullError(f"{name}: dvc.lock has no record of it, so there is nothing to pull")
    if not stages:
        raise PullError("dvc.lock holds no stage, so there is nothing to pull")
    if shard is None:
        return stages
    if len(stages) != 1:
        raise PullError("--shard needs exactly one stage")
    outputs = list(job_of(params, stages[0], shard).outputs.values())
    return [str(path) for path in (*outputs, manifest_path(outputs[0]))]


def _ask_first(stages: list[str], targets: list[str], lock: LockFile) -> None:
    """Raise RemoteError when something has to come from a remote that gives no answer: DVC would try for minutes and
    then count files."""
    names = None if targets == stages else {"", *(Path(target).name for target in targets)}  # of one shard
    outs = [out for name in stages for out in lock.outs_of(name).items()]
    with dvc_repo() as repo:
        if not repo.config["core"].get("remote"):
            return
        for md5 in (md5 for path, md5 in outs if not path.startswith(IN_GIT)):
            absent = absent_from_cache(repo, md5)
            if names is not None:
                absent = [name for name in absent if name in names]
            if absent:
                is_in_remote(repo, md5)
                return


def _fetch(targets: list[str], jobs: int | None, lock: LockFile) -> None:
    from dvc.exceptions import CheckoutError, DvcException

    try:
        with dvc_repo() as repo:
            repo.pull(targets=targets, jobs=jobs, force=True)
    except CheckoutError as error:
        names = [name for path in error.target_infos for name in _absent_of(Path(path), lock)]
        raise PullError(f"not in the remote, or damaged there: {', '.join(sorted(names))}") from None
    except DvcException as error:
        raise PullError(f"DVC could not pull: {' '.join(str(error).split())}") from None


def _absent_of(path: Path, lock: LockFile) -> list[str]:
    """The files of an output that DVC's cache does not hold; the output's own name when none can be told."""
    relative = Path(os.path.relpath(path)).as_posix()
    md5 = next((outs[relative] for name in lock.stages if relative in (outs := lock.outs_of(name))), "")
    with dvc_repo() as repo:
        absent = absent_from_cache(repo, md5)
    return [f"{relative}/{name}".removesuffix("/") for name in absent] or [relative]


def _damaged(verdict: Verdict, digests: Digests) -> list[Path]:
    """What is here of the job and not what its manifest says, or a manifest that cannot be read; nothing that comes
    with git."""
    if verdict.state != "damaged":
        return []
    paths = [verdict.job.manifest]
    if verdict.manifest is not None:
        recorded = verdict.manifest["outputs"]
        paths = [path for path in verdict.job.outputs.values() if digests.of(path) != recorded.get(str(path))]
    return [path for path in paths if not str(path).startswith(IN_GIT)]


def _discard(paths: list[Path]) -> None:
    """Remove damaged outputs here and from DVC's cache, so that neither is used and the next pull asks the remote."""
    evict(paths)
    for path in paths:
        for file in files_of(path):
            file.unlink(missing_ok=True)
