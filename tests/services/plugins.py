"""Executor plug-ins that the development environment does not hold, laid over it from their lock.

In the environment itself every Snakemake would import them (Slurm's brings pandas: a third of the time that Snakemake
takes to start), and Google Batch's wants other versions of what is there.
"""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

# profile -> the lock with its plug-in
LOCKS = {"slurm": "cluster.lock", "kubernetes": "cluster.lock", "googlebatch": "googlebatch.lock"}


def lay_over(lock: str, folder: Path) -> Path:
    """Install what the lock has and the environment has not, by hash. Returns the folder for PYTHONPATH."""
    text = (REPOSITORY / "requirements" / lock).read_text(encoding="utf-8")
    entries = re.findall(r"^([a-z0-9._-]+)==(\S+) ((?:.*\\\n)*.*\n)", text, re.MULTILINE)
    installed = {entry.name.lower().replace("_", "-"): entry.version for entry in metadata.distributions()}
    missing = [f"{name}=={version} {rest}" for name, version, rest in entries if installed.get(name) != version]
    folder.mkdir()
    (folder / "missing.lock").write_text("".join(missing), encoding="utf-8")
    command = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(folder / "packages"))
    done = subprocess.run(
        (*command, "--no-deps", "--require-hashes", "-r", str(folder / "missing.lock")),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"the plug-ins of {lock} cannot be installed here: {done.stderr.strip()[-300:]}")
    return folder / "packages"
