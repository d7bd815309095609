"""The session letters: L1 and L2 (one session or a digest), L5 (urgent alert), L8 (missed or stopped)."""

from dataclasses import dataclass, replace
from typing import Literal

from coordinator.domain.events import SessionOutcome, SymptomReport
from coordinator.letters.brief import Brief
from coordinator.letters.curve import Curve, curve
from coordinator.letters.traced import Traced, fact
from coordinator.letters.trend import Trend, trend
from coordinator.letters.views.holds import LastGiven, OpenHold, is_first_heard, last_given, open_holds
from coordinator.letters.views.measured import (
    Mind,
    Safety,
    ScoreLine,
    Vitals,
    baseline_of,
    discharge_of,
    mind,
    peak_of,
    pressure,
    safety,
    scores,
    vitals,
)
from coordinator.letters.views.medicines import (
    Given,
    MedicineRow,
    Stimulant,
    given,
    other_medicines,
    session_row,
    stimulant,
)


@dataclass(frozen=True)
class Told:
    """One session of a digest, as one row."""

    on: Traced
    number: Traced | None
    dose: Traced
    before: Traced | None
    peak: Traced | None
    discharge: Traced | None


@dataclass(frozen=True)
class Leaving:
    """How the patient left the clinic."""

    at: Traced
    escort: bool
    ready: bool


@dataclass(frozen=True)
class SessionView:
    """What a session letter prints, and nothing else: a part that a letter leaves out is None or empty."""

    on: Traced
    number: Traced | None
    planned: Traced | None
    phase: Traced | None
    status: Traced | None
    status_reason: Traced | None
    given: Given | None
    row: MedicineRow | None
    stimulant: Stimulant
    others: tuple[Traced, ...]
    vitals: Vitals | None
    scores: tuple[ScoreLine, ...]
    safety: Safety | None
    mind: Mind | None
    reported: tuple[tuple[Traced, Traced], ...]
    left: Leaving | None
    emergency_care: Literal["used", "not-used"] | None
    next_on: Traced | None
    plan: Traced | None
    digest: tuple[Told, ...]
    prompted_by: Traced | None
    holds: tuple[OpenHold, ...]
    last_given: LastGiven | None
    course_over: bool
    letters_to_come: str | None
    curve: Curve | None
    trend: Trend | None


def summary_view(brief: Brief) -> SessionView:
    """Return the view of L1 and L2. Primary care gets no scores of the mind beyond one line, and no reports.

    The first a reader hears of a course also says which letters will come. A course of one and the same dose without
    scores is told by the table of medicines.
    """
    whole = replace(_whole_view(brief), status=None, status_reason=None, prompted_by=None, holds=(), last_given=None)
    if is_first_heard(brief.case):
        whole = replace(whole, letters_to_come=brief.case.clinic.digest)
    if brief.recipient.audience == "primary-care":
        return replace(whole, mind=None, reported=(), trend=None)
    return whole if whole.trend and whole.trend.drawing else replace(whole, trend=None)


def alert_view(brief: Brief) -> SessionView:
    """Return the view of L5: the event and its numbers, one screen."""
    whole = _whole_view(brief)
    bare = replace(whole, status=None, status_reason=None, row=None, scores=(), reported=(), digest=(), trend=None)
    return replace(bare, holds=(), last_given=None)


def missed_view(brief: Brief) -> SessionView:
    """Return the view of L8: the facts, the last dose, the stimulant with every hold that is open, what is next.

    Measurements stand there only where there were any.
    """
    whole = _whole_view(brief)
    missed = replace(
        whole, planned=None, phase=None, row=None, scores=(), reported=(), digest=(), trend=None, prompted_by=None
    )
    if whole.vitals is None:
        return replace(missed, safety=None, mind=None)
    return replace(missed, mind=None) if brief.recipient.audience == "primary-care" else missed


