"""A stage's fingerprint changes with what decides its output, and with nothing else."""

import ast
import errno
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from eyrie.io import expand
from eyrie.lineage.cache import dvc_repo
from eyrie.lineage.digests import Digests
from eyrie.lineage.dvcfile import sync_dvc_yaml
from eyrie.lineage.fingerprint import (
    DATA,
    PACKAGE,
    _import_nodes,
    _imports,
    code_of,
    fingerprint,
    named_beside,
    parameters_of,
    write_stamps,
)
from eyrie.lineage.layout import STAGES
from eyrie.params import Params
from eyrie.report.page import resolved
from tests.conftest import REPOSITORY, tiny_params


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources").symlink_to(REPOSITORY / "resources")


def _all(params: Params) -> dict[str, dict[str, Any]]:
    return {name: fingerprint(params, stage, Digests()) for name, stage in STAGES.items()}


def _changed(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    return [name for name in first if first[name] != second[name]]


def test_a_parameter_changes_its_own_stage_and_the_report_that_shows_it(tiny_target: Path) -> None:
    before = _all(tiny_params(tiny_target))
    changes: dict[str, dict[str, Any]] = {"train_head": {"learning_rate": 0.5}}
    assert _changed(before, _all(tiny_params(tiny_target, **changes))) == ["train_head", "report"]
    assert _changed(before, _all(tiny_params(tiny_target, report={"title": "Another"}))) == ["report"]
    assert _changed(before, _all(tiny_params(tiny_target, tune={"shortlist": 9}))) == []


def test_the_report_prints_the_parameters_of_its_fingerprint_and_no_others(tiny_target: Path) -> None:
    params = tiny_params(tiny_target)
    made_by = parameters_of(params, STAGES["report"])
    printed = yaml.safe_load(resolved(params))
    assert printed == {"target": made_by["target"], **made_by["sections"], "report": made_by["params"]}
    assert [*printed] == ["target", *STAGES]


def test_the_target_s_weights_change_the_stages_that_use_it(copy_target: Path) -> None:
    before = _all(tiny_params(copy_target))
    config = copy_target / "config.json"
    config.write_text(config.read_text() + "\n")
    assert _changed(before, _all(tiny_params(copy_target))) == [
        name for name, stage in STAGES.items() if stage.uses_target
    ]


def test_what_the_analyzer_is_made_of_changes_the_screening(tiny_target: Path, tmp_path: Path) -> None:
    folder = tmp_path / "privacy"
    shutil.copytree(REPOSITORY / "resources/privacy", folder)
    (folder / "names").mkdir(exist_ok=True)
    (folder / "names/lexicon.tsv").write_text("table\to\n")
    params = tiny_params(tiny_target, filter_prompts={"analyzer_config": str(folder / "analyzer.yaml")})
    before = _all(params)
    table = next((folder / "lemmas-en").rglob("lookups.bin"))
    table.write_bytes(table.read_bytes() + b"x")
    changed = _all(params)
    assert _changed(before, changed) == ["filter_prompts"]
    (folder / "names/lexicon.tsv").write_text("chair\to\n")
    again = _all(params)
    assert _changed(changed, again) == ["filter_prompts"]
    (folder / "secrets/model.crfsuite").write_bytes(b"another")
    assert _changed(again, _all(params)) == ["filter_prompts"]


@pytest.mark.parametrize("text", ["a: [", "\x00", "just text", "- ''\n- .\n- c.yaml\n", "- none\n- 7\n"])
def test_a_yaml_file_that_names_nothing_beside_it_adds_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    assert named_beside(tmp_path / "c.yaml") == []


def test_a_text_of_the_analyzer_that_no_file_could_be_called_names_none(tmp_path: Path) -> None:
    config, deep = tmp_path / "c.yaml", tmp_path.joinpath(*["folder"] * 40, "words.txt")
    deep.parent.mkdir(parents=True)
    deep.touch()
    named = deep.relative_to(tmp_path).as_posix()
    texts = ["人" * 90, "é" * 200, "a" * 256, "a" * 100_000, "x\0y", named]
    config.write_text(yaml.safe_dump(texts, allow_unicode=True), encoding="utf-8")
    assert named_beside(config) == [deep]


def test_the_device_is_no_part_of_what_an_output_is(tiny_target: Path) -> None:
    assert _all(tiny_params(tiny_target)) == _all(
        tiny_params(tiny_target, target={"device": "cpu", "model": str(tiny_target)})
    )


def test_code_of_a_stage_is_what_it_imports() -> None:
    code = {path.relative_to(PACKAGE).as_posix() for path in code_of("extract_features")}
    assert {"stages/extract_features.py", "features/store.py", "engines/target.py", "io.py", "schemas.py"} <= code
    assert not {"stages/train_head.py", "cli.py", "lineage/jobs.py"} & code
    assert not [name for name in code if name.startswith("params")]


def _imported(nodes: Iterable[ast.AST]) -> set[str]:
    return {
        name
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (f"{getattr(node, 'module', '')}.{alias.name}".strip(".") for alias in node.names)
        if name.startswith("eyrie.")
    }


def test_imports_are_those_of_the_whole_module_however_they_are_written() -> None:
    texts = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    texts += [
        "import os, eyrie.io as io",
        "import os; from eyrie import io",
        "from os import path; import eyrie.io",
        "try: import eyrie.io\nexcept ImportError: pass",
        "def f():\n    from eyrie.io import (  # a comment (in brackets)\n        digest_of,\n    )",
        "from eyrie.io import digest_of, \\\n    write_text",
        "import os, \\\n    eyrie.io",
        "from  eyrie import io",
        'X = """\nfrom eyrie import what there is\n"""\nimport eyrie.io',
        "if True:\n\tfrom eyrie.io import (digest_of, write_text); import eyrie.schemas",
    ]
    for text in texts:
        expected = _imported(ast.walk(ast.parse(text)))
        assert expected or "eyrie" not in text or "import eyrie" not in text
        assert _imported(_import_nodes(text)) == expected, text


@pytest.mark.parametrize(
    "statement",
    [
        "import eyrie.deep.other",
        "import eyrie.deep.other as other",
        "from eyrie.deep import other",
        "from eyrie.deep.other import x",
        "from . import other",
        "from .other import x",
        "from.other import x",
        "from ..deep import other",
        "from ..deep.other import (\n    x,\n)",
        "import os; from .other import x",
    ],
)
def test_a_module_is_code_of_who_imports_it_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.setattr("eyrie.lineage.fingerprint.PACKAGE", tmp_path)
    (tmp_path / "deep").mkdir()
    for name in ("__init__", "module", "other"):
        (tmp_path / f"deep/{name}.py").touch()
    for name in ("module", "__init__"):
        (tmp_path / f"deep/{name}.py").write_text(statement + "\n")
        assert tmp_path / "deep/other.py" in _imports(tmp_path / f"deep/{name}.py")


def _started_by(code: tuple[Path, ...]) -> set[str]:
    """What `python -m` would run of every first-party module or package that the code names in a string."""
    named = {
        node.value
        for path in code
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("eyrie.")
    }
    files = (f"{'/'.join(name.split('.')[1:])}{end}" for name in named for end in (".py", "/__main__.py"))
    return {file for file in files if (PACKAGE / file).is_file()}


@pytest.mark.parametrize("stage", STAGES)
def test_code_of_a_stage_is_also_what_it_starts_as_a_process_of_its_own(stage: str) -> None:
    code = code_of(stage)
    started = _started_by(code)
    if stage == "generate_responses":
        started.remove("engines/reference/__main__.py")  # of the servers it starts SGLang's alone
    assert started <= {path.relative_to(PACKAGE).as_posix() for path in code}
    if stage == "benchmark":
        assert "engines/reference/__main__.py" in started


def test_every_data_file_of_the_package_counts_as_code() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "src/eyrie"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    data = [Path(line) for line in tracked.stdout.splitlines() if not line.endswith(".py")]
    assert data
    assert {path.suffix for path in data} <= DATA
    assert {"page.html", "style.css"} <= {path.name for path in code_of("report")}


def test_what_editors_and_desktops_leave_beside_the_code_makes_nothing_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "eyrie"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("eyrie.lineage.fingerprint.PACKAGE", package)
    expected = code_of.__wrapped__("report")
    assert package / "report/page.html" in expected
    for name in (".page.html.swp", ".page.html", "page.html~", "page.html.orig", "#page.html#", ".DS_Store", "a.pyc"):
        (package / "report" / name).write_text("x")
    assert code_of.__wrapped__("report") == expected


def test_stamps_are_written_only_where_they_changed(tiny_target: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stamps"
    write_stamps(tiny_params(tiny_target), folder)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    write_stamps(tiny_params(tiny_target, report={"title": "Another"}), folder)
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert set(before) == {f"{name}.json" for name in STAGES}
    assert _changed(before, after) == ["report.json"]


def test_globs_are_expanded_in_order(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl"):
        (tmp_path / name).touch()
    assert expand("*.jsonl") == [Path("a.jsonl"), Path("b.jsonl")]
    assert expand(str(tmp_path / "*.jsonl")) == [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    assert expand("none.jsonl") == [Path("none.jsonl")]


def test_digests_follow_a_file_that_changed_after_being_remembered(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    first = Digests()
    digest = first.of(path)
    first.save()
    assert Digests().of(path) == digest
    path.write_text("two")
    assert Digests().of(path) != digest


def test_a_time_that_only_another_user_may_set_is_named_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "theirs"
    path.touch()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")  # as os.utime says it, without the file

    monkeypatch.setattr(os, "utime", refuse)
    with pytest.raises(PermissionError, match="belongs to another user") as caught:
        Digests().touch(path, 1)
    assert caught.value.filename == str(path)


def test_dvc_takes_any_file_name_of_a_source_as_it_is(tiny_target: Path, tmp_path: Path) -> None:
    (tmp_path / "logs ${day} #1.jsonl").write_text("{}\n")
    params = tiny_params(tiny_target)
    (source, *others) = params.select_prompts.sources
    source = source.model_copy(update={"path": "logs*.jsonl"})
    section = params.select_prompts.model_copy(update={"sources": [source, *others]})
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run(command, check=True)
    sync_dvc_yaml(params.model_copy(update={"select_prompts": section}))
    with dvc_repo() as repo:
        (stage,) = repo.stage.collect("select_prompts")
        assert "logs ${day} #1.jsonl" in [dep.def_path for dep in stage.deps]
