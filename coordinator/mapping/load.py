"""Reads mappings/ once, checks everything, and gives compiled mappings. The only file access of the package."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from coordinator.mapping import r4
from coordinator.mapping.additions import Addition, check_paths, touches
from coordinator.mapping.ccda.sheet import NOTE, NoteSheet, read_note
from coordinator.mapping.codes import CodeTable, KnownCodes, check_across, check_reviewed, read_table
from coordinator.mapping.identity import KINDS
from coordinator.mapping.json_values import Json, Value
from coordinator.mapping.partners import Partner, listed_additions, read_partner
from coordinator.mapping.paths import Condition, PathError, Reader, compile_condition, compile_value, item_type
from coordinator.mapping.problems import MappingFileError
from coordinator.mapping.view import EVENT_TYPES, roots
from coordinator.mapping.walk import Compiler, Names, Node, is_static
from coordinator.yaml_files import read_yaml

Per = Literal["event", "recipient"]
LEVELS = frozenset({"chart", "message", "fhir-document", "tasks"})
"""Where a resource goes: the chart transaction, the message, the FHIR document inside a document reference, and the
changes to tasks that a far side holds, made only while nobody there has answered."""
CLOSED_WORDS = {
    "per": ("event", "recipient"),
    "write": ("update", "create", "create-first"),
    "identity": tuple(sorted(KINDS)),
}
"""The keys of a mapping file that take one of a few words."""
MAPPING_KEYS = frozenset(
    {
        "mapping", "version", "reviewed", "event", "resource", "name", "per", "each", "key", "when", "identity",
        "profiles", "write", "order", "audiences", "build", "retractable", "levels", "named",
    }
)  # fmt: skip


@dataclass(frozen=True)
class ResourceMapping:
    """One compiled file of mappings/events."""

    mapping: str
    name: str
    named: str
    """Under which name its resources are identified: its own, or that of the mapping whose resources it changes."""
    version: int
    events: tuple[str, ...]
    resource: str
    per: Per
    each: Reader | None
    each_path: str | None
    key: Reader | None
    when: Condition | None
    identity: str
    profiles: tuple[str, ...]
    write: Literal["update", "create", "create-first"]
    order: int
    audiences: tuple[str, ...]
    retractable: bool
    levels: tuple[str, ...]
    build: Node


@dataclass(frozen=True)
class Mappings:
    """Everything of mappings/ that building content needs, checked."""

    resources: tuple[ResourceMapping, ...]
    tables: Mapping[str, CodeTable]
    known_codes: KnownCodes
    partners: Mapping[str, Partner]
    note: NoteSheet


def load(mappings_dir: Path) -> Mappings:
    """Return the mappings of a folder. Raises MappingFileError with every problem of every file."""
    problems: list[str] = []
    tables = _tables(mappings_dir, problems)
    known = check_across(tables, problems)
    raw = _files(mappings_dir / "events", problems)
    names = frozenset(str(data.get("name")) for data in raw.values() if isinstance(data, dict))
    found: dict[str, ResourceMapping] = {}
    for file, data in raw.items():
        one = _mapping(file, data, tables, names, problems)
        if one is not None and one.mapping in found:
            problems.append(f"{file}: the mapping '{one.mapping}' stands in two files")
        elif one is not None:
            found[one.mapping] = one
    partners = _partners(mappings_dir, found, Names({}, tables, names), problems)
    if not found and not problems:
        problems.append(f"{mappings_dir}: there are no mapping files in events/")
    note = read_note(_files(mappings_dir / "ccda", problems).get(NOTE), tables, names, problems)
    if problems:
        raise MappingFileError(problems)
    ordered = tuple(sorted(found.values(), key=lambda one: (one.order, one.mapping)))
    return Mappings(ordered, tables, known, partners, note)


def _partners(
    mappings_dir: Path, found: Mapping[str, ResourceMapping], names: Names, problems: list[str]
) -> dict[str, Partner]:
    partners: dict[str, Partner] = {}
    for file, data in _files(mappings_dir / "partners", problems).items():
        additions: dict[str, tuple[Addition, ...]] = {}
        for place, one in listed_additions(file, data, problems):
            hits = [mapping for mapping in found.values() if touches(one, mapping.mapping, mapping.resource)]
            named = one.get("to", [])
            unknown = {*(named if isinstance(named, list) else [named])} - found.keys()
            if unknown or not hits:
                what = ", ".join(sorted(map(str, unknown))) or "of that type"
                problems.append(f"{place}: there is no mapping {what}")
            for mapping in hits:
                made = _addition(f"{place}: {mapping.mapping}", one, mapping, names, problems)
                additions[mapping.mapping] = (*additions.get(mapping.mapping, ()), made)
        partner = read_partner(file, data, problems, additions)
        partners[partner.name] = partner
    return partners


def _addition(place: str, data: Json, mapping: ResourceMapping, names: Names, problems: list[str]) -> Addition:
    known = roots(mapping.events, "recipient")
    if mapping.each_path:
        known = {**known, "item": item_type(tuple(mapping.each_path.split(".")), known)}
    compiler = Compiler(Names(known, names.tables, names.mappings), problems, place)
    nodes: dict[str, dict[str, Node]] = {"set": {}, "add": {}}
    for key, made in nodes.items():
        parts = {name.removesuffix("?"): part for name, part in data.get(key, {}).items()}
        made.update({name: compiler.node(part, f"{mapping.resource}.{name}") for name, part in parts.items()})
        _check_against_r4(place, mapping.resource, parts, names.tables, problems)
    single = [one for one in nodes["add"] if not r4.TYPES[mapping.resource].get(one, {}).get("n")]
    problems += [f"{place}: {mapping.resource}.{one}: `add` is for lists; use `set`" for one in single]
    check_paths(place, mapping.resource, data, problems)
    when = None
    try:
        when = compile_condition(data["when"], known) if "when" in data else None
    except PathError as wrong:
        problems.append(f"{place}: {wrong}")
    return Addition(
        when=when,
        drop=bool(data.get("drop", False)),
        set=nodes["set"],
        add=nodes["add"],
        without=tuple(data.get("without", ())),
        first_only=tuple(data.get("first_only", ())),
        require=tuple(data.get("require", ())),
        profiles=tuple(data["profiles"]) if "profiles" in data else None,
    )


def _files(folder: Path, problems: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in sorted(folder.glob("*.yaml")):
        name = f"{folder.name}/{file.name}"
        try:
            found[name] = read_yaml(file)
        except yaml.YAMLError as wrong:
            mark = getattr(wrong, "problem_mark", None)
            where = f", line {mark.line + 1}" if mark else ""
            problems.append(f"{name}{where}: this is not YAML, or a key stands twice")
    return found


def _tables(mappings_dir: Path, problems: list[str]) -> dict[str, CodeTable]:
    tables: dict[str, CodeTable] = {}
    for file, data in _files(mappings_dir / "codes", problems).items():
        table = read_table(file, data, problems)
        if table is None:
            continue
        if table.name in tables or f"codes/{table.name}.yaml" != file:
            problems.append(f"{file}: a table has one file of its own name; this one says '{table.name}'")
        tables[table.name] = table
    return tables


def _mapping(
    file: str, data: Value, tables: Mapping[str, CodeTable], names: frozenset[str], problems: list[str]
) -> ResourceMapping | None:
    before = len(problems)
    if not isinstance(data, dict) or not isinstance(data.get("build"), dict):
        problems.append(f"{file}: a mapping needs a header and `build`")
        return None
    _check_header(file, data, problems)
    if len(problems) > before:
        return None
    events = tuple(data["event"]) if isinstance(data["event"], list) else (data["event"],)
    per = cast(Per, data.get("per", "event"))
    known = roots(events, per)
    each_path = data.get("each")
    each = key = when = None
    try:
        if each_path:
            each = compile_value(each_path, known)
            known = {**known, "item": item_type(tuple(each_path.split(".")), known)}
        key = compile_value(data["key"], known) if data.get("key", "position") != "position" else None
        when = compile_condition(data["when"], known) if "when" in data else None
    except PathError as wrong:
        problems.append(f"{file}: {wrong}")
        return None
    build = Compiler(Names(known, tables, names), problems, file).node(data["build"], data["resource"])
    _check_against_r4(file, data["resource"], data["build"], tables, problems)
    return ResourceMapping(
        mapping=data["mapping"],
        name=data["name"],
        named=str(data.get("named") or data["name"]),
        version=data["version"],
        events=events,
        resource=data["resource"],
        per=per,
        each=each,
        each_path=each_path,
        key=key,
        when=when,
        identity=data.get("identity", "event"),
        profiles=tuple(data.get("profiles", ())),
        write=data.get("write", "update"),
        order=data.get("order", 50),
        audiences=tuple(data.get("audiences", ())),
        retractable=data.get("retractable", True),
        levels=tuple(data.get("levels", ("chart", "message", "fhir-document"))),
        build=build,
    )


def _check_header(file: str, data: Json, problems: list[str]) -> None:
    problems += [f"{file}: unknown key '{key}'" for key in sorted(map(str, data.keys() - MAPPING_KEYS))]
    check_reviewed(file, data, problems)
    if data.get("mapping") != file.removeprefix("events/").removesuffix(".yaml"):
        problems.append(f"{file}: `mapping` must be the file's own name")
    version = data.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        problems.append(f"{file}: `version` is a whole number from 1 that rises with every change")
    if not isinstance(data.get("named", ""), str):
        problems.append(f"{file}: `named` is the name of another mapping")
    if not isinstance(data.get("name"), str):
        problems.append(f"{file}: `name` is missing: what $ref calls this resource")
    events = data.get("event")
    listed = events if isinstance(events, list) else [events]
    if not listed or any(one not in EVENT_TYPES for one in listed):
        problems.append(f"{file}: `event` is one or more of {', '.join(EVENT_TYPES)}")
    if data.get("resource") not in r4.RESOURCES:
        problems.append(f"{file}: `resource` is not a type of resource that the service sends")
    for key, words in CLOSED_WORDS.items():
        if key in data and data[key] not in words:
            problems.append(f"{file}: `{key}` is one of {', '.join(words)}")
    if not set(data.get("levels", ())) <= LEVELS:
        problems.append(f"{file}: `levels` are some of {', '.join(sorted(LEVELS))}")
    if data.get("each") and "key" not in data:
        problems.append(f"{file}: with `each`, `key` is needed: what tells one item from the next on a second run")


def _check_against_r4(path: str, kind: str, build: Json, tables: Mapping[str, CodeTable], problems: list[str]) -> None:
    """Add a problem for every element R4 does not have, and every fixed or table code outside a required binding."""
    rows = r4.TYPES[kind]
    for key, child in build.items():
        if key.startswith("$"):
            continue
        name = key.removesuffix("?")
        row = rows.get(name)
        if row is None:
            problems.append(f"{path}: {kind}.{name}: R4 has no such element")
            continue
        for part in child if isinstance(child, list) else [child]:
            _check_part(path, f"{kind}.{name}", row, part, tables, problems)


def _check_part(
    path: str, place: str, row: Json, part: Value, tables: Mapping[str, CodeTable], problems: list[str]
) -> None:
    codes = r4.BINDINGS.get(row.get("b", ""))
    if isinstance(part, dict):
        table = tables.get(part.get("$map", ""))
        if codes is not None and table is not None:
            wrong = [one.word for one in table.rows.values() if not any(c["code"] in codes for c in one.codings)]
            if wrong:
                problems.append(f"{path}: {place}: rows of '{table.name}' outside the required binding: {wrong}")
        if row["t"] in r4.TYPES and not {"$from", "$map", "$quantity", "$ref", "$refs"} & part.keys():
            _check_against_r4(path, row["t"], part, tables, problems)
    elif codes is not None and is_static(part) and part not in codes:
        problems.append(f"{path}: {place}: '{part}' is not in the value set that R4 requires here")
