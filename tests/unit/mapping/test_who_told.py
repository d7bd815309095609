"""Who told what is known of a stimulant: named where the registry says who it is, and never guessed."""

from typing import Any

import pytest

from coordinator.domain.events import EVENT
from tests.unit.mapping.conftest import Content, Make, a_recipient, example

HOLD = "dose-change.stimulant-hold"
SPIKE = "session-outcome.bp-spike"
PSYCHIATRIST, GP = "pr-psych", "pr-pcp"
NPI = "http://hl7.org/fhir/sid/us-npi"
THIRTY = {
    "role": "stimulant",
    "product": "Adderall XR",
    "form": "extended-release",
    "dose": {"value": "30", "unit": "mg"},
    "frequency": "once daily",
    "as_of": "2026-10-01",
    "source": "prescriber",
}
TWENTY = {**THIRTY, "id": "stm-2", "dose": {"value": "20", "unit": "mg"}, "as_of": "2026-10-10"}
Json = dict[str, Any]


def told_event(**more: Any) -> Json:
    after = {"product": "Adderall XR", "dose": {"value": "40", "unit": "mg"}}
    return {
        **example(HOLD),
        "kind": "reported-by-prescriber",
        "action": "increase",
        "to": after,
        "requested_of": None,
        "reported_by": PSYCHIATRIST,
        "resume_when": None,
        **more,
    }


def clinic(*, medications: list[Json] | None = None, team: list[Json] | None = None, **providers: Json) -> Json:
    """The example registry, with other statements, another care team, or providers changed by id."""
    found = example("clinic")
    patient = found["patients"][0]
    if medications is not None:
        patient["medications"] = medications
    if team is not None:
        patient["care_team"] = team
    for one in found["providers"]:
        one.update(providers.get(one["id"].replace("-", "_"), {}))
    return found


def plans(content: Content, level: str = "chart") -> dict[str, Json]:
    """Return every plan by the mapping that names it and its dose: "reported 40"."""
    found = {}
    for one in content.all("MedicationRequest", level):
        if one["intent"] == "plan":
            amount = one["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"]
            found[f"{one['identifier'][0]['system'].rpartition(':')[2]} {amount}"] = one
    return found


def who_said(content: Content, request: Json, level: str = "chart") -> Json | None:
    """Return the practitioner that a plan names as its source, None when it is just reported."""
    assert ("reportedReference" in request) is not ("reportedBoolean" in request)
    if "reportedBoolean" in request:
        assert request["reportedBoolean"] is True
        return None
    entries = content.body(level)["entry"]
    (found,) = [one["resource"] for one in entries if one["fullUrl"] == request["reportedReference"]["reference"]]
    assert found["resourceType"] == "Practitioner"
    return found


@pytest.mark.parametrize("level", ["chart", "message"])
@pytest.mark.parametrize("reader", [PSYCHIATRIST, GP])
def test_a_change_that_a_prescriber_reported_names_that_practitioner(make: Make, reader: str, level: str) -> None:
    content = make(told_event(), level, recipient=a_recipient(reader))
    said = who_said(content, plans(content, level)["reported 40"], level)
    assert said is not None
    expected = next(one for one in example("clinic")["providers"] if one["id"] == PSYCHIATRIST)
    assert said["identifier"][0] == {"system": NPI, "value": expected["npi"]}
    assert said["name"][0]["family"] == expected["name"]["family"]


def test_the_practitioner_who_told_and_also_reads_stands_in_the_bundle_once(make: Make) -> None:
    content = make(told_event(**{"from": {**example(HOLD)["from"], "source": "prescriber"}}))
    urls = [one["fullUrl"] for one in content.body("chart")["entry"]]
    assert len(urls) == len(set(urls))
    people = [one["identifier"][0]["value"] for one in content.all("Practitioner")]
    assert len(people) == len(set(people))


def test_a_practitioner_without_an_npi_is_one_person_too(make: Make) -> None:
    content = make(told_event(), clinic=clinic(pr_psych={"npi": None}))
    who = who_said(content, plans(content)["reported 40"])
    assert who is not None
    owner = content.one("Communication")["recipient"][0]["reference"]
    assert plans(content)["reported 40"]["reportedReference"]["reference"] == owner


