"""The data card: what the training prompts are, where they come from and what was taken out. Counts, never a value."""

from collections.abc import Iterable, Mapping, Sequence

from eyrie.params import Workload
from eyrie.schemas import FunnelStep, PromptMetrics

_LIMITS = (
    "PERSON and LOCATION cover what a user discloses: a name given in the first person or signed, an address, a stated "
    "home. A name or a place that merely occurs in a text is not looked for, unless the analyzer's YAML adds a model "
    "that finds it. Unusual spellings can be missed. A conversation that could not be fully analyzed is dropped."
)


def data_card(selection: PromptMetrics, screening: PromptMetrics, *, mix: Mapping[Workload, float]) -> str:
    """Markdown. `mix` is the wanted share per workload."""
    parts = [
        "# Data card",
        "Prompts only: user turns and system prompts. No answer of any source is kept; the target writes its own.",
        "## Sources",
        _table(
            ["source", "split", "licence", "origin", "rows", "selected"],
            (
                [name, facts["split"], facts["license"], facts["provenance"], facts["raw"], facts["kept"]]
                for name, facts in selection.sources.items()
            ),
        ),
        "## Licence overrides",
        _overrides(selection),
        "## From raw to kept",
        _table(["step", "kept", "dropped"], _funnel_rows([*selection.funnel, *screening.funnel])),
        "## Entities found",
        _table(
            ["entity type", "action", "findings"],
            (
                [entity, action, count]
                for entity, actions in screening.entities.items()
                for action, count in actions.items()
            ),
        ),
        _LIMITS,
        "## Workloads",
        _table(
            ["workload", "wanted share of training", "selected, all splits", "kept, all splits"],
            (
                [name, f"{share:.1%}", selection.by_workload.get(name, 0), screening.by_workload.get(name, 0)]
                for name, share in mix.items()
            ),
        ),
        _distances(selection, screening),
        "## Splits",
        _table(["split", "prompts"], ([name, count] for name, count in screening.by_split.items())),
    ]
    return "\n\n".join(parts) + "\n"


def _overrides(selection: PromptMetrics) -> str:
    lines = [
        f"- {name} ({facts['license']}"
        + (f", provenance {facts['denied_provenance']}" if facts["denied_provenance"] else "")
        + f"): {facts['override']}"
        for name, facts in selection.sources.items()
        if facts["override"]
    ]
    return "\n".join(lines) or "None."


def _funnel_rows(steps: Sequence[FunnelStep]) -> Iterable[list[object]]:
    for step in steps:
        dropped = ", ".join(f"{reason}: {count}" for reason, count in step.dropped.items())
        yield [step.name, step.kept, dropped or "none"]


def _distances(selection: PromptMetrics, screening: PromptMetrics) -> str:
    rows = [
        ["before selection", selection.mix_distance_before],
        ["after selection", selection.mix_distance_after],
        ["after screening", screening.mix_distance_after],
    ]
    return "Total variation distance of the training prompts to the wanted shares:\n\n" + _table(
        ["", "distance"], ([name, "" if value is None else f"{value:.4f}"] for name, value in rows)
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())
