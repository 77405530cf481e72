"""`eyrie filter_prompts`: data/prompts/selected.parquet -> data/prompts/clean.parquet, data_card.md, metrics.

Looks for personal data and secrets in every turn and system prompt, and drops or rewrites the conversations that hold
any, as filter_prompts.policy says per entity type. Nothing that was found is written anywhere: metrics, the data card,
logs and errors hold types and counts.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eyrie.io import progress, read_json, read_table, write_json, write_table, write_text
from eyrie.params import Params
from eyrie.privacy.screening import Conversation, Rules, Screened, count_actions, screen_all
from eyrie.prompts.data_card import data_card as card_text
from eyrie.prompts.mix import mix_distance
from eyrie.prompts.turns import prompt_id
from eyrie.schemas import PROMPTS, FunnelStep, PromptMetrics, check_prompt_row

logger = logging.getLogger(__name__)

Prompt = dict[str, Any]  # a row of schemas.PROMPTS


def run(
    params: Params, *, selected: Path, selection_metrics: Path, clean: Path, data_card: Path, metrics: Path
) -> None:
    """Write the screened prompts, the card and the counts. Raises SchemaError, AnalyzerError or PolicyError."""
    config, mix = params.filter_prompts, params.select_prompts.workload_mix
    prompts = read_table(selected, PROMPTS)
    selection = read_json(selection_metrics, PromptMetrics)
    rules = Rules(
        analyzer_config=Path(config.analyzer_config),
        policy=config.policy,
        score_threshold=config.score_threshold,
        seed=config.seed,
    )
    outcomes = _screen(prompts, rules)
    kept, dropped = _rewritten(prompts, outcomes)
    train = [prompt["workload"] for prompt in kept if prompt["split"] == "train"]
    if not train:
        raise ValueError(f"filter_prompts: no training prompt is left of {len(prompts)} prompts: {dict(dropped)}")
    write_table(clean, kept, PROMPTS, check_prompt_row)
    document = PromptMetrics(
        funnel=[FunnelStep(name="screening", kept=len(kept), dropped=dict(sorted(dropped.items())))],
        by_workload=dict(sorted(Counter(prompt["workload"] for prompt in kept).items())),
        by_split=dict(sorted(Counter(prompt["split"] for prompt in kept).items())),
        mix_distance_before=selection.mix_distance_after,
        mix_distance_after=mix_distance(train, mix),
        entities=count_actions(outcomes, config.policy),
        sources={},
    )
    write_json(metrics, document)
    write_text(data_card, card_text(selection, document, mix=mix))
    logger.info("screening: %d of %d prompts kept, dropped %s", len(kept), len(prompts), dict(dropped))


def _screen(prompts: Sequence[Prompt], rules: Rules) -> list[Screened]:
    conversations = [Conversation(row["prompt_id"], row["system"], row["turns"]) for row in prompts]
    outcomes = []
    with progress(len(conversations), desc="filter_prompts", unit="prompts") as bar:
        for outcome in screen_all(conversations, rules):
            outcomes.append(outcome)
            bar.update()
    return outcomes


def _rewritten(prompts: Sequence[Prompt], outcomes: Sequence[Screened]) -> tuple[list[Prompt], Counter[str]]:
    """The prompts that stay, with new ids where the text changed, in the old order; and why the others went."""
    kept: list[Prompt] = []
    dropped: Counter[str] = Counter()
    seen: set[str] = set()
    for prompt, outcome in zip(prompts, outcomes, strict=True):
        if outcome.drop_reason is not None:
            dropped[outcome.drop_reason] += 1
            continue
        new_id = prompt_id(outcome.system, outcome.turns)
        if new_id in seen:  # two prompts that differed in a redacted value only
            dropped["equal after redaction"] += 1
            continue
        seen.add(new_id)
        kept.append({**prompt, "prompt_id": new_id, "system": outcome.system, "turns": outcome.turns})
    return kept, dropped
