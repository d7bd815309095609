"""Very many messages are not sent again on one person's word: another person looks at the list and agrees."""

from datetime import datetime, timedelta

from coordinator.domain.errors import Refused
from coordinator.flow.hold_rows import JobRow
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor

ASKED_KEPT = timedelta(hours=8)
"""A working day for a colleague to look. Each message is asked about again at the moment it goes."""
WITHIN = timedelta(hours=1)
"""Lists that the same person starts within this time count together: many small ones are one large one."""
TERMINAL = "terminal:"


def needs_second(parts: Parts, tx: Transaction, row: JobRow, now: datetime) -> bool:
    """Return whether this list, with what its maker has started alone within the hour, is too large for one person."""
    count = sum(tx.job_counts(row.id).values())
    for other in tx.jobs(("running", "paused", "done", "cancelled"), limit=100):
        alone = other.started_by is not None and same_person(other.started_by, other.made_by)
        recent = other.started_at is not None and now - other.started_at < WITHIN
        if other.id != row.id and alone and recent and same_person(other.made_by, row.made_by):
            items = tx.job_counts(other.id)
            # Of a list that was stopped, what had gone by then.
            count += items.get("made", 0) if other.state == "cancelled" else sum(items.values())
    return count > parts.policy.resend_alone


def check_approval(row: JobRow, actor: Actor) -> None:
    """Raise Refused unless this is a person, and another one than drew up the list and than asked for its start."""
    if actor.kind != "staff":
        raise Refused("job.person", "A person must agree to it, in the console or at a terminal; a program cannot.")
    if not may_approve(row.made_by, row.started_by, actor):
        raise Refused("job.second-person", "You drew up this list or asked for its start. Another person must agree.")


def may_approve(made_by: str, asked_by: str | None, actor: Actor) -> bool:
    """Return whether this is a person, and neither who drew up the list nor who asked for its start."""
    return actor.kind == "staff" and not any(
        same_person(one, actor.name) for one in (made_by, asked_by) if one is not None
    )


def who_acts(parts: Parts, tx: Transaction, row: JobRow, now: datetime) -> str:
    """Return who must act before the job goes on, and how, as a sentence; empty when nobody has to."""
    if row.state == "asked":
        if now - row.made_at > ASKED_KEPT:
            return "Nobody agreed within eight hours. Throw the list away, draw it up again, and ask a colleague."
        asked = row.started_by or row.made_by
        return f"Somebody else than {asked} who may send must look at the list and approve it, or throw it away."
    if row.state == "draft" and needs_second(parts, tx, row, now):
        most = parts.policy.resend_alone
        return f"More than {most} messages need a second person: ask for the start, then a colleague approves it."
    return ""


def same_person(one: str, other: str) -> bool:
    """Return whether two names of the audit trail may be one person: the console's and the terminal's count as one."""
    return one.removeprefix(TERMINAL).casefold() == other.removeprefix(TERMINAL).casefold()
