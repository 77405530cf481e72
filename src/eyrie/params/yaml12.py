"""YAML as DVC reads and writes it, at PyYAML's speed: DVC's own reader takes 40 ms longer, in every process.

PyYAML goes by YAML 1.1 and takes `5e-05` for a text, `12:30` for 750 and `yes` for true. DVC goes by 1.2: it writes a
learning rate of 0.00005 and the text 12:30 so, into dvc.lock and (`dvc exp run -S`) into params.yaml. Of a key that
stands twice PyYAML takes the last value, so a second `PERSON: keep` at the end of a policy would silently undo the
first.
"""

import re
from typing import Any

import yaml
from yaml.constructor import ConstructorError

_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OF_VERSION_1_1 = {f"tag:yaml.org,2002:{name}" for name in ("bool", "float", "int")}
_WITH_BASE = ("0b", "0o", "0x")


class _Loader(_SafeLoader):  # type: ignore[misc]
    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's, of the class
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _OF_VERSION_1_1]
        for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise ConstructorError(None, None, f"the key {key.value} stands twice", key.start_mark)
                seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError):  # a day that no calendar has, a number with no digit
            kind = node.tag.rpartition(":")[2]
            raise ConstructorError(None, None, f"{node.value} is no {kind}", node.start_mark) from None

    def construct_number(self, node: yaml.ScalarNode) -> int:
        """A leading 0 says nothing: 017 is 17."""
        text = self.construct_scalar(node).replace("_", "")
        return int(text, 0 if text.lstrip("+-")[:2] in _WITH_BASE else 10)


# as ruamel.yaml has them, which is DVC's reader
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (
        "float",
        r"[-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|[-+]?\.[0-9_]+([eE][-+][0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("int", r"[-+]?(0b[01_]+|0o[0-7_]+|[0-9_]+|0x[0-9a-fA-F_]+)", "-+0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"({_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_number)


def load_yaml(content: str | bytes, *, as_dvc: bool = False) -> Any:
    """Parse one document; with `as_dvc` only what DVC's reader takes too. Raises yaml.YAMLError."""
    loader = _Loader(content)
    try:
        node = loader.get_single_node()
        if as_dvc and node is not None:
            _refuse_signs(node, in_flow=False, seen=set())
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_signs(node: yaml.Node, *, in_flow: bool, seen: set[int]) -> None:
    """Raise for ':' or '?' in a text without quotes inside {...} or [...]. An alias is where its anchor was: seen."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        sign = re.search("[:?]", node.value) if in_flow and not node.style else None
        if sign is not None:
            problem = f"a text with {sign.group()!r} inside {{...}} or [...] needs quotes: {node.value!r}"
            raise ConstructorError(None, None, problem, node.start_mark)
        return
    in_flow = bool(getattr(node, "flow_style", False))
    for item in node.value:
        for inner in item if isinstance(item, tuple) else (item,):
            _refuse_signs(inner, in_flow=in_flow, seen=seen)
