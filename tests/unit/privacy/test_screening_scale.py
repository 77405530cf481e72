"""benchmarks/screening_scale.py: it runs, says what it measures, and memory does not grow with the prompts."""

import re
import subprocess
import sys

from tests.conftest import REPOSITORY


def test_the_scale_benchmark_prints_its_figures_and_memory_stays_bounded() -> None:
    command = [sys.executable, "-m", "benchmarks.screening_scale", "--prompts", "300", "--processes", "1"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=120)
    figures = dict(re.findall(r"^(prompts|wall time|CPU time|largest parent|largest worker) +(\d+)", done.stdout, re.M))
    assert set(figures) == {"prompts", "wall time", "CPU time", "largest parent", "largest worker"}
    assert figures["prompts"] == "300"
    assert int(figures["largest parent"]) < 1_000  # MB; a million prompts have the same bound but for 16 bytes each
