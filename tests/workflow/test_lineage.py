"""Lineage: whatever changes, through either door and mixed, in the original and in a clone with pulled outputs, exactly
the stages that should run do, the outputs are those of a run from nothing, and every record in dvc.lock is true.

The stages are light (tests/workflow/light.py); doors, rules, jobs, manifests, DVC and its remote are the real ones.
`pytest --long` tries every change with every door in both places, without it a few of them are tried.
"""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml

from eyrie.lineage.layout import SELECTED, STAGES, upstream_of
from tests.e2e.faults import start_door
from tests.workflow.conftest import COMMAND_FOLDER, change_params, run_in
from tests.workflow.light import DROPPED, SOURCE, change_code, digests_of, expected_files, make_light_project
from tests.workflow.truth import false_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PARAMETERS: dict[str, tuple[str, object]] = {
    "select_prompts": ("seed", 7),
    "filter_prompts": ("seed", 7),
    "generate_responses": ("seed", 7),
    "build_vocab": ("draft_vocab_size", 120),
    "extract_features": ("max_batch_tokens", 4096),
    "train_head": ("learning_rate", 0.00003),  # DVC records 3e-05
    "evaluate_head": ("max_prompts", 3),
    "benchmark": ("seed", 7),
    "report": ("title", "Another title"),
}
DOORS: dict[str, tuple[str, ...]] = {
    "eyrie run": ("eyrie", "run"),
    "dvc": ("dvc", "repro"),
    "snakemake": ("snakemake", "--cores", "2"),
}
NEXT = ("snakemake", "eyrie run", "dvc")
PLACES = ("original", "clone")


def following(stage: str) -> set[str]:
    """The stage and all that follows from it."""
    found = {stage}
    for name in STAGES:
        if found & set(upstream_of(name)):
            found.add(name)
    return found


def run_door(project: Path, door: str) -> set[str]:
    """Run the pipeline through a door. Returns the stages of which a job was built anew, not restored."""
    return {job.partition("-")[0] for job in built_jobs(project, door)}


def built_jobs(project: Path, door: str) -> set[str]:
    """Run the pipeline through a door. Returns the jobs that were built anew, shards as `stage-0000`."""
    if door == "dvc":
        assert run_in(project, "eyrie", "sync").returncode == 0
    done = run_in(project, *DOORS[door])
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-4000:]
    return set(re.findall(r"^\w+: (\w+(?:-\d{4})?) built in", printed, re.MULTILINE))


