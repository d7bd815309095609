"""The sweeper: from the database alone, every due, stale or overdue row is found again. A lost hint loses nothing."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from coordinator.domain.delivery import State
from coordinator.domain.errors import SPOILT
from coordinator.domain.ids import stable_uuid
from coordinator.flow.calls import escalate
from coordinator.flow.clock_back import catch_up
from coordinator.flow.digest import prepare_digests
from coordinator.flow.fallback import after_clock, after_silence
from coordinator.flow.holds import review_restored
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.questions import Questions
from coordinator.flow.read_models import Actor
from coordinator.flow.releasing import ask_release
from coordinator.flow.resend_jobs import work_jobs
from coordinator.flow.rows import DeliveryRow, MessageRecord, MessageState
from coordinator.flow.track import ask_far_side, mark_in_doubt, taken_over
from coordinator.observe.log import Log, write

SWEEP = Actor("job", "sweep")
BATCH = 200
LONG_AGO = timedelta(days=36_500)
NEXT_LOOK = timedelta(hours=1)
"""When something is looked at again that cannot be read."""
NEXT_ROUNDS = timedelta(minutes=1)


def sweep(parts: Parts) -> int:
    """Do one round: dead workers' leases, doubts, late receipts, digests, clocks. Return how many rows moved."""
    moved = sum(_guarded(parts, part) for part in PARTS)
    if moved:
        write(Log.SWEEP_DONE, count=moved)
    return moved


def _guarded(parts: Parts, part: Callable[[Parts], int]) -> int:
    """Do one part of the round; a row that cannot be read costs that part, not the ones after it."""
    try:
        return part(parts)
    except SPOILT as bug:
        write(Log.BUG, error_type=type(bug).__name__, job=part.__name__)
        return 0


def put_off(parts: Parts) -> int:
    """Shorten the waits that were written while the clock was ahead."""
    return catch_up(parts.ledger, parts.last_look, parts.clock.now(), parts.policy.lease)


def take_back_leases(parts: Parts, *, everybody: bool = False) -> int:
    """Free what dead workers held: claimed goes back to pending, on-wire into doubt.

    `everybody` is for the start of the embedded runner, which holds a lock that
    proves no other worker is alive.
    """
    now = parts.clock.now()
    horizon = now + LONG_AGO if everybody else now
    with parts.ledger.begin() as tx:
        if everybody:
            tx.free_inbox()
        ids = tx.stale_ids(horizon, BATCH)
    return _together_or_alone(
        ids, "take_back_leases", lambda some: _take_back(parts, some, horizon),
        unreadable=lambda one: _into_doubt_unread(parts, one, horizon),
    )  # fmt: skip


def _take_back(parts: Parts, ids: Sequence[str], horizon: datetime) -> int:
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        rows = tx.stale(horizon, ids)
        for row in rows:
            if row.state == State.CLAIMED:
                tx.close_attempt(row.id, row.fence, at=now, outcome="not-sent", cause="doubt.worker-died", status=None,
                                 detail=b"", facts="", content_sha256=None)  # fmt: skip
                tx.move_delivery(row.id, State.PENDING, at=now, due_at=now)
            else:
                mark_in_doubt(parts, tx, row)
            write(Log.LEASE_EXPIRED, delivery_id=row.id, channel=row.channel)
    return len(rows)


def _into_doubt_unread(parts: Parts, delivery_id: str, horizon: datetime) -> None:
    """Put a delivery in doubt of whose message something cannot be read; what is said of the message stays unsaid."""
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        for row in tx.stale(horizon, [delivery_id]):
            tx.move_delivery(row.id, State.IN_DOUBT, at=now, cause="doubt.worker-died", due_at=now + NEXT_LOOK)


def _together_or_alone(
    ids: Sequence[str], job: str, act: Callable[[Sequence[str]], int], unreadable: Callable[[str], None]
) -> int:
    """Do it for all in one transaction. Where one of them cannot be read, do it for each alone, and return how many."""
    if not ids:
        return 0
    try:
        return act(ids)
    except SPOILT:
        done = 0
    for one in ids:
        try:
            done += act([one])
        except SPOILT as bug:
            write(Log.BUG, error_type=type(bug).__name__, job=job)
            with suppress(*SPOILT):
                unreadable(one)
    return done


