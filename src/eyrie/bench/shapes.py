"""The acceptance of every draft shape that `eyrie tune` tries, without serving any.

In: the head, the target, the screened held-out prompts. Out: one OfflineShape per shape. A target that no single device
holds is split over `evaluate_head.num_processes`, and all of them record the same drafts.
"""

import json
import logging
from pathlib import Path

from eyrie.bench.offline import record_drafts
from eyrie.chat.conversation import first_prompt
from eyrie.eagle3.checkpoint import load_head
from eyrie.eagle3.processes import Processes, joined, launch_here
from eyrie.engines.memory import out_of_memory_says
from eyrie.engines.reference.target_runner import longest_context
from eyrie.engines.target import load_target
from eyrie.io import read_jsonl, write_jsonl
from eyrie.params import Params, parse_params
from eyrie.serving_plan import OfflineShape
from eyrie.tables import PROMPTS, read_table


def offline_acceptance(params: Params, *, head: Path, clean: Path, folder: Path) -> list[OfflineShape]:
    """Of every shape of `tune`, on the first turns of the held-out prompts. `folder` takes a file of several processes.

    Raises TargetError, CheckpointError, SchemaError, ProcessesError, DeviceMemoryError, ValueError (no prompt fits).
    """
    num_processes = params.evaluate_head.num_processes
    if num_processes == 1:
        return _accept(params, Processes(), head=head, clean=clean)
    folder.mkdir(parents=True, exist_ok=True)
    found = folder / "offline.jsonl"
    paths = {"head": str(head), "clean": str(clean)}
    job = {"params": params.model_dump(mode="json"), "paths": paths, "found": str(found)}
    launch_here("eyrie.bench.shapes", job, num_processes=num_processes)
    return read_jsonl(found, OfflineShape)


@out_of_memory_says("lower tune.max_new_tokens or tune.heldout_prompts, or raise evaluate_head.num_processes")
def _accept(params: Params, processes: Processes, *, head: Path, clean: Path) -> list[OfflineShape]:
    section, target = params.tune, load_target(params.target, processes)
    room = longest_context(target.config) - section.max_new_tokens
    rows = (row for row in read_table(clean, PROMPTS) if row["split"] == "heldout")
    prompts = [ids for row in rows if (ids := first_prompt(target.chat, row)) is not None and len(ids) <= room]
    if not prompts:
        raise ValueError(
            f"{clean}: no prompt with split heldout fits the target's context and its chat template; eyrie tune needs "
            "some"
        )
    record = record_drafts(
        target,
        load_head(head, target.config, device=target.device, dtype=target.dtype),
        prompts[: section.heldout_prompts],
        topks=sorted({shape.topk for shape in section.shapes}),
        num_steps=max(shape.num_steps for shape in section.shapes),
        max_new_tokens=section.max_new_tokens,
    )
    return [record.accept(shape) for shape in section.shapes]


def work(job: Path) -> None:
    """One of the processes that `offline_acceptance` starts."""
    raw = json.loads(job.read_text(encoding="utf-8"))
    with joined(job) as processes:
        logging.basicConfig(level=logging.INFO if processes.is_first else logging.ERROR, format="tune: %(message)s")
        params = parse_params(raw["params"], origin=str(job))
        shapes = _accept(params, processes, **{name: Path(path) for name, path in raw["paths"].items()})
        if processes.is_first:
            write_jsonl(Path(raw["found"]), shapes)
