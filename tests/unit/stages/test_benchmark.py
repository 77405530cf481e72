"""benchmark on a tiny target with real servers."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from eyrie.bench import measuring
from eyrie.bench.arms import server_threads
from eyrie.bench.client import LoadResult, RequestRecord
from eyrie.bench.gate import GateAnswer
from eyrie.bench.hardware import conditions, describe_device
from eyrie.bench.measuring import Bench
from eyrie.bench.workloads import BenchPrompt
from eyrie.eagle3.checkpoint import save_head
from eyrie.engines.launch import Server
from eyrie.engines.servers import ServerError
from eyrie.engines.target import load_chat, load_target, resolve_device
from eyrie.io import read_json, read_jsonl
from eyrie.lineage.journal import Journal
from eyrie.params import Arm, Params, load_params
from eyrie.schemas import BenchmarkCell, BenchmarkMetrics
from eyrie.stages import benchmark
from eyrie.tables import PROMPTS, check_prompt_row, write_table
from tests.conftest import tiny_params
from tests.unit.bench.conftest import server  # noqa: F401 - a fixture
from tests.unit.engines.reference.conftest import random_head
from tests.unit.stages.test_evaluate_head import prompt_row

SMALL: dict[str, Any] = {
    "workloads": ["chat", "multi_turn", "long_context"],
    "concurrency": [1, 2],
    "num_prompts": 2,
    "output_tokens": 8,
    "num_steps": 2,
    "topk": 1,
    "num_draft_tokens": 3,
    "repeats": 2,
}
HERE = {"device": "cpu: here", "torch": "2"}
RECORD = RequestRecord(input_tokens=5, output_tokens=9, ttft_s=0.1, latency_s=0.9, gaps_s=[0.1] * 8)
STAGE = """
import sys
from pathlib import Path
from eyrie.params import load_params
from eyrie.stages import benchmark
folder = Path(sys.argv[1])
benchmark.run(
    load_params(folder / "params.yaml"),
    head=folder / "head",
    clean=folder / "clean.parquet",
    cells=folder / "cells.jsonl",
    metrics=folder / "metrics.json",
    scratch=folder / "scratch",
)
"""


@pytest.fixture
def folder(tiny_target: Path, tmp_path: Path) -> Path:
    """A head, prompts (one workload too long for the target), parameters and an empty scratch folder."""
    params = tiny_params(tiny_target, benchmark=SMALL)
    target = load_target(params.target)
    save_head(random_head(target, draft_vocab_size=100, seed=1), tmp_path / "head", model_card="A head for tests.\n")
    rows = [prompt_row(number, "chat", "benchmark", [f"the user asks {number}"]) for number in range(3)]
    rows += [prompt_row(9, "multi_turn", "benchmark", ["the user", "and the assistant"])]
    rows += [prompt_row(10, "long_context", "benchmark", ["user " * 600]) | {"source": "eyrie-stand-in"}]
    write_table(tmp_path / "clean.parquet", rows, PROMPTS, check_prompt_row)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")))
    (tmp_path / "scratch").mkdir()
    return tmp_path


def keys(folder: Path) -> list[str]:
    """What the journal holds."""
    path = folder / "scratch/journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line)["key"] for line in lines if line.endswith(b"\n")]


def servers_of(folder: Path) -> list[str]:
    """Command lines of running servers that serve the folder's head, or whose log is there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command, output = (entry / "cmdline").read_text(), str((entry / "fd/1").readlink())
            except OSError:
                continue
            if "eyrie.engines.reference" in command and str(folder) in command + output:
                found.append(command.replace("\0", " "))
    return found


