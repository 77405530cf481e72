"""What a recipe's opening comment tells to run is what the recipe asks for."""

import shlex

import pytest

from eyrie.params import load_params
from tests.conftest import REPOSITORY


@pytest.mark.parametrize("name", sorted(path.stem for path in (REPOSITORY / "recipes").glob("*.yaml")))
def test_the_server_that_a_recipe_names_serves_the_pinned_target_as_the_recipe_asks(name: str) -> None:
    path = REPOSITORY / f"recipes/{name}.yaml"
    params = load_params(path)
    (line,) = [line for line in path.read_text(encoding="utf-8").splitlines() if "sglang.launch_server" in line]
    words = shlex.split(line.removeprefix("#"))
    flags = dict(zip(words[3::2], words[4::2], strict=True))
    settings = params.generate_responses.sglang
    asked = {
        "--model-path": params.target.model,
        "--revision": params.target.revision,
        "--dtype": params.target.dtype,
        "--tp-size": str(settings.tp_size) if settings.tp_size > 1 else None,
        "--context-length": settings.context_length and str(settings.context_length),
    }
    assert flags == {flag: value for flag, value in asked.items() if value}
