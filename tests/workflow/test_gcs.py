"""The real `dvc push`, `dvc pull` and `eyrie pull` over HTTP against an emulator of Google Cloud Storage."""

import hashlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from eyrie.lineage.layout import SELECTED, STAGES
from tests.workflow.conftest import environment_of, run_in
from tests.workflow.gcs import BUCKET, Storage, storage
from tests.workflow.light import digests_of, make_light_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FEATURES = next(iter(STAGES["extract_features"].outputs.values()))
LARGE_BYTES = 200_000_000
NUM_SMALL = 400


@pytest.fixture(autouse=True)
def _json_api_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator has no gRPC control service, of which gcsfs would ask the kind of the bucket."""
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")


def _connect(project: Path, remote: Storage) -> None:
    for words in (("endpointurl", remote.url), ("allow_anonymous_login", "true")):
        done = run_in(project, "dvc", "remote", "modify", "-q", "--local", "storage", *words)
        assert done.returncode == 0, done.stderr


def _clone(project: Path, folder: Path, remote: Storage) -> Path:
    assert run_in(project, "git", "clone", "-q", str(project), str(folder)).returncode == 0
    _connect(folder, remote)
    return folder


def _commit(project: Path) -> None:
    for command in (("add", "-A"), ("-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-qm", "all")):
        assert run_in(project, "git", *command).returncode == 0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_target: Path) -> Path:
    """A finished light project whose remote is a bucket."""
    project = make_light_project(tmp_path_factory.mktemp("gcs") / "project", tiny_target)
    done = run_in(project, "eyrie", "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert run_in(project, "eyrie", "remote", f"gs://{BUCKET}/eyrie").returncode == 0
    _commit(project)
    return project


def test_a_push_and_a_pull_bring_everything_but_unscreened_prompts_and_one_shard_can_be_had_alone(
    project: Path, tmp_path: Path
) -> None:
    with storage(tmp_path / "objects") as remote:
        _connect(project, remote)
        pushed = run_in(project, "dvc", "push")
        assert pushed.returncode == 0, pushed.stderr
        clone = _clone(project, tmp_path / "clone", remote)
        assert "pullable from the remote: eyrie pull extract_features" in run_in(clone, "eyrie", "status").stdout
        one = run_in(clone, "eyrie", "pull", "extract_features", "--shard", "1")
        assert one.returncode == 0, one.stderr
        assert (clone / FEATURES.format(shard=1)).is_file()
        assert not (clone / FEATURES.format(shard=0)).exists()
        everything = run_in(clone, "eyrie", "pull")
        assert everything.returncode == 0, everything.stderr
        unscreened = hashlib.md5((project / SELECTED).read_bytes()).hexdigest()
        assert list(remote.objects.rglob("*"))
        assert not list(remote.objects.rglob(unscreened[2:]))
    expected = digests_of(project)
    expected.pop(SELECTED)
    assert digests_of(clone) == expected
    assert "up to date" in run_in(clone, "dvc", "status").stdout
    planned = run_in(clone, "snakemake", "--cores", "1", "-n")
    assert "Nothing to be done" in planned.stdout + planned.stderr


def test_a_damaged_object_is_named_on_pull_and_never_used_and_one_damaged_here_comes_again(
    project: Path, tmp_path: Path
) -> None:
    with storage(tmp_path / "objects") as remote:
        _connect(project, remote)
        assert run_in(project, "dvc", "push").returncode == 0
        victim = project / FEATURES.format(shard=0)
        md5 = hashlib.md5(victim.read_bytes()).hexdigest()
        (stored,) = [path for path in remote.objects.rglob(md5[2:]) if path.is_file()]
        whole = stored.read_bytes()
        content = bytearray(whole)
        content[len(content) // 2] ^= 1
        stored.write_bytes(bytes(content))
        clone = _clone(project, tmp_path / "clone", remote)
        first = run_in(clone, "eyrie", "pull", "extract_features")
        assert first.returncode == 1, first.stdout + first.stderr
        assert FEATURES.format(shard=0) in first.stderr
        assert not (clone / FEATURES.format(shard=0)).exists()
        cached = clone / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}"
        assert not cached.exists()
        stored.write_bytes(whole)
        (clone / "dvc.yaml").write_text("<<<<<<< HEAD\n{", encoding="utf-8")  # as a merge leaves it
        assert run_in(clone, "eyrie", "pull", "extract_features").returncode == 0
        cached.chmod(0o644)
        cached.write_bytes(bytes(content))  # and with it the output, a hard link
        cached.chmod(0o444)
        again = run_in(clone, "eyrie", "pull", "extract_features")
        assert again.returncode == 0, again.stderr
        assert (clone / FEATURES.format(shard=0)).read_bytes() == whole == cached.read_bytes()


def test_an_upload_cut_in_the_middle_leaves_nothing_false_and_the_next_push_goes_on(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for command in (("git", "init", "-q"), ("dvc", "init", "-q"), ("dvc", "config", "core.analytics", "false")):
        assert run_in(project, *command).returncode == 0
    (project / "small").mkdir()
    for number in range(NUM_SMALL):
        (project / f"small/{number:04d}.bin").write_bytes(os.urandom(100 + number) + b"\r")
    with (project / "large.bin").open("wb") as large:
        for _ in range(LARGE_BYTES // 1_000_000):
            large.write(os.urandom(1_000_000))
    assert run_in(project, "dvc", "add", "-q", "small", "large.bin").returncode == 0
    run_in(project, "dvc", "remote", "add", "-q", "-d", "storage", f"gs://{BUCKET}/eyrie")
    with storage(tmp_path / "objects", hold=True) as remote:
        _connect(project, remote)
        push = subprocess.Popen(["dvc", "push", "-q", "large.bin"], cwd=project, env=environment_of(project))
        _wait_for(remote.held)
        push.send_signal(signal.SIGKILL)
        push.wait()
        remote.release.touch()
        with (project / "large.bin").open("rb") as large_file:
            md5 = hashlib.file_digest(large_file, "md5").hexdigest()
        assert not [path for path in remote.objects.rglob(md5[2:]) if path.stat().st_size]
        pushed = run_in(project, "dvc", "push", "-q", "-j", "16")
        assert pushed.returncode == 0, pushed.stderr
        before = {path: hashlib.sha256(path.read_bytes()).digest() for path in (project / "small").iterdir()}
        large_before = hashlib.sha256((project / "large.bin").read_bytes()).digest()
        for path in (project / ".dvc/cache", project / "small", project / "large.bin"):
            assert run_in(project, "rm", "-rf", str(path)).returncode == 0
        pulled = run_in(project, "dvc", "pull", "-q", "-j", "16")
        assert pulled.returncode == 0, pulled.stderr
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in (project / "small").iterdir()} == before
    assert hashlib.sha256((project / "large.bin").read_bytes()).digest() == large_before


def test_what_was_never_recorded_and_what_is_no_bucket_are_named(project: Path, tmp_path: Path) -> None:
    wrong = run_in(project, "eyrie", "remote", "s3://bucket/path")
    assert (wrong.returncode, wrong.stderr.strip()) == (1, "eyrie remote: s3://bucket/path: expected gs://bucket/path")
    unknown = run_in(project, "eyrie", "pull", "features")
    assert unknown.returncode == 1
    assert "features: no such stage" in unknown.stderr
    shard = run_in(project, "eyrie", "pull", "extract_features", "--shard", "9")
    assert "extract_features: shard 9 is out of range (0..1)" in shard.stderr


def test_terabytes_are_not_stored_twice(project: Path) -> None:
    output = project / FEATURES.format(shard=0)
    md5 = hashlib.md5(output.read_bytes()).hexdigest()
    assert output.samefile(project / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}")


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)
