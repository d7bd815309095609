"""Sessions: each status, product, route, phase, scale, answer and missing value."""

from collections.abc import Iterator
from typing import Any

from tests.conformance.matrix.inputs import HEAD, SKIPPED, UNKNOWN, Data, Rendering, example, plain, with_
from tests.conformance.matrix.products import PRODUCTS

SCORES = ("phq-9", "gad-7", "madrs", "qids-sr16", "asrs-v1.1", "asrs-5", "cadss", "cadss-6")
DAY = "2026-10-14"


def sessions() -> Iterator[tuple[str, Rendering]]:
    """Yield every session by name."""
    for name, event in (*_given(), *_statuses(), *_missing(), *_measured(), *_told(), *_medicines()):
        yield name, plain(event)


def _at(hour: int, minute: int, offset: str = "-05:00") -> str:
    return f"{DAY}T{hour:02d}:{minute:02d}:00{offset}"


def spike() -> Data:
    return example("session-outcome.bp-spike")


def _given() -> Iterator[tuple[str, Data]]:
    spray, drip = example("session-outcome.esketamine"), spike()
    yield "spike", drip
    yield "esketamine-56", spray
    for dose, devices, reason in (("84", 3, None), ("28", 1, "First dose halved for frailty.")):
        given = with_(spray["administration"], dose={"value": dose, "unit": "mg"}, devices=devices, reason=reason)
        yield f"esketamine-{dose}", with_(spray, administration=given)
    lots = with_(spray["administration"], ndc="50458-028-02")
    yield "esketamine-with-ndc", with_(spray, administration=lots)
    for route in ("intramuscular", "subcutaneous", "oral", "sublingual"):
        given = with_(drip["administration"], route=route, compounded=True)
        yield f"route-{route}", with_(drip, administration=given)
    given = with_(
        drip["administration"], route="intranasal", compounded=True, sprays=4, ordered=None,
        dose={"value": "40", "unit": "mg"}, dose_per_spray={"value": "10", "unit": "mg"},
        volume_per_spray={"value": "0.1", "unit": "mL"}, concentration={"value": "100", "unit": "mg/mL"},
    )  # fmt: skip
    yield "route-intranasal", with_(drip, administration=given)
    yield (
        "ordered-in-mg",
        with_(
            drip, administration=with_(drip["administration"], ordered={"value": "41", "unit": "mg"}, compounded=False)
        ),
    )
    for number, phase in enumerate(("evaluation", "maintenance", "taper", "re-induction"), start=4):
        course = {"id": "course-77", "phase": phase, "session_number": number}
        yield f"phase-{phase}", with_(spray, course=course)
    yield "first-session", with_(spray, course={"id": "course-77", "phase": "induction", "session_number": 1,
                                               "planned_sessions": 8})  # fmt: skip
    yield "last-session", with_(spray, course={"id": "course-77", "phase": "taper", "session_number": 8,
                                              "planned_sessions": 8})  # fmt: skip


def _statuses() -> Iterator[tuple[str, Data]]:
    drip = spike()
    yield "status-aborted", with_(drip, status="aborted", status_reason="Chest discomfort at 15 minutes.")
    not_given = {key: drip[key] for key in (*HEAD, "attested_by", "weight", "suicide_risk", "scores")}
    yield "end-without-start", {**not_given, "status": "arrived", "status_reason": "as told",
                                "monitoring_ended_at": _at(12, 5)}  # fmt: skip
    reading = {**drip["vitals"][0], "systolic": 166, "diastolic": 101}
    yield "status-not-given", {
        **not_given, "status": "not-given", "status_reason": "Blood pressure above the limit.", "vitals": [reading],
    }  # fmt: skip
    for status in ("scheduled", "arrived", "no-show", "cancelled"):
        yield f"status-{status}", {**{key: drip[key] for key in HEAD}, "status": status, "status_reason": "as told"}


