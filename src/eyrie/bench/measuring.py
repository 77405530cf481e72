"""Measuring every cell (workload, concurrency, arm, repeat) against running servers, one after the other.

In: the chosen prompts, a way to start the servers of some arms, a journal. Out: measurements and the arms' greedy
answers. What is finished is in the journal and is not measured again; servers start only for what is missing. All of
it was measured under the same conditions: what an earlier attempt measured on another machine is dropped.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from eyrie.bench.client import Load, LoadResult, RequestRecord, run_load
from eyrie.bench.gate import Gate, GateAnswer
from eyrie.bench.hardware import drop_what_differs
from eyrie.bench.metrics import Measurement, tpot_s
from eyrie.bench.sglang_client import run_sglang_client, save_tokenizer
from eyrie.bench.workloads import BenchPrompt
from eyrie.chat.template import ChatTemplate
from eyrie.engines.servers import ServerError, is_alive
from eyrie.engines.serving import RunningServer
from eyrie.io import progress
from eyrie.lineage.journal import Journal
from eyrie.params import Arm, Benchmark, Workload

logger = logging.getLogger(__name__)

Client = Literal["eyrie", "sglang"]
Serve = Callable[[Sequence[Arm]], AbstractContextManager[Mapping[Arm, RunningServer]]]

_REQUEST_TIMEOUT_S = 600.0
_TOKENS_OF_TWO_PIECES = 3  # the last may be the stop token, which is no text


@dataclass(frozen=True)
class Cell:
    workload: Workload
    concurrency: int
    repeat: int
    arm: Arm

    @property
    def key(self) -> str:
        return f"{self.workload}/{self.concurrency}/{self.repeat}/{self.arm}"


@dataclass
class Bench:
    """`measure` everything that the journal lacks; then read `measurements`, `answers`, `left_out` and `partly`.

    `groups` are the arms whose servers run at the same time, the baseline in the first. `conditions` is what speeds
    depend on besides the parameters. `folder` outlives a kill, as the journal does.
    """

    section: Benchmark
    model: str
    chat: ChatTemplate
    prompts: Mapping[Workload, Sequence[BenchPrompt]]
    context_length: int
    groups: Sequence[Sequence[Arm]]
    conditions: Mapping[str, str]
    client: Client
    serve: Serve
    journal: Journal
    folder: Path
    api_key: str | None = None

    def measure(self) -> None:
        """Raises ServerError when a server does not start, dies, or answers nothing that can be measured."""
        drop_what_differs(self.journal, self.conditions)
        self._raise_if_nothing_is_left()
        cells = [cell for arms in self.groups for cell in self._cells(arms)]
        missing = [cell for cell in cells if cell.key not in self.journal]
        if len(missing) < len(cells):
            logger.info("%d of %d cells were measured before", len(cells) - len(missing), len(cells))
        with progress(len(missing), desc="benchmark", unit="loads") as bar:
            for arms in self.groups:
                todo = [cell for cell in missing if cell.arm in arms]
                if not todo and all(_gate_key(arm) in self.journal for arm in arms):
                    continue
                with self.serve(arms) as servers:
                    for arm in arms:
                        self._answer(arm, servers[arm])
                    self._raise_if_nothing_is_left()
                    measurable = self._cells(arms)
                    for cell in todo:
                        if cell in measurable:
                            self._measure(cell, servers[cell.arm])
                        bar.update()

    @property
    def measurements(self) -> list[Measurement]:
        """All of them, in the order in which a run without a break takes them."""
        return [
            Measurement(
                cell.workload,
                cell.concurrency,
                cell.arm,
                cell.repeat,
                [RequestRecord(**record) for record in self.journal[cell.key]["records"]],
                self.journal[cell.key]["duration_s"],
            )
            for arms in self.groups
            for cell in self._cells(arms)
        ]

    def answers(self, arm: Arm) -> list[GateAnswer]:
        return [GateAnswer(**answer) for answer in self.journal[_gate_key(arm)]["answers"]]

    @property
    def left_out(self) -> dict[Workload, str]:
        """Why a workload has no cells: its answers are too short to be timed, or too few. Known once the baseline has
        answered."""
        enough, lowest = min(_TOKENS_OF_TWO_PIECES, self.section.output_tokens), min(self.section.concurrency)
        found: dict[Workload, str] = {}
        for workload, lengths in self._lengths().items():
            short = sum(length < enough for length in lengths)
            if 2 * short > len(lengths):
                found[workload] = (
                    f"{short} of {len(lengths)} answers have under {enough} tokens, the stop token among them: there "
                    "is no time per token to measure"
                )
            elif len(lengths) < lowest:
                found[workload] = _too_few(len(lengths), self.section.concurrency)
        return found

    @property
    def partly(self) -> dict[Workload, str]:
        """Why a workload has cells at the lower concurrencies only."""
        left_out, highest = self.left_out, max(self.section.concurrency)
        return {
            workload: _too_few(len(lengths), [level for level in self.section.concurrency if level > len(lengths)])
            for workload, lengths in self._lengths().items()
            if workload not in left_out and len(lengths) < highest
        }

    def _lengths(self) -> dict[Workload, list[int]]:
        """Tokens of the baseline's answers: as many as a load has requests. Empty until it has answered."""
        found: dict[Workload, list[int]] = {}
        for answer in self.answers("baseline") if _gate_key("baseline") in self.journal else ():
            found.setdefault(answer.workload, []).append(len(answer.output))
        return found

    def _raise_if_nothing_is_left(self) -> None:
        left_out = self.left_out
        if self.prompts.keys() <= left_out.keys():
            reasons = "; ".join(f"{workload}: {why}" for workload, why in left_out.items())
            raise ServerError(f"no workload can be measured: {reasons}")

    def _cells(self, arms: Sequence[Arm]) -> list[Cell]:
        """Who goes first alternates with every repeat, so that a machine that slows down does so for all. Fewer
        requests than the concurrency would be measured at another one than the cell says."""
        left_out, lengths = self.left_out, self._lengths()
        workloads = [workload for workload in self.prompts if workload not in left_out]
        order = product(workloads, self.section.concurrency, range(self.section.repeats))
        return [
            Cell(workload, concurrency, repeat, arm)
            for workload, concurrency, repeat in order
            if workload not in lengths or concurrency <= len(lengths[workload])
            for arm in (arms if repeat % 2 == 0 else arms[::-1])
        ]

    def _answer(self, arm: Arm, server: RunningServer) -> None:
        """Every arm's greedy answers to the fixed set. They warm the server up, too."""
        gate = Gate(
            server.base_url,
            self.chat,
            output_tokens=self.section.output_tokens,
            context_length=self.context_length,
            concurrency=max(self.section.concurrency),
            timeout_s=_REQUEST_TIMEOUT_S,
            api_key=self.api_key,
        )
        if _gate_key(arm) in self.journal:
            gate.replay(self.answers(arm)[:1])  # only to warm it up
            return
        try:
            answers = gate.play(self.prompts) if arm == "baseline" else gate.replay(self.answers("baseline"))
        except ServerError as error:
            _raise_if_dead(arm, server)
            raise ServerError(f"arm {arm}: {error}") from None
        self.journal.append(_gate_key(arm), {"answers": [asdict(answer) for answer in answers]})

    def _measure(self, cell: Cell, server: RunningServer) -> None:
        requests = [answer.messages for answer in self.answers("baseline") if answer.workload == cell.workload]
        load = Load(
            cell.concurrency,
            self.section.output_tokens,
            temperature=0.0,
            seed=self.section.seed,
            timeout_s=_REQUEST_TIMEOUT_S,
            template_settings=self.chat.settings,
        )
        if self.client == "sglang":
            result = run_sglang_client(
                server.base_url,
                self.model,
                requests,
                load,
                tokenizer=self._tokenizer(),
                folder=self.folder / "client",
                api_key=self.api_key,
            )
        else:
            result = asyncio.run(run_load(server.base_url, self.model, requests, load, api_key=self.api_key))
        _raise_if_useless(cell, server, result)
        part = {"records": [asdict(record) for record in result.records], "duration_s": result.duration_s}
        self.journal.append(cell.key, part)

    def _tokenizer(self) -> Path:
        folder = self.folder / "tokenizer"
        return folder if folder.is_dir() else save_tokenizer(self.chat.tokenizer, folder)


