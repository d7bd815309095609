"""T3 and T4: claim, ask for release, mark, send, and write down what came of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from coordinator.domain.delivery import State
from coordinator.domain.errors import SPOILT, DeliveryError, InDoubt, NeedsHuman, StateConflict, StoreAway, Transient
from coordinator.flow.addresses import address_key
from coordinator.flow.lanes import tell_anew
from coordinator.flow.ledger import Transaction
from coordinator.flow.outcome import Outcome, failed, taken, write_outcome
from coordinator.flow.outdated import AMENDED, WRITTEN_ANEW, is_outdated_repeat
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor
from coordinator.flow.releasing import ReleaseAnswer, ask_release, known_address
from coordinator.flow.rows import DeliveryRow, MessageRecord, may_have_arrived
from coordinator.flow.send_package import Loaded, load_package, with_new_cover
from coordinator.observe.log import Log, write

DELIVER = Actor("job", "deliver")
AWAY_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0)
"""Between two tries to write an outcome down: for less than a minute, so that the lease has not ended by then."""
LANE_PAUSE = timedelta(seconds=5)
"""How long a message waits before it is looked at again while another of its lane is on the wire."""


@dataclass(frozen=True)
class Claimed:
    """A delivery we hold, released for sending, with everything the channel needs."""

    delivery: DeliveryRow
    message: MessageRecord
    loaded: Loaded
    attempt: int
    claimed_at: datetime
    at_once: int
    """How many sends its endpoint may have at the same time."""


def claim(parts: Parts, worker: str, limit: int) -> Sequence[Claimed]:
    """Lease due deliveries and return those that may go; what may not is held or withdrawn in the same transaction."""
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        closed = tx.stopped(now)
        if closed.everything:
            return []
        rows = tx.claim_due(
            worker,
            now,
            now + parts.policy.lease,
            limit,
            shut=sorted(closed.endpoints),
            per_endpoint=parts.policy.per_endpoint,
            shut_channels=sorted(closed.channels),
        )
        tx.read_ahead([row.id for row in rows])
        kept = _one_probe_each(parts, tx, rows, now)
        ready = [_release(parts, tx, row, worker, now) for row in kept]
    return [one for one in ready if one is not None]


def _one_probe_each(parts: Parts, tx: Transaction, rows: Sequence[DeliveryRow], now: datetime) -> Sequence[DeliveryRow]:
    """Let one delivery through to an endpoint whose breaker is open, and put the others back."""
    kept: list[DeliveryRow] = []
    probing: set[str] = set()
    for row in rows:
        health = tx.health(row.endpoint_id)
        if health.open_since is not None and row.endpoint_id not in probing:
            health = tx.health(row.endpoint_id, lock=True)
        if health.open_since is None:
            kept.append(row)
            continue
        under_way = health.probe_at is not None and health.probe_at > now  # another worker was quicker
        if under_way or row.endpoint_id in probing:
            tx.move_delivery(
                row.id, State.PENDING, at=now, due_at=now + parts.policy.breaker_probe, cause="net.breaker"
            )
            continue
        probing.add(row.endpoint_id)
        tx.put_health(replace(health, probe_at=now + parts.policy.breaker_probe), now)
        kept.append(row)
    return kept


def _release(parts: Parts, tx: Transaction, row: DeliveryRow, worker: str, now: datetime) -> Claimed | None:
    """Return the delivery ready to send, or None; one that cannot be read is held, and stops nobody else's."""
    try:
        return _ready(parts, tx, row, worker, now)
    except SPOILT as bug:
        tx.move_delivery(row.id, State.HELD, at=now, cause="bug")
        write(Log.BUG, delivery_id=row.id, channel=row.channel, error_type=type(bug).__name__, job="claim")
        return None


