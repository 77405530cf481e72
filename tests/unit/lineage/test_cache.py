"""Where DVC cannot work, what needs it says so in a sentence, and what does not goes on."""

import errno
import hashlib
import json
import logging
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from dvc.exceptions import ReproductionError
from dvc.repo import Repo
from dvc.rwlock import rwlock
from dvc.stage import PipelineStage
from dvc.utils.serialize import dumps_yaml
from typer.testing import CliRunner

from eyrie.cli import app
from eyrie.lineage import cache, recording, storage
from eyrie.lineage.cache import NoRepositoryError, RemoteError, claimed_outputs, dvc_repo, evict
from eyrie.lineage.dvcfile import sync_dvc_yaml
from eyrie.lineage.guard import BusyError
from eyrie.lineage.layout import STAGES
from eyrie.lineage.lockfile import DVC_LOCK, LockFile
from eyrie.lineage.overview import status
from eyrie.lineage.recording import RecordError, ask_for_a_side, drop_forced_records
from eyrie.lineage.repro import repro
from eyrie.lineage.storage import pull, set_remote
from eyrie.params import Params
from tests.conftest import REPOSITORY, tiny_params

LOCK = """\
schema: '2.0'
stages:
  build_vocab:
    cmd: none
    outs:
    - path: data/vocab/vocab_map.safetensors
      md5: 0123456789abcdef0123456789abcdef
"""


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources").symlink_to(REPOSITORY / "resources")


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """A folder as it comes out of an archive of the repository: DVC's configuration and no git."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text((REPOSITORY / ".dvc/config").read_text())
    return tmp_path


def test_without_dvc_or_git_a_remote_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NoRepositoryError, match=r"^no DVC project here; `dvc init` makes one$"):
        set_remote("gs://bucket/path")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").touch()
    with pytest.raises(NoRepositoryError, match=r"^DVC needs a git repository, and there is none; `git init` makes"):
        set_remote("gs://bucket/path")


def test_a_damaged_configuration_of_dvc_is_one_sentence(unpacked: Path) -> None:
    (unpacked / ".dvc/config").write_text("[core\n")
    with (
        pytest.raises(NoRepositoryError, match=r"^DVC cannot open this folder: config file error") as caught,
        dvc_repo(),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_status_goes_on_without_git(unpacked: Path, tiny_target: Path) -> None:
    (unpacked / "dvc.lock").write_text(LOCK)
    notes = {stage.name: stage.notes for stage in status(tiny_params(tiny_target))}
    assert "DVC needs a git repository" in notes["build_vocab"][0]
    assert notes["train_head"] == ("never recorded in dvc.lock",)


def _with_records_and_a_remote_at(port: int, target: Path) -> Params:
    """A folder whose dvc.lock records two stages, of which nothing is here, and whose remote is at this port."""
    subprocess.run(["git", "init", "-q"], check=True)
    Repo.init().close()
    set_remote("gs://bucket/path")
    settings = {"endpointurl": f"http://127.0.0.1:{port}", "allow_anonymous_login": True}
    with dvc_repo() as repo, repo.config.edit("local") as config:
        config["remote"]["storage"] = settings
    params = tiny_params(target)
    sync_dvc_yaml(params)
    outs = {
        "filter_prompts": [{"path": STAGES["filter_prompts"].outputs["clean"], "md5": "0" * 32}],
        "train_head": [{"path": STAGES["train_head"].outputs["head"], "md5": "1" * 32}],
    }
    lock = {"schema": "2.0", "stages": {stage: {"cmd": "none", "outs": out} for stage, out in outs.items()}}
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    return params


def test_a_pull_from_a_remote_that_does_not_answer_ends_in_one_sentence_before_dvc_tries_for_minutes(
    tiny_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    monkeypatch.setattr(cache, "ASK_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        params = _with_records_and_a_remote_at(silent.getsockname()[1], tiny_target)
        started = time.monotonic()
        with pytest.raises(RemoteError, match=r"^the remote could not be asked \(no answer within 1 s\)$"):
            pull(params, [])
        assert time.monotonic() - started < 20
    cached = Path(".dvc/cache/files/md5/11") / ("1" * 30)
    cached.parent.mkdir(parents=True)
    cached.write_text("a head")
    asked: list[str] = []
    monkeypatch.setattr(storage, "is_in_remote", lambda repo, md5: asked.append(md5))
    monkeypatch.setattr(storage, "_fetch", lambda *_: None)
    pull(params, ["train_head"])
    assert not asked  # what DVC's cache holds needs no remote
    pull(params, [])
    assert asked == ["0" * 32]


def test_a_remote_that_cannot_be_asked_is_asked_once_and_said_without_a_traceback(
    tiny_target: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(403)

        def log_message(self, *_: object) -> None: ...

    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    server = HTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    params = _with_records_and_a_remote_at(server.server_port, tiny_target)
    outs = ("filter_prompts", "train_head")
    with caplog.at_level(logging.ERROR):
        notes = {stage.name: stage.notes[0] for stage in status(params)}
    server.shutdown()
    assert {name for name, note in notes.items() if "the remote could not be asked" in note} == {*outs}
    assert asked
    assert not [path for path in asked if "1" * 30 in path]
    assert not [record for record in caplog.records if record.exc_info]
    Path("dvc.yaml").write_text("<<<<<<< HEAD\n{")
    notes = {stage.name: stage.notes[0] for stage in status(params)}
    assert "dvc.yaml' validation failed" in notes["train_head"]


def test_a_merge_s_conflict_in_the_lock_is_said_and_never_costs_what_only_the_lock_knew_of(
    unpacked: Path, tiny_target: Path
) -> None:
    params = tiny_params(tiny_target)
    (unpacked / "dvc.lock").write_text(f"<<<<<<< HEAD\n{LOCK}=======\n>>>>>>> theirs\n")
    notes = {stage.name: stage.notes[0] for stage in status(params)}
    assert all("dvc.lock cannot be read (a merge, perhaps)" in note for note in notes.values())
    with pytest.raises(RecordError, match=r"a merge's conflict, and what filter_prompts, .* made is not here"):
        repro(params, [], unpacked / "params.yaml", say=print)
    assert (unpacked / "dvc.lock").exists()
    assert not Path(".eyrie/stamps").exists()
    for outcome in ("=======", LOCK):  # damage of another kind, and none
        (unpacked / "dvc.lock").write_text(outcome)
        ask_for_a_side(params)


def test_a_damaged_object_goes_though_the_output_is_a_copy_of_it_and_a_whole_one_of_its_size_stays(
    tmp_path: Path,
) -> None:
    Repo.init(no_scm=True).close()
    content = b'[{"md5": "0", "relpath": "a"}]'
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    objects = Path(".dvc/cache/files/md5")
    damaged, whole = objects / "00" / ("0" * 30), objects / md5[:2] / f"{md5[2:]}.dir"
    for item in (damaged, whole):
        item.parent.mkdir(parents=True, exist_ok=True)  # DVC makes them all now and then
        item.write_bytes(content)
    output = tmp_path / "output"
    output.write_bytes(content[::-1])
    evict([output])
    assert (damaged.exists(), whole.exists()) == (False, True)


def test_a_folder_is_said_to_be_in_the_cache_when_all_its_files_are(tiny_target: Path) -> None:
    Repo.init(no_scm=True).close()
    params = tiny_params(tiny_target)
    sync_dvc_yaml(params)
    content = {"0" * 32: "weights", "1" * 30 + ".dir": json.dumps([{"md5": "0" * 32, "relpath": "model.safetensors"}])}
    for md5, text in content.items():
        item = Path(".dvc/cache/files/md5") / md5[:2] / md5[2:]
        item.parent.mkdir(parents=True, exist_ok=True)
        item.write_text(text)
    outs = [{"path": STAGES["train_head"].outputs["head"], "md5": "1" * 30 + ".dir"}]
    lock = {"schema": "2.0", "stages": {"train_head": {"cmd": "none", "outs": outs}}}
    DVC_LOCK.write_text(yaml.safe_dump(lock))

    def where() -> str:
        return next(stage.notes[0] for stage in status(params) if stage.name == "train_head")

    assert "in DVC's cache: eyrie pull train_head" in where()
    Path(".dvc/cache/files/md5/00", "0" * 30).unlink()
    assert "no remote is set" in where()
    Path(".dvc/cache/files/md5/11", "1" * 28 + ".dir").write_text("[{")
    assert "no remote is set" in where()


def test_a_dvc_at_work_in_the_folder_is_one_sentence_for_whoever_would_record(tiny_target: Path) -> None:
    Repo.init(no_scm=True).close()
    params = tiny_params(tiny_target)
    sync_dvc_yaml(params)
    for output in STAGES["build_vocab"].outputs.values():  # without a manifest: damaged
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        Path(output).touch()
    Path("dvc.lock").write_text(LOCK)
    with dvc_repo() as other, other.lock, pytest.raises(BusyError, match=r"^DVC could not record: Unable to acquire"):
        drop_forced_records(params)


def test_while_a_run_has_claimed_the_outputs_dvc_stops_before_it_touches_one_and_the_other_way_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("eyrie.lineage.cache.BUSY_WAIT_S", 0.0)
    Repo.init(no_scm=True).close()
    Path("data").mkdir()
    Path("data/a").write_text("a")
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"a": {"cmd": "echo b > data/a", "outs": ["data/a"]}}}))
    with dvc_repo() as repo:
        with claimed_outputs(), pytest.raises(ReproductionError) as failed:
            repo.reproduce()
        assert "data/a' is busy, it is being blocked by" in str(failed.value.__cause__)
        assert Path("data/a").read_text() == "a"
        with (
            rwlock(repo.tmp_dir, repo.fs, "dvc repro", [], [str(Path("data/a").absolute())], hardlink=False),
            pytest.raises(BusyError, match=r"^a command of DVC is at work in this folder"),
            claimed_outputs(),
        ):
            pass
        repo.reproduce()
    assert Path("data/a").read_text() == "b\n"


def test_stages_committed_before_a_disk_was_full_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    Repo.init(no_scm=True).close()
    stages = {name: {"cmd": f"make {name}", "outs": [name]} for name in "abc"}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    for name in stages:
        Path(name).write_text(name)
    commit = PipelineStage.commit

    def commit_but_b(stage: PipelineStage, *arguments: object, **settings: object) -> None:
        if stage.name == "b":
            raise OSError(errno.ENOSPC, "No space left on device")
        commit(stage, *arguments, **settings)

    with monkeypatch.context() as patched:
        patched.setattr(PipelineStage, "commit", commit_but_b)
        with pytest.raises(OSError, match="No space left"):
            recording._commit([*stages])
    assert set(yaml.safe_load(Path("dvc.lock").read_text())["stages"]) == {"a"}
    assert recording._commit([*stages]) == ["b", "c"]
    assert recording._commit([*stages]) == []


def test_a_lock_whose_records_were_dropped_and_made_again_is_the_same_to_the_byte() -> None:
    Repo.init(no_scm=True).close()
    names = [*STAGES]
    numbers = {"learning_rate": 5e-05, "few": 1e22, "time": "12:30", "answer": "yes", "none": None, "text": "é " * 60}
    Path("params.yaml").write_text(dumps_yaml(dict.fromkeys(names, numbers)))
    stages = {name: {"cmd": f"make {name}", "params": [name], "outs": [f"{name}.out"]} for name in names}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    for name in names:
        Path(f"{name}.out").write_text(name)
    recording._commit(names)
    before = DVC_LOCK.read_bytes()
    LockFile().drop(names[1:4])
    recording._commit(names)
    assert [*LockFile().stages] == [names[0], *names[4:], *names[1:4]]
    LockFile().put_in_order()
    assert DVC_LOCK.read_bytes() == before
    LockFile().drop([])
    assert DVC_LOCK.read_bytes() == before
    written = DVC_LOCK.stat()
    LockFile().put_in_order()
    assert (DVC_LOCK.stat().st_ino, DVC_LOCK.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_without_git_a_run_by_dvc_and_a_user_s_record_are_refused_and_snakemake_s_record_is_left_out(
    unpacked: Path, tiny_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eyrie.cli.guard.hold_run_lock", lambda: None)  # it is held until the process ends
    params = tiny_params(tiny_target, build_vocab={"draft_vocab_size": 32})
    (unpacked / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")))
    assert CliRunner().invoke(app, ["record", "--quiet"]).exit_code == 0
    assert isinstance(CliRunner().invoke(app, ["record"]).exception, NoRepositoryError)
    assert isinstance(CliRunner().invoke(app, ["run"]).exception, NoRepositoryError)


def test_without_git_there_is_no_cache_to_take_damage_out_of(unpacked: Path) -> None:
    (unpacked / "damaged").touch()
    evict([unpacked / "damaged"])
