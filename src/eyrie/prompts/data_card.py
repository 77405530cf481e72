"""The data card: what the training prompts are, where they come from and what was taken out. Counts, never a value."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import yaml

from eyrie.io import digest_of
from eyrie.params import FilterPrompts
from eyrie.schemas import FunnelStep, PromptMetrics, SelectionMetrics

_LIMITS = (
    "What PERSON and LOCATION cover depends on what looks for them. Presidio's PersonDisclosureRecognizer and "
    "AddressRecognizer cover what a user discloses: a name given in the first person or signed, an address, a stated "
    "home. A name or a place that merely occurs is found by NameRecognizer, by a language model that the analyzer's "
    "YAML adds, or by Cloud DLP. Unusual spellings can be missed: no screening finds everything. A conversation that "
    "could not be fully analyzed is dropped."
)


def describe_screening(config: FilterPrompts, *, entities: Sequence[str]) -> dict[str, str]:
    """What screened, as the card shows it. `entities` are the types that the backend can find."""
    facts: dict[str, str] = {"backend": config.backend}
    if config.backend != "cloud_dlp":
        thresholds = ", ".join(f"{name} {value:g}" for name, value in sorted(config.entity_thresholds.items()))
        facts |= {
            "Presidio's configuration": config.analyzer_config,
            "Presidio version": version("presidio-analyzer"),
            "language engine, recognisers": ", ".join(_recognisers(Path(config.analyzer_config))),
            "score threshold": f"{config.score_threshold:g}" + (f"; {thresholds}" if thresholds else ""),
            "fail closed": "yes" if config.fail_closed else "no",
        }
    if config.backend != "presidio":
        dlp = config.cloud_dlp
        facts |= {
            "Cloud DLP location": dlp.location,
            "least likelihood": dlp.min_likelihood,
            "infoTypes": ", ".join(sorted(dlp.info_types)),
        }
    return facts | {
        "longest conversation": f"{config.max_chars} characters",
        "entity types looked for": str(len(entities)),
        "in the policy, but not looked for by this backend": ", ".join(sorted(set(config.policy) - set(entities)))
        or "none",
        "policy digest": digest_of(config.policy)[:16],
        "dropped prompts kept aside": "yes, in a file outside the repository's versions" if config.quarantine else "no",
    }


def _recognisers(analyzer_config: Path) -> list[str]:
    """Presidio's language engine and the enabled recognisers, as its YAML lists them."""
    configuration = yaml.safe_load(analyzer_config.read_text(encoding="utf-8"))
    listed = configuration["recognizer_registry"].get("recognizers") or []
    items = [item if isinstance(item, dict) else {"name": item} for item in listed]
    enabled = [str(item.get("name")) for item in items if item.get("enabled", True)]
    gitleaks = ["gitleaks rules"] if configuration.get("gitleaks_config") else []
    return [str(configuration["nlp_configuration"].get("nlp_engine_name")), *enabled, *gitleaks]


def data_card(selection: SelectionMetrics, screening: PromptMetrics, *, screening_facts: Mapping[str, str]) -> str:
    """Markdown. `screening_facts` are those of `describe_screening`."""
    parts = [
        "# Data card",
        _answers(selection),
        "## Sources",
        _table(
            ["source", "split", "licence", "origin", "rows", "malformed", "selected"],
            (
                [
                    name,
                    *(facts[key] for key in ("split", "license", "provenance", "raw")),
                    facts.get("malformed", 0),
                    facts["kept"],
                ]
                for name, facts in selection.sources.items()
            ),
        ),
        "## Licence overrides",
        _overrides(selection),
        "## From raw to kept",
        _table(["step", "kept", "dropped"], _funnel_rows([*selection.funnel, *screening.funnel])),
        "## Screening",
        _table(["setting", "value"], screening_facts.items()),
        "## Entities found",
        *_entities(screening),
        _LIMITS,
        "## Workloads",
        _table(
            ["workload", "wanted share of training", "selected, all splits", "kept, all splits"],
            (
                [
                    name,
                    f"{selection.wanted_mix.get(name, 0.0):.1%}",
                    selection.by_workload.get(name, 0),
                    screening.by_workload.get(name, 0),
                ]
                for name in sorted({*selection.wanted_mix, *selection.by_workload})
            ),
        ),
        _distances(selection, screening),
        _shortfalls(selection),
        "## Splits",
        _table(["split", "prompts"], ([name, count] for name, count in screening.by_split.items())),
    ]
    return "\n\n".join(parts) + "\n"


def _answers(selection: SelectionMetrics) -> str:
    lines = [
        f"- {name}: its own answers are trained on, because: {_cell(facts['answers'])}"
        for name, facts in selection.sources.items()
        if facts.get("answers")
    ]
    told = "Prompts only: user turns and system prompts. No answer of a source is kept; the target writes its own"
    return f"{told}, but for:\n\n" + "\n".join(lines) if lines else f"{told}."


def _overrides(selection: SelectionMetrics) -> str:
    lines = [
        f"- {name} ({_cell(facts['license'])}"
        + (f", provenance {facts['denied_provenance']}" if facts["denied_provenance"] else "")
        + f"): {_cell(facts['override'])}"
        for name, facts in selection.sources.items()
        if facts["override"]
    ]
    return "\n".join(lines) or "None."


def _entities(screening: PromptMetrics) -> list[str]:
    rows = [
        [entity, action, count]
        for entity, actions in screening.entities.items()
        for action, count in actions.items()
        if count
    ]
    absent = [entity for entity, actions in screening.entities.items() if not sum(actions.values())]
    kept = [entity for entity, actions in screening.entities.items() if "keep" in actions]
    return [
        _table(["entity type", "action", "findings"], rows) if rows else "None.",
        f"In the policy and not found: {', '.join(absent) or 'none'}.",
        f"Left in place by the policy: {', '.join(kept) or 'none'}.",
    ]


def _funnel_rows(steps: Sequence[FunnelStep]) -> Iterable[list[object]]:
    for step in steps:
        dropped = ", ".join(f"{reason}: {count}" for reason, count in step.dropped.items())
        yield [step.name, step.kept, dropped or "none"]


def _distances(selection: SelectionMetrics, screening: PromptMetrics) -> str:
    rows: list[list[object]] = [
        [axis, f"{distance.before:.4f}", f"{distance.after:.4f}"] for axis, distance in selection.mix_axes.items()
    ]
    screened = screening.mix_distance_after
    after = "" if screened is None else f" After screening, the workloads' distance is {screened:.4f}."
    return (
        "Total variation distance of the training prompts to the wanted mix, before selection (all that is usable) and "
        f"after it:{after}\n\n" + _table(["axis", "before", "after"], rows)
    )


def _shortfalls(selection: SelectionMetrics) -> str:
    lines = [
        f"- {short.workload}{f', {short.part}' if short.part else ''}: {short.wanted} wanted, {short.available} there"
        for short in selection.shortfalls
    ]
    return "Shares that the sources could not fill:" + ("\n\n" + "\n".join(lines) if lines else " none.")


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())
