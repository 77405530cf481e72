"""Recipes are whole, in step with params.yaml, pass the checks and are planned by every profile."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from eyrie.cli import app
from eyrie.params import load_params
from eyrie.privacy.backends import make_detector
from eyrie.privacy.screening import Conversation, screen
from eyrie.prompts.reading import Malformed, read_prompts
from eyrie.recipes import use_recipe
from tests.conftest import REPOSITORY
from tests.workflow.conftest import PlugIns, make_project, run_in
from tests.workflow.test_dry_runs import PROFILES
from tools.recipes import names, render

RECIPES = sorted(path.stem for path in (REPOSITORY / "recipes").glob("*.yaml"))
SERVERS = "http://127.0.0.1:30000"


@pytest.fixture(scope="module")
def recipe_project(tiny_target: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make_project(tmp_path_factory.mktemp("recipes") / "project", tiny_target)
    shutil.copytree(REPOSITORY / "recipes", project / "recipes")
    return project


def test_recipes_are_what_params_yaml_and_their_changes_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert names() == RECIPES
    for name in RECIPES:
        assert (REPOSITORY / f"recipes/{name}.yaml").read_text(encoding="utf-8") == render(name), "run `make recipes`"


def test_a_change_of_a_key_that_params_yaml_lacks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(REPOSITORY / "recipes", tmp_path / "recipes")
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    (tmp_path / "recipes/changes/wrong.yaml").write_text("train_head: {learning_speed: 1.0}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyError, match=r"train_head\.learning_speed is no key"):
        render("wrong")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_complete_pinned_and_keeps_the_comments_that_explain_it(name: str) -> None:
    path = REPOSITORY / f"recipes/{name}.yaml"
    params = load_params(path)
    assert len(params.target.revision or "") == 40
    assert params.filter_prompts.entity_thresholds == {}
    text = path.read_text(encoding="utf-8")
    assert all(word in text for word in ("# Template:", "# Serving:", "# Hardware:", "# pinned commit;"))
    hub = [source for source in params.select_prompts.sources if source.hub]
    assert hub
    assert all(source.license in params.select_prompts.allowed_licenses for source in hub)


def test_what_a_recipe_measures_passes_its_own_screening(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe counts names wherever they stand; most of the demo's benchmark prompts hold one."""
    monkeypatch.chdir(REPOSITORY)
    params, *others = (load_params(Path(f"recipes/{name}.yaml")) for name in RECIPES)
    sections = ("select_prompts", "filter_prompts")
    assert all(getattr(other, section) == getattr(params, section) for other in others for section in sections)
    assert all(other.benchmark.workloads == params.benchmark.workloads for other in others)
    sources = [source for source in params.select_prompts.sources if source.split == "benchmark"]
    prompts = [p for source in sources for p in read_prompts(source, params.select_prompts, Malformed())]
    detector = make_detector(params.filter_prompts, workers=0)
    (found,) = detector.detect([[[prompt.system, *prompt.turns] for prompt in prompts]])
    left: Counter[str] = Counter()
    for prompt, detected in zip(prompts, found, strict=True):
        conversation = Conversation(prompt.system, prompt.turns)
        if screen(conversation, detected, params.filter_prompts.policy, seed=1).drop_reason is None:
            left[prompt.workload] += len(prompt.turns)
    highest = max(max(other.benchmark.concurrency) for other in (params, *others))
    assert {name: left[name] for name in params.benchmark.workloads if left[name] < highest} == {"long_context": 3}


@pytest.mark.parametrize("name", RECIPES)
def test_every_profile_plans_every_recipe(
    name: str, recipe_project: Path, plug_ins: PlugIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(recipe_project / f"recipes/{name}.yaml", recipe_project / "params.yaml")
    monkeypatch.setenv("EYRIE_SERVERS", SERVERS)
    shards = load_params(recipe_project / "params.yaml").generate_responses.num_shards
    for profile in PROFILES:
        command = ("snakemake", "--profile", f"workflow/profiles/{profile}", "-n", "--quiet", "rules")
        done = run_in(recipe_project, *command, **plug_ins(recipe_project, profile))
        assert done.returncode == 0, done.stderr
        for rule in ("generate_responses_shard", "extract_features_shard"):
            assert f"{rule} {shards}" in " ".join(done.stdout.split()), f"{profile}: {rule}"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with params.yaml committed and two recipes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "params.yaml").write_text("committed: 1\n", encoding="utf-8")
    for name in ("one", "two"):
        (tmp_path / f"recipes/{name}.yaml").write_text(f"recipe: {name}\n", encoding="utf-8")
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "start"]):
        subprocess.run(["git", *command], check=True)
    return tmp_path


def test_a_recipe_replaces_a_committed_params_yaml_and_another_recipe(checkout: Path) -> None:
    params = Path("params.yaml")
    assert use_recipe("one", params)
    assert not use_recipe("one", params)
    assert use_recipe("two", params)
    assert params.read_text(encoding="utf-8") == "recipe: two\n"


def test_an_edited_params_yaml_is_never_overwritten(checkout: Path) -> None:
    params = Path("params.yaml")
    for edited in (b"committed: 2\n", b"committed: \xff\n"):
        params.write_bytes(edited)
        with pytest.raises(ValueError, match=r"params\.yaml: edited since the last commit"):
            use_recipe("one", params)
        assert params.read_bytes() == edited


def test_an_unknown_recipe_is_refused_with_the_names_there_are(checkout: Path) -> None:
    with pytest.raises(ValueError, match=r"no such recipe; there are one, two"):
        use_recipe("three", Path("params.yaml"))


@pytest.mark.parametrize("name", RECIPES)
def test_make_run_with_a_recipe_takes_it_before_the_run(name: str) -> None:
    """What make would do; the environment is taken for made."""
    done = run_in(REPOSITORY, "make", "-n", "run", f"RECIPE={name}", "-o", ".venv/.base")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if "eyrie" in line] == [
        f'if [ -n "{name}" ]; then eyrie recipe "{name}"; fi',
        "eyrie run",
    ]


def test_a_recipe_passes_eyrie_check(checkout: Path, recipe_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recipe_project)
    monkeypatch.setenv("EYRIE_SERVERS", SERVERS)
    for name in RECIPES:
        shutil.copy(f"recipes/{name}.yaml", "params.yaml")
        done = CliRunner().invoke(app, ["check"])
        assert done.exit_code == 0, f"{name}: {done.output}"


def test_a_recipe_whose_revision_is_no_commit_is_refused(recipe_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recipe_project)
    monkeypatch.setenv("EYRIE_SERVERS", SERVERS)
    raw = yaml.safe_load(Path("recipes/qwen3-8b.yaml").read_text(encoding="utf-8"))
    raw["target"]["revision"] = "main"
    Path("params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    done = run_in(recipe_project, "eyrie", "check")
    assert done.returncode == 1
    assert "pin the revision" in done.stderr
