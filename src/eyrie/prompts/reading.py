"""All sources read once: every usable prompt on disk, and what the later steps decide by in arrays of a few bytes.

What a row cannot give is counted and listed by source, file, row number and reason, never quoted.
"""

import json
import logging
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyrie.params import Origin, SelectPrompts, Source, Split, Workload, is_workload
from eyrie.prompts.sources import BadRow, SourceError, read_rows
from eyrie.prompts.spill import Spill
from eyrie.prompts.splits import split_of
from eyrie.prompts.turns import RowError, columns_of, prompt_id, read_dialogue

logger = logging.getLogger(__name__)

# Which split keeps a prompt that several have: what measures goes first.
SPLITS: tuple[Split, ...] = ("benchmark", "heldout", "train")
_COLUMNS = {"source": "H", "workload": "H", "split": "B", "asked_chars": "I", "turns": "I"}
_LISTED_ROWS = 100
_MAX_WORKLOADS = 100  # more is a column of something else
_NAMED_ROWS = 3


class Prompt(NamedTuple):
    workload: Workload
    system: str
    turns: list[str]
    answers: list[str]

    @property
    def text(self) -> str:
        """What prompts are compared by."""
        return "\n".join(self.turns)

    @property
    def measured(self) -> list[str]:
        """What training prompts are kept apart from when this one measures: all turns, and the first, which every
        measurement asks as a request of its own."""
        return [self.text] if len(self.turns) == 1 else [self.text, self.turns[0]]

    def beside(self, given: str | None) -> str:
        """What a row of it holds beside its turns: its own system prompt and its answers, without the system prompt
        that was `given` to every conversation and says nothing of this one."""
        return "\n".join([self.system.removeprefix(given or ""), *self.answers])

    @property
    def num_asked_chars(self) -> int:
        """Without the answers: a sample of traffic has none, and its lengths are compared with those of the sources."""
        return len(self.system) + sum(map(len, self.turns))

    @property
    def num_chars(self) -> int:
        return self.num_asked_chars + sum(map(len, self.answers))


@dataclass
class Malformed:
    """Rows that gave no prompt: how many for which reason, and where the first hundred are."""

    reasons: Counter[str] = field(default_factory=Counter)
    rows: list[tuple[str, str, int, str]] = field(default_factory=list)  # source, file, row number, reason

    def add(self, source: str, file: str, number: int, reason: str) -> None:
        self.reasons[reason] += 1
        if len(self.rows) < _LISTED_ROWS:
            self.rows.append((source, file, number, reason))


class Prompts:
    """Prompts by number, in the order they were read; texts are on disk, codes and sizes in memory."""

    def __init__(self, records: Spill) -> None:
        self._codes: dict[Workload, int] = {}
        self._records = records
        self._ids = bytearray()
        self._columns = {name: array(kind) for name, kind in _COLUMNS.items()}

    def __len__(self) -> int:
        return len(self._records)

    def add(self, prompt: Prompt, *, source: int, split: Split) -> None:
        self._records.append(json.dumps(prompt, ensure_ascii=False, separators=(",", ":")).encode())
        self._ids += bytes.fromhex(prompt_id(prompt.system, prompt.turns))
        workload = self._codes.setdefault(prompt.workload, len(self._codes))
        codes = (source, workload, SPLITS.index(split), prompt.num_asked_chars, len(prompt.turns))
        for column, code in zip(self._columns.values(), codes, strict=True):
            column.append(code)

    def __getitem__(self, number: int) -> Prompt:
        return Prompt(*json.loads(self._records[number]))

    def id_of(self, number: int) -> str:
        return self._ids[16 * number : 16 * number + 16].hex()

    @property
    def workloads(self) -> list[Workload]:
        """In the order in which they first came."""
        return list(self._codes)

    @property
    def ids(self) -> NDArray[np.uint64]:
        """[K, 2], in the order of the hex digits."""
        return np.frombuffer(bytes(self._ids), dtype=">u8").reshape(-1, 2).astype(np.uint64)

    def column(self, name: str) -> NDArray[np.int64]:
        """`source`, `workload` (into `workloads`), `split` (into SPLITS), `asked_chars` or `turns` of each prompt."""
        return np.array(self._columns[name], dtype=np.int64)


