"""`eyrie status`: stage by stage what is current, what is not and why, and what can be pulled.

In: params, manifests, outputs, `dvc.lock`, DVC's cache (and its remote, for what is missing here). Changes nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyrie.lineage.cache import SILENT, NoRepositoryError, RemoteError, absent_from_cache, dvc_repo, is_in_remote
from eyrie.lineage.digests import Digests
from eyrie.lineage.layout import NEVER_PUSHED, STAGES, UNSCREENED, upstream_of
from eyrie.lineage.lockfile import LockFile
from eyrie.lineage.verdicts import State, Verdict, judge
from eyrie.params import Params

ORDER: tuple[State, ...] = ("damaged", "stale", "missing", "current")
MOST_REASONS = 5


@dataclass(frozen=True)
class StageStatus:
    """`state` is the worst of its jobs; `notes` are sentences about it; `follows` are stages that come first."""

    name: str
    state: State
    notes: tuple[str, ...]
    follows: tuple[str, ...]

    def lines(self) -> list[str]:
        after = f" (will follow {', '.join(self.follows)})" if self.follows and self.state == "current" else ""
        return [f"{self.name:<20} {self.state}{after}", *(f"    {note}" for note in self.notes)]


def status(params: Params, *, verify: bool = False) -> list[StageStatus]:
    """The state of every stage. With `verify` every file is read again, remembered digests or not."""
    digests = Digests(fresh=verify)
    verdicts = judge(params, digests)
    digests.save()
    lock = LockFile(fresh=verify)
    missing = [name for name, jobs in verdicts.items() if _worst(jobs) == "missing"]
    where = _where_to_get(missing, lock) if missing else {}
    changing: set[str] = set()
    statuses = []
    for name, jobs in verdicts.items():
        state = _worst(jobs)
        follows = tuple(other for other in upstream_of(name) if other in changing)
        notes = _reasons(jobs)
        if state == "missing":
            notes = [_missing(name, jobs, lock, params, where), *(notes if len(jobs) > 1 else [])]
        elif state == "current" and not all(verdict.inputs_here for verdict in jobs):
            notes = ["its inputs are not here and could not be compared"]
        if state in ("stale", "damaged") or follows or (state == "missing" and not lock.vouches_for(name, params)):
            changing.add(name)
        statuses.append(StageStatus(name, state, tuple(notes), follows))
    return statuses


def _worst(jobs: list[Verdict]) -> State:
    return next(state for state in ORDER if any(verdict.state == state for verdict in jobs))


def _reasons(jobs: list[Verdict]) -> list[str]:
    """Reasons of all jobs, each once; beyond a few, how many more."""
    reasons = list(dict.fromkeys(reason for verdict in jobs for reason in verdict.reasons))
    more = len(reasons) - MOST_REASONS
    return reasons if more <= 0 else [*reasons[:MOST_REASONS], f"and {more} more"]


def _missing(name: str, jobs: list[Verdict], lock: LockFile, params: Params, where: dict[str, str]) -> str:
    absent = sum(verdict.state == "missing" for verdict in jobs)
    shards = f"{absent} of {len(jobs)} jobs' outputs are not here; " if len(jobs) > 1 and absent < len(jobs) else ""
    if lock.damaged:
        return f"{shards}dvc.lock cannot be read (a merge, perhaps), so nothing is known of it: take one side of it"
    if name not in where:
        return f"{shards}never recorded in dvc.lock"
    if lock.differs(name, params):
        return f"{shards}dvc.lock holds it for other parameters or code ({where[name]})"
    return shards + where[name]


def _where_to_get(stages: list[str], lock: LockFile) -> dict[str, str]:
    """stage -> where DVC has its recorded outputs."""
    recorded = [name for name in stages if lock.outs_of(name)]
    kept_back = {name: NEVER_PUSHED for name in recorded if UNSCREENED & {*STAGES[name].outputs.values()}}
    recorded = [name for name in recorded if name not in kept_back]
    if not recorded:
        return kept_back
    from dvc.exceptions import DvcException

    found: dict[str, str] = {}
    try:
        with dvc_repo() as repo:
            for name in recorded:
                silent = next((answer for answer in found.values() if answer.startswith(SILENT)), "")
                found[name] = _find(repo, name, lock, silent)
            return kept_back | found
    except (NoRepositoryError, DvcException) as error:  # DVC's: a dvc.yaml that it cannot read, after a merge
        return kept_back | dict.fromkeys(recorded, " ".join(str(error).split()))


def _find(repo: Any, name: str, lock: LockFile, silent: str) -> str:
    """Where the stage's outputs are. `silent`: what was said of a remote that cannot be asked, which takes long."""
    cached = {out for out, cached in _outs_of(repo, name) if cached}
    hashes = [md5 for path, md5 in lock.outs_of(name).items() if path in cached and md5]
    if not hashes:
        return "not kept by DVC: it comes with git, or by running the stage"
    if not any(absent_from_cache(repo, md5) for md5 in hashes):
        return f"in DVC's cache: eyrie pull {name}"
    if not repo.config["core"].get("remote"):
        return "no remote is set"
    if silent:
        return silent
    try:
        found = all(is_in_remote(repo, md5) for md5 in hashes)
    except RemoteError as error:
        return str(error)
    return f"pullable from the remote: eyrie pull {name}" if found else "not in the remote"


def _outs_of(repo: Any, name: str) -> list[tuple[str, bool]]:
    (stage,) = repo.stage.collect(name)
    return [(Path(out.def_path).as_posix(), out.use_cache) for out in stage.outs]
