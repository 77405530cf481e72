"""One real server of the reference engine without a head, shared by the tests of this folder."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eyrie.engines.launch import Server, free_port, launch_server


@pytest.fixture(scope="session")
def server(tiny_target: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port, log = free_port(), tmp_path_factory.mktemp("bench-server") / "log"
    command = [sys.executable, "-m", "eyrie.engines.reference", "--model", str(tiny_target), "--port", str(port)]
    command += ["--dtype", "float32", "--device", "cpu", "--threads", "1", "--max-running-requests", "3"]
    with launch_server([*command, "--template-date", "2026-01-01"], port=port, log=log, env={}) as running:
        running.wait_until_healthy(120)
        yield running
