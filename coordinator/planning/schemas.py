"""The published JSON Schemas (2020-12) of what the service takes in, made from the domain's classes."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from coordinator.domain.events import DoseChange, SessionOutcome
from coordinator.domain.registry import Registry
from coordinator.planning.csv_rows import columns_page

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DECIMAL: Mapping[str, Any] = {
    "description": 'A decimal: a text such as "37.5", or a JSON number. Never a float\'s tail: what is sent is kept.',
    "anyOf": [
        {"type": "string", "pattern": r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$", "maxLength": 24},
        {"type": "number"},
    ],
}
_UNITS = (
    "UCUM unit. Kept: mg, mg/kg, mg/h, mg/kg/h, ug/kg/min, mL, mL/h, mg/mL, kg, cm, Cel, L/min. Converted: mcg, ug and "
    "g to mg; mcg/kg and ug/kg to mg/kg; mcg/h and ug/h to mg/h; mcg/kg/min to ug/kg/min; [lb_av] to kg; m and [in_i] "
    "to cm."
)


class _Schema(GenerateJsonSchema):
    """Describes what is sent, not what is kept: decimals as texts, places of a list as lists."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> dict[str, Any]:
        """Describe a decimal as it may be written."""
        return dict(_DECIMAL)


def event_schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each event type by its name ("session-outcome", "dose-change")."""
    return {
        "session-outcome": _of(SessionOutcome, "The outcome of one treatment session"),
        "dose-change": _of(DoseChange, "A change of dose: made by the clinic, asked of a prescriber, or reported"),
    }


def registry_schema() -> dict[str, Any]:
    """Return the schema of a registry file."""
    return _of(Registry, "The registry: the clinic, its staff, outside providers, patients")


def _of(model: type[BaseModel], title: str) -> dict[str, Any]:
    made = model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}", schema_generator=_Schema)
    quantity = made.get("$defs", {}).get("Quantity")
    if quantity is not None:
        quantity["properties"]["value"] = dict(_DECIMAL)
        quantity["properties"]["unit"]["description"] = _UNITS
    for definition in (made, *made.get("$defs", {}).values()):
        definition.pop("title", None)
        for one in definition.get("properties", {}).values():
            one.pop("title", None)
    return {"$schema": DIALECT, "title": title, **made}


@cache
def schemas() -> Mapping[str, dict[str, Any]]:
    """Return every published schema by its name: each event type's, and "registry"."""
    return {**event_schemas(), "registry": registry_schema()}


def schema_files() -> dict[str, str]:
    """Return the text of every published schema, and of the page of CSV columns, by file name."""
    every = schemas().items()
    files = {f"{name}.json": json.dumps(one, indent=2, ensure_ascii=False) + "\n" for name, one in every}
    return {**files, "csv-columns.md": columns_page()}


def write_schemas(folder: Path) -> None:
    """Write every schema, and the page of CSV columns, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schema_files().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_schemas(Path(__file__).resolve().parents[2] / "docs" / "schemas")
