"""`eyrie filter_prompts`: data/prompts/selected.parquet -> data/prompts/clean.parquet, data_card.md, metrics.

Looks for personal data and secrets in every turn and system prompt, and drops or rewrites the conversations that hold
any, as filter_prompts.policy says per entity type. Prompts pass through in batches, in order, and wait on disk, so that
memory grows by some bytes a prompt, and the output is the same whatever the number of processes. Its order is that of
the new ids: the order of the old ones would tell of every rewritten prompt between which two digests that of the
original lies, enough to try values of what was taken out. Nothing that was found is written anywhere (but for
filter_prompts.quarantine): metrics, the data card, logs and errors hold types and counts.
"""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from eyrie.io import progress, read_json, write_json, write_text
from eyrie.params import FilterPrompts, Params, Workload
from eyrie.privacy.backends import MIN_CONVERSATIONS_PER_WORKER, make_detector
from eyrie.privacy.detection import Detected, Detector, detect_with
from eyrie.privacy.quarantine import quarantine
from eyrie.privacy.screening import Conversation, Screened, count_actions, screen
from eyrie.prompts.data_card import data_card as card_text
from eyrie.prompts.data_card import describe_screening
from eyrie.prompts.mix import mix_distance
from eyrie.prompts.spill import Spill
from eyrie.prompts.turns import prompt_id
from eyrie.schemas import FunnelStep, PromptMetrics, SelectionMetrics
from eyrie.tables import PROMPTS, TableWriter, check_prompt_row, count_rows, read_batches
from eyrie.workers import num_cpus

logger = logging.getLogger(__name__)

READ_ROWS = 100
MAX_BATCH_CHARS = 4_000_000
_SPLITS = ("benchmark", "heldout", "train")

Prompt = dict[str, Any]  # a row of tables.PROMPTS