def check(project: Path, scratch: Path) -> None:
    """Outputs are those of a run from nothing, records are true, and no door has anything to do."""
    shutil.rmtree(scratch, ignore_errors=True)
    expected = expected_files(project, scratch)
    if not (project / SELECTED).exists():  # in a clone, which cannot pull it, until something needs it
        expected.pop(SELECTED)
    assert digests_of(project) == expected
    assert false_records(project) == []
    assert "up to date" in run_in(project, "dvc", "status").stdout
    planned = run_in(project, "snakemake", "--cores", "2", "-n")
    assert "Nothing to be done" in planned.stdout + planned.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_target: Path) -> Path:
    """`original`: a finished project, its outputs pushed. `clone`: a git clone of it that pulled everything."""
    folder = tmp_path_factory.mktemp("lineage")
    original = make_light_project(folder / "original", tiny_target)
    assert run_door(original, "dvc") == {*STAGES}
    for command in (
        ("dvc", "remote", "add", "-q", "-d", "storage", str(folder / "remote")),
        ("dvc", "push", "-q"),
        ("git", "add", "-A"),
        ("git", "-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-qm", "all"),
        ("git", "clone", "-q", str(original), str(folder / "clone")),
    ):
        done = run_in(original, *command)
        assert done.returncode == 0, done.stderr
    pulled = run_in(folder / "clone", "eyrie", "pull")
    assert pulled.returncode == 0, pulled.stderr
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A private copy of the original or the clone, times and hard links kept."""

    def copy(name: str) -> Path:
        done = run_in(made, "cp", "-a", str(made / name), str(tmp_path / name))
        assert done.returncode == 0, done.stderr
        return tmp_path / name

    return copy


def change_parameter(project: Path, stage: str) -> None:
    key, value = PARAMETERS[stage]
    change_params(project, stage, **{key: value})


def add_source(project: Path) -> None:
    (project / "resources/prompts/more.jsonl").write_text('{"prompt": "three"}\n', encoding="utf-8")
    raw = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    sources = raw["select_prompts"]["sources"]
    more = {**sources[0], "name": "more", "path": "resources/prompts/more.jsonl"}
    change_params(project, "select_prompts", sources=[*sources, more])


def change_source(project: Path, before: str, after: str) -> None:
    path = project / SOURCE
    path.write_text(path.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")


def _changes() -> dict[str, tuple[Callable[[Path], None], set[str]]]:
    """name -> (the change, the stages that must run again, all others must not)."""
    changes: dict[str, tuple[Callable[[Path], None], set[str]]] = {}
    for stage in STAGES:
        changes[f"parameter of {stage}"] = (partial(change_parameter, stage=stage), following(stage))
        changes[f"code of {stage}"] = (partial(change_code, stage=stage, salt="b"), following(stage))
    changes["one prompt"] = (lambda project: change_source(project, '"two"', '"deux"'), {*STAGES})
    changes["a prompt that is screened out"] = (
        lambda project: change_source(project, DROPPED, DROPPED.replace("this", "that")),
        {"select_prompts", "filter_prompts"},
    )
    changes["a source more"] = (add_source, {*STAGES})
    changes["more shards"] = (
        lambda project: change_params(project, "generate_responses", num_shards=3),
        following("generate_responses"),
    )
    changes["fewer shards"] = (
        lambda project: change_params(project, "generate_responses", num_shards=1),
        following("generate_responses"),
    )
    return changes


CHANGES = _changes()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A few cases with different doors in both places; with --long every change with every door in both."""
    long, names = metafunc.config.getoption("--long"), metafunc.fixturenames
    cases: list[tuple[str, ...]] = []
    if "change" in names:
        every = [(name, where, door) for name in CHANGES for where in PLACES for door in DOORS]
        cases = [*every] if long else [*SHORT]
        metafunc.parametrize(("change", "where", "door"), cases, ids=[" - ".join(case) for case in cases])
    elif "back" in names:  # every stage, every pair of doors
        pairs = [(there, back) for there in DOORS for back in DOORS]
        cases = [(stage, PLACES[i % 2], *pairs[i]) for i, stage in enumerate(STAGES)]
        cases = cases if long else [("train_head", "clone", "snakemake", "dvc")]
        metafunc.parametrize(("stage", "where", "there", "back"), cases, ids=[" - ".join(case) for case in cases])
    elif "first" in names:  # without --long the kills of tests/e2e/test_faults.py do as much
        cases = [(where, first, then) for where in PLACES for first, then in zip(DOORS, NEXT, strict=True)]
        cases = cases if long else []
        metafunc.parametrize(("where", "first", "then"), cases, ids=[" - ".join(case) for case in cases])


SHORT = (
    ("parameter of extract_features", "original", "eyrie run"),
    ("a prompt that is screened out", "clone", "snakemake"),
    ("more shards", "original", "dvc"),
    ("code of train_head", "clone", "eyrie run"),
    ("parameter of filter_prompts", "clone", "dvc"),  # reads what a clone cannot pull
)


def test_exactly_what_a_change_reaches_runs_again(
    change: str, where: str, door: str, place: Callable[[str], Path], tmp_path: Path
) -> None:
    project = place(where)
    apply, expected = CHANGES[change]
    apply(project)
    needs_prompts = "filter_prompts" in expected and not (project / SELECTED).exists()
    assert run_door(project, door) == expected | ({"select_prompts"} if needs_prompts else set())
    check(project, tmp_path / "expected")


def test_going_back_restores_and_doors_can_be_mixed(
    stage: str, where: str, there: str, back: str, place: Callable[[str], Path], tmp_path: Path
) -> None:
    project = place(where)
    key, value = PARAMETERS[stage]
    before = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))[stage][key]
    change_params(project, stage, **{key: value})
    needs_prompts = stage == "filter_prompts" and not (project / SELECTED).exists()
    assert run_door(project, there) == following(stage) | ({"select_prompts"} if needs_prompts else set())
    change_params(project, stage, **{key: before})
    assert run_door(project, back) == set()
    check(project, tmp_path / "expected")