def _whole_view(brief: Brief) -> SessionView:
    event, at = brief.session, "event:"
    number, planned, phase = _place(brief, event)
    return SessionView(
        on=held_on(brief, event),
        number=number,
        planned=planned,
        phase=phase,
        status=brief.words("session_told", event.status, "event:/status"),
        status_reason=fact(event.status_reason, None, "event:/status_reason") if event.status_reason else None,
        given=given(brief, event, at),
        row=session_row(brief),
        stimulant=stimulant(brief, event, at),
        others=other_medicines(brief, event, at),
        vitals=vitals(brief, event, at),
        scores=scores(brief, event, at),
        safety=safety(brief, event, at),
        mind=mind(brief, event, at),
        reported=_reported(brief, event.symptom_report),
        left=_left(brief, event),
        emergency_care=None
        if event.emergency_care_used is None
        else "used"
        if event.emergency_care_used
        else "not-used",
        next_on=brief.day(event.next_session_on, "event:/next_session_on") if event.next_session_on else None,
        plan=fact(event.plan, None, "event:/plan") if event.plan else None,
        digest=tuple(_told(brief, one, place) for place, one in enumerate(brief.case.digest_of))
        if len(brief.case.digest_of) > 1
        else (),
        prompted_by=_prompted_by(brief),
        holds=open_holds(brief),
        last_given=last_given(brief),
        course_over=brief.case.course_over,
        letters_to_come=None,
        curve=curve(brief, event, at),
        trend=trend(brief),
    )


def held_on(brief: Brief, event: SessionOutcome) -> Traced:
    """Return the clinic's day of a session: of the dose, else of the first reading, else of the record."""
    if event.administration:
        return brief.day_of(event.administration.started_at, "event:/administration/started_at")
    if event.vitals:
        return brief.day_of(event.vitals[0].at, "event:/vitals/0/at")
    return brief.day_of(event.recorded_at, "event:/recorded_at")


def _place(brief: Brief, event: SessionOutcome) -> tuple[Traced | None, Traced | None, Traced | None]:
    """Return number, planned number and phase; the latter two only when all three are known."""
    course = event.course
    if course.session_number is None:
        return None, None, None
    number = brief.count(course.session_number, "event:/course/session_number")
    if course.planned_sessions is None or course.phase is None:
        return number, None, None
    planned = brief.count(course.planned_sessions, "event:/course/planned_sessions")
    return number, planned, brief.words("phase", course.phase, "event:/course/phase")


def _reported(brief: Brief, report: SymptomReport | None) -> tuple[tuple[Traced, Traced], ...]:
    if report is None:
        return ()
    rows = (("mood", report.mood), ("anxiety", report.anxiety), ("calm", report.calm), ("focus", report.focus))
    at = "event:/symptom_report"
    return tuple(
        (brief.words("reported", key, f"{at}/{key}"), brief.words("change", value, f"{at}/{key}"))
        for key, value in rows
        if value
    )


def _left(brief: Brief, event: SessionOutcome) -> Leaving | None:
    one = event.discharge
    if one is None:
        return None
    return Leaving(at=brief.time(one.at, "event:/discharge/at"), escort=one.escort, ready=one.ready)


def _told(brief: Brief, one: SessionOutcome, place: int) -> Told:
    at = f"digest/{place}:"
    rows = [
        (row, f"{at}/vitals/{row[0]}" if row else "") for row in (baseline_of(one), peak_of(one), discharge_of(one))
    ]
    before, peak, last = (pressure(row[1], source) if row else None for row, source in rows)
    dose = one.administration
    return Told(
        on=brief.day_of(dose.started_at, f"{at}/administration/started_at")
        if dose
        else brief.day_of(one.recorded_at, f"{at}/recorded_at"),
        number=brief.count(one.course.session_number, f"{at}/course/session_number")
        if one.course.session_number
        else None,
        dose=brief.amount(dose.dose, f"{at}/administration/dose")
        if dose
        else brief.words("session_status", one.status, f"{at}/status"),
        before=before,
        peak=peak,
        discharge=last,
    )


def _prompted_by(brief: Brief) -> Traced | None:
    """Return the title of the one rule for which this reader is told: one alert, never a list of them."""
    fired = [one for one in brief.plan.fired() if one.title]
    told_for = next((one for one in fired if brief.recipient.why == f"rule {one.id}"), next(iter(fired), None))
    if told_for is None:
        return None
    place = [one.id for one in brief.plan.rules].index(told_for.id)
    return fact(told_for.title, told_for.id, f"plan:/rules/{place}/title", kind="words")