def test_a_member_of_staff_who_is_also_the_reader_stands_in_the_bundle_once(make: Make) -> None:
    same = next(one for one in example("clinic")["staff"] if one["id"] == example(SPIKE)["attested_by"])
    content = make(example(SPIKE), clinic=clinic(pr_psych={"npi": same["npi"]}))
    assert [one["identifier"][0]["value"] for one in content.all("Practitioner")].count(same["npi"]) == 1


def test_what_the_patient_reported_names_no_practitioner(make: Make) -> None:
    content = make(told_event(kind="reported-by-patient", reported_by=None))
    assert {who_said(content, one) is None for one in plans(content).values()} == {True}


def test_a_report_without_a_name_is_the_word_of_the_only_prescriber(make: Make) -> None:
    content = make(told_event(reported_by=None), recipient=a_recipient(GP))
    said = who_said(content, plans(content)["reported 40"])
    assert said is not None


@pytest.mark.parametrize(
    "registry",
    [
        clinic(team=[{"provider": one, "role": "psychiatrist", "prescribes": ["stimulant"], "from": "2026-10-01"}
                     for one in (PSYCHIATRIST, GP)]),
        clinic(team=[{"provider": PSYCHIATRIST, "role": "psychiatrist", "from": "2026-10-01"}]),
        clinic(team=[{"provider": PSYCHIATRIST, "role": "psychiatrist", "prescribes": ["stimulant"],
                      "from": "2026-10-01", "to": "2026-10-02"}]),
        clinic(pr_psych={"npi": "1234567890"}),
        clinic(pr_psych={"name": {"given": ["Cher"]}}),
    ],
    ids=["two prescribers", "no prescriber", "a former prescriber", "a wrong NPI", "no family name"],
)  # fmt: skip
def test_where_the_registry_does_not_say_who_it_was_it_is_just_reported(make: Make, registry: Json) -> None:
    event = told_event(reported_by=None, **{"from": {**example(HOLD)["from"], "source": "prescriber"}})
    content = make(event, recipient=a_recipient(GP), clinic=registry)
    assert {who_said(content, one) is None for one in plans(content).values()} == {True}


def test_the_regimen_before_is_the_prescribers_word_only_when_the_event_says_so(make: Make) -> None:
    theirs = {**example(HOLD)["from"], "source": "prescriber"}
    content = make({**example(HOLD), "from": theirs}, recipient=a_recipient(GP))
    assert who_said(content, plans(content)["known-regimen 30"]) is not None
    content = make(example(HOLD), recipient=a_recipient(GP))
    assert who_said(content, plans(content)["known-regimen 30"]) is None


def test_a_stimulant_the_prescriber_told_of_in_a_session_names_the_prescriber_and_another_medicine_does_not(
    make: Make,
) -> None:
    event = example(SPIKE)
    stimulant = {**event["other_medications_taken"][0], "source": "prescriber"}
    other = {"role": "antihypertensive", "product": "lisinopril", "dose": {"value": "10", "unit": "mg"},
             "source": "prescriber"}  # fmt: skip
    content = make({**event, "other_medications_taken": [stimulant, other]}, recipient=a_recipient(GP))
    assert who_said(content, plans(content)["known-regimen 30"]) is not None
    assert who_said(content, plans(content)["known-regimen 10"]) is None


def test_what_the_registry_states_otherwise_than_the_event_is_told_beside_it(make: Make) -> None:
    patient = {**THIRTY, "source": "patient"}
    content = make(example(SPIKE), recipient=a_recipient(GP), clinic=clinic(medications=[patient, TWENTY]))
    found = plans(content)
    assert set(found) == {"known-regimen 30", "stated-regimen 20"}
    assert who_said(content, found["known-regimen 30"]) is None
    assert who_said(content, found["stated-regimen 20"]) is not None
    assert (found["stated-regimen 20"]["status"], found["stated-regimen 20"]["authoredOn"]) == ("active", "2026-10-10")


