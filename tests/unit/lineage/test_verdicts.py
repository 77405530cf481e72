"""Current, stale and why, damaged, missing: judged by content; times follow."""

import json
import os
import time
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from eyrie.lineage.digests import Digests
from eyrie.lineage.fingerprint import STAMPS, write_stamps
from eyrie.lineage.jobs import Job, job_of, run_job
from eyrie.lineage.lockfile import LockFile
from eyrie.lineage.settle import METADATA, STALE_NS, settle, stray_files
from eyrie.lineage.verdicts import Verdict, judge
from eyrie.params import Params
from tests.conftest import REPOSITORY, tiny_params


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources").symlink_to(REPOSITORY / "resources")


@pytest.fixture
def params(tiny_target: Path) -> Params:
    return tiny_params(tiny_target)


def _write_all(outputs: dict[str, Path], _: Path) -> None:
    for name, path in outputs.items():
        path.write_text(name)


@pytest.fixture
def job(params: Params) -> Job:
    """`build_vocab`, built from two made-up shards of responses."""
    made = job_of(params, "build_vocab", None)
    for path in made.inputs["responses"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"input {path.name}")
    run_job(params, made, _write_all)
    return made


def _judge(params: Params) -> Verdict:
    (verdict,) = judge(params, Digests(fresh=True), ["build_vocab"])["build_vocab"]
    return verdict


def test_a_fresh_build_is_current(params: Params, job: Job) -> None:
    assert (_judge(params).state, _judge(params).reasons) == ("current", ())


def test_a_changed_parameter_is_named_with_both_values(params: Params, job: Job, tiny_target: Path) -> None:
    before = params.build_vocab.draft_vocab_size
    verdict = _judge(tiny_params(tiny_target, build_vocab={"draft_vocab_size": 64}))
    assert verdict.state == "stale"
    assert verdict.reasons == (f"parameter build_vocab.draft_vocab_size: {before} -> 64",)


