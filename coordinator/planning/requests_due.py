"""What a recipient is asked, in words from the rules data, and by when."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, cast

from coordinator.domain.case import Case
from coordinator.domain.events import DoseChange, Regimen, SessionOutcome
from coordinator.domain.plan import LetterKind, Request, RuleOutcome
from coordinator.domain.quantities import Quantity
from coordinator.planning import clocks
from coordinator.planning.conditions import Facts
from coordinator.planning.letters_due import DISCREPANCY, QUERY
from coordinator.planning.recipients import Recipient
from coordinator.planning.rules import Asked, RuleBook, fill

CLOSE_HOLD = "close-hold"
"""The row of the rules data with what is asked when a course ends while a hold is open."""
MOST_REQUESTS = 3
"""In one letter. A reader who is asked more than three things answers none (letters, section on Box A)."""


def requests_for(
    case: Case,
    facts: Facts,
    book: RuleBook,
    to: Recipient,
    fired: Sequence[RuleOutcome],
    letters: Sequence[LetterKind],
) -> tuple[Request, ...]:
    """Return what this recipient is asked, most severe first, at most three in each letter.

    What is asked in a letter of its own (L12) comes last, and is never crowded out of it.
    """
    requests = [*_of_rules(case, facts, book, to, fired)]
    if to.prescribes_stimulant and ends_course(case, letters):
        requests = [*_of_open_holds(case, book, to), *requests]
    if isinstance(case.event, DoseChange) and "L4" in letters and to.asked:
        requests = [*_of_prescriber(case, case.event, book, to), *requests]
    apart = [one for one in requests if one.rule == DISCREPANCY] if QUERY[0] in letters else []
    return (*[one for one in requests if one not in apart][:MOST_REQUESTS], *apart)


def ends_course(case: Case, letters: Sequence[LetterKind]) -> bool:
    """Return whether these letters tell that the course is over, on whichever way out of it."""
    return "L7" in letters or ("L8" in letters and case.course_over)


def _of_open_holds(case: Case, book: RuleBook, to: Recipient) -> Iterator[Request]:
    """Yield a request for each hold that is still open: nobody stays untreated because nobody said it is over."""
    asked = book.of_prescriber.get(CLOSE_HOLD)
    if asked is None:
        return
    for _, one in case.open_holds:
        named = next((part for part in (one.from_, one.to) if isinstance(part, Regimen)), None)
        text = asked.text.format_map({"product": named.product if named else book.words["product"]})
        yield _request(asked, text, None, case, to, None)


def _of_rules(
    case: Case, facts: Facts, book: RuleBook, to: Recipient, fired: Sequence[RuleOutcome]
) -> Iterator[Request]:
    event = case.event
    if isinstance(event, DoseChange) and event.kind == "reported-by-prescriber" and to.prescribes_stimulant:
        # Whoever reported the change is not asked to confirm it.
        return
    ids = {one.id for one in fired}
    next_on = event.next_session_on if isinstance(event, SessionOutcome) else event.effective_from
    for one in fired:
        rule = book.rule(one.id)
        asked = rule.asks(to.roles, one.priority or "routine")
        if asked is not None and not ids & set(rule.yields_to):
            yield _request(asked, fill(asked.text, facts), one.id, case, to, next_on)


def _of_prescriber(case: Case, event: DoseChange, book: RuleBook, to: Recipient) -> Iterator[Request]:
    """Yield the request of a stimulant letter, for the one who is asked and nobody else."""
    asked = book.of_prescriber.get(event.action)
    if asked is None:
        return
    was, now = event.from_, event.to
    named = next((one for one in (was, now) if isinstance(one, Regimen)), None)
    words = {
        "product": named.product if named else book.words["product"],
        "dose": _dose(was, book),
        "to_dose": _dose(now, book),
        "effective_from": f"{event.effective_from.day} {event.effective_from:%B %Y}",
        "resume_when": event.resume_when or book.words["resume_when"],
        "scope": book.words[event.scope or "none"],
    }
    text = " ".join(asked.text.format_map(words).split()).replace(" ,", ",").replace(" .", ".")
    yield _request(asked, text, None, case, to, event.effective_from)


def _dose(regimen: object, book: RuleBook) -> str:
    if isinstance(regimen, Regimen) and isinstance(regimen.dose, Quantity):
        return str(regimen.dose)
    return book.words["dose"]


def _request(asked: Asked, text: str, rule: str | None, case: Case, to: Recipient, next_on: date | None) -> Request:
    due = due_at(asked.due, case.composed_at, to.provider.time_zone, case.clinic.time_zone, next_on)
    return Request(text=text, rule=rule, due_at=due, action=cast(Any, asked.action))


def due_at(
    due: Mapping[str, Any], start: datetime, zone: str, clinic_zone: str, next_on: date | None
) -> datetime | None:
    """Return when a request is due, in the recipient's zone, or None when it has no due time.

    Elapsed hours run by the sun; business and calendar days end at the recipient's
    midnight. With `before_next_session`, the end of the day before it on the
    clinic's calendar wins when that is earlier and not past already.
    """
    at: datetime | None = None
    if "elapsed_hours" in due:
        at = clocks.after_hours(start, due["elapsed_hours"], zone)
    elif "business_days" in due:
        at = clocks.end_of_business_day(start, due["business_days"], zone)
    elif "days" in due:
        at = clocks.end_of_day(start, due["days"], zone)
    if due.get("before_next_session") and next_on is not None:
        before = clocks.last_moment(next_on - timedelta(days=1), clinic_zone, zone)
        if before > start and (at is None or before < at):
            return before
    return at
