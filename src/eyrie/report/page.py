"""The page: what each section says, and the template filled with it.

In: `Inputs`, the parameters and the target's size. Out: one HTML text that needs nothing else: styles and charts are
inline, there is no script, and every string from the data is escaped by the template engine.
"""

import math
import platform
from importlib import metadata
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from eyrie.params import Params
from eyrie.report import bars, charts, numbers
from eyrie.report.findings import Point, Speed, cost_per_million, mean_in_flight, measure_arms, measure_speed
from eyrie.report.inputs import Inputs
from eyrie.report.palette import DARK, LIGHT

PACKAGES = ("eyrie", "torch", "transformers", "sglang", "snakemake", "dvc", "presidio-analyzer")


def render(params: Params, inputs: Inputs) -> str:
    """The whole page."""
    speed = measure_speed(inputs)
    arms = measure_arms(inputs)
    environment = Environment(
        loader=PackageLoader("eyrie.report", "."),  # beside this module, where they count as the stage's code
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=numbers.count,
        compact=numbers.compact,
        significant=numbers.significant,
        ratio=numbers.ratio,
        percent=numbers.percent,
        size=numbers.size,
        words=numbers.words,
    )
    return environment.get_template("page.html").render(
        params=params,
        inputs=inputs,
        speed=speed,
        verdict=headline(speed.first),
        losses=losing(speed),
        tally=tally(speed.each),
        luck=math.comb(2 * speed.repeats, speed.repeats) // 2,  # of the orders of both arms' repeats, two are apart
        num_raw=inputs.selection.funnel[0].kept + sum(inputs.selection.funnel[0].dropped.values()),
        entities=entity_rows(inputs),
        lossless_checked=inputs.evaluation.temperature == 0.0,
        training_charts=_training_charts(inputs),
        pooled_charts=_pooled_charts(speed),
        heat=_heat(speed),
        later=[point for point in speed.pooled if point.ttft.verdict == "slower"],
        position_chart=bars.position_panel(inputs.evaluation.overall.acceptance_by_position),
        ablation_chart=bars.ablation_panel(arms) if len(inputs.benchmark.arms) > 2 else None,
        in_flight=mean_in_flight(inputs),
        arms=arms,
        arm_names=charts.NAMES,
        costs=_costs(params, speed),
        clients={"eyrie": "Eyrie’s asyncio client", "sglang": "SGLang’s own client (sglang.benchmark.serving)"},
        workload_charts=_workload_charts(speed),
        versions=versions(),
        resolved=resolved(params),
        light=LIGHT,
        dark=DARK,
    )


def resolved(params: Params) -> str:
    """The parameters that decide what the page says, as YAML: those that its fingerprint holds. So neither where the
    target ran nor how `eyrie tune` looks."""
    shown = params.model_dump(mode="json", exclude={"target": {"device"}, "tune": True})
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)


def headline(point: Point) -> str:
    """One sentence on the lowest concurrency that was measured: faster, slower, or not to be told apart."""
    pair, load = point.tpot, f"With {point.concurrency} requests at a time"
    if point.concurrency == 1:
        load = "With one request at a time"
    baseline, eagle3 = numbers.significant(pair.baseline.value), numbers.significant(pair.eagle3.value)
    if pair.verdict == "faster":
        return (
            f"{load}, the draft head makes the target write {numbers.ratio(pair.speedup)} as fast: {eagle3} ms per "
            f"output token instead of {baseline} ms."
        )
    if pair.verdict == "slower":
        return (
            f"{load}, the draft head makes the target slower: {eagle3} ms per output token instead of {baseline} ms, "
            f"which is {numbers.ratio(pair.speedup)} the speed."
        )
    return (
        f"{load}, no gain can be claimed: {eagle3} ms per output token with the draft head and {baseline} ms without "
        "it, a difference within the spread of the repeats."
    )