def test_a_run_after_a_switch_of_branches_leaves_nothing_that_git_would_not_switch_back(
    place: Callable[[str], Path],
) -> None:
    """`dvc.lock` is the committed one to the byte: the record of train_head was dropped and appended again."""
    project = place("original")

    def git(*command: str) -> str:
        done = run_in(project, "git", "-c", "user.name=a", "-c", "user.email=a@localhost", *command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run_door(project, "eyrie run") == set()
    git("commit", "-qam", "in order", "--allow-empty")
    git("checkout", "-qb", "slower")
    change_parameter(project, "train_head")
    assert run_door(project, "eyrie run") == following("train_head")
    git("commit", "-qam", "slower")
    for branch in ("-", "slower"):
        git("checkout", "-q", branch)
        assert run_door(project, "eyrie run") == set()
        assert git("status", "--porcelain", "--untracked-files=no") == ""


def test_the_same_bytes_upstream_cost_no_later_stage_though_scratch_was_removed(
    place: Callable[[str], Path], tmp_path: Path
) -> None:
    project = place("original")
    shutil.rmtree(project / ".eyrie/scratch")
    module = project / "src/eyrie/stages/select_prompts.py"
    module.write_text(module.read_text(encoding="utf-8") + "# a comment\n", encoding="utf-8")
    assert run_door(project, "snakemake") == {"select_prompts"}
    check(project, tmp_path / "expected")


def test_a_run_that_is_interrupted_before_a_change_leaves_what_it_finished(
    where: str, first: str, then: str, place: Callable[[str], Path], tmp_path: Path
) -> None:
    project = place(where)
    change_parameter(project, "generate_responses")
    if first == "dvc":
        assert run_in(project, "eyrie", "sync").returncode == 0
    vocab = project / "data/vocab/vocab_map.safetensors.manifest.json"
    old = vocab.stat().st_ino
    process = start_door(project, "dvc repro" if first == "dvc" else first, tmp_path / "run.log")
    deadline = time.monotonic() + 240
    while not (vocab.exists() and vocab.stat().st_ino != old):
        assert process.poll() is None, (tmp_path / "run.log").read_text(encoding="utf-8")[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(120) != 0
    change_parameter(project, "train_head")
    jobs = built_jobs(project, then)
    finished = {"generate_responses-0000", "generate_responses-0001", "build_vocab"}
    assert jobs & {"select_prompts", "filter_prompts", *finished} == set()
    assert jobs >= following("train_head")
    check(project, tmp_path / "expected")


def test_a_clone_with_features_alone_as_links_to_another_disk_trains_and_makes_nothing_upstream(
    made: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    assert run_in(made, "git", "clone", "-q", str(made / "original"), str(clone)).returncode == 0
    assert run_in(clone, "dvc", "config", "--local", "cache.type", "symlink").returncode == 0
    pulled = run_in(clone, "dvc", "pull", "-q", "data/features")
    assert pulled.returncode == 0, pulled.stderr
    assert (clone / STAGES["extract_features"].outputs["features"].format(shard=0)).is_symlink()
    change_parameter(clone, "train_head")
    done = run_in(clone, "eyrie", "run", "train_head")
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-3000:]
    assert re.findall(r"^\w+: (\w+) built in", printed, re.MULTILINE) == ["train_head"]
    assert not (clone / "data/responses").exists()
    other = run_in(clone, "snakemake", "--cores", "2", "-n", "train_head")
    assert "Nothing to be done" in other.stdout + other.stderr
    # Stages that follow were not run: their records are of the head before, and say so.
    follow = ("evaluate_head:", "benchmark:", "report:")
    assert [sentence for sentence in false_records(clone) if not sentence.startswith(follow)] == []
    status = run_in(clone, "eyrie", "status").stdout
    assert re.search(r"^train_head +current", status, re.MULTILINE)
    assert re.search(r"^evaluate_head +stale\n +input models/head changed", status, re.MULTILINE)
    assert "pullable from the remote: eyrie pull filter_prompts" in status


def test_plain_dvc_pull_leaves_both_doors_nothing_to_do(made: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    assert run_in(made, "git", "clone", "-q", str(made / "original"), str(clone)).returncode == 0
    assert run_in(clone, "dvc", "pull", "-q").returncode == 0
    assert "up to date" in run_in(clone, "dvc", "repro", "--dry").stdout
    assert run_door(clone, "snakemake") == set()
    check(clone, tmp_path / "expected")


def test_no_unscreened_prompt_is_pushed_and_a_clone_makes_them_when_it_is_asked(made: Path, tmp_path: Path) -> None:
    unscreened = DROPPED.encode()
    assert unscreened in (made / "original" / SELECTED).read_bytes()
    assert run_in(made / "original", "dvc", "push", "-q", "--run-cache").returncode == 0
    for folder in (made / "remote", made / "original/.dvc/cache"):
        objects = [path for path in folder.rglob("*") if path.is_file()]
        assert objects
        assert not [path for path in objects if unscreened in path.read_bytes()]
    clone = tmp_path / "clone"
    assert run_in(made, "cp", "-a", str(made / "clone"), str(clone)).returncode == 0
    pulled = run_in(clone, "eyrie", "pull", "select_prompts").stdout
    assert pulled.startswith("select_prompts: not here: holds unscreened prompts, which are never pushed")
    assert "holds unscreened prompts" in run_in(clone, "eyrie", "status").stdout
    assert not (clone / SELECTED).exists()
    for door in ("eyrie run", "dvc"):
        assert run_door(clone, door) == set()
    done = run_in(clone, "eyrie", "run", "select_prompts")
    assert re.findall(r"^\w+: (\w+) built in", done.stdout + done.stderr, re.MULTILINE) == ["select_prompts"]
    assert (clone / SELECTED).read_bytes() == (made / "original" / SELECTED).read_bytes()
    check(clone, tmp_path / "expected")


def test_record_refuses_what_is_not_current_by_name_and_records_the_rest_as_a_run_does_too(
    place: Callable[[str], Path], tmp_path: Path
) -> None:
    project = place("original")
    (project / "dvc.lock").unlink()
    change_parameter(project, "evaluate_head")
    done = run_in(project, "eyrie", "record")
    assert done.returncode == 1
    assert re.search(r"^evaluate_head +refused: parameter evaluate_head.max_prompts: 4 -> 3", done.stdout, re.MULTILINE)
    assert re.search(r"^report +refused: parameter evaluate_head.max_prompts: 4 -> 3", done.stdout, re.MULTILINE)
    recorded = set(STAGES) - {"evaluate_head", "report"}  # the report prints the parameters of every stage
    assert set(re.findall(r"^(\w+) +recorded$", done.stdout, re.MULTILINE)) == recorded
    lock = yaml.safe_load((project / "dvc.lock").read_text(encoding="utf-8"))
    assert set(lock["stages"]) == recorded
    del lock["stages"]["train_head"]  # as a merge may
    (project / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")
    asked = run_in(project, "eyrie", "run", "train_head", "build_vocab")
    assert "Nothing to build: build_vocab and train_head are current." in asked.stdout, asked.stderr
    lock = yaml.safe_load((project / "dvc.lock").read_text(encoding="utf-8"))
    assert set(lock["stages"]) == recorded
    assert run_door(project, "dvc") == following("evaluate_head")
    check(project, tmp_path / "expected")


def test_parameters_edited_while_a_stage_runs_are_not_recorded_for_it(tmp_path: Path, tiny_target: Path) -> None:
    project = make_light_project(tmp_path / "project", tiny_target)
    module = project / "src/eyrie/stages/filter_prompts.py"
    edit = """    import yaml
    raw = yaml.safe_load(Path("params.yaml").read_text())
    raw["filter_prompts"]["seed"] = 9
    Path("params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
"""
    text = module.read_text(encoding="utf-8")
    module.write_text(text.replace("    kept = [", edit + "    kept = [", 1), encoding="utf-8")
    assert run_in(project, "eyrie", "sync").returncode == 0
    done = run_in(project, "dvc", "repro", "filter_prompts")
    assert done.returncode != 0
    assert "filter_prompts: parameter filter_prompts.seed: 1 -> 9 while it ran; run again" in done.stdout + done.stderr
    lock = yaml.safe_load((project / "dvc.lock").read_text(encoding="utf-8"))
    assert set(lock["stages"]) == {"select_prompts"}


def test_a_door_that_is_started_by_its_path_finds_the_commands_beside_it(place: Callable[[str], Path]) -> None:
    project = place("original")
    for door, title in ((("eyrie", "run"), "One"), (("snakemake", "--cores", "2"), "Two")):
        change_params(project, "report", title=title)
        command = (str(COMMAND_FOLDER / door[0]), *door[1:])
        done = run_in(project, *command, PATH=os.defpath)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "report: report built in" in done.stdout + done.stderr


def test_a_run_that_snakemake_ends_without_a_word_says_how_to_hear_it(place: Callable[[str], Path]) -> None:
    project = place("original")
    change_params(project, "report", title="Three")
    done = run_in(project, "eyrie", "run", HOME="/proc")  # Snakemake keeps a cache there, and cannot
    assert done.returncode != 0
    assert "/proc" not in done.stdout + done.stderr
    assert "where nothing above says why, `snakemake --cores 1` does" in done.stderr
    heard = run_in(project, "snakemake", "--cores", "1", HOME="/proc")
    assert "/proc/.cache" in heard.stdout + heard.stderr
