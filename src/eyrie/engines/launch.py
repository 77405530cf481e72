"""Servers as child processes: started, waited for, and always gone afterwards.

A server runs in its own process group with its output in a log file. The group is killed when the context ends, for
whatever reason; should this process die without a chance to do so, the kernel sends the server SIGKILL.
"""

import contextlib
import http.client
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from eyrie.children import die_with
from eyrie.engines.servers import ServerError, open_directly, without_key

logger = logging.getLogger(__name__)

_TAIL_LINES = 12
_TELL_EVERY_S = 20.0


@dataclass(frozen=True)
class Server:
    """A server process; `wait_until_healthy` before using it."""

    base_url: str
    process: subprocess.Popen[bytes] | None  # None: it was not launched here
    log: Path | None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def wait_until_healthy(self, timeout_s: float, explain: Callable[[str], str | None] = lambda _log: None) -> None:
        """Return once `/health` answers; while it does not, the log's last line is repeated now and then.

        Raises ServerError when the process exits first or `timeout_s` pass: the sentence that `explain` finds in the
        log, if any, and the end of the log.
        """
        started, told = time.monotonic(), time.monotonic()
        health = f"{self.base_url}/health"
        while self.process is None or self.process.poll() is None:
            with (
                contextlib.suppress(OSError, http.client.HTTPException),
                open_directly(health, 2.0),
            ):
                return
            if time.monotonic() > started + timeout_s:
                raise ServerError(f"{health} did not answer within {timeout_s:g} s{self._why(explain)}")
            if time.monotonic() > told + _TELL_EVERY_S:
                told = time.monotonic()
                logger.info("loading for %.0f s: %s", told - started, _tail(self.log, 1))
            time.sleep(0.05)
        code = self.process.returncode
        ended = f"was killed by signal {-code}" if code < 0 else f"exited with status {code}"
        raise ServerError(f"the server {ended}{self._why(explain)}")

    def _why(self, explain: Callable[[str], str | None]) -> str:
        if self.log is None:
            return ""
        sentence = explain(self.log.read_text(encoding="utf-8", errors="replace"))
        return (f": {without_key(sentence)}" if sentence else "") + f"; its log ends:\n{_tail(self.log)}"


@contextlib.contextmanager
def server_folder() -> Iterator[Path]:
    """A folder for a server's log and key that only this user can read. What processes of this machine that were killed
    have left there goes first."""
    top, host = Path(".eyrie/servers"), socket.gethostname()
    top.mkdir(parents=True, exist_ok=True)
    folder = top / f"{host}-{os.getpid()}"
    for left in top.iterdir():
        owner, _, process = left.name.rpartition("-")
        if left == folder or (owner == host and process.isdecimal() and not psutil.pid_exists(int(process))):
            shutil.rmtree(left, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port that was free a moment ago, on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def launch_server(command: Sequence[str], *, port: int, log: Path, env: Mapping[str, str]) -> Iterator[Server]:
    """Run `command`, which will listen on `port` of loopback, with `env` added to this process's environment until the
    context ends. Yields at once, so that several servers can load side by side.

    Only this user can read `log`: SGLang writes its arguments there, the API key among them.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
        process = subprocess.Popen(  # noqa: S603 - an argument list that Eyrie made
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env},
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),  # noqa: PLW1509 - one prepared call into libc, no lock is taken
        )
    try:
        yield Server(f"http://127.0.0.1:{port}", process, log)
    finally:
        _kill_group(process)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP (of a terminal that closes) into SystemExit, so that contexts stop servers and remove
    files with keys. What nohup ignores stays ignored."""
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in previous.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _tail(log: Path | None, num_lines: int = _TAIL_LINES) -> str:
    if log is None:
        return "no answer yet"
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return without_key("\n".join(lines[-num_lines:]))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the server's group and to descendants that left it."""
    strays = []
    with contextlib.suppress(psutil.NoSuchProcess):
        strays = psutil.Process(process.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for stray in strays:
        with contextlib.suppress(psutil.NoSuchProcess):
            stray.kill()
    process.wait()
