"""The charts: small SVG panels that take the page's fonts and colours, and one PNG for the README.

Each panel is drawn near the size it is shown at, so that the page can lay panels side by side or under each other
without the text shrinking. Colours leave as CSS variables, so one SVG serves light and dark screens. Same inputs, same
bytes: fixed id salt, no dates, matplotlib's own defaults instead of a user's matplotlibrc.
"""

import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from eyrie.params import Arm
from eyrie.report.findings import Measured, Pair, Point
from eyrie.report.inputs import HeldoutPoint, TrainPoint
from eyrie.report.numbers import significant
from eyrie.report.palette import LIGHT

Metric = Literal["tpot", "throughput", "ttft"]

UNITS: dict[Metric, str] = {"tpot": "TPOT, ms", "throughput": "output, tokens/s", "ttft": "TTFT, ms"}
NAMES: dict[Arm, str] = {
    "baseline": "Baseline",
    "eagle3": "EAGLE-3",
    "eagle3_no_overlap": "no overlap",
    "chain": "chain",
    "tree": "tree",
}
# Marker and line style repeat what the colour says.
LOOKS: dict[Literal["baseline", "eagle3"], dict[str, Any]] = {
    "baseline": {"color": LIGHT["baseline"], "marker": "o", "linestyle": (0, (4, 2))},
    "eagle3": {"color": LIGHT["eagle3"], "marker": "D", "linestyle": "solid"},
}

_SMALL_TITLE = 20  # characters: a longer line would run into the panel beside it
_POINTS_PER_INCH = 72  # one SVG user unit is one point
_FONT = "DejaVu Sans"  # ships with matplotlib: text is laid out the same everywhere, then shown in the page's font
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "eyrie",
    "font.family": _FONT,
    "text.color": LIGHT["ink"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.edgecolor": LIGHT["muted"],
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "grid.color": LIGHT["rule"],
    "grid.linewidth": 0.8,
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["muted"],
    "ytick.major.size": 0.0,
    "xtick.major.size": 3.0,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def arms_panel(name: str, points: Sequence[Point], metric: Metric, *, title: str, ymax: float, small: bool) -> Markup:
    """Both arms against concurrency. `ymax` lets panels that are compared share one axis, which starts at 0."""
    width, height = (165, 140) if small else (330, 245)
    with new_figure(width, height, font=10 if small else 11) as figure:
        axes = figure.subplots()
        _draw_arms(axes, points, metric, ymax=ymax, values=not small)
        axes.set_title(textwrap.fill(title, _SMALL_TITLE) if small else title)
        if not small:
            axes.set_xlabel("requests at a time")
        return as_svg(figure, name, label=_describe_arms(points, metric, title))


def axis_top(points: Sequence[Point], metric: Metric) -> float:
    """The top of an axis that holds all `points`, their ranges and a value label above them."""
    pairs = [_pair(point, metric) for point in points]
    return 1.18 * max(max(pair.baseline.high, pair.eagle3.high) for pair in pairs)


def loss_panel(train: Sequence[TrainPoint], heldout: Sequence[HeldoutPoint]) -> Markup:
    with new_figure(320, 230) as figure:
        axes = figure.subplots()
        axes.plot(
            [point.step for point in train],
            [point.loss for point in train],
            color=LIGHT["muted"],
            linewidth=1.1,
            alpha=0.75,
            label="training",
        )
        axes.plot(
            [point.step for point in heldout],
            [point.loss for point in heldout],
            color=LIGHT["eagle3"],
            marker="D",
            markersize=4.5,
            label="held out",
        )
        axes.set_title("Loss")
        axes.legend(frameon=False, loc="upper right", borderaxespad=0.0)
        _finish_steps(axes)
        first, last = heldout[0], heldout[-1]
        label = f"Loss by step. Held out: {first.loss:.3f} at step {first.step}, {last.loss:.3f} at step {last.step}."
        return as_svg(figure, "loss", label=label)


def acceptance_panel(heldout: Sequence[HeldoutPoint], best_step: int) -> Markup:
    with new_figure(320, 230) as figure:
        axes = figure.subplots()
        axes.plot(
            [point.step for point in heldout],
            [point.acceptance_length for point in heldout],
            color=LIGHT["eagle3"],
            marker="D",
            markersize=4.5,
        )
        best = next(point for point in heldout if point.step == best_step)
        axes.plot([best.step], [best.acceptance_length], "o", markersize=12, fillstyle="none", color=LIGHT["ink"])
        axes.set_ylim(1.0, 1.0 + 1.25 * max(max(point.acceptance_length for point in heldout) - 1.0, 0.1))
        late = best.step > (heldout[0].step + heldout[-1].step) / 2
        axes.annotate(
            f"exported: {best.acceptance_length:.2f}",
            (best.step, best.acceptance_length),
            xytext=(8 if late else 0, 11),
            textcoords="offset points",
            ha="right" if late else "left",
        )
        axes.set_title("Held-out acceptance length")
        _finish_steps(axes)
        label = (
            f"Simulated acceptance length on held-out answers by training step; the exported step {best.step} "
            f"reaches {best.acceptance_length:.2f} tokens."
        )
        return as_svg(figure, "acceptance", label=label)


def accuracy_panel(heldout: Sequence[HeldoutPoint]) -> Markup:
    """One line per TTT step, lighter with depth; the first and the last are named."""
    with new_figure(320, 230) as figure:
        axes = figure.subplots()
        depths = len(heldout[0].accuracy)
        last = heldout[-1]
        for depth in range(depths):
            opacity = 1.0 - 0.65 * depth / max(depths - 1, 1)
            values = [100 * point.accuracy[depth] for point in heldout]
            axes.plot(
                [point.step for point in heldout],
                values,
                color=LIGHT["eagle3"],
                alpha=opacity,
                linewidth=1.5,
                marker=".",
            )
        for depth, side in ((0, "bottom"), (depths - 1, "top")):
            axes.annotate(
                f"draft {depth + 1}",
                (last.step, 100 * last.accuracy[depth]),
                xytext=(3, 3 if side == "bottom" else -6),
                textcoords="offset points",
                ha="right",
                va=side,
                fontsize=9,
                color=LIGHT["muted"],
            )
        axes.set_ylim(0, 100)
        axes.set_title("Held-out accuracy by draft, %")
        _finish_steps(axes)
        ends = ", ".join(f"draft {depth + 1} {value:.0%}" for depth, value in enumerate(last.accuracy))
        return as_svg(figure, "accuracy", label=f"Held-out accuracy by draft position at the last evaluation: {ends}.")


def write_readme_chart(path: Path, points: Sequence[Point], *, title: str) -> None:
    """TPOT and output throughput of both arms against concurrency, as a PNG on white."""
    with new_figure(760, 310, font=11) as figure:
        figure.set_facecolor("#ffffff")
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12, wspace=0.04)
        figure.suptitle(title.replace("$", r"\$"), x=0.012, ha="left", fontweight="bold", fontsize=13)
        panels = figure.subplots(1, 2)
        titles: list[tuple[Metric, str]] = [
            ("tpot", "Time per output token, ms (lower is better)"),
            ("throughput", "Output tokens per second (higher is better)"),
        ]
        for axes, (metric, heading) in zip(panels, titles, strict=True):
            _draw_arms(axes, points, metric, ymax=axis_top(points, metric), values=True)
            axes.set_title(heading, fontsize=11, fontweight="normal")
            axes.set_xlabel("requests at a time")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper right", ncols=2, frameon=False, borderaxespad=0.6)
        figure.savefig(path, format="png", dpi=2 * _POINTS_PER_INCH, metadata={"Software": None})


