"""Files for platforms: they fit the public schemas, hold no secret, run as nobody and start what was tuned."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import yaml
from kubernetes.client import ApiClient
from typer.testing import CliRunner

from eyrie.cli import app
from eyrie.deploy import KEY_FILE, SGLANG_IMAGE, write_deployment
from eyrie.engines.servers import ServerError
from eyrie.engines.serving import EngineName
from eyrie.engines.spec import ServerSpec
from eyrie.io import path_digest
from eyrie.params import Drafting
from eyrie.schemas import SchemaError
from eyrie.serve import Choice, choose, curl_line, shown_command
from tests.conftest import REPOSITORY, raw_params, tiny_params

SHAPE = Drafting(num_steps=4, topk=2, num_draft_tokens=7)
SECRET = "sk-should-not-appear"


@pytest.fixture
def spec(copy_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServerSpec:
    """With paths as params and the workflow name them: from the folder that the image is built from."""
    monkeypatch.setenv("EYRIE_API_KEY", SECRET)
    monkeypatch.chdir(tmp_path)
    return ServerSpec("serve", tiny_params(Path(copy_target.name)).target, Path("models/head"), SHAPE, 8, None)


def written(spec: ServerSpec, platform: Any, out: Path, name: str = "eagle") -> dict[str, str]:
    settings = tiny_params(Path("x")).benchmark.sglang.model_copy(update={"tp_size": 2})
    paths = write_deployment(spec, settings, platform=platform, image="registry/eyrie:7", name=name, out=out)
    texts = {path.name: path.read_text() for path in paths}
    assert SECRET not in "".join(texts.values())
    return texts


def as_schema(document: dict[str, Any], kind: str) -> Any:
    """Through the Kubernetes client's own models, generated from the public schema, and back: fields that the schema
    does not have are lost on the way, required ones that are missing are refused."""
    client = ApiClient()
    model = client.deserialize(SimpleNamespace(data=json.dumps(document)), kind)
    return client.sanitize_for_serialization(model)


def test_the_kubernetes_manifest_fits_the_schema(spec: ServerSpec, tmp_path: Path) -> None:
    deployment, service = yaml.safe_load_all(written(spec, "kubernetes", tmp_path)["serving.yaml"])
    assert as_schema(deployment, "V1Deployment") == deployment
    assert as_schema(service, "V1Service") == service
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    words = [*container["command"], *container["args"]]
    assert words[:4] == ["python3", "/opt/eyrie/start_with_key.py", KEY_FILE, "python3"]
    assert "--api-key" not in words
    secret = next(volume["secret"] for volume in pod["volumes"] if "secret" in volume)
    mount = next(mount for mount in container["volumeMounts"] if mount["name"] == "api-key")
    assert secret["secretName"] == "eagle-api-key"
    assert f"{mount['mountPath']}/{secret['items'][0]['path']}" == KEY_FILE
    assert "--speculative-num-draft-tokens 7" in " ".join(container["args"])
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]


def test_a_pod_that_is_told_to_end_finishes_its_answers_or_ends_at_once_while_it_loads(
    spec: ServerSpec, tmp_path: Path
) -> None:
    deployment, _ = yaml.safe_load_all(written(spec, "kubernetes", tmp_path)["serving.yaml"])
    pod = deployment["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 300
    assert pod["shareProcessNamespace"]


def test_a_target_on_the_hub_may_have_a_token_from_a_secret(spec: ServerSpec, tmp_path: Path) -> None:
    def container(of: ServerSpec) -> dict[str, Any]:
        deployment, _ = yaml.safe_load_all(written(of, "kubernetes", tmp_path)["serving.yaml"])
        assert as_schema(deployment, "V1Deployment") == deployment
        found: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
        return found

    (variable,) = container(replace(spec, target=spec.target.model_copy(update={"model": "org/gated"})))["env"]
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "eagle-hf-token", "key": "token", "optional": True}
    assert "env" not in container(spec)


def test_a_field_that_kubernetes_does_not_have_would_be_noticed(spec: ServerSpec, tmp_path: Path) -> None:
    deployment, _ = yaml.safe_load_all(written(spec, "kubernetes", tmp_path)["serving.yaml"])
    deployment["spec"]["replica"] = 1
    assert as_schema(deployment, "V1Deployment") != deployment


def test_the_image_is_pinned_and_runs_as_nobody_with_paths_of_its_own(spec: ServerSpec, tmp_path: Path) -> None:
    text = written(spec, "docker", tmp_path)["Dockerfile"]
    lines = text.splitlines()
    assert lines[0] == f"FROM {SGLANG_IMAGE}"
    assert all(re.match(r"(FROM|RUN|COPY|USER|EXPOSE|HEALTHCHECK|ENTRYPOINT) ", line) for line in lines)
    assert "USER 10001" in lines
    entry = json.loads(lines[-1].removeprefix("ENTRYPOINT "))
    assert entry[:4] == ["python3", "/opt/eyrie/start_with_key.py", KEY_FILE, "python3"]
    assert "--model-path /models/target" in " ".join(entry)
    assert "--speculative-draft-model-path /models/head" in " ".join(entry)
    assert str(spec.head) not in entry
    copies = [json.loads(line.partition(" --chown=10001:10001 ")[2]) for line in lines if line.startswith("COPY ")]
    assert copies[0] == ["src/eyrie/start_with_key.py", entry[1]]
    assert (REPOSITORY / copies[0][0]).is_file()


def test_what_the_image_holds_is_copied_from_the_folder_it_is_built_from(
    spec: ServerSpec, tiny_target: Path, tmp_path: Path
) -> None:
    def with_target(**changes: str) -> ServerSpec:
        return replace(spec, target=spec.target.model_copy(update=changes))

    (tmp_path / "mine.jinja").touch()
    inside = with_target(model=str(tmp_path / "target"), chat_template=str(tmp_path / "mine.jinja"))
    text = written(inside, "docker", tmp_path / "out")["Dockerfile"]
    assert 'COPY --chown=10001:10001 ["target", "/models/target"]' in text
    assert 'COPY --chown=10001:10001 ["mine.jinja", "/models/chat_template.jinja"]' in text
    assert str(tmp_path) not in text
    (tmp_path / "link").symlink_to(tiny_target)  # Docker would not follow it
    (tmp_path.parent / "outside.jinja").touch()
    for key, path in (("model", str(tiny_target)), ("model", "link"), ("chat_template", "../outside.jinja")):
        with pytest.raises(ValueError, match=rf"^target\.{key}: {re.escape(path)} is outside this folder, .* copy it"):
            written(with_target(**{key: path}), "docker", tmp_path / "none")
    (tmp_path / "target/linked.json").symlink_to("config.json")  # as DVC links what is cached on another disk
    with pytest.raises(ValueError, match=r"^target\.model: target holds links .*`dvc unprotect target` .*`cp -rL`"):
        written(with_target(model="target"), "docker", tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["My Serving", "Eagle", "eagle_3", "-eagle", "eagle-", "3eagle", "", "a" * 64, "a\n"])
def test_a_name_that_kubernetes_would_refuse_is_refused_here(spec: ServerSpec, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"^--name: .* is no name that Kubernetes takes: "):
        written(spec, "kubernetes", tmp_path / "none", name)
    assert not (tmp_path / "none").exists()
    assert json.loads(written(spec, "vertex", tmp_path, name)["model.json"])["model"]["displayName"] == name


def test_the_image_starts_with_the_key_of_a_mounted_file_in_a_private_file_or_not_at_all(tmp_path: Path) -> None:
    key = tmp_path / "api-key"
    show = (
        "import json, os, sys; path = sys.argv[2]\n"
        "print(json.dumps([sys.argv[1], oct(os.stat(path).st_mode), open(path).read()]))"
    )

    def start() -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(REPOSITORY / "src/eyrie/start_with_key.py"), str(key)]
        environment = {"TMPDIR": str(tmp_path), "PATH": ""}
        return subprocess.run([*command, sys.executable, "-c", show], env=environment, capture_output=True, text=True)

    for content, says in ((None, "No such file"), (b" \n", "is empty"), (b"\xff", "is not UTF-8")):
        if content is not None:
            key.write_bytes(content)
        done = start()
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(str(key))
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1
    key.write_text(f'{SECRET}"#\n')
    flag, mode, config = json.loads(start().stdout)
    assert (flag, mode, yaml.safe_load(config)) == ("--config", "0o100600", {"api-key": f'{SECRET}"#'})


def test_the_vertex_model_names_its_routes_and_no_key(spec: ServerSpec, tmp_path: Path) -> None:
    container = json.loads(written(spec, "vertex", tmp_path)["model.json"])["model"]["containerSpec"]
    assert (container["healthRoute"], container["predictRoute"]) == ("/health", "/v1/chat/completions")
    assert "--api-key" not in container["args"]
    assert KEY_FILE not in container["args"]
    assert container["imageUri"] == "registry/eyrie:7"


def test_the_vertex_model_fits_the_public_schema(spec: ServerSpec, tmp_path: Path) -> None:
    schema = json.loads((Path(__file__).parent / "schemas/vertex_models_upload.json").read_text())
    body = json.loads(written(spec, "vertex", tmp_path)["model.json"])
    jsonschema.validate(body, schema)
    body["model"]["containerSpec"]["healthPath"] = "/health"
    with pytest.raises(jsonschema.ValidationError, match="healthPath"):
        jsonschema.validate(body, schema)


def test_a_baseline_has_no_head_in_it(spec: ServerSpec, tmp_path: Path) -> None:
    text = written(replace(spec, head=None, drafting=None), "docker", tmp_path)["Dockerfile"]
    assert "/models/head" not in text
    assert "speculative" not in text


def test_serve_prints_the_command_and_never_the_key(spec: ServerSpec) -> None:
    params = tiny_params(Path(spec.target.model))
    assert shown_command(params, spec, engine="sglang").endswith('--api-key "${EYRIE_API_KEY:?}"')
    assert SECRET not in shown_command(params, spec, engine="sglang") + curl_line("http://a", "m")


def test_the_reference_engine_is_printed_without_sglangs_port(spec: ServerSpec) -> None:
    settings = raw_params()["benchmark"]["sglang"] | {"port": 31234}
    params = tiny_params(Path(spec.target.model), benchmark={"sglang": settings})
    assert "--port 31234" in shown_command(params, spec, engine="sglang")
    assert shown_command(params, spec, engine="reference").endswith("--port 30000")


def test_an_open_host_is_not_served_without_a_key(spec: ServerSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    params = tiny_params(Path(spec.target.model), benchmark={"sglang": _open_settings()})
    assert "--host 0.0.0.0" in shown_command(params, spec, engine="sglang")
    monkeypatch.setenv("EYRIE_API_KEY", "")
    with pytest.raises(ServerError, match=r"host 0\.0\.0\.0 is open to other machines and EYRIE_API_KEY holds no key"):
        shown_command(params, spec, engine="sglang")


def _open_settings() -> dict[str, Any]:
    return tiny_params(Path("x")).benchmark.sglang.model_dump() | {"host": "0.0.0.0"}


def test_serve_drafts_as_the_tuner_said_or_not_at_all(tiny_target: Path, tmp_path: Path) -> None:
    plan, head = tmp_path / "serving.json", tmp_path / "head"
    head.mkdir()
    (head / "config.json").write_text("{}")
    bands = [
        {"min_concurrency": 1, "max_concurrency": 4, "drafting": SHAPE.model_dump(), "measured_at": 2, "speedup": 2.0},
        {"min_concurrency": 5, "max_concurrency": None, "drafting": None, "measured_at": 8, "speedup": 1.0},
    ]
    document = {"engine": "sglang", "device": "d", "target": str(tiny_target)}
    document["target_revision"] = f"sha256:{path_digest(tiny_target)}"
    document["head_digest"] = path_digest(head)
    plan.write_text(json.dumps(document | {"bands": bands, "offline": [], "measured": []}))
    params = tiny_params(tiny_target)

    def chosen(concurrency: int | None, *, baseline: bool = False) -> Drafting | None:
        return chosen_by(concurrency, baseline=baseline).spec.drafting

    def chosen_by(concurrency: int | None, *, engine: EngineName = "sglang", baseline: bool = False) -> Choice:
        return choose(params, engine=engine, baseline=baseline, concurrency=concurrency, head=head, plan=plan)

    assert chosen(3) == SHAPE
    assert chosen(6) is None
    assert chosen(3, baseline=True) is None
    assert chosen_by(3).why == f"{plan}, measured at 2 requests at a time (2.00 x the baseline)"
    plan.write_text(json.dumps(document | {"target_revision": "r", "bands": bands, "offline": [], "measured": []}))
    assert chosen_by(3).why.endswith(" with another version of the target (eyrie tune measures again)")
    (head / "config.json").write_text("{ }")
    document["target"] = "another"
    plan.write_text(json.dumps(document | {"bands": bands, "offline": [], "measured": []}))
    others = " with another head and the target another and the engine sglang (eyrie tune measures again)"
    assert chosen_by(3, engine="reference").why.endswith(others)
    with pytest.raises(ValueError, match=r"no head here; `eyrie run` trains one"):
        choose(params, engine="sglang", baseline=False, concurrency=3, head=tmp_path / "none", plan=plan)
    for wrong in ([], bands[:1], bands[1:]):
        plan.write_text(json.dumps(document | {"bands": wrong, "offline": [], "measured": []}))
        with pytest.raises(SchemaError, match=r"serving\.json: no ServingPlan document: .*bands: "):
            chosen(3)


def test_a_model_name_is_quoted_in_the_curl_line() -> None:
    body = shlex.split(curl_line("http://a", 'my "new" model\'s'))[-1]
    assert json.loads(body)["model"] == 'my "new" model\'s'


@pytest.mark.parametrize("image", ["eyrie", "registry:5000/eyrie", "a b:1", "eyrie:1\n", "", "eyrie:", "https://a/b:1"])
def test_an_image_without_a_tag_or_that_is_no_name_is_refused(spec: ServerSpec, tmp_path: Path, image: str) -> None:
    settings = tiny_params(Path("x")).benchmark.sglang
    for good in ("eyrie:1", "registry:5000/team/eyrie:1", f"eu.pkg.dev/p/r/eyrie@sha256:{'a' * 64}"):
        write_deployment(spec, settings, platform="kubernetes", image=good, name="eagle", out=tmp_path)
    with pytest.raises(ValueError, match=r"^--image: .* is no image with a tag or a digest"):
        write_deployment(spec, settings, platform="kubernetes", image=image, name="eagle", out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_folder_whose_name_docker_would_read_as_a_pattern_is_refused(spec: ServerSpec, tmp_path: Path) -> None:
    for name in ("tar*get", "target[1]", "$target"):
        (tmp_path / name).mkdir()
        odd = replace(spec, target=spec.target.model_copy(update={"model": name}))
        with pytest.raises(ValueError, match=rf"^target\.model: {re.escape(name)} holds one of"):
            written(odd, "docker", tmp_path / "none")


def test_the_container_takes_its_own_gpus_wherever_the_target_ran_here(spec: ServerSpec, tmp_path: Path) -> None:
    here = replace(spec, target=spec.target.model_copy(update={"device": "cpu"}))
    assert "--device" not in written(here, "docker", tmp_path)["Dockerfile"]


def test_nothing_is_written_for_a_target_or_a_head_that_could_not_be_served(
    tiny_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = tiny_params(tiny_target, build_vocab={"draft_vocab_size": 100}).model_dump(mode="json")
    Path("models/head").mkdir(parents=True)
    Path("models/head/config.json").write_text("{}")

    def said(*words: str, model: str) -> str:
        Path("params.yaml").write_text(yaml.safe_dump(params | {"target": params["target"] | {"model": model}}))
        result = CliRunner().invoke(app, words)
        assert isinstance(result.exception, ValueError)
        return str(result.exception)

    deploy = ("deploy", "--to", "docker", "--out", "out")
    for command in (deploy, ("serve", "--print")):
        assert said(*command, model="models/none").startswith("target.model: models/none is no folder here")
    assert said(*deploy, model=str(tiny_target)).startswith("models/head/config.json: ")
    target = shutil.copytree(tiny_target, tmp_path / "target") / "config.json"
    target.write_text(target.read_text().replace("LlamaForCausalLM", "MixtralForCausalLM"))
    assert "no EAGLE-3 head for a target of the class Mixtral" in said(*deploy, model=str(target.parent))
    assert not Path("out").exists()


def test_an_unknown_platform_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(REPOSITORY)
    result = CliRunner().invoke(app, ["deploy", "--to", "moon", "--out", str(tmp_path)])
    assert "moon is no platform; it is docker, kubernetes, vertex" in str(result.exception)
