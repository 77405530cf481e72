"""YAML as DVC writes it and a careful reader takes it.

PyYAML goes by YAML 1.1 and takes `5e-05` for a text: no dot. DVC writes a learning rate of 0.00005 so, into dvc.lock
and (`dvc exp run -S`) into params.yaml. Of a key that stands twice PyYAML takes the last value, so a second
`PERSON: keep` at the end of a policy would silently undo the first.
"""

import re
from typing import Any

import yaml
from yaml.constructor import ConstructorError

_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):  # type: ignore[misc]
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise ConstructorError(None, None, f"the key {key.value} stands twice", key.start_mark)
                seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def load_yaml(content: str | bytes) -> Any:
    """Parse one document. Raises yaml.YAMLError."""
    return yaml.load(content, Loader=_Loader)  # noqa: S506 - a safe one
