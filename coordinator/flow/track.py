"""Word from the far side: receipts, look-ups, and what they settle."""

import hashlib
from datetime import datetime, timedelta

from coordinator.domain.delivery import MOVES, State
from coordinator.domain.errors import SPOILT, DeliveryError, InDoubt, NeedsHuman, Transient, Unreadable
from coordinator.flow.addresses import SUSPENDING, address_key
from coordinator.flow.arrival import ELSEWHERE, proves_here
from coordinator.flow.fallback import spare_copies
from coordinator.flow.ledger import Transaction
from coordinator.flow.outcome import Outcome, failed, settle
from coordinator.flow.parts import Parts
from coordinator.flow.ports import Lookup, ReceiptNews, ReceiptSource
from coordinator.flow.read_models import Actor
from coordinator.flow.repeats import ABSENT_AGAIN, WORKER_DIED, once_more_at
from coordinator.flow.rows import DeliveryRow
from coordinator.flow.send_package import load_package
from coordinator.flow.stations import note_station
from coordinator.observe.log import Log, write

TRACK = Actor("job", "receipts")


def take_in(parts: Parts, news: ReceiptNews) -> None:
    """Store one receipt, once, and move its delivery where the table allows.

    A receipt that matches no delivery, or comes after the end, is kept as evidence
    and settles nothing. The same news again settles what it could not the first time:
    a report may be here before the outcome of the send that it is about.
    """
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        row = _find(tx, news)
        if row is not None and row.spoilt:
            raise Unreadable("delivery")
        if row is not None and _speaks_of_another(tx, row, news):
            row = None
        once = news.key or hashlib.sha256(news.detail).hexdigest()
        new = tx.add_receipt(
            parts.dice.uuid(), once, row.id if row else None, news.channel, news.verdict, news.code, now, news.detail
        )
        if row is None:
            if new:
                write(Log.RECEIPT_UNMATCHED, channel=news.channel)
            return
        moved = apply_news(parts, tx, row, news, new=new)
        if not (new or moved):
            return
        message = tx.message(row.message_id)
        tx.audit(TRACK, f"receipt {news.verdict}", at=now, subject=row.message_id, code=news.code,
                 patient_key=None if message is None else message.patient_key)  # fmt: skip
    write(Log.RECEIPT_TAKEN_IN, delivery_id=row.id, channel=news.channel, outcome=news.verdict)


def _find(tx: Transaction, news: ReceiptNews) -> DeliveryRow | None:
    if news.tag is not None:
        found = tx.delivery(news.tag, lock=True)
        if found is not None and found.channel == news.channel:
            return found
    if news.far_side_ref is not None:
        found = tx.by_far_side(news.channel, news.far_side_ref)
        return None if found is None else tx.delivery(found.id, lock=True)
    return None


def _speaks_of_another(tx: Transaction, row: DeliveryRow, news: ReceiptNews) -> bool:
    """Return whether the notice names recipients, and none to whom it went: that proves nothing of this delivery.

    A failure is heard whoever it names: it makes a person look.
    """
    if not news.about or news.verdict == "failed":
        return False
    went_to = {one.address_key for one in tx.attempts(row.id) if one.on_wire_at is not None and one.address_key}
    return bool(went_to) and not any(address_key(tx, one) in went_to for one in news.about)


