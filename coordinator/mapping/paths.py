"""FHIRPath at the leaves: plain dotted names by a direct path, the rest by fhirpathpy, compiled once.

Every expression starts with a root of the case view (`event`, `patient`, `item`, ...),
and every field it names is checked at load against the classes of the domain.
"""

import copy
import dataclasses
import re
import types
import typing
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import fhirpathpy
from pydantic import BaseModel

from coordinator.domain.letter import MappingProblem
from coordinator.domain.values import NotDone, Unknown
from coordinator.mapping.json_values import Json, Value
from coordinator.mapping.problems import MappingHeld

Scope = Json
Reader = Callable[[Scope], Any]
Condition = Callable[[Scope], bool]
Combine = Callable[[Iterable[bool]], bool]

ALLOWED_FUNCTIONS = frozenset({"exists", "empty", "not", "where", "first", "last", "count", "iif", "startsWith"})
"""The functions that are tested here. fhirpathpy 2.2.4 fails on min, max and sum of several items."""
_PATH = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_LITERAL = re.compile(r"'([^']*)'")
_FIXED = {"true": True, "false": False}
_EXISTS = re.compile(rf"({_PATH.pattern})\.(exists|empty)\(\)")
_COMPARE = re.compile(rf"({_PATH.pattern}) (=|!=) ('[^']*'|true|false|[0-9]+)")
_AMONG = re.compile(rf"({_PATH.pattern})\.where\(\$this = '([^']*)'\)\.exists\(\)")
_LEAF = rf"(?:'[^']*'|{_PATH.pattern})"
_IIF = re.compile(rf"iif\((?P<test>.+?), (?P<then>{_LEAF})(?:, (?P<other>{_LEAF}))?\)")
_CALL = re.compile(r"([A-Za-z]+)\(")
_NAMES = re.compile(r"(?<![\w.'])([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+)(?![\w(])")


_ABSENCES: tuple[Value, ...] = (Unknown, NotDone)


class PathError(ValueError):
    """An expression that cannot be used, with the reason; raised at load only."""


def read(scope: Scope, parts: tuple[str, ...]) -> Value:
    """Return what stands at the dotted path, None when empty; a list on the way is gathered through."""
    current: Value = scope
    for place, part in enumerate(parts):
        if isinstance(current, dict):
            current = current.get(part)
        elif isinstance(current, list):
            rest = parts[place:]
            found = [one for one in (read(item, rest) for item in current) if one is not None]
            return found or None
        else:
            return None
        if current is None:
            return None
    return None if current == [] else current


def compile_value(text: str, roots: Json) -> Reader:
    """Return the reader of a value: a literal, a plain path, or FHIRPath. Raises PathError."""
    literal = _LITERAL.fullmatch(text)
    if literal:
        word = literal.group(1)
        return lambda _scope: word
    if text in _FIXED:
        fixed = _FIXED[text]
        return lambda _scope: fixed
    if _PATH.fullmatch(text):
        parts = tuple(text.split("."))
        check_field(parts, roots)
        return lambda scope: read(scope, parts)
    choice = _IIF.fullmatch(text)
    if choice and _parted(choice["test"]):
        return _choice(choice["test"], choice["then"], choice["other"], roots)
    return _engine(text, roots)


def _choice(condition: str, then: str, otherwise: str | None, roots: Json) -> Reader:
    """Return `iif` of simple parts, which needs no engine (that costs a copy of the case each time)."""
    test = compile_condition(condition, roots)
    first = compile_value(then, roots)
    second = compile_value(otherwise, roots) if otherwise else lambda _scope: None
    return lambda scope: first(scope) if test(scope) else second(scope)


def compile_condition(text: str, roots: Json) -> Condition:
    """Return the test of a condition; an empty answer is false. Raises PathError."""
    parted = _parted(text)
    if parted:
        combine, parts = parted
        clauses = [_clause(part, roots) for part in parts]
        return clauses[0] if len(clauses) == 1 else _combined(combine, clauses)
    reader = _engine(text, roots)
    return lambda scope: reader(scope) is True


def _parted(text: str) -> tuple[Combine, list[str]] | None:
    """Return the simple clauses of a condition and how they are joined; None when it needs the engine."""
    joins: tuple[tuple[str, Combine], ...] = ((" and ", all), (" or ", any))
    for word, combine in joins:
        parts = [one.strip() for one in text.split(word)]
        if all(any(form.fullmatch(part) for form in (_PATH, _EXISTS, _COMPARE, _AMONG)) for part in parts):
            return combine, parts
    return None


def _combined(combine: Combine, clauses: list[Condition]) -> Condition:
    return lambda scope: combine(clause(scope) for clause in clauses)


