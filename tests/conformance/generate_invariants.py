"""Write tests/conformance/invariants.json: every error-level invariant of the types and US Core profiles in use.

    python -m tests.conformance.generate_invariants R4.tgz US-CORE.tgz...

The gate's test asks of each that it is enforced, with a planted fault, or why our output cannot break it.
"""

import json
import sys
from pathlib import Path
from typing import Any

from coordinator.mapping import r4
from coordinator.mapping.profiles import PROFILES
from tests.conformance.generate_r4_tables import read_package

HERE = Path(__file__).parent


def constraints(definition: dict[str, Any], elements: str) -> dict[tuple[str, str], str]:
    """Return (key, path) -> human words of every error-level invariant of a definition."""
    found = {}
    for element in definition.get(elements, {}).get("element", []):
        for one in element.get("constraint", []):
            if one["severity"] == "error":
                found[one["key"], element["path"]] = one["human"]
    return found


def main() -> None:
    base, *guides = [read_package(Path(one)) for one in sys.argv[1:]]
    rows: dict[str, dict[str, Any]] = {}

    def add(key: str, path: str, human: str, where: str) -> None:
        row = rows.setdefault(key, {"says": human, "at": set(), "in": set()})
        row["at"].add(path)
        row["in"].add(where)

    for kind in sorted({one.partition(".")[0] for one in r4.TYPES} | {"Element", "Resource", "DomainResource"}):
        definition = base.get(f"StructureDefinition|http://hl7.org/fhir/StructureDefinition/{kind}")
        for (key, path), human in constraints(definition or {}, "snapshot").items():
            add(key, path if not key.startswith(("ele-", "ext-")) else "Element", human, "R4 4.0.1")
    for guide in guides:
        for url in PROFILES:
            definition = guide.get(f"StructureDefinition|{url}")
            if definition is None:
                continue
            for (key, path), human in constraints(definition, "snapshot").items():
                if key not in rows or key.startswith("us-core"):
                    add(key, path, human, f"{url.rsplit('/', 1)[-1]} {definition.get('version', '')}")
    listed = {
        key: {"says": row["says"], "at": sorted(row["at"]), "in": sorted(row["in"])}
        for key, row in sorted(rows.items())
    }
    text = json.dumps(listed, indent=1, ensure_ascii=False)
    (HERE / "invariants.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
