"""Cuts what the tests need out of the published capability facts; run once, by hand, with the path of the source.

python -m tests.contract.make_ehr_facts ehr-capability-facts.json
"""

import json
import sys
from pathlib import Path

NAMES = {"epic": "epic-like", "athenahealth": "athena-like"}


def main() -> None:
    told = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    found = {
        "origin": "Facts derived 2026-11-22 from the published statements and pages named in `sources`; "
        "which types take a create and an update, cut down to what the tests ask. No text is copied.",
        "sources": told["sources"],
    }
    for name, play in NAMES.items():
        rows = told[name]["resources"]
        found[play] = {
            "system": told[name]["systemInteractions"],
            "creates": sorted(kind for kind, row in rows.items() if "create" in row["interactions"]),
            "updates": sorted(kind for kind, row in rows.items() if "update" in row["interactions"]),
            "conditional_create": any(row["conditionalCreate"] for row in rows.values()),
        }
    oracle = told["oracle-millennium"]
    found["oracle-like"] = {
        "system": [],
        "creates": sorted(one.partition("(")[0] for one in oracle["createDocumented"]),
        "updates": [],
        "conditional_create": False,
        "batch": oracle["bundleBatchOrTransaction"],
    }
    Path(__file__).with_name("ehr_facts.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
