"""No code goes out that nobody has read in a source: each is in the list of verified codes, once, with that display."""

import json
import re
from collections import defaultdict
from pathlib import Path

from coordinator.mapping.load import Mappings

ROOT = Path(__file__).parents[3]
TOLD = json.loads(Path(__file__).with_name("verified_codes.json").read_text("utf-8"))["used"]
LISTED = {(one["system"], one["code"]): one for one in TOLD}
NOTED = {("http://hl7.org/fhir/sid/ndc", "50458-028-03"): "named in the note of the verified row 50458-028-02"}
LETTERS_AND_DIGITS = re.compile(r"[A-Za-z0-9.\-]+")


def used(mappings: Mappings) -> dict[tuple[str, str], list[tuple[str, str | None]]]:
    """Return (table, display) of every use of a code of somebody else's code system."""
    found = defaultdict(list)
    for table in mappings.tables.values():
        for row in table.rows.values():
            for one in row.codings:
                if not one.get("system", "urn:coordinator:").startswith("urn:coordinator:"):
                    found[one["system"], one["code"]].append((table.name, one.get("display")))
    return found


def test_every_code_is_verified_and_has_the_display_of_its_source(mappings: Mappings) -> None:
    everything = used(mappings)
    assert len(everything) > 150
    unknown = everything.keys() - LISTED.keys() - NOTED.keys()
    assert unknown == set()
    assert {LISTED[key]["status"] for key in everything if key in LISTED} <= {"verified", "verified-secondary"}
    for key, uses in everything.items():
        told = LISTED.get(key, {}).get("display")
        assert {display for _, display in uses if display and told} <= {told}, key


def test_a_code_stands_in_one_table_only(mappings: Mappings) -> None:
    assert {key: uses for key, uses in used(mappings).items() if len({table for table, _ in uses}) > 1} == {}


def test_no_row_of_the_list_is_left_over(mappings: Mappings) -> None:
    assert LISTED.keys() - used(mappings).keys() == set()


def test_no_code_of_a_terminology_stands_in_python(mappings: Mappings) -> None:
    terminologies = ("snomed.info", "loinc.org", "rxnorm", "sid/ndc", "icd-10")
    codes = {code for system, code in used(mappings) if any(one in system for one in terminologies)}
    codes = {one for one in codes if len(one) > 4 or "-" in one}
    assert len(codes) > 100
    for file in (ROOT / "coordinator").rglob("*.py"):
        words = set(LETTERS_AND_DIGITS.findall(file.read_text("utf-8")))
        assert words & codes == set(), file