def losing(speed: Speed) -> list[tuple[str, list[int], float]]:
    """Where EAGLE-3 is slower beyond the spread: (workload, concurrencies, lowest ratio to the baseline's speed).

    TPOT and throughput both count; the pooled figures come first.
    """
    groups = {"all": speed.pooled, **(speed.by_workload if len(speed.by_workload) > 1 else {})}
    found = []
    for workload, points in groups.items():
        losses = [
            (point.concurrency, pair.speedup)
            for point in points
            for pair in (point.tpot, point.throughput)
            if pair.verdict == "slower"
        ]
        if losses:
            levels = sorted({concurrency for concurrency, _ in losses})
            found.append((workload, levels, min(speedup for _, speedup in losses)))
    return found


def tally(points: list[Point]) -> dict[str, int]:
    """How many of `points` are faster, within the spread, or slower by TPOT."""
    verdicts = [point.tpot.verdict for point in points]
    return {verdict: verdicts.count(verdict) for verdict in ("faster", "within", "slower")}


def entity_rows(inputs: Inputs) -> list[tuple[str, dict[str, int], int]]:
    """(entity type, action -> count, total), the most frequent type first, ties by name."""
    rows = [(name, actions, sum(actions.values())) for name, actions in inputs.screening.entities.items()]
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def versions() -> dict[str, str]:
    """The versions of the environment that writes the page; a package that is not installed is left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _training_charts(inputs: Inputs) -> list[Any]:
    return [
        charts.loss_panel(inputs.train_curve, inputs.heldout_curve),
        charts.acceptance_panel(inputs.heldout_curve, inputs.training.best_step),
        charts.accuracy_panel(inputs.heldout_curve),
    ]


def _pooled_charts(speed: Speed) -> list[Any]:
    titles: dict[charts.Metric, str] = {
        "tpot": "Time per output token, ms: lower is better",
        "throughput": "Output tokens per second: higher is better",
        "ttft": "Time to first token, ms: lower is better",
    }
    return [
        charts.arms_panel(
            f"pooled-{metric}",
            speed.pooled,
            metric,
            title=title,
            ymax=charts.axis_top(speed.pooled, metric),
            small=False,
        )
        for metric, title in titles.items()
    ]


def _heat(speed: Speed) -> dict[str, list[tuple[str, list[tuple[float, float, str] | None]]]]:
    """Metric -> rows of the speed-up map: workload, and per concurrency the speed-up, how strong its colour is (0 to 1,
    by the logarithm, so that half and twice the speed are as strong), and the verdict; None where nothing is compared.
    """
    groups = {**speed.by_workload, **({"all": speed.pooled} if len(speed.by_workload) > 1 else {})}
    found = {}
    for metric in ("tpot", "throughput"):
        rows = {
            name: {point.concurrency: getattr(point, metric) for point in points} for name, points in groups.items()
        }
        strongest = max(abs(math.log(pair.speedup)) for row in rows.values() for pair in row.values()) or 1.0
        found[metric] = [
            (
                name,
                [
                    (pair.speedup, abs(math.log(pair.speedup)) / strongest, pair.verdict) if pair else None
                    for pair in (row.get(point.concurrency) for point in speed.pooled)
                ],
            )
            for name, row in rows.items()
        ]
    return found


def _costs(params: Params, speed: Speed) -> list[tuple[int, float, float]]:
    """(concurrency, baseline's, EAGLE-3's cost of a million output tokens); empty without a price."""
    price = params.report.gpu_hour_price
    if price is None:
        return []
    return [
        (
            point.concurrency,
            cost_per_million(price, point.throughput.baseline.value),
            cost_per_million(price, point.throughput.eagle3.value),
        )
        for point in speed.pooled
    ]


def _workload_charts(speed: Speed) -> dict[str, list[Any]]:
    """Heading -> one small panel per workload, on one axis; nothing where it would only repeat the pooled charts."""
    if len(speed.by_workload) < 2:
        return {}
    headings: dict[charts.Metric, str] = {
        "tpot": "Time per output token, ms",
        "throughput": "Output tokens per second",
    }
    return {
        heading: [
            charts.arms_panel(
                f"{workload}-{metric}",
                points,
                metric,
                title=numbers.words(workload),
                ymax=charts.axis_top(speed.each, metric),
                small=True,
            )
            for workload, points in speed.by_workload.items()
        ]
        for metric, heading in headings.items()
    }
