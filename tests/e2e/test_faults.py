"""Whatever breaks, the next run repairs: kills, full disks, damaged and deleted files, wrong clocks, two runs at once.

A choice of the faults; `python -m tests.e2e.faults --kills N --seed S` kills for as long as one likes.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from eyrie.lineage.guard import RUN_LOCK
from eyrie.lineage.jobs import manifest_path
from eyrie.lineage.layout import STAGES
from tests.e2e.faults import DOORS, Campaign, check_end_state, start_door
from tests.workflow.conftest import change_params, run_in
from tests.workflow.light import change_code, digests_of, make_light_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
OUTPUTS = sorted(
    {
        path.format(shard=0)
        for stage in STAGES.values()
        for path in (*stage.outputs.values(), *stage.gather_outputs.values())
    }
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_target: Path) -> Path:
    """A project whose pipeline ran to its end."""
    project = make_light_project(tmp_path_factory.mktemp("faults") / "project", tiny_target)
    _run(project, "snakemake", "--cores", "2")
    return project


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A private copy, times and hard links kept."""
    assert run_in(finished, "cp", "-a", str(finished), str(tmp_path / "project")).returncode == 0
    return tmp_path / "project"


def _run(project: Path, *command: str) -> str:
    done = run_in(project, *command)
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-4000:]
    return printed


