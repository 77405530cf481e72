"""What both doors say before they start: which stages, for which target, and how long the last run took."""

import time

from eyrie.lineage.layout import STAGES
from eyrie.lineage.timings import RUN, human_seconds, read_timings
from eyrie.params import Params


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
