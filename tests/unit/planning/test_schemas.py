"""The published schemas are those of the classes, and the examples fit them."""

import re
from pathlib import Path

import pytest

from coordinator.planning.schemas import DIALECT, event_schemas, registry_schema, schema_files, schemas, write_schemas

DOCS = Path(__file__).parents[3] / "docs" / "schemas"


def test_the_committed_schemas_are_current():
    committed = {one.name: one.read_text(encoding="utf-8") for one in DOCS.iterdir()}
    assert committed == schema_files()


def test_schemas_are_written_into_any_folder(tmp_path):
    write_schemas(tmp_path / "new")
    assert {one.name for one in (tmp_path / "new").iterdir()} == set(schema_files())


def test_each_schema_names_its_dialect_and_refuses_unknown_fields():
    every = [*event_schemas().values(), registry_schema()]
    assert len(every) == len(schemas()) == 3
    for one in every:
        assert one["$schema"] == DIALECT
        assert one["additionalProperties"] is False
        assert all(inner.get("additionalProperties") is False for inner in one["$defs"].values())


def test_a_decimal_is_described_as_text_or_number_and_its_unit_as_ucum():
    quantity = event_schemas()["session-outcome"]["$defs"]["Quantity"]["properties"]
    pattern = quantity["value"]["anyOf"][0]["pattern"]
    assert {one["type"] for one in quantity["value"]["anyOf"]} == {"string", "number"}
    assert re.fullmatch(pattern, "37.50")
    assert not re.fullmatch(pattern, "37,5")
    assert "UCUM" in quantity["unit"]["description"]


@pytest.mark.parametrize("name", ["session-outcome", "dose-change"])
def test_fields_have_the_names_of_the_contract(name):
    assert "from_" not in event_schemas()[name]["properties"]


def test_the_schema_of_a_dose_change_has_from_and_to():
    assert {"from", "to"} <= set(event_schemas()["dose-change"]["properties"])