def _ready(parts: Parts, tx: Transaction, row: DeliveryRow, worker: str, now: datetime) -> Claimed | None:
    message = tx.message(row.message_id)
    if message is None or row.spoilt:
        raise LookupError("a delivery without its message, or that cannot be read")
    answer = _may_go(parts, tx, row, message, now)
    if not answer.permits:
        new = State.CANCELLED if answer.withdraw else State.HELD
        tx.move_delivery(row.id, new, at=now, cause=answer.code)
        if answer.withdraw:
            _withdraw_message(parts, tx, row, message, answer.code, now)
        tx.audit(DELIVER, "send not released", at=now, patient_key=message.patient_key, subject=message.id,
                 code=answer.code)  # fmt: skip
        write(Log.DELIVERY_HELD, delivery_id=row.id, code=answer.code)
        return None
    if tx.lane_on_wire(message):
        # The older one could arrive after this one. Its send ends within the send limit.
        tx.move_delivery(row.id, State.PENDING, at=now, due_at=now + LANE_PAUSE * parts.policy.retry_scale)
        return None
    try:
        loaded = load_package(tx, row, message, parts.identifier_system)
    except NeedsHuman as wrong:
        tx.move_delivery(row.id, State.HELD, at=now, cause=wrong.code)
        write(Log.DELIVERY_HELD, delivery_id=row.id, code=wrong.code)
        return None
    # Who took it is told later, when the address in the registry may be another.
    went_to = address_key(tx, loaded.endpoint.address)
    number = tx.open_attempt(
        row, parts.dice.uuid(), worker, now, answer.directive, answer.version, address_key=went_to
    )  # fmt: skip
    return Claimed(row, message, loaded, number, now, tx.at_once(row.endpoint_id, parts.policy.per_endpoint))


def _may_go(parts: Parts, tx: Transaction, row: DeliveryRow, message: MessageRecord, now: datetime) -> ReleaseAnswer:
    """Return whether this delivery may go at this moment; a repeat only while what it says still stands."""
    answer = ask_release(parts, tx, row, message, now)
    if answer.permits and is_outdated_repeat(tx, row, message):
        code = AMENDED if message.digest_due_at is None else WRITTEN_ANEW
        return ReleaseAnswer(False, code, withdraw=True)
    return answer


def _withdraw_message(
    parts: Parts, tx: Transaction, row: DeliveryRow, message: MessageRecord, cause: str | None, now: datetime
) -> None:
    """Close the message of a delivery that was withdrawn, unless another one of it has arrived, or may have."""
    others = [one for one in tx.deliveries(message.id) if one.id != row.id]
    if message.state != "open" or any(may_have_arrived(one) for one in others):
        return
    if cause == WRITTEN_ANEW:
        tell_anew(parts, tx, message)
        return
    tx.move_message(message.id, "cancelled", at=now, cause=cause)


def attempt(parts: Parts, claimed: Claimed) -> None:
    """Make the one try of a claimed delivery, and write its outcome (T4)."""
    began = parts.clock.now()
    row = claimed.delivery
    channel = parts.channels.get(row.channel)
    marked = False

    def about_to_send(far_side_ref: str | None) -> None:
        nonlocal marked, row
        try:
            row = mark(parts, claimed, far_side_ref) or row
        except StoreAway as away:
            raise StateConflict("store") from away
        marked = True

    outcome: Outcome
    try:
        if channel is None:
            raise NeedsHuman("route.channel-off")
        deadline = began + parts.policy.send_limit
        package = with_new_cover(parts, claimed.loaded.package, began)
        answer = channel.send(package, claimed.loaded.endpoint, deadline=deadline, about_to_send=about_to_send)
        outcome = taken(answer, parts.clock.now())
    except StateConflict:
        # Somebody withdrew it, consent ended, or the database did not take the mark: not a byte has left.
        let_go(parts, claimed)
        return
    except DeliveryError as error:
        outcome = failed(error)
    except Exception as bug:
        write(Log.BUG, delivery_id=row.id, channel=row.channel, error_type=type(bug).__name__, job="deliver")
        outcome = failed(InDoubt("bug") if marked else NeedsHuman("bug"))
    if isinstance(outcome.error, Transient) and not marked and outcome.error.uses_attempt:
        outcome = replace(outcome, before_wire=True)
    _write_down(parts, row, claimed, outcome)
    spent = parts.clock.now() - began
    write(
        Log.DELIVERY_ATTEMPTED,
        delivery_id=row.id,
        message_id=row.message_id,
        channel=row.channel,
        endpoint_id=row.endpoint_id,
        attempt=claimed.attempt,
        outcome=outcome.word,
        code=outcome.code,
        status=outcome.status,
        duration_ms=int(spent / timedelta(milliseconds=1)),
    )


