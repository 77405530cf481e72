"""Where DVC cannot work, what needs it says so in a sentence, and what does not goes on."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from eyrie.cli import app
from eyrie.lineage.cache import NoRepositoryError, dvc_repo, evict
from eyrie.lineage.overview import status
from eyrie.lineage.storage import set_remote
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


def test_without_git_snakemake_s_record_is_left_out_and_a_user_s_is_refused(
    unpacked: Path, tiny_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eyrie.cli.guard.hold_run_lock", lambda: None)  # it is held until the process ends
    params = tiny_params(tiny_target, build_vocab={"draft_vocab_size": 32})
    (unpacked / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")))
    assert CliRunner().invoke(app, ["record", "--quiet"]).exit_code == 0
    assert isinstance(CliRunner().invoke(app, ["record"]).exception, NoRepositoryError)


def test_without_git_there_is_no_cache_to_take_damage_out_of(unpacked: Path) -> None:
    (unpacked / "damaged").touch()
    evict([unpacked / "damaged"])
