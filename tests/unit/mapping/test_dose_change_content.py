"""What a change of dose becomes: an order for the clinic's own drug, a proposal or a report for anybody else's."""

from typing import Any

import pytest

from tests.unit.mapping.conftest import A_REQUEST, Make, a_recipient, example

KETAMINE = "dose-change.ketamine"
HOLD = "dose-change.stimulant-hold"


def by_intent(requests: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for one in requests:
        found.setdefault(one["intent"], []).append(one)
    return found


def dose(request: dict[str, Any]) -> tuple[str, str]:
    quantity = request["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]
    return str(quantity["value"]), quantity["code"]


def test_the_clinics_own_drug_is_ordered_and_points_at_the_order_before(make: Make) -> None:
    content = make(example(KETAMINE))
    orders = {one["status"]: one for one in by_intent(content.all("MedicationRequest"))["order"]}
    assert dose(orders["active"]) == ("0.6", "mg/kg")
    assert dose(orders["stopped"]) == ("0.5", "mg/kg")
    assert orders["active"]["medicationCodeableConcept"]["coding"][0]["code"] == "6130"
    assert orders["active"]["requester"]["reference"].startswith("urn:uuid:")
    urls = {entry["fullUrl"]: entry["resource"] for entry in content.body("chart")["entry"]}
    assert urls[orders["active"]["priorPrescription"]["reference"]] == orders["stopped"]


def test_a_stimulant_hold_is_a_proposal_on_hold_beside_the_reported_regimen(make: Make) -> None:
    found = by_intent(make(example(HOLD)).all("MedicationRequest"))
    assert set(found) == {"proposal", "plan"}
    (proposal,), (known,) = found["proposal"], found["plan"]
    assert (proposal["status"], known["status"], known["reportedBoolean"]) == ("on-hold", "active", True)
    assert dose(known) == ("30", "mg")
    assert any("evening after each session" in one["text"] for one in proposal["note"])
    assert proposal["statusReason"]["text"] == example(HOLD)["reason"]["text"]


@pytest.mark.parametrize("action", ["start", "increase", "decrease", "hold", "resume", "stop", "switch", "retime"])
@pytest.mark.parametrize("kind", ["requested-of-prescriber", "reported-by-patient", "reported-by-prescriber"])
def test_a_stimulant_is_never_ordered_whatever_happens_to_it(make: Make, action: str, kind: str) -> None:
    event = {**example(HOLD), "action": action, "kind": kind}
    event["to"] = {"product": "Adderall XR", "dose": {"value": "20", "unit": "mg"}}
    intents = {one["intent"] for one in make(event).all("MedicationRequest")}
    assert intents <= {"plan", "proposal"}
    assert intents


def test_asking_to_stop_says_not_to_give_it(make: Make) -> None:
    event = {**example(HOLD), "action": "stop"}
    (proposal,) = by_intent(make(event).all("MedicationRequest"))["proposal"]
    assert (proposal["status"], proposal["doNotPerform"]) == ("active", True)


def test_the_task_points_at_the_proposal(make: Make) -> None:
    content = make(example(HOLD), recipient=a_recipient(requests=(A_REQUEST,)))
    proposal = by_intent(content.all("MedicationRequest"))["proposal"][0]
    url = next(entry["fullUrl"] for entry in content.body("chart")["entry"] if entry["resource"] == proposal)
    assert content.one("Task")["focus"]["reference"] == url


def test_an_unknown_stimulant_dose_is_told_in_words_and_not_as_a_number(make: Make) -> None:
    event = example(HOLD)
    event["from"]["dose"] = {"unknown": True}
    known, stated = by_intent(make(event).all("MedicationRequest"))["plan"]
    assert dose(stated) == ("30", "mg")  # what the registry states of it is told beside it
    assert known["dosageInstruction"] == [{"text": "once daily"}]
    assert {"text": "Dose not known"} in known["note"]


def test_a_hold_of_a_regimen_nobody_knows_goes_without_a_proposal_but_goes(make: Make) -> None:
    event = {**example(HOLD), "from": {"unknown": True}}
    content = make(event, recipient=a_recipient(requests=(A_REQUEST,)))
    assert set(by_intent(content.all("MedicationRequest"))) == {"plan"}  # what the registry states of it
    assert content.one("Task")["description"] == A_REQUEST.text
