"""The 22 wrong resources fail in our own gate, each for its own reason; the 6 right ones pass."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from coordinator.mapping.gate import inspect
from coordinator.mapping.load import Mappings, load

CASES = Path(__file__).parent / "cases"
ROOT = Path(__file__).parents[2]

WRONG = {
    "bad_bp_component_unit": "profile-slice",
    "bad_bp_no_category_slice": "profile-slice",
    "bad_bp_no_diastolic": "profile-slice",
    "bad_bp_no_effective": "profile",
    "bad_bp_no_value_no_dar": "obs-value",
    "bad_bp_wrong_code": "profile",
    "bad_doc_date_only": "primitive-instant",
    "bad_doc_no_attachment_content": "us-core-6",
    "bad_doc_no_category": "profile",
    "bad_doc_status_code": "binding",
    "bad_doc_type_not_loinc_binding": "code-system",
    "bad_extra_field": "unknown-element",
    "bad_med_no_medication": "cardinality",
    "bad_med_no_requester_order": "us-core-21",
    "bad_med_status": "binding",
    "bad_pat_gender_code": "binding",
    "bad_pat_no_identifier": "profile",
    "bad_pat_no_name_invariant": "us-core-6",
    "bad_phq9_no_survey_cat": "profile-slice",
    "bad_phq9_no_value": "us-core-2",
    "bad_ref_type": "reference-type",
    "bad_spo2_one_coding": "profile-slice",
}
CODES_OF_OTHERS = {"unknown-code"}
"""One right resource uses a drug code that the service never sends; our gate may say so."""


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return load(ROOT / "mappings")


def rules_broken(name: str, mappings: Mappings) -> set[str]:
    resource = json.loads((CASES / f"{name}.json").read_text(), parse_float=Decimal)
    return {one.rule for one in inspect(resource, resource["resourceType"], mappings.known_codes).findings}


def test_every_wrong_resource_of_the_folder_is_judged_here() -> None:
    assert {file.stem for file in CASES.glob("bad_*.json")} == set(WRONG)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_resource_fails_for_its_own_reason(name: str, mappings: Mappings) -> None:
    assert WRONG[name] in rules_broken(name, mappings)


@pytest.mark.parametrize("name", sorted(file.stem for file in CASES.glob("ok_*.json")))
def test_a_right_resource_passes(name: str, mappings: Mappings) -> None:
    assert rules_broken(name, mappings) <= CODES_OF_OTHERS
