"""`eyrie select_prompts`: sources -> data/prompts/selected.parquet, reports/metrics/select_prompts.json.

Reads the user turns of every source that passes the licence gate, drops what is malformed, too long, repeated or close
to a prompt that measures, and takes training prompts up to the wanted mix. Held-out and benchmark prompts all stay,
once each. The same seed and inputs give the same bytes, however many processes share the work.

Texts are on disk while this runs; in memory are some 300 bytes a prompt. Shape legend: K training prompts, B bands.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyrie.io import progress, write_json
from eyrie.params import Params, SelectPrompts
from eyrie.prompts.comparing import Compared, Comparer, traits_of
from eyrie.prompts.contamination import Match, Measuring, contaminated
from eyrie.prompts.duplicates import bands_for, near_duplicates
from eyrie.prompts.licenses import Clearance, check_license
from eyrie.prompts.mix import Cell, axis_distances, choose, fill, length_bin, quotas, shares_of, turns_bin
from eyrie.prompts.reading import SPLITS, Malformed, Prompt, Prompts, Reading, read_prompts
from eyrie.prompts.spill import Spill
from eyrie.schemas import FunnelStep, MalformedRow, MixDistance, SelectionMetrics, Shortfall
from eyrie.tables import PROMPTS, TableWriter, check_prompt_row

logger = logging.getLogger(__name__)

_TRAIN, _HELDOUT = SPLITS.index("train"), SPLITS.index("heldout")

Numbers = NDArray[np.int64]  # of prompts


def run(params: Params, *, selected: Path, metrics: Path) -> None:
    """Write the chosen prompts and the funnel. Raises LicenseError, SourceError, HubError, OSError or ValueError."""
    config = params.select_prompts
    clearances = {
        source.name: check_license(source, allowed=config.allowed_licenses, denied=config.denied_provenance)
        for source in config.sources
    }
    selected.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        scratch = Path(files.enter_context(TemporaryDirectory(dir=selected.parent, prefix=".select-")))
        prompts = Prompts(files.enter_context(Spill(scratch / "prompts")))
        reading, wanted, elsewhere = _read_all(config, prompts)
        funnel = _Funnel(prompts.column("split") == _TRAIN)
        funnel.add("read", reading.num_read.total(), reading.num_read["train"], reading.malformed.reasons)
        funnel.add("length", len(prompts), int(funnel.is_train.sum()), reading.too_long)
        kept = funnel.drop("exact duplicates", np.arange(len(prompts)), _repeated(prompts))
        kept = _drop_similar(prompts, kept, elsewhere, config, scratch, funnel)
        cells = _cells(prompts, kept, wanted)
        taken = _Taken(config, wanted, Counter(cells.values()))
        kept = funnel.drop("workload mix", kept, taken.over_share(prompts, cells))
        if not taken.counts.total():
            raise ValueError(f"select_prompts: no training prompt is left; how many each step left: {funnel.told()}")
        if not (prompts.column("split")[kept] == _HELDOUT).any():
            raise ValueError(
                f"select_prompts: no held-out prompt beside {taken.counts.total()} training prompts; give one of "
                "select_prompts.sources split: heldout, or split: by_digest and digest_split.heldout above 0"
            )
        rows = _rows(prompts, kept, config)
        with TableWriter(selected, PROMPTS, check_prompt_row) as table:
            table.write(rows)
        write_json(metrics, _metrics(config, clearances, reading, prompts, kept, funnel, taken))
    logger.info("selected %d prompts: %s", len(kept), _counts(prompts, kept, "split", SPLITS))


class _Funnel:
    """The steps so far: how many stayed, how many training prompts among them, and why the others went."""

    def __init__(self, is_train: NDArray[np.bool_]) -> None:
        self.steps: list[FunnelStep] = []
        self.is_train = is_train  # of every prompt
        self._kept_train: list[int] = []  # by each step

    def add(self, name: str, kept: int, kept_train: int, dropped: Counter[str]) -> None:
        self.steps.append(FunnelStep(name=name, kept=kept, dropped=dict(sorted(dropped.items()))))
        self._kept_train.append(kept_train)
        logger.info("%s: %d kept, %d dropped", name, kept, dropped.total())

    def drop(self, name: str, prompts: Numbers, reasons: dict[int, str]) -> Numbers:
        """The prompts that have no reason to go."""
        gone = np.fromiter(reasons, dtype=np.int64, count=len(reasons))
        kept = prompts[~np.isin(prompts, gone)]
        self.add(name, len(kept), int(self.is_train[kept].sum()), Counter(reasons.values()))
        return kept

    def told(self) -> str:
        """The training prompts alone: what measures stays, and would hide the step that took the last of them."""
        steps = zip(self.steps, self._kept_train, strict=True)
        return ", ".join(f"{step.name} {kept_train}" for step, kept_train in steps)


def _read_all(config: SelectPrompts, prompts: Prompts) -> tuple[Reading, dict[Cell, float], list[str]]:
    """The sources; the share of the training prompts wanted per cell; and the texts that measure elsewhere."""
    reading = Reading(prompts)
    with progress(None, desc="select_prompts: reading", unit="rows") as bar:
        if config.traffic_sample is not None:
            sample = read_prompts(config.traffic_sample, config, Malformed())
            cells = ((p.workload, length_bin(p.num_asked_chars), turns_bin(len(p.turns))) for p in sample)
            wanted: dict[Cell, float] = shares_of(Counter(cells))
        else:
            assert config.workload_mix is not None, "the schema asks for one of both"
            wanted = {(workload,): share for workload, share in config.workload_mix.items()}
        elsewhere = [
            text
            for origin in config.decontaminate_against
            for prompt in read_prompts(origin, config, Malformed())
            for text in prompt.measured
        ]
        reading.read(config, bar.update)
    return reading, wanted, elsewhere


def _repeated(prompts: Prompts) -> dict[int, str]:
    """Of equal prompts the first of the split that goes first stays."""
    ids = prompts.ids
    order = np.lexsort((np.arange(len(ids)), prompts.column("split"), ids[:, 1], ids[:, 0]))
    same = np.flatnonzero((ids[order][1:] == ids[order][:-1]).all(axis=1)) + 1
    return dict.fromkeys(order[same].tolist(), "repeats another prompt")


def _drop_similar(
    prompts: Prompts, kept: Numbers, elsewhere: list[str], config: SelectPrompts, scratch: Path, funnel: _Funnel
) -> Numbers:
    """Without near duplicates among the training prompts, then without those close to a prompt that measures."""
    is_train = prompts.column("split")[kept] == _TRAIN
    train = kept[is_train]
    measuring = Measuring.of(
        [*(text for number in kept[~is_train].tolist() for text in prompts[number].measured), *elsewhere],
        run_words=config.decontamination_words,
    )
    bands = bands_for(config.near_duplicate_threshold)
    keys_KB = np.empty((len(train), bands.num_bands), dtype=np.uint64)
    sizes_K = np.empty(len(train), dtype=np.int64)
    done = 0
    with Spill(scratch / "shingles") as shingles, Spill(scratch / "matches") as matches:
        compared = (_compared(prompts[number], config) for number in train.tolist())
        with progress(len(train), desc="select_prompts: comparing", unit="prompts") as bar:
            for traits in traits_of(compared, Comparer(measuring, bands)):
                for text_shingles, match in zip(traits.shingles, traits.matches, strict=True):
                    shingles.append(text_shingles.tobytes())
                    matches.append(match)
                size = len(traits.matches)
                keys_KB[done : done + size] = traits.keys
                sizes_K[done : done + size] = np.diff(traits.shingles.starts)
                done += size
                bar.update(size)
        similar = _similar(keys_KB, sizes_K, shingles, config.near_duplicate_threshold)
        del keys_KB
        kept = funnel.drop("near duplicates", kept, dict.fromkeys(train[similar].tolist(), "near duplicate of another"))
        found = contaminated(
            measuring, np.flatnonzero(~similar).tolist(), lambda number: Match.from_bytes(matches[number])
        )
    return funnel.drop("decontamination", kept, {int(train[number]): reason for number, reason in found.items()})


def _compared(prompt: Prompt, config: SelectPrompts) -> Compared:
    return Compared(prompt.text, prompt.beside(config.system_prompt))


def _similar(keys_KB: NDArray[np.uint64], sizes_K: Numbers, shingles: Spill, threshold: float) -> NDArray[np.bool_]:
    found = near_duplicates(
        keys_KB, sizes_K, lambda number: np.frombuffer(shingles[number], dtype=np.uint64), threshold=threshold
    )
    similar = np.zeros(len(sizes_K), dtype=bool)
    with progress(len(sizes_K), desc="select_prompts: near duplicates", unit="prompts") as bar:
        for number, is_similar in enumerate(found):
            similar[number] = is_similar
            bar.update()
    return similar


def _cells(prompts: Prompts, kept: Numbers, wanted: dict[Cell, float]) -> dict[int, Cell]:
    """The cell of each training prompt, on the axes of the wanted shares."""
    train = kept[prompts.column("split")[kept] == _TRAIN].tolist()
    workloads, chars, turns = (prompts.column(name).tolist() for name in ("workload", "asked_chars", "turns"))
    names = prompts.workloads
    if len(next(iter(wanted))) == 1:
        return {number: (names[workloads[number]],) for number in train}
    return {number: (names[workloads[number]], length_bin(chars[number]), turns_bin(turns[number])) for number in train}


@dataclass
class _Taken:
    """How many training prompts are taken of each cell."""

    config: SelectPrompts
    wanted: dict[Cell, float]
    available: Counter[Cell]
    counts: Counter[Cell] = field(init=False)
    shortfalls: list[Shortfall] = field(init=False)

    def __post_init__(self) -> None:
        limits = quotas(self.wanted, self.config.max_prompts)
        self.counts = Counter(fill(limits, self.available))
        self.shortfalls = [*self._short_workloads(limits), *self._short_parts(limits)]
        for short in self.shortfalls:
            if not short.part:
                logger.warning(
                    "workload %s: %d training prompts wanted, the sources have %d",
                    short.workload,
                    short.wanted,
                    short.available,
                )
        for workload, count in sorted(self._unwanted_workloads().items()):
            logger.warning("workload %s: none of its %d training prompts is wanted by the mix", workload, count)

    def _unwanted_workloads(self) -> Counter[str]:
        wanted, counts = {cell[0] for cell in self.wanted}, Counter[str]()
        for cell, count in self.available.items():
            if cell[0] not in wanted:
                counts[cell[0]] += count
        return counts

    def _short_workloads(self, limits: dict[Cell, int]) -> Iterator[Shortfall]:
        for workload in sorted({cell[0] for cell in limits}):
            wanted = sum(count for cell, count in limits.items() if cell[0] == workload)
            taken = sum(count for cell, count in self.counts.items() if cell[0] == workload)
            if taken < wanted:
                yield Shortfall(workload=workload, part="", wanted=wanted, available=taken)

    def _short_parts(self, limits: dict[Cell, int]) -> Iterator[Shortfall]:
        for cell, wanted in sorted(limits.items()):
            if len(cell) > 1 and self.available[cell] < wanted:
                yield Shortfall(
                    workload=cell[0], part=", ".join(cell[1:]), wanted=wanted, available=self.available[cell]
                )

    def over_share(self, prompts: Prompts, cells: dict[int, Cell]) -> dict[int, str]:
        pairs = ((prompts.id_of(number), cell) for number, cell in cells.items())
        chosen = choose(pairs, self.counts, seed=self.config.seed)
        return {
            number: f"over the share of {cell[0]}"
            for number, cell in cells.items()
            if prompts.id_of(number) not in chosen
        }

    def distances(self) -> dict[str, MixDistance]:
        before, after = (axis_distances(counts, self.wanted) for counts in (self.available, self.counts))
        return {axis: MixDistance(before=before[axis], after=after[axis]) for axis in before}

    def wanted_mix(self) -> dict[str, float]:
        mix: dict[str, float] = {}
        for cell, share in sorted(self.wanted.items()):
            mix[cell[0]] = mix.get(cell[0], 0.0) + share
        return mix


def _rows(prompts: Prompts, kept: Numbers, config: SelectPrompts) -> Iterator[dict[str, Any]]:
    """Rows of tables.PROMPTS by split, then by prompt_id."""
    ids, splits, sources = prompts.ids[kept], prompts.column("split"), prompts.column("source")
    order = np.lexsort((ids[:, 1], ids[:, 0], splits[kept]))
    for number in kept[order].tolist():
        prompt = prompts[number]
        yield {
            "prompt_id": prompts.id_of(number),
            "source": config.sources[sources[number]].name,
            "workload": prompt.workload,
            "split": SPLITS[splits[number]],
            "system": prompt.system,
            "turns": prompt.turns,
            "answers": prompt.answers,
        }


def _counts(prompts: Prompts, kept: Numbers, code: str, names: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(prompts.column(code)[kept], minlength=len(names)).tolist()
    return {name: count for name, count in sorted(zip(names, counts, strict=True)) if count}


def _metrics(
    config: SelectPrompts,
    clearances: dict[str, Clearance],
    reading: Reading,
    prompts: Prompts,
    kept: Numbers,
    funnel: _Funnel,
    taken: _Taken,
) -> SelectionMetrics:
    axes = taken.distances()
    num_kept = _counts(prompts, kept, "source", [source.name for source in config.sources])
    return SelectionMetrics(
        funnel=funnel.steps,
        by_workload=_counts(prompts, kept, "workload", prompts.workloads),
        by_split=_counts(prompts, kept, "split", SPLITS),
        mix_distance_before=axes["workload"].before,
        mix_distance_after=axes["workload"].after,
        entities={},
        sources={
            source.name: {
                "license": clearances[source.name].license or "not stated",
                "provenance": f"{source.hub}@{source.revision}" if source.hub else str(source.path),
                "denied_provenance": clearances[source.name].provenance,
                "override": source.license_override or "",
                "answers": source.keep_answers or "",
                "split": source.split,
                "raw": reading.num_rows[source.name],
                "malformed": reading.num_malformed[source.name],
                "kept": num_kept.get(source.name, 0),
            }
            for source in config.sources
        },
        wanted_mix=taken.wanted_mix(),
        mix_axes=axes,
        shortfalls=taken.shortfalls,
        num_malformed=reading.malformed.reasons.total(),
        malformed_rows=[
            MalformedRow(source=source, file=file, number=number, reason=reason)
            for source, file, number, reason in reading.malformed.rows
        ],
    )
