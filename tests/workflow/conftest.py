"""A private copy of the project around the tiny target, to be run through both doors."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY, raw_params
from tests.services import plugins

COMMAND_FOLDER = Path(sys.executable).parent
Run = Callable[..., subprocess.CompletedProcess[str]]
PlugIns = Callable[[Path, str], dict[str, str]]


def tiny_raw_params(target: Path) -> dict[str, Any]:
    """Parameters that take the whole pipeline through in about a minute on the tiny target."""
    raw = raw_params()
    raw["target"]["model"] = str(target)
    raw["select_prompts"]["max_prompts"] = 60
    raw["select_prompts"]["max_chars"] = 600
    raw["generate_responses"] |= {"max_prompt_tokens": 400, "concurrency": 16}
    raw["generate_responses"]["sampling"]["default"]["max_new_tokens"] = 16
    raw["build_vocab"]["draft_vocab_size"] = 128
    raw["train_head"] |= {
        "warmup_steps": 2,
        "max_steps": 6,
        "eval_every": 3,
        "batch_tokens": 1024,
        "intermediate_size": 64,
        "ttt_steps": 3,
    }
    raw["evaluate_head"] |= {"max_prompts": 4, "max_new_tokens": 8}
    raw["benchmark"] |= {"workloads": ["chat"], "concurrency": [1], "num_prompts": 1, "output_tokens": 8, "repeats": 1}
    return raw


def make_project(folder: Path, target: Path, *, with_dvc: bool = False) -> Path:
    """Lay out a project in `folder`: workflow, code and resources copied, parameters for the tiny target."""
    folder.mkdir(parents=True)
    shutil.copy(REPOSITORY / "Snakefile", folder)
    for name in ("workflow", "resources", "src"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "demo-target"))
    shutil.copytree(target, folder / "target")
    write_params(folder, tiny_raw_params(Path("target")))
    if with_dvc:
        for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
            assert run_in(folder, *command).returncode == 0
        for name in (".dvc/config", ".dvcignore", ".gitignore"):
            shutil.copy(REPOSITORY / name, folder / name)
    return folder


def write_params(project: Path, raw: dict[str, Any]) -> None:
    (project / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")


def change_params(project: Path, section: str, **changes: Any) -> None:
    """Edit one section of the project's params.yaml."""
    raw = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    raw[section] |= changes
    write_params(project, raw)


def environment_of(project: Path) -> dict[str, str]:
    """Variables for the project's commands: its own copy of the code runs, and bytecode is kept (see the Makefile)."""
    path = f"{COMMAND_FOLDER}{os.pathsep}{os.environ['PATH']}"
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {
        **inherited,
        "PATH": path,
        "PYTHONPATH": str(project / "src"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }


def run_in(project: Path, *command: str, timeout: int = 600, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one of the environment's commands in `project`; output is captured as text."""
    return subprocess.run(
        command,
        cwd=project,
        env=environment_of(project) | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="session")
def parsed_project(tmp_path_factory: pytest.TempPathFactory, tiny_target: Path) -> Path:
    """A project that tests only read: nothing in it was run."""
    return make_project(tmp_path_factory.mktemp("workflow") / "project", tiny_target)


@pytest.fixture
def project(tmp_path: Path, tiny_target: Path) -> Path:
    """A project of the test's own, nothing run yet."""
    return make_project(tmp_path / "project", tiny_target)


@pytest.fixture(scope="session")
def plug_ins(tmp_path_factory: pytest.TempPathFactory) -> PlugIns:
    """(project, profile) -> variables with which the project's commands find the plug-in of the profile, if any."""

    @cache
    def packages(lock: str) -> Path:
        return plugins.lay_over(lock, tmp_path_factory.mktemp("plug-ins") / lock)

    def variables(project: Path, profile: str) -> dict[str, str]:
        lock = plugins.LOCKS.get(profile)
        return {"PYTHONPATH": f"{packages(lock)}{os.pathsep}{project / 'src'}"} if lock else {}

    return variables
