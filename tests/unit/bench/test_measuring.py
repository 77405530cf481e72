"""What a benchmark keeps of an earlier attempt, and which answers it refuses to time. No server is asked."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eyrie.bench import measuring
from eyrie.bench.client import LoadResult, RequestRecord
from eyrie.bench.gate import GateAnswer
from eyrie.bench.measuring import Bench
from eyrie.bench.workloads import BenchPrompt
from eyrie.engines.launch import Server
from eyrie.engines.servers import ServerError
from eyrie.engines.target import load_chat
from eyrie.lineage.journal import Journal
from eyrie.params import Arm
from tests.conftest import tiny_params

HERE = {"device": "cpu: here", "torch": "2"}
RECORD = RequestRecord(input_tokens=5, output_tokens=9, ttft_s=0.1, latency_s=0.9, gaps_s=[0.1] * 8)


@pytest.fixture
def offline(tiny_target: Path, tmp_path: Path) -> Iterator[tuple[Bench, list[str]]]:
    """Two arms, one after the other, whose servers are never asked; and the arms that were started."""
    params = tiny_params(tiny_target, benchmark={"output_tokens": 8})
    started: list[str] = []

    @contextmanager
    def serve(arms: Sequence[Arm]) -> Iterator[Mapping[Arm, Server]]:
        started.extend(arms)
        yield {arm: Server("http://nowhere", None, None) for arm in arms}

    with Journal(tmp_path / "journal.jsonl") as journal:
        yield (
            Bench(
                section=params.benchmark.model_copy(update={"concurrency": [1], "repeats": 1}),
                model=params.target.model,
                chat=load_chat(params.target),
                prompts={"chat": [BenchPrompt("p", "", ("hi",))], "yes_no": [BenchPrompt("q", "", ("hi",))]},
                context_length=512,
                groups=[["baseline"], ["eagle3"]],
                conditions=HERE,
                client="eyrie",
                serve=serve,
                journal=journal,
                folder=tmp_path,
            ),
            started,
        )


def play(monkeypatch: pytest.MonkeyPatch, lengths: Mapping[str, int], record: RequestRecord) -> None:
    """Servers that give every workload answers of so many tokens, and every load `record`."""

    def answers(*_: Any) -> list[GateAnswer]:
        return [GateAnswer("p", name, 0, [], [7], [9] * length, None, []) for name, length in lengths.items()]

    async def load(*_: Any, **__: Any) -> LoadResult:
        return LoadResult([record], 1.0)

    monkeypatch.setattr(measuring.Gate, "play", answers)
    monkeypatch.setattr(measuring.Gate, "replay", answers)
    monkeypatch.setattr(measuring, "run_load", load)


@pytest.mark.parametrize("change", [{"device": "cuda: another"}, {"torch": "3"}, {"server of eagle3": "http://a"}])
def test_what_was_measured_under_other_conditions_is_measured_anew(
    offline: tuple[Bench, list[str]],
    change: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    here, started = offline
    play(monkeypatch, {"chat": 8, "yes_no": 8}, RECORD)
    replace(here, groups=[["baseline"]]).measure()  # killed before the other arm
    caplog.set_level(logging.WARNING)
    here.measure()
    assert started == ["baseline", "eagle3"]
    assert not caplog.records
    replace(here, conditions=HERE | change).measure()
    assert started == ["baseline", "eagle3"] * 2
    (name,) = change
    assert [record.getMessage() for record in caplog.records] == [
        "what was measured before is dropped, for it was measured with another "
        f"{name} ({HERE.get(name)}, now {change[name]})"
    ]


def test_a_workload_of_one_word_answers_is_left_out_and_the_others_are_measured(
    offline: tuple[Bench, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, started = offline
    play(monkeypatch, {"chat": 8, "yes_no": 2}, RECORD)
    bench.measure()
    why = "1 of 1 answers have under 3 tokens, the stop token among them: there is no time per token to measure"
    assert bench.left_out == {"yes_no": why}
    assert [item.workload for item in bench.measurements] == ["chat", "chat"]
    bench.measure()
    assert started == ["baseline", "eagle3"]
    alone = replace(bench, prompts={"yes_no": []})
    with pytest.raises(ServerError, match=f"no workload can be measured: yes_no: {why}"):
        alone.measure()


def test_a_workload_with_fewer_requests_than_a_concurrency_is_not_measured_there(
    offline: tuple[Bench, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, _ = offline
    play(monkeypatch, {"chat": 8, "yes_no": 8}, RECORD)  # a request each
    bench.section = bench.section.model_copy(update={"concurrency": [1, 2, 4]})
    bench.measure()
    assert {(item.workload, item.concurrency) for item in bench.measurements} == {("chat", 1), ("yes_no", 1)}
    why = "not measured at concurrency 2, 4: it has 1 request"
    assert (bench.left_out, bench.partly) == ({}, {"chat": why, "yes_no": why})
    bench.section = bench.section.model_copy(update={"concurrency": [2, 4]})
    with pytest.raises(ServerError, match=f"no workload can be measured: chat: {why}; yes_no: {why}"):
        bench.measure()


def test_answers_that_come_in_one_piece_are_an_error_and_no_cell(
    offline: tuple[Bench, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, _ = offline
    play(monkeypatch, {"chat": 8, "yes_no": 8}, RequestRecord(output_tokens=8, ttft_s=0.1, latency_s=0.1))
    with pytest.raises(ServerError, match="arm baseline, chat, concurrency 1: 1 of 1 answers came in one piece") as why:
        bench.measure()
    assert "take chat out of benchmark.workloads" in str(why.value)
    assert "chat/1/0/baseline" not in bench.journal
