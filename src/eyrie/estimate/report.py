"""`eyrie estimate`: the lines of an estimate as text, and the comparison with a run that was made here."""

import typer

from eyrie.estimate.lines import Lengths, read_device
from eyrie.estimate.measured import compare, measured_device
from eyrie.estimate.plan import make_estimate
from eyrie.estimate.sizes import target_facts
from eyrie.params import Params

_DEFAULT = ("H100", 1)


def print_estimate(
    params: Params,
    *,
    ran_here: bool,
    gpu: str | None,
    num_gpus: int | None,
    prompt_tokens: int,
    answer_tokens: int | None,
) -> None:
    """Print it. With `ran_here`, what a run of `params` took stands beside it, and `gpu` None is what that ran on.

    Raises ValueError: facts of the target or the device are missing.
    """
    ran_on = measured_device(params) if ran_here else None
    found = ran_on or _DEFAULT
    gpu, num_gpus = (gpu, num_gpus or 1) if gpu else (found[0], num_gpus or found[1])
    facts, device = target_facts(params), read_device(gpu, num_gpus)
    longest = params.generate_responses.sampling["default"].max_new_tokens
    estimate = make_estimate(params, facts, device, Lengths(prompt_tokens, answer_tokens or max(1, longest // 2)))
    typer.echo(f"{params.target.model} on {num_gpus} x {gpu}; facts of the target from {facts.origin}\n")
    for line in estimate.lines:
        typer.echo(f"{line.name:<34} {line.value:>26}  = {line.arithmetic}")
    same_device = ran_on == (gpu, num_gpus)
    if rows := compare(estimate, same_device=same_device) if ran_here else []:
        typer.echo(f"\n{'the last run here':<34} {'estimated':>16} {'measured':>16} {'ratio':>8}")
        for what, estimated, measured, ratio in rows:
            typer.echo(f"{what:<34} {estimated:>16} {measured:>16} {ratio:>8}")
        if not same_device:
            typer.echo(f"No seconds: that ran on {f'{ran_on[1]} x {ran_on[0]}' if ran_on else 'another device'}.")
            return
        typer.echo(
            "Measured seconds include starts and loading, which no estimate does: of a small run they are nearly all."
        )
