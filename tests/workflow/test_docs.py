"""The commands of the how-to pages that cost nothing do what the pages say, in the order of the pages."""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.workflow.conftest import make_project, run_in

PAGES = ["first-target", "large-target", "fine-tune", "when-not"]


def dry_commands(page: str) -> list[str]:
    text = (REPOSITORY / f"docs/{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh dry\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("page", PAGES)
def test_the_dry_commands_of_a_page_run(page: str, tiny_target: Path, tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", tiny_target)
    shutil.copytree(REPOSITORY / "recipes", project / "recipes")
    shutil.copy(REPOSITORY / "recipes/qwen3-8b.yaml", project / "params.yaml")
    commands = dry_commands(page)
    assert commands
    for command in commands:
        done = run_in(project, *command.split(), EYRIE_SERVERS="http://127.0.0.1:30000")
        assert done.returncode == 0, f"{command}\n{done.stderr}"