def _write_down(parts: Parts, row: DeliveryRow, claimed: Claimed, outcome: Outcome) -> None:
    """Write the outcome, also where the database is away for a moment: what is known now nobody else can tell later.

    Writing it twice changes nothing, should the database have taken it and not said so.
    """
    for pause_s in AWAY_PAUSES_S:
        try:
            write_outcome(parts, row, claimed.message, claimed.loaded.sha256, outcome)
        except StoreAway:
            time.sleep(pause_s)
        else:
            return
    write_outcome(parts, row, claimed.message, claimed.loaded.sha256, outcome)


def mark(parts: Parts, claimed: Claimed, far_side_ref: str | None) -> DeliveryRow | None:
    """Commit the on-wire mark, right before the first byte, and return the delivery as it is then.

    Raises StateConflict when it may no longer go. The lease begins anew: however long the
    delivery waited for its turn, the send itself ends well within it.
    """
    row = claimed.delivery

    def act(tx: Transaction) -> DeliveryRow | None:
        now = parts.clock.now()
        current = tx.delivery(row.id, lock=True)
        message = tx.message(row.message_id)
        if current is None or message is None or current.state != State.CLAIMED or current.fence != row.fence:
            raise StateConflict("lease")
        if tx.closed().covers(row.channel, row.endpoint_id):
            raise StateConflict("held")
        if not _may_go(parts, tx, current, message, now).permits:
            raise StateConflict("release")
        if known_address(tx, current, message) != claimed.loaded.endpoint:
            raise StateConflict("address")  # corrected since the claim: it goes by what the registry says now
        tx.move_delivery(
            row.id,
            State.ON_WIRE,
            at=now,
            fence=row.fence,
            far_side_ref=far_side_ref,
            content_sha256=claimed.loaded.sha256,
            lease_until=now + parts.policy.lease,
        )
        tx.mark_on_wire(row.id, row.fence, now)
        return tx.delivery(row.id)

    return parts.together.write(parts.ledger, before_marks, (row, claimed.message), act)


def before_marks(tx: Transaction, known: Sequence[tuple[DeliveryRow, MessageRecord]]) -> None:
    """Read what marks ask: deliveries, messages, endpoints, patients and recipients."""
    tx.recheck(known, registry=True)


def let_go(parts: Parts, claimed: Claimed) -> None:
    """Close the attempt of a delivery that was not sent after all; hold or withdraw it if it is still ours."""
    now = parts.clock.now()
    row = claimed.delivery
    with parts.ledger.begin() as tx:
        current = tx.delivery(row.id, lock=True)
        message = tx.message(row.message_id)
        code = "release.lease-lost"
        if current is not None and message is not None and current.fence == row.fence:
            if current.state == State.CLAIMED:
                answer = _may_go(parts, tx, current, message, now)
                held = tx.closed().covers(row.channel, row.endpoint_id)
                code = answer.code or ("release.paused" if held else "release.not-now")
                new = State.PENDING if answer.permits else State.CANCELLED if answer.withdraw else State.HELD
                tx.move_delivery(row.id, new, at=now, cause=code, due_at=now if answer.permits else None)
                if new == State.CANCELLED:
                    _withdraw_message(parts, tx, row, message, code, now)
            else:
                code = current.cause or "release.withdrawn"
        tx.close_attempt(row.id, row.fence, at=now, outcome="not-sent", cause=code, status=None, detail=b"", facts="",
                         content_sha256=None)  # fmt: skip
    write(Log.DELIVERY_HELD, delivery_id=row.id, code=code)
