"""The demo's people and events: the shipped examples, and a few more invented patients around them."""

import copy
import json
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from coordinator.sandbox.farm import Addresses
from coordinator.settings import shipped

EXAMPLES_FROM = date(2026, 10, 17)
"""The examples tell of the days before; earlier than this they would lie in the future."""
EXAMPLES_UNTIL = date(2027, 8, 1)
"""Later than this their verified fax numbers would be out of date."""
WRONG_NUMBER = "+1-218-555-0199"
Json = dict[str, Any]


def example(name: str, today: date) -> Json:
    """Return a shipped example, its dates moved by whole weeks when today is too far from them."""
    text = (shipped("docs/examples") / f"{name}.json").read_text(encoding="utf-8")
    loaded: Json = json.loads(moved(text, today))
    return loaded


def moved(text: str, today: date) -> str:
    """Return the text with its dates moved by whole weeks to shortly before today; unchanged where they are near."""
    if EXAMPLES_FROM <= today <= EXAMPLES_UNTIL:
        return text
    weeks = (today - EXAMPLES_FROM).days // 7
    shift = timedelta(weeks=weeks)

    def later(found: re.Match[str]) -> str:
        day = date.fromisoformat(found.group(0))
        return found.group(0) if day.year < 2026 else (day + shift).isoformat()

    return re.sub(r"\b20[0-9]{2}-[01][0-9]-[0-3][0-9]\b", later, text)


def registry(places: Addresses, today: date) -> Json:
    """Return the example clinic with its endpoints on the pretend recipients, and the demo's further people."""
    clinic = example("clinic", today)
    psychiatrist, family_doctor = clinic["providers"]
    psychiatrist["endpoints"][0]["address"] = places.ehr
    verified_on = family_doctor["endpoints"][0]["verified_on"]
    clinic["providers"] += [
        _provider("pr-direct", "Haugen", "Solveig", "psychiatry", "Iron Range Psychiatry", "1999999042",
                  [_endpoint("ep-haugen-direct", "direct", "s.haugen@direct.ironrange.example", verified_on)]),
        _provider("pr-moved", "Lindqvist", "Per", "family-medicine", "Canal Park Clinic", "1999999059",
                  [_endpoint("ep-lindqvist-fax", "fax", WRONG_NUMBER, verified_on, "st-2")]),
        _provider("pr-paper", "Abernathy", "Ruth", "family-medicine", "Two Harbors Medical Office", "1999999067", []),
    ]  # fmt: skip
    start = clinic["patients"][0]["course"]["started_on"]
    clinic["patients"] += [
        _patient("MRN-1002", "Bakke", "Ingrid", "1979-11-21", "female", "course-78", start,
                 {"pr-direct": "psychiatrist", "pr-pcp": "primary-care"}),
        _patient("MRN-1003", "Okonkwo", "Chidi", "1991-06-02", "male", "course-79", start,
                 {"pr-direct": "psychiatrist", "pr-pcp": "primary-care"}, without_consent="pr-pcp"),
        _patient("MRN-1004", "Szabó", "Márta", "1984-01-30", "female", "course-80", start,
                 {"pr-psych": "psychiatrist", "pr-moved": "primary-care"}, their_number="NS-60071"),
        _patient("MRN-1005", "Tran", "Minh Đức", "1995-09-14", "male", "course-81", start,
                 {"pr-direct": "psychiatrist", "pr-paper": "primary-care"}),
    ]  # fmt: skip
    return clinic


def _provider(
    name: str, family: str, given: str, specialty: str, organization: str, npi: str, endpoints: list[Json]
) -> Json:
    return {
        "id": name,
        "name": {"family": family, "given": [given], "suffix": "MD"},
        "npi": npi,
        "specialty": specialty,
        "organization": organization,
        "time_zone": "America/Chicago",
        "endpoints": endpoints,
    }


def _endpoint(name: str, kind: str, address: str, verified_on: str, verified_by: str | None = None) -> Json:
    made = {"id": name, "kind": kind, "address": address, "verified_on": verified_on}
    return made if verified_by is None else {**made, "verified_by": verified_by}


def _patient(
    number: str,
    family: str,
    given: str,
    born: str,
    sex: str,
    course: str,
    start: str,
    team: Mapping[str, str],
    *,
    without_consent: str | None = None,
    their_number: str | None = None,
) -> Json:
    made: Json = {
        "id": number,
        "name": {"family": family, "given": given.split()},
        "birth_date": born,
        "sex": sex,
        "course": {"id": course, "indications": ["adhd"], "started_on": start},
        "care_team": [
            {"provider": name, "role": role, "from": start, "prescribes": ["stimulant"] * (role == "psychiatrist")}
            for name, role in team.items()
        ],
        "consents": [
            {"id": f"cn-{number}-{name}", "version": 1, "decision": "permit", "recipient": name, "content": ["all"],
             "from": start, "evidence": "form signed at the first visit"}
            for name in team if name != without_consent
        ],
        "medications": [
            {"role": "stimulant", "product": "Vyvanse", "form": "prodrug", "dose": {"value": "40", "unit": "mg"},
             "frequency": "once daily", "as_of": start, "source": "patient"}
        ],
    }  # fmt: skip
    if their_number is not None:
        made["identifiers"] = [{"system": "urn:example:northshore:mrn", "value": their_number, "held_by": "pr-psych"}]
    return made


def session(
    today: date,
    name: str,
    patient: str,
    course: str,
    *,
    weight_kg: str,
    dose_mg: str,
    version: int = 1,
    **changes: object,
) -> Json:
    """Return an uneventful first IV session of a patient, made from the shipped example; `changes` replace fields."""
    made = copy.deepcopy(example("session-outcome.bp-spike", today))
    made |= {"id": name, "version": version, "patient": patient}
    made["course"] = {"id": course, "phase": "induction", "session_number": 1, "planned_sessions": 6}
    made["administration"]["dose"]["value"] = dose_mg
    made["weight"]["value"] = weight_kg
    readings = ((118, 76, 72), (124, 78, 78), (131, 84, 82), (128, 80, 80), (122, 78, 76), (119, 76, 74))
    for vital, (systolic, diastolic, rate) in zip(made["vitals"], readings, strict=True):
        vital |= {"systolic": systolic, "diastolic": diastolic, "heart_rate": rate}
    made["adverse_events"] = []
    made["other_medications_taken"] = [
        {"role": "stimulant", "product": "Vyvanse", "form": "prodrug", "dose": {"value": "40", "unit": "mg"},
         "last_taken_at": made["administration"]["started_at"].replace("T10:00", "T07:00"), "source": "patient"}
    ]  # fmt: skip
    made["plan"] = "Continue induction at 0.5 mg/kg."
    for key, value in changes.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = value
    return made


def amended(event: Json, hours_later: int = 20) -> Json:
    """Return the next version of a session: the pre-dose reading and the weight were another person's."""
    made = copy.deepcopy(event)
    made["version"] = event["version"] + 1
    made["recorded_at"] = (datetime.fromisoformat(event["recorded_at"]) + timedelta(hours=hours_later)).isoformat()
    made["amendment_reason"] = "The pre-dose reading was another person's."
    made["vitals"][0] |= {"systolic": 126, "diastolic": 80, "heart_rate": 74}
    return made


def output_name(event_id: str, version: int, provider: str, letter: str) -> str:
    """Return a file name that tells the letter and nothing of the patient."""
    return f"{event_id}-v{version}.{provider}.{letter}.pdf"
