"""The twelve worked scenarios as cases: events as a clinic sends them, planned and written like any other."""

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from coordinator.domain.case import Case, SentLetter
from coordinator.planning.reading import read_event, read_registry

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
CALM = (("baseline", "09:50", 124, 78, 72), ("40-min", "10:40", 138, 84, 82), ("discharge", "12:00", 122, 76, 74))
Changes = Mapping[str, Any]


def _example(name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((EXAMPLES / name).read_text(encoding="utf-8"))
    return made


def _changed(base: dict[str, Any], changes: Changes) -> dict[str, Any]:
    """Return a copy with the value at each path ("course/phase", "patients/0/name") replaced; "-" appends."""
    made = copy.deepcopy(base)
    for where, new in changes.items():
        *steps, last = where.split("/")
        here: Any = made
        for step in steps:
            here = here[int(step)] if isinstance(here, list) else here[step]
        if last == "-":
            here.append(new)
        elif isinstance(here, list):
            here[int(last)] = new
        else:
            here[last] = new
    return made


def spike(changes: Changes | None = None) -> dict[str, Any]:
    return _changed(_example("session-outcome.bp-spike.json"), changes or {})


def calm(day: str, name: str, changes: Changes | None = None, number: int = 3) -> dict[str, Any]:
    """A session of a day on which nothing stood out; `changes` come on top."""
    base = json.loads(json.dumps(_example("session-outcome.bp-spike.json")).replace("2026-10-14", day))
    base["vitals"] = [
        {"slot": slot, "at": f"{day}T{at}:00-05:00", "systolic": up, "diastolic": low, "heart_rate": rate, "spo2": 98}
        for slot, at, up, low, rate in CALM
    ]
    base |= {"id": name, "next_session_on": None, "scores": [], "plan": None, "other_medications_taken": []}
    base["course"]["session_number"] = number
    return _changed(base, changes or {})


def kilos(weight: str, dose: str, ordered: str) -> Changes:
    return {
        "weight": {"value": weight, "unit": "kg"},
        "administration/dose": {"value": dose, "unit": "mg"},
        "administration/ordered": {"value": ordered, "unit": "mg/kg"},
    }


def case(
    event: dict[str, Any],
    *,
    registry: Changes | None = None,
    history: tuple[dict[str, Any], ...] = (),
    previous: dict[str, Any] | None = None,
    sent: tuple[SentLetter, ...] = (),
    at: str | None = None,
) -> Case:
    def read(value: dict[str, Any]) -> Any:
        return read_event(json.dumps(value).encode())

    told = read(event)
    return Case(
        source="charting",
        event=told,
        registry=read_registry(json.dumps(_changed(_example("clinic.json"), registry or {})).encode()),
        history=tuple(read(one) for one in history),
        composed_at=datetime.fromisoformat(at) if at else told.recorded_at,
        previous=None if previous is None else read(previous),
        already_sent=sent,
    )


def _t1() -> Case:
    return case(spike())


def _t1_hold() -> Case:
    return case(_example("dose-change.stimulant-hold.json"), history=(spike(),))


def _t1_end() -> Case:
    """The last planned session, with the hold of the stimulant never ended."""
    return case(
        calm("2026-10-28", "sess-8899", number=6), history=(spike(), _example("dose-change.stimulant-hold.json"))
    )


PLANNED_ONLY: Changes = {
    "status": "scheduled",
    "administration": None,
    "vitals": [],
    "scores": [],
    "sedation": None,
    "dissociation": None,
    "suicide_risk": None,
    "adverse_events": [],
    "other_medications_taken": [],
    "symptom_report": None,
    "blood_pressure_symptoms": None,
    "discharge": None,
    "monitoring_ended_at": None,
    "attested_by": None,
    "plan": None,
}


def _t1_start() -> Case:
    """The first session is planned; nothing has been given yet."""
    day = {"id": "sess-8800", "recorded_at": "2026-10-06T09:00:00-05:00", "next_session_on": "2026-10-08"}
    course = {"course/session_number": 1}
    return case(spike({**PLANNED_ONLY, **day, **course}))


def _t1_called_off() -> Case:
    """The course ends before its last planned session, with the hold of the stimulant never ended."""
    day = {"id": "sess-8850", "recorded_at": "2026-10-20T09:00:00-05:00", "next_session_on": None}
    history = (spike(), _example("dose-change.stimulant-hold.json"))
    return case(
        spike({**PLANNED_ONLY, **day, "status": "cancelled"}),
        history=history,
        registry={"patients/0/course/ended_on": "2026-10-20"},
    )


def _t1_missed() -> Case:
    """The second session in a row is missed, while the hold of the stimulant is still open."""
    gone: Changes = {**PLANNED_ONLY, "next_session_on": None, "status": "no-show"}
    first = {"id": "sess-8850", "recorded_at": "2026-10-16T13:00:00-05:00"}
    again = {"id": "sess-8851", "recorded_at": "2026-10-19T13:00:00-05:00"}
    number = {"course/session_number": 4}
    history = (spike(), _example("dose-change.stimulant-hold.json"), spike({**gone, **first, **number}))
    return case(spike({**gone, **again, **number}), history=history)


def _t2() -> Case:
    restrict = {
        "id": "cn-3", "version": 3, "decision": "restrict", "recipient": "pr-pcp", "content": ["all"],
        "from": "2026-10-02", "evidence": "agreed restriction",
    }  # fmt: skip
    scores = [
        {"instrument": "phq-9", "total": total, "item_9": 0, "on": on}
        for total, on in ((19, "2026-10-07"), (11, "2026-10-14"))
    ]
    before = calm("2026-10-14", "sess-8841", {**kilos("65", "32.5", "0.5"), "scores": scores[1:]}, number=2)
    earlier = calm("2026-10-07", "sess-8821", {**kilos("65", "32.5", "0.5"), "scores": scores[:1]}, number=1)
    change = _example("dose-change.ketamine.json")
    return case(change, history=(earlier, before), registry={"patients/0/consents/-": restrict})


_NEW_PCP = {
    "id": "pr-new", "name": {"family": "Adeyemi", "given": ["Tunde"], "suffix": "MD"}, "npi": "1999999042",
    "specialty": "family-medicine", "organization": "Birch Hill Clinic", "time_zone": "America/Chicago",
    "endpoints": [
        {"id": "ep-new-fax", "kind": "fax", "address": "+1-218-555-0151", "verified_on": "2026-09-15"},
    ],
}  # fmt: skip
_MOVED: Changes = {
    "providers/-": _NEW_PCP,
    "patients/0/course/started_on": "2026-09-08",
    "patients/0/care_team/0/from": "2026-09-01",
    "patients/0/care_team/1": {"provider": "pr-pcp", "role": "primary-care", "from": "2026-09-01", "to": "2026-09-14"},
    "patients/0/care_team/-": {"provider": "pr-new", "role": "primary-care", "from": "2026-09-15"},
    "patients/0/consents/0/from": "2026-09-01",
    "patients/0/consents/1/from": "2026-09-01",
    "patients/0/consents/-": {
        "id": "cn-9", "version": 1, "decision": "permit", "recipient": "pr-new", "content": ["all"],
        "from": "2026-09-15", "evidence": "form signed 2026-09-15",
    },
}  # fmt: skip


def _t3_moved() -> Case:
    number = {"course/phase": "evaluation"}
    history = (calm("2026-09-08", "s-1", number=1), calm("2026-09-11", "s-2", number=2))
    return case(calm("2026-09-18", "s-3", number), registry=_MOVED, history=history)


def _t3_correction() -> Case:
    first = calm("2026-09-08", "s-1", kilos("82", "41", "0.5"), number=1)
    put_right = {
        "version": 2,
        "amendment_reason": "The weight was another patient's.",
        "recorded_at": "2026-09-20T09:00:00-05:00",
    }
    amended = calm("2026-09-08", "s-1", {**kilos("80", "40", "0.5"), **put_right}, number=1)
    sent = (
        SentLetter("pr-psych", "L1", 1, datetime.fromisoformat("2026-09-08T14:00:00-05:00"), ()),
        SentLetter("pr-pcp", "L2", 1, datetime.fromisoformat("2026-09-08T14:00:00-05:00"), ()),
    )
    return case(amended, previous=first, sent=sent, registry=_MOVED)


def _t4() -> Case:
    pressure = {"vitals/0/systolic": 142, "vitals/0/diastolic": 87}
    unordered: Changes = {"administration/ordered": None}
    first = calm("2026-10-14", "sess-8841", {**kilos("95", "30", "0.3"), **unordered, **pressure})
    right = {
        "version": 2, "amendment_reason": "The blood pressure before the dose was another patient's.",
        "recorded_at": "2026-10-15T09:00:00-05:00", "vitals/0/systolic": 124, "vitals/0/diastolic": 78,
    }  # fmt: skip
    amended = calm("2026-10-14", "sess-8841", {**kilos("59", "30", "0.5"), **unordered, **right})
    at = datetime.fromisoformat("2026-10-14T15:10:00-05:00")
    asked = (
        "Please review the stimulant dose and its timing on treatment days: "
        "blood pressure before the dose was 142/87 mmHg.",
    )
    sent = (SentLetter("pr-psych", "L1", 1, at, asked), SentLetter("pr-pcp", "L2", 1, at, asked))
    return case(amended, previous=first, sent=sent, history=(calm("2026-10-07", "s-1", number=2),))


def _stated(product: str, form: str, dose: str, often: str, as_of: str, source: str) -> dict[str, Any]:
    return {
        "role": "stimulant", "product": product, "form": form, "dose": {"value": dose, "unit": "mg"},
        "frequency": often, "as_of": as_of, "source": source,
    }  # fmt: skip


def _t6(*stated: dict[str, Any]) -> Case:
    return case(calm("2026-10-14", "sess-8841", number=1), registry={"patients/0/medications": list(stated)})


def _t6_dose() -> Case:
    return _t6(
        _stated("Adderall XR", "extended-release", "20", "once daily", "2026-10-01", "patient"),
        _stated("Adderall XR", "extended-release", "30", "once daily", "2026-10-10", "prescriber"),
    )


def _t6_form() -> Case:
    return _t6(
        _stated("Adderall", "immediate-release", "10", "twice daily", "2026-10-01", "patient"),
        _stated("Adderall XR", "extended-release", "20", "once daily", "2026-10-10", "prescriber"),
    )


def _t7() -> Case:
    young = {"patients/0/birth_date": "2009-11-14", "patients/0/guardian_consent": "form signed 2026-10-01"}
    return case(calm("2026-10-14", "sess-8841", kilos("58", "29", "0.5"), number=1), registry=young)


def _t8_switch() -> Case:
    change = _example("dose-change.ketamine.json")
    change |= {
        "action": "switch",
        "from": {"product": "ketamine", "route": "intranasal", "dose": {"value": "50", "unit": "mg"}},
        "to": {"product": "esketamine", "route": "intranasal", "dose": {"value": "56", "unit": "mg"}},
    }
    return case(change)


def _t8_micrograms() -> Case:
    ordered = {"administration/ordered": {"value": "500", "unit": "mcg/kg"}}
    return case(calm("2026-10-14", "sess-8841", ordered, number=1))


def _t9() -> Case:
    return case(calm("2026-10-14", "sess-8841", kilos("81.6", "41", "0.5"), number=1))


def _t10() -> Case:
    return case(spike({"next_session_on": None}), at="2026-10-31T14:10:00-05:00")


def _t11() -> Case:
    """Names as another system sends them: decomposed, a suffix, an apostrophe, signs of markup."""
    names = {
        "patients/0/name": {"family": "Nu\u0301n\u0303ez-Đa\u0323\u0306ng", "given": ["Zoe\u0308"], "suffix": "III"},
        "providers/0/organization": "O'Hara & Sons <North> Psychiatry",
    }
    return case(calm("2026-10-14", "sess-8841", number=1), registry=names)


def _t12() -> Case:
    """Urgent, and the reader has nothing but a fax."""
    return case(spike(), registry={"providers/0/endpoints": [_NEW_PCP["endpoints"][0]]})  # type: ignore[index]


STORIES: Mapping[str, Callable[[], Case]] = {
    "T1-spike": _t1,
    "T1-hold": _t1_hold,
    "T1-start": _t1_start,
    "T1-end": _t1_end,
    "T1-called-off": _t1_called_off,
    "T1-missed": _t1_missed,
    "T2-restriction": _t2,
    "T3-moved": _t3_moved,
    "T3-correction": _t3_correction,
    "T4-amended": _t4,
    "T5-again": _t1,
    "T6-dose": _t6_dose,
    "T6-form": _t6_form,
    "T7-minor": _t7,
    "T8-switch": _t8_switch,
    "T8-micrograms": _t8_micrograms,
    "T9-confirmed": _t9,
    "T10-clocks": _t10,
    "T11-names": _t11,
    "T12-fax-only": _t12,
}
"""T5 is T1 handed in again: the same record composes to the same letter. The rest of T5 and T12 is delivery."""


def stories() -> Iterator[tuple[str, Case]]:
    for name, made in STORIES.items():
        yield name, made()
