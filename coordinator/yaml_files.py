"""YAML as people expect it: `on`, `no` and `yes` are words, and a key that stands twice is a fault."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

_BOOL = "tag:yaml.org,2002:bool"


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader without YAML 1.1's extra booleans and without silent overwriting."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return the mapping; raise ConstructorError for a key that stands twice."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(set(keys)) != len(keys):
            raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in rules if tag != _BOOL]
    for letter, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|false)$"), list("tf"))


def read_yaml(file: Path) -> Any:  # noqa: ANN401  (a file may hold anything)
    """Return the content of a YAML file. Raises yaml.YAMLError, whose text may quote the file."""
    return parse_yaml(file.read_text("utf-8"))


def parse_yaml(text: str) -> Any:  # noqa: ANN401  (a text may hold anything)
    """Return the content of a text in YAML. Raises yaml.YAMLError, whose text may quote it."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
