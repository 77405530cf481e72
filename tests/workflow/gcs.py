"""A Google Cloud Storage emulator on loopback, over HTTP, its objects as files that a test can look at and damage.

gcp-storage-emulator, with two of its habits corrected to what the service does: `email.parser` drops a final 0x0d of
an upload whose parts are separated by a bare newline, as gcsfs sends them; and a body that ends before its announced
length is stored as if it were whole. `hold` lets a test stop an upload in the middle: the first body of more than
HOLD_AFTER bytes waits, half read, until the file `release` appears in the folder of objects.

Run by tests as `python -m tests.workflow.gcs PORT BUCKET FOLDER [hold]`.
"""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcp_storage_emulator import server as emulator

from eyrie.engines.launch import free_port

HOLD_AFTER = 1_000_000
BUCKET = "eyrie-tests"


@dataclass(frozen=True)
class Storage:
    """A running emulator: `objects` holds the bucket's objects as files."""

    url: str
    folder: Path

    @property
    def objects(self) -> Path:
        return self.folder / ".cloudstorage" / BUCKET

    @property
    def held(self) -> Path:
        return self.folder / "held"

    @property
    def release(self) -> Path:
        return self.folder / "release"


@contextmanager
def storage(folder: Path, *, hold: bool = False) -> Iterator[Storage]:
    """An emulator with an empty bucket, or with what an earlier one left in `folder`."""
    port = free_port()
    command = [sys.executable, "-m", "tests.workflow.gcs", str(port), BUCKET, str(folder), *(["hold"] if hold else [])]
    with (folder.parent / "gcs.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=Path(__file__).parent.parent.parent)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            with suppress(OSError), urllib.request.urlopen(f"{url}/storage/v1/b/{BUCKET}", timeout=1):
                break
            time.sleep(0.1)
        yield Storage(url, folder)
    finally:
        process.kill()
        process.wait()


def _read_raw(handler: Any) -> bytes | None:
    length = handler.headers.get("Content-Length")
    if length is None:
        return _raw(handler)
    wanted, head = int(length), b""
    if _HOLD and wanted > HOLD_AFTER and not (_FOLDER / "held").exists():
        head = handler.rfile.read(HOLD_AFTER)
        (_FOLDER / "held").touch()
        while not (_FOLDER / "release").exists():
            time.sleep(0.05)
    body = head + handler.rfile.read(wanted - len(head))
    if len(body) < wanted:
        raise ConnectionError(f"the body ended after {len(body)} of {wanted} bytes")
    return body


def _read_data(handler: Any, query: Any) -> Any:
    kind = handler.headers.get("Content-Type") or ""
    if not kind.startswith("multipart/related"):
        return _data(handler, query)
    raw = emulator._decode_raw_data(_read_raw(handler), handler)
    boundary = re.search(r'boundary="?([^";]+)', kind)
    assert raw is not None
    assert boundary is not None
    mark = b"--" + boundary[1].encode()
    after = raw.index(mark) + len(mark)
    newline = b"\r\n" if raw[after : after + 2] == b"\r\n" else b"\n"
    between = raw.index(newline + mark, after)
    _, meta = raw[after:between].split(newline * 2, 1)
    head, content = raw[between + len(newline + mark) : raw.rindex(newline + mark)].split(newline * 2, 1)
    named = re.search(rb"(?i)content-type:\s*([^\r\n;]+)", head)
    return {
        "meta": json.loads(meta),
        "content": content,
        "content-type": named[1].decode() if named else "application/octet-stream",
    }


if __name__ == "__main__":
    _raw, _data = emulator._read_raw_data, emulator._read_data
    _FOLDER, _HOLD = Path(sys.argv[3]), "hold" in sys.argv[4:]
    emulator._read_raw_data, emulator._read_data = _read_raw, _read_data
    _FOLDER.mkdir(parents=True, exist_ok=True)
    emulator.create_server("127.0.0.1", int(sys.argv[1]), default_bucket=sys.argv[2], data_dir=str(_FOLDER)).run()
