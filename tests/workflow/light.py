"""The whole pipeline with light stages: real doors, rules, jobs, manifests and DVC; only the work itself is small.

Each stage's module in the project's copy of the code is replaced by one whose outputs are a plain function of its
parameters, its inputs and its code. So a run takes seconds, and `expected_files` can say what must be there: it calls
the same modules in a row, without doors, manifests or DVC.

`select_prompts` joins the sources' lines, `filter_prompts` leaves out lines with DROP, `benchmark` starts a
server; every other stage hashes.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import yaml

from eyrie.lineage.layout import STAGES
from tests.workflow.conftest import environment_of, make_project, write_params

SOURCE = Path("resources/prompts/light.jsonl")
DROPPED = '{"prompt": "DROP this one"}'
FOLDERS = ("head", "curves")

HEADER = '''"""`eyrie {name}`, light: outputs are a function of parameters, inputs and SALT."""

import hashlib
import json
import sys
import time
from pathlib import Path

from eyrie.io import canonical_json, write_text

NAME = {name!r}
INPUTS = {inputs!r}
OUTPUTS = {outputs!r}
GATHERED = {gathered!r}
SALT = "a"
SECONDS = {seconds!r}


def _bytes(path):
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return b"".join(file.read_bytes() for file in files if file.is_file() and file.name != ".snakemake_timestamp")


def _digest(params, files, names, extra):
    hasher = hashlib.sha256(f"{{NAME}} {{SALT}} {{extra}}".encode())
    hasher.update(canonical_json(params.model_dump(mode="json")[NAME]).encode())
    for name in names:
        paths = files[name] if isinstance(files[name], list) else [files[name]]
        if name == "metrics_dir":
            paths = sorted(p for p in files[name].glob("*.json") if not p.name.endswith("manifest.json"))
            paths = [p for p in paths if p.stem != "report"]
        for path in paths:
            hasher.update(_bytes(path))
    return hasher.hexdigest()


def _write(path, text):
    if path.name in {folders!r}:
        path.mkdir()
        (path / "train.csv").write_text("step,loss\\n1,0.5\\n" + text)
        (path / "heldout.csv").write_text("step,acceptance_length\\n1,1\\n")
        return
    write_text(path, text)

'''

HASHING = """
def run(params, *, shard=None, scratch=None, **files):
    time.sleep(SECONDS)
    digest = _digest(params, files, [name for name in files if name in INPUTS], shard)
    for name in OUTPUTS:
        size = 4096 if name in ("features", "responses") else 1
        _write(files[name], json.dumps({"stage": NAME, "output": name, "digest": digest * size}) + "\\n")


def gather(params, **files):
    digest = _digest(params, files, [name for name in files if name not in GATHERED], None)
    for name in GATHERED:
        _write(files[name], json.dumps({"stage": NAME, "gathered": digest}) + "\\n")
"""

SELECT = """
def run(params, *, selected, metrics):
    time.sleep(SECONDS)
    lines = []
    for source in params.select_prompts.sources:
        lines += [source.name] + Path(source.path).read_text(encoding="utf-8").splitlines()
    lines.append(canonical_json(params.model_dump(mode="json")[NAME]["seed"]) + SALT)
    write_text(selected, "\\n".join(lines) + "\\n")
    write_text(metrics, json.dumps({"lines": len(lines)}) + "\\n")
"""

FILTER = """
def run(params, *, selected, selection_metrics, clean, metrics, **others):
    time.sleep(SECONDS)
    threshold = params.model_dump(mode="json")[NAME]["seed"]
    kept = [line for line in selected.read_text(encoding="utf-8").splitlines() if "DROP" not in line]
    write_text(clean, "\\n".join([*kept, f"{threshold} {SALT}"]) + "\\n")
    for path in (metrics, *others.values()):
        write_text(path, json.dumps({"kept": len(kept), "salt": SALT}) + "\\n")
"""

SERVING = """
from eyrie.engines.launch import free_port, launch_server  # noqa: E402