def test_a_parameter_that_the_report_only_shows_is_named_with_both_values(params: Params, tiny_target: Path) -> None:
    report = job_of(params, "report", None)
    for path in (path for paths in report.inputs.values() for path in paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("input")
    run_job(params, report, _write_all)
    rate = params.train_head.learning_rate
    other = tiny_params(tiny_target, train_head={"learning_rate": 0.5})
    for now, reasons in ((params, ()), (other, (f"parameter train_head.learning_rate: {rate} -> 0.5",))):
        assert judge(now, Digests(fresh=True), ["report"])["report"][0].reasons == reasons


@pytest.mark.parametrize(("before", "now"), [(1, True), (0, False), (1, 1.0), ([{"a": 0}], [{"a": False}])])
def test_template_settings_that_python_holds_for_equal_and_a_template_renders_otherwise_are_a_change(
    tiny_target: Path, before: object, now: object
) -> None:
    first, second = (
        tiny_params(tiny_target, target={"model": str(tiny_target), "chat_template_settings": {"bos_token": value}})
        for value in (before, now)
    )
    vocab = job_of(first, "build_vocab", None)
    for path in vocab.inputs["responses"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("input")
    run_job(first, vocab, _write_all)
    assert _judge(first).state == "current"
    assert _judge(second).state == "stale"
    assert _judge(second).reasons[0].startswith("parameter target.chat_template_settings.bos_token")


def test_changed_added_and_removed_inputs_are_named(params: Params, job: Job, tiny_target: Path) -> None:
    job.inputs["responses"][0].write_text("other")
    assert _judge(params).reasons == ("input data/responses/shard-0000.parquet changed",)
    fewer = tiny_params(tiny_target, generate_responses={"num_shards": 1})
    assert "input data/responses/shard-0001.parquet is no longer one" in _judge(fewer).reasons


def test_inputs_that_are_not_here_do_not_make_an_output_stale(params: Params, job: Job) -> None:
    for path in job.inputs["responses"]:
        path.unlink()
    assert (_judge(params).state, _judge(params).inputs_here) == ("current", False)


def test_damage_to_outputs_and_manifests_is_told_apart_from_absence(params: Params, job: Job) -> None:
    manifest = json.loads(job.manifest.read_text())
    job.manifest.write_text(json.dumps({**manifest, "inputs": {}}))
    assert _judge(params).reasons == (f"{job.manifest} was changed by hand",)
    job.manifest.write_text("{")
    assert "is damaged" in _judge(params).reasons[0]
    job.manifest.write_text(json.dumps(manifest))
    job.outputs["vocab"].write_text("flipped")
    assert _judge(params).reasons == (f"{job.outputs['vocab']} is not what its manifest says",)
    job.outputs["vocab"].unlink()
    assert _judge(params).state == "missing"


def test_settling_makes_current_outputs_newer_and_stale_ones_older_than_their_stamp(
    params: Params, job: Job, tiny_target: Path
) -> None:
    for path in (*job.outputs.values(), job.manifest):
        os.utime(path, (5, 5))
    write_stamps(params)
    assert not [sentence for sentence in settle(params, alone=True) if "vocab" in sentence]
    stamp = (STAMPS / "build_vocab.json").stat().st_mtime_ns
    assert all(path.stat().st_mtime_ns >= stamp for path in (*job.outputs.values(), job.manifest))
    settle(tiny_params(tiny_target, build_vocab={"draft_vocab_size": 64}), alone=True)
    assert job.manifest.stat().st_mtime_ns == STALE_NS


def test_a_damaged_output_is_named_made_again_and_asked_for_whatever_snakemake_remembers_of_it(
    params: Params, job: Job
) -> None:
    remembered = {path: METADATA / urlsafe_b64encode(str(path).encode()).decode() for path in job.outputs.values()}
    METADATA.mkdir(parents=True)
    for path in remembered.values():
        path.touch()
    write_stamps(params)
    assert not [sentence for sentence in settle(params, alone=True) if "vocab" in sentence]
    assert all(path.exists() for path in remembered.values())
    vocab = job.outputs["vocab"]
    vocab.write_text("flipped")
    sentence = f"{vocab} is not what its manifest says; it will be made again"
    assert sentence in settle(params, alone=True)
    assert job.manifest.stat().st_mtime_ns == STALE_NS
    assert not any(path.exists() for path in remembered.values())


@pytest.mark.parametrize("is_recorded", [True, False])
def test_what_follows_from_an_output_that_is_not_here_stays_current_only_if_a_record_vouches_for_it(
    params: Params, job: Job, monkeypatch: pytest.MonkeyPatch, is_recorded: bool
) -> None:
    training = job_of(params, "train_head", None)
    for path in training.inputs["features"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    run_job(params, training, _write_all)
    job.outputs["vocab"].unlink()
    write_stamps(params)
    monkeypatch.setattr(LockFile, "vouches_for", lambda self, stage, params: is_recorded or stage != "build_vocab")
    settle(params, alone=True)
    stamp = (STAMPS / "train_head.json").stat().st_mtime_ns
    if is_recorded:
        assert training.manifest.stat().st_mtime_ns >= stamp
    else:
        assert training.manifest.stat().st_mtime_ns == STALE_NS


def test_settling_brings_times_back_from_the_future(params: Params, job: Job) -> None:
    write_stamps(params)
    tomorrow = time.time() + 86_400
    for path in (*job.outputs.values(), job.manifest, STAMPS / "build_vocab.json"):
        os.utime(path, (tomorrow, tomorrow))
    settle(params, alone=True)
    assert all(path.stat().st_mtime < time.time() + 60 for path in job.outputs.values())


def test_files_of_no_shard_go_only_when_no_other_run_is_at_work(params: Params, job: Job) -> None:
    strays = [Path("data/responses/shard-0007.parquet"), Path("data/responses/.shard-0000.parquet.x.tmp")]
    for path in strays:
        path.touch()
    assert stray_files(params) == sorted(strays)
    write_stamps(params)
    settle(params, alone=False)
    assert all(path.exists() for path in strays)
    settle(params, alone=True)
    assert stray_files(params) == []


def test_a_damaged_input_stops_the_job_that_would_read_it(params: Params, job: Job) -> None:
    vocab = job.outputs["vocab"]
    training = job_of(params, "train_head", None)
    for path in training.inputs["features"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    vocab.write_text("flipped")
    with pytest.raises(ValueError, match=f"{vocab}: damaged: it is not what {job.manifest} says"):
        run_job(params, training, _write_all)
