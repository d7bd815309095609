"""What a session becomes. Codes, units and doses are asserted here one by one, never by a golden file alone."""

import base64
import hashlib
from decimal import Decimal
from typing import Any

import pytest

from coordinator.mapping.problems import MappingHeld
from tests.unit.mapping.conftest import A_REQUEST, PDF, Make, a_letter, a_recipient, example

SPIKE = "session-outcome.bp-spike"
ESKETAMINE = "session-outcome.esketamine"
UCUM = "http://unitsofmeasure.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
NDC = "http://hl7.org/fhir/sid/ndc"
SNOMED = "http://snomed.info/sct"


def test_the_ketamine_dose_goes_out_as_41_mg_intravenous(make: Make) -> None:
    given = make(example(SPIKE)).one("MedicationAdministration")
    assert given["status"] == "completed"
    assert given["medicationCodeableConcept"]["coding"] == [{"system": RXNORM, "code": "6130", "display": "ketamine"}]
    assert given["dosage"]["dose"] == {"value": 41, "unit": "mg", "system": UCUM, "code": "mg"}
    assert given["dosage"]["route"]["coding"][0]["code"] == "47625008"
    assert given["effectivePeriod"] == {"start": "2026-10-14T10:00:00-05:00", "end": "2026-10-14T10:40:00-05:00"}


def test_esketamine_carries_its_package_code_and_no_rxnorm_code(make: Make) -> None:
    given = make(example(ESKETAMINE)).one("MedicationAdministration")
    coding = given["medicationCodeableConcept"]["coding"]
    assert [(one["system"], one["code"]) for one in coding] == [(NDC, "50458-028-02")]
    assert given["medicationCodeableConcept"]["text"] == "esketamine"
    assert given["dosage"]["dose"]["value"] == 56
    assert given["dosage"]["route"]["coding"][0]["code"] == "46713006"
    assert {"text": "Lot: LOT-4471"} in given["note"]


def test_the_package_code_the_clinic_sent_wins_over_the_table(make: Make) -> None:
    event = example(ESKETAMINE)
    event["administration"]["ndc"] = "50458-028-03"
    coding = make(event).one("MedicationAdministration")["medicationCodeableConcept"]["coding"]
    assert [one["code"] for one in coding] == ["50458-028-03"]


@pytest.mark.parametrize(("typed", "said"), [("37.50", "37.5"), ("0.1", "0.1"), ("37.1", "37.1"), ("100", "100")])
def test_a_decimal_keeps_its_digits_and_never_grows_a_tail(make: Make, typed: str, said: str) -> None:
    event = example(SPIKE)
    event["administration"]["dose"]["value"] = typed
    content = make(event)
    assert f'"dose":{{"value":{typed},"unit":"mg"'.encode() in content.contents[0].body
    assert content.one("MedicationAdministration")["dosage"]["text"] == f"{said} mg intravenous"


@pytest.mark.parametrize(("typed", "unit", "number"), [("41000", "mcg", "41"), ("0.0410", "g", "41")])
def test_a_converted_dose_has_no_more_digits_than_were_measured(make: Make, typed: str, unit: str, number: str) -> None:
    event = example(SPIKE)
    event["administration"]["dose"] = {"value": typed, "unit": unit}
    assert f'"dose":{{"value":{number},"unit":"mg"'.encode() in make(event).contents[0].body


def test_every_blood_pressure_stands_at_its_own_time_with_both_components(make: Make) -> None:
    readings = make(example(SPIKE)).observation("85354-9")
    seen = [
        (one["effectiveDateTime"], *[part["valueQuantity"]["value"] for part in one["component"]]) for one in readings
    ]
    assert seen == [
        ("2026-10-14T09:50:00-05:00", 134, 84),
        ("2026-10-14T10:20:00-05:00", 172, 102),
        ("2026-10-14T10:40:00-05:00", 184, 112),
        ("2026-10-14T11:00:00-05:00", 168, 98),
        ("2026-10-14T11:30:00-05:00", 150, 92),
        ("2026-10-14T12:00:00-05:00", 138, 86),
    ]
    for one in readings:
        assert [part["code"]["coding"][0]["code"] for part in one["component"]] == ["8480-6", "8462-4"]
        assert {part["valueQuantity"]["code"] for part in one["component"]} == {"mm[Hg]"}
        assert one["category"][0]["coding"][0]["code"] == "vital-signs"
        assert one["performer"]