def settle_doubts(parts: Parts) -> int:
    """Ask the far side about deliveries in doubt whose settle pause is over."""
    now = parts.clock.now()
    with parts.ledger.begin(write=False) as tx:
        rows = tx.doubts_due(now, BATCH)
    questions, asked = Questions(parts), 0
    for row in rows:
        if questions.are_over():
            break
        if questions.leaves_alone(row):
            _ask_later(parts, row, parts.clock.now() + parts.policy.breaker_probe * parts.policy.retry_scale)
        elif _ask_later(parts, row, now + parts.policy.send_limit * parts.policy.retry_scale):
            wish = None  # and no other worker asks meanwhile
            with questions.about(row):
                try:
                    wish = ask_far_side(parts, row.id)
                except SPOILT as bug:
                    write(Log.BUG, delivery_id=row.id, error_type=type(bug).__name__, job="settle_doubts")
            _ask_again_later(parts, row.id, wish)
            asked += 1
    return asked


def _ask_later(parts: Parts, known: DeliveryRow, due_at: datetime) -> bool:
    """Put the question about a doubt off; return False where another worker has taken it up, or settled it."""
    with parts.ledger.begin() as tx:
        row = tx.delivery(known.id, lock=True)
        if row is None or (row.state, row.due_at) != (known.state, known.due_at):
            return False
        tx.postpone(row.id, due_at)
        return True


def _ask_again_later(parts: Parts, delivery_id: str, wish: timedelta | None) -> None:
    """Space out the questions about one doubt: twice as long each time, to one hour, but no longer than that wish."""
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        row = tx.delivery(delivery_id, lock=True)
        if row is None or row.state != State.IN_DOUBT:
            return
        age = now - row.updated_at
        wait = min(max(age * 2, parts.policy.doubt_pause * parts.policy.retry_scale), timedelta(hours=1))
        tx.postpone(delivery_id, now + (wait if wish is None else min(wait, wish)))


def late_receipts(parts: Parts) -> int:
    """Ask about sent deliveries whose proof is late; what stays unproven is held for a person."""
    now = parts.clock.now()
    with parts.ledger.begin(write=False) as tx:
        rows = tx.receipts_overdue(now, BATCH)
    questions, asked = Questions(parts), 0
    for row in rows:
        if questions.are_over():
            break
        if questions.leaves_alone(row):
            _expect_later(parts, row)
            continue
        asked += 1
        try:
            with questions.about(row):
                ask_far_side(parts, row.id)
            _hold_unproven(parts, row, now, go_on=True)
        except SPOILT as bug:
            write(Log.BUG, delivery_id=row.id, error_type=type(bug).__name__, job="late_receipts")
            _hold_unproven(parts, row, now, go_on=False)
    return asked


def _expect_later(parts: Parts, known: DeliveryRow) -> None:
    """Ask about a late proof in one of the next rounds: its far side has just kept another question waiting."""
    with parts.ledger.begin() as tx:
        row = tx.delivery(known.id, lock=True)
        if row is not None and (row.state, row.receipt_due_at) == (known.state, known.receipt_due_at):
            tx.expect_receipt(row.id, parts.clock.now() + NEXT_ROUNDS * parts.policy.retry_scale)


def _hold_unproven(parts: Parts, row: DeliveryRow, now: datetime, *, go_on: bool) -> None:
    """Give a delivery to a person whose proof is still late; `go_on` takes the next channel where the clinic has it so.

    What belongs to one row may be unreadable: then it is given to a person all the same, and goes no further.
    """
    with parts.ledger.begin() as tx:
        current = tx.delivery(row.id, lock=True)
        if current is None or current.state != State.SENT or current.receipt_due_at != row.receipt_due_at:
            return
        if go_on and _ran_out_withdrawn(parts, tx, current, now):
            return
        cause = _silence(tx, current)
        tx.move_delivery(row.id, State.HELD, at=now, cause=cause)
        tx.audit(SWEEP, "receipt overdue", at=now, subject=row.message_id, code=cause)
        if go_on:
            after_silence(parts, tx, current, now)
    write(Log.DELIVERY_HELD, delivery_id=row.id, code=cause)


