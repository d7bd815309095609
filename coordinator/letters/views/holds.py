"""What a course leaves open or tells at its edges: stimulant holds, the last dose, and that it has just begun."""

from dataclasses import dataclass

from coordinator.domain.case import Case
from coordinator.domain.events import DoseChange, Regimen, SessionOutcome
from coordinator.letters.brief import Brief
from coordinator.letters.traced import Traced, fact
from coordinator.letters.views.medicines import earlier_session


@dataclass(frozen=True)
class OpenHold:
    """A hold that was asked for and whose end has not been told to us."""

    drug: Traced
    asked_on: Traced
    resume_when: Traced | None


@dataclass(frozen=True)
class LastGiven:
    """The last dose of the course before a session that was not completed."""

    dose: Traced
    on: Traced


def open_holds(brief: Brief) -> tuple[OpenHold, ...]:
    """Return each hold that was asked for and after which no end is known to us."""
    return tuple(_hold(brief, place, change) for place, change in brief.case.open_holds)


def _hold(brief: Brief, place: int, change: DoseChange) -> OpenHold:
    at = f"history/{place}:"
    side, regimen = ("from", change.from_) if isinstance(change.from_, Regimen) else ("to", change.to)
    drug = (
        fact(regimen.product, regimen.product, f"{at}/{side}/product", kind="name")
        if isinstance(regimen, Regimen)
        else brief.words("role", "stimulant", f"{at}/subject")
    )
    return OpenHold(
        drug=drug,
        asked_on=brief.day(change.effective_from, f"{at}/effective_from"),
        resume_when=fact(change.resume_when, None, f"{at}/resume_when") if change.resume_when else None,
    )


def last_given(brief: Brief) -> LastGiven | None:
    """Return the last dose of the same course before this session, or None when none is known."""
    before = earlier_session(brief)
    if before is None or before[0].administration is None:
        return None
    session, at = before
    dose = session.administration
    if dose is None:
        return None
    return LastGiven(
        dose=brief.amount(dose.dose, f"{at}/administration/dose"),
        on=brief.day_of(dose.started_at, f"{at}/administration/started_at"),
    )


def is_first_heard(case: Case) -> bool:
    """Return whether this session is the first that a reader hears of its course: no letter told of its start.

    Then the summary carries what a course's start must say.
    """
    event = case.event
    if not isinstance(event, SessionOutcome) or event.course.session_number not in (None, 1):
        return False
    announced = isinstance(case.previous, SessionOutcome) and case.previous.status == "scheduled"
    same = [one for one in case.history if isinstance(one, SessionOutcome) and one.course.id == event.course.id]
    return not same and not announced
