"""What a command imports before it knows whether it has work: seconds in each of the dozens of processes of a run."""

import importlib
import py_compile
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from eyrie.importing import large_imports

LARGE = {"torch", "transformers", "pyarrow", "numpy", "pandas", "presidio_analyzer", "spacy", "datasets", "dvc"}


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        ("eyrie.cli", set()),
        ("eyrie.stages.generate_responses", {"pyarrow", "numpy"}),  # gathers too
        ("eyrie.stages.filter_prompts", {"pyarrow", "numpy"}),
    ],
)
def test_no_large_library_is_imported_that_is_not_needed(module: str, needed: set[str]) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert LARGE & {*imported.split()} == needed


def test_torchvision_is_not_imported_with_a_configuration_where_sglang_brought_it() -> None:
    assert find_spec("torchvision") is not None, "nothing to hide"
    program = (
        "import sys; from eyrie.importing import large_imports\n"
        "with large_imports(): import eyrie.eagle3.rope\n"
        "print(*(name for name, module in sys.modules.items() if module))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = {*done.stdout.split()}
    assert "transformers" in imported
    assert "torchvision" not in imported


def test_compiled_code_that_a_full_disk_cut_short_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typer says "Aborted." of it, and every later run ended so."""
    module = tmp_path / "cut_short_module.py"
    module.write_text("TEXT = 'long ' + 'enough'\n")
    compiled = Path(py_compile.compile(str(module)))
    compiled.write_bytes(compiled.read_bytes()[:40])
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(OSError, match=rf"{compiled}: compiled code that was cut short"), large_imports():
        importlib.import_module("cut_short_module")