def _missing() -> Iterator[tuple[str, Data]]:
    drip = spike()
    given = with_(drip["administration"], dose=UNKNOWN, ordered=None)
    yield "dose-unknown", with_(drip, administration=given)
    asked = ("weight", "sedation", "dissociation", "suicide_risk", "adverse_events", "other_medications_taken",
             "blood_pressure_symptoms")  # fmt: skip
    yield "everything-unknown", with_(drip, **dict.fromkeys(asked, UNKNOWN), scores=[])
    yield "everything-not-done", with_(drip, **dict.fromkeys(asked, SKIPPED), scores=[])
    needed = (*HEAD, "status", "administration", "vitals", "weight")
    yield "nothing-but-what-must-be", {key: drip[key] for key in needed}
    yield "given-and-no-end", with_(
        {key: drip[key] for key in needed}, administration=with_(drip["administration"], ended_at=None),
        course={"id": "course-77"},
    )  # fmt: skip
    yield "attested-by-nobody", with_(drip, attested_by=None)


def _measured() -> Iterator[tuple[str, Data]]:
    drip = spike()
    vitals: list[Data] = [
        {"slot": "baseline", "at": _at(9, 50), "systolic": UNKNOWN, "diastolic": UNKNOWN, "heart_rate": SKIPPED,
         "spo2": UNKNOWN, "respiratory_rate": SKIPPED, "temperature": SKIPPED},
        {"slot": "20-min", "at": _at(10, 20), "systolic": SKIPPED, "diastolic": SKIPPED, "heart_rate": UNKNOWN,
         "spo2": SKIPPED, "respiratory_rate": UNKNOWN, "temperature": UNKNOWN},
        {"slot": "40-min", "at": "2026-10-14T15:40:00Z", "systolic": 120, "diastolic": 80, "respiratory_rate": 14,
         "spo2": 95, "oxygen_flow": {"value": "2", "unit": "L/min"}, "temperature": {"value": "36.60", "unit": "Cel"},
         "position": "sitting", "arm": "left"},
        {"slot": "60-min", "at": _at(11, 0), "heart_rate": 80, "systolic": 122, "diastolic": 78, "position": "supine",
         "arm": "right"},
        {"slot": "90-min", "at": _at(11, 30), "heart_rate": 79},
        {"slot": "discharge", "at": _at(12, 0), "systolic": 121, "diastolic": 79, "position": "standing"},
    ]  # fmt: skip
    yield "vitals-missing", with_(drip, vitals=vitals)
    yield "weight-in-pounds", with_(drip, weight={"value": "180.8", "unit": "[lb_av]"},
                                    height={"value": "170", "unit": "cm"})  # fmt: skip
    yield "height-unknown", with_(drip, height=UNKNOWN)
    yield "height-not-done", with_(drip, height=SKIPPED)
    yield "every-score", with_(drip, scores=[{"instrument": one, "total": 3, "on": DAY, "rater": "st-1",
                                             "administered": "interview"} for one in SCORES])  # fmt: skip
    yield "scores-missing", with_(drip, scores=[
        {"instrument": "phq-9", "total": UNKNOWN, "on": DAY, "administered": "self-report"},
        {"instrument": "gad-7", "total": SKIPPED, "on": DAY},
        {"instrument": "asrs-5", "total": 9, "items": [2, 1, 2, 1, 2, 1], "on": DAY},
    ])  # fmt: skip
    for number, (result, how) in enumerate((("none", "self-report"), ("moderate", "interview"), ("high", "interview"))):
        risk = {"instrument": ("clinician-judgement", "c-ssrs-screener")[number % 2], "result": result,
                "administered": how, "at": _at(9, 40)}  # fmt: skip
        yield f"suicide-risk-{result}", with_(drip, suicide_risk=risk)
    deep = {"scale": "moaa-s", "lowest": 1, "at": _at(10, 30), "resolved_at": _at(11, 10)}
    yield "deep-sedation", with_(drip, sedation=deep)
    yield "sedation-end-unknown", with_(drip, sedation={**deep, "resolved_at": UNKNOWN})
    yield "no-dissociation", with_(drip, dissociation={"present": False, "cadss_total": 0})
    yield "dissociation-not-rated", with_(drip, dissociation={"present": True})
    for name, value in (("unknown", UNKNOWN), ("not-done", SKIPPED)):
        told = {"present": True, "cadss_total": value, "onset_at": _at(10, 10), "resolved_at": value}
        yield f"dissociation-{name}", with_(drip, dissociation=told)