def read_prompts(source: Origin, config: SelectPrompts, malformed: Malformed) -> Iterator[Prompt]:
    """The source's prompts in order; what is malformed is noted in `malformed`.

    Raises SourceError when no row gives a prompt, or at the end when params refuse malformed rows; HubError.
    """
    num_prompts = 0
    workloads: set[str] = set()
    columns = columns_of(source.turns, source.column)
    if source.workload_column is not None:
        columns.append(source.workload_column)
    for row in read_rows(source, columns):
        try:
            if isinstance(row.value, BadRow):
                raise RowError(row.value.reason)
            prompt = _prompt(row.value, source, config)
        except RowError as error:
            malformed.add(source.name, row.file, row.number, str(error))
            continue
        num_prompts += 1
        workloads.add(prompt.workload)
        _check_workloads(workloads, source)
        yield prompt
    reasons = ", ".join(f"{reason}: {count}" for reason, count in malformed.reasons.most_common())
    if not num_prompts:
        raise SourceError(
            f"source {source.name}: no readable row in {source.path or source.hub} ({reasons or 'it has no rows'})"
        )
    if not malformed.rows:
        return
    first = ", ".join(f"{file} row {number}".strip() for _, file, number, _ in malformed.rows[:_NAMED_ROWS])
    told = f"source {source.name}: {malformed.reasons.total()} malformed rows ({reasons}), the first at {first}"
    if config.malformed_rows == "refuse":
        raise SourceError(f"{told}; select_prompts.malformed_rows is 'refuse'")
    logger.warning("%s; skipped", told)


def _check_workloads(workloads: Collection[str], source: Origin) -> None:
    """Raises SourceError: what is told of each workload would be told of each user, for instance."""
    if len(workloads) > _MAX_WORKLOADS:
        raise SourceError(
            f"source {source.name}: more than {_MAX_WORKLOADS} workloads; does column {source.workload_column} say "
            "what kind of prompt a row is?"
        )


def _prompt(row: Any, source: Origin, config: SelectPrompts) -> Prompt:
    keep_answers = isinstance(source, Source) and source.keep_answers is not None
    dialogue = read_dialogue(row, turns=source.turns, column=source.column, keep_answers=keep_answers)
    workload = source.workload or row.get(source.workload_column)
    if not is_workload(workload):
        raise RowError("the workload is no name of at most 32 of a-z, 0-9 and _")
    own = dialogue.system if config.keep_system_prompts else ""
    system = "\n\n".join(part for part in (config.system_prompt, own) if part)
    return Prompt(workload, system, dialogue.turns, dialogue.answers)


@dataclass
class Reading:
    """All sources, read into `prompts`; rows are counted per source name."""

    prompts: Prompts
    malformed: Malformed = field(default_factory=Malformed)
    num_rows: Counter[str] = field(default_factory=Counter)
    num_malformed: Counter[str] = field(default_factory=Counter)
    num_read: Counter[Split] = field(default_factory=Counter)  # those too long included
    too_long: Counter[str] = field(default_factory=Counter)

    def read(self, config: SelectPrompts, tick: Callable[[], object]) -> None:
        """Raises SourceError or HubError."""
        for number, source in enumerate(config.sources):
            malformed = Malformed()
            num_prompts = 0
            for prompt in read_prompts(source, config, malformed):
                num_prompts += 1
                tick()
                self._add(prompt, number, config)
            self.num_malformed[source.name] = malformed.reasons.total()
            self.num_rows[source.name] = num_prompts + malformed.reasons.total()
            self.malformed.reasons += malformed.reasons
            self.malformed.rows = [*self.malformed.rows, *malformed.rows][:_LISTED_ROWS]

    def _add(self, prompt: Prompt, number: int, config: SelectPrompts) -> None:
        split = config.sources[number].split
        assigned = split_of(prompt.turns, config.digest_split) if split == "by_digest" else split
        self.num_read[assigned] += 1
        if prompt.num_chars > config.max_chars:
            self.too_long["longer than max_chars"] += 1
        elif len(prompt.turns) > config.max_turns:
            self.too_long["more turns than max_turns"] += 1
        else:
            self.prompts.add(prompt, source=number, split=assigned)
            _check_workloads(self.prompts.workloads, config.sources[number])
