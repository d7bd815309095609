"""A judge nobody here wrote: @medplum/core with US Core 6.1.0, 7.0.0 and 8.0.0.

Needs Node and `npm ci --ignore-scripts` in this folder; without them the tests are skipped, and say so.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.made import Named, make_ups, one_of_each

HERE = Path(__file__).parent
VERSIONS = ("6.1.0", "7.0.0", "8.0.0")
NOT_SEEN = {
    "bad_bp_component_unit", "bad_doc_no_attachment_content", "bad_doc_status_code", "bad_doc_type_not_loinc_binding",
    "bad_med_status", "bad_pat_gender_code", "bad_ref_type",
}  # fmt: skip
"""What this judge cannot see: code bindings, reference types, fixed values inside a component slice, us-core-6
on attachments. Our own gate sees them (test_wrong_resources)."""
NOT_LOADED = {"http://hl7.org/fhir/us/core/StructureDefinition/us-core-provenance"}
"""A profile this judge cannot load (its slicing); Provenance is judged against R4 and by our own tables."""

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(
        shutil.which("node") is None or not (HERE / "node_modules" / "@medplum" / "core").is_dir(),
        reason="NOT JUDGED BY MEDPLUM: run `npm ci --ignore-scripts` in tests/conformance with Node 20",
    ),
]


def made() -> list[Named]:
    """Return every single resource of its own shape, and bundles of every make-up."""
    return [*one_of_each(), *make_ups("transaction"), *make_ups("message"), *make_ups("document")]


def judged(version: str, asked: list[dict[str, Any]]) -> tuple[dict[str, list[str]], set[str]]:
    answer = subprocess.run(
        ["node", "judge.mjs", version],
        cwd=HERE,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    said = json.loads(answer.stdout)
    return {one["name"]: one["issues"] for one in said["answers"]}, set(said["unloadable"])


@pytest.mark.timeout(400)
@pytest.mark.parametrize("version", VERSIONS)
def test_everything_we_make_is_accepted(version: str) -> None:
    asked = made()
    issues, unloadable = judged(version, asked)
    assert len(issues) == len(asked)
    assert {name: listed for name, listed in issues.items() if listed} == {}
    assert unloadable == NOT_LOADED


def test_the_judge_refuses_what_is_wrong() -> None:
    asked = [{"name": file.stem, "resource": json.loads(file.read_text())} for file in (HERE / "cases").glob("*.json")]
    issues, _ = judged("6.1.0", asked)
    assert {name for name, listed in issues.items() if name.startswith("bad") and not listed} == NOT_SEEN
    assert [name for name, listed in issues.items() if name.startswith("ok") and listed] == []
