# The whole workflow. `snakemake --cores 2` builds reports/report.html; `make run` does the same through DVC.
# Parameters are checked before any rule; every rule calls one sub-command of `eyrie`.

import atexit
import subprocess
import sys
import time
from contextlib import ExitStack

from eyrie.lineage import cache, doors, guard, recording, timings
from eyrie.lineage.dvcfile import is_in_step
from eyrie.lineage.fingerprint import STAMPS, write_stamps
from eyrie.lineage.settle import settle
from eyrie.params import ParamsError, load_params
from eyrie.preflight import preflight
from snakemake.common.configfile import load_configfile

try:
    PARAMS = load_params(Path("params.yaml"))
except (ValueError, OSError) as error:  # Snakemake would not say what is wrong where
    sys.exit(f"eyrie: {error}")


configfile: "params.yaml"


try:
    if config != load_configfile("params.yaml"):
        # DVC would record params.yaml for outputs that other values made
        raise ParamsError("--config and --configfile are not allowed: edit params.yaml")
    preflight(PARAMS)
    if doors.dvc_stage() and not is_in_step(PARAMS):
        raise ParamsError(
            "dvc.yaml does not fit params.yaml and the code: run `eyrie sync`, then `dvc repro`"
        )
    if workflow.is_main_process:
        # not in a job that an executor runs through Snakemake again
        guard.watch_doors()
        atexit.register(guard.tell_of_another_run)
        doors.find_commands()
        alone = guard.hold_workflow_lock()
        recording.ask_for_a_side(PARAMS)
        write_stamps(PARAMS)
        for sentence in settle(PARAMS, alone=alone):
            print(f"eyrie: {sentence}", file=sys.stderr)
        if (
            alone
            and not doors.dvc_stage()
            and cache.has_dvc()
            and recording.UNRECORDED.exists()
        ):
            # a run was killed before its `onsuccess`, which Snakemake leaves out when there is nothing to do
            subprocess.run(["eyrie", "record", "--quiet"], check=True)
except (ValueError, OSError, subprocess.CalledProcessError) as error:
    sys.exit(f"eyrie: {error}")

NUM_SHARDS = lookup(within=config, dpath="generate_responses/num_shards")
SHARDS = [f"{shard:04d}" for shard in range(NUM_SHARDS)]
# workflow.cores, which stops at --unlock, --report and --summary without --cores
CORES = workflow._cores or 1
SHARD_THREADS = max(1, CORES // NUM_SHARDS)
STARTED = time.monotonic()
CLAIM = ExitStack()  # of the outputs, until they are recorded or the run has failed
atexit.register(CLAIM.close)


wildcard_constraints:
    shard=r"\d{4}",


localrules:
    all,
    report,


rule all:
    default_target: True
    input:
        "reports/report.html",


# Rules name their inputs by path: `rules.x.output` would bring rule x back in where --allowed-rules leaves it out.
include: "workflow/rules/prompts.smk"
include: "workflow/rules/responses.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/head.smk"
include: "workflow/rules/serving.smk"


onstart:
    try:
        if not doors.dvc_stage():
            guard.hold_run_lock()
            if cache.has_dvc():
                CLAIM.enter_context(cache.claimed_outputs())
    except (ValueError, OSError) as error:
        sys.exit(f"eyrie: {error}")
    # until `eyrie record` has been through: DVC records a stage by itself, unless it is killed before
    recording.UNRECORDED.touch()
    if not doors.dvc_stage():
        print(doors.plan(PARAMS), flush=True)


onsuccess:
    if doors.dvc_stage():
        try:
            doors.verify_stage(Path("params.yaml"), doors.dvc_stage())
        except (ValueError, OSError) as error:
            sys.exit(f"eyrie: {error}")
    else:
        CLAIM.close()
        timings.record_timing(timings.RUN, time.monotonic() - STARTED)
        shell("eyrie record --quiet")
        if Path("reports/report.html").is_file():
            shell("eyrie summary")