def test_oxygen_saturation_carries_both_codings(make: Make) -> None:
    readings = make(example(SPIKE)).observation("59408-5")
    assert len(readings) == 6
    assert [item["code"] for item in readings[0]["code"]["coding"]] == ["2708-6", "59408-5"]
    assert readings[0]["valueQuantity"] == {"value": 98, "unit": "%", "system": UCUM, "code": "%"}


def test_heart_rate_and_weight_have_their_codes_and_units(make: Make) -> None:
    content = make(example(SPIKE))
    assert [one["valueQuantity"]["value"] for one in content.observation("8867-4")] == [88, 108, 118, 110, 99, 92]
    (weight,) = content.observation("29463-7")
    assert (weight["valueQuantity"]["value"], weight["valueQuantity"]["code"]) == (82, "kg")


def test_a_weight_in_pounds_goes_out_in_kilograms(make: Make) -> None:
    event = example(SPIKE)
    event["weight"] = {"value": "180.8", "unit": "[lb_av]"}
    (weight,) = make(event).observation("29463-7")
    assert weight["valueQuantity"]["value"] == Decimal("82.0")


def test_scores_are_whole_numbers_with_their_loinc_codes(make: Make) -> None:
    content = make(example(SPIKE))
    (phq,) = content.observation("44261-6")
    (gad,) = content.observation("70274-6")
    assert (phq["valueInteger"], phq["component"][0]["valueInteger"], gad["valueInteger"]) == (11, 0, 8)
    assert phq["category"][0]["coding"][0]["code"] == "survey"


def test_an_instrument_without_a_verified_code_goes_out_as_text_with_a_local_code(make: Make) -> None:
    event = example(SPIKE)
    event["scores"] = [{"instrument": "madrs", "total": 22, "on": "2026-10-14"}]
    (madrs,) = make(event).observation("madrs")
    assert madrs["code"]["coding"][0]["system"].startswith("urn:coordinator:codes:")
    assert madrs["code"]["text"] == "MADRS total score"


def test_a_score_not_done_says_so_and_has_no_value(make: Make) -> None:
    event = example(SPIKE)
    event["scores"] = [{"instrument": "phq-9", "total": {"not_done": "refused"}, "on": "2026-10-14"}]
    (phq,) = make(event).observation("44261-6")
    assert "valueInteger" not in phq
    assert phq["dataAbsentReason"]["coding"][0]["code"] == "not-performed"


def test_an_unknown_pressure_is_told_as_unknown_beside_the_known_one(make: Make) -> None:
    event = example(SPIKE)
    event["vitals"] = [
        {"slot": "baseline", "at": "2026-10-14T09:50:00-05:00", "systolic": 134, "diastolic": {"unknown": True}}
    ]
    (reading,) = make(event).observation("85354-9")
    assert reading["component"][0]["valueQuantity"]["value"] == 134
    assert reading["component"][1]["dataAbsentReason"]["coding"][0]["code"] == "asked-unknown"
    assert "valueQuantity" not in reading["component"][1]


def test_sedation_dissociation_and_suicide_risk_are_told_without_invented_codes(make: Make) -> None:
    content = make(example(SPIKE))
    (sedation,) = content.observation("moaa-s-lowest")
    (dissociation,) = content.observation("dissociation-present")
    (risk,) = content.observation("suicide-risk-screen")
    assert sedation["valueInteger"] == 4
    assert (dissociation["valueBoolean"], dissociation["component"][0]["valueInteger"]) == (True, 14)
    assert risk["valueCodeableConcept"] == {"text": "low"}


