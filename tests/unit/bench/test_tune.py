"""`eyrie tune` on a tiny target with real servers."""

from pathlib import Path
from typing import Any

import pytest

from eyrie.bench import tune
from eyrie.bench.shapes import offline_acceptance
from eyrie.bench.workloads import BenchPrompt, Choice
from eyrie.eagle3.checkpoint import save_head
from eyrie.engines.servers import ServerError
from eyrie.engines.serving import RunningServer
from eyrie.engines.target import load_target
from eyrie.io import read_json
from eyrie.lineage.journal import Journal
from eyrie.params import Drafting, Params
from eyrie.serving_plan import ServingPlan, TunedShape
from eyrie.tables import PROMPTS, check_prompt_row, write_table
from tests.conftest import tiny_params
from tests.unit.engines.reference.conftest import random_head
from tests.unit.stages.test_evaluate_head import prompt_row


@pytest.mark.timeout(300)
def test_the_plan_holds_a_band_for_every_concurrency_and_a_killed_tuner_goes_on_from_its_last_load(
    tiny_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = tiny_params(
        tiny_target,
        benchmark={"workloads": ["chat"], "output_tokens": 8},
        evaluate_head={"num_processes": 2},  # which hold the target while its drafts are recorded
        tune={
            "num_steps": [2, 3],
            "topk": [1, 2],
            "num_draft_tokens": [4],
            "concurrency": [1, 3],
            "heldout_prompts": 3,
            "max_new_tokens": 12,
            "shortlist": 1,
            "num_prompts": 3,
            "rounds": 1,
        },
    )
    head, clean, plan = tmp_path / "head", tmp_path / "clean.parquet", tmp_path / "serving.json"
    made = random_head(load_target(params.target), draft_vocab_size=100, seed=1)
    save_head(made, head, model_card="A head for tests.\n")
    rows = [prompt_row(number, "chat", "benchmark", [f"the user asks {number}"]) for number in range(3)]
    rows += [prompt_row(number + 10, "chat", "heldout", [f"the user and {number}"]) for number in range(4)]
    write_table(clean, rows, PROMPTS, check_prompt_row)
    few = params.model_copy(update={"tune": params.tune.model_copy(update={"num_prompts": 2})})
    with pytest.raises(ValueError, match=r"^tune\.concurrency: 3 is over the 2 requests of the first round"):
        tune.run(few, head=head, clean=clean, plan=plan, folder=tmp_path / "servers")
    loads: list[tuple[Drafting | None, int]] = []
    measure = tune._measure

    def interrupted(given: Params, server: RunningServer, shape: Drafting | None, *rest: Any) -> TunedShape:
        loads.append((shape, rest[1]))
        if len(loads) == 3:
            raise KeyboardInterrupt
        return measure(given, server, shape, *rest)

    monkeypatch.setattr(tune, "_measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune.run(params, head=head, clean=clean, plan=plan, folder=tmp_path / "servers")
    with monkeypatch.context() as again:
        again.delattr(tune, "offline_acceptance")  # what was worked out is in the journal
        found = tune.run(params, head=head, clean=clean, plan=plan, folder=tmp_path / "servers")
    assert loads == [(None, 1), (None, 3), (loads[2][0], 1), (loads[2][0], 1), (loads[2][0], 3)]
    assert (tmp_path / "servers/journal.jsonl").read_bytes() == b""  # the next run measures anew
    assert read_json(plan, ServingPlan) == found
    assert len(found.offline) == len(params.tune.shapes) == 4
    alone = tiny_params(tiny_target, tune=params.tune.model_dump())
    whole = offline_acceptance(alone, head=head, clean=clean, folder=tmp_path)
    assert sorted(whole, key=lambda item: -item.acceptance_length) == found.offline
    lengths = [item.acceptance_length for item in found.offline]
    assert lengths == sorted(lengths, reverse=True)
    assert min(lengths) >= 1.0
    assert [band.measured_at for band in found.bands] == [1, 3]
    assert [(item.concurrency, item.drafting is None) for item in found.measured] == [
        (1, True),
        (3, True),
        (1, False),
        (3, False),
    ]
    assert all(item.num_errors == 0 and item.num_requests == 3 for item in found.measured)
    fastest = max(
        (item for item in found.measured if item.concurrency == 1), key=lambda item: item.output_throughput_tok_s
    )
    assert found.band_for(1).drafting == fastest.drafting
    assert isinstance(found.measured[2].drafting, Drafting)


def test_named_servers_are_refused_for_each_shape_needs_one_of_its_own(
    tiny_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EYRIE_NAMED_SERVERS", "baseline=http://127.0.0.1:1")
    paths = {name: tmp_path / name for name in ("head", "clean", "plan", "folder")}
    with pytest.raises(ServerError, match=r"^EYRIE_NAMED_SERVERS is set, and eyrie tune starts a server of its own"):
        tune.run(tiny_params(tiny_target), **paths)


@pytest.mark.timeout(300)
def test_a_shape_that_cannot_be_served_is_out_and_the_others_are_measured(
    tiny_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = tiny_params(
        tiny_target,
        benchmark={"workloads": ["chat"], "output_tokens": 8},
        tune={"concurrency": [1], "num_prompts": 1, "rounds": 1},
    )
    save_head(
        random_head(load_target(params.target), draft_vocab_size=100, seed=1), tmp_path / "head", model_card="A head.\n"
    )
    small, large = (Drafting(num_steps=steps, topk=1, num_draft_tokens=steps + 1) for steps in (2, 3))
    serve_arms = tune.serve_arms

    def with_memory_for_the_small_one(*given: Any, **named: Any) -> Any:
        if large in given[2].values():
            raise ServerError("out of memory: lower num_draft_tokens")
        return serve_arms(*given, **named)

    monkeypatch.setattr(tune, "serve_arms", with_memory_for_the_small_one)
    choice = Choice(prompts={"chat": [BenchPrompt("p", "", ("the user asks",))]}, longest=40)
    with Journal(tmp_path / "journal.jsonl") as journal:
        tuning = tune._Tuning(params, tmp_path / "head", choice, tmp_path, journal)
        measured = tune._halve(tuning, [large, small])
        assert [item.drafting for item in measured] == [None, small]
        with pytest.raises(ServerError, match=r"^out of memory"):
            tune._halve(tuning, [large])
