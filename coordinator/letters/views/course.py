"""The letters about a course (L6 start, L7 end) and about a regimen that two parties state differently (L12)."""

from dataclasses import dataclass

from coordinator.domain.events import SessionOutcome
from coordinator.letters.brief import Brief
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.traced import Traced, fact
from coordinator.letters.trend import Trend, trend
from coordinator.letters.views.holds import OpenHold, open_holds
from coordinator.letters.views.measured import EventLine, ScoreLine, course_scores, event_lines
from coordinator.letters.views.medicines import Stimulant, dose_of, own_drug, stimulant


@dataclass(frozen=True)
class BaselineMedicine:
    """A medicine the patient takes as the course begins, and who says so as of when."""

    role: Traced
    regimen: Traced
    said_by: Traced
    as_of: Traced


@dataclass(frozen=True)
class StartView:
    """What L6 prints."""

    indications: tuple[Traced, ...]
    started_on: Traced | None
    planned: Traced | None
    first_on: Traced | None
    medicines: tuple[BaselineMedicine, ...]
    letters_come: str
    plan: Traced | None


@dataclass(frozen=True)
class CourseDoses:
    """The clinic's own drug over a course. `switched`: the first dose was of another product, which `first` names."""

    drug: Traced
    first: Traced
    last: Traced
    last_on: Traced
    switched: bool


@dataclass(frozen=True)
class EndView:
    """What L7 prints."""

    given: Traced
    planned: Traced | None
    from_day: Traced
    to_day: Traced
    doses: CourseDoses
    stimulant: Stimulant
    holds: tuple[OpenHold, ...]
    scores: tuple[ScoreLine, ...]
    events: tuple[tuple[Traced, EventLine], ...]
    plan: Traced | None
    trend: Trend | None


@dataclass(frozen=True)
class Belief:
    """What one party states of the stimulant."""

    said_by: Traced
    product: Traced
    regimen: Traced
    as_of: Traced


@dataclass(frozen=True)
class QueryView:
    """What L12 prints: every party's statement side by side, and no recommendation."""

    beliefs: tuple[Belief, ...]


def start_view(brief: Brief) -> StartView:
    """Return the view of a course's start."""
    course, event = brief.course, brief.case.event
    session = event if isinstance(event, SessionOutcome) else None
    planned = event.course.planned_sessions
    at = brief.at_patient("/course")
    return StartView(
        indications=tuple(
            brief.words("indication", one, f"{at}/indications/{index}")
            for index, one in enumerate(course.indications if course else ())
        ),
        started_on=brief.day(course.started_on, f"{at}/started_on") if course and course.started_on else None,
        planned=brief.count(planned, "event:/course/planned_sessions") if planned else None,
        first_on=brief.day(session.next_session_on, "event:/next_session_on")
        if session and session.next_session_on
        else None,
        medicines=_baseline(brief),
        letters_come=brief.case.clinic.digest,
        plan=fact(session.plan, None, "event:/plan") if session and session.plan else None,
    )


def _baseline(brief: Brief) -> tuple[BaselineMedicine, ...]:
    rows = []
    for index, one in enumerate(brief.case.patient.medications):
        place = brief.at_patient(f"/medications/{index}")
        dose = brief.amount(one.dose, f"{place}/dose").text
        text = f"{one.product} {dose}" + (f" {one.frequency}" if one.frequency else "")
        rows.append(
            BaselineMedicine(
                role=brief.words("role", one.role, f"{place}/role"),
                regimen=fact(text, one.product, f"{place}/product", f"{place}/dose", f"{place}/frequency"),
                said_by=brief.words("source", one.source, f"{place}/source"),
                as_of=brief.day(one.as_of, f"{place}/as_of"),
            )
        )
    return tuple(rows)


def end_view(brief: Brief) -> EndView:
    """Return the view of a course's end: what was given, first and last scores, what stays open."""
    session = brief.session
    rows = _given_sessions(brief)
    if not rows:
        raise LetterRefused("letter.template", "a course's end needs a session that was given")
    planned = session.course.planned_sessions
    lines = [(_day(brief, at, one), line) for at, one in rows for line in event_lines(brief, one, at)]
    return EndView(
        given=fact(str(len(rows)), len(rows), *(f"{at}/status" for at, _ in rows)),
        planned=brief.count(planned, "event:/course/planned_sessions") if planned else None,
        from_day=_day(brief, *rows[0]),
        to_day=_day(brief, *rows[-1]),
        doses=_doses(brief, rows),
        stimulant=stimulant(brief, None, "event:"),
        holds=open_holds(brief),
        scores=course_scores(brief, tuple(rows)),
        events=tuple(lines),
        plan=fact(session.plan, None, "event:/plan") if session.plan else None,
        trend=trend(brief, ended=True),
    )


def _doses(brief: Brief, rows: list[tuple[str, SessionOutcome]]) -> CourseDoses:
    """Return the first and the last dose of the course; nothing of it reads as a dose that goes on."""
    (at, first), (to, last) = rows[0], rows[-1]
    drug, earlier = own_drug(brief, last, to), own_drug(brief, first, at)
    dose, switched = dose_of(brief, first, at), earlier.text != drug.text
    return CourseDoses(
        drug=drug,
        first=fact(f"{earlier}, {dose}", dose.value, *earlier.sources, *dose.sources) if switched else dose,
        last=dose_of(brief, last, to),
        last_on=_day(brief, to, last),
        switched=switched,
    )


def _given_sessions(brief: Brief) -> list[tuple[str, SessionOutcome]]:
    events = [*((f"history/{place}:", one) for place, one in enumerate(brief.case.history)), ("event:", brief.session)]
    course = brief.session.course.id
    return [
        (at, one)
        for at, one in events
        if isinstance(one, SessionOutcome)
        and one.course.id == course
        and one.status == "completed"
        and one.administration is not None
    ]


def _day(brief: Brief, at: str, one: SessionOutcome) -> Traced:
    start = one.administration.started_at if one.administration else one.recorded_at
    return brief.day_of(start, f"{at}/administration/started_at")


def query_view(brief: Brief) -> QueryView:
    """Return every party's newest statement of the stimulant; the letter takes no side between them."""
    known = [(index, one) for index, one in enumerate(brief.case.patient.medications) if one.role == "stimulant"]
    beliefs = []
    for index, one in known:
        place = brief.at_patient(f"/medications/{index}")
        parts = [brief.amount(one.dose, f"{place}/dose").text]
        parts += [brief.lexicon.say("form", one.form)] if one.form else []
        parts += [one.frequency] if one.frequency else []
        beliefs.append(
            Belief(
                said_by=brief.words("source", one.source, f"{place}/source"),
                product=fact(one.product, one.product, f"{place}/product", kind="name"),
                regimen=fact(" ".join(parts), None, f"{place}/dose", f"{place}/form", f"{place}/frequency"),
                as_of=brief.day(one.as_of, f"{place}/as_of"),
            )
        )
    if len(beliefs) < 2:
        raise LetterRefused("letter.template", "a discrepancy needs two statements")
    if not brief.recipient.requests:
        raise LetterRefused("letter.empty-box", "a discrepancy query asks for an answer")
    return QueryView(tuple(beliefs))
