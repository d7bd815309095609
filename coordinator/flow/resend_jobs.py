"""Sending many messages again: a frozen list first, then one by one at a limited rate, with a result for each.

Everything is rows, so a job survives a restart, and any worker's sweep takes it on. An item and its new delivery are
written in one transaction under a key of their own: no crash and no second worker makes two.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from coordinator.domain.delivery import State
from coordinator.domain.errors import NotFound, Refused, StateConflict, StoreAway, lacks_means
from coordinator.flow.hold_rows import ItemState, JobItem, JobMode, JobRow, Selection
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.presenting import message_row
from coordinator.flow.read_models import Actor, MessageRow
from coordinator.flow.recompose import recompose
from coordinator.flow.resend import need_reason, resend_in, why_not_resend
from coordinator.flow.second_person import ASKED_KEPT, check_approval, needs_second, who_acts
from coordinator.observe.log import Log, write

DEFAULT_PER_MINUTE = 30
FASTEST_PER_MINUTE = 600
SAMPLE = 10
DRAFT_KEPT = timedelta(hours=1)
"""A list that nobody started says nothing about the messages of an hour later."""
MOST_A_ROUND = 50
BROKEN = "It cannot be read or written as it stands. Tell whoever looks after the service; the list goes on."
Verb = Literal["start", "approve", "pause", "continue", "cancel"]


@dataclass(frozen=True)
class ItemView:
    """One message of a job, what came of it, and where its new delivery stands. PHI inside."""

    position: int
    message: MessageRow | None
    state: ItemState
    why: str | None
    new_delivery_id: str | None
    new_state: State | None
    done_at: datetime | None


@dataclass(frozen=True)
class JobView:
    """One job: what was chosen and by whom, how many, how far it is, and a sample or a page of its items."""

    id: str
    state: str
    mode: JobMode
    selection: dict[str, object]
    reason: str
    per_minute: int
    made_at: datetime
    made_by: str
    started_at: datetime | None
    started_by: str | None
    ended_at: datetime | None
    total: int
    waiting: int
    made: int
    refused: int
    arrived: int
    """Of those made: proven to have arrived, as far as the shown items go."""
    items: tuple[ItemView, ...]
    next_after: int | None
    """Position after which the next page begins; None at the end."""
    alone_up_to: int = 0
    """More messages than this are not sent again on one person's word."""
    next_step: str = ""
    """Who must act before it goes on, and how; empty when nobody has to."""
    cause_said: str = ""
    """The cause that the messages were chosen by, in a sentence; empty when they were not chosen by one."""


def plan_job(
    parts: Parts,
    selection: Selection,
    *,
    reason: str,
    actor: Actor,
    mode: JobMode = "stored",
    per_minute: int = DEFAULT_PER_MINUTE,
) -> JobView:
    """Freeze the list of what a selection means now, and return it with a sample. Nothing is sent by this."""
    need_reason(reason)
    if not 1 <= per_minute <= FASTEST_PER_MINUTE:
        raise Refused("job.rate", f"Between 1 and {FASTEST_PER_MINUTE} messages a minute.")
    named = (selection.endpoint_id, selection.provider_id, selection.channel, selection.cause, selection.since)
    if all(one is None for one in named):
        raise Refused("job.everything", "Say what is meant: a recipient, an address, a channel, a cause or a time.")
    now = parts.clock.now()
    chosen = {name: value for name, value in asdict(selection).items() if value not in (None, False)}
    if selection.since is not None:
        chosen["since"] = selection.since.isoformat()
    with parts.ledger.begin() as tx:
        found = tx.selected(selection)
        if not found:
            more = "" if selection.with_arrived else " What has arrived is taken only where that is asked for."
            raise Refused("job.nothing", f"No message fits; there is nothing to send again.{more}")
        row = JobRow(
            parts.dice.uuid(), "draft", mode, json.dumps(chosen, sort_keys=True), reason.strip(), per_minute, now,
            actor.name,
        )  # fmt: skip
        items = [JobItem(row.id, place, *pair) for place, pair in enumerate(found, start=1)]
        tx.add_job(row, items)
        tx.audit(actor, "resend job drawn up", at=now, subject=row.id, detail=f"{len(items)}: {reason}")
        return _view(parts, tx, row, limit=SAMPLE)


def job(parts: Parts, job_id: str, actor: Actor, *, after: int = 0, limit: int = 100) -> JobView:
    """Return a job with a page of its items; raise NotFound."""
    with parts.ledger.begin() as tx:
        row = tx.job(job_id)
        if row is None:
            raise NotFound("resend job")
        tx.audit(actor, "resend job opened", at=parts.clock.now(), subject=job_id)
        return _view(parts, tx, row, after=after, limit=min(limit, 500))