def _gate_key(arm: Arm) -> str:
    return f"answers/{arm}"


def _too_few(number: int, levels: Sequence[int]) -> str:
    return (
        f"not measured at concurrency {', '.join(map(str, levels))}: it has {number} request{'s' if number > 1 else ''}"
    )


def _raise_if_useless(cell: Cell, server: RunningServer, result: LoadResult) -> None:
    """A load during which the server died, or that gave nothing to measure, is no cell: kept in the journal, it would
    end every later attempt too."""
    where = f"{cell.workload}, concurrency {cell.concurrency}"
    _raise_if_dead(cell.arm, server, where=where)
    finished = [record for record in result.records if record.error is None]
    # a process that was not launched here cannot be looked at, and one that is ending closes its port first
    if len(finished) < len(result.records) and not is_alive(server.base_url):
        raise ServerError(
            f"arm {cell.arm}: its server does not answer any more: {len(result.records) - len(finished)} of "
            f"{len(result.records)} requests of {where} failed; finished cells are kept, run again to go on"
            + (f"; its log is {server.log}" if server.log else "")
        )
    if not finished:
        raise ServerError(
            f"arm {cell.arm}, {where}: none of {len(result.records)} requests finished; first error: "
            f"{next((record.error for record in result.records), 'none')}; finished cells are kept"
        )
    num_timed = sum(tpot_s(record) is not None for record in finished)
    if 2 * num_timed < len(finished):
        raise ServerError(
            f"arm {cell.arm}, {where}: {len(finished) - num_timed} of {len(finished)} answers came in one piece, so "
            f"that there is no time per token to measure; take {cell.workload} out of benchmark.workloads, or have the "
            "server stream smaller pieces; finished cells are kept"
        )


def _raise_if_dead(arm: Arm, server: RunningServer, *, where: str = "the fixed set of answers") -> None:
    status = None if server.process is None else server.process.poll()
    if status is not None:
        raise ServerError(
            f"arm {arm}: its server ended with status {status} during {where}; finished cells are kept, run again to "
            f"go on; its log is {server.log}"
        )
