"""The generated R4 tables: types with their elements, required bindings, known code systems. Read once.

Made by tests/conformance/generate_r4_tables.py out of the R4 4.0.1 definitions (CC0-1.0).
"""

import json
from functools import cache
from importlib import resources
from typing import Any


def _load() -> dict[str, Any]:
    text = resources.files("coordinator.mapping").joinpath("r4_tables.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


_LOADED = _load()
TYPES: dict[str, dict[str, dict[str, Any]]] = _LOADED["types"]
"""Type -> element -> row: t type, n many, r required, x choice it belongs to, xr choice required, b, to."""
BINDINGS: dict[str, frozenset[str]] = {key: frozenset(codes) for key, codes in _LOADED["bindings"].items()}
RESOURCES = frozenset(_LOADED["resources"])
SYSTEMS = frozenset(_LOADED["systems"])


@cache
def required(kind: str) -> tuple[tuple[str, ...], tuple[tuple[str, frozenset[str], bool], ...]]:
    """Return (required plain elements, choices as (name, its spellings, whether required)) of a type."""
    rows = TYPES[kind]
    plain = tuple(name for name, row in rows.items() if row.get("r"))
    choices: dict[str, list[str]] = {}
    needed: set[str] = set()
    for name, row in rows.items():
        if "x" in row:
            choices.setdefault(row["x"], []).append(name)
            if row.get("xr"):
                needed.add(row["x"])
    return plain, tuple((stem, frozenset(names), stem in needed) for stem, names in choices.items())