def jobs(parts: Parts) -> Sequence[JobView]:
    """Return the newest jobs without their items. No PHI."""
    with parts.ledger.begin(write=False) as tx:
        return [_view(parts, tx, row, limit=0) for row in tx.jobs()]


def move_job(parts: Parts, job_id: str, verb: Verb, *, actor: Actor) -> JobView:
    """Start, pause, continue or cancel a job; raise Refused when it is not in a state for that.

    Starting twice is starting once. What a cancelled job has put on its way stays on its way.
    """
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        row = tx.job(job_id, lock=True)
        if row is None:
            raise NotFound("resend job")
        new = _moved(parts, tx, row, verb, now, actor)
        if new != row:
            tx.put_job(new)
            word = "start asked for, a second person must approve" if new.state == "asked" else verb
            tx.audit(actor, f"resend job: {word}", at=now, subject=job_id)
            write(Log.RESEND_JOB, state=new.state, job="resend")
        return _view(parts, tx, new, limit=SAMPLE)


def _moved(parts: Parts, tx: Transaction, row: JobRow, verb: Verb, now: datetime, actor: Actor) -> JobRow:
    if verb in {"start", "approve"}:
        return _started(parts, tx, row, verb, now, actor)
    if verb == "pause" and row.state in {"running", "paused"}:
        return replace(row, state="paused", next_at=None)
    if verb == "continue" and row.state in {"paused", "running"}:
        return row if row.state == "running" else replace(row, state="running", next_at=now)
    if verb == "cancel" and row.state in {"draft", "asked", "running", "paused", "cancelled"}:
        return row if row.state == "cancelled" else replace(row, state="cancelled", next_at=None, ended_at=now)
    raise Refused("job.state", f"That cannot be done to a job that is {row.state}.")


def _started(parts: Parts, tx: Transaction, row: JobRow, verb: Verb, now: datetime, actor: Actor) -> JobRow:
    """Return the job under way; or asked for, while it is too large for one person and no second one has agreed."""
    if row.state in {"running", "done"} or (row.state == "asked" and verb == "start"):
        return row
    if row.state not in {"draft", "asked"}:
        raise Refused("job.started", "It was started before; continue it instead.")
    too_large = needs_second(parts, tx, row, now)
    if verb == "approve":
        check_approval(row, actor)
    if now - row.made_at > (ASKED_KEPT if row.state == "asked" else DRAFT_KEPT):
        raise Refused("job.old", "The list is too old to be trusted. Draw it up again and look at it.")
    other = tx.overlapping_job(row.id)
    if other is not None:
        raise Refused("job.overlap", "Another job that is under way holds some of these messages.")
    if too_large and verb == "start":
        return replace(row, state="asked", started_at=now, started_by=actor.name)
    return replace(row, state="running", started_at=now, started_by=actor.name, next_at=now)


def work_jobs(parts: Parts) -> int:
    """Send on what is due of every running job; return how many items were done."""
    with parts.ledger.begin(write=False) as tx:
        running = [one.id for one in tx.jobs(("running",), limit=100)]
    done = 0
    for job_id in running:
        for _ in range(MOST_A_ROUND):
            if not _item_or_refusal(parts, job_id):
                break
            done += 1
    return done


def _item_or_refusal(parts: Parts, job_id: str) -> bool:
    """Do the next item of a job; one that cannot be done at all is refused, and stops neither its job nor another."""
    try:
        return _one_item(parts, job_id)
    except (StoreAway, StateConflict):
        raise
    except Exception as bug:
        if lacks_means(bug):
            raise
        write(Log.BUG, error_type=type(bug).__name__, job="resend")
        return _refuse_next(parts, job_id)


def _refuse_next(parts: Parts, job_id: str) -> bool:
    """Refuse the item that is next, as one that nobody can send before it is mended; return whether there was one."""
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        row = tx.job(job_id, lock=True)
        item = None if row is None else tx.next_item(job_id)
        if row is None or item is None:
            return False
        tx.put_job(replace(row, next_at=_next_at(row, now)))
        tx.put_item(replace(item, state="refused", why=BROKEN, done_at=now))
    return True


