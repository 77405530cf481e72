"""What `eyrie tune` found, as tables in the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from eyrie.params import Drafting
from eyrie.serving_plan import OfflineShape, ServingPlan


def print_offline(shapes: Sequence[OfflineShape]) -> None:
    """Acceptance length of every shape, the longest first."""
    table = Table(title="Acceptance on held-out prompts, nothing served", title_justify="left")
    for column in ("num_steps", "topk", "num_draft_tokens", "acceptance\nlength", "by draft, %"):
        table.add_column(column, justify="left" if column.startswith("by") else "right")
    for item in sorted(shapes, key=lambda each: -each.acceptance_length):
        shape = item.drafting
        table.add_row(
            str(shape.num_steps),
            str(shape.topk),
            str(shape.num_draft_tokens),
            f"{item.acceptance_length:.2f}",
            " ".join(f"{share:.0%}".rstrip("%") for share in item.acceptance_by_position),
        )
    Console().print(table)


def print_plan(plan: ServingPlan) -> None:
    """The best configuration per band of concurrency, then every measurement it was chosen from."""
    table = Table(title="What serves best", title_justify="left")
    for column in ("requests\nat a time", "measured\nat", "serve with", "tokens/s over\nthe baseline"):
        table.add_column(column, justify="left" if column == "serve with" else "right")
    for band in plan.bands:
        if band.max_concurrency is None:
            requests = f"{band.min_concurrency} and more"
        elif band.max_concurrency == band.min_concurrency:
            requests = str(band.min_concurrency)
        else:
            requests = f"{band.min_concurrency} to {band.max_concurrency}"
        table.add_row(requests, str(band.measured_at), _words(band.drafting), f"{band.speedup:.2f}x")
    Console().print(table)
    table = Table(title="What was measured", title_justify="left")
    for column in ("concur-\nrency", "round", "served with", "tokens/s", "acceptance\nlength", "failed\nrequests"):
        table.add_column(column, justify="left" if column == "served with" else "right")
    for item in sorted(plan.measured, key=lambda each: (each.concurrency, each.round)):
        table.add_row(
            str(item.concurrency),
            str(item.round + 1),
            _words(item.drafting),
            f"{item.output_throughput_tok_s:.1f}",
            "" if item.acceptance_length is None else f"{item.acceptance_length:.2f}",
            f"{item.num_errors} of {item.num_requests}" if item.num_errors else "0",
        )
    Console().print(table)
    if any(item.num_errors for item in plan.measured):
        Console().print("A shape at which more requests fail than at the baseline is never chosen.", highlight=False)


def _words(drafting: Drafting | None) -> str:
    if drafting is None:
        return "EAGLE-3 off"
    if drafting.topk == 1:
        return f"a chain of {drafting.num_steps}"
    return f"a tree: {drafting.num_steps} steps, topk {drafting.topk}, {drafting.num_draft_tokens} draft tokens"
