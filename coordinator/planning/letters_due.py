"""Which letter an event makes for a reader, when, and for which one reason."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from coordinator.domain.case import Case
from coordinator.domain.events import DoseChange, SessionOutcome
from coordinator.domain.plan import LetterKind, RuleOutcome
from coordinator.planning import readings as r
from coordinator.planning.clocks import digest_due
from coordinator.planning.facts import facts_of
from coordinator.planning.recipients import Recipient

MISSED = ("aborted", "not-given", "no-show")
"""A session that did not go as planned is told of at once."""
LATEST_PHASE_DIGEST = timedelta(weeks=4)
"""With digests per phase, an uneventful session is told of after four weeks at the latest."""
LAST_SESSION = "last planned session"
COURSE_OVER = "course ended"
COURSE_ENDS = (LAST_SESSION, COURSE_OVER)
"""Why a course's end is told: then the letter is L7, or L8 without a dose; both list every hold that is still open."""
COURSE_START = "course start"
DISCREPANCY = "R17"
"""The rule that two statements about the stimulant differ: then no request quotes a dose, the prescriber is asked."""
QUERY: tuple[LetterKind, ...] = ("L12", "L11")
_NOT_CONTENT = frozenset({"version", "recorded_at", "recorded_by", "attested_by", "amendment_reason"})
"""Fields whose change alone alters nothing that a letter tells."""


@dataclass(frozen=True)
class Due:
    """The letters for one reader, or none with the reason."""

    letters: tuple[LetterKind, ...]
    why: str
    when: Literal["now", "digest"] = "now"
    digest_due_at: datetime | None = None
    nothing_because: str | None = None


def letters_due(case: Case, to: Recipient, fired: Sequence[RuleOutcome], *, differ: bool = False) -> Due:
    """Return the letters for one recipient.

    `fired`: the rules that fired and concern this reader, most severe first. `differ`:
    the statements about the stimulant differ and the prescriber is to be asked.
    """
    holds_old = to.holds_before(case.event.version)
    if case.previous is not None and case.previous.patient != case.event.patient:
        return Due(
            (), "", nothing_because="The record names another patient than before, so it must first be retracted."
        )
    if case.event.status == "entered-in-error":
        if holds_old:
            return Due(("L9",), "retraction")
        return Due((), "", nothing_because="The record was entered in error, and this recipient holds nothing of it.")
    plain = _plain(case, to, fired, differ=differ)
    if not holds_old:
        # Somebody who has left since and holds nothing wrong is told nothing new.
        if not to.on_team and not to.asked:
            return Due((), "", nothing_because="The recipient does not take part in this patient's care.")
        return plain
    if case.previous is not None and not _content_changed(case):
        return Due((), "", nothing_because="The amendment changes nothing that this recipient was told.")
    inner = plain.letters or _summary(to)
    return Due(("L9", *inner), "correction")


def _plain(case: Case, to: Recipient, fired: Sequence[RuleOutcome], *, differ: bool) -> Due:
    if isinstance(case.event, DoseChange):
        return _of_change(case.event, to, differ=differ)
    due = _of_session(case, case.event, to, fired)
    if differ and to.prescribes_stimulant and due.letters and due.when == "now":
        return replace(due, letters=(*due.letters, *QUERY))
    return due


def _summary(to: Recipient) -> tuple[LetterKind, ...]:
    return ("L1",) if to.audience == "psychiatrist" else ("L2",)


def _content_changed(case: Case) -> bool:
    if case.previous is None:
        return True
    was, now = (one.model_dump(exclude=set(_NOT_CONTENT)) for one in (case.previous, case.event))
    return was != now


def _of_change(event: DoseChange, to: Recipient, *, differ: bool) -> Due:
    if event.subject == "stimulant" and event.kind == "requested-of-prescriber":
        if differ and to.asked:
            return Due(QUERY, f"rule {DISCREPANCY}")
        if differ:
            return Due((), "", nothing_because="The prescriber is first asked which stimulant regimen holds.")
        if to.asked:
            return Due(("L4", "L11"), "request to the prescriber")
        return Due(("L4",), "copy of a request to the prescriber")
    return Due(("L3",), "dose changed")


def _of_session(case: Case, event: SessionOutcome, to: Recipient, fired: Sequence[RuleOutcome]) -> Due:
    if event.status in ("scheduled", "arrived"):
        return _of_planned(case, event)
    missed: tuple[LetterKind, ...] = ("L8",) if event.status != "completed" else _summary(to)
    if event.status != "no-show" and any(one.priority in ("urgent", "stat") for one in fired):
        return Due(("L5",), f"rule {fired[0].id}")
    if fired:
        return Due(missed, f"rule {fired[0].id}")
    if event.status in MISSED:
        return Due(missed, "session not completed")
    if event.status == "cancelled":
        return _of_cancelled(case)
    reason = _told_at_once(case, event)
    if reason in COURSE_ENDS and event.administration is not None:
        return Due(("L7",), reason)
    if reason is not None:
        return Due(_summary(to), reason)
    if case.clinic.digest == "every-session":
        return Due(_summary(to), "every session")
    if to.member is not None and not to.member.digests:
        return Due(
            (), "", nothing_because="This recipient asked not to get digests, and nothing else calls for a letter."
        )
    due = digest_due(r.clinic_day(event, case.clinic.time_zone), case.clinic.time_zone)
    if case.clinic.digest == "per-phase":
        due += LATEST_PHASE_DIGEST
    return Due(_summary(to), "digest", "digest", due)


def _of_planned(case: Case, event: SessionOutcome) -> Due:
    """Return the letter about the course's start for its first planned session, and none for any other."""
    if event.status == "scheduled" and opens_course(case, event):
        return Due(("L6",), COURSE_START)
    return Due((), "", nothing_because="The session has not taken place yet.")


def _of_cancelled(case: Case) -> Due:
    if case.course_over:
        return Due(("L8",), COURSE_OVER)
    if _was_announced(case):
        return Due(("L8",), "first session called off")
    return Due((), "", nothing_because="A session that was called off beforehand makes no letter.")


def opens_course(case: Case, event: SessionOutcome) -> bool:
    """Return whether a planned session is the first of its course that we hear of."""
    if event.course.session_number not in (None, 1):
        return False
    return not any(isinstance(one, SessionOutcome) and one.course.id == event.course.id for one in case.history)


def _was_announced(case: Case) -> bool:
    """Return whether the session that was called off is the one the letter about the course's start promised."""
    before = case.previous
    return isinstance(before, SessionOutcome) and before.status == "scheduled" and opens_course(case, before)


def _told_at_once(case: Case, event: SessionOutcome) -> str | None:
    """Return why an uneventful session is told of now, or None."""
    before = [one for one in r.sessions_before(event, case.history) if one.status == "completed"]
    number = event.course.session_number
    if number == 1 or (number is None and not before):
        return "first session"
    if case.course_over:
        return COURSE_OVER
    if facts_of(case)["clinic_dose_changed"].value is True:
        return "dose changed"
    if number is not None and number == event.course.planned_sessions:
        return LAST_SESSION
    same = [one for one in before if one.course.id == event.course.id]
    if same and same[-1].course.phase != event.course.phase and event.course.phase is not None:
        return "phase changed"
    return None
