"""Charts are self-contained, deterministic, and take their colours from the page."""

import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from PIL import Image

from eyrie.report import charts
from eyrie.report.findings import measure_speed
from eyrie.report.inputs import HeldoutPoint, TrainPoint, read_inputs
from eyrie.report.palette import DARK, LIGHT
from tests.unit.report.made_up import write_inputs

HELDOUT = [HeldoutPoint(step, 3.0 - step / 500, 1 + step / 200, (0.7, 0.5, 0.4)) for step in (100, 200, 300)]


def _luminance(colour: str) -> float:
    """WCAG 2 relative luminance of #rrggbb."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_text_colours_are_readable_on_the_page(palette: dict[str, str]) -> None:
    for role in ("ink", "muted", "baseline", "eagle3", "warn"):
        bright, dim = sorted((_luminance(palette[role]), _luminance(palette["page"])), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, role


def test_placeholder_colours_are_distinct() -> None:
    assert len(set(LIGHT.values())) == len(LIGHT)
    assert LIGHT.keys() == DARK.keys()


def test_panels_use_only_the_pages_colours_and_fonts() -> None:
    svg = charts.loss_panel([TrainPoint(10, 3.0, 0.001), TrainPoint(20, 2.5, 0.001)], HELDOUT)
    assert not re.findall(r"#[0-9a-f]{6}", svg)
    assert "var(--eagle3)" in svg
    assert "var(--font)" in svg
    assert "DejaVu" not in svg


def test_panels_are_well_formed_labelled_and_have_ids_of_their_own() -> None:
    panels = [charts.acceptance_panel(HELDOUT, 200), charts.accuracy_panel(HELDOUT)]
    ids: list[str] = []
    for panel in panels:
        root = ElementTree.fromstring(panel.replace("xlink:href", "href"))
        assert root.attrib["aria-label"]
        found = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
        used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', panel))
        assert used <= set(found)
        ids += found
    assert len(set(ids)) == len(ids)


def test_a_users_matplotlib_settings_do_not_reach_the_charts() -> None:
    expected = charts.accuracy_panel(HELDOUT)
    with mpl.rc_context({"grid.linestyle": ":", "axes.titlepad": 30, "xtick.direction": "in"}):
        assert charts.accuracy_panel(HELDOUT) == expected


def test_curves_of_one_evaluation_and_one_draft_can_be_drawn() -> None:
    only = [HeldoutPoint(4, 3.0, 1.0, (0.0,))]
    assert "exported: 1.00" in charts.acceptance_panel(only, 4)
    assert "draft 1" in charts.accuracy_panel(only)
    assert "held out" in charts.loss_panel([], only)


def test_readme_chart_is_a_png_with_the_same_bytes_every_time(tmp_path: Path) -> None:
    points = measure_speed(read_inputs(**write_inputs(tmp_path))).pooled
    for name in ("a.png", "b.png"):
        charts.write_readme_chart(tmp_path / name, points, title="costs $5 & $6")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1520, 620)
        assert image.getpixel((2, 2))[:3] == (255, 255, 255)


def test_a_long_workload_name_stays_over_its_own_small_panel(tmp_path: Path) -> None:
    points = measure_speed(read_inputs(**write_inputs(tmp_path))).pooled
    top = charts.axis_top(points, "tpot")
    title = "support tickets of the last year"
    svg = charts.arms_panel("long", points, "tpot", title=title, ymax=top, small=True)
    drawn = [text for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg) if text[:1].isalpha()]
    assert drawn == ["support tickets of", "the last year"]
