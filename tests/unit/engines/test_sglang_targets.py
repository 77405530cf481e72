"""The list of targets that SGLang can draft for, against the installed package, which is read and not imported."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from eyrie.engines.servers import ServerError
from eyrie.engines.sglang_targets import EAGLE3_TARGETS, check_can_draft

CAPTURES = "set_eagle3_layers_to_capture"
NO_TARGET = re.compile("(Eagle3?|NextN|MTP)$|Assistant|Embedding")  # heads of their own kind, and what answers nothing


def _classes(text: str) -> Iterator[tuple[str, list[str], bool]]:
    """Every class of a module: its name, its bases, whether it has the method itself."""
    for part in re.split(r"^class ", text, flags=re.MULTILINE)[1:]:
        head = re.match(r"(\w+)(?:\(([^)]*)\))?:", part)
        assert head is not None, part[:80]
        yield head[1], re.findall(r"\w+", head[2] or ""), f"\n    def {CAPTURES}(" in part


def test_the_list_is_what_the_installed_sglang_has() -> None:
    spec = importlib.util.find_spec("sglang")
    if spec is None or spec.origin is None:
        pytest.skip("SGLang is not installed")
    modules = [path.read_text(encoding="utf-8") for path in (Path(spec.origin).parent / "srt/models").glob("*.py")]
    classes = [each for text in modules for each in _classes(text)]
    entries = re.findall(r"^EntryClass\b[^=]*=\s*(\[[^\]]*\]|\w+)", "\n".join(modules), re.MULTILINE)
    served = set(re.findall(r"\w+", " ".join(entries)))  # names under which SGLang looks targets up
    capturing: set[str] = set()
    while more := {name for name, bases, own in classes if own or capturing & set(bases)} - capturing:
        capturing |= more
    assert {name for name in capturing & served if not NO_TARGET.search(name)} == EAGLE3_TARGETS


def test_a_target_of_another_class_is_refused_by_name_and_one_that_tells_no_class_is_not() -> None:
    check_can_draft(["LlamaForCausalLM"])
    check_can_draft(None)
    with pytest.raises(ServerError, match="no EAGLE-3 head for a target of the class MixtralForCausalLM"):
        check_can_draft(["MixtralForCausalLM"])