def test_a_stimulant_as_known_is_a_reported_plan_and_never_an_order(make: Make) -> None:
    known = make(example(SPIKE)).one("MedicationRequest")
    assert (known["intent"], known["status"], known["reportedBoolean"]) == ("plan", "active", True)
    concept = known["medicationCodeableConcept"]
    assert (concept["text"], [one["code"] for one in concept["coding"]]) == ("Adderall XR", ["861232"])
    assert known["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"] == 30


def test_a_product_of_one_ingredient_gets_the_ingredient_code_and_keeps_the_typed_words(make: Make) -> None:
    event = example(SPIKE)
    event["other_medications_taken"][0]["product"] = "Vyvanse"
    listed = [one["medicationCodeableConcept"] for one in make(event).all("MedicationRequest")]
    (known,) = [one for one in listed if one["text"] == "Vyvanse"]
    assert (known["coding"][0]["code"], known["text"]) == ("700810", "Vyvanse")


def test_an_adverse_event_is_a_condition_and_an_adverse_event_pointing_at_the_drug(make: Make) -> None:
    content = make(example(SPIKE))
    condition, event = content.one("Condition"), content.one("AdverseEvent")
    assert condition["code"] == {
        "coding": [{"system": SNOMED, "code": "422587007", "display": "Nausea (finding)"}],
        "text": "nausea",
    }
    assert condition["clinicalStatus"]["coding"][0]["code"] == "resolved"
    assert event["seriousness"]["coding"][0]["code"] == "Non-serious"
    drug = next(
        e for e in content.body("chart")["entry"] if e["resource"]["resourceType"] == "MedicationAdministration"
    )
    assert event["suspectEntity"] == [{"instance": {"reference": drug["fullUrl"]}}]


@pytest.mark.parametrize(
    ("status", "encounter", "given"),
    [("completed", "finished", "completed"), ("aborted", "finished", "stopped"), ("not-given", "finished", "not-done")],
)
def test_the_status_of_the_session_shows_on_visit_and_drug(make: Make, status: str, encounter: str, given: str) -> None:
    content = make({**example(SPIKE), "status": status})
    assert content.one("Encounter")["status"] == encounter
    assert content.one("MedicationAdministration")["status"] == given
    assert content.one("Procedure")["status"] == given


@pytest.mark.parametrize("status", ["no-show", "cancelled", "scheduled"])
def test_a_session_that_was_not_held_has_a_visit_and_no_drug(make: Make, status: str) -> None:
    head = ("type", "schema_version", "id", "version", "recorded_at", "recorded_by", "patient", "course")
    content = make({**{key: example(SPIKE)[key] for key in head}, "status": status})
    assert content.one("Encounter")["status"] == {"scheduled": "planned"}.get(status, "cancelled")
    assert content.all("MedicationAdministration") == content.all("Observation") == []


def test_the_letter_is_attached_as_pdf_and_text_with_sha1_and_size(make: Make) -> None:
    document = make(example(SPIKE)).one("DocumentReference")
    pdf, text = (one["attachment"] for one in document["content"])
    assert (pdf["contentType"], text["contentType"]) == ("application/pdf", "text/plain")
    assert base64.b64decode(pdf["data"]) == PDF
    assert base64.b64decode(pdf["hash"]) == hashlib.sha1(PDF).digest()
    assert pdf["size"] == len(PDF)
    assert document["type"]["coding"][0]["code"] == "11488-4"
    assert document["category"][0]["coding"][0]["code"] == "clinical-note"
    assert document["context"]["period"]["end"] == "2026-10-14T12:05:00-05:00"


ARRIVED = ("vitals", "administration", "sedation", "dissociation", "discharge", "adverse_events", "suicide_risk",
           "rescue_medications", "monitoring_ended_at")  # fmt: skip
END = "2026-10-14T12:05:00-05:00"
LEFT = {"at": END, "ready": True, "escort": True, "advised_not_to_drive": True}