def _told() -> Iterator[tuple[str, Data]]:
    drip = spike()
    events: list[Data] = [
        {"term": "Headache", "severity": "moderate", "serious": True, "outcome": "ongoing"},
        {"term": "Dizziness", "severity": "severe", "serious": False, "outcome": "resolved", "started_at": UNKNOWN,
         "resolved_at": UNKNOWN},
        {"term": "nausea", "severity": "mild", "serious": False, "outcome": "resolving", "started_at": _at(10, 30),
         "resolved_at": SKIPPED, "action": "ondansetron offered"},
        {"term": "Something nobody has a code for", "severity": "mild", "serious": False, "outcome": "unknown"},
    ]  # fmt: skip
    yield "adverse-events", with_(drip, adverse_events=events)
    rescue = [
        {"product": product, "role": role, "dose": {"value": "10", "unit": "mg"}, "at": _at(10, 50)}
        for product, role in (("labetalol", "antihypertensive"), ("midazolam", "benzodiazepine"),
                              ("ondansetron", "other"), ("droperidol", "sedative"),
                              ("methylphenidate", "stimulant"), ("selegiline", "maoi"), ("tramadol", "opioid"))
    ]  # fmt: skip
    yield "rescue-medicines", with_(drip, rescue_medications=rescue, emergency_care_used=True)
    symptoms = ["chest-pain", "dyspnoea", "neurological", "severe-headache", "vision"]
    yield "pressure-symptoms", with_(drip, blood_pressure_symptoms=symptoms, emergency_care_used=False)
    yield "worse", with_(drip, symptom_report=dict.fromkeys(("calm", "focus", "mood", "anxiety"), "worse"))
    left: dict[str, Any] = {"at": _at(12, 5), "ready": False, "escort": False, "advised_not_to_drive": False,
                            "drove_self": True, "discharged_by": "st-2"}  # fmt: skip
    yield "better", with_(drip, symptom_report=dict.fromkeys(("calm", "focus", "mood", "anxiety"), "better"))
    yield "no-change", with_(drip, symptom_report=dict.fromkeys(("calm", "focus", "mood", "anxiety"), "unchanged"))
    yield "no-answer-about-symptoms", with_(drip, symptom_report={})
    yield "left-early", with_(drip, discharge=left, monitoring_shortened_reason="The patient wished to leave.")
    yield "markup-in-the-plan", with_(drip, plan='Ask about <script>alert("x")</script> & sleep.')


def _medicines() -> Iterator[tuple[str, Data]]:
    drip = spike()
    roles = ("stimulant", "maoi", "benzodiazepine", "sedative", "opioid", "antihypertensive", "other")
    sources = ("patient", "family", "label", "prescriber", "pharmacy", "clinic", "patient")
    forms = (None, "immediate-release", "extended-release", "patch", None, None, None)
    last = (UNKNOWN, SKIPPED, None, _at(7, 30), None, None, None)
    taken: list[Data] = [
        with_({"role": role, "product": f"Product {number}", "dose": UNKNOWN if number % 2 else
               {"value": "5", "unit": "mg"}, "source": source}, form=form, last_taken_at=at, frequency="once daily")
        for number, (role, source, form, at) in enumerate(zip(roles, sources, forms, last, strict=True))
    ]  # fmt: skip
    yield "medicines-of-every-role", with_(drip, other_medications_taken=taken)
    told = [{**drip["other_medications_taken"][0], "source": "prescriber"}]
    yield "prescriber-told-in-the-session", with_(drip, other_medications_taken=told)
    for start in range(0, len(PRODUCTS), 14):
        taken = [
            {"role": "stimulant", "product": product, "form": form, "dose": {"value": dose, "unit": "mg"},
             "source": "label"}
            for product, form, dose in PRODUCTS[start : start + 14]
        ]  # fmt: skip
        yield f"products-{start // 14 + 1}", with_(drip, other_medications_taken=taken)
