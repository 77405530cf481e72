"""What a process of `eyrie.eagle3.processes.launch` runs in tests: it meets the others, and notes who was there."""

import json
import os
from pathlib import Path

from eyrie.eagle3.processes import joined


def work(job: Path) -> None:
    with joined(job) as processes:
        sum_of_ranks = processes.sum([float(processes.rank)])
        seen = {"node": os.environ["SLURMD_NODENAME"], "of": processes.world_size, "sum": sum_of_ranks}
        (job.parent / f"seen-{processes.rank}.json").write_text(json.dumps(seen))
