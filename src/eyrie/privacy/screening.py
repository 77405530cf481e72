"""What happens to a conversation in which something was found: dropped, or rewritten and kept.

In: conversations and a policy (entity type -> action). Out: one `Screened` per conversation, in order.

`drop` loses the whole conversation; measured, redacting names or secrets leaves a part of them in 10 to 17% of the
prompts that hold one. `surrogate` puts a plausible value in place, `redact` writes `<TYPE>`, `keep` only counts.
"""

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from eyrie.privacy.engine import Analyzer, Finding, UnscreenableError, load_analyzer
from eyrie.privacy.surrogates import SURROGATE_ENTITIES, Surrogates

Action = Literal["drop", "surrogate", "redact", "keep"]

# A worker loads its own analyzer, 4 to 8 s, and screens about 900 conversations a second: with less than this per
# worker, one process is done sooner.
_MIN_CONVERSATIONS_PER_WORKER = 20_000
_CHUNK = 200


class PolicyError(ValueError):
    """The policy and the analyzer do not fit each other."""


@dataclass(frozen=True)
class Conversation:
    prompt_id: str
    system: str
    turns: list[str]


@dataclass(frozen=True)
class Screened:
    """`drop_reason` is None when the conversation stays, with `system` and `turns` as they may be used."""

    system: str
    turns: list[str]
    drop_reason: str | None
    findings: Counter[str] = field(default_factory=Counter)  # entity type -> how many


@dataclass(frozen=True)
class Rules:
    """Everything that decides an outcome; plain values, so that worker processes can have it."""

    analyzer_config: Path
    policy: Mapping[str, Action]
    score_threshold: float
    seed: int


class Screener:
    """Raises PolicyError or AnalyzerError when built from rules that cannot work."""

    def __init__(self, rules: Rules, analyzer: Analyzer | None = None) -> None:
        self._rules = rules
        self._analyzer = analyzer or load_analyzer(rules.analyzer_config)
        check_policy(rules.policy, self._analyzer.entities)

    def screen(self, conversation: Conversation) -> Screened:
        """Fails closed: a conversation that cannot be fully analyzed is dropped."""
        texts = [conversation.system, *conversation.turns]
        try:
            found = [self._analyzer.find(text, score_threshold=self._rules.score_threshold) for text in texts]
        except UnscreenableError as error:
            return Screened("", [], f"could not be analyzed: {error}")
        counts = Counter(finding.entity for findings in found for finding in findings)
        dropping = sorted(entity for entity in counts if self._rules.policy[entity] == "drop")
        if dropping:
            return Screened("", [], dropping[0], counts)
        surrogates = Surrogates(seed=self._rules.seed, prompt_id=conversation.prompt_id)
        system, *turns = [self._rewrite(text, found[i], surrogates) for i, text in enumerate(texts)]
        return Screened(system, turns, None, counts)

    def _rewrite(self, text: str, findings: Sequence[Finding], surrogates: Surrogates) -> str:
        replaced = [finding for finding in findings if self._rules.policy[finding.entity] != "keep"]
        pieces, position = [], 0
        for start, end, entity, whole in _merged(replaced):
            value = text[start:end]
            # A surrogate stands for one value; where findings overlap only in part, the union is redacted.
            use_surrogate = whole and self._rules.policy[entity] == "surrogate"
            pieces += [text[position:start], surrogates.replace(entity, value) if use_surrogate else f"<{entity}>"]
            position = end
        return "".join([*pieces, text[position:]])


def _merged(findings: Sequence[Finding]) -> Iterator[tuple[int, int, str, bool]]:
    """Overlapping findings as one span (start, end, type of the best finding, whether that finding is the whole span).

    Best is the highest score, then the longest, then the first type by name.
    """
    group: list[Finding] = []
    end = -1
    for finding in [*sorted(findings), None]:
        if finding is not None and (not group or finding.start < end):
            group.append(finding)
            end = max(end, finding.end)
            continue
        if group:
            best = min(group, key=lambda item: (-item.score, item.start - item.end, item.entity))
            start = group[0].start
            yield start, end, best.entity, (best.start, best.end) == (start, end)
        if finding is not None:
            group, end = [finding], finding.end


def check_policy(policy: Mapping[str, Action], entities: Sequence[str]) -> None:
    """Raise PolicyError unless the policy lists exactly what the analyzer finds and every action can be carried out."""
    if unlisted := sorted(set(entities) - set(policy)):
        raise PolicyError(
            f"filter_prompts.policy: the analyzer finds {', '.join(unlisted)}; "
            "say drop, surrogate, redact or keep for each"
        )
    if unknown := sorted(set(policy) - set(entities)):
        raise PolicyError(
            f"filter_prompts.policy: no recogniser finds {', '.join(unknown)}; enable one in the analyzer's YAML "
            "or take the entry out"
        )
    for entity, action in policy.items():
        if action == "surrogate" and entity not in SURROGATE_ENTITIES:
            raise PolicyError(
                f"filter_prompts.policy.{entity}: surrogates exist for {', '.join(sorted(SURROGATE_ENTITIES))}; "
                "use drop, redact or keep"
            )


def screen_all(conversations: Sequence[Conversation], rules: Rules) -> Iterator[Screened]:
    """Screen in order, over several processes when there is enough to do. Raises PolicyError, AnalyzerError."""
    screener = Screener(rules)  # also when workers will do the work: rules that cannot work fail here, in one sentence
    workers = min(_num_cpus(), len(conversations) // _MIN_CONVERSATIONS_PER_WORKER)
    if workers < 2:
        yield from map(screener.screen, conversations)
        return
    # spawn: the parent has threads (Arrow's, the progress bar's), and a fork would copy their locks.
    with ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(rules,)
    ) as pool:
        yield from pool.map(_screen_in_worker, conversations, chunksize=_CHUNK)


def _num_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_worker_screener: Screener | None = None


def _start_worker(rules: Rules) -> None:
    global _worker_screener
    _worker_screener = Screener(rules)


def _screen_in_worker(conversation: Conversation) -> Screened:
    assert _worker_screener is not None, "the pool runs _start_worker first"
    return _worker_screener.screen(conversation)


def count_actions(outcomes: Iterable[Screened], policy: Mapping[str, Action]) -> dict[str, dict[str, int]]:
    """Entity type -> action -> findings, for every type of the policy, zeros included."""
    totals: Counter[str] = Counter()
    for outcome in outcomes:
        totals.update(outcome.findings)
    return {entity: {policy[entity]: totals[entity]} for entity in sorted(policy)}