def apply_news(parts: Parts, tx: Transaction, row: DeliveryRow, news: ReceiptNews, *, new: bool) -> bool:
    """Move a delivery by a receipt, as far as its state allows; return whether it was moved.

    `new` is whether the receipt was not there before: a word said twice buys no more time.
    """
    now = parts.clock.now()
    if news.verdict != "failed" and not proves_here(tx, row, news.far_side_ref, news.about):
        return new and _arrived_elsewhere(tx, row, news.verdict, now)
    if row.state == State.PENDING and _has_left(row, news, new=new):
        # It waits to be sent again, and was taken after all, whatever was said before: another send would double it.
        tx.move_delivery(row.id, State.IN_DOUBT, at=now, due_at=now)
        tx.write_kept_back()  # two moves of the table, and not one that it does not have
        row = tx.delivery(row.id, lock=True) or row
    if news.verdict == "acknowledged":
        if State.ACKNOWLEDGED not in MOVES[row.state]:
            return False
        tx.move_delivery(row.id, State.ACKNOWLEDGED, at=now, far_side_ref=news.far_side_ref)
        spare_copies(tx, row, now)
        note_station(tx, row, news.station, now, TRACK)
        return True
    if not _about_this_try(row, news):
        return False
    if news.verdict == "processed":
        due_at = now + timedelta(hours=1) * parts.policy.retry_scale
        if row.state in {State.ON_WIRE, State.IN_DOUBT}:
            tx.move_delivery(row.id, State.SENT, at=now, far_side_ref=news.far_side_ref, receipt_due_at=due_at)
            return True
        if new and row.state == State.SENT and taken_over(tx, row) == 1:
            # The clock of the proof begins with the first word that it was taken over; a second buys no more time.
            tx.expect_receipt(row.id, due_at)
        return False
    if row.state not in {State.SENT, State.IN_DOUBT, State.ON_WIRE}:
        return False
    code = news.code or f"{news.channel}.failed"
    # A number that rang at somebody else's is not dialled again, whatever the gateway's own habit.
    error: DeliveryError = Transient(code) if news.retry and code not in SUSPENDING else NeedsHuman(code)
    settle(parts, tx, row, failed(error), now)
    return True


def _arrived_elsewhere(tx: Transaction, row: DeliveryRow, verdict: str, now: datetime) -> bool:
    """Give a person a delivery that waits, whose letter turns out to have reached the address that was put right since.

    It proves nothing of the present address, and somebody else may have the letter.
    """
    if verdict != "acknowledged" or row.state not in {State.PENDING, State.HELD}:
        return False
    if row.state == State.PENDING:
        tx.move_delivery(row.id, State.HELD, at=now, cause=ELSEWHERE)
    else:
        tx.note_cause(row.id, ELSEWHERE)
    write(Log.DELIVERY_HELD, delivery_id=row.id, code=ELSEWHERE)
    return True


def taken_over(tx: Transaction, row: DeliveryRow) -> int:
    """Return how often word came, since the delivery was last sent, that the far side has taken it over."""
    sent_at = max((one.on_wire_at for one in tx.attempts(row.id) if one.on_wire_at is not None), default=row.created_at)
    return sum(one.verdict == "processed" and one.received_at >= sent_at for one in tx.receipts(row.id))


def _has_left(row: DeliveryRow, news: ReceiptNews, *, new: bool) -> bool:
    """Return whether news says of a delivery that waits that the far side has it.

    Old word that it was taken over, heard once more, says nothing: it may have failed since, and been released.
    """
    return news.verdict == "acknowledged" or (new and news.verdict == "processed" and _about_this_try(row, news))


def _about_this_try(row: DeliveryRow, news: ReceiptNews) -> bool:
    """Return whether news is about the delivery's present try: late word of an earlier one settles nothing."""
    if news.far_side_ref is None:
        return True
    if row.far_side_ref is None:
        return row.tries <= 1
    return news.far_side_ref == row.far_side_ref


def fetch_receipts(parts: Parts, sources: tuple[ReceiptSource, ...]) -> int:
    """Take in everything the sources have; return how many. A source that is away is tried at the next round.

    A receipt that cannot be taken in stays where it is, and stops none of the others.
    """
    count = 0
    for source in sources:
        try:
            for news, done in source.fetch():
                try:
                    take_in(parts, news)
                except SPOILT as bug:
                    write(Log.BUG, channel=news.channel, error_type=type(bug).__name__, job="receipts")
                    continue
                done()
                count += 1
        except DeliveryError as away:
            write(Log.RECEIPT_SOURCE_DOWN, code=away.code)
    return count


