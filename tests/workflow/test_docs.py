"""The commands of the how-to pages that cost nothing do what the pages say, in the order of the pages."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from dvc.utils.serialize import loads_yaml
from typer.testing import CliRunner

from eyrie.cli import app
from eyrie.params import load_yaml
from tests.conftest import REPOSITORY
from tests.workflow.conftest import PlugIns, make_project, run_in

EXAMPLES = [
    (page.name, block)
    for page in sorted((REPOSITORY / "docs").glob("*.md"))
    for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
]
PAGES = ["first-target", "large-target", "fine-tune", "when-not"]


def dry_commands(page: str) -> list[str]:
    text = (REPOSITORY / f"docs/{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh dry\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("page", PAGES)
def test_the_dry_commands_of_a_page_run(
    page: str, tiny_target: Path, plug_ins: PlugIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eyrie's own in this process, which saves the imports."""
    project = make_project(tmp_path / "project", tiny_target)
    shutil.copytree(REPOSITORY / "recipes", project / "recipes")
    shutil.copy(REPOSITORY / "recipes/qwen3-8b.yaml", project / "params.yaml")
    commands = dry_commands(page)
    assert commands
    monkeypatch.chdir(project)
    monkeypatch.setenv("EYRIE_SERVERS", "http://127.0.0.1:30000")
    for command in commands:
        name, *arguments = shlex.split(command)
        if name == "eyrie":
            answer = CliRunner().invoke(app, arguments)
            assert answer.exit_code == 0, f"{command}\n{answer.output}"
        else:
            done = run_in(project, name, *arguments, **plug_ins(project, "slurm"))
            assert done.returncode == 0, f"{command}\n{done.stderr}"


@pytest.mark.parametrize(("page", "block"), EXAMPLES)
def test_dvc_reads_the_examples_of_parameters_as_eyrie_does(page: str, block: str) -> None:
    assert loads_yaml(block) == load_yaml(block, as_dvc=True), page
