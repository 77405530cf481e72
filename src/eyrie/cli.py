"""The `eyrie` command: one sub-command per stage, and the few that look after the whole."""

import gc
import logging
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from eyrie.lineage import cache, doors, dvcfile, guard, overview, recording, repro, storage, timings
from eyrie.lineage.fingerprint import write_stamps
from eyrie.lineage.jobs import job_of, run_job_of_stage
from eyrie.lineage.layout import CLEAN, HEAD, SERVING, STAGES
from eyrie.lineage.settle import settle
from eyrie.params import load_params
from eyrie.preflight import check_target, preflight

app = typer.Typer(
    help="From prompts to a served EAGLE-3 draft head.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
PARAMS = Path("params.yaml")

ShardOption = Annotated[int | None, typer.Option(help="Which shard, from 0; without it a sharded stage gathers.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads; default: what PyTorch takes.")]
StagesArgument = Annotated[list[str] | None, typer.Argument(help="Stages; default: all.", show_default=False)]
LogOption = Annotated[Path | None, typer.Option(help="Also write log lines to this file.")]


def _set_threads(threads: int | None) -> None:
    """Before PyTorch is imported. GNU OpenMP's default is to spin for seconds while a thread waits: beside one other
    busy process on 2 cores a training step then took 10 s instead of 0.15 s. This many spins cost nothing."""
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)


