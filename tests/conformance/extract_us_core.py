"""Write one file a US Core version with the claimed profiles, stripped to what a validator reads.

Run by hand:

    python tests/conformance/extract_us_core.py PACKAGE.tgz mappings tests/conformance/us_core/VERSION.json
"""

import json
import re
import sys
import tarfile
from pathlib import Path
from typing import Any

KEPT = {
    "id", "path", "sliceName", "min", "max", "base", "type", "binding", "constraint", "slicing", "contentReference",
    "isModifier",
}  # fmt: skip


MENDED = {
    "telecom or endpoint": "telecom.exists() or endpoint.exists()",
    "practitioner or organization or healthcareService or location": "practitioner.exists() or organization.exists()"
    " or healthcareService.exists() or location.exists()",
}
"""Expressions of 6.1.0 that take an element for a truth value, as 7.0.0 publishes them: @medplum/core cannot evaluate
the first ones, so no PractitionerRole at all could pass."""


def lean(element: dict[str, Any]) -> dict[str, Any]:
    """Return an element without its prose."""
    kept = {key: value for key, value in element.items() if key in KEPT or key.startswith(("fixed", "pattern"))}
    for one in kept.get("constraint", []):
        one["expression"] = MENDED.get(one.get("expression", ""), one.get("expression", ""))
    if "binding" in kept:
        kept["binding"] = {key: value for key, value in kept["binding"].items() if key in ("strength", "valueSet")}
    return kept


def main(source: Path, mappings: Path, target: Path) -> None:
    """Extract the profiles that the mapping files claim."""
    text = "".join(file.read_text("utf-8") for file in (mappings / "events").glob("*.yaml"))
    names = sorted(set(re.findall(r"us/core/StructureDefinition/([a-z0-9-]+)", text)))
    found = []
    with tarfile.open(source) as package:
        for name in names:
            handle = package.extractfile(f"package/StructureDefinition-{name}.json")
            if handle is None:
                continue
            definition = json.load(handle)
            head = ("resourceType", "id", "url", "version", "name", "title", "status", "kind", "abstract", "type",
                    "baseDefinition", "derivation", "fhirVersion")  # fmt: skip
            one = {key: definition[key] for key in head if key in definition}
            one["snapshot"] = {"element": [lean(element) for element in definition["snapshot"]["element"]]}
            found.append(one)
    text = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in found]},
                      separators=(",", ":"))  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