def _flip(path: Path) -> None:
    """Change one bit in the middle, in place: every hard link of the file changes with it."""
    path = _file_of(path)
    path.chmod(0o644)
    with path.open("r+b") as handle:
        handle.seek(path.stat().st_size // 2)
        byte = handle.read(1)
        handle.seek(-1, os.SEEK_CUR)
        handle.write(bytes([byte[0] ^ 1]))


def _file_of(path: Path) -> Path:
    """The path, or the first file in it that is not empty."""
    if path.is_dir():
        return next(item for item in sorted(path.rglob("*")) if item.is_file() and item.stat().st_size)
    return path


def _truncate(path: Path) -> None:
    path = _file_of(path)
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size // 2)


def test_random_kills_lose_nothing(project: Path) -> None:
    Campaign(project, seed=int(time.time())).run(2)


@pytest.mark.parametrize(
    ("harm", "door"),
    [(_flip, ("eyrie", "run")), (_truncate, ("snakemake", "--cores", "2"))],
    ids=["a flipped bit - eyrie run", "truncated - snakemake"],
)
def test_damage_to_every_output_is_found_and_repaired(
    project: Path, harm: Callable[[Path], None], door: tuple[str, ...]
) -> None:
    for path in OUTPUTS:
        harm(project / path)
    found = run_in(project, "eyrie", "status").stdout
    assert [path for path in OUTPUTS if f"{path} is not what its manifest says" not in found] == []
    _run(project, *door)
    check_end_state(project)


def test_truncated_and_deleted_manifests_records_and_memories_are_made_again(project: Path) -> None:
    _truncate(manifest_path(project / STAGES["filter_prompts"].outputs["clean"]))
    manifest_path(project / STAGES["extract_features"].outputs["features"].format(shard=1)).unlink()
    manifest_path(project / STAGES["train_head"].outputs["head"]).write_text("[]", encoding="utf-8")
    for memory in (".eyrie/digests.json", ".eyrie/stamps/report.json"):
        _truncate(project / memory)
    (project / ".eyrie/timings.json").write_text("[]", encoding="utf-8")
    lock = project / "dvc.lock"
    size = lock.read_text(encoding="utf-8").rindex("size: ") + len("size:")
    os.truncate(lock, size)  # still YAML, and nothing that DVC would read
    printed = _run(project, "eyrie", "run")
    assert "dvc.lock cannot be read: kept as dvc.lock.damaged" in printed
    check_end_state(project)


def test_a_run_killed_while_it_records_is_recorded_by_the_next_which_has_nothing_to_do(project: Path) -> None:
    (project / ".eyrie/unrecorded").touch()
    (project / "dvc.lock").unlink()
    (project / ".dvc/tmp/rwlock").write_text('{"write": {"', encoding="utf-8")  # DVC killed while it wrote this
    assert "Nothing to be done" in _run(project, "snakemake", "--cores", "2")
    check_end_state(project)
    assert not (project / ".eyrie/unrecorded").exists()


def test_what_a_killed_dvc_did_not_record_is_recorded_by_the_other_door(project: Path) -> None:
    change_params(project, "benchmark", seed=11)
    _run(project, "eyrie", "sync")
    for stage in ("benchmark", "report"):  # what `dvc repro` runs; it dies before it writes dvc.lock
        command = ["snakemake", "--profile", "workflow/profiles/default", "--allowed-rules", stage, "--", stage]
        assert run_in(project, *command, DVC_STAGE=stage).returncode == 0
    _run(project, "snakemake", "--cores", "2")
    check_end_state(project)


def test_outputs_lost_together_with_their_record_are_not_taken_for_the_same(project: Path) -> None:
    change_params(project, "select_prompts", seed=9)
    path = project / "dvc.lock"
    lock = yaml.safe_load(path.read_text(encoding="utf-8"))
    del lock["stages"]["select_prompts"]  # as `eyrie run` does with a record that became false
    path.write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")
    selected = project / STAGES["select_prompts"].outputs["selected"]
    for lost in (selected, manifest_path(selected)):  # as Snakemake does before it runs a job
        lost.unlink()
    _run(project, "snakemake", "--cores", "2")
    check_end_state(project)


def test_an_edited_or_forced_dvc_lock_does_not_pass_for_the_truth(project: Path) -> None:
    change_code(project, "extract_features", "b")
    _run(project, "dvc", "commit", "--force", "extract_features")
    path = project / "dvc.lock"
    lock = yaml.safe_load(path.read_text(encoding="utf-8"))
    lock["stages"]["train_head"]["params"]["params.yaml"]["train_head"]["learning_rate"] = 0.001
    lock["stages"]["build_vocab"]["outs"][0]["md5"] = "0" * 32
    path.write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")
    change_params(project, "train_head", learning_rate=0.001)
    printed = _run(project, "eyrie", "run")
    assert "extract_features: extract_features-0000 built" in printed
    assert "train_head: train_head built" in printed
    check_end_state(project)


def test_a_clock_moved_back_stops_nothing(project: Path) -> None:
    tomorrow = time.time() + 86_400
    for top in ("data", "models", "reports", ".eyrie/stamps"):
        for path in (project / top).rglob("*"):
            os.utime(path, (tomorrow, tomorrow))
    assert "Nothing to be done" in _run(project, "snakemake", "--cores", "2")
    change_params(project, "generate_responses", seed=9)
    _run(project, "snakemake", "--cores", "2")
    check_end_state(project)


def test_a_plan_beside_a_run_says_so(project: Path) -> None:
    """Snakemake's own error, when an output goes while it plans, tells of that file alone."""
    with FileLock(project / RUN_LOCK):
        beside = run_in(project, "snakemake", "--cores", "2", "-n")
    alone = run_in(project, "snakemake", "--cores", "2", "-n")
    said = "another run, eyrie record or pull is at work in this folder"
    assert (beside.returncode, said in beside.stderr) == (0, True)
    assert (alone.returncode, said in alone.stderr) == (0, False)


def test_two_runs_at_once_end_in_one_truth(project: Path, tmp_path: Path) -> None:
    change_params(project, "filter_prompts", seed=9)
    doors = ("eyrie run", "snakemake", "eyrie run")
    runs = [start_door(project, door, tmp_path / f"{number}.log") for number, door in enumerate(doors)]
    codes = [run.wait(timeout=300) for run in runs]
    printed = [(tmp_path / f"{number}.log").read_text() for number in range(len(doors))]
    assert 0 in codes, printed
    busy = "another run, eyrie record or pull is at work in this folder"
    assert all(busy in text for code, text in zip(codes, printed, strict=True) if code), printed
    check_end_state(project)


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        ("eyrie run", "snakemake", "is at work in this folder; wait for it or stop it"),
        ("dvc repro", "snakemake", "is at work in this folder; wait for it or stop it"),
        ("snakemake", "eyrie run", "is at work in this folder; wait for it or stop it"),
        ("snakemake", "dvc repro", "is busy, it is being blocked by"),
    ],
)
def test_of_two_doors_the_second_is_refused_in_a_sentence_and_disturbs_nothing(
    project: Path, tmp_path: Path, first: str, second: str, sentence: str
) -> None:
    begun, go = project / "begun", project / "go"
    wait = 'Path("begun").touch()\n    while not Path("go").exists():\n        time.sleep(0.1)'
    module = project / "src/eyrie/stages/train_head.py"
    module.write_text(module.read_text(encoding="utf-8").replace("time.sleep(SECONDS)", wait), encoding="utf-8")
    _run(project, "eyrie", "sync")
    log = tmp_path / "first.log"
    running = start_door(project, first, log)
    try:
        while not begun.exists():
            assert running.poll() is None, log.read_text()
            time.sleep(0.1)
        done = run_in(project, *DOORS[second], timeout=120)
    finally:
        go.touch()
    assert running.wait(timeout=300) == 0, log.read_text()
    assert done.returncode != 0
    assert sentence in done.stdout + done.stderr
    check_end_state(project)


