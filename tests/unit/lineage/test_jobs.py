"""A job's outputs are current, restored or built; never half-written, never false."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from eyrie.lineage.jobs import SCRATCH, Job, job_of, keep_build, manifest_path, run_job
from eyrie.lineage.layout import STAGES
from tests.conftest import REPOSITORY, tiny_params


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources").symlink_to(REPOSITORY / "resources")


class Work:
    """A stage body that writes what it is told and counts its calls."""

    def __init__(self, text: str = "made") -> None:
        self.text = text
        self.calls = 0

    def __call__(self, outputs: dict[str, Path], scratch: Path) -> None:
        self.calls += 1
        outputs["vocab"].write_text(self.text)
        outputs["metrics"].write_text(self.text + " metrics")


@pytest.fixture
def params(tiny_target: Path):  # type: ignore[no-untyped-def]
    return tiny_params(tiny_target)


@pytest.fixture
def job(params) -> Job:  # type: ignore[no-untyped-def]
    made = job_of(params, "build_vocab", None)
    for path in made.inputs["responses"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"input {path.name}")
    return made


def test_a_build_publishes_outputs_and_a_manifest_with_their_digests(params, job: Job) -> None:  # type: ignore[no-untyped-def]
    assert run_job(params, job, Work()) == "built"
    assert job.outputs["vocab"].read_text() == "made"
    manifest = json.loads(manifest_path(job.outputs["vocab"]).read_text())
    assert set(manifest["outputs"]) == {str(path) for path in job.outputs.values()}
    assert set(manifest["inputs"]) == {str(path) for path in job.inputs["responses"]}
    assert manifest["made_by"]["params"] == {"draft_vocab_size": params.build_vocab.draft_vocab_size}


def test_a_current_output_is_not_built_again_but_becomes_newer_than_its_inputs(params, job: Job) -> None:  # type: ignore[no-untyped-def]
    work = Work()
    run_job(params, job, work)
    os.utime(job.outputs["vocab"], (1, 1))
    assert run_job(params, job, work) == "current"
    assert work.calls == 1
    assert job.outputs["vocab"].stat().st_mtime > 1


def test_deleted_outputs_come_back_without_work(params, job: Job) -> None:  # type: ignore[no-untyped-def]
    work = Work()
    run_job(params, job, work)
    for path in [*job.outputs.values(), job.manifest]:
        path.unlink()
    assert run_job(params, job, work) == "restored"
    assert work.calls == 1
    assert job.outputs["metrics"].read_text() == "made metrics"


def test_changed_input_changed_parameter_and_damaged_output_are_built_again(
    params, job: Job, tiny_target: Path
) -> None:  # type: ignore[no-untyped-def]
    run_job(params, job, Work("first"))
    job.inputs["responses"][0].write_text("other input")
    assert run_job(params, job, Work("second")) == "built"
    other = tiny_params(tiny_target, build_vocab={"draft_vocab_size": 64})
    assert run_job(other, job, Work("third")) == "built"
    job.outputs["vocab"].unlink()
    job.outputs["vocab"].write_text("edited by hand")
    assert run_job(other, job, Work("third")) == "restored"
    assert job.outputs["vocab"].read_text() == "third"


def test_going_back_to_earlier_parameters_restores_the_earlier_output(params, job: Job, tiny_target: Path) -> None:  # type: ignore[no-untyped-def]
    run_job(params, job, Work("first"))
    run_job(tiny_params(tiny_target, build_vocab={"draft_vocab_size": 64}), job, Work("second"))
    assert run_job(params, job, Work("never")) == "restored"
    assert job.outputs["vocab"].read_text() == "first"


def test_a_damaged_earlier_build_is_not_restored(params, job: Job) -> None:  # type: ignore[no-untyped-def]
    run_job(params, job, Work("first"))
    job.outputs["vocab"].write_text("a write through the link")  # same inode as the kept build
    assert run_job(params, job, Work("second")) == "built"
    assert job.outputs["vocab"].read_text() == "second"


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failing_stage_leaves_the_old_outputs_and_nothing_half_written(  # type: ignore[no-untyped-def]
    params, job: Job, tiny_target: Path, failure: type[BaseException]
) -> None:
    run_job(params, job, Work("old"))

    def fail(outputs: dict[str, Path], scratch: Path) -> None:
        outputs["vocab"].write_text("half")
        raise failure

    with pytest.raises(failure):
        run_job(tiny_params(tiny_target, build_vocab={"draft_vocab_size": 64}), job, fail)
    assert job.outputs["vocab"].read_text() == "old"
    assert not [*Path(".eyrie/scratch").rglob("*.partial")]


def test_what_a_kill_left_of_a_manifest_goes_with_the_next_one(params, job: Job) -> None:  # type: ignore[no-untyped-def]
    killed = (
        "import os\nfrom pathlib import Path\nfrom eyrie.io import atomic_path\nwith atomic_path(Path(%r)): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed % str(job.manifest)], check=False)
    assert [*job.manifest.parent.glob(".*.tmp")]
    run_job(params, job, Work("whole"))
    assert not [*job.manifest.parent.glob(".*.tmp")]


def test_a_folder_output_is_replaced_whole(params, tiny_target: Path) -> None:  # type: ignore[no-untyped-def]
    job = Job(STAGES["build_vocab"], "folder", None, {}, {"head": Path("models/head")})

    def write(name: str):  # type: ignore[no-untyped-def]
        def body(outputs: dict[str, Path], scratch: Path) -> None:
            outputs["head"].mkdir()
            (outputs["head"] / name).write_text(name)

        return body

    run_job(params, job, write("one"))
    run_job(tiny_params(tiny_target, build_vocab={"draft_vocab_size": 64}), job, write("two"))
    assert [path.name for path in Path("models/head").iterdir()] == ["two"]


def test_a_missing_input_is_named(params, job: Job) -> None:  # type: ignore[no-untyped-def]
    job.inputs["responses"][1].unlink()
    with pytest.raises(FileNotFoundError, match=r"shard-0001\.parquet: no such file; run the stage that makes it"):
        run_job(params, job, Work())


@pytest.mark.parametrize(("stage", "shard"), [("train_head", 0), ("extract_features", 2), ("extract_features", -1)])
def test_a_shard_out_of_range_is_refused(params, stage: str, shard: int) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=f"{stage}: shard {shard} is out of range"):
        job_of(params, stage, shard)


def test_the_manifest_of_the_same_content_has_the_same_bytes(params, job: Job) -> None:  # type: ignore[no-untyped-def]
    run_job(params, job, Work())
    first = job.manifest.read_bytes()
    for path in Path(".eyrie").rglob("*"):
        if path.is_file():
            path.unlink()
    for path in [*job.outputs.values(), job.manifest]:
        path.unlink()
    assert run_job(params, job, Work()) == "built"
    assert job.manifest.read_bytes() == first


def test_a_failed_job_finds_its_finished_parts_again_and_a_whole_one_drops_them(params, job: Job) -> None:  # type: ignore[no-untyped-def]
    def fail(outputs: dict[str, Path], scratch: Path) -> None:
        scratch.mkdir()
        (scratch / "part").write_text("done")
        raise ValueError("killed")

    with pytest.raises(ValueError, match="killed"):
        run_job(params, job, fail)
    kept = []

    def go_on(outputs: dict[str, Path], scratch: Path) -> None:
        kept.append(scratch)
        assert (scratch / "part").read_text() == "done"
        Work()(outputs, scratch)

    assert run_job(params, job, go_on) == "built"
    assert not kept[0].exists()


def test_a_full_disk_is_named(params, job: Job) -> None:  # type: ignore[no-untyped-def]
    def body(outputs: dict[str, Path], scratch: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.eyrie/scratch/build_vocab'"):
        run_job(params, job, body)


@pytest.mark.timeout(60)
def test_a_current_output_is_kept_again_but_nobody_waits_for_a_run_that_builds_the_job(params, job: Job) -> None:  # type: ignore[no-untyped-def]
    work = Work()
    run_job(params, job, work)
    shutil.rmtree(SCRATCH)
    (SCRATCH / job.name).mkdir(parents=True)
    with FileLock(SCRATCH / job.name / "lock"):
        keep_build(job)
        assert not [path for path in (SCRATCH / job.name).iterdir() if path.is_dir()]
    keep_build(job)
    for path in [*job.outputs.values(), job.manifest]:
        path.unlink()
    assert run_job(params, job, work) == "restored"
    assert work.calls == 1
