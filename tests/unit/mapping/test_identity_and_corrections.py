"""Names that stay the same, corrections that replace, retractions that take back."""

import json
import re
from typing import Any

import pytest

from coordinator.mapping.identity import document_identifier, message_identifier
from coordinator.mapping.load import Mappings
from tests.unit.mapping.conftest import A_REQUEST, Make, a_case, a_letter, a_recipient, example, sent

SPIKE = "session-outcome.bp-spike"


def urls(content: Any) -> dict[str, str]:
    return {entry["fullUrl"]: entry["request"].get("url") for entry in content.body("chart")["entry"]}


def corrected(**changes: Any) -> dict[str, Any]:
    return {**example(SPIKE), "version": 2, "amendment_reason": "typing fault", **changes}


def old_version() -> Any:
    return a_case(example(SPIKE)).event


def test_the_same_event_gives_the_same_bytes(make: Make) -> None:
    levels = ("chart", "document", "message")
    assert make(example(SPIKE), *levels).contents == make(example(SPIKE), *levels).contents


def test_no_address_of_an_entry_stands_in_an_identifier(make: Make) -> None:
    bundle = make(example(SPIKE)).body("chart")
    held = json.dumps(
        [one["resource"].get(key) for one in bundle["entry"] for key in ("identifier", "masterIdentifier")]
    )
    assert not [one["fullUrl"] for one in bundle["entry"] if one["fullUrl"] in held]


def test_every_entry_repeats_safely(make: Make) -> None:
    for entry in make(example(SPIKE)).body("chart")["entry"]:
        request, kind = entry["request"], entry["resource"]["resourceType"]
        if request["method"] == "POST":
            assert re.fullmatch(r"identifier=[^|]+\|.+", request["ifNoneExist"])
        elif kind in ("Provenance", "AdverseEvent"):
            assert request["url"] == f"{kind}/{entry['resource']['id']}"
        else:
            assert request["url"].startswith(f"{kind}?identifier=urn:coordinator:1999999000:")
            assert "id" not in entry["resource"]


def test_nothing_of_the_patient_is_in_any_name_but_the_patients_own(make: Make) -> None:
    content = make(example(SPIKE))
    for entry in content.body("chart")["entry"]:
        if entry["resource"]["resourceType"] != "Patient":
            names = f"{entry['fullUrl']} {entry['request']} {entry['resource'].get('identifier')}"
            assert "MRN-1001" not in names
            assert "1988" not in names


def test_the_patient_is_found_by_the_number_the_recipient_keeps(make: Make) -> None:
    content = make(example(SPIKE))
    entry = next(one for one in content.body("chart")["entry"] if one["resource"]["resourceType"] == "Patient")
    assert entry["request"] == {
        "method": "POST",
        "url": "Patient",
        "ifNoneExist": "identifier=urn:example:northshore:mrn|NS-55213",
    }
    assert [one["value"] for one in entry["resource"]["identifier"]] == ["NS-55213", "MRN-1001"]


def test_a_number_that_somebody_else_keeps_is_not_told(make: Make) -> None:
    clinic = example("clinic")
    clinic["patients"][0]["identifiers"] += [{"system": "urn:other", "value": "X-1", "held_by": "pr-pcp"}]
    assert b"X-1" not in make(example(SPIKE), "chart", clinic=clinic).contents[0].body


def test_one_identifier_tells_whether_the_send_landed(make: Make) -> None:
    case = a_case(example(SPIKE))
    system, value = message_identifier(case, "pr-psych")
    assert (system, value) == ("urn:ietf:rfc:3986", f"urn:uuid:{case.message_id('pr-psych')}")
    content = make(example(SPIKE), "chart", "document")
    wanted = {"system": system, "value": value}
    assert wanted in content.one("Communication")["identifier"]
    assert wanted in content.one("DocumentReference")["identifier"]
    assert content.one("Encounter")["identifier"][0] == wanted
    assert wanted in content.body("document")["identifier"]


def test_the_letters_master_identifier_is_the_documents_own(make: Make) -> None:
    case = a_case(example(SPIKE))
    system, value = document_identifier(case, "pr-psych", "L4")
    assert make(example(SPIKE)).one("DocumentReference")["masterIdentifier"] == {"system": system, "value": value}


def test_a_correction_updates_the_same_resources_and_marks_only_what_differs(make: Make) -> None:
    event = corrected()
    event["vitals"][2]["systolic"] = 148
    first, second = make(example(SPIKE)), make(event, previous=old_version())
    updated = {url for url, request in urls(first).items() if "?" in request}
    assert updated <= set(urls(second))
    marks = {one["effectiveDateTime"]: one["status"] for one in second.observation("85354-9")}
    assert marks["2026-10-14T10:40:00-05:00"] == "corrected"
    assert {status for at, status in marks.items() if "10:40" not in at} == {"final"}


