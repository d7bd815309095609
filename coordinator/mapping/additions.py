"""What one partner wants otherwise: `additions` of its file, in the directives of the event mappings.

Compiled once for each mapping they touch, so that a wrong path is a fault of the file, and
laid over a finished resource just before the gate looks at it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordinator.domain.letter import MappingProblem
from coordinator.mapping import r4
from coordinator.mapping.json_values import Json, Value
from coordinator.mapping.paths import Condition
from coordinator.mapping.walk import EMPTY, Node, Refs, Run

ADDITION_KEYS = frozenset(
    {"to", "resource", "why", "when", "drop", "set", "add", "without", "first_only", "require", "profiles"}
)
_CHANGES = frozenset({"set", "add", "without", "first_only", "require", "profiles"})


@dataclass(frozen=True)
class Addition:
    """One entry of a partner's `additions`, compiled for one mapping."""

    when: Condition | None
    drop: bool
    set: Mapping[str, Node]
    add: Mapping[str, Node]
    without: tuple[str, ...]
    first_only: tuple[str, ...]
    """Lists of which only the first item stays: a server that takes one coding."""
    require: tuple[str, ...]
    profiles: tuple[str, ...] | None


def check_addition(place: str, data: Value, problems: list[str]) -> bool:
    """Return whether an addition is well formed by itself; faults are added to `problems`."""
    before = len(problems)
    if not isinstance(data, Mapping):
        problems.append(f"{place}: an addition is a list of settings")
        return False
    problems += [f"{place}: unknown key '{key}'" for key in sorted(map(str, data.keys() - ADDITION_KEYS))]
    if ("to" in data) == ("resource" in data):
        problems.append(f"{place}: say `to` (names of mappings) or `resource` (a type), one of the two")
    if not data.get("why"):
        problems.append(f"{place}: `why` is missing: which rule of the partner asks for this")
    if not data.get("drop") and not data.keys() & _CHANGES:
        problems.append(f"{place}: it changes nothing: give drop, {', '.join(sorted(_CHANGES))}")
    if data.get("drop") and data.keys() & _CHANGES:
        problems.append(f"{place}: what is dropped cannot be changed as well")
    return len(problems) == before


def touches(data: Json, mapping: str, kind: str) -> bool:
    """Return whether an addition is about this mapping."""
    named = data.get("to")
    listed = named if isinstance(named, list) else [named]
    return mapping in listed or data.get("resource") == kind


def check_paths(place: str, kind: str, data: Json, problems: list[str]) -> None:
    """Add a problem for a path that R4 does not have, or an element that R4 needs and the partner would drop."""
    for path in [*data.get("without", ()), *data.get("first_only", ()), *data.get("require", ())]:
        row, here = None, kind
        for name in str(path).split("."):
            row = r4.TYPES.get(here, {}).get(name)
            if row is None:
                problems.append(f"{place}: {kind}.{path}: R4 has no such element")
                break
            here = row["t"]
        if row is not None and row.get("r") and path in data.get("without", ()):
            problems.append(f"{place}: {kind}.{path}: R4 needs this element, it cannot be left out")


def is_dropped(additions: Sequence[Addition], scope: Json) -> bool:
    """Return whether this partner does not get the resource at all."""
    return any(one.drop and (one.when is None or one.when(scope)) for one in additions)


def lay_over(
    additions: Sequence[Addition], mapping: str, resource: dict[str, Any], scope: Json, refs: Refs, index: int | None
) -> tuple[dict[str, Any], list[MappingProblem]]:
    """Return (the resource as this partner gets it, what holds it). The given one stays as it is."""
    problems: list[MappingProblem] = []
    for one in additions:
        if one.drop or (one.when is not None and not one.when(scope)):
            continue
        run = Run(mapping, refs, index)
        resource = _with_meta(resource, one.profiles)
        for path in one.without:
            resource = _changed(resource, path.split("."), _left_out)
        for path in one.first_only:
            resource = _changed(resource, path.split("."), _first)
        resource = {**resource, **_built(one.set, scope, run)}
        for name, more in _built(one.add, scope, run).items():
            held = resource.get(name, [])
            resource = {**resource, name: [*held, *(item for item in more if item not in held)]}
        problems += run.problems
        problems += [_lacking(mapping, path) for path in one.require if not _is_there(resource, path.split("."))]
    return resource, problems


def _built(nodes: Mapping[str, Node], scope: Json, run: Run) -> dict[str, Any]:
    # Each element may come out empty and is then left as it was; `require` says what may not.
    made = {name: node(scope, run) for name, node in nodes.items()}
    return {name: value for name, value in made.items() if value is not EMPTY}


def _with_meta(resource: dict[str, Any], profiles: tuple[str, ...] | None) -> dict[str, Any]:
    if profiles is None:
        return resource
    meta = {name: value for name, value in resource["meta"].items() if name != "profile"}
    return {**resource, "meta": {"profile": list(profiles), **meta} if profiles else meta}


Change = Callable[[dict[str, Any], str], dict[str, Any]]


def _changed(value: Value, path: Sequence[str], change: Change) -> Value:
    if isinstance(value, list):
        return [_changed(one, path, change) for one in value]
    if not isinstance(value, dict) or path[0] not in value:
        return value
    if len(path) == 1:
        return change(value, path[0])
    return {**value, path[0]: _changed(value[path[0]], path[1:], change)}


def _left_out(value: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: child for key, child in value.items() if key != name}


def _first(value: dict[str, Any], name: str) -> dict[str, Any]:
    child = value[name]
    return {**value, name: child[:1] if isinstance(child, list) else child}


def _is_there(value: Value, path: Sequence[str]) -> bool:
    if isinstance(value, list):
        return bool(value) and all(_is_there(one, path) for one in value)
    if not path:
        return value is not None
    return isinstance(value, dict) and path[0] in value and _is_there(value[path[0]], path[1:])


def _lacking(mapping: str, path: str) -> MappingProblem:
    return MappingProblem(
        f"{mapping} {path}",
        "mapping.partner",
        "This recipient's system asks for an element that the event does not give.",
        "Send the field in an amended event, or choose another channel for this recipient.",
    )
