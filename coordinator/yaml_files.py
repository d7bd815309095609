"""YAML as people expect it: `on`, `no` and `yes` are words, and a key that stands twice is a fault.

A mapping may take in another (`<<`) and overrule what it takes in: that is no key that stands twice.
"""

import re
from pathlib import Path
from typing import Any

import yaml

_BOOL, _MERGE = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:merge"


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader without YAML 1.1's extra booleans and without silent overwriting."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._looked_at: dict[int, yaml.MappingNode] = {}

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Take in what the mapping merges (`<<`); raise ConstructorError for a key that stands twice in it.

        Every mapping comes here before it is built. Once: what is merged into it afterwards it may well overrule.
        """
        if id(node) not in self._looked_at:
            self._looked_at[id(node)] = node
            keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != _MERGE]
            if len(set(keys)) != len(keys):
                raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
        super().flatten_mapping(node)


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
