"""Choosing draft shapes: which are worth measuring, which go on to the next round, and what serves each concurrency.

Pure functions. Successive halving (Jamieson and Talwalkar, arXiv:1502.07943): every round measures the shapes that are
left with twice the prompts of the round before, and keeps the faster half.
"""

import math
from collections.abc import Sequence

from eyrie.params import Drafting
from eyrie.serving_plan import OfflineShape, ServingBand, TunedShape


def worth_measuring(offline: Sequence[OfflineShape], shortlist: int) -> list[Drafting]:
    """At most `shortlist` shapes, spread over the acceptance of those that no other shape beats.

    A shape is beaten by one that accepts as much with no more steps, top-k and draft tokens: whatever a step costs on
    the machine, it cannot be the best. With one place, the shape that accepts most per step is taken.
    """
    front = [one for one in offline if not any(_beats(other, one) for other in offline if other is not one)]
    front.sort(key=lambda item: (item.acceptance_length, -item.drafting.num_draft_tokens))
    if len(front) <= shortlist:
        return [item.drafting for item in front]
    if shortlist == 1:
        return [front[-1].drafting]
    places = {round(index * (len(front) - 1) / (shortlist - 1)) for index in range(shortlist)}
    return [front[place].drafting for place in sorted(places)]


def _beats(one: OfflineShape, two: OfflineShape) -> bool:
    costs = [(item.drafting.num_steps, item.drafting.topk, item.drafting.num_draft_tokens) for item in (one, two)]
    cheaper = all(a <= b for a, b in zip(*costs, strict=True))
    return (
        cheaper
        and one.acceptance_length >= two.acceptance_length
        and (costs[0] != costs[1] or one.acceptance_length > two.acceptance_length)
    )


def failed_more(measured: Sequence[TunedShape]) -> list[TunedShape]:
    """The shapes at which more requests failed than at the baseline beside them: what they are fast at is less work."""
    allowed = {(item.concurrency, item.round): item.num_errors for item in measured if item.drafting is None}
    return [item for item in measured if item.num_errors > allowed[item.concurrency, item.round]]


def faster_half(measured: Sequence[TunedShape]) -> list[Drafting]:
    """Of one concurrency's shapes in one round, the faster half, rounded up. Neither the baseline nor what failed more
    requests than it is among them."""
    out = failed_more(measured)
    shapes = [item for item in measured if item.drafting is not None and item not in out]
    ranked = sorted(shapes, key=lambda item: -item.output_throughput_tok_s)
    return [item.drafting for item in ranked[: math.ceil(len(ranked) / 2)] if item.drafting is not None]


def serving_bands(measured: Sequence[TunedShape]) -> list[ServingBand]:
    """The fastest of each concurrency's last round that failed no more requests than the baseline, the baseline when
    nothing beats it; bands meet at the geometric middle of two concurrencies. Every round needs a baseline."""
    levels = sorted({item.concurrency for item in measured})
    out = failed_more(measured)
    bands = []
    begin = 1
    for index, level in enumerate(levels):
        last = max(item.round for item in measured if item.concurrency == level)
        final = [item for item in measured if (item.concurrency, item.round) == (level, last)]
        baseline = next(item for item in final if item.drafting is None)
        best = max(
            (item for item in final if item not in out),
            key=lambda item: (item.output_throughput_tok_s, item.drafting is None),
        )
        end = None if index + 1 == len(levels) else max(math.isqrt(level * levels[index + 1]), level)
        bands.append(
            ServingBand(
                min_concurrency=begin,
                max_concurrency=end,
                drafting=best.drafting,
                measured_at=level,
                speedup=best.output_throughput_tok_s / baseline.output_throughput_tok_s,
            )
        )
        begin = level if end is None else end + 1
    return bands