def test_a_new_statement_of_the_prescriber_ends_the_one_before(make: Make) -> None:
    older = {**THIRTY, "id": "stm-1"}
    before = make(example(SPIKE), clinic=clinic(medications=[{**older, "dose": {"value": "25", "unit": "mg"}}]))
    registry = clinic(medications=[{**older, "dose": {"value": "25", "unit": "mg"}}, TWENTY])
    content = make(example(SPIKE), clinic=registry)
    found = plans(content)
    assert {name: one["status"] for name, one in found.items()} == {
        "known-regimen 30": "active",
        "stated-regimen 25": "completed",
        "stated-regimen 20": "active",
    }
    assert found["stated-regimen 25"]["identifier"] == plans(before)["stated-regimen 25"]["identifier"]


def test_a_statement_of_its_own_id_is_one_resource_in_every_message_and_no_late_message_revives_it(make: Make) -> None:
    registry = clinic(medications=[{**TWENTY, "id": "stm-1"}])
    first, second = make(example(SPIKE), clinic=registry), make({**example(SPIKE), "id": "se-9"}, clinic=registry)
    names = [plans(one)["stated-regimen 20"]["identifier"] for one in (first, second)]
    assert names[0] == names[1]
    (url,) = [one["fullUrl"] for one in first.body("chart")["entry"]
              if one["resource"].get("identifier") == names[0]]  # fmt: skip
    assert first.requests()[url]["method"] == "POST"
    assert "stated-regimen" in first.requests()[url]["ifNoneExist"]
    later = make(example(SPIKE), clinic=clinic(medications=[{**TWENTY, "id": "stm-1"}, {**TWENTY, "id": "stm-2",
                 "dose": {"value": "15", "unit": "mg"}, "as_of": "2026-10-12"}]))  # fmt: skip
    assert plans(later)["stated-regimen 20"]["status"] == "completed"
    assert later.requests()[url]["method"] == "PUT"


def test_nothing_of_what_is_stated_is_in_a_name(make: Make) -> None:
    one = make(example(SPIKE), clinic=clinic(medications=[TWENTY]))
    other = make(example(SPIKE), clinic=clinic(medications=[{**TWENTY, "product": "Vyvanse", "as_of": "2026-10-02"}]))
    names = [next(iter(value for name, value in plans(made).items() if name.startswith("stated")))["identifier"]
             for made in (one, other)]  # fmt: skip
    assert names[0] == names[1]


def test_a_report_in_the_prescribers_own_words_ends_what_they_stated_before(make: Make) -> None:
    content = make(told_event(), clinic=clinic(medications=[{**THIRTY, "id": "stm-1"}]))
    found = plans(content)
    assert (found["stated-regimen 30"]["status"], found["reported 40"]["status"]) == ("completed", "active")


def test_a_statement_of_a_later_day_or_beside_another_drug_is_not_told(make: Make) -> None:
    later = clinic(medications=[{**TWENTY, "as_of": "2026-10-15"}])
    assert set(plans(make(example(SPIKE), clinic=later))) == {"known-regimen 30"}
    own = make(example("dose-change.ketamine"), clinic=clinic(medications=[TWENTY]))
    assert plans(own) == {}


def test_a_retraction_takes_back_the_event_and_leaves_the_registrys_statements_as_they_are(make: Make) -> None:
    old = EVENT.validate_python(example(SPIKE))
    gone = {**example(SPIKE), "version": 2, "status": "entered-in-error"}
    content = make(gone, letters=(), previous=old, clinic=clinic(medications=[TWENTY]))
    assert {name: one["status"] for name, one in plans(content).items()} == {"known-regimen 30": "entered-in-error"}


def test_in_a_message_the_practitioner_is_there_too(make: Make) -> None:
    content = make(told_event(), "message", recipient=a_recipient(GP), clinic=clinic(medications=[TWENTY]))
    assert who_said(content, plans(content, "message")["stated-regimen 20"], "message") is not None