def ask_far_side(parts: Parts, delivery_id: str) -> timedelta | None:
    """Ask about a delivery in doubt, or one whose receipt is late, and settle it by the answer. Never sends.

    Return how long to wait until the same question can be answered better, None where nobody can say.
    """
    with parts.ledger.begin(write=False) as tx:
        row = tx.delivery(delivery_id)
        message = None if row is None else tx.message(row.message_id)
        if row is None or message is None or row.state not in {State.IN_DOUBT, State.SENT}:
            return None
        if row.spoilt:  # under which name to ask is not known, so no answer would be about it
            raise Unreadable("delivery")
        try:
            loaded = load_package(tx, row, message, parts.identifier_system)
        except NeedsHuman:
            return None
    channel = parts.channels.get(row.channel)
    if channel is None:
        return None
    deadline, wish = parts.clock.now() + parts.policy.send_limit, None
    try:
        answer = channel.look_up(loaded.package, loaded.endpoint, row.far_side_ref, deadline=deadline)
    except DeliveryError as away:
        answer = Lookup("unknown", code=away.code)
        wish = away.retry_after if isinstance(away, Transient) else None
    except Exception as bug:
        write(Log.BUG, delivery_id=row.id, channel=row.channel, error_type=type(bug).__name__, job="look-up")
        answer = Lookup("unknown", code="bug")
    _settle_by_answer(parts, row, answer)
    return wish


def _settle_by_answer(parts: Parts, asked: DeliveryRow, answer: Lookup) -> None:
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        row = tx.delivery(asked.id, lock=True)
        if row is None or row.state != asked.state or row.fence != asked.fence:
            return
        if answer.verdict in {"arrived", "arrived-proven"} and not proves_here(tx, row, answer.far_side_ref):
            return
        if answer.verdict == "arrived-proven":
            settle(parts, tx, row, Outcome("proven", far_side_ref=answer.far_side_ref), now)
            spare_copies(tx, row, now)
            note_station(tx, row, answer.station, now, TRACK)
        elif answer.verdict == "arrived":
            if row.state == State.IN_DOUBT:
                due_at = now + timedelta(hours=1) * parts.policy.retry_scale
                settle(parts, tx, row, Outcome("taken", far_side_ref=answer.far_side_ref, receipt_due_at=due_at), now)
            return
        elif answer.verdict == "failed":
            _failed_there(parts, tx, row, answer)
        elif answer.verdict == "absent" and row.state == State.IN_DOUBT:
            if not _send_once_more(parts, tx, row, now):
                return
        else:
            return
    write(Log.DELIVERY_SETTLED, delivery_id=asked.id, outcome=answer.verdict, channel=asked.channel)


def _send_once_more(parts: Parts, tx: Transaction, row: DeliveryRow, now: datetime) -> bool:
    """Put a delivery back that the far side has not got; return whether it goes without a person.

    If not, it stays in doubt, and the far side is asked on: it may show the letter yet.
    """
    due_at = once_more_at(parts, tx, row, now)
    if due_at is None:
        if row.cause != ABSENT_AGAIN:
            tx.note_cause(row.id, ABSENT_AGAIN)
            tx.audit(TRACK, "far side does not show it", at=now, subject=row.message_id, code=ABSENT_AGAIN)
        return False
    tx.move_delivery(row.id, State.PENDING, at=now, due_at=due_at, cause="doubt.absent")
    tx.audit(TRACK, "far side has not got it", at=now, subject=row.message_id)
    return True


def _failed_there(parts: Parts, tx: Transaction, row: DeliveryRow, answer: Lookup) -> None:
    code = answer.code or f"{row.channel}.failed"
    error: DeliveryError = Transient(code) if answer.retry and code not in SUSPENDING else NeedsHuman(code)
    now = parts.clock.now()
    settle(parts, tx, row, failed(error), now)
    if answer.detail:
        words = answer.detail.decode("utf-8", "replace")[:500]
        tx.audit(TRACK, "far side said", at=now, subject=row.message_id, code=code, detail=words)


def mark_in_doubt(parts: Parts, tx: Transaction, row: DeliveryRow) -> None:
    """Put a delivery whose worker died on the wire in doubt; its attempt is closed as such."""
    now = parts.clock.now()
    tx.close_attempt(row.id, row.fence, at=now, outcome="in-doubt", cause=WORKER_DIED, status=None, detail=b"",
                     facts="", content_sha256=row.content_sha256)  # fmt: skip
    settle(parts, tx, row, failed(InDoubt(WORKER_DIED)), now)
