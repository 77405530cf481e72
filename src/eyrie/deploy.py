"""`eyrie deploy --to docker|kubernetes|vertex --out DIR`: files for a platform to serve by; nothing is sent anywhere.

In: what `eyrie serve` would serve. Out: a Dockerfile (the image holds the head, and a target that is a folder) and,
for the other two, a manifest that names the image built from it. The image's entry point (`start_with_key.py`) reads
the API key from a mounted file and starts nothing without one; no key is written here. Vertex AI checks callers itself,
so its container has none. Schemas: kubernetes apps/v1 Deployment and v1 Service; Vertex AI v1 models.upload.
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import yaml

from eyrie.eagle3.checkpoint import check_head
from eyrie.engines.serving import server_command
from eyrie.engines.sglang_targets import check_can_draft
from eyrie.engines.spec import ServerSpec
from eyrie.engines.target import load_config
from eyrie.io import write_text
from eyrie.params import SglangServer

Platform = Literal["docker", "kubernetes", "vertex"]

SGLANG_IMAGE = "lmsysorg/sglang:v0.5.23"
PORT = 30000
KEY_FILE = "/run/secrets/eyrie/api-key"
_USER = 10001
_ENTRY = "/opt/eyrie/start_with_key.py"
_PROBE_S = 10
_START_S = 1800  # loading weights and capturing CUDA graphs
_DRAIN_S = 300  # told to end, SGLang finishes the answers under way; Kubernetes alone would wait for 30
# Of a Service's name, the strictest of those in the manifest: an RFC 1035 label.
_KUBERNETES_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_IMAGE = re.compile(
    r"([a-zA-Z0-9_.-]+(:[a-zA-Z0-9_.-]+)?/)*[a-zA-Z0-9_.-]+(:[\w.-]{1,128}|@sha256:[0-9a-f]{64})", re.ASCII
)
_HEALTH_COMMAND = ["curl", "--fail", "--silent", f"http://127.0.0.1:{PORT}/health"]


def check_head_fits(spec: ServerSpec, settings: SglangServer) -> None:
    """What `eyrie serve` checks before it starts, for a target that is here: one on the hub may not be.

    Raises CheckpointError, TargetError, ServerError.
    """
    if spec.head is not None and Path(spec.target.model).is_dir():
        config = load_config(spec.target)
        check_can_draft(config.architectures)
        check_head(spec.head, config.get_text_config(), context_length=settings.context_length)


def write_deployment(
    spec: ServerSpec, settings: SglangServer, *, platform: Platform, image: str, name: str, out: Path
) -> list[Path]:
    """Write the files and return their paths. Raises OSError, and ValueError for a name or a path that will not do."""
    if platform == "kubernetes" and not _KUBERNETES_NAME.fullmatch(name):
        raise ValueError(
            f"--name: {name!r} is no name that Kubernetes takes: at most 63 lower-case letters, digits and hyphens, "
            "a letter first and no hyphen last"
        )
    if not _IMAGE.fullmatch(image):
        raise ValueError(f"--image: {image!r} is no image with a tag or a digest, as in registry/eyrie:1")
    arguments = container_arguments(spec, settings)
    documents = {"Dockerfile": dockerfile(spec, arguments)}
    if platform == "kubernetes":
        on_hub = not Path(spec.target.model).is_dir()
        manifest = kubernetes_manifest(arguments, image=image, name=name, gpus=settings.num_gpus, on_hub=on_hub)
        documents["serving.yaml"] = yaml.safe_dump_all(manifest, sort_keys=False)
    elif platform == "vertex":
        body = vertex_model(arguments, image=image, name=name)
        documents["model.json"] = json.dumps(body, indent=2) + "\n"
    for file, text in documents.items():
        write_text(out / file, text)
    return [out / file for file in documents]


def container_arguments(spec: ServerSpec, settings: SglangServer) -> list[str]:
    """The tuned command as the container runs it: its own Python and devices, paths in the image, all interfaces."""
    spec = replace(spec, target=spec.target.model_copy(update={"device": "auto"}))
    inside = settings.model_copy(update={"host": "0.0.0.0", "port": PORT})  # noqa: S104 - of the container
    command = server_command(spec, engine="sglang", settings=inside, port=PORT)
    paths = {str(spec.head): "/models/head"}
    if Path(spec.target.model).is_dir():
        paths[spec.target.model] = "/models/target"
    if spec.target.chat_template is not None:
        paths[spec.target.chat_template] = "/models/chat_template.jinja"
    return ["python3", *(paths.get(word, word) for word in command[1:])]


def dockerfile(spec: ServerSpec, arguments: list[str]) -> str:
    """Built from the repository's root: `docker build -f DIR/Dockerfile .`"""
    copies = [("src/eyrie/start_with_key.py", _ENTRY)]
    if spec.head is not None:
        copies.append((_in_context("the head", str(spec.head)), "/models/head"))
    if Path(spec.target.model).is_dir():
        copies.append((_in_context("target.model", spec.target.model), "/models/target"))
    if spec.target.chat_template is not None:
        template = _in_context("target.chat_template", spec.target.chat_template)
        copies.append((template, "/models/chat_template.jinja"))
    lines = [f"FROM {SGLANG_IMAGE}", f"RUN useradd --create-home --uid {_USER} eyrie"]
    lines += [f"COPY --chown={_USER}:{_USER} {json.dumps([source, target])}" for source, target in copies]
    lines += [f"USER {_USER}", f"EXPOSE {PORT}"]
    often = f"--interval={_PROBE_S}s --timeout=5s --start-period={_START_S}s --retries=3"
    lines += [f"HEALTHCHECK {often} CMD {json.dumps(_HEALTH_COMMAND)}"]
    lines += [f"ENTRYPOINT {json.dumps(_keyed(arguments))}"]
    return "\n".join(lines) + "\n"


