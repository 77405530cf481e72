"""One name everywhere, one set of files everywhere: section, module, sub-command, rule and DVC stage agree."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from eyrie.cli import app
from eyrie.lineage.dvcfile import dvc_yaml
from eyrie.lineage.jobs import job_of
from eyrie.lineage.layout import STAGES, UNSCREENED, expand_shards
from eyrie.params import Params, Target, load_params
from tests.conftest import REPOSITORY
from tests.workflow.conftest import run_in

NAMES = [*STAGES]


def test_sections_modules_commands_and_dvc_stages_have_the_stages_names() -> None:
    assert [name for name in Params.model_fields if name not in ("target", "tune")] == NAMES
    modules = {path.stem for path in (REPOSITORY / "src/eyrie/stages").glob("*.py")} - {"__init__"}
    assert modules == set(NAMES)
    commands = {command.name for command in app.registered_commands}
    assert set(NAMES) <= commands
    assert [*yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_parameters_of_a_stage_s_functions_are_its_inputs_and_outputs(name: str) -> None:
    stage, module = STAGES[name], importlib.import_module(f"eyrie.stages.{name}")
    extra = [*(["shard"] if stage.sharded else []), *(["scratch"] if stage.resumes else [])]
    expected = ["params", *extra, *stage.inputs, *stage.outputs]
    assert set(inspect.signature(module.run).parameters) == set(expected)
    if stage.sharded:
        gathered = ["params", *stage.gather_inputs, *stage.gather_outputs]
        assert set(inspect.signature(module.gather).parameters) == set(gathered)


@pytest.mark.parametrize("name", NAMES)
def test_the_module_of_a_stage_opens_with_the_command_that_runs_it(name: str) -> None:
    document = importlib.import_module(f"eyrie.stages.{name}").__doc__ or ""
    assert document.startswith(f"`eyrie {name}")


def test_the_committed_dvc_yaml_is_what_the_stage_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert Path("dvc.yaml").read_text(encoding="utf-8") == dvc_yaml(load_params(Path("params.yaml")))


def test_the_rules_make_and_read_the_files_of_the_stage_table(parsed_project: Path) -> None:
    done = run_in(parsed_project, "snakemake", "--cores", "1", "-n", "--forceall")
    assert done.returncode == 0, done.stderr
    planned = _planned_files(done.stdout + done.stderr)
    params = load_params(parsed_project / "params.yaml")
    expected: dict[str, tuple[set[str], set[str]]] = {}
    for name, stage in STAGES.items():
        shards: list[int | None] = [*range(params.generate_responses.num_shards)] if stage.sharded else []
        for shard in [None, *shards]:
            job = job_of(params, name, shard)
            inputs, outputs = expected.setdefault(name if shard is None else f"{name}_shard", (set(), set()))
            inputs |= {str(path) for paths in job.inputs.values() for path in paths} | {f".eyrie/stamps/{name}.json"}
            outputs |= {str(path) for path in (*job.outputs.values(), job.manifest)}
    planned.pop("all")
    assert planned == expected


def _planned_files(output: str) -> dict[str, tuple[set[str], set[str]]]:
    """rule -> its inputs and outputs over all its jobs, from the text of a dry run."""
    files: dict[str, tuple[set[str], set[str]]] = {}
    rule = ""
    for line in output.splitlines():
        if found := re.match(r"(?:local)?rule (\w+):$", line):
            rule = found[1]
            files.setdefault(rule, (set(), set()))
        elif found := re.match(r" +(input|output): (.+)$", line):
            files[rule][found[1] == "output"].update(found[2].split(", "))
    return files


def test_a_dvc_stage_runs_its_own_rules_only_and_depends_on_its_section() -> None:
    stages = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
    for name, stage in STAGES.items():
        assert stages[name]["cmd"].startswith("snakemake --profile ")
        maker = ["select_prompts"] if name == "filter_prompts" else []  # of what a clone cannot pull
        assert stages[name]["cmd"].endswith(f" --allowed-rules {' '.join([*maker, *stage.rules])} -- {name}")
        target = (
            [f"target.{key}" for key in sorted(Target.model_fields) if key != "device"] if stage.uses_target else []
        )
        others = [other for other in NAMES if other != name] if name == "report" else []  # it prints them all
        assert stages[name]["params"] == [*target, name, *others]
        for value in stage.inputs.values():
            for path in expand_shards(value, 1):
                tracked = str(Path(path).parent) if "shard-" in path else path
                tracked = f"{path}.manifest.json" if path in UNSCREENED else tracked
                assert tracked in stages[name]["deps"]


def test_help_names_every_stage() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for name in NAMES:
        assert name in result.output
