"""What happens to a conversation in which something was found: dropped, or rewritten and kept.

In: a conversation, what was found in its texts, and a policy (entity type -> action). Out: `Screened`.

What is replaced once is replaced wherever the conversation says it again (`privacy.mentions`).
`drop` loses the whole conversation; measured, redacting names or secrets leaves a part of them in 10 to 17% of the
prompts that hold one. `surrogate` puts a plausible value in place, `redact` writes `<TYPE>`, `keep` only counts.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from eyrie.io import digest_of
from eyrie.params.prompts import unfit_surrogate
from eyrie.privacy.detection import Detected
from eyrie.privacy.engine import Finding
from eyrie.privacy.mentions import with_further_mentions
from eyrie.privacy.surrogates import Surrogates

Action = Literal["drop", "surrogate", "redact", "keep"]
Policy = Mapping[str, Action]


class PolicyError(ValueError):
    """The policy and the backend do not fit each other."""


@dataclass(frozen=True)
class Conversation:
    """What a run keeps of a prompt: `system` is "" when there is none."""

    system: str
    turns: list[str]

    @property
    def texts(self) -> list[str]:
        return [self.system, *self.turns]


@dataclass(frozen=True)
class Screened:
    """`drop_reason` is None when the conversation stays, with `system` and `turns` as they may be used."""

    system: str
    turns: list[str]
    drop_reason: str | None
    findings: Counter[str] = field(default_factory=Counter)  # entity type -> how many


def screen(conversation: Conversation, detected: Detected, policy: Policy, *, seed: int) -> Screened:
    """Fails closed: a conversation that could not be fully analyzed is dropped."""
    if detected.failure is not None:
        return Screened("", [], f"could not be analyzed: {detected.failure}")
    counts = Counter(finding.entity for findings in detected.findings for finding in findings)
    if dropping := sorted(entity for entity in counts if policy[entity] == "drop"):
        return Screened("", [], dropping[0], counts)
    replaced = {entity for entity in counts if policy[entity] != "keep"}
    found = with_further_mentions(conversation.texts, detected.findings, replaced)
    counts = Counter(finding.entity for findings in found for finding in findings)
    plans = [
        (text, list(_replacements(findings, policy))) for text, findings in zip(conversation.texts, found, strict=True)
    ]
    surrogates = Surrogates(
        seed=seed,
        masked=digest_of([_rewrite(text, plan, None) for text, plan in plans]),
        originals=[(item.entity, text[item.start : item.end]) for text, plan in plans for item in plan],
    )
    system, *turns = [_rewrite(text, plan, surrogates) for text, plan in plans]
    return Screened(system, turns, None, counts)


@dataclass(frozen=True)
class _Replacement:
    """Characters `start:end` give way to a surrogate, or to `<entity>`."""

    start: int
    end: int
    entity: str
    use_surrogate: bool


def _rewrite(text: str, plan: Sequence[_Replacement], surrogates: Surrogates | None) -> str:
    """Without `surrogates` everything is redacted."""
    pieces, position = [], 0
    for item in plan:
        value = text[item.start : item.end]
        surrogate = surrogates.replace(item.entity, value) if surrogates and item.use_surrogate else None
        pieces += [text[position : item.start], f"<{item.entity}>" if surrogate is None else surrogate]
        position = item.end
    return "".join([*pieces, text[position:]])


def _replacements(findings: Sequence[Finding], policy: Policy) -> Iterator[_Replacement]:
    for start, end, entity, whole in _merged([item for item in findings if policy[item.entity] != "keep"]):
        # A surrogate stands for one value; where findings overlap only in part, the union is redacted.
        yield _Replacement(start, end, entity, whole and policy[entity] == "surrogate")


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


def check_policy(policy: Policy, entities: Sequence[str], *, known: Sequence[str] | None = None) -> list[str]:
    """The types that the policy names and the backend cannot find.

    Raises PolicyError unless the policy lists every type that can be found and every action can be carried out; and,
    when `known` (all types there are) is given, when the policy names another.
    """
    if unlisted := sorted(set(entities) - set(policy)):
        raise PolicyError(
            f"filter_prompts.policy: the analyzer finds {', '.join(unlisted)}; "
            "say drop, surrogate, redact or keep for each"
        )
    if known is not None and (unknown := sorted(set(policy) - set(known))):
        raise PolicyError(
            f"filter_prompts.policy: no recogniser finds {', '.join(unknown)}; enable one in the analyzer's YAML "
            "or take the entry out"
        )
    if fault := unfit_surrogate(policy):
        raise PolicyError(f"filter_prompts.{fault}")
    return sorted(set(policy) - set(entities))


def count_actions(totals: Mapping[str, int], policy: Policy) -> dict[str, dict[str, int]]:
    """Entity type -> action -> findings, for every type of the policy, zeros included."""
    return {entity: {policy[entity]: totals.get(entity, 0)} for entity in sorted(policy)}