@pytest.mark.parametrize("ends", [{"monitoring_ended_at": END}, {"discharge": LEFT}], ids=["monitoring", "discharge"])
def test_a_visit_of_which_only_the_end_is_known_says_the_end_and_no_start(make: Make, ends: dict[str, Any]) -> None:
    """R4: a period without a start is one whose start is not known. Nothing is made up, and nothing is held."""
    event = {key: value for key, value in example(SPIKE).items() if key not in ARRIVED}
    content = make({**event, "status": "arrived", "status_reason": "told on the telephone", **ends})
    assert content.one("Encounter")["period"] == {"end": END}
    assert content.one("DocumentReference")["context"]["period"] == {"end": END}
    (weight,) = content.observation("29463-7")
    assert weight["effectiveDateTime"] == "2026-10-14"


def test_a_visit_without_any_time_has_no_period(make: Make) -> None:
    event = {key: value for key, value in example(SPIKE).items() if key not in ARRIVED}
    content = make({**event, "status": "arrived", "recorded_at": "2026-10-16T09:00:00-05:00"})
    assert "period" not in content.one("Encounter")


def test_a_letter_of_an_unknown_document_type_holds_the_message_and_does_not_say_the_word(make: Make) -> None:
    with pytest.raises(MappingHeld) as held:
        make(example(SPIKE), letters=(a_letter(type_code="epistle"),))
    (problem,) = held.value.problems
    assert problem.code == "mapping.unmapped"
    assert "document-type" in problem.fix
    assert "epistle" not in f"{problem} {held.value}"


def test_what_is_asked_is_a_task_with_an_answer_by(make: Make) -> None:
    content = make(example(SPIKE), recipient=a_recipient(requests=(A_REQUEST,)))
    task = content.one("Task")
    assert (task["status"], task["intent"]) == ("requested", "proposal")
    assert task["code"]["coding"][0]["code"] == "suspend"
    assert task["description"] == A_REQUEST.text
    assert task["restriction"]["period"]["end"] == "2026-10-16T17:00:00-05:00"


def test_without_a_letter_the_chart_still_goes_and_says_no_document(make: Make) -> None:
    content = make(example(SPIKE), "chart", "document", letters=())
    assert [one.level for one in content.contents] == ["chart"]
    assert content.all("DocumentReference") == []
    assert content.one("Communication")["status"] == "completed"


def test_every_resource_is_labelled_restricted_and_psychiatric(make: Make) -> None:
    for entry in make(example(SPIKE)).body("chart")["entry"]:
        assert [one["code"] for one in entry["resource"]["meta"]["security"]] == ["R", "PSY"]


def test_provenance_names_every_mapping_with_its_version(make: Make) -> None:
    content = make(example(SPIKE))
    named = {one["what"]["identifier"]["value"] for one in content.one("Provenance")["entity"]}
    assert "session-outcome.heart-rate version 1" in named
    assert named == {f"{name} version {version}" for name, version in content.contents[0].mappings.items()}


def test_a_staff_member_who_is_not_in_the_registry_leaves_the_clinic_as_author(make: Make) -> None:
    content = make({**example(SPIKE), "recorded_by": "st-99", "attested_by": "st-99"})
    assert len(content.all("Practitioner")) == 1
    assert [one["type"]["coding"][0]["code"] for one in content.one("Provenance")["agent"]] == ["transmitter"]


def test_a_visit_of_which_only_the_end_is_known_goes_out_with_that_end_and_no_start(make: Make) -> None:
    ended = "2026-10-14T12:05:00-05:00"
    event = {**example("session-outcome.bp-spike"), "status": "aborted", "status_reason": "the patient left",
             "administration": None, "vitals": [], "discharge": None, "monitoring_ended_at": ended,
             "adverse_events": [], "dissociation": None, "sedation": None, "rescue_medications": []}  # fmt: skip
    content = make(event)
    assert content.one("Encounter")["period"] == {"end": ended}
    document = content.one("DocumentReference")["context"]["period"]
    assert document["end"] == ended
    assert document.get("start", ended) == ended
