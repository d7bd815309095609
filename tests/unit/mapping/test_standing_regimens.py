"""One standing plan for each party and product at the far side: overtaken, it is over."""

from typing import Any

import pytest

from coordinator.domain.case import ClinicEvent
from coordinator.domain.events import EVENT
from coordinator.yaml_files import read_yaml
from tests.unit.mapping.conftest import ROOT, Content, Make, a_recipient, example
from tests.unit.mapping.test_who_told import GP, THIRTY, TWENTY, clinic, plans, told_event

Json = dict[str, Any]
SPIKE = "session-outcome.bp-spike"
PARTS = ("status", "identifier", "authoredOn")


def session(day: int, dose: str | None = "30", *, source: str = "patient", **more: Any) -> Json:
    """A session of that day of October at which the patient (or another) says this dose."""
    made = example(SPIKE) | {"id": f"se-{day}"}
    text = {key: _on(value, day) for key, value in made.items()}
    amount = {"unknown": True} if dose is None else {"value": dose, "unit": "mg"}
    text["other_medications_taken"] = [{**made["other_medications_taken"][0], "dose": amount, "source": source}]
    text["other_medications_taken"][0].pop("last_taken_at")
    return {**text, "next_session_on": None, **more}


def _on(value: Any, day: int) -> Any:
    if isinstance(value, dict):
        return {key: _on(one, day) for key, one in value.items()}
    if isinstance(value, list):
        return [_on(one, day) for one in value]
    return value.replace("2026-10-14", f"2026-10-{day}") if isinstance(value, str) else value


def change(day: int, **more: Any) -> Json:
    at = f"2026-10-{day}T09:00:00-05:00"
    made = told_event(**{"id": f"dc-{day}", "recorded_at": at, "effective_from": f"2026-10-{day}", **more})
    return {**made, "session": None, "evidence": []}


def read(*events: Json) -> tuple[ClinicEvent, ...]:
    return tuple(EVENT.validate_python(one) for one in events)


@pytest.fixture
def told(make: Make) -> Any:
    """Return what a message tells of plans, with these other events known."""

    def tell(event: Json, *others: Json, medications: list[Json] | None = None, **more: Any) -> Content:
        return make(
            event, recipient=a_recipient(GP), clinic=clinic(medications=medications or []), others=read(*others), **more
        )

    return tell


def statuses(content: Content) -> dict[str, str]:
    return {name: one["status"] for name, one in plans(content).items()}


def request_of(content: Content, name: str) -> Json:
    identifier = plans(content)[name]["identifier"]
    (url,) = [one["fullUrl"] for one in content.body("chart")["entry"]
              if one["resource"].get("identifier") == identifier]  # fmt: skip
    return content.requests()[url]


def test_a_session_that_says_the_same_is_one_and_the_same_plan_and_writes_nothing_over_it(told: Any) -> None:
    first, second = told(session(14)), told(session(15), session(14))
    assert statuses(first) == statuses(second) == {"known-regimen 30": "active"}
    for part in PARTS:
        assert plans(first)["known-regimen 30"][part] == plans(second)["known-regimen 30"][part]
    assert request_of(first, "known-regimen 30")["method"] == "POST"
    assert request_of(second, "known-regimen 30")["ifNoneExist"]


def test_the_plan_of_a_session_has_the_same_content_in_every_message(told: Any) -> None:
    bodies = [plans(one)["known-regimen 30"] for one in (told(session(14)), told(session(15), session(14)))]
    assert {key: value for key, value in bodies[0].items() if key != "subject"} == {
        key: value for key, value in bodies[1].items() if key != "subject"
    }


def test_another_dose_of_the_same_party_ends_the_one_before(told: Any) -> None:
    content = told(session(15, "20"), session(14))
    assert statuses(content) == {"known-regimen 30": "completed", "known-regimen 20": "active"}
    assert (
        plans(content)["known-regimen 30"]["identifier"] == plans(told(session(14)))["known-regimen 30"]["identifier"]
    )
    assert request_of(content, "known-regimen 30")["method"] == "PUT"


def test_a_session_that_is_told_late_does_not_stand_beside_what_came_after_it(told: Any) -> None:
    late = told(session(14), session(15, "20"))
    assert statuses(late) == {"known-regimen 30": "completed", "known-regimen 20": "active"}