def _stage_command(stage: str, *, shard: int | None, threads: int | None, log: Path | None) -> None:
    _set_threads(threads)
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(log, mode="w", encoding="utf-8"))
    logging.basicConfig(level=logging.INFO, format=f"{stage}: %(message)s", handlers=handlers)
    for noisy in ("httpx", "httpcore", "presidio-analyzer", "uvicorn.access", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    guard.watch_doors()
    params = load_params(PARAMS)
    job = job_of(params, stage, shard)
    started = time.monotonic()
    outcome = run_job_of_stage(params, job)
    logging.getLogger("eyrie").info("%s %s in %s", job.name, outcome, timings.human_seconds(time.monotonic() - started))


def _register(stage: str) -> None:
    @app.command(stage, help=STAGES[stage].what, rich_help_panel="Stages: nothing happens when the output is current")
    def command(shard: ShardOption = None, threads: ThreadsOption = None, log: LogOption = None) -> None:
        _stage_command(stage, shard=shard, threads=threads, log=log)


for _name in STAGES:
    _register(_name)


@app.command()
def run(stages: StagesArgument = None) -> None:
    """Run the pipeline and print its summary, or run only STAGES and what they need, through `dvc repro`."""
    gc.disable()  # this process starts others and waits; garbage in what DVC parses took a sixth of a run of nothing
    asked = _known_stages(stages)
    params = load_params(PARAMS)
    preflight(params)
    with cache.dvc_repo():
        pass  # DVC can work here, or says now that it cannot
    guard.hold_run_lock()
    doors.find_commands()
    typer.echo(doors.plan(params))
    if dvcfile.sync_dvc_yaml(params):
        typer.echo("dvc.yaml brought up to date.")
    started, started_at = time.monotonic(), time.time()
    if status_code := repro.repro(params, asked, PARAMS, say=typer.echo):
        if "SNAKEMAKE_PROFILE" not in os.environ:  # the default one keeps back whatever Snakemake itself says
            typer.echo("eyrie run: where nothing above says why, `snakemake --cores 1` does.", err=True)
        raise typer.Exit(status_code)
    if any(timing["finished"] > started_at for timing in timings.read_timings().values()):
        timings.record_timing(timings.RUN, time.monotonic() - started)
    else:
        names = " and ".join(asked) or "every stage"
        typer.echo(f"Nothing to build: {names} {'are' if len(asked) > 1 else 'is'} current.")
    if not asked:
        summary()


@app.command()
def status(
    verify: Annotated[bool, typer.Option(help="Read every file again instead of trusting size and time.")] = False,
) -> None:
    """Say of every stage whether it is current, stale (and why), damaged or missing, and what can be pulled."""
    params = load_params(PARAMS)
    preflight(params)
    for stage in overview.status(params, verify=verify):
        typer.echo("\n".join(stage.lines()))


@app.command()
def record(
    quiet: Annotated[bool, typer.Option(help="Say only what was recorded; refusals are no failure.")] = False,
) -> None:
    """Bring dvc.lock up to date for outputs that are current; refuse the rest by name."""
    params = load_params(PARAMS)
    preflight(params)
    try:
        if not cache.has_dvc():
            raise cache.NoRepositoryError("no DVC project here; `dvc init` makes one")
        guard.hold_run_lock()
        dvcfile.sync_dvc_yaml(params)
        records = recording.record(params, PARAMS)
    except cache.NoRepositoryError:
        if quiet:
            return
        raise
    except guard.BusyError as error:
        if not quiet:
            raise
        records = []  # the next run records
        typer.echo(f"eyrie: dvc.lock is not up to date yet: {error}", err=True)
    for item in records:
        if not quiet or item.outcome == "recorded":
            typer.echo(f"{item.stage:<20} {item.outcome}" + (f": {item.why}" if item.why else ""))
    if not quiet and any(item.outcome == "refused" for item in records):
        raise typer.Exit(1)


@app.command()
def pull(
    stages: StagesArgument = None,
    shard: Annotated[int | None, typer.Option(help="Only this shard of the one stage named.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Downloads at a time; default: what DVC takes.")] = None,
) -> None:
    """Pull the outputs of STAGES (all recorded ones without a name) from the remote, and check them by content."""
    params = load_params(PARAMS)
    preflight(params)
    guard.hold_run_lock()
    with cache.dvc_repo():
        dvcfile.sync_dvc_yaml(params)
    for sentence in storage.pull(params, _known_stages(stages), shard=shard, jobs=jobs):
        typer.echo(sentence)
    write_stamps(params)
    settle(params, alone=False)


@app.command()
def remote(url: Annotated[str, typer.Argument(help="gs://bucket/path")]) -> None:
    """Set the DVC remote that `eyrie pull` and `dvc push` use."""
    storage.set_remote(url)
    typer.echo(f"DVC remote: {url}. `dvc push` uploads, `eyrie pull` downloads.")


def _known_stages(stages: list[str] | None) -> list[str]:
    for name in stages or []:
        if name not in STAGES:
            raise ValueError(f"{name}: no such stage; stages are {', '.join(STAGES)}")
    return [name for name in STAGES if name in (stages or [])]


@app.command()
def summary() -> None:
    """Print what the last run made and gained."""
    from eyrie.report.summary import print_summary

    print_summary()


@app.command()
def tune(
    offline: Annotated[
        bool, typer.Option("--offline", help="Only the acceptance of every shape, from recorded drafts: no server.")
    ] = False,
    threads: ThreadsOption = None,
) -> None:
    """Find the draft shape that serves best at each concurrency; write reports/serving.json."""
    _set_threads(threads)
    logging.basicConfig(level=logging.INFO, format="tune: %(message)s")
    params = load_params(PARAMS)
    preflight(params)
    from eyrie.bench import tune as tuning
    from eyrie.bench.shapes import offline_acceptance
    from eyrie.report.serving import print_offline, print_plan

    head, clean, folder = Path(HEAD), Path(CLEAN), Path(".eyrie/tune")
    for path in (head, clean):
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file; run the workflow first")
    if offline:
        print_offline(offline_acceptance(params, head=head, clean=clean, folder=folder))
        return
    print_plan(tuning.run(params, head=head, clean=clean, plan=Path(SERVING), folder=folder))
    typer.echo(f"Written: {SERVING}")


@app.command()
def recipe(name: Annotated[str, typer.Argument(help="A file of recipes/, without .yaml.")]) -> None:
    """Make a recipe the params.yaml of this checkout; an edited params.yaml is never overwritten."""
    from eyrie.recipes import use_recipe

    changed = use_recipe(name, PARAMS)
    typer.echo(f"{PARAMS}: {'now' if changed else 'already'} the recipe {name}.")


@app.command()
def estimate(
    gpu: Annotated[
        str | None,
        typer.Option(help="A device of resources/estimate/hardware.yaml; default: what a run here used, or H100."),
    ] = None,
    num_gpus: Annotated[int | None, typer.Option(min=1, help="How many of them work together.")] = None,
    prompt_tokens: Annotated[int, typer.Option(min=1, help="Mean length of a prompt, assumed.")] = 300,
    answer_tokens: Annotated[
        int | None, typer.Option(min=1, help="Of an answer; default: half of what it may.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Of this file of recipes/, instead of params.yaml.")] = None,
) -> None:
    """Say what a run will take: tokens, bytes, weights, hours, memory, a bucket's price; after it, how it compares."""
    from eyrie.estimate.report import print_estimate

    path = PARAMS if recipe is None else Path(f"recipes/{recipe}.yaml")
    print_estimate(
        load_params(path),
        ran_here=recipe is None,
        gpu=gpu,
        num_gpus=num_gpus,
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
    )


@app.command()
def check() -> None:
    """Check params.yaml and every file that it names."""
    preflight(load_params(PARAMS))
    typer.echo(f"{PARAMS}: every section is complete and valid.")


@app.command()
def screen(
    file: Annotated[
        Path, typer.Argument(help='JSONL, `-` for stdin; a row is {"messages": [...]} or {"text": "..."}.')
    ],
) -> None:
    """Print one JSON line per row: what filter_prompts would do with it, and where it found what.

    A line is {"index", "action", "entities": [{"type", "start", "end", "score"}]}; start and end are characters of
    "text", or of the message whose number an entity's "message" gives. The action is the strongest that the policy
    asks for: drop, redact, surrogate or keep (also when nothing was found); or "error" with a reason, for a row that
    cannot be read, and screening goes on.

    Exit status: 0 all rows were screened, 1 nothing could be screened (parameters, file, backend), 3 some rows were
    not, 141 the reader of the output went away.
    """
    from eyrie.privacy.pipe import screen_file

    raise typer.Exit(screen_file(load_params(PARAMS).filter_prompts, file))


@app.command()
def inspect(
    responses: Annotated[
        Path | None, typer.Argument(help="A shard of responses, data/responses/shard-*.parquet.")
    ] = None,
    row: Annotated[int, typer.Option(help="Which row of the shard, from 0.")] = 0,
    messages: Annotated[
        Path | None, typer.Option(help="Instead of a shard: a conversation with answers, JSON.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="A target folder: its own template, on today's date; params.yaml is not read.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print ids, loss mask and spans, a line per row.")] = False,
) -> None:
    """Show which tokens of a training row are supervised."""
    from rich.console import Console

    from eyrie import inspect as rows
    from eyrie.engines.target import load_chat

    if (responses is None) == (messages is None):
        raise typer.BadParameter("give a shard of responses or --messages FILE, one of them")
    chat = load_chat(load_params(PARAMS).target if target is None else rows.bare_target(target))
    for found in rows.rows_of_shard(responses, row) if responses else rows.rows_of_messages(chat, messages or Path()):
        if as_json:
            typer.echo(rows.as_json(found))
        else:
            rows.print_row(chat, found, Console())


@app.command()
def serve(
    baseline: Annotated[bool, typer.Option("--baseline", help="The target alone.")] = False,
    show: Annotated[bool, typer.Option("--print", help="Print the exact command and start nothing.")] = False,
    engine: Annotated[str | None, typer.Option(help="reference or sglang; default: benchmark.engine.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Requests at a time, at most; default: the benchmark's highest.")
    ] = None,
) -> None:
    """Serve the target with its head until Ctrl-C, drafting as reports/serving.json says where the tuner wrote one."""
    from eyrie import serve as serving

    params = load_params(PARAMS)
    chosen = engine or params.benchmark.engine
    if chosen not in ("reference", "sglang"):
        raise ValueError(f"--engine: {chosen} is no engine; it is reference or sglang")
    name: Literal["reference", "sglang"] = "sglang" if chosen == "sglang" else "reference"
    check_target(params)
    choice = serving.choose(
        params, engine=name, baseline=baseline, concurrency=concurrency, head=serving.default_head(), plan=serving.PLAN
    )
    if show:
        typer.echo(f"Serves by {choice.why}.", err=True)  # not part of the command
        typer.echo(serving.shown_command(params, choice.spec, engine=name))
        return
    serving.serve(params, choice, engine=name, say=typer.echo)


@app.command()
def deploy(
    to: Annotated[str, typer.Option(help="docker, kubernetes or vertex.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    image: Annotated[str, typer.Option(help="The image's name in your registry, tag included.")] = "eyrie-serving:1",
    name: Annotated[str, typer.Option(help="What the deployment is called.")] = "eyrie-serving",
    baseline: Annotated[bool, typer.Option("--baseline", help="The target alone.")] = False,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Requests at a time, at most.")] = None,
) -> None:
    """Write, and do not send, what a platform needs to serve with SGLang: image, flags as tuned, health checks."""
    from eyrie import deploy as deployment
    from eyrie import serve as serving

    platforms: dict[str, deployment.Platform] = {"docker": "docker", "kubernetes": "kubernetes", "vertex": "vertex"}
    if to not in platforms:
        raise ValueError(f"--to: {to} is no platform; it is {', '.join(platforms)}")
    params = load_params(PARAMS)
    check_target(params)
    choice = serving.choose(
        params,
        engine="sglang",
        baseline=baseline,
        concurrency=concurrency,
        head=serving.default_head(),
        plan=serving.PLAN,
    )
    deployment.check_head_fits(choice.spec, params.benchmark.sglang)
    paths = deployment.write_deployment(
        choice.spec, params.benchmark.sglang, platform=platforms[to], image=image, name=name, out=out
    )
    typer.echo(f"Serves by {choice.why}. Wrote {', '.join(map(str, paths))}.")


@app.command()
def sync() -> None:
    """Write dvc.yaml and the stamps of the stages from the stage table and params.yaml."""
    params = load_params(PARAMS)
    preflight(params)
    guard.mend_dvc(alone=False)
    write_stamps(params)
    typer.echo("dvc.yaml written." if dvcfile.sync_dvc_yaml(params) else "dvc.yaml is up to date.")


def main() -> None:
    """Entry point: expected failures end in one sentence on stderr and exit status 1."""
    try:
        app()
    except (ValueError, OSError) as error:
        command = sys.argv[1] if len(sys.argv) > 1 else ""
        message = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        typer.echo(f"eyrie {command}: {message}", err=True)
        sys.exit(1)
