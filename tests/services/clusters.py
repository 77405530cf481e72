"""HTTP APIs that take jobs and really run them, as processes here: the part of Kubernetes' and of Google Batch's that
Snakemake's plug-ins use. A job gets nothing of the caller's environment; what it needs must be in its command.
"""

import json
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Cluster(ABC):
    """Jobs that were sent. `image`: variables that a container image would set; `folder`: where jobs begin."""

    folder: Path
    image: dict[str, str]
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: list[dict[str, Any]] = field(default_factory=list)
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    port: int = 0

    def start(self, name: str, job: dict[str, Any], command: list[str]) -> None:
        self.jobs[name] = job
        with (self.folder / f"{name}.log").open("wb") as log:
            environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.folder), **self.image}
            self.processes[name] = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )

    def exit_code(self, name: str) -> int | None:
        return self.processes[name].poll()

    @abstractmethod
    def answer(self, method: str, path: list[str], query: dict[str, list[str]], body: Any) -> Any:
        """The API's answer, None for what is not there."""


class Kubernetes(Cluster):
    def answer(self, method: str, path: list[str], query: dict[str, list[str]], body: Any) -> Any:
        match method, path:
            case "POST", ["api", "v1", "namespaces", _, "secrets"]:
                self.secrets.append(body)
                return body
            case "POST", ["apis", "batch", "v1", "namespaces", _, "jobs"]:
                container = body["spec"]["template"]["spec"]["containers"][0]
                self.start(body["metadata"]["name"], body, [*container["command"], *container["args"]])
                return body
            case "GET", ["apis", "batch", "v1", "namespaces", _, "jobs", name, "status"]:
                code = self.exit_code(name)
                state = "active" if code is None else "failed" if code else "succeeded"
                return {**self.jobs[name], "status": {state: 1}}
            case "GET", ["api", "v1", "namespaces", _, "pods"]:
                return {"kind": "PodList", "items": []}
            case "DELETE", _:
                return {"kind": "Status", "status": "Success"}
        return None

    def kubeconfig(self) -> dict[str, Any]:
        """What a client needs to reach it."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }


class GoogleBatch(Cluster):
    def answer(self, method: str, path: list[str], query: dict[str, list[str]], body: Any) -> Any:
        match method, path:
            case "POST", ["v1", "projects", project, "locations", region, "jobs"]:
                name = query["jobId"][0]
                container = body["taskGroups"][0]["taskSpec"]["runnables"][-1]["container"]
                self.start(name, body, [container["entrypoint"], *container["commands"]])
                return {**body, "name": f"projects/{project}/locations/{region}/jobs/{name}", "uid": name}
            case "GET", ["v1", "projects", _, "locations", _, "jobs", name]:
                code = self.exit_code(name)
                state = "RUNNING" if code is None else "FAILED" if code else "SUCCEEDED"
                return {"name": "/".join(path[1:]), "uid": name, "status": {"state": state}}
        return None


@contextmanager
def serving(cluster: Cluster) -> Iterator[Cluster]:
    """Listen on loopback; at the end no job is left."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            found = cluster.answer(self.command, url.path.strip("/").split("/"), parse_qs(url.query), body)
            text = json.dumps(found if found is not None else {"message": f"no {self.path}"}).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cluster.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        for process in cluster.processes.values():
            process.kill()
            process.wait()