def run(params, *, head, clean, cells, metrics, scratch=None, **others):
    root, port = cells.parent / "root", free_port()
    root.mkdir()
    (root / "health").write_text("ok")
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(root)]
    with launch_server(command, port=port, log=cells.parent / "server.log", env={}) as server:
        server.wait_until_healthy(60)
        time.sleep(SECONDS)
    digest = _digest(params, {"head": head, "clean": clean}, ["head", "clean"], None)
    for path in (cells, metrics, *others.values()):
        write_text(path, json.dumps({"digest": digest}) + "\\n")
"""

SUMMARY = '''"""What a light run says at its end."""


def print_summary():
    print("Report: reports/report.html")  # noqa: T201
'''

ORACLE = """
import importlib, os, sys
from pathlib import Path
from eyrie.lineage.layout import STAGES
from eyrie.lineage.verdicts import jobs_of
from eyrie.params import load_params
out = Path(sys.argv[1])
params = load_params(Path("params.yaml"))
here = lambda path: out / path
for name, stage in STAGES.items():
    module = importlib.import_module(f"eyrie.stages.{name}")
    for job in jobs_of(params, name):
        arguments = {}
        for key in job.inputs:
            value = job.argument(key)
            arguments[key] = [here(path) for path in value] if isinstance(value, list) else here(value)
        for key, path in job.outputs.items():
            here(path).parent.mkdir(parents=True, exist_ok=True)
            arguments[key] = here(path)
        if job.shard is not None:
            arguments["shard"] = job.shard
        (module.gather if stage.sharded and job.shard is None else module.run)(params, **arguments)
        for left in (here("reports/benchmark/root"), here("reports/benchmark/server.log")):
            if left.is_dir():
                (left / "health").unlink(); left.rmdir()
            elif left.exists():
                left.unlink()
"""


def make_light_project(folder: Path, target: Path, *, seconds: float = 0.0) -> Path:
    """A project with light stages, a source file of its own, git and DVC. `seconds`: how long each job takes."""
    project = make_project(folder, target, with_dvc=True)
    (project / SOURCE).write_text('{"prompt": "one"}\n{"prompt": "two"}\n' + DROPPED + "\n", encoding="utf-8")
    raw = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    for source in raw["select_prompts"]["sources"]:
        source["path"] = str(SOURCE)
    write_params(project, raw)
    for name, stage in STAGES.items():
        body = {"select_prompts": SELECT, "filter_prompts": FILTER, "benchmark": SERVING}.get(name, HASHING)
        header = HEADER.format(
            name=name,
            inputs=[*stage.inputs],
            outputs=[*stage.outputs],
            gathered=[*stage.gather_outputs],
            folders=FOLDERS,
            seconds=seconds,
        )
        (project / f"src/eyrie/stages/{name}.py").write_text(header + body, encoding="utf-8")
    (project / "src/eyrie/report/summary.py").write_text(SUMMARY, encoding="utf-8")
    return project


def change_code(project: Path, stage: str, salt: str) -> None:
    """Change one line of the stage's module."""
    path = project / f"src/eyrie/stages/{stage}.py"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = [f"SALT = {salt!r}" if line.startswith("SALT = ") else line for line in lines]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def expected_files(project: Path, folder: Path) -> dict[str, str]:
    """path -> sha256 of everything the project's parameters, sources and code make, worked out in `folder`."""
    subprocess.run(
        [sys.executable, "-c", ORACLE, str(folder)],
        cwd=project,
        env=environment_of(project),
        check=True,
        capture_output=True,
        timeout=120,
    )
    return digests_of(folder)


def digests_of(folder: Path) -> dict[str, str]:
    """path -> sha256 of every output file under `folder`: no manifests, nothing of a tool's own."""
    files = {}
    for top in ("data", "models", "reports"):
        for path in sorted((folder / top).rglob("*")):
            own = path.name in (".gitignore", ".snakemake_timestamp") or path.name.endswith(".manifest.json")
            if path.is_file() and not own:
                files[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return files
