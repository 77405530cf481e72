"""`eyrie record`: bring `dvc.lock` up to date for outputs that are current, refuse the rest by name.

In: params, manifests, outputs. Out: `dvc.lock` and DVC's cache. Stage by stage in pipeline order: content is judged
first, then DVC commits; what DVC wrote is held against the manifests afterwards, so that parameters edited meanwhile
cannot slip in. Nothing is recorded for a stage that is stale, damaged or not here, or whose inputs are not here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eyrie.lineage.cache import dvc_repo
from eyrie.lineage.digests import Digests
from eyrie.lineage.guard import BusyError
from eyrie.lineage.layout import STAGES, UNSCREENED
from eyrie.lineage.lockfile import DVC_LOCK, LockFile, in_conflict
from eyrie.lineage.settle import stray_files
from eyrie.lineage.verdicts import Verdict, judge
from eyrie.params import Params, load_params

Outcome = Literal["recorded", "unchanged", "refused"]
DAMAGED_LOCK = Path("dvc.lock.damaged")
UNRECORDED = Path(".eyrie/unrecorded")  # since Snakemake began to build: dvc.lock may not know of it


class RecordError(ValueError):
    """DVC could not record."""


@dataclass(frozen=True)
class Record:
    stage: str
    outcome: Outcome
    why: str = ""


def record(params: Params, params_path: Path) -> list[Record]:
    """Record every current stage. Raises RecordError when DVC fails, BusyError when another DVC is at work, with DVC's
    words, and NoRepositoryError."""
    set_damaged_lock_aside()
    drop_forced_records(params)
    digests = Digests()
    verdicts = judge(params, digests)
    strays = {path.parent for path in stray_files(params)}
    refusals: dict[str, str] = {}
    for name, jobs in verdicts.items():
        why = _why_not(jobs, strays)
        if why:
            refusals[name] = why
    digests.save()
    written = _commit([name for name in verdicts if name not in refusals])
    false = close_lock(params_path)
    UNRECORDED.unlink(missing_ok=True)
    return [
        Record(name, "refused", refusals[name])
        if name in refusals
        else Record(name, "refused", "params.yaml changed meanwhile")
        if name in false
        else Record(name, "recorded" if name in written else "unchanged")
        for name in verdicts
    ]


def drop_false_records(params: Params) -> list[str]:
    """Take records out of `dvc.lock` that give an output other parameters than its manifest. Returns their stages."""
    lock = LockFile()
    false = [name for name in STAGES if lock.is_false(name, params)]
    if false:
        lock.drop(false)
    return false


def close_lock(params_path: Path) -> list[str]:
    """What is left to do once DVC has written: drop what became false meanwhile, and put the rest in order. Returns the
    stages of what was false. Raises ParamsError."""
    false = drop_false_records(load_params(params_path))
    LockFile().put_in_order()
    return false


def drop_forced_records(params: Params) -> list[str]:
    """Take records out of `dvc.lock` by which DVC holds an output for current and its manifest does not, as
    `dvc commit --force` writes them. Returns their stages."""
    digests = Digests()
    verdicts = judge(params, digests)
    digests.save()
    lock = LockFile()
    suspects = [name for name, jobs in verdicts.items() if any(job.state in ("stale", "damaged") for job in jobs)]
    suspects = [name for name in suspects if name in lock.stages]
    if not suspects:
        return []
    with _dvc_at_work() as repo:
        stages = _stages_of(repo)
        forced = [name for name in suspects if name in stages and not stages[name].status()]
    if forced:
        lock.drop(forced)
    return forced


def ask_for_a_side(params: Params) -> None:
    """Raise RecordError when `dvc.lock` holds a merge's conflict and outputs are not here: without their records all
    that made them, answers and features of days perhaps, would run again."""
    if not in_conflict():
        return
    digests = Digests()
    verdicts = judge(params, digests)
    digests.save()
    absent = [name for name, jobs in verdicts.items() if any(job.state == "missing" for job in jobs)]
    absent = [name for name in absent if not UNSCREENED & {*STAGES[name].outputs.values()}]
    if absent:
        raise RecordError(
            f"dvc.lock holds a merge's conflict, and what {', '.join(absent)} made is not here: without its record it "
            "would be made again; take one side first, `git checkout --ours dvc.lock` or `--theirs`"
        )


def set_damaged_lock_aside() -> bool:
    """Rename a `dvc.lock` that cannot be read: DVC would stop at it, and manifests know more. Returns whether."""
    if not LockFile().damaged:
        return False
    DVC_LOCK.replace(DAMAGED_LOCK)
    return True


def _why_not(jobs: list[Verdict], stray_folders: set[Path]) -> str:
    """Why the stage cannot be recorded; empty when it can. What is upstream does not matter: its outputs are inputs
    here, and they were compared."""
    for verdict in jobs:
        if verdict.state != "current":
            return verdict.reasons[0]
        if not verdict.inputs_here:
            return "its inputs are not here; what dvc.lock says of it stays"
    files = {path for verdict in jobs for path in verdict.job.outputs.values()}
    files |= {path for verdict in jobs for paths in verdict.job.inputs.values() for path in paths}
    strays = sorted({str(path.parent) for path in files} & {str(folder) for folder in stray_folders})
    return f"{strays[0]} holds files of no shard; run the workflow to have them removed" if strays else ""


def _commit(stages: list[str]) -> list[str]:
    """Let DVC commit the stages whose record differs from what is here. Returns those.

    As its `Repo.commit` does, for all of them at once: one by one each would parse and write DVC's files again, 4.5 s.
    """
    with _dvc_at_work() as repo:
        dvc_stages = _stages_of(repo)
        behind = [dvc_stages[name] for name in stages if dvc_stages[name].status()]
        committed = []
        try:
            for stage in behind:
                stage.save()
                stage.commit()
                committed.append(stage)
        finally:  # those before one that fails, on a full disk, are recorded
            if committed:
                committed[0].dvcfile.dump_stages(committed, update_pipeline=False)
        return [stage.name for stage in committed]


@contextmanager
def _dvc_at_work() -> Iterator[Any]:
    """`dvc_repo`, locked, in which DVC's failures become RecordErrors, or BusyErrors where another DVC is at work."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import lock_repo

    try:
        with dvc_repo() as repo, lock_repo(repo):
            yield repo
    except DvcException as error:
        raised = BusyError if isinstance(error, LockError) else RecordError
        raise raised(f"DVC could not record: {' '.join(str(error).split())}") from None


def _stages_of(repo: Any) -> dict[str, Any]:
    """DVC's stages by name. Each look-up of one would parse dvc.yaml and dvc.lock again. A stage's `status` is empty
    when dvc.lock says what is here and DVC's cache holds it."""
    return {stage.name: stage for stage in repo.stage.load_all()}
