"""Write coordinator/mapping/us_core_tables.json out of the US Core 6.1.0 package (.tgz).

Run by hand when a mapping claims another profile:

    python tests/conformance/generate_us_core_tables.py PACKAGE.tgz mappings coordinator/mapping/us_core_tables.json
"""

import json
import re
import sys
import tarfile
from pathlib import Path
from typing import Any

BASE = "http://hl7.org/fhir/us/core/StructureDefinition/"


def claimed(mappings: Path) -> list[str]:
    """Return the profiles that the mapping files claim."""
    text = "".join(file.read_text("utf-8") for file in (mappings / "events").glob("*.yaml"))
    return sorted(set(re.findall(rf"{re.escape(BASE)}([a-z0-9-]+)", text)))


def fixed(element: dict[str, Any]) -> Any:
    """Return the fixed or pattern value of an element, or None."""
    return next((value for key, value in element.items() if key.startswith(("fixed", "pattern"))), None)


def row(path: list[str], element: dict[str, Any]) -> dict[str, Any]:
    """Return {p: path, m: minimum, f: fixed or pattern value} without what is empty."""
    found: dict[str, Any] = {"p": path}
    if element["min"]:
        found["m"] = element["min"]
    if fixed(element) is not None:
        found["f"] = fixed(element)
    return found


def rules(definition: dict[str, Any]) -> dict[str, Any]:
    """Return what a profile asks beyond the base: rows for elements, and slices that must be there."""
    elements = definition["snapshot"]["element"][1:]
    rows: list[dict[str, Any]] = []
    slices: list[dict[str, Any]] = []
    for element in elements:
        parts = element["id"].replace("value[x]:valueQuantity", "value[x]").split(".")[1:]
        if not any(":" in part for part in parts):
            if element["min"] or fixed(element) is not None:
                rows.append(row(parts, element))
        elif ":" in parts[-1] and element["min"] and not any(":" in part for part in parts[:-1]):
            inside = [one for one in elements if one["id"].startswith(element["id"] + ".")]
            where = [row([], element)] if fixed(element) is not None else []
            where += [
                row(one["id"][len(element["id"]) + 1 :].split("."), one)
                for one in inside
                if (one["min"] or fixed(one) is not None) and ":" not in one["id"][len(element["id"]) :]
            ]
            path = [*parts[:-1], parts[-1].partition(":")[0]]
            slices.append({"p": path, "m": element["min"], "name": parts[-1].partition(":")[2], "where": where})
    return {"type": definition["type"], "rows": rows, "slices": slices}


def main(source: Path, mappings: Path, target: Path) -> None:
    """Generate the tables."""
    profiles: dict[str, Any] = {}
    with tarfile.open(source) as package:
        for name in claimed(mappings):
            handle = package.extractfile(f"package/StructureDefinition-{name}.json")
            profiles[BASE + name] = rules(json.load(handle)) if handle else {}
    tables = {
        "origin": "HL7 US Core Implementation Guide 6.1.0, StructureDefinition snapshots",
        "licence": "CC0-1.0; LOINC and SNOMED CT codes inside under their own terms",
        "made_by": "tests/conformance/generate_us_core_tables.py",
        "profiles": profiles,
    }
    target.write_text(json.dumps(tables, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