@pytest.mark.timeout(240)
def test_killed_at_any_moment_it_leaves_no_server_and_measures_nothing_twice(folder: Path) -> None:
    total = 1 + 2 + 2 * 2 * 2 * 2  # the conditions, both arms' answers, and the cells
    kept: list[str] = []
    for enough in (0, 8):  # while the servers start, and in the middle
        process = subprocess.Popen([sys.executable, "-c", STAGE, str(folder)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not (len(keys(folder)) >= enough and len(servers_of(folder)) == 2):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        while servers_of(folder):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        kept = keys(folder)
    assert 8 <= len(kept) < total
    before = (folder / "scratch/journal.jsonl").read_bytes()
    files = {name: folder / f"{name}.json" for name in ("cells", "metrics")}
    params = load_params(folder / "params.yaml")
    benchmark.run(params, head=folder / "head", clean=folder / "clean.parquet", **files, scratch=folder / "scratch")
    after = (folder / "scratch/journal.jsonl").read_bytes()
    assert after.startswith(before[: before.rindex(b"\n") + 1])
    assert len(keys(folder)) == len(set(keys(folder))) == total
    assert not servers_of(folder)
    check_documents(folder)


def check_documents(folder: Path) -> None:
    """Both arms were measured on the same requests, alternating, and what was left out is named."""
    cells = read_jsonl(folder / "cells.json", BenchmarkCell)
    metrics = read_json(folder / "metrics.json", BenchmarkMetrics)
    assert len(cells) == 2 * 2 * 2 * 2
    assert metrics.num_errors == sum(cell.num_errors for cell in cells) == 0
    ordered = sorted(cells, key=lambda cell: (cell.workload, cell.concurrency, cell.repeat))
    tokens = {
        arm: [(cell.input_tokens, cell.output_tokens) for cell in ordered if cell.arm == arm]
        for arm in ("baseline", "eagle3")
    }
    assert tokens["baseline"] == tokens["eagle3"]
    assert [cell.num_requests for cell in ordered] == [2] * 16  # two chats of a turn, one of two turns
    assert [cell.arm for cell in cells[:4]] == ["baseline", "eagle3", "eagle3", "baseline"]
    assert all((cell.acceptance_length is None) == (cell.arm == "baseline") for cell in cells)
    assert [(item.workload, item.concurrency) for item in metrics.comparisons] == [
        (workload, concurrency) for workload in ("chat", "multi_turn", "all") for concurrency in (1, 2)
    ]
    check = metrics.answers["eagle3"]
    assert (check.num_answers, check.num_identical, check.mismatches) == (4, 4, [])
    under_load = {arm: check.num_answers for arm, check in metrics.load_answers.items()}
    assert under_load == {"eagle3": 2 * 2 * 2 * 2, "baseline": 2 * 2 * 2}  # its first repeat is what it is held against
    assert metrics.num_prompts == {"chat": 2, "multi_turn": 1}
    assert "tokens with their answers; the context holds 512" in metrics.left_out["long_context"]
    assert metrics.stand_ins == []


def bench(
    params: Params, journal: Journal, folder: Path, running: Server, process: "subprocess.Popen[bytes] | None"
) -> Bench:
    """One arm on a server that runs, and that is taken for `process`."""

    @contextmanager
    def serve(arms: Sequence[Arm]) -> Iterator[Mapping[Arm, Server]]:
        yield {arm: Server(running.base_url, process, running.log) for arm in arms}

    return Bench(
        section=params.benchmark.model_copy(update={"arms": ["baseline"], "concurrency": [1], "repeats": 1}),
        model=params.target.model,
        chat=load_chat(params.target),
        prompts={"chat": [BenchPrompt("p", "", ("the user asks",))]},
        context_length=512,
        groups=[["baseline"]],
        conditions=HERE,
        client="eyrie",
        serve=serve,
        journal=journal,
        folder=folder,
    )


def test_a_server_that_dies_under_load_is_one_sentence_and_no_cell(
    tiny_target: Path,
    tmp_path: Path,
    server: Server,  # noqa: F811 - the fixture
) -> None:
    params = tiny_params(tiny_target, benchmark=SMALL)
    dead = subprocess.Popen(["false"])
    dead.wait()
    with Journal(tmp_path / "journal.jsonl") as journal:
        with pytest.raises(ServerError) as caught:
            bench(params, journal, tmp_path, server, dead).measure()
        assert str(caught.value).startswith("arm baseline: its server ended with status 1 during chat, concurrency 1;")
        assert "run again to go on" in str(caught.value)
        assert "chat/1/0/baseline" not in journal


def test_a_load_that_a_server_left_is_no_cell_though_it_was_not_launched_here(
    tiny_target: Path,
    tmp_path: Path,
    server: Server,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def half(*_: Any, **__: Any) -> LoadResult:
        return LoadResult([RECORD, RequestRecord(error="ClientConnectorError: refused")], 1.0)

    monkeypatch.setattr(measuring, "run_load", half)
    params = tiny_params(tiny_target, benchmark=SMALL)
    gone = Server("http://127.0.0.1:9", None, None)
    with Journal(tmp_path / "journal.jsonl") as journal:
        measured = bench(params, journal, tmp_path, server, None)
        monkeypatch.setattr(measured, "serve", lambda _arms: nullcontext({"baseline": gone}))
        monkeypatch.setattr(measuring.Gate, "play", lambda *_: [GateAnswer("p", "chat", 0, [], [7], [9] * 8, None, [])])
        with pytest.raises(ServerError) as caught:
            measured.measure()
        assert "chat/1/0/baseline" not in journal
        monkeypatch.setattr(measured, "serve", lambda _arms: nullcontext({"baseline": server}))
        monkeypatch.setattr(measuring.Gate, "replay", lambda *_: [])
        measured.measure()  # it is there, and refused one request
        assert "chat/1/0/baseline" in journal
    says = "arm baseline: its server does not answer any more: 1 of 2 requests of chat, concurrency 1 failed; finished"
    assert str(caught.value).startswith(says)


def test_requests_that_are_all_refused_end_it_with_the_servers_reason(
    tiny_target: Path,
    tmp_path: Path,
    server: Server,  # noqa: F811 - the fixture
) -> None:
    params = tiny_params(tiny_target, benchmark=SMALL)
    answer = GateAnswer("p", "chat", 0, [], [7, 8], [9] * 8, None, [])  # without a message, which the server refuses
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append("conditions", HERE)
        journal.append("answers/baseline", {"answers": [asdict(answer)]})
        with pytest.raises(ServerError) as caught:
            bench(params, journal, tmp_path, server, server.process).measure()
        assert "chat/1/0/baseline" not in journal
    assert str(caught.value).startswith("arm baseline, chat, concurrency 1: none of 1 requests finished")
    assert "HTTP 400" in str(caught.value)


def test_a_server_named_for_no_arm_is_refused_before_anything_is_measured(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EYRIE_NAMED_SERVERS", "baseline=http://127.0.0.1:1,eagle=http://127.0.0.1:2")
    says = "^EYRIE_NAMED_SERVERS names a server for eagle; the arms of benchmark.arms are baseline, eagle3$"
    with pytest.raises(ServerError, match=says):
        run_finished(folder, failed=[])


def test_servers_that_were_named_are_not_said_to_be_on_this_machine(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_finished(folder, failed=[]).named_servers == []
    (folder / "scratch/journal.jsonl").unlink()
    monkeypatch.setenv("EYRIE_NAMED_SERVERS", "eagle3=http://10.0.0.1:30000")
    assert run_finished(folder, failed=[]).named_servers == ["eagle3"]


def run_finished(folder: Path, *, failed: Sequence[tuple[int, Arm]]) -> BenchmarkMetrics:
    """The stage on a journal that holds everything: in the loads named by concurrency and arm a request failed."""
    params = load_params(folder / "params.yaml")
    section = params.benchmark.model_copy(update={"workloads": ["chat", "long_context"]})
    params = params.model_copy(update={"benchmark": section})
    device = describe_device(resolve_device(params.target.device), num_threads=server_threads())
    answers = [GateAnswer("p", "chat", 0, [], [7], [9] * 8, None, [])] * 2
    with Journal(folder / "scratch/journal.jsonl") as journal:
        journal.append("conditions", conditions(device, section.arms))
        for arm in section.arms:
            journal.append(f"answers/{arm}", {"answers": [asdict(answer) for answer in answers]})
        for level, repeat, arm in product(section.concurrency, range(section.repeats), section.arms):
            second = RequestRecord(error="HTTP 400") if (level, arm) in failed else RECORD
            part = {"records": [asdict(RECORD), asdict(second)], "duration_s": 1.0}
            journal.append(f"chat/{level}/{repeat}/{arm}", part)
    files = {name: folder / f"{name}.json" for name in ("cells", "metrics")}
    benchmark.run(params, head=folder / "head", clean=folder / "clean.parquet", **files, scratch=folder / "scratch")
    return read_json(files["metrics"], BenchmarkMetrics)


def test_a_load_that_one_arm_did_not_finish_is_counted_and_named_and_gets_no_speed_up(folder: Path) -> None:
    found = run_finished(folder, failed=[(2, "eagle3")])
    assert found.num_errors == 2
    assert [(item.workload, item.concurrency) for item in found.comparisons] == [("chat", 1), ("all", 1)]
    assert {figure.concurrency for figure in found.figures} == {1}
    assert found.left_out["chat"] == (
        "no speed-up at concurrency 2, for not all arms finished the same requests; failed: baseline 0, eagle3 2"
    )
    assert "long_context" in found.left_out
    assert len(read_jsonl(folder / "cells.json", BenchmarkCell)) == 8


def test_without_any_load_to_compare_it_says_why_and_what_to_remove(folder: Path) -> None:
    with pytest.raises(
        ValueError, match=r"no load can be compared: chat: no speed-up at concurrency 1, for .*; no "
    ) as why:
        run_finished(folder, failed=[(1, "eagle3"), (2, "baseline")])
    assert str(why.value).endswith(f"to measure anew, remove {folder / 'scratch/journal.jsonl'}")