def test_a_session_that_is_told_late_and_says_the_same_goes_under_the_name_that_was_told_first(told: Any) -> None:
    late = told(session(14), session(15))
    assert plans(late)["known-regimen 30"]["identifier"] == plans(told(session(15)))["known-regimen 30"]["identifier"]


def test_two_parties_who_differ_stand_beside_each_other(told: Any) -> None:
    content = told(session(15, "30"), session(14, "20", source="prescriber"))
    assert statuses(content) == {"known-regimen 20": "active", "known-regimen 30": "active"}


def test_what_the_prescriber_said_before_in_the_same_words_is_the_plan_of_both(told: Any) -> None:
    content = told(session(15, "20"), medications=[TWENTY])
    assert statuses(content) == {"stated-regimen 20": "active"}


def test_a_caution_names_the_plan_that_the_session_goes_by(make: Make) -> None:
    content = make(
        session(15, "20"), "message", recipient=a_recipient(GP), clinic=clinic(medications=[TWENTY]), others=()
    )
    (issue,) = content.all("DetectedIssue", "message")
    named = {one["reference"] for one in issue["implicated"]}
    (url,) = [one["fullUrl"] for one in content.body("message")["entry"]
              if one["resource"]["resourceType"] == "MedicationRequest"]  # fmt: skip
    assert url in named


def test_a_prescribers_change_ends_the_old_regimen_by_whomever_it_was_told(told: Any) -> None:
    content = told(change(15), session(14, "30"))
    assert statuses(content) == {"known-regimen 30": "completed", "reported 40": "active"}
    assert (
        plans(content)["known-regimen 30"]["identifier"] == plans(told(session(14)))["known-regimen 30"]["identifier"]
    )


def test_a_patients_change_leaves_the_prescribers_word_standing(told: Any) -> None:
    heard = change(15, kind="reported-by-patient", reported_by=None)
    content = told(heard, session(14, "30"), medications=[THIRTY | {"id": "stm-1"}])
    assert statuses(content) == {
        "known-regimen 30": "completed",
        "reported 40": "active",
        "stated-regimen 30": "active",
    }


def test_a_reported_change_is_over_when_the_same_party_says_otherwise_later(told: Any) -> None:
    before, after = change(15), change(16, to={"product": "Adderall XR", "dose": {"value": "10", "unit": "mg"}},
                                       **{"from": {"unknown": True}})  # fmt: skip
    content = told(after, before)
    assert statuses(content) == {"reported 40": "completed", "reported 10": "active"}
    assert plans(content)["reported 40"]["identifier"] == plans(told(before))["reported 40"]["identifier"]
    late = told(before, after)
    assert statuses(late)["reported 40"] == "completed"


@pytest.mark.parametrize("teller", ["patient", "prescriber"])
def test_a_report_that_comes_late_takes_the_place_of_what_a_later_session_said_in_the_same_words(
    told: Any, teller: str
) -> None:
    reported_by = None if teller == "patient" else GP
    heard = change(15, kind=f"reported-by-{teller}", reported_by=reported_by)
    later = session(16, "40")
    assert statuses(told(later)) == {"known-regimen 40": "active"}
    late = told(heard, later)
    assert statuses(late) == {
        "reported 40": "active",
        "known-regimen 30": "completed",  # what the report says is over
        "known-regimen 40": "completed",
    }
    assert plans(late)["known-regimen 40"]["identifier"] == plans(told(later))["known-regimen 40"]["identifier"]
    assert request_of(late, "known-regimen 40")["method"] == "PUT"
    after = told(session(17, "40"), later, heard)
    assert [one["status"] for one in after.all("MedicationRequest")] == ["active"]


def test_when_that_late_report_is_taken_back_the_plan_of_the_session_stands_again(told: Any) -> None:
    heard = change(15, kind="reported-by-patient", reported_by=None)
    later = session(16, "40")
    content = told(taken_back(heard), later, previous=read(heard)[0], letters=())
    assert statuses(content)["reported 40"] == "entered-in-error"
    assert statuses(content)["known-regimen 40"] == "active"
    assert request_of(content, "known-regimen 40")["method"] == "PUT"


@pytest.mark.parametrize(("action", "status"), [("stop", "stopped"), ("hold", "on-hold")])
def test_a_regimen_that_is_reported_stopped_or_held_does_not_stand(told: Any, action: str, status: str) -> None:
    heard = change(15, action=action, to=None, resume_when="after the blood pressure is checked")
    assert statuses(told(heard, session(14))) == {"known-regimen 30": status}
    again = told(session(16), heard, session(14))
    over = ["completed"] if action == "hold" else []  # what was stopped is told as stopped already
    assert sorted(one["status"] for one in again.all("MedicationRequest")) == ["active", *over]


