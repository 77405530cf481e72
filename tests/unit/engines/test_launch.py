"""Servers as child processes: started, refused with the reason, and gone afterwards whatever happens."""

import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eyrie.engines.launch import free_port, launch_server, server_folder
from eyrie.engines.servers import ServerError

STUB = """
import subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *args):
        pass
if len(sys.argv) > 2:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    open(sys.argv[2], "w").write(str(child.pid))
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def is_gone(pid: int, *, within_s: float = 5.0) -> bool:
    """Has the process ended (a zombie that nobody reaped counts)?"""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_what_a_killed_process_left_of_its_server_goes_when_the_next_one_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log holds the API key."""
    monkeypatch.chdir(tmp_path)
    code = "import os; from eyrie.engines.launch import server_folder\nwith server_folder() as folder:\n"
    code += "    (folder / 'serve.log').write_text('key'); print(folder); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-uc", code], capture_output=True, text=True, check=False)
    left = tmp_path / done.stdout.strip()
    assert (left / "serve.log").is_file()
    elsewhere = left.with_name(f"another-{left.name}")  # a machine that shares the folder
    elsewhere.mkdir()
    (left.parent / f"{socket.gethostname()}-notes").mkdir()  # nobody's
    with server_folder() as folder:
        assert not left.exists()
        assert elsewhere.exists()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


def test_the_server_and_its_children_are_gone_after_an_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # health checks do not go there
    port, child_pid = free_port(), tmp_path / "child"
    command = [sys.executable, "-c", STUB, str(port), str(child_pid)]
    pids = []

    def fail_in_the_middle() -> None:
        with launch_server(command, port=port, log=tmp_path / "log", env={}) as server:
            server.wait_until_healthy(20)
            assert server.base_url == f"http://127.0.0.1:{port}"
            pids.append(server.pid)
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail_in_the_middle()
    assert is_gone(pids[0])
    assert is_gone(int(child_pid.read_text()))


def test_a_server_that_exits_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('out of memory'); raise SystemExit(3)"]
    with (
        pytest.raises(ServerError, match=r"exited with status 3.*\nout of memory"),
        launch_server(command, port=free_port(), log=tmp_path / "log", env={}) as server,
    ):
        server.wait_until_healthy(20)


def test_a_servers_log_is_its_users_alone_and_what_is_shown_of_it_holds_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("EYRIE_API_KEY", 'se"c\\ret')
    monkeypatch.setattr("eyrie.engines.launch._TELL_EVERY_S", 0.1)
    caplog.set_level(logging.INFO)
    says = """import json, os, time; key = os.environ["EYRIE_API_KEY"]
print(f"server_args={dict(api_key=key)} {json.dumps(key)} {key} the end", flush=True); time.sleep(60)"""
    log = tmp_path / "log"
    log.write_text("of an earlier server")
    log.chmod(0o644)
    with (
        pytest.raises(ServerError, match=r"server_args=.*<EYRIE_API_KEY>.* the end") as caught,
        launch_server([sys.executable, "-c", says], port=free_port(), log=log, env={}) as server,
    ):
        server.wait_until_healthy(1.5)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "se" in log.read_text()
    assert "loading for" in caplog.text
    for shown in (str(caught.value), caplog.text):
        assert "ret" not in shown


def test_a_server_that_never_answers_is_killed_and_reported(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"]
    with (
        pytest.raises(ServerError, match=r"did not answer within 1 s"),
        launch_server(command, port=free_port(), log=tmp_path / "log", env={}) as server,
    ):
        server.wait_until_healthy(1)
    assert is_gone(int((tmp_path / "log").read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_killing_the_parent_leaves_no_server(tmp_path: Path) -> None:
    port = free_port()
    program = f"""
import sys, time
from pathlib import Path
from eyrie.engines.launch import launch_server
with launch_server([sys.executable, "-c", {STUB!r}, "{port}"], port={port}, log=Path({str(tmp_path / "log")!r}),
                   env={{}}) as server:
    server.wait_until_healthy(20)
    print(server.pid, flush=True)
    time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    server_pid = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert is_gone(server_pid)


UNTIL_STOPPED = """
import sys, tempfile, time
from eyrie.engines.launch import stop_on_signals
with stop_on_signals(), tempfile.TemporaryDirectory(dir=sys.argv[1]):
    print(flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("before", "sent", "status"),
    [([], [signal.SIGTERM], 143), ([], [signal.SIGHUP], 129), (["nohup"], [signal.SIGHUP, signal.SIGTERM], 143)],
)
def test_a_signal_that_ends_a_command_leaves_no_file_of_it(
    tmp_path: Path, before: list[str], sent: list[signal.Signals], status: int
) -> None:
    command = [*before, sys.executable, "-c", UNTIL_STOPPED, str(tmp_path)]
    # `nohup make test` would have it ignored from the start
    command = ["env", "--default-signal=HUP", *command]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert [*tmp_path.iterdir()]
        for number in sent:
            process.send_signal(number)
            time.sleep(0.5)
        assert process.wait(10) == status
    assert not [*tmp_path.iterdir()]
