"""`eyrie estimate`: the lines of an estimate as text, and the comparison with a run that was made here."""

import typer

from eyrie.estimate.measured import compare
from eyrie.estimate.plan import Lengths, make_estimate, read_device
from eyrie.estimate.sizes import target_facts
from eyrie.params import Params


def print_estimate(params: Params, *, gpu: str, num_gpus: int, prompt_tokens: int, answer_tokens: int | None) -> None:
    """Print it. Raises ValueError: facts of the target or the device are missing."""
    facts, device = target_facts(params), read_device(gpu, num_gpus)
    longest = params.generate_responses.sampling["default"].max_new_tokens
    estimate = make_estimate(params, facts, device, Lengths(prompt_tokens, answer_tokens or max(1, longest // 2)))
    typer.echo(f"{params.target.model} on {num_gpus} x {gpu}; facts of the target from {facts.origin}\n")
    for line in estimate.lines:
        typer.echo(f"{line.name:<34} {line.value:>26}  = {line.arithmetic}")
    rows = compare(estimate)
    if rows:
        typer.echo(f"\n{'the last run here':<34} {'estimated':>16} {'measured':>16} {'ratio':>8}")
        for what, estimated, measured, ratio in rows:
            typer.echo(f"{what:<34} {estimated:>16} {measured:>16} {ratio:>8}")
