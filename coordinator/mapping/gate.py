"""Our own gate: what every bundle must pass before it may be queued.

Three steps, all on plain dicts: the shape of each resource against tables
generated from R4 (elements, cardinality, primitive formats, required bindings,
reference types), the invariants of the resources in use (`gate_rules`), and the
references of the bundle as a whole. The R4B model is asked once on top of that.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from coordinator.mapping.gate_rules import ACTIVE_CONTENT, broken_by, type_broken_by
from coordinator.mapping.json_values import Json, Value


@dataclass(frozen=True)
class Finding:
    """One fault: the element's path in the bundle and what is wrong. Never the value."""

    path: str
    rule: str
    sentence: str


_DATE = r"[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = r"(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_FULL_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_PATTERNS: dict[str, re.Pattern[str]] = {
    "code": re.compile(r"[^\s]+( [^\s]+)*"),
    "id": re.compile(r"[A-Za-z0-9\-.]{1,64}"),
    "oid": re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+"),
    "uuid": re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "uri": re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+|#\S*|[A-Z][A-Za-z]+(/\S+)?|[A-Z][A-Za-z]+\?\S+"),
    "url": re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+"),
    "canonical": re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+"),
    "date": re.compile(_DATE),
    "dateTime": re.compile(rf"{_DATE}|{_FULL_DATE}T{_TIME}{_ZONE}"),
    "instant": re.compile(rf"{_FULL_DATE}T{_TIME}{_ZONE}"),
    "time": re.compile(_TIME),
    "string": re.compile(r"[\s\S]*\S[\s\S]*"),
    "markdown": re.compile(r"[\s\S]*\S[\s\S]*"),
    "xhtml": re.compile(r"[\s\S]*\S[\s\S]*"),
}
"""R4 datatypes page, one expression a primitive type."""
_INTEGERS = {"integer": None, "unsignedInt": 0, "positiveInt": 1}
CODED = frozenset({"CodeableConcept", "Coding"})


@cache
def tables() -> dict[str, Any]:
    """Return the generated R4 tables (read once)."""
    text = resources.files("coordinator.mapping").joinpath("r4_tables.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    for key, codes in loaded["bindings"].items():
        loaded["bindings"][key] = frozenset(codes)
    loaded["systems"] = frozenset(loaded["systems"])
    return loaded


@cache
def _required(kind: str) -> tuple[frozenset[str], tuple[tuple[str, frozenset[str], bool], ...]]:
    """Return (required plain elements, choices as (name, its spellings, required)) of a type."""
    rows = tables()["types"][kind]
    plain = frozenset(name for name, row in rows.items() if row.get("r"))
    choices: dict[str, list[str]] = {}
    needed: set[str] = set()
    for name, row in rows.items():
        if "x" in row:
            choices.setdefault(row["x"], []).append(name)
            if row.get("xr"):
                needed.add(row["x"])
    return plain, tuple((stem, frozenset(names), stem in needed) for stem, names in choices.items())


Check = Callable[[str, Any], str | None]


def check_resource(resource: Json, path: str) -> Iterator[Finding]:
    """Yield every fault of one resource's shape, and of its invariants."""
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or kind not in tables()["resources"]:
        yield Finding(path, "type", "the service does not send this type of resource")
        return
    yield from _check_object(resource, kind, path, top=True)
    for rule, sentence, place in broken_by(kind, resource):
        yield Finding(f"{path}.{place}" if place else path, rule, sentence)


def _check_object(value: Json, kind: str, path: str, *, top: bool = False) -> Iterator[Finding]:
    rows = tables()["types"][kind]
    if not value or (len(value) == 1 and not top and "id" in value):
        yield Finding(path, "ele-1", "the element is empty")
        return
    plain, choices = _required(kind)
    for name in plain:
        if name not in value and "_" + name not in value:
            yield Finding(f"{path}.{name}", "cardinality", "a required element is missing")
    for stem, spellings, needed in choices:
        given = spellings & value.keys()
        if len(given) > 1:
            yield Finding(f"{path}.{stem}[x]", "choice", "only one form of this element may be given")
        if needed and not given:
            yield Finding(f"{path}.{stem}[x]", "cardinality", "a required element is missing")
    for name, child in value.items():
        if not (top and name == "resourceType"):
            yield from _check_child(rows.get(name), child, f"{path}.{name}")
    for rule, sentence in type_broken_by(kind, value):
        yield Finding(path, rule, sentence)


def _check_child(row: Json | None, child: Value, place: str) -> Iterator[Finding]:
    if row is None:
        yield Finding(place, "unknown-element", "R4 has no such element here")
    elif not row.get("n"):
        yield from _check_value(child, row, place)
    elif not isinstance(child, list) or not child:
        yield Finding(place, "cardinality", "a list with at least one item is needed")
    else:
        for index, item in enumerate(child):
            yield from _check_value(item, row, f"{place}[{index}]")


def _check_value(value: Value, row: Json, path: str) -> Iterator[Finding]:
    kind: str = row["t"]
    if kind == "Resource":
        if isinstance(value, Mapping):
            yield from check_resource(value, path)
        else:
            yield Finding(path, "type", "a resource is needed")
        return
    if kind in tables()["types"]:
        if not isinstance(value, Mapping):
            yield Finding(path, "type", "an object is needed")
            return
        yield from _check_object(value, kind, path)
        if "to" in row:
            yield from _check_target(value, row["to"], path)
        if "b" in row and kind in CODED:
            yield from _check_coded(value, row["b"], path)
        return
    fault = _primitive_fault(kind, value)
    if fault:
        yield Finding(path, f"primitive-{kind}", fault)
    elif "b" in row and value not in tables()["bindings"][row["b"]]:
        yield Finding(path, "binding", "the code is not in the value set that R4 requires here")


def _check_target(reference: Json, allowed: Sequence[str], path: str) -> Iterator[Finding]:
    named = reference.get("type")
    literal = reference.get("reference", "")
    if named is None and isinstance(literal, str) and "/" in literal and not literal.startswith(("urn:", "#")):
        named = literal.split("?")[0].rsplit("/", 2)[-2]
    if named is not None and named not in allowed:
        yield Finding(path, "reference-type", "R4 does not allow this type of resource here")


def _check_coded(value: Json, binding: str, path: str) -> Iterator[Finding]:
    codings = value.get("coding", [value] if "code" in value else [])
    codes = tables()["bindings"][binding]
    if not any(isinstance(one, Mapping) and one.get("code") in codes for one in codings):
        yield Finding(path, "binding", "no coding is in the value set that R4 requires here")


def _primitive_fault(kind: str, value: Value) -> str | None:
    if kind == "boolean":
        return None if isinstance(value, bool) else "true or false is needed"
    if kind == "decimal":
        good = isinstance(value, int | Decimal) and not isinstance(value, bool)
        return None if good else "a number is needed"
    if kind in _INTEGERS:
        if isinstance(value, bool) or not isinstance(value, int):
            return "a whole number is needed"
        least = _INTEGERS[kind]
        return "the number is too small" if least is not None and value < least else None
    if not isinstance(value, str):
        return "text is needed"
    if kind == "base64Binary":
        return _base64_fault(value)
    if kind == "xhtml" and ACTIVE_CONTENT.search(value):
        return "the narrative holds active content"
    pattern = _PATTERNS.get(kind)
    return None if pattern is None or pattern.fullmatch(value) else f"this is not a {kind}"


def _base64_fault(value: str) -> str | None:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return "this is not base64"
    return None if value else "the data are empty"