def _ran_out_withdrawn(parts: Parts, tx: Transaction, row: DeliveryRow, now: datetime) -> bool:
    """Close a link that ran out unread after its letter was withdrawn or replaced; return whether it was one.

    Nobody is to read that letter any more, so no person has to act.
    """
    message = tx.message(row.message_id)
    if row.channel != "secure-link" or message is None:
        return False
    answer = ask_release(parts, tx, row, message, now)
    if answer.permits or not answer.withdraw:
        return False
    tx.move_delivery(row.id, State.HELD, at=now, cause=answer.code)
    tx.move_delivery(row.id, State.CANCELLED, at=now, cause=answer.code)
    others = [one for one in tx.deliveries(message.id) if one.id != row.id]
    if message.state == "open" and all(one.state in {State.CANCELLED, State.DEAD} for one in others):
        state: MessageState = "cancelled" if message.superseded_by is None else "superseded"
        tx.move_message(message.id, state, at=now, cause=answer.code, superseded_by=message.superseded_by)
    tx.audit(SWEEP, "link ran out", at=now, patient_key=message.patient_key, subject=message.id, code=answer.code)
    return True


def _silence(tx: Transaction, row: DeliveryRow) -> str:
    """Return the cause of a proof that did not come: how far the letter is known to have got."""
    if row.channel == "secure-link":
        return "link.expired"
    if row.channel == "direct":
        return "direct.no-dispatched" if taken_over(tx, row) else "direct.no-processed"
    return "receipt.overdue"


def clocks(parts: Parts) -> int:
    """Let overdue messages appear under needs-attention, and raise the telephone tasks of unanswered ones."""
    now = parts.clock.now()
    with parts.ledger.begin(write=False) as tx:
        ids = tx.clock_ids(now, BATCH)

    def later(message_id: str) -> None:
        with parts.ledger.begin() as tx:
            tx.wind_clock(message_id, now + NEXT_LOOK)

    return _together_or_alone(ids, "clocks", lambda some: _run_out(parts, some, now), unreadable=later)


def _run_out(parts: Parts, ids: Sequence[str], now: datetime) -> int:
    raised = 0
    with parts.ledger.begin() as tx:
        for message, arrived, called in tx.clocks_due(now, ids):
            if message.state == "open":
                raised += _overdue(parts, tx, message, now) if not arrived else 0
                raised += _unanswered(tx, message, now) if not called else 0
            left = [one for one in (message.tell_by_at, message.acknowledge_by_at) if one is not None and one >= now]
            tx.wind_clock(message.id, min(left, default=None))
    return raised


def escalations(parts: Parts) -> int:
    """Raise the next call where one before it fell due and was not recorded."""
    now = parts.clock.now()
    with parts.ledger.begin(write=False) as tx:
        owed = any(due_at <= now for *_, due_at in tx.open_tasks())
    if not owed:
        return 0
    with parts.ledger.begin() as tx:
        return escalate(parts, tx, now)


def _overdue(parts: Parts, tx: Transaction, message: MessageRecord, now: datetime) -> bool:
    if message.told_at is not None or message.tell_by_at is None or message.tell_by_at >= now:
        return False
    tx.mark_told(message.id, now)
    after_clock(parts, tx, message, now)
    tx.audit(SWEEP, "delivery overdue", at=now, patient_key=message.patient_key, subject=message.id,
             code="clock.overdue")  # fmt: skip
    return True


def _unanswered(tx: Transaction, message: MessageRecord, now: datetime) -> bool:
    if message.acknowledge_by_at is None or message.acknowledge_by_at >= now:
        return False
    name = stable_uuid("task", message.id, "answer")
    if not tx.add_task(name, message.id, "call", "answer.overdue", message.acknowledge_by_at, now):
        return False
    tx.audit(SWEEP, "answer overdue", at=now, patient_key=message.patient_key, subject=message.id)
    write(Log.TASK_RAISED, message_id=message.id, code="answer.overdue")
    return True


def due_now(parts: Parts, limit: int = BATCH) -> tuple[Sequence[str], Sequence[str]]:
    """Return (events to prepare, deliveries to send) that are due: what beat hands to the workers as hints."""
    now = parts.clock.now()
    with parts.ledger.begin(write=False) as tx:
        events = tx.inbox_due(now, limit)
        closed = tx.stopped(now)
        shut = sorted(closed.endpoints)
        # What may not go now must not fill the hints, or a thousand held messages would hide the ones behind them.
        due = [] if closed.everything else tx.due_ids(now, limit, shut=shut, shut_channels=sorted(closed.channels))
    return events, due


PARTS: tuple[Callable[[Parts], int], ...] = (
    put_off,
    take_back_leases,
    review_restored,
    prepare_digests,
    clocks,
    escalations,
    work_jobs,
    settle_doubts,
    late_receipts,
)
"""The parts of a round, in order: those that wait for nobody come before those that ask the far side."""
