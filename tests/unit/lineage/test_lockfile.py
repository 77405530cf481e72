"""Reading `dvc.lock`: what DVC would not read is damaged, wherever it was cut."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.serialize import dump_yaml, load_yaml

from eyrie.lineage.fingerprint import PACKAGE, code_of, dvc_params, local_files, parameters_of
from eyrie.lineage.jobs import job_of, run_job
from eyrie.lineage.layout import STAGES
from eyrie.lineage.lockfile import DVC_LOCK, LockFile, md5_of
from eyrie.params import Params
from tests.conftest import REPOSITORY, tiny_params

LOCK = """schema: '2.0'
stages:
  select_prompts:
    cmd: eyrie stage select_prompts
    deps:
    - path: src/eyrie/io.py
      hash: md5
      md5: abcdef0123456789abcdef0123456789
      size: 12
    params:
      params.yaml:
        select_prompts.seed: 7
    outs:
    - path: data/prompts/selected.parquet
      hash: md5
      md5: abcdef0123456789abcdef0123456789
      size: 34
"""


def test_a_lock_cut_anywhere_is_read_or_damaged_as_dvc_would_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvc.dvcfile import Lockfile
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    monkeypatch.chdir(tmp_path)
    with Repo.init(".", no_scm=True) as repo:
        for size in range(1, len(LOCK)):
            DVC_LOCK.write_text(LOCK[:size], encoding="utf-8")
            lock = LockFile()
            try:
                Lockfile(repo, str(DVC_LOCK)).load()
            except (DvcException, ValueError):
                assert lock.damaged, LOCK[:size]
            else:
                assert not lock.damaged, LOCK[:size]
            lock.params_of("select_prompts"), lock.outs_of("select_prompts"), lock.deps_of("select_prompts")


def test_bytes_that_are_no_text_are_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    DVC_LOCK.write_bytes(b"schema: '2.0'\nstages: {a\xff: 1}\n")
    assert LockFile().damaged


def test_numbers_are_read_as_dvc_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    DVC_LOCK.write_text(LOCK, encoding="utf-8")
    document = load_yaml(DVC_LOCK)
    document["stages"]["select_prompts"]["params"]["params.yaml"] = {"small": 0.00003, "large": 1e22}
    document["stages"]["filter_prompts"] = {"cmd": "eyrie stage filter_prompts"}
    dump_yaml(DVC_LOCK, document)
    LockFile().drop(["filter_prompts"])
    assert LockFile().params_of("select_prompts") == {"small": 0.00003, "large": 1e22}
    assert load_yaml(DVC_LOCK)["stages"]["select_prompts"]["params"]["params.yaml"] == {"small": 0.00003, "large": 1e22}


def test_a_folder_has_the_hash_that_dvc_gives_it_whatever_belongs_to_git_or_dvc_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvc.repo import Repo

    monkeypatch.chdir(tmp_path)
    content = ("config.json", ".gitignore", ".gitx", ".hgx/a", "part/weights", "part/.hg", "b/a", "b.a")
    no_content = (".git/index", ".hg/store", "part/.git", "deep/er/.git/HEAD", "inner/.dvc/config", "inner/data")
    for name in (*content, *no_content):
        path = Path("model") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    with Repo.init(".", no_scm=True) as repo:
        (stage,) = repo.add("model")
        (out,) = stage.outs
        assert sorted("/".join(key) for key, _, _ in out.obj) == sorted(content)
        assert md5_of(Path("model")) == out.hash_info.value


def _record(params: Params, stage_name: str, **changes: Any) -> None:
    """Write a `dvc.lock` that holds the stage as of now, with `changes` to its recorded parameters."""
    stage = STAGES[stage_name]
    deps = {f"src/eyrie/{path.relative_to(PACKAGE).as_posix()}": md5_of(path) for path in code_of(stage_name)}
    deps |= {name: md5_of(Path(name)) for name in local_files(params, stage)}
    record = {
        "cmd": "none",
        "deps": [{"path": path, "md5": md5} for path, md5 in deps.items()],
        "params": {"params.yaml": dvc_params(parameters_of(params, stage)) | changes},
    }
    dump_yaml(DVC_LOCK, {"schema": "2.0", "stages": {stage_name: record}})


def test_a_record_made_with_template_settings_that_render_otherwise_vouches_for_nothing(
    tiny_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources").symlink_to(REPOSITORY / "resources")
    target = {"model": str(tiny_target), "chat_template_settings": {"bos_token": True}}
    params = tiny_params(tiny_target, target=target)
    _record(params, "build_vocab")
    assert LockFile().vouches_for("build_vocab", params)
    for value in (1, 1.0):
        _record(params, "build_vocab", **{"target.chat_template_settings": {"bos_token": value}})
        assert not LockFile().vouches_for("build_vocab", params)


def test_a_record_is_false_whose_parameters_are_not_those_of_the_manifest_beside_the_output(
    tiny_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources").symlink_to(REPOSITORY / "resources")
    target = {"model": str(tiny_target), "chat_template_settings": {"bos_token": True}}
    params = tiny_params(tiny_target, target=target)
    job = job_of(params, "build_vocab", None)
    for path in job.inputs["responses"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def touch_all(outputs: dict[str, Path], _: Path) -> None:
        for path in outputs.values():
            path.touch()

    run_job(params, job, touch_all)
    section = dvc_params(parameters_of(params, STAGES["build_vocab"]))["build_vocab"]
    changes: list[tuple[bool, dict[str, Any]]] = [
        (False, {}),
        (True, {"build_vocab": section | {"draft_vocab_size": 64}}),
        (True, {"target.chat_template_settings": {"bos_token": 1}}),
    ]
    for is_false, change in changes:
        _record(params, "build_vocab", **change)
        assert LockFile().is_false("build_vocab", params) == is_false
    job.manifest.unlink()
    assert not LockFile().is_false("build_vocab", params)


def test_a_record_that_holds_a_number_as_params_yaml_spells_it_vouches_for_the_output(
    tiny_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources").symlink_to(REPOSITORY / "resources")
    params = tiny_params(tiny_target, train_head={"max_grad_norm": 1})
    section = dvc_params(parameters_of(params, STAGES["train_head"]))["train_head"]
    _record(params, "train_head", train_head=section | {"max_grad_norm": 1})
    assert LockFile().vouches_for("train_head", params)


def test_the_target_s_files_are_read_once_for_the_lock_and_again_when_they_change(
    copy_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources").symlink_to(REPOSITORY / "resources")
    params = tiny_params(copy_target)
    weights = copy_target / "model.safetensors"
    os.utime(weights, ns=(1, 1))  # a file of this second could change within a tick of the clock: not remembered
    _record(params, "build_vocab")
    read: list[str] = []
    file_digest = hashlib.file_digest

    def counted(handle: Any, kind: Any) -> Any:
        read.append(handle.name)
        return file_digest(handle, kind)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    for _ in range(3):
        assert LockFile().vouches_for("build_vocab", params)
    assert read.count(str(weights)) == 1
    assert LockFile(fresh=True).vouches_for("build_vocab", params)
    assert read.count(str(weights)) == 2
    weights.write_bytes(weights.read_bytes() + b"0")
    assert not LockFile().vouches_for("build_vocab", params)