def test_a_reading_that_the_correction_drops_is_taken_back(make: Make) -> None:
    event = corrected()
    del event["vitals"][1]
    event["adverse_events"] = []
    content = make(event, previous=old_version())
    statuses = {one["effectiveDateTime"]: one["status"] for one in content.observation("85354-9")}
    assert statuses["2026-10-14T10:20:00-05:00"] == "entered-in-error"
    assert content.one("Condition")["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert "clinicalStatus" not in content.one("Condition")


def test_a_session_that_did_not_take_place_after_all_takes_its_author_along(make: Make) -> None:
    """What is taken back still names who did it, though the new version has another author."""
    told = example(SPIKE)
    head = ("type", "schema_version", "id", "recorded_at", "recorded_by", "patient", "course")
    missed = {key: told[key] for key in head} | {"version": 2, "status": "no-show", "amendment_reason": "wrong day"}
    chart = make(missed, previous=old_version()).body("chart")
    taken_back = next(one["resource"] for one in chart["entry"] if one["resource"]["resourceType"] == "Procedure")
    assert taken_back["status"] == "entered-in-error"
    assert taken_back["performer"][0]["actor"]["reference"] in {one["fullUrl"] for one in chart["entry"]}


def test_a_corrected_letter_replaces_the_one_the_recipient_holds(make: Make) -> None:
    held = a_case(example(SPIKE)).document_id("pr-psych", "L4", 1)
    content = make(
        corrected(), "chart", "document", letters=(a_letter("L9"),), previous=old_version(), already_sent=(sent(),)
    )
    (relation,) = content.one("DocumentReference")["relatesTo"]
    assert relation["code"] == "replaces"
    assert relation["target"]["identifier"]["value"] == f"urn:uuid:{held}"
    assert content.body("document")["relatesTo"] == [relation]


def test_a_letter_that_only_somebody_else_holds_is_not_replaced(make: Make) -> None:
    content = make(
        corrected(), letters=(a_letter("L9"),), previous=old_version(), already_sent=(sent(provider="pr-pcp"),)
    )
    assert "relatesTo" not in content.one("DocumentReference")


def test_entered_in_error_takes_back_every_resource_that_was_told(make: Make) -> None:
    event = {key: example(SPIKE)[key] for key in
             ("type", "schema_version", "id", "recorded_at", "recorded_by", "patient", "course")}  # fmt: skip
    first = make(example(SPIKE))
    content = make({**event, "version": 2, "status": "entered-in-error"}, previous=old_version())
    assert {one["status"] for one in content.all("Observation")} == {"entered-in-error"}
    assert content.one("Encounter")["status"] == "entered-in-error"
    assert content.one("MedicationAdministration")["status"] == "entered-in-error"
    assert content.one("Procedure")["status"] == "entered-in-error"
    assert content.one("MedicationRequest")["status"] == "entered-in-error"
    told = {url for url, request in urls(first).items() if "?" in request and not request.startswith("AdverseEvent")}
    assert told <= set(urls(content))


@pytest.mark.parametrize("change", [{}, {"status": "entered-in-error"}])
def test_the_reason_of_a_correction_and_of_a_retraction_stands_in_the_provenance(make: Make, change: dict) -> None:
    event = {**corrected(), "amendment_reason": "Typed wrong.", **change}
    assert make(event, previous=old_version()).one("Provenance")["reason"] == [{"text": "Typed wrong."}]
    assert "reason" not in make(example(SPIKE)).one("Provenance")


def test_a_retracted_dose_change_is_taken_back(make: Make) -> None:
    event = example("dose-change.ketamine")
    before = a_case(event).event
    content = make({**event, "version": 2, "status": "entered-in-error"}, previous=before)
    assert {one["status"] for one in content.all("MedicationRequest")} == {"entered-in-error"}


def test_instants_keep_the_offset_they_came_with(make: Make) -> None:
    event = example(SPIKE)
    event["administration"]["started_at"] = "2026-10-14T15:00:00Z"
    assert make(event).one("MedicationAdministration")["effectivePeriod"]["start"] == "2026-10-14T15:00:00+00:00"


def test_two_adverse_events_of_one_term_stay_two(make: Make, mappings: Mappings) -> None:
    event = example(SPIKE)
    event["adverse_events"] *= 2
    content = make(event)
    assert len({entry["fullUrl"] for entry in content.body("chart")["entry"]}) == len(content.body("chart")["entry"])
    assert len(content.all("Condition")) == len(content.all("AdverseEvent")) == 2


def test_a_task_that_the_far_side_may_have_answered_is_never_overwritten(make: Make) -> None:
    content = make(example(SPIKE), recipient=a_recipient(requests=(A_REQUEST,)))
    entry = next(one for one in content.body("chart")["entry"] if one["resource"]["resourceType"] == "Task")
    assert entry["request"]["method"] == "POST"
    assert "ifNoneExist" in entry["request"]


@pytest.mark.parametrize(
    ("name", "family", "given"),
    [({"given": ["Suharto"]}, "Suharto", None), ({"given": ["Sri", "Devi"]}, "Devi", ["Sri"])],
)
def test_a_clinician_without_a_family_name_is_told_of_all_the_same(make: Make, name, family, given) -> None:
    clinic = example("clinic")
    for one in (*clinic["staff"], *clinic["providers"]):
        one["name"] = name
    names = [one["name"][0] for one in make(example(SPIKE), clinic=clinic).all("Practitioner")]
    assert names
    assert all((one["family"], one.get("given")) == (family, given) for one in names)
