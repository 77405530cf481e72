"""`eyrie run`: `dvc repro` of what is not current, with dvc.lock true before and after."""

from collections.abc import Callable
from pathlib import Path

from eyrie.lineage import doors, recording
from eyrie.lineage.fingerprint import write_stamps
from eyrie.lineage.settle import settle
from eyrie.params import Params


def repro(params: Params, stages: list[str], params_path: Path, *, say: Callable[[str], object]) -> int:
    """Make everything, or `stages` and what they need, current and recorded. Returns DVC's exit status.

    Raises ValueError when params.yaml was edited meanwhile, and what `recording.record` raises.
    """
    recording.ask_for_a_side(params)
    if recording.set_damaged_lock_aside():
        say(f"dvc.lock cannot be read: kept as {recording.DAMAGED_LOCK}, and written again from the manifests.")
        recording.record(params, params_path)
    write_stamps(params)
    for sentence in settle(params, alone=False):
        say(sentence)
    for name in [*recording.drop_false_records(params), *recording.drop_forced_records(params)]:
        say(f"dvc.lock: the record of {name} did not fit the manifest of its output; it is made again.")
    targets = doors.dvc_targets(params, stages) if stages else []
    status_code = 0
    if targets or not stages:
        doors.make_dvc_look(params, targets)
        from dvc.cli import main as dvc_main  # in this process: one start less, and no run that outlives this one

        # not from DVC's run cache, which keeps what `dvc commit --force` said too; a kept build is linked as fast
        status_code = dvc_main(["repro", "--no-run-cache", *(["--single-item", *targets] if targets else [])])
    false = recording.close_lock(params_path)
    if status_code:
        return int(status_code)
    if false:
        raise ValueError(f"params.yaml was edited while {', '.join(false)} ran; run again")
    if stages:  # dvc.lock may lack what was current already, after a merge for instance
        recording.record(params, params_path)
    return 0
