"""What a command imports before it knows whether it has work: seconds in each of the dozens of processes of a run."""

import subprocess
import sys

import pytest

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
