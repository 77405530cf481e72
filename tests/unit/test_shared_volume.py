"""What jobs on other machines need: the project and its environment under a mount, at the same path."""

import subprocess
import sys
from pathlib import Path

import pytest
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import CommonSettings

from snakemake_executor_plugin_kubernetes_shared.volume import MissingExecutor, enter_project, with_shared_files


def test_a_job_begins_in_the_project_with_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "a project; with 'odd' names"
    project.mkdir()
    monkeypatch.chdir(project)
    words = enter_project([tmp_path, Path(sys.prefix)])
    script = f'{words} && pwd && command -v python && echo "$LD_LIBRARY_PATH"'
    done = subprocess.run(["/bin/sh", "-c", script], cwd="/", env={"PATH": "/bin"}, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        str(project),
        str(Path(sys.executable).parent / "python"),
        "/usr/local/nvidia/lib64",
    ]


def test_a_job_has_the_hubs_cache_and_token_of_the_volume_and_no_folder_that_it_would_not_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = 'echo "${HF_HOME-none}"'
    for folder, seen in ((str(tmp_path / "the hub"), str(tmp_path / "the hub")), ("/elsewhere/hub", "none")):
        monkeypatch.setenv("HF_HOME", folder)
        words = enter_project([tmp_path, Path(sys.prefix)])
        command = ["/bin/sh", "-c", f"{words} && {script}"]
        done = subprocess.run(command, env={"PATH": "/bin"}, capture_output=True, text=True)
        assert done.stdout.splitlines() == [seen]


def test_a_project_or_environment_that_jobs_would_not_see_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkflowError, match=f"the project {tmp_path} is on no volume .*/elsewhere"):
        enter_project([Path("/elsewhere"), Path(sys.prefix)])
    with pytest.raises(WorkflowError, match=r"the environment .* is on no volume"):
        enter_project([tmp_path])
    with pytest.raises(WorkflowError, match=r"\(none\)"):
        enter_project([])


def test_a_plug_in_is_told_that_files_are_shared_and_nothing_else_changes() -> None:
    declared = CommonSettings(non_local_exec=True, implies_no_shared_fs=True, job_deploy_sources=True)
    shared = with_shared_files(declared)
    assert not shared.implies_no_shared_fs
    assert not shared.job_deploy_sources
    assert not shared.auto_deploy_default_storage_provider
    assert shared.non_local_exec
    assert shared.pass_envvar_declarations_to_cmd == declared.pass_envvar_declarations_to_cmd


def test_without_its_plug_in_an_executor_says_so() -> None:
    with pytest.raises(WorkflowError, match="not installed"):
        MissingExecutor(None, None)
