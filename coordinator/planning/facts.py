"""The facts that the coordination rules may look at, by name."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from coordinator.domain.case import Case
from coordinator.domain.events import (
    Administration,
    Dissociation,
    DoseChange,
    Score,
    Sedation,
    SessionOutcome,
    SuicideRisk,
)
from coordinator.domain.values import NotDone
from coordinator.planning import readings as r
from coordinator.planning.conditions import Fact, Facts, Value
from coordinator.planning.statements import discrepancy

_NO_PRESSURE = "no blood pressure is recorded"
_NO_40 = "no 40-minute blood pressure"
_NOT_A_SESSION = "this is not a session"


def facts_of(case: Case) -> Facts:
    """Return every fact by name; one that does not apply to the event is missing, with the reason."""
    event = case.event
    if isinstance(event, SessionOutcome):
        return {**_absent(_DOSE_NAMES, "this is not a change of dose"), **_session(case, event)}
    return {**_absent(_SESSION_NAMES, _NOT_A_SESSION), **_change(case, event)}


def _absent(names: Iterable[str], why: str) -> dict[str, Fact]:
    return {name: Fact(None, why) for name in names}


def _known(value: Value | None, missing: str) -> Fact:
    return Fact(value) if value is not None else Fact(None, missing)


def _session(case: Case, event: SessionOutcome) -> dict[str, Fact]:
    zone = case.clinic.time_zone
    before = r.sessions_before(event, case.history)
    return {
        "age_years": Fact(r.age_on(case.patient.birth_date, r.clinic_day(event, zone))),
        **_pressure_facts(event),
        **_symptom_facts(event),
        **_rate_facts(event),
        **_mind_facts(event),
        **_stimulant_facts(case, event, zone),
        "adverse_terms": _adverse_terms(event),
        "emergency_care_recorded": Fact(event.emergency_care_used is True),
        "sessions_in_a_row_not_given": Fact(_in_a_row(event, before, ("not-given", "cancelled"))),
        "no_shows_in_a_row": Fact(_in_a_row(event, before, ("no-show",))),
        "clinic_dose_changed": _dose_changed(event, before),
        "days_until_next": _days_until_next(event, zone),
        **_open_facts(case, before),
        **_discrepancy_facts(case),
    }


def _pressure_facts(event: SessionOutcome) -> dict[str, Fact]:
    every = r.pressures(event)
    top = r.peak(event)
    pre, left, last = r.at_slot(event, "baseline"), r.at_slot(event, "discharge"), every[-1] if every else None
    # Without a reading at the time of the peak, the highest one seen is only a lower bound.
    bound = None if r.reading_at_40_min(event) is not None else _NO_40
    highest = max((one.diastolic for one in every), default=None)
    rise_s = top.systolic - pre.systolic if top and pre else None
    rise_d = highest - pre.diastolic if highest is not None and pre else None
    no_pre = _NO_PRESSURE if not every else "no blood pressure before the dose"
    return {
        "pre_systolic": _known(pre.systolic if pre else None, no_pre),
        "pre_diastolic": _known(pre.diastolic if pre else None, no_pre),
        "peak_systolic": Fact(top.systolic, bound) if top else Fact(None, _NO_PRESSURE),
        "peak_diastolic": Fact(top.diastolic, bound) if top else Fact(None, _NO_PRESSURE),
        "highest_diastolic": Fact(highest, bound) if highest is not None else Fact(None, _NO_PRESSURE),
        "rise_systolic": Fact(rise_s, bound) if rise_s is not None else Fact(None, no_pre),
        "rise_diastolic": Fact(rise_d, bound) if rise_d is not None else Fact(None, no_pre),
        "last_systolic": _known(last.systolic if last else None, _NO_PRESSURE),
        "last_diastolic": _known(last.diastolic if last else None, _NO_PRESSURE),
        "discharge_systolic": _known(left.systolic if left else None, "no blood pressure at discharge"),
        "discharge_diastolic": _known(left.diastolic if left else None, "no blood pressure at discharge"),
    }


def _symptom_facts(event: SessionOutcome) -> dict[str, Fact]:
    told = event.blood_pressure_symptoms
    missing = "whether there were symptoms with the blood pressure is not recorded"
    if told == "none":
        return {"pressure_symptoms": Fact(False)}
    if isinstance(told, tuple):
        return {"pressure_symptoms": Fact(bool(told))}
    return {"pressure_symptoms": Fact(None, missing)}


def _rate_facts(event: SessionOutcome) -> dict[str, Fact]:
    rates = r.numbers(event, lambda one: one.heart_rate)
    left = [one.heart_rate for one in event.vitals if one.slot == "discharge" and isinstance(one.heart_rate, int)]
    oxygen = r.numbers(event, lambda one: one.spo2)
    return {
        "heart_rate_sustained": _known(r.sustained(rates), "fewer than two heart rates are recorded"),
        "heart_rate_peak": _known(max(rates, default=None), "no heart rate is recorded"),
        "discharge_heart_rate": _known(left[-1] if left else None, "no heart rate at discharge"),
        "lowest_spo2": _known(min(oxygen, default=None), "no oxygen saturation is recorded"),
    }


def _mind_facts(event: SessionOutcome) -> dict[str, Fact]:
    sedation, given = event.sedation, event.administration
    lowest = sedation.lowest if isinstance(sedation, Sedation) else None
    risk = event.suicide_risk
    items = [answer for one in event.scores if (answer := _ninth(one)) is not None]
    woken = sedation.resolved_at if isinstance(sedation, Sedation) else None
    return {
        "lowest_moaas": _known(lowest, "no sedation level is recorded"),
        "minutes_to_wake": _minutes(given, woken, "when the sedation had passed is not recorded"),
        "minutes_dissociated": _dissociated(event.dissociation, given),
        "suicide_risk": _known(
            risk.result if isinstance(risk, SuicideRisk) else None, "no suicide-risk screen is recorded"
        ),
        "phq9_given": Fact(any(one.instrument == "phq-9" for one in event.scores)),
        "phq9_item_9": _known(max(items, default=None), "no answer to the ninth PHQ-9 question is recorded"),
    }


def _ninth(score: Score) -> int | None:
    """Return the answer to the ninth PHQ-9 question, given by itself or among the items."""
    if score.instrument != "phq-9":
        return None
    among = score.items[8] if score.items is not None and len(score.items) > 8 else None  # the ninth of nine
    return score.item_9 if score.item_9 is not None else among if isinstance(among, int) else None


_UNRESOLVED = 100_000
"""Minutes that stand for "had not passed when the patient left": longer than any threshold."""


def _minutes(given: Administration | None, until: object, missing: str) -> Fact:
    if given is None or not isinstance(until, datetime):
        return Fact(None, missing)
    return Fact(int((until - given.started_at) / r.MINUTE))


def _dissociated(told: object, given: Administration | None) -> Fact:
    if not isinstance(told, Dissociation):
        return Fact(None, "dissociation is not recorded")
    if not told.present:
        return Fact(0)
    if isinstance(told.resolved_at, NotDone):
        return Fact(_UNRESOLVED)
    return _minutes(given, told.resolved_at, "when the dissociation had passed is not recorded")


def _stimulant_facts(case: Case, event: SessionOutcome, zone: str) -> dict[str, Fact]:
    every = r.medicines(event)
    names = ("stimulant_same_day", "stimulant_hours_before", "stimulant_taken_at", "stimulant_product")
    maoi = {one.role for one in case.patient.medications} | {one.role for one in every or ()}
    known = every is not None or "maoi" in maoi
    roles = {
        "maoi_known": Fact("maoi" in maoi) if known else Fact(None, "other medicines are not recorded"),
        "stimulant_known": Fact("stimulant" in maoi),
        "ketamine_given": Fact(event.administration is not None and event.status in r.GIVEN),
    }
    if every is None:
        return {**_absent(names, "other medicines taken are not recorded"), **roles}
    taken = [one for one in every if one.role == "stimulant"]
    if not taken:
        return {**_absent(names, "no stimulant is recorded"), "stimulant_same_day": Fact(False), **roles}
    times = [one.last_taken_at for one in taken]
    exact = [one for one in times if isinstance(one, datetime)]
    there = ZoneInfo(zone)
    day = r.clinic_day(event, zone)
    same = any(one.astimezone(there).date() == day for one in exact)
    unknown = "when the stimulant was last taken is not known"
    started = event.administration.started_at if event.administration else None
    # NotDone means it was left out on purpose, which is an answer: not taken.
    all_told = all(isinstance(one, datetime | NotDone) for one in times)
    latest = max((one for one in exact if started is None or one <= started), default=None)
    hours = None if latest is None or started is None else _hours(started - latest)
    return {
        "stimulant_same_day": Fact(True) if same else Fact(False) if all_told else Fact(None, unknown),
        "stimulant_hours_before": _known(hours, unknown),
        "stimulant_taken_at": _known(f"{latest.astimezone(there):%H:%M}" if latest else None, unknown),
        "stimulant_product": Fact(taken[0].product),
        **roles,
    }


def _hours(span: timedelta) -> Decimal:
    return (Decimal(int(span.total_seconds())) / 3600).quantize(Decimal("0.1"))


def _adverse_terms(event: SessionOutcome) -> Fact:
    if not isinstance(event.adverse_events, tuple):
        return Fact(None, "adverse events are not recorded")
    return Fact(tuple(one.term.lower() for one in event.adverse_events))


def _in_a_row(event: SessionOutcome, before: tuple[SessionOutcome, ...], statuses: tuple[str, ...]) -> int:
    """Return how many sessions in a row, up to this one, ended in one of the statuses."""
    count = 0
    for one in (event, *reversed(before)):
        if one.status not in statuses:
            break
        count += 1
    return count


def _dose_changed(event: SessionOutcome, before: tuple[SessionOutcome, ...]) -> Fact:
    """Whether the product, the route or the planned dose differs from the last session that was given."""
    given = event.administration
    last = next((one for one in reversed(before) if one.administration and one.status in r.GIVEN), None)
    if given is None or last is None or last.administration is None:
        return Fact(False)
    was = last.administration
    if (given.product, given.route) != (was.product, was.route):
        return Fact(True)
    now_dose, was_dose = r.planned_dose(event), r.planned_dose(last)
    if now_dose is None or was_dose is None:
        return Fact(None, "the dose of one of the two sessions is not known")
    if now_dose.unit != was_dose.unit:
        # mg beside mg/kg: compare what was given, which both sessions have in mg.
        one, other = r.dose_mg(event), r.dose_mg(last)
        return Fact(None, "the two doses are in different units") if None in (one, other) else Fact(one != other)
    return Fact(now_dose.value != was_dose.value)


def _days_until_next(event: SessionOutcome, zone: str) -> Fact:
    """Return the days from the session to the next one."""
    if event.next_session_on is None:
        return Fact(None, "the day of the next session is not recorded")
    return Fact((event.next_session_on - r.clinic_day(event, zone)).days)


def _open_facts(case: Case, before: tuple[SessionOutcome, ...]) -> dict[str, Fact]:
    """Return what earlier events left open: a stimulant hold, and the last suicide-risk result."""
    held = False
    for one in r.dose_changes(case.history):
        if one.subject == "stimulant" and one.action in ("hold", "resume", "stop", "start"):
            held = one.action == "hold"
    risks = [one.suicide_risk.result for one in before if isinstance(one.suicide_risk, SuicideRisk)]
    return {
        "stimulant_hold_open": Fact(held),
        "last_suicide_risk": _known(risks[-1] if risks else None, "no earlier suicide-risk screen is recorded"),
    }


def _discrepancy_facts(case: Case) -> dict[str, Fact]:
    """Return whether the prescriber's and the patient's statements differ, and whether that is news."""
    zone = case.clinic.time_zone
    day = r.clinic_day(case.event, zone)
    found = discrepancy(case.patient, day)
    asked = isinstance(case.event, DoseChange) and case.event.kind == "requested-of-prescriber"
    if found is None:
        return {"stimulant_discrepancy": Fact(False), **_absent(_STATED, "there is no discrepancy")}
    last = max((r.clinic_day(one, zone) for one in case.history if one.id != case.event.id), default=None)
    # A session asks once; a request that would quote a dose asks each time, in place of the request.
    news = asked or last is None or last < found.since
    return {
        "stimulant_discrepancy": Fact(news),
        "stimulant_ours": Fact(found.ours),
        "stimulant_theirs": Fact(found.theirs),
    }


_STATED = ("stimulant_ours", "stimulant_theirs")


def _change(case: Case, event: DoseChange) -> dict[str, Fact]:
    return {
        **_discrepancy_facts(case),
        "subject": Fact(event.subject),
        "kind": Fact(event.kind),
        "action": Fact(event.action),
        "days_until_next": Fact((event.effective_from - r.clinic_day(event, case.clinic.time_zone)).days),
    }


_DOSE_NAMES = ("subject", "kind", "action")
_BOTH_NAMES = ("stimulant_discrepancy", "days_until_next", *_STATED)
_SESSION_NAMES: tuple[str, ...] = (
    "age_years",
    "pre_systolic",
    "pre_diastolic",
    "peak_systolic",
    "peak_diastolic",
    "highest_diastolic",
    "rise_systolic",
    "rise_diastolic",
    "last_systolic",
    "last_diastolic",
    "discharge_systolic",
    "discharge_diastolic",
    "pressure_symptoms",
    "heart_rate_sustained",
    "heart_rate_peak",
    "discharge_heart_rate",
    "lowest_spo2",
    "lowest_moaas",
    "minutes_to_wake",
    "minutes_dissociated",
    "suicide_risk",
    "phq9_given",
    "phq9_item_9",
    "stimulant_same_day",
    "stimulant_hours_before",
    "stimulant_taken_at",
    "stimulant_product",
    "maoi_known",
    "stimulant_known",
    "ketamine_given",
    "adverse_terms",
    "emergency_care_recorded",
    "sessions_in_a_row_not_given",
    "no_shows_in_a_row",
    "clinic_dose_changed",
    "stimulant_hold_open",
    "last_suicide_risk",
)
FACT_NAMES: frozenset[str] = frozenset((*_DOSE_NAMES, *_SESSION_NAMES, *_BOTH_NAMES))
"""Every fact there is; a rule that names another is refused at load."""