def _draw_arms(axes: Any, points: Sequence[Point], metric: Metric, *, ymax: float, values: bool) -> None:
    """Concurrency levels stand at equal distances; bands show the range of the repeats (bars where there is but one
    level)."""
    xs = range(len(points))
    for arm, look in LOOKS.items():
        measured: list[Measured] = [getattr(_pair(point, metric), arm) for point in points]
        lows, highs, ys = ([getattr(each, name) for each in measured] for name in ("low", "high", "value"))
        if len(points) > 1:
            axes.fill_between(xs, lows, highs, color=look["color"], alpha=0.2, linewidth=0)
        else:
            errors = [
                [y - low for y, low in zip(ys, lows, strict=True)],
                [h - y for y, h in zip(ys, highs, strict=True)],
            ]
            axes.errorbar(xs, ys, yerr=errors, capsize=3, elinewidth=1.1, color=look["color"], linestyle="none")
        axes.plot(xs, ys, label=NAMES[arm], **look)
    for index, point in enumerate(points if values else ()):
        pair = _pair(point, metric)
        upper, lower = sorted((pair.baseline, pair.eagle3), key=lambda each: each.value, reverse=True)
        for each, below in ((upper, False), (lower, True)):
            if below and each.low < 0.12 * ymax:
                continue  # no room above the axis; the table has the figure
            axes.annotate(
                significant(each.value),
                (index, each.low if below else each.high),
                xytext=(0, -6 if below else 6),
                textcoords="offset points",
                ha="center",
                va="top" if below else "bottom",
                fontsize=9.5,
                color=LIGHT["baseline"] if each is pair.baseline else LIGHT["eagle3"],
            )
    axes.set_xticks(range(len(points)), [str(point.concurrency) for point in points])
    axes.set_xlim(-0.5, len(points) - 0.5)
    axes.set_ylim(0, ymax)
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _pair(point: Point, metric: Metric) -> Pair:
    pair: Pair = getattr(point, metric)
    return pair


def _describe_arms(points: Sequence[Point], metric: Metric, title: str) -> str:
    parts = []
    for point in points:
        pair = _pair(point, metric)
        parts.append(
            f"concurrency {point.concurrency}: baseline {significant(pair.baseline.value)}, "
            f"EAGLE-3 {significant(pair.eagle3.value)}"
        )
    return f"{title} ({UNITS[metric]}). {'; '.join(parts)}."


def _finish_steps(axes: Any) -> None:
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.margins(x=0.06)


@contextmanager
def new_figure(width: float, height: float, *, font: float = 10.5) -> Iterator[Figure]:
    """A figure of `width` by `height` points, drawn under matplotlib's defaults and this module's style only."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**_STYLE, "font.size": font, "axes.titlesize": font, "legend.fontsize": font})
        yield Figure(figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH), layout="constrained")


def as_svg(figure: Figure, name: str, *, label: str) -> Markup:
    """The figure as inline SVG: no prolog, no metadata, ids of its own, the page's font and colours."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    view_box = re.search(r'viewBox="([^"]+)"', text)
    assert view_box is not None
    head = f'<svg viewBox="{view_box[1]}" role="img" aria-label="{escape(label)}">'
    text = head + text[text.index(">") + 1 :].strip()
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = text.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    text = text.replace(f"'{_FONT}'", "var(--font)")
    for role, colour in LIGHT.items():
        text = text.replace(colour, f"var(--{role})")
    return Markup(text)  # noqa: S704 - drawn here; matplotlib escapes text and the label is escaped above
