"""Cuts the rows that mappings/codes uses out of the list of verified codes, and out of the R4 and US Core packages.

    python -m tests.unit.mapping.make_verified_codes verified-codes.json

Run by hand after a code was added whose source somebody has read. A code that neither the list nor a package has is
left out, and the test names it.
"""

import json
import sys
import tarfile
from pathlib import Path
from typing import Any

from coordinator.mapping.load import load

ROOT = Path(__file__).parents[3]
PACKAGES = ROOT / "tests" / "conformance" / "packages"


def published() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the concepts of the code systems in the R4 and US Core 6.1.0 packages."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name in ("hl7.fhir.r4.core-equiv-4.0.1-from-medplum-4.5.2", "hl7.fhir.us.core-6.1.0"):
        with tarfile.open(PACKAGES / f"{name}.tgz") as package:
            for member in package:
                if "CodeSystem-" not in member.name or not member.name.endswith(".json"):
                    continue
                system = json.load(package.extractfile(member))  # type: ignore[arg-type]
                waiting = list(system.get("concept", []))
                while waiting:
                    one = waiting.pop()
                    waiting += one.get("concept", [])
                    row = {"display": one.get("display"), "source": f"{name}: {member.name}", "status": "verified"}
                    found.setdefault((system["url"], one["code"]), row)
    return found


def main() -> None:
    told = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    listed = {(one["system"], one["code"]): one for one in told["codes"]}
    packages = published()
    rows = []
    tables = load(ROOT / "mappings").tables.values()
    used = {
        (c["system"], c["code"])
        for table in tables
        for row in table.rows.values()
        for c in row.codings
        if "system" in c
    }
    for system, code in sorted(used):
        found = listed.get((system, code)) or packages.get((system, code))
        if found is not None and not system.startswith("urn:coordinator:"):
            kept = {name: found[name] for name in ("display", "source", "status") if found.get(name)}
            rows.append({"system": system, "code": code, **kept})
    head = {"origin": "rows of the project's list of verified codes, and concepts of the packages named", "used": rows}
    Path(__file__).with_name("verified_codes.json").write_text(json.dumps(head, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
