"""Seeded conversations over the five workloads.

`samples(seed)` is an endless stream; equal seeds give equal text. The target is trained on one
seed and the sample prompts come from others, so no prompt is memorised.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tools.demo import chat_text, code_text, extraction_text, math_text, multi_turn_text
from tools.demo.planted import disclosure

WORKLOADS = ("chat", "code", "math", "extraction", "multi_turn")
SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a careful assistant. Answer briefly and correctly.",
    "You are a friendly expert. Keep the answer short.",
)
_EXCHANGES = {
    "chat": chat_text.exchange,
    "code": code_text.exchange,
    "math": math_text.exchange,
}


@dataclass(frozen=True)
class Sample:
    """A conversation of alternating user and assistant turns."""

    workload: str
    turns: tuple[tuple[str, str], ...]

    def messages(self, system: str | None = None) -> list[dict[str, str]]:
        """The turns as chat messages."""
        found = [{"role": "system", "content": system}] if system else []
        for user, assistant in self.turns:
            found.append({"role": "user", "content": user})
            found.append({"role": "assistant", "content": assistant})
        return found

    def user_messages(self) -> list[dict[str, str]]:
        """The user turns only."""
        return [{"role": "user", "content": user} for user, _ in self.turns]


def sample(workload: str, rng: random.Random, *, long: bool = False) -> Sample:
    """One conversation; `long` asks for an extraction prompt of well over 1,000 tokens."""
    if workload == "multi_turn":
        return Sample(workload, tuple(multi_turn_text.conversation(rng)))
    if workload == "extraction":
        count = extraction_text.long_count(rng) if long else None
        return Sample(workload, (extraction_text.exchange(rng, count),))
    first = _EXCHANGES[workload](rng)
    if rng.random() < 0.06:  # some multi-turn traffic inside the single-turn workloads
        return Sample(workload, (first, _EXCHANGES[workload](rng)))
    return Sample(workload, (first,))


def disclosed(made: Sample, rng: random.Random) -> Sample:
    """The sample with a sentence of invented personal data or a placeholder in its first turn."""
    sentence, _ = disclosure(rng, placeholder=rng.random() < 0.5)
    (user, assistant), *rest = made.turns
    user = f"{user} {sentence}" if rng.random() < 0.5 else f"{sentence} {user}"
    return Sample(made.workload, ((user, assistant), *rest))


def samples(seed: int) -> Iterator[Sample]:
    """Endless training conversations: all workloads in equal shares, 0.5% of them long."""
    rng = random.Random(seed)
    while True:
        if rng.random() < 0.005:
            yield sample("extraction", rng, long=True)
            continue
        made = sample(rng.choice(WORKLOADS), rng)
        # Filtered prompts hold placeholders, unfiltered ones hold values: the target meets both.
        yield disclosed(made, rng) if rng.random() < 0.06 else made


def system_prompt(rng: random.Random) -> str | None:
    """A system prompt for one conversation in seven, else None."""
    return rng.choice(SYSTEM_PROMPTS) if rng.random() < 1 / 7 else None