def _one_item(parts: Parts, job_id: str) -> bool:
    """Do the next item of a job if its time has come; return whether one was done."""
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        row = tx.job(job_id, lock=True)
        if row is None or row.state != "running" or row.next_at is None or row.next_at > now:
            return False
        item = tx.next_item(job_id)
        if item is None:
            tx.put_job(replace(row, state="done", ended_at=now, next_at=None))
            write(Log.RESEND_JOB, state="done", job="resend")
            return False
        tx.put_job(replace(row, next_at=_next_at(row, now)))
        if row.mode == "stored":
            tx.put_item(_resent(parts, tx, row, item, now))
            return True
    _recomposed(parts, row, item, now)
    return True


def _next_at(row: JobRow, now: datetime) -> datetime:
    """Return when the item after this one may go. A job that slept does not make up for it in one burst."""
    step = timedelta(minutes=1) / row.per_minute
    return max((row.next_at or now) + step, now - step * MOST_A_ROUND)


def _resent(parts: Parts, tx: Transaction, row: JobRow, item: JobItem, now: datetime) -> JobItem:
    actor = Actor("staff", row.started_by or row.made_by)
    held = tx.delivery(item.delivery_id)
    refusal = "It is not there any more." if held is None else _moved_on(tx, item) or why_not_resend(parts, tx, held)
    if refusal is not None:
        return replace(item, state="refused", why=refusal[:500], done_at=now)
    name = resend_in(
        parts, tx, item.delivery_id, reason=row.reason, token=f"job|{row.id}|{item.position}", actor=actor
    )  # fmt: skip
    return replace(item, state="made", new_delivery_id=name, done_at=now)


def _moved_on(tx: Transaction, item: JobItem) -> str | None:
    """Return why the item is over when somebody has sent the message again since the list was frozen."""
    rows = [one for one in tx.deliveries(item.message_id) if one.state != State.CANCELLED]
    if rows and rows[-1].id != item.delivery_id:
        return "Somebody has sent it again since the list was drawn up."
    return None


def _recomposed(parts: Parts, row: JobRow, item: JobItem, now: datetime) -> None:
    actor = Actor("staff", row.started_by or row.made_by)
    token = f"job|{row.id}|{item.position}"
    try:
        name = recompose(parts, item.message_id, seen=None, reason=row.reason, token=token, actor=actor)
    except (Refused, NotFound) as refused:
        with parts.ledger.begin(write=False) as tx:
            made = tx.acted_before(token)
        why = refused.reason if isinstance(refused, Refused) else "It is not there any more."
        if made is None:
            done = replace(item, state="refused", why=why[:500], done_at=now)
        else:  # another worker's sweep was at the same item, and quicker
            done = _composed_anew(parts, item, made, now)
    else:
        done = _composed_anew(parts, item, name, now)
    with parts.ledger.begin() as tx:
        tx.put_item(done)


def _composed_anew(parts: Parts, item: JobItem, message_id: str, now: datetime) -> JobItem:
    with parts.ledger.begin(write=False) as tx:
        first = tx.deliveries(message_id)
    return replace(item, state="made", new_delivery_id=first[0].id if first else None, done_at=now)


def _view(parts: Parts, tx: Transaction, row: JobRow, *, limit: int, after: int = 0) -> JobView:
    selection = json.loads(row.selection)
    counts = tx.job_counts(row.id)
    items = tx.job_items(row.id, after=after, limit=limit) if limit else ()
    shown = tuple(_item_view(parts, tx, one) for one in items)
    total = sum(counts.values())
    last = items[-1].position if items else total
    return JobView(
        id=row.id,
        state=row.state,
        mode=row.mode,
        selection=selection,
        reason=row.reason,
        per_minute=row.per_minute,
        made_at=row.made_at,
        made_by=row.made_by,
        started_at=row.started_at,
        started_by=row.started_by,
        ended_at=row.ended_at,
        total=total,
        waiting=counts.get("waiting", 0),
        made=counts.get("made", 0),
        refused=counts.get("refused", 0),
        arrived=sum(1 for one in shown if one.new_state == State.ACKNOWLEDGED),
        items=shown,
        next_after=last if last < total else None,
        alone_up_to=parts.policy.resend_alone,
        next_step=who_acts(parts, tx, row, parts.clock.now()),
        cause_said=parts.causes.get(selection["cause"]).sentence if selection.get("cause") else "",
    )


def _item_view(parts: Parts, tx: Transaction, item: JobItem) -> ItemView:
    new = None if item.new_delivery_id is None else tx.delivery(item.new_delivery_id)
    message = tx.message(item.message_id)
    return ItemView(
        position=item.position,
        message=None if message is None else message_row(parts, tx, message),
        state=item.state,
        why=item.why,
        new_delivery_id=item.new_delivery_id,
        new_state=None if new is None else new.state,
        done_at=item.done_at,
    )
