"""What an editor is told of a file under mappings/ is what the loader takes: made from it, and true of every file."""

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from coordinator.planning.rule_schemas import schema_files, write_schemas
from coordinator.yaml_files import read_yaml

MAPPINGS = Path(__file__).parents[3] / "mappings"
FILES = sorted(one for one in MAPPINGS.glob("*/*.yaml") if one.parent.name != "ccda")
NAMED = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "number": (int, float),
         "null": type(None)}  # fmt: skip


def schema_of(file: Path) -> dict[str, Any]:
    named = NAMED.match(file.read_text("utf-8"))
    assert named, f"{file.name} does not say on its first line which schema it follows"
    return json.loads((file.parent / named[1]).resolve().read_text("utf-8"))


def faults(schema: dict[str, Any], value: Any, root: dict[str, Any], at: str = "") -> Iterator[str]:
    """Yield what a schema finds, as far as these schemas go; a word of JSON Schema that is not here fails the test."""
    known = {"$schema", "$defs", "title", "description", "format", "type", "required", "additionalProperties", "items",
             "properties", "enum", "const", "anyOf", "oneOf", "$ref", "minItems", "maxItems", "minimum", "pattern",
             "minLength", "prefixItems", "minProperties", "maxProperties", "patternProperties",
        "maximum"}  # fmt: skip
    assert schema.keys() <= known, schema.keys() - known
    if "$ref" in schema:
        yield from faults(root["$defs"][schema["$ref"].rpartition("/")[2]], value, root, at)
        return
    kinds = schema.get("type", [])
    wanted = [TYPES[one] for one in ([kinds] if isinstance(kinds, str) else kinds)]
    value = value.isoformat() if isinstance(value, date) else value
    if wanted and (
        not any(isinstance(value, one) for one in wanted) or (isinstance(value, bool) and bool not in wanted)
    ):
        yield f"{at}: another type"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is no word of the list"
    if "const" in schema and value != schema["const"]:
        yield f"{at}: another value"
    for key in ("anyOf", "oneOf"):
        if key in schema and all(list(faults(one, value, root, at)) for one in schema[key]):
            yield f"{at}: no form fits"
    if isinstance(value, str):
        yield from of_text(schema, value, at)
    if isinstance(value, list):
        yield from of_list(schema, value, root, at)
    if isinstance(value, dict):
        yield from of_object(schema, value, root, at)


def of_text(schema: dict[str, Any], value: str, at: str) -> Iterator[str]:
    if not re.search(schema.get("pattern", ""), value) or len(value) < schema.get("minLength", 0):
        yield f"{at}: another form"


def of_list(schema: dict[str, Any], value: list[Any], root: dict[str, Any], at: str) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{at}: too many or too few"
    forms = schema.get("prefixItems", [])
    for number, one in enumerate(value):
        form = forms[number] if number < len(forms) else schema.get("items", {})
        yield from faults(form, one, root, f"{at}[{number}]")


def of_object(schema: dict[str, Any], value: dict[Any, Any], root: dict[str, Any], at: str) -> Iterator[str]:
    yield from (f"{at}.{key}: missing" for key in schema.get("required", []) if key not in value)
    patterns, others = schema.get("patternProperties", {}), schema.get("additionalProperties", {})
    for key, one in value.items():
        # YAML reads an unquoted true as a truth value; an editor shows it as the word.
        word = str(key).lower() if isinstance(key, bool) else key
        form = next((form for pattern, form in patterns.items() if re.search(pattern, word)), others)
        form = schema.get("properties", {}).get(word, form)
        if form is False:
            yield f"{at}.{key}: there is no such key"
        elif form is not True:
            yield from faults(form, one, root, f"{at}.{key}")


def test_the_written_schemas_are_those_of_the_loader() -> None:
    made = schema_files()
    assert {name: (MAPPINGS / "schema" / name).read_text("utf-8") for name in made} == made


def test_schemas_are_written_into_a_folder(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == schema_files().keys()


def test_no_schema_is_left_that_no_file_follows() -> None:
    named = {NAMED.match(one.read_text("utf-8"))[1].rpartition("/")[2] for one in FILES}  # type: ignore[index]
    assert named == {one.name for one in (MAPPINGS / "schema").iterdir()}


@pytest.mark.parametrize("file", FILES, ids=lambda one: f"{one.parent.name}/{one.stem}")
def test_every_file_names_its_schema_and_keeps_to_it(file: Path) -> None:
    schema = schema_of(file)
    assert list(faults(schema, read_yaml(file), schema)) == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("rules/coordination.yaml", "statuses: [completed", "statuses: [compleeted"),
        ("rules/coordination.yaml", "priority: routine", "priority: rutine"),
        ("rules/coordination.yaml", "pre_systolic, systolic]", "pre_sistolic, systolic]"),
        ("rules/coordination.yaml", "tells: [psychiatrist", "tells: [psychiatry"),
        ("rules/coordination.yaml", "business_days: 2", "busyness_days: 2"),
        ("rules/validation.yaml", "predicate: patient_unknown", "predicate: patient_unknwon"),
        ("rules/validation.yaml", "accept: [80, 179]", "accept: [80]"),
        ("rules/causes.yaml", "who: engineer", "who: enginer"),
        ("rules/escalation.yaml", "contact: second", "contact: secnd"),
        ("rules/retries.yaml", "30s", "30sec"),
        ("rules/signatures.demonstration.yaml", "licence:", "license:"),
        ("instruments/phq-9.yaml", "total_is_sum: true", "total_is_sum: yes please"),
        ("events/session-outcome.weight.yaml", "order:", "ordre:"),
        ("codes/gender.yaml", "reviewed:", "reviewd:"),
        ("partners/epic-like.yaml", "singles:", "singels:"),
    ],
)
def test_a_slip_is_underlined(tmp_path: Path, name: str, old: str, new: str) -> None:
    text = (MAPPINGS / name).read_text("utf-8")
    assert old in text
    file = tmp_path / "slip.yaml"
    file.write_text(text.replace(old, new, 1), "utf-8")
    schema = schema_of(MAPPINGS / name)
    assert list(faults(schema, read_yaml(file), schema)) != []
