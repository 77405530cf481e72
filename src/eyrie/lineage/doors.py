"""The two doors: what both say before they start, which stages DVC is asked for, and what is checked when one ends."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from eyrie.lineage.digests import Digests
from eyrie.lineage.layout import STAGES, UNSCREENED, upstream_of
from eyrie.lineage.timings import RUN, human_seconds, read_timings
from eyrie.lineage.verdicts import Verdict, jobs_of, judge
from eyrie.params import Params, load_params


class ChangedError(ValueError):
    """Parameters, code or inputs are others than when the stage started."""


def dvc_stage() -> str | None:
    """The DVC stage that this process runs for; None outside DVC."""
    return os.environ.get("DVC_STAGE")


def find_commands() -> None:
    """For what this process starts, `eyrie` and `snakemake` are this environment's: it need not have been activated."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def plan(params: Params) -> str:
    """A few lines: the stages with the seconds each took last time, the target, and the last run's duration."""
    timings = read_timings()
    names = []
    for stage in STAGES.values():
        jobs = [timing["seconds"] for name, timing in timings.items() if name.partition("-")[0] == stage.name]
        names.append(f"{stage.name} ({human_seconds(sum(jobs))})" if jobs else stage.name)
    last = timings.get(RUN)
    duration = "no run on this machine yet"
    if last:
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(last["finished"]))
        duration = f"the last run that built something took {human_seconds(last['seconds'])} ({day})"
    return f"Eyrie: a draft head for {params.target.model}, {len(names)} stages; {duration}.\n  " + " > ".join(names)


def dvc_targets(params: Params, targets: Sequence[str]) -> list[str]:
    """The stages to run one by one, in order, so that `targets` are current; empty when they are.

    Asked for `train_head`, DVC would make everything upstream again that is not here; this leaves out what nothing
    needs, so that training starts from pulled features.
    """
    digests = Digests()
    verdicts = judge(params, digests)
    digests.save()
    wanted = _closure(targets)
    absent = {name for name in wanted if any(verdict.state == "missing" for verdict in verdicts[name])}
    current = {name for name in wanted if all(verdict.state == "current" for verdict in verdicts[name])}
    needed = (wanted - absent - current) | (absent & set(targets))
    before: set[str] = set()
    while needed != before:
        before = set(needed)
        for name in before:  # who makes what a needed stage reads and is not here
            needed |= _makers_of_missing_inputs(verdicts, name)
        # and what is here and follows from a needed stage may change
        needed |= {name for name in wanted - absent if needed & set(upstream_of(name))}
    return [name for name in STAGES if name in needed]


def make_dvc_look(params: Params, targets: Sequence[str]) -> None:
    """Remove the manifest that DVC has in place of an output of `targets`, when the output itself is not here."""
    for name in targets:
        for job in jobs_of(params, name):
            if any(str(path) in UNSCREENED and not path.exists() for path in job.outputs.values()):
                job.manifest.unlink(missing_ok=True)


def verify_stage(params_path: Path, stage: str) -> None:
    """Raise ChangedError unless every output of the stage is what today's parameters and code make.

    Called when a stage of DVC ends: DVC would record the parameters of now for outputs that those of then made.
    """
    digests = Digests()
    verdicts = judge(load_params(params_path), digests, [stage])[stage]
    digests.save()
    for verdict in verdicts:
        if verdict.state != "current":
            raise ChangedError(f"{stage}: {verdict.reasons[0]} while it ran; run again")


def _makers_of_missing_inputs(verdicts: dict[str, list[Verdict]], stage: str) -> set[str]:
    missing = {
        path
        for verdict in verdicts[stage]
        for paths in verdict.job.inputs.values()
        for path in paths
        if not path.exists()
    }
    return {
        name
        for name in upstream_of(stage)
        if any(path in missing for verdict in verdicts[name] for path in verdict.job.outputs.values())
    }


def _closure(targets: Sequence[str]) -> set[str]:
    closed = set(targets)
    for name in reversed(STAGES):
        if name in closed:
            closed.update(upstream_of(name))
    return closed
