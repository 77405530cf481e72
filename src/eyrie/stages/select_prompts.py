"""`eyrie select_prompts`: sources -> data/prompts/selected.parquet, reports/metrics/select_prompts.json.

Reads the user turns of every source that passes the licence gate, drops what is malformed, too long, repeated or close
to a held-out or benchmark prompt, and takes training prompts up to the wanted workload shares. Held-out and benchmark
prompts all stay, once each. The same seed and inputs give the same bytes.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from eyrie.io import progress, write_json, write_table
from eyrie.params import Params, SelectPrompts, Source, Workload
from eyrie.prompts.contamination import contaminated
from eyrie.prompts.duplicates import near_duplicates
from eyrie.prompts.licenses import Clearance, check_license
from eyrie.prompts.mix import choose, mix_distance, quotas
from eyrie.prompts.sources import BadRow, SourceError, read_rows
from eyrie.prompts.turns import RowError, prompt_id, read_dialogue
from eyrie.schemas import PROMPTS, FunnelStep, PromptMetrics, check_prompt_row

logger = logging.getLogger(__name__)

Prompt = dict[str, Any]  # a row of schemas.PROMPTS

_WORKLOADS = get_args(Workload)
# Which split keeps a prompt that several have: what measures goes first.
_SPLIT_ORDER = ("benchmark", "heldout", "train")


def run(params: Params, *, selected: Path, metrics: Path) -> None:
    """Write the chosen prompts and the funnel. Raises LicenseError, SourceError, HubError or ValueError."""
    config = params.select_prompts
    clearances = {
        source.name: check_license(source, allowed=config.allowed_licenses, denied=config.denied_provenance)
        for source in config.sources
    }
    funnel = _Funnel()
    prompts, num_rows = _read_all(config, funnel)
    prompts = funnel.step("length", prompts, _too_long(config.max_chars))
    prompts = funnel.step("exact duplicates", prompts, _repeated(prompts))
    prompts = funnel.step("near duplicates", prompts, _similar(prompts, config.near_duplicate_threshold))
    prompts = funnel.step("decontamination", prompts, _contaminated(prompts, config.decontamination_words))
    available = _train_workloads(prompts)
    prompts = funnel.step("workload mix", prompts, _over_share(prompts, config))
    if not _train_workloads(prompts):
        raise ValueError(
            f"select_prompts: no training prompt is left; the last step with any was {funnel.last_alive()}"
        )
    prompts.sort(key=lambda prompt: (_SPLIT_ORDER.index(prompt["split"]), prompt["prompt_id"]))
    write_table(selected, prompts, PROMPTS, check_prompt_row)
    write_json(
        metrics,
        PromptMetrics(
            funnel=funnel.steps,
            by_workload=_counts(prompts, "workload"),
            by_split=_counts(prompts, "split"),
            mix_distance_before=mix_distance(available, config.workload_mix),
            mix_distance_after=mix_distance(_train_workloads(prompts), config.workload_mix),
            entities={},
            sources=_describe_sources(config.sources, clearances, num_rows, prompts),
        ),
    )
    logger.info("selected %d prompts: %s", len(prompts), _counts(prompts, "split"))


class _Funnel:
    """The steps so far: how many stayed, and why the others went."""

    def __init__(self) -> None:
        self.steps: list[FunnelStep] = []

    def add(self, name: str, kept: int, dropped: Counter[str]) -> None:
        self.steps.append(FunnelStep(name=name, kept=kept, dropped=dict(sorted(dropped.items()))))
        logger.info("%s: %d kept, %d dropped", name, kept, dropped.total())

    def step(self, name: str, prompts: Sequence[Prompt], reason_of: Callable[[Prompt], str | None]) -> list[Prompt]:
        """Keep the prompts for which there is no reason to drop them."""
        reasons = [reason_of(prompt) for prompt in prompts]
        kept = [prompt for prompt, reason in zip(prompts, reasons, strict=True) if reason is None]
        self.add(name, len(kept), Counter(reason for reason in reasons if reason is not None))
        return kept

    def last_alive(self) -> str:
        alive = [step for step in self.steps if step.kept]
        return f"{alive[-1].name!r} with {alive[-1].kept} prompts of all splits"


def _read_all(config: SelectPrompts, funnel: _Funnel) -> tuple[list[Prompt], dict[str, int]]:
    """The readable prompts of all sources in order, and the rows found per source."""
    prompts: list[Prompt] = []
    reasons: Counter[str] = Counter()
    num_rows: dict[str, int] = {}
    with progress(None, desc="select_prompts", unit="rows") as bar:
        for source in config.sources:
            found, bad = _read_source(source, config.system_prompt, bar.update)
            prompts += found
            reasons += bad
            num_rows[source.name] = len(found) + bad.total()
    funnel.add("read", len(prompts), reasons)
    return prompts, num_rows


def _read_source(
    source: Source, system_prompt: str | None, tick: Callable[[], object]
) -> tuple[list[Prompt], Counter[str]]:
    """Raises SourceError when no row gives a prompt."""
    found: list[Prompt] = []
    bad: Counter[str] = Counter()
    for row in read_rows(source):
        tick()
        try:
            if isinstance(row, BadRow):
                raise RowError(row.reason)
            found.append(_prompt(row, source, system_prompt))
        except RowError as error:
            bad[str(error)] += 1
    if not found:
        why = ", ".join(f"{reason}: {count}" for reason, count in bad.most_common()) or "it has no rows"
        raise SourceError(f"source {source.name}: no readable row in {source.path or source.hub} ({why})")
    if bad:
        logger.warning("source %s: %d rows skipped: %s", source.name, bad.total(), dict(bad.most_common()))
    return found, bad


def _prompt(row: Any, source: Source, system_prompt: str | None) -> Prompt:
    dialogue = read_dialogue(row, turns=source.turns, column=source.column)
    workload = source.workload or row.get("workload")
    if workload not in _WORKLOADS:
        raise RowError("unknown workload")
    system = "\n\n".join(part for part in (system_prompt, dialogue.system) if part)
    return {
        "prompt_id": prompt_id(system, dialogue.turns),
        "source": source.name,
        "workload": workload,
        "split": source.split,
        "system": system,
        "turns": dialogue.turns,
    }


def _text(prompt: Prompt) -> str:
    return "\n".join(prompt["turns"])


def _too_long(max_chars: int) -> Callable[[Prompt], str | None]:
    def reason(prompt: Prompt) -> str | None:
        num_chars = len(prompt["system"]) + sum(map(len, prompt["turns"]))
        return "longer than max_chars" if num_chars > max_chars else None

    return reason


def _repeated(prompts: Sequence[Prompt]) -> Callable[[Prompt], str | None]:
    """Of equal prompts the first of the split that goes first stays."""
    ordered = sorted(prompts, key=lambda prompt: _SPLIT_ORDER.index(prompt["split"]))
    first = {prompt["prompt_id"]: prompt for prompt in reversed(ordered)}
    return lambda prompt: None if first[prompt["prompt_id"]] is prompt else "repeats another prompt"


def _contaminated(prompts: Sequence[Prompt], run_words: int) -> Callable[[Prompt], str | None]:
    train = [prompt for prompt in prompts if prompt["split"] == "train"]
    measured = [_text(prompt) for prompt in prompts if prompt["split"] != "train"]
    reasons = contaminated([_text(prompt) for prompt in train], measured, run_words=run_words)
    by_id = {prompt["prompt_id"]: reason for prompt, reason in zip(train, reasons, strict=True)}
    return lambda prompt: by_id.get(prompt["prompt_id"])


def _similar(prompts: Sequence[Prompt], threshold: float) -> Callable[[Prompt], str | None]:
    train = [prompt for prompt in prompts if prompt["split"] == "train"]
    originals = near_duplicates([_text(prompt) for prompt in train], threshold=threshold)
    similar = {prompt["prompt_id"] for prompt, original in zip(train, originals, strict=True) if original is not None}
    return lambda prompt: "near duplicate of another" if prompt["prompt_id"] in similar else None


def _over_share(prompts: Sequence[Prompt], config: SelectPrompts) -> Callable[[Prompt], str | None]:
    pairs = [(prompt["prompt_id"], prompt["workload"]) for prompt in prompts if prompt["split"] == "train"]
    available = Counter(workload for _, workload in pairs)
    limits = quotas(config.workload_mix, config.max_prompts)
    for workload, limit in limits.items():
        if available[workload] < limit:
            logger.warning(
                "workload %s: %d training prompts wanted, the sources have %d", workload, limit, available[workload]
            )
    chosen = choose(pairs, limits, seed=config.seed)

    def reason(prompt: Prompt) -> str | None:
        taken = prompt["split"] != "train" or prompt["prompt_id"] in chosen
        return None if taken else f"over the share of {prompt['workload']}"

    return reason


def _train_workloads(prompts: Sequence[Prompt]) -> list[Workload]:
    return [prompt["workload"] for prompt in prompts if prompt["split"] == "train"]


def _counts(prompts: Sequence[Prompt], key: str) -> dict[str, int]:
    return dict(sorted(Counter(prompt[key] for prompt in prompts).items()))


def _describe_sources(
    sources: Sequence[Source],
    clearances: dict[str, Clearance],
    num_rows: dict[str, int],
    prompts: Sequence[Prompt],
) -> dict[str, dict[str, str | int]]:
    kept = Counter(prompt["source"] for prompt in prompts)
    return {
        source.name: {
            "license": clearances[source.name].license or "not stated",
            "provenance": f"{source.hub}@{source.revision}" if source.hub else str(source.path),
            "denied_provenance": clearances[source.name].provenance,
            "override": source.license_override or "",
            "split": source.split,
            "raw": num_rows[source.name],
            "kept": kept[source.name],
        }
        for source in sources
    }