def test_parameters_changed_while_running_end_in_a_true_state(project: Path, tmp_path: Path) -> None:
    change_params(project, "select_prompts", seed=8)
    run = start_door(project, "eyrie run", tmp_path / "log")
    time.sleep(8)
    change_params(project, "select_prompts", seed=9)
    change_params(project, "train_head", seed=9)
    run.wait(timeout=300)
    _run(project, "eyrie", "run")
    check_end_state(project)


@contextmanager
def _mounted(folder: Path, *options: str) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_in_a_sentence_and_is_forgotten_once_there_is_room(
    finished: Path, tmp_path: Path, tiny_target: Path
) -> None:
    with _mounted(tmp_path / "disk", "-o", "size=64m") as disk:
        project = disk / "project"
        assert run_in(finished, "cp", "-a", str(finished), str(project)).returncode == 0
        change_params(project, "generate_responses", seed=9)
        room = shutil.disk_usage(disk).free
        (disk / "ballast").write_bytes(b"\0" * max(room - 300_000, 0))
        done = run_in(project, "snakemake", "--cores", "2")
        printed = done.stdout + done.stderr
        assert done.returncode != 0
        assert "No space left on device" in printed
        assert not [*project.rglob("*.partial")]
        (disk / "ballast").unlink()
        _run(project, "eyrie", "run")
        check_end_state(project)


def test_an_output_folder_or_a_cache_that_cannot_be_written_is_named(project: Path) -> None:
    change_params(project, "build_vocab", draft_vocab_size=100)
    before = digests_of(project)
    vocab = project / "data/vocab"
    shutil.move(vocab, vocab.with_name("kept"))
    with _mounted(vocab, "-o", "ro"):
        done = run_in(project, "snakemake", "--cores", "2", "build_vocab")
        assert done.returncode != 0
        assert "Read-only file system" in done.stdout + done.stderr
        assert "data/vocab" in done.stdout + done.stderr
    vocab.rmdir()
    shutil.move(vocab.with_name("kept"), vocab)
    assert digests_of(project).keys() == before.keys()
    change_params(project, "train_head", seed=9)
    with _mounted(project / ".dvc/cache", "-o", "ro"):
        done = run_in(project, "eyrie", "run", "build_vocab", "train_head")
        printed = done.stdout + done.stderr
        assert done.returncode != 0
        assert "Read-only file system" in printed
        assert "edited" not in printed  # as if parameters had been changed meanwhile
    _run(project, "eyrie", "run")
    check_end_state(project)
