"""A Hugging Face hub on a loopback port: repositories from a folder, in the hub's own layout of addresses.

In: a folder `<owner>/<name>/files...`, each repository a dataset and a model. Out: an HTTP server; set HF_ENDPOINT to
its address before huggingface_hub is imported. Every repository has one commit, COMMIT. Requests are noted in
`requests`, and what is in `barred` is refused.
"""

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves on a free port; `address` is what HF_ENDPOINT wants."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.requests: list[str] = []
        self.barred: dict[str, int] = {}  # end of a path -> the status that it is refused with

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        parts = self._parts()
        if len(parts) == 6 and parts[:2] == ["api", "datasets"] and parts[4] == "paths-info" and parts[5] == COMMIT:
            json_body = self.headers.get("Content-Type", "").startswith("application/json")
            paths = json.loads(body)["paths"] if json_body else parse_qs(body)["paths"]
            entries = [_entry(path, self._repository(parts)) for path in paths]
            self._send_json([entry for entry in entries if entry is not None])
        else:
            self._refuse("RepoNotFound")

    def _parts(self) -> list[str]:
        self.server.requests.append(f"{self.command} {self.path}")
        return [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]

    def _repository(self, parts: list[str]) -> Path:
        return self.server.folder / parts[2] / parts[3]

    def _answer(self, *, with_body: bool) -> None:
        parts = self._parts()
        for end, status in self.server.barred.items():
            if urlsplit(self.path).path.endswith(end):
                self._send(b"{}", status, {}, with_body=with_body)
                return
        if parts[0] not in ("api", "datasets"):  # a model's files have no kind before its name
            parts = ["models", *parts]
        if parts[0] == "api" and len(parts) >= 4:
            self._describe(parts)
        elif len(parts) >= 6 and parts[3] == "resolve":
            repository = self.server.folder / parts[1] / parts[2]
            path = repository.joinpath(*parts[5:])
            if parts[4] != COMMIT:
                self._refuse("RevisionNotFound")
            elif not path.is_file():
                self._refuse("EntryNotFound")
            else:
                self._send_file(path, with_body=with_body)
        else:
            self._refuse("RepoNotFound")

    def _describe(self, parts: list[str]) -> None:
        repository = self._repository(parts)
        if not repository.is_dir():
            self._refuse("RepoNotFound")
        elif len(parts) > 5 and parts[5] != COMMIT:
            self._refuse("RevisionNotFound")
        elif len(parts) > 4 and parts[4] == "tree":
            below = repository.joinpath(*parts[6:])
            found = sorted(below.rglob("*") if "recursive=true" in self.path.lower() else below.glob("*"))
            if not below.is_dir():
                self._refuse("EntryNotFound")
                return
            self._send_json([_entry(path.relative_to(repository).as_posix(), repository) for path in found])
        else:
            names = sorted(path.relative_to(repository).as_posix() for path in repository.rglob("*") if path.is_file())
            self._send_json(
                {
                    "id": f"{parts[2]}/{parts[3]}",
                    "sha": COMMIT,
                    "private": False,
                    "gated": False,
                    "disabled": False,
                    "downloads": 0,
                    "likes": 0,
                    "tags": [],
                    "siblings": [{"rfilename": name} for name in names],
                }
            )

    def _send_file(self, path: Path, *, with_body: bool) -> None:
        data, status, content_range = path.read_bytes(), 200, None
        total = len(data)
        wanted = self.headers.get("Range", "").removeprefix("bytes=")
        if wanted and with_body:
            first, _, last = wanted.partition("-")
            start, end = int(first or 0), min(int(last or total - 1), total - 1)
            data, status, content_range = data[start : end + 1], 206, f"bytes {start}-{end}/{total}"
        headers = {
            "ETag": f'"{hashlib.sha256(path.read_bytes()).hexdigest()}"',
            "X-Repo-Commit": COMMIT,
            "Accept-Ranges": "bytes",
        }
        if content_range:
            headers["Content-Range"] = content_range
        self._send(data, status, headers, with_body=with_body)

    def _send_json(self, value: Any) -> None:
        self._send(json.dumps(value).encode(), 200, {"Content-Type": "application/json"}, with_body=True)

    def _refuse(self, code: str) -> None:
        self._send(b"{}", 404, {"X-Error-Code": code, "X-Error-Message": code}, with_body=self.command != "HEAD")

    def _send(self, data: bytes, status: int, headers: dict[str, str], *, with_body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(data)


def _entry(path: str, repository: Path) -> dict[str, Any] | None:
    target = repository / path
    if target.is_dir():
        return {"type": "directory", "path": path, "oid": "0" * 40, "size": 0}
    if not target.is_file():
        return None
    return {"type": "file", "path": path, "oid": "0" * 40, "size": target.stat().st_size}