def run(
    params: Params, *, selected: Path, selection_metrics: Path, clean: Path, data_card: Path, metrics: Path
) -> None:
    """Write the screened prompts, the card and the counts.

    Raises SchemaError, AnalyzerError, CloudDlpError, PolicyError, QuarantineError, WorkerError, and ValueError where
    no prompt is left to train on, to hold out, or to measure a workload with.
    """
    config = params.filter_prompts
    num_prompts = count_rows(selected, PROMPTS)
    selection = read_json(selection_metrics, SelectionMetrics)
    workers = min(num_cpus(), num_prompts // MIN_CONVERSATIONS_PER_WORKER)
    detector = make_detector(config, workers=workers)
    tally = _Tally()
    with (
        quarantine(Path(config.quarantine) if config.quarantine else None) as put_aside,
        TemporaryDirectory(dir=clean.parent, prefix=".filter-") as scratch,
        Spill(Path(scratch) / "kept") as kept,
        progress(num_prompts, desc="filter_prompts", unit="prompts") as bar,
    ):
        for prompts, outcomes in _screened(selected, detector, config):
            for prompt, outcome in zip(prompts, outcomes, strict=True):
                reason, row = tally.add(prompt, outcome)
                if reason is None:
                    kept.append(json.dumps(row).encode())
                elif outcome.drop_reason is not None:
                    put_aside(prompt, reason)
            bar.update(len(prompts))
        if not tally.train:
            raise ValueError(
                f"filter_prompts: no training prompt is left of {num_prompts} prompts: {dict(tally.dropped)}"
            )
        if not tally.by_split["heldout"]:
            raise ValueError(
                f"filter_prompts: no held-out prompt is left of {num_prompts} prompts: {dict(tally.dropped)}; "
                "select_prompts.sources or select_prompts.digest_split must give more of them"
            )
        # here, and not when the benchmark finds none after everything else has run
        for workload in params.benchmark.workloads:
            if not tally.to_measure[workload]:
                dropped = tally.not_to_measure[workload]
                raise ValueError(
                    f"filter_prompts: no prompt is left of the {dropped.total()} to measure workload {workload} with: "
                    f"{dict(dropped)}; select_prompts.sources must give more with split benchmark, or "
                    "benchmark.workloads not name it"
                )
        with TableWriter(clean, PROMPTS, check_prompt_row) as table:
            table.write(json.loads(kept[number]) for number in tally.order())
    document = PromptMetrics(
        funnel=[FunnelStep(name="screening", kept=tally.num_kept, dropped=dict(sorted(tally.dropped.items())))],
        by_workload=dict(sorted(tally.by_workload.items())),
        by_split=dict(sorted(tally.by_split.items())),
        mix_distance_before=selection.mix_distance_after,
        mix_distance_after=mix_distance(tally.train, selection.wanted_mix),
        entities=count_actions(tally.findings, config.policy),
        sources={},
    )
    write_json(metrics, document)
    facts = describe_screening(config, entities=detector.entities)
    write_text(data_card, card_text(selection, document, screening_facts=facts))
    logger.info("screening: %d of %d prompts kept, dropped %s", tally.num_kept, num_prompts, dict(tally.dropped))


def _screened(
    selected: Path, detector: Detector, config: FilterPrompts
) -> Iterator[tuple[list[Prompt], list[Screened]]]:
    """The prompts in batches beside their outcomes, in order."""

    def texts_of(prompts: Sequence[Prompt]) -> list[list[str]]:
        # What is too long to be read is not sent to the backend either.
        return [[] if _too_long(prompt, config) else [prompt["system"], *_spoken(prompt)] for prompt in prompts]

    for prompts, found in detect_with(detector, _batches(selected, detector.batch_rows), texts_of):
        yield (
            prompts,
            [_outcome(prompt, detected, config) for prompt, detected in zip(prompts, found, strict=True)],
        )


def _batches(selected: Path, max_rows: int) -> Iterator[list[Prompt]]:
    """At most `max_rows` prompts, and no more once MAX_BATCH_CHARS are reached: several batches wait at once."""
    batch: list[Prompt] = []
    size = 0
    for rows in read_batches(selected, PROMPTS, batch_rows=READ_ROWS):
        for row in rows:
            batch.append(row)
            size += _num_chars(row)
            if len(batch) == max_rows or size >= MAX_BATCH_CHARS:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _num_chars(prompt: Prompt) -> int:
    return len(prompt["system"]) + sum(map(len, _spoken(prompt)))


def _spoken(prompt: Prompt) -> list[str]:
    """The user's turns, then the answers that the source may bring: all are screened alike."""
    return [*prompt["turns"], *prompt["answers"]]


def _too_long(prompt: Prompt, config: FilterPrompts) -> bool:
    return _num_chars(prompt) > config.max_chars


def _outcome(prompt: Prompt, detected: Detected, config: FilterPrompts) -> Screened:
    if _too_long(prompt, config):
        detected = Detected([], "longer than max_chars")
    conversation = Conversation(prompt["system"], _spoken(prompt))
    return screen(conversation, detected, config.policy, seed=config.seed)


class _Tally:
    """Counts of what stays and what goes; and which prompts are in already."""

    def __init__(self) -> None:
        self.num_kept = 0
        self.dropped: Counter[str] = Counter()
        self.findings: Counter[str] = Counter()
        self.by_workload: Counter[str] = Counter()
        self.by_split: Counter[str] = Counter()
        self.train: Counter[Workload] = Counter()  # of split train
        self.to_measure: Counter[Workload] = Counter()  # of split benchmark
        self.not_to_measure: defaultdict[Workload, Counter[str]] = defaultdict(Counter)
        self._ids, self._splits = bytearray(), bytearray()  # of what is kept
        self._seen: set[bytes] = set()

    def add(self, prompt: Prompt, outcome: Screened) -> tuple[str | None, Prompt]:
        """Why the prompt goes (None: it stays), and its row with the new text and the id of that text."""
        self.findings.update(outcome.findings)
        num_turns = len(prompt["turns"])
        turns, answers = outcome.turns[:num_turns], outcome.turns[num_turns:]
        new_id = prompt_id(outcome.system, turns)
        reason = outcome.drop_reason
        if reason is None and bytes.fromhex(new_id) in self._seen:  # two prompts that differed in redacted values only
            reason = "equal after redaction"
        row = {**prompt, "prompt_id": new_id, "system": outcome.system, "turns": turns, "answers": answers}
        if reason is not None:
            self.dropped[reason] += 1
            if prompt["split"] == "benchmark":
                self.not_to_measure[prompt["workload"]][reason] += 1
            return reason, row
        self._seen.add(bytes.fromhex(new_id))
        self._ids += bytes.fromhex(new_id)
        self._splits.append(_SPLITS.index(prompt["split"]))
        self.num_kept += 1
        self.by_workload[prompt["workload"]] += 1
        self.by_split[prompt["split"]] += 1
        if prompt["split"] == "train":
            self.train[prompt["workload"]] += 1
        if prompt["split"] == "benchmark":
            self.to_measure[prompt["workload"]] += 1
        return None, row

    def order(self) -> list[int]:
        """The kept prompts, numbered as they came, by split and then by new id."""
        ids = np.frombuffer(bytes(self._ids), dtype=">u8").reshape(-1, 2)
        order: list[int] = np.lexsort((ids[:, 1], ids[:, 0], np.frombuffer(bytes(self._splits), np.uint8))).tolist()
        return order
