"""Every stage's files: the one table that the CLI, the manifests, `dvc.yaml` and the checks on the Snakefile share.

Paths are relative to the working directory. A path with `{shard}` stands for `num_shards` files; a sharded stage has a
gather step that reads them all and writes `gathered`.
"""

from dataclasses import dataclass, field

SHARD = "shard-{shard:04d}"


@dataclass(frozen=True)
class Stage:
    """One stage. Keys of `inputs` and `outputs` are keyword arguments of its `run`; of `gather_*`, of its `gather`.

    An input that is a tuple of files reaches the stage as the folder that holds them; one that has shards and is read
    whole, as a list of paths.
    """

    name: str
    what: str  # one sentence for the command's help
    inputs: dict[str, str | tuple[str, ...]]
    outputs: dict[str, str]
    gather_inputs: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    gather_outputs: dict[str, str] = field(default_factory=dict)
    plots: dict[str, dict[str, str]] = field(default_factory=dict)  # path -> DVC plot properties
    uses_target: bool = False
    sections: tuple[str, ...] = ()  # of params that it reads besides its own
    files: tuple[str, ...] = ()  # params of the section that name a local file
    starts: tuple[str, ...] = ()  # modules under src/eyrie that it starts as programs and does not import
    resumes: bool = False  # its `run` takes `scratch`, a folder that outlives a killed job

    @property
    def sharded(self) -> bool:
        return any("{shard" in path for path in self.outputs.values())

    @property
    def rules(self) -> tuple[str, ...]:
        """The stage's Snakemake rules. The rule with the stage's own name builds all of it."""
        return (self.name, f"{self.name}_shard") if self.sharded else (self.name,)


SELECTED = "data/prompts/selected.parquet"
UNSCREENED = frozenset({SELECTED})  # stays on this machine: DVC has the manifest in its place, and nothing to push
NEVER_PUSHED = "holds unscreened prompts, which are never pushed; it is made again where it is needed"
CLEAN = "data/prompts/clean.parquet"
DATA_CARD = "reports/data_card.md"
RESPONSES = f"data/responses/{SHARD}.parquet"
VOCAB = "data/vocab/vocab_map.safetensors"
FEATURES = f"data/features/{SHARD}.arrow"
HEAD = "models/head"
CURVES = "reports/curves"
CELLS = "reports/benchmark/cells.jsonl"
SERVING = "reports/serving.json"  # of `eyrie tune`, which is no stage

_MEASURED = (  # the stages before the report, which shows their metrics and their parameters
    "select_prompts",
    "filter_prompts",
    "generate_responses",
    "build_vocab",
    "extract_features",
    "train_head",
    "evaluate_head",
    "benchmark",
)


def _metrics(stage: str) -> str:
    return f"reports/metrics/{stage}.json"


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "select_prompts",
            "Read the sources, keep user turns, apply the licence gate, remove duplicates, balance workloads.",
            {},
            {"selected": SELECTED, "metrics": _metrics("select_prompts")},
        ),
        Stage(
            "filter_prompts",
            "Screen every prompt for personal data and secrets; drop, replace or redact by policy.",
            {"selected": SELECTED, "selection_metrics": _metrics("select_prompts")},
            {"clean": CLEAN, "data_card": DATA_CARD, "metrics": _metrics("filter_prompts")},
            files=("analyzer_config",),
        ),
        Stage(
            "generate_responses",
            "Let the target answer every prompt under its own chat template.",
            {"clean": CLEAN},
            {"responses": RESPONSES},
            gather_inputs={"clean": CLEAN, "responses": RESPONSES},
            gather_outputs={"metrics": _metrics("generate_responses")},
            uses_target=True,
            resumes=True,
        ),
        Stage(
            "build_vocab",
            "Choose the draft vocabulary: the most frequent answer tokens.",
            {"responses": RESPONSES},
            {"vocab": VOCAB, "metrics": _metrics("build_vocab")},
            uses_target=True,
        ),
        Stage(
            "extract_features",
            "Store the target's hidden states for every training row.",
            {"responses": RESPONSES},
            {"features": FEATURES},
            gather_inputs={"features": FEATURES},
            gather_outputs={"metrics": _metrics("extract_features")},
            uses_target=True,
        ),
        Stage(
            "train_head",
            "Train the EAGLE-3 head; export the best held-out checkpoint for serving.",
            {"features": FEATURES, "vocab": VOCAB},
            {"head": HEAD, "curves": CURVES, "metrics": _metrics("train_head")},
            plots={
                f"{CURVES}/plots/metrics/train/loss.tsv": {"x": "step", "y": "loss", "title": "Training loss"},
                f"{CURVES}/plots/metrics/heldout/loss.tsv": {"x": "step", "y": "loss", "title": "Held-out loss"},
                f"{CURVES}/plots/metrics/heldout/acceptance_length.tsv": {
                    "x": "step",
                    "y": "acceptance_length",
                    "title": "Held-out acceptance length",
                },
            },
            uses_target=True,
            resumes=True,
        ),
        Stage(
            "evaluate_head",
            "Compare greedy outputs with and without the head; measure acceptance on held-out prompts.",
            {"head": HEAD, "clean": CLEAN},
            {"outputs": "reports/evaluation/outputs.jsonl", "metrics": _metrics("evaluate_head")},
            uses_target=True,
        ),
        Stage(
            "benchmark",
            "Serve baseline and EAGLE-3 and measure both under the same load.",
            {"head": HEAD, "clean": CLEAN},
            {"cells": CELLS, "metrics": _metrics("benchmark")},
            uses_target=True,
            starts=("engines/reference/__main__.py",),
            resumes=True,
        ),
        Stage(
            "report",
            "Write the report page and its chart.",
            {
                "metrics_dir": tuple(_metrics(name) for name in _MEASURED),
                "cells": CELLS,
                "curves": CURVES,
                "head": HEAD,
                "data_card": DATA_CARD,
            },
            {"report": "reports/report.html", "chart": "reports/chart.png"},
            uses_target=True,
            sections=_MEASURED,
        ),
    )
}


# output -> the first output of the same job, which has the manifest beside it
MADE_WITH: dict[str, str] = {
    path: next(iter(group.values()))
    for stage in STAGES.values()
    for group in (stage.outputs, stage.gather_outputs)
    for path in group.values()
}


def upstream_of(stage_name: str) -> list[str]:
    """The stages whose outputs the stage reads, in pipeline order."""
    stage = STAGES[stage_name]
    read: set[str] = set()
    for pattern in (*stage.inputs.values(), *stage.gather_inputs.values()):
        read.update(pattern if isinstance(pattern, tuple) else (pattern,))
    return [
        other.name
        for other in STAGES.values()
        if other is not stage and read & {*other.outputs.values(), *other.gather_outputs.values()}
    ]


def expand_shards(path: str | tuple[str, ...], num_shards: int) -> list[str]:
    """Every path meant: a tuple's own, a sharded path's with each number filled in, or the path alone."""
    if isinstance(path, tuple):
        return list(path)
    if "{shard" not in path:
        return [path]
    return [path.format(shard=shard) for shard in range(num_shards)]
