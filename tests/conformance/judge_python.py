"""Two judges nobody here wrote, run in the environment of validators.lock: pyrofile-validator and hl7fhirgen.

Reads {"version", "asked": [{"name", "resource"}]} from standard input; writes
{"pyrofile": {name: [[rule, path, words]]}, "hl7fhirgen": {name: [...]}}.
"""

import contextlib
import gzip
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hl7fhirgen.structure_definition import StructureDefinition
from hl7fhirgen.validator import validate_resource
from pyrofile_validator import Validator
from pyrofile_validator.config import ValidatorConfig

PACKAGES = Path(__file__).parent / "packages"
R4 = "hl7.fhir.r4.core-equiv-4.0.1-from-medplum-4.5.2.tgz"
DOCUMENT_TYPES = "ValueSet-us-core-documentreference-type.json"


def profiles(version: str) -> dict[str, dict[str, Any]]:
    """Return the profiles of one US Core version by their address."""
    found = {}
    with tarfile.open(PACKAGES / f"hl7.fhir.us.core-{version}.tgz") as package:
        for member in package:
            name = member.name.rpartition("/")[2]
            if name.startswith("StructureDefinition-") and name.endswith(".json"):
                content = package.extractfile(member)
                data = json.load(content) if content else {}
                found[data["url"]] = data
    return found


def pyrofile(version: str, asked: list[dict[str, Any]], scratch: Path) -> dict[str, list[list[str]]]:
    """Return what pyrofile-validator calls an error, with R4 and US Core loaded and no terminology server."""
    types = scratch / DOCUMENT_TYPES
    types.write_bytes(gzip.decompress((PACKAGES / f"{DOCUMENT_TYPES}.gz").read_bytes()))
    paths = [str(PACKAGES / R4), str(PACKAGES / f"hl7.fhir.us.core-{version}.tgz"), str(types)]
    config = {
        "localPackagePaths": paths,
        "packageCacheDir": str(scratch / "cache"),
        "terminology": {"mode": "local", "cacheDir": str(scratch / "terms")},
    }
    validator = Validator(ValidatorConfig.load_dict(config))
    return {
        one["name"]: [
            [issue.code, issue.path or "", issue.message]
            for issue in validator.validate_resource(one["resource"]).errors
        ]
        for one in asked
    }


def hl7fhirgen(version: str, asked: list[dict[str, Any]]) -> dict[str, list[list[str]]]:
    """Return what hl7fhirgen calls an error under each claimed profile."""
    known = {url: StructureDefinition.from_dict(data) for url, data in profiles(version).items() if "snapshot" in data}
    answers: dict[str, list[list[str]]] = {}
    for one in asked:
        claims = one["resource"].get("meta", {}).get("profile", [])
        answers[one["name"]] = [
            ["hl7fhirgen", issue.path, issue.message]
            for url in claims
            for issue in validate_resource(one["resource"], known[url]).issues
            if issue.severity == "error"
        ]
    return answers


def main() -> None:
    """Judge what stands on standard input."""
    question = json.load(sys.stdin)
    # A judge that prints must not spoil the answer.
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(sys.stderr):
        said = {
            "pyrofile": pyrofile(question["version"], question["asked"], Path(scratch)),
            "hl7fhirgen": hl7fhirgen(question["version"], question["asked"]),
        }
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