def _in_context(what: str, path: str) -> str:
    """`path` as COPY takes it, from the folder that the image is built from. Raises ValueError."""
    real = Path(path).resolve()  # COPY does not follow a link, and keeps those inside a folder
    if not real.is_relative_to(Path.cwd()):
        raise ValueError(
            f"{what}: {path} is outside this folder, from which the image is built; copy it into this folder and name "
            "the copy"
        )
    if any(item.is_symlink() for item in real.rglob("*")):
        raise ValueError(
            f"{what}: {path} holds links to files that the image would not have; `dvc unprotect {path}` puts files in "
            "the place of DVC's links, `cp -rL` makes a copy without any"
        )
    if re.search(r"[*?\[\\$]", str(real.relative_to(Path.cwd()))):
        raise ValueError(f"{what}: {path} holds one of * ? [ \\ $, with which Docker means other files; rename it")
    return real.relative_to(Path.cwd()).as_posix()


def _keyed(arguments: list[str]) -> list[str]:
    return ["python3", _ENTRY, KEY_FILE, *arguments]


def kubernetes_manifest(
    arguments: list[str], *, image: str, name: str, gpus: int, on_hub: bool
) -> list[dict[str, Any]]:
    """A Deployment and a Service. The key is in the secret `<name>-api-key` under `api-key`, which you create; a
    target `on_hub` that is gated needs a token, in `<name>-hf-token` under `token`."""
    labels, words = {"app.kubernetes.io/name": name}, _keyed(arguments)
    folder, _, file = KEY_FILE.rpartition("/")
    probe: dict[str, Any] = {
        "httpGet": {"path": "/health", "port": "http"},
        "periodSeconds": _PROBE_S,
        "timeoutSeconds": 5,
    }
    container: dict[str, Any] = {
        "name": "sglang",
        "image": image,
        "command": words[:1],
        "args": words[1:],
        "ports": [{"name": "http", "containerPort": PORT}],
        "startupProbe": {**probe, "failureThreshold": _START_S // _PROBE_S},
        "readinessProbe": probe,
        "livenessProbe": {**probe, "failureThreshold": 6},
        "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "api-key", "mountPath": folder, "readOnly": True},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - PyTorch's between processes
        ],
    }
    if on_hub:
        token = {"name": f"{name}-hf-token", "key": "token", "optional": True}
        container["env"] = [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": token}}]
    secret = {"key": "api-key", "path": file}
    pod = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": _DRAIN_S,
        # as the first process of its own namespace a server that still loads would not hear the signal to end
        "shareProcessNamespace": True,
        "containers": [container],
        "volumes": [
            {"name": "api-key", "secret": {"secretName": f"{name}-api-key", "items": [secret], "defaultMode": 0o440}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}},
        ],
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "Recreate"},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }
    return [json.loads(json.dumps(document)) for document in (deployment, service)]  # no YAML anchors


def vertex_model(arguments: list[str], *, image: str, name: str) -> dict[str, Any]:
    """The body of `projects.locations.models.upload`."""
    return {
        "model": {
            "displayName": name,
            "containerSpec": {
                "imageUri": image,
                "command": arguments[:1],
                "args": arguments[1:],
                "ports": [{"containerPort": PORT}],
                "predictRoute": "/v1/chat/completions",
                "healthRoute": "/health",
                "sharedMemorySizeMb": "16384",
                "deploymentTimeout": f"{2 * _START_S}s",  # with the time to fetch the image
                "startupProbe": {
                    "exec": {"command": _HEALTH_COMMAND},
                    "periodSeconds": _PROBE_S,
                    "timeoutSeconds": 5,
                    "failureThreshold": _START_S // _PROBE_S,
                },
            },
        }
    }