def _clause(text: str, roots: Json) -> Condition:
    exists = _EXISTS.fullmatch(text)
    if exists:
        parts = _checked(exists.group(1), roots)
        wanted = exists.group(3) == "exists"
        return lambda scope: (read(scope, parts) is not None) is wanted
    among = _AMONG.fullmatch(text)
    if among:
        listed, word = _checked(among.group(1), roots), among.group(3)
        return lambda scope: word in _items(read(scope, listed))
    compare = _COMPARE.fullmatch(text)
    if compare:
        return _comparison(_checked(compare.group(1), roots), compare.group(3), compare.group(4))
    parts = _checked(text, roots)
    return lambda scope: read(scope, parts) not in (None, False)


def _items(value: Value) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _comparison(parts: tuple[str, ...], sign: str, literal: str) -> Condition:
    expected: Value = {"true": True, "false": False}.get(literal)
    if expected is None:
        expected = literal[1:-1] if literal.startswith("'") else int(literal)

    def compare(scope: Scope) -> bool:
        value = read(scope, parts)
        return value is not None and (value == expected) is (sign == "=")

    return compare


def _checked(text: str, roots: Json) -> tuple[str, ...]:
    parts = tuple(text.split("."))
    check_field(parts, roots)
    return parts


def _unanswered(text: str) -> MappingProblem:
    return MappingProblem(
        text,
        "mapping.expression",
        "The expression could not be evaluated for this event.",
        "Correct the expression in the mapping file, then release the message.",
    )


def _engine(text: str, roots: Json) -> Reader:
    for name in _CALL.findall(text):
        if name not in ALLOWED_FUNCTIONS:
            raise PathError(
                f"the function {name}() is not on the allowed list ({', '.join(sorted(ALLOWED_FUNCTIONS))})"
            )
    named = [tuple(path.split(".")) for path in _NAMES.findall(re.sub(r"'[^']*'", "''", text))]
    for parts in named:
        if parts[0] in roots:
            check_field(parts, roots)
    if not any(parts[0] in roots for parts in named) and text.partition(".")[0] not in roots:
        raise PathError(f"'{text}' names nothing of the case; start with one of {', '.join(sorted(roots))}")
    try:
        compiled: Value = fhirpathpy.compile(text)
    except Exception as wrong:
        raise PathError(f"'{text}' is not FHIRPath") from wrong

    def evaluate(scope: Scope) -> Value:
        # The engine has been seen to write into its input, so it gets a copy of its own.
        own = copy.deepcopy({key: value for key, value in scope.items() if value is not None})
        try:
            found = compiled(own)
        except Exception:
            # The engine's own words quote the value, so neither they nor their traceback travel on.
            raise MappingHeld([_unanswered(text)]) from None
        if not found:
            return None
        return found[0] if len(found) == 1 else found

    return evaluate


def check_field(parts: tuple[str, ...], roots: Json) -> None:
    """Raise PathError unless every name of the path exists in the classes of the case view."""
    if parts[0] not in roots:
        raise PathError(f"there is no '{parts[0]}' here; start with one of {', '.join(sorted(roots))}")
    kinds = _members(roots[parts[0]])
    for place, name in enumerate(parts[1:], 1):
        owners = [kind for kind in kinds if _fields(kind) is not None]
        found = [annotation for kind in owners if (annotation := _field(kind, name)) is not None]
        if not owners or not found or (place == 1 and len(found) < len(owners)):
            raise PathError(f"{'.'.join(parts[:place])} has no field '{name}'")
        kinds = [member for annotation in found for member in _members(annotation)]


def item_type(parts: tuple[str, ...], roots: Json) -> Value:
    """Return the type of one item of the list at the path. Raises PathError when it is no list."""
    check_field(parts, roots)
    kinds = _members(roots[parts[0]])
    annotation: Value = roots[parts[0]]
    for name in parts[1:]:
        annotation = next(hit for kind in kinds if (hit := _field(kind, name)) is not None)
        kinds = _members(annotation)
    for member in _union(annotation):
        if typing.get_origin(member) in (tuple, list):
            return typing.get_args(member)[0]
    raise PathError(f"{'.'.join(parts)} is not a list")


def _fields(kind: Value) -> Json | None:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        return {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    return None


def _field(kind: Value, name: str) -> Value:
    fields = _fields(kind) or {}
    if name in fields:
        return fields[name]
    stem, _, suffix = name.rpartition("_")
    if suffix == "absent" and stem in fields and any(one in _ABSENCES for one in _members(fields[stem])):
        return str
    return None


def _union(annotation: Value) -> list[Any]:
    origin: Value = typing.get_origin(annotation)
    if origin is Annotated:
        return _union(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [one for part in typing.get_args(annotation) for one in _union(part)]
    return [annotation]


def _members(annotation: Value) -> list[Any]:
    """Return the types a value may have, lists seen through to their items."""
    found: list[Any] = []
    for member in _union(annotation):
        if typing.get_origin(member) in (tuple, list):
            found += _members(typing.get_args(member)[0])
        else:
            found.append(member)
    return found
