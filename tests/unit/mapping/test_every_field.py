"""No field of an event vanishes: what it says is in the resources too, or stands here with the reason why not.

Each field of a full event is given another value, one at a time; the letter stays the same,
so whatever differs afterwards is said by a resource.
"""

import copy
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from coordinator.domain.events import SessionOutcome
from coordinator.mapping.content import build_content
from coordinator.mapping.load import Mappings
from tests.unit.mapping.conftest import A_REQUEST, a_case, a_letter, a_plan, a_recipient, example

Json = dict[str, Any]
Path = tuple[str | int, ...]


def at(hour: int, minute: int) -> str:
    return f"2026-10-14T{hour:02d}:{minute:02d}:00-05:00"


def q(value: str, unit: str) -> Json:
    return {"value": value, "unit": unit}


SESSION: Json = {
    **example("session-outcome.bp-spike"),
    "version": 2,
    "amendment_reason": "typing fault",
    "part2": False,
    "status_reason": "as told",
    "height": q("170", "cm"),
    "administration": {
        "product": "ketamine", "route": "intranasal", "dose": q("41", "mg"), "ordered": q("0.5", "mg/kg"),
        "started_at": at(10, 0), "ended_at": at(10, 40), "devices": 2, "lot_number": "L1", "ndc": "50458-028-02",
        "sprays": 4, "dose_per_spray": q("10", "mg"), "volume_per_spray": q("0.1", "mL"),
        "concentration": q("100", "mg/mL"), "compounded": True, "reason": "why",
    },
    "vitals": [{
        "slot": "baseline", "at": at(9, 50), "systolic": 134, "diastolic": 84, "heart_rate": 88, "spo2": 98,
        "respiratory_rate": 14, "temperature": q("36.6", "Cel"), "oxygen_flow": q("2", "L/min"),
        "position": "sitting", "arm": "left",
    }],
    "blood_pressure_symptoms": ["chest-pain"],
    "emergency_care_used": False,
    "sedation": {"scale": "moaa-s", "lowest": 4, "at": at(10, 35), "resolved_at": at(11, 0)},
    "dissociation": {"present": True, "cadss_total": 14, "onset_at": at(10, 10), "resolved_at": at(11, 15)},
    "scores": [{
        "instrument": "phq-9", "total": 11, "items": [2, 2, 1, 1, 1, 1, 1, 2, 0], "item_9": 0, "on": "2026-10-14",
        "rater": "st-1", "administered": "self-report",
    }],
    "suicide_risk": {
        "instrument": "c-ssrs-screener", "result": "low", "administered": "self-report", "at": at(9, 40),
    },
    "adverse_events": [{
        "term": "nausea", "severity": "mild", "serious": False, "started_at": at(10, 30), "resolved_at": at(11, 10),
        "action": "none needed", "outcome": "resolved",
    }],
    "rescue_medications": [
        {"product": "labetalol", "role": "antihypertensive", "dose": q("10", "mg"), "at": at(10, 50)},
    ],
    "other_medications_taken": [{
        "role": "stimulant", "product": "Adderall XR", "form": "extended-release", "dose": q("30", "mg"),
        "frequency": "once daily", "last_taken_at": at(7, 30), "source": "patient",
    }],
    "monitoring_shortened_reason": "short",
    "discharge": {
        "at": at(12, 5), "ready": True, "escort": True, "advised_not_to_drive": True, "drove_self": False,
        "discharged_by": "st-2",
    },
}  # fmt: skip
REPORTED: Json = {
    **example("dose-change.stimulant-hold"),
    "kind": "reported-by-prescriber",
    "action": "decrease",
    "to": {"product": "Adderall XR", "form": "extended-release", "dose": q("20", "mg"), "frequency": "every morning"},
    "effective_to": "2026-11-01",
    "reported_by": "pr-psych",
}
EVENTS = {
    "a session": SESSION,
    "the clinic's own order": {**example("dose-change.ketamine"), "effective_to": "2026-11-01"},
    "a hold that is asked": {**example("dose-change.stimulant-hold"), "effective_to": "2026-11-01"},
    "a change that is reported": REPORTED,
}
INTERNAL = "an id of the clinic's own staff or record, which says nothing to anybody else"
NOT_SAID = {
    "recorded_by": "who typed it in: the clinic's own audit trail; who answers for it is the author",
    "scores.rater": INTERNAL,
    "discharge.discharged_by": INTERNAL,
    "session": "the visit may never have been told to this reader; the reason says what happened there",
    "from.source": "the clinic's own drug is always the clinic's word",
    "requested_of": "a reader who is not asked is not told of whom; who is asked gets the Task",
    "reason.code": "counted in the clinic; the sentence beside it is what is read",
}
ANOTHER = {
    "recorded_by": "st-1", "attested_by": "st-2", "status": "aborted", "route": "sublingual", "arm": "right",
    "position": "supine", "role": "other", "form": "immediate-release", "source": "family", "slot": "20-min",
    "severity": "severe", "outcome": "ongoing", "administered": "interview", "rater": "st-2", "phase": "maintenance",
    "ndc": "50458-028-03", "next_session_on": "2026-10-20", "on": "2026-10-13", "calm": "worse", "focus": "worse",
    "mood": "worse", "anxiety": "worse", "result": "high", "discharged_by": "st-1", "effective_from": "2026-10-20",
    "effective_to": "2026-10-30", "as_of": "2026-09-01", "scope": "every-day", "decided_by": "st-2",
    "requested_of": "pr-pcp", "reported_by": "pr-pcp", "session": "sess-1", "blood_pressure_symptoms": "vision",
    "code": "other-reason",
}  # fmt: skip
NAMES = frozenset({"type", "schema_version", "id", "version", "patient", "scale", "subject", "kind", "action", "unit"})
"""What names or sorts an event, or has one value only."""


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from leaves(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from leaves(child, (*path, index))
    elif value is not None:
        yield path, value


def other(path: Path, value: Any) -> Any:
    """Return another value for a field: one of its own kind."""
    key = next(one for one in reversed(path) if isinstance(one, str))
    if key in ANOTHER:
        return ANOTHER[key]
    if key == "product":
        return "esketamine" if value == "ketamine" else "Vyvanse"
    if key == "instrument":
        return {"phq-9": "gad-7", "c-ssrs-screener": "clinician-judgement"}[value]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if key == "value":
        return str(Decimal(value) + 1)
    return f"{value[:17]}07{value[19:]}" if key.endswith("at") else f"{value} too"


def said(mappings: Mappings, event: Json) -> list[str]:
    """Return what goes out beside an unchanging letter."""
    who = a_recipient(requests=(A_REQUEST,))
    made = build_content(mappings, a_case(event), a_plan(who), who, (a_letter(),), frozenset({"chart", "message"}))
    return [one.body.decode() for one in made]


def changed(event: Json, path: Path) -> Json:
    event = copy.deepcopy(event)
    place: Any = event
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = other(path, place[path[-1]])
    return event


@pytest.mark.parametrize("name", EVENTS)
def test_no_field_of_an_event_vanishes(mappings: Mappings, name: str) -> None:
    event = EVENTS[name]
    before = said(mappings, event)
    vanished = set()
    for path, _ in leaves(event):
        words = ".".join(one for one in path if isinstance(one, str))
        if path[-1] in NAMES or words in {"part2", "course.id"}:
            continue
        if said(mappings, changed(event, path)) == before:
            vanished.add(words)
    assert vanished <= NOT_SAID.keys(), vanished - NOT_SAID.keys()


def test_the_full_session_has_every_field_of_the_contract() -> None:
    assert SESSION.keys() == SessionOutcome.model_fields.keys()


@pytest.mark.parametrize("value", [{"unknown": True}, {"not_done": "machine broken"}])
@pytest.mark.parametrize("field", ["weight", "height", "sedation", "dissociation", "suicide_risk",
                                   "blood_pressure_symptoms"])  # fmt: skip
def test_what_is_not_known_or_was_not_done_is_said_to_be_so(mappings: Mappings, field: str, value: Json) -> None:
    told = said(mappings, {**SESSION, field: value})
    observations = [
        one["resource"] for one in json.loads(told[0])["entry"] if one["resource"]["resourceType"] == "Observation"
    ]
    absent = {one["code"]["text"]: one["dataAbsentReason"] for one in observations if "dataAbsentReason" in one}
    assert len(absent) == 1
    (reason,) = absent.values()
    assert reason["coding"][0]["code"] == ("asked-unknown" if "unknown" in value else "not-performed")
