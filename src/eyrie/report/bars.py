"""The charts made of bars: what each arm gains, and how far ahead drafts are accepted. Drawn as `charts` draws."""

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from eyrie.report.charts import NAMES, as_svg, new_figure
from eyrie.report.findings import ArmPoint
from eyrie.report.palette import LIGHT


def ablation_panel(points: Sequence[ArmPoint]) -> Markup:
    """One bar per drafting arm and concurrency: output tokens per second over the baseline's."""
    arms = [arm for arm in dict.fromkeys(point.arm for point in points) if arm != "baseline"]
    levels = sorted({point.concurrency for point in points})
    with new_figure(560, 90 + 17 * len(arms) * len(levels), font=11) as figure:
        axes = figure.subplots()
        spots, labels = [], []
        for group, level in enumerate(levels):
            for index, arm in enumerate(arms):
                point = next(each for each in points if (each.arm, each.concurrency) == (arm, level))
                y = group * (len(arms) + 0.8) + index
                gain = point.speedup
                colour = LIGHT["eagle3"] if arm == "eagle3" else LIGHT["bar"]
                error = [[gain.value - gain.low], [gain.high - gain.value]]
                axes.barh(y, gain.value, height=0.72, color=colour, xerr=error, ecolor=LIGHT["ink"], capsize=2)
                text = f"{gain.value:.2f}\N{MULTIPLICATION SIGN}"
                axes.annotate(
                    text, (gain.high, y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9.5
                )
                spots.append(y)
                labels.append(f"{NAMES[arm]}, {level} at a time")
        axes.axvline(1.0, color=LIGHT["baseline"], linestyle=(0, (4, 2)))
        axes.set_yticks(spots, labels)
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.set_xlim(0, 1.15 * max(1.0, *(point.speedup.high for point in points)))
        axes.set_title("Output tokens per second, over the baseline\N{RIGHT SINGLE QUOTATION MARK}s")
        label = "Throughput over the baseline's. " + "; ".join(
            f"{NAMES[point.arm]} at concurrency {point.concurrency}: {point.speedup.value:.2f}"
            for point in points
            if point.arm != "baseline"
        )
        return as_svg(figure, "ablation", label=label)


def position_panel(shares: Sequence[float]) -> Markup:
    """The share of verify steps that accepted a draft so far ahead."""
    with new_figure(330, 200) as figure:
        axes = figure.subplots()
        xs = range(1, len(shares) + 1)
        axes.bar(xs, [100 * share for share in shares], width=0.62, color=LIGHT["eagle3"])
        for x, share in zip(xs, shares, strict=True):
            axes.annotate(f"{share:.0%}", (x, 100 * share), xytext=(0, 3), textcoords="offset points", ha="center")
        axes.set_xticks(xs, [str(x) for x in xs])
        axes.set_xlabel("draft")
        axes.set_ylim(0, 112)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_title("Verify steps that accepted it, %")
        spoken = ", ".join(f"draft {x} {share:.0%}" for x, share in zip(xs, shares, strict=True))
        return as_svg(figure, "position", label=f"Share of verify steps that accepted each draft: {spoken}.")