def test_a_dose_that_is_not_known_is_said_once_and_never_taken_for_a_known_one(told: Any) -> None:
    content = told(session(15, None), session(14, None))
    assert [one["status"] for one in content.all("MedicationRequest")] == ["active"]
    content = told(session(15, None), session(14))
    assert sorted(one["status"] for one in content.all("MedicationRequest")) == ["active", "completed"]


def test_a_request_to_the_prescriber_names_the_plan_that_the_far_side_holds(told: Any) -> None:
    content = told({**example("dose-change.stimulant-hold"), "id": "dc-1"}, session(14))
    (asked,) = [one for one in content.all("MedicationRequest") if one["intent"] == "proposal"]
    held = plans(content)["known-regimen 30"]
    assert held["identifier"] == plans(told(session(14)))["known-regimen 30"]["identifier"]
    (url,) = [one["fullUrl"] for one in content.body("chart")["entry"]
              if one["resource"].get("identifier") == held["identifier"]]  # fmt: skip
    assert asked["priorPrescription"]["reference"] == url


def taken_back(event: Json) -> Json:
    return {**event, "version": 2, "status": "entered-in-error"}


def test_a_retraction_takes_back_its_own_word_and_tells_what_stands_without_it(told: Any) -> None:
    first, second = session(14), session(15)
    content = told(taken_back(first), second, previous=read(first)[0], letters=(), others_before=0)
    found = content.all("MedicationRequest")
    assert sorted(one["status"] for one in found) == ["active", "entered-in-error"]
    names = {one["status"]: one["identifier"] for one in found}
    assert names["entered-in-error"] == plans(told(first))["known-regimen 30"]["identifier"]
    assert names["active"] == plans(told(second))["known-regimen 30"]["identifier"]


def test_a_retraction_leaves_alone_what_another_session_told(told: Any) -> None:
    first, second = session(14), session(15)
    content = told(taken_back(second), first, previous=read(second)[0], letters=())
    assert [one["status"] for one in content.all("MedicationRequest")] == ["active"]


def test_a_retraction_of_the_newest_word_brings_nothing_back_that_was_over_but_says_what_stands(told: Any) -> None:
    first, second = session(14), session(15, "20")
    content = told(taken_back(second), first, previous=read(second)[0], letters=())
    assert statuses(content) == {"known-regimen 30": "active", "known-regimen 20": "entered-in-error"}
    assert request_of(content, "known-regimen 30")["method"] == "PUT"


def test_a_correction_that_goes_back_to_what_was_said_before_makes_that_plan_stand_again(told: Any) -> None:
    before, wrong, right = session(14), session(15, "20"), {**session(15), "version": 2}
    content = told(right, before, previous=read(wrong)[0])
    assert statuses(content) == {"known-regimen 30": "active", "known-regimen 20": "entered-in-error"}
    assert request_of(content, "known-regimen 30")["method"] == "PUT"


def test_a_corrected_dose_goes_over_the_plan_that_the_session_made(told: Any) -> None:
    old, new = session(14), {**session(14, "20"), "version": 2}
    content = told(new, previous=read(old)[0])
    assert statuses(content) == {"known-regimen 20": "active"}
    assert plans(content)["known-regimen 20"]["identifier"] == plans(told(old))["known-regimen 30"]["identifier"]
    assert request_of(content, "known-regimen 20")["method"] == "PUT"


def test_a_correction_that_drops_a_medicine_takes_back_what_this_session_told_first_and_no_more(told: Any) -> None:
    old, new = session(14), {**session(14), "version": 2, "other_medications_taken": []}
    assert statuses(told(new, previous=read(old)[0])) == {"known-regimen 30": "entered-in-error"}
    later = {**session(15), "version": 2, "other_medications_taken": []}
    assert plans(told(later, session(14), previous=read(session(15))[0])) == {}


def test_whatever_becomes_of_a_plan_its_four_files_build_the_same() -> None:
    names = ("known-regimen", "confirmed-regimen", "stated-regimen", "replaced-regimen")
    built = [read_yaml(ROOT / "mappings" / "events" / f"both.{name}.yaml")["build"] for name in names]
    assert all(one.pop("status")["$map"] == "known-regimen-status" for one in built)
    assert built[1:] == built[:1] * 3
