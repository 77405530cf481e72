"""`eyrie report`: all metrics as one self-contained HTML page, and one PNG for the README.

Nothing is measured here: figures come from the metric documents and the benchmark's cells. Same inputs, same bytes (in
one environment: the page lists the versions it was written with).
"""

import logging
from pathlib import Path

from eyrie.io import atomic_path, write_text
from eyrie.params import Params
from eyrie.report import charts, numbers, page
from eyrie.report.findings import measure_speed
from eyrie.report.inputs import read_inputs

logger = logging.getLogger(__name__)


def run(
    params: Params,
    *,
    metrics_dir: Path,
    cells: Path,
    curves: Path,
    head: Path,
    data_card: Path,
    report: Path,
    chart: Path,
) -> None:
    """Write `report` (HTML) and `chart` (PNG). Raises SchemaError naming a missing, damaged or contradictory input."""
    inputs = read_inputs(metrics_dir=metrics_dir, cells=cells, curves=curves, head=head, data_card=data_card)
    html = page.render(params, inputs)
    speed = measure_speed(inputs)
    with atomic_path(chart) as temporary:
        charts.write_readme_chart(temporary, speed.pooled, title=params.report.title)
    write_text(report, html)
    logger.info(
        "report: %s, speed-up %s at concurrency %d, %s",
        report,
        numbers.ratio(speed.first.tpot.speedup),
        speed.first.concurrency,
        numbers.size(len(html.encode())),
    )
