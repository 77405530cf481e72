"""Reading `dvc.lock`: what DVC would not read is damaged, wherever it was cut."""

from pathlib import Path

import pytest

from eyrie.lineage.lockfile import DVC_LOCK, LockFile, md5_of

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
    from dvc.utils.serialize import dump_yaml, load_yaml

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
