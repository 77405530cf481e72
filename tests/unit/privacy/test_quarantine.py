import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from eyrie.privacy.quarantine import QuarantineError, check_quarantine, quarantine

ROW = {"prompt_id": "a", "turns": ["a value"]}


def test_the_file_is_private_even_while_it_is_written_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "folder/aside.jsonl"
    old = os.umask(0)
    try:
        with quarantine(path) as put_aside:
            put_aside(ROW, "SECRET")
            (partial,) = path.parent.iterdir()
            assert stat.S_IMODE(partial.stat().st_mode) == 0o600
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"reason": "SECRET", **ROW}


def test_an_older_file_that_others_could_read_is_replaced_by_a_private_one(tmp_path: Path) -> None:
    path = tmp_path / "aside.jsonl"
    path.write_text("old\n")
    path.chmod(0o644)
    with quarantine(path) as put_aside:
        put_aside(ROW, "SECRET")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "old" not in path.read_text()


def test_a_failure_leaves_the_old_file_and_no_part_of_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "aside.jsonl"
    path.write_text("old\n")

    def fail() -> None:
        with quarantine(path) as put_aside:
            put_aside(ROW, "SECRET")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert [item.read_text() for item in tmp_path.iterdir()] == ["old\n"]


def test_without_a_path_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with quarantine(None) as put_aside:
        put_aside(ROW, "SECRET")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["data/prompts/aside.jsonl", "reports/aside.jsonl", "models/x", "resources/x"])
def test_a_place_that_is_versioned_or_published_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QuarantineError, match=r"which is published or versioned"), quarantine(Path(name)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_git_would_add_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q", "."], check=True)
    Path(".gitignore").write_text(".eyrie/\nonly-this.jsonl\n")
    for name in ("aside.jsonl", "only-this.jsonl"):  # the second is ignored, its temporary neighbour is not
        with pytest.raises(QuarantineError, match="git does not ignore"), quarantine(Path(name)):
            pass
    with quarantine(Path(".eyrie/deep/aside.jsonl")) as put_aside:
        put_aside(ROW, "SECRET")
    status = subprocess.run(["git", "status", "--porcelain"], check=True, capture_output=True, text=True)
    assert status.stdout.split() == ["??", ".gitignore"]


def test_a_working_tree_that_git_refuses_to_read_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q", "."], check=True)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # "dubious ownership", as in another user's folder
    with pytest.raises(QuarantineError, match="git does not ignore"), quarantine(Path("aside.jsonl")):
        pass


@pytest.mark.parametrize("name", [".", "folder"])
def test_a_folder_is_refused_before_anything_is_screened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    with pytest.raises(QuarantineError, match=f"quarantine: {re.escape(name)} is a folder"):
        check_quarantine(Path(name))
