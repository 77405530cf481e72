"""`eyrie report`: all metrics as one self-contained HTML page, and one PNG for the README.

Nothing is measured here: figures come from the metric documents and the benchmark's cells, the target's size from its
own config.json. Same inputs, same bytes (in one environment: the page lists the versions it was written with).
"""

import logging
from pathlib import Path

from eyrie.io import atomic_path, write_text
from eyrie.params import Params, Target
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
    html = page.render(params, inputs, target_parameters=_count_parameters(params.target))
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


def _count_parameters(target: Target) -> int | None:
    """The target's parameters, from its config alone (no weights are read); None, with a warning, without a config.

    The page is the last step of a long run: a machine that cannot see the target still gets it, less one percentage.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from eyrie.engines.target import TargetError, load_config

    try:
        config = load_config(target)
    except TargetError as error:
        logger.warning("the head's share of the target is left out: %s", error)
        return None
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=target.trust_remote_code)
    return sum(int(parameter.numel()) for parameter in model.parameters())
