"""HL7's schema of CDA R2 and HL7's schematron of C-CDA R2.1, run in the environment of validators.lock.

Reads {"schema": {name: document}, "rules": {name: document}} from standard input; writes {name: [what is wrong]}.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from lxml import etree, isoschematron

BUILD = Path(__file__).parent / "ccda" / "build"
SCHEMA = BUILD / "jar" / "schema" / "cdar2" / "infrastructure" / "cda" / "CDA.xsd"
RULES = BUILD / "package" / "schematron" / "ccda"
SCH = "{http://purl.oclc.org/dsdl/schematron}"
SVRL = "{http://purl.oclc.org/dsdl/svrl}"
CDA = "{urn:hl7-org:v3}"


def schematron(asked: list[Any]) -> isoschematron.Schematron:
    """Return the rules of the error phase, without those for templates that no document asked about claims.

    A rule's context names its templates, so the ones left out could not have fired. The value sets (65 MB) are
    cut down to those that a rule looks into.
    """
    document = etree.fromstring((RULES / "Consolidation.sch").read_bytes())
    claimed = {one.get("root") for tree in asked for one in tree.iter(f"{CDA}templateId")}
    for rule in list(document.iter(f"{SCH}rule")):
        named = set(re.findall(r"@root\s*=\s*['\"]([^'\"]+)['\"]", rule.get("context") or ""))
        if named and not named & claimed:
            rule.getparent().remove(rule)
    (errors,) = [one for one in document.iter(f"{SCH}phase") if one.get("id") == "errors"]
    active = {one.get("pattern") for one in errors}
    for pattern in list(document.iter(f"{SCH}pattern")):
        if pattern.get("id") not in active or pattern.find(f"{SCH}rule") is None:
            pattern.getparent().remove(pattern)
    kept = {one.get("id") for one in document.iter(f"{SCH}pattern")}
    for one in list(errors):
        if one.get("pattern") not in kept:
            errors.remove(one)
    for phase in [one for one in document.iter(f"{SCH}phase") if one is not errors]:
        phase.getparent().remove(phase)
    use_small_value_sets(document)
    return isoschematron.Schematron(
        etree.ElementTree(document), phase="errors", store_report=True, validate_schema=False
    )


def use_small_value_sets(document: Any) -> None:
    """Let the tests look into a file that holds only the value sets which they name."""
    looked_into = set()
    for test in document.iter(f"{SCH}assert"):
        looked_into |= set(re.findall(r"@valueSetOid\s*=\s*['\"]([^'\"]+)['\"]", test.get("test")))
    sets = etree.parse(str(RULES / "voc.xml"))
    for one in list(sets.getroot()):
        if one.get("valueSetOid") not in looked_into:
            sets.getroot().remove(one)
    small = BUILD / "voc-small.xml"
    sets.write(str(small))
    for test in document.iter(f"{SCH}assert", f"{SCH}rule"):
        for name in ("test", "context"):
            if "voc.xml" in (test.get(name) or ""):
                test.set(name, test.get(name).replace("voc.xml", small.as_uri()))


def main() -> None:
    """Judge what is asked."""
    asked = json.load(sys.stdin)
    schema = etree.XMLSchema(etree.parse(str(SCHEMA)))
    found: dict[str, list[str]] = {}
    for name, text in asked["schema"].items():
        schema.validate(etree.fromstring(text.encode()))
        found[name] = [f"schema: {one.message}" for one in schema.error_log]
    trees = {name: etree.fromstring(text.encode()) for name, text in asked["rules"].items()}
    rules = schematron(list(trees.values()))
    for name, tree in trees.items():
        rules.validate(tree)
        found.setdefault(name, []).extend(
            f"rule: {' '.join(''.join(one.itertext()).split())}"
            for one in rules.validation_report.iter(f"{SVRL}failed-assert")
        )
    json.dump(found, sys.stdout)


main()
