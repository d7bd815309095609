"""T4: what a try came to, and where the delivery goes from there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from coordinator.domain.delivery import State, next_due
from coordinator.domain.errors import DeliveryError, InDoubt, NeedsHuman, Permanent, StateConflict, Transient
from coordinator.flow.addresses import SUSPENDING
from coordinator.flow.fallback import after_dead
from coordinator.flow.ledger import Transaction
from coordinator.flow.misdirected import open_about, suspend_dialled
from coordinator.flow.parts import Parts
from coordinator.flow.ports import Taken
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import DeliveryRow, MessageRecord
from coordinator.observe.log import Log, write

OUTCOME = Actor("job", "deliver")
OTHER_PATIENT = "fhir.other-patient"
"""The far side filed it in another patient's record: an incident, not only a message that stands still."""
SERVER_AWAY = (
    "net.", "tls.", "fhir.502", "fhir.503", "fhir.504", "fhir.metadata", "fax.unavailable", "direct.away", "link.away",
    "token.unreachable", "token.malformed",
)  # fmt: skip
"""Starts of the causes that say the far side's server is away, whatever the message: they open the breaker."""
GATEWAY = frozenset({"fhir.502", "fhir.504"})
"""Of these, those that leave a write in doubt where a repeat could double it, and are no news of the one message."""


SIGN_IN = frozenset({"token.refused", "token.key", "token.discovery"})
"""Causes that say that this address lets nothing of ours in, whatever the message: a fault of the set-up.

One person mends it once. So no message is held for it, each to be released; they wait behind the address.
"""


@dataclass(frozen=True)
class Outcome:
    """What one try came to."""

    word: str
    """proven, taken, transient, permanent, needs-human, in-doubt."""
    code: str | None = None
    status: int | None = None
    detail: bytes = b""
    far_side_ref: str | None = None
    receipt_due_at: datetime | None = None
    facts: tuple[tuple[str, str], ...] = ()
    error: DeliveryError | None = None
    before_wire: bool = False
    """The try ended before the first byte, so nothing can have arrived."""


def taken(answer: Taken, now: datetime) -> Outcome:
    """Return the outcome of a send that the far side took."""
    wait = answer.expect_receipt_within_s
    return Outcome(
        "proven" if answer.proven else "taken",
        status=answer.status,
        detail=answer.detail,
        far_side_ref=answer.far_side_ref,
        receipt_due_at=None if wait is None else now + timedelta(seconds=wait),
        facts=tuple(sorted(answer.facts.items())),
    )


def failed(error: DeliveryError) -> Outcome:
    """Return the outcome of an error, by who acts next."""
    words = ((Transient, "transient"), (Permanent, "permanent"), (NeedsHuman, "needs-human"), (InDoubt, "in-doubt"))
    word = next((word for kind, word in words if isinstance(error, kind)), "needs-human")
    return Outcome(word, code=error.code, status=error.status, detail=error.detail, error=error)


def write_outcome(parts: Parts, row: DeliveryRow, message: MessageRecord, sha256: str | None, outcome: Outcome) -> None:
    """Close the attempt and move the delivery, in one transaction.

    A worker that lost its lease may still tell the truth: under its own fence the
    outcome settles a delivery that was put in doubt meanwhile. Under another fence
    only the attempt is closed, as evidence.
    """
    facts = ";".join(f"{name}={value}" for name, value in outcome.facts)[:1000]

    def act(tx: Transaction) -> None:
        now = parts.clock.now()
        tx.close_attempt(
            row.id,
            row.fence,
            at=now,
            outcome=outcome.word,
            cause=outcome.code,
            status=outcome.status,
            detail=outcome.detail,
            facts=facts,
            content_sha256=sha256,
        )
        current = tx.delivery(row.id, lock=True)
        if current is None or current.fence != row.fence:
            return
        if current.state not in {State.CLAIMED, State.ON_WIRE, State.IN_DOUBT}:
            return
        try:
            settle(parts, tx, current, outcome, now)
        except StateConflict:
            return

    parts.together.write(parts.ledger, before_outcomes, (row, message), act)


def before_outcomes(tx: Transaction, known: Sequence[tuple[DeliveryRow, MessageRecord]]) -> None:
    """Read what outcomes ask: deliveries, messages, endpoints and attempts."""
    tx.recheck(known, attempts=True)


def settle(parts: Parts, tx: Transaction, row: DeliveryRow, outcome: Outcome, now: datetime) -> None:
    """Move a delivery by an outcome, note the endpoint's health, and say what was decided in the audit."""
    message = tx.message(row.message_id)
    patient_key = None if message is None else message.patient_key
    new = _where_to(parts, tx, row, outcome, now)
    tx.audit(OUTCOME, f"delivery {new.value}", at=now, patient_key=patient_key, subject=row.message_id,
             code=outcome.code)  # fmt: skip
    _health(parts, tx, row, outcome, now)
    if outcome.code == OTHER_PATIENT and message is not None:
        open_about(tx, message, "wrong-record", now, OUTCOME, delivery=row, cause=OTHER_PATIENT,
                   note="Their own copy of the letter names another patient's record.")  # fmt: skip
    if new == State.DEAD:
        write(Log.DELIVERY_DEAD, delivery_id=row.id, code=outcome.code)
        after_dead(parts, tx, row, now)


def _where_to(parts: Parts, tx: Transaction, row: DeliveryRow, outcome: Outcome, now: datetime) -> State:
    if outcome.word in {"proven", "taken"}:
        new = State.ACKNOWLEDGED if outcome.word == "proven" else State.SENT
        if new == State.SENT and row.state == State.CLAIMED:
            raise StateConflict("a channel sent without marking")
        if new == State.ACKNOWLEDGED and row.state == State.CLAIMED:
            raise StateConflict("a channel sent without marking")
        tx.move_delivery(row.id, new, at=now, far_side_ref=outcome.far_side_ref, receipt_due_at=outcome.receipt_due_at)
        return new
    if outcome.word == "transient":
        return _again(parts, tx, row, outcome, now)
    if outcome.word == "in-doubt" and row.state != State.CLAIMED:
        if row.state != State.IN_DOUBT:
            tx.move_delivery(row.id, State.IN_DOUBT, at=now, cause=outcome.code, use_attempt=True,
                             due_at=now + parts.policy.doubt_pause * parts.policy.retry_scale)  # fmt: skip
        write(Log.DELIVERY_IN_DOUBT, delivery_id=row.id, code=outcome.code)
        return State.IN_DOUBT
    if outcome.word == "permanent":
        tx.move_delivery(row.id, State.DEAD, at=now, cause=outcome.code, use_attempt=True)
        return State.DEAD
    if _is_shut_out(row, outcome):
        tx.move_delivery(row.id, State.PENDING, at=now, cause=outcome.code, due_at=_probe_at(parts, now))
        return State.PENDING
    tx.move_delivery(row.id, State.HELD, at=now, cause=outcome.code)
    write(Log.DELIVERY_HELD, delivery_id=row.id, code=outcome.code)
    return State.HELD


def _is_shut_out(row: DeliveryRow, outcome: Outcome) -> bool:
    """Return whether the address refused our sign-in before anything of the message could leave."""
    return outcome.word == "needs-human" and outcome.code in SIGN_IN and row.state == State.CLAIMED


def _is_answered(outcome: Outcome) -> bool:
    """Return whether the far side looked at this message and would not have it: its server is there."""
    refused = outcome.word == "permanent" or (outcome.word == "needs-human" and outcome.code not in SIGN_IN)
    return refused and outcome.status is not None and not (outcome.code or "").startswith(SERVER_AWAY)


def _probe_at(parts: Parts, now: datetime) -> datetime:
    return now + parts.policy.breaker_probe * parts.policy.retry_scale


def _again(parts: Parts, tx: Transaction, row: DeliveryRow, outcome: Outcome, now: datetime) -> State:
    error = outcome.error if isinstance(outcome.error, Transient) else None
    counts = error is None or error.uses_attempt
    used = row.attempts_used + (1 if counts else 0)
    schedule = parts.retries.schedule(row.channel, row.priority, outcome.code or "")
    scaled = tuple(wait * parts.policy.retry_scale for wait in schedule)
    due_at = next_due(
        scaled, used, now, retry_after=None if error is None else error.retry_after, jitter=parts.dice.jitter()
    )
    if due_at is not None:
        tx.move_delivery(row.id, State.PENDING, at=now, cause=outcome.code, due_at=due_at, use_attempt=counts)
        return State.PENDING
    tx.move_delivery(row.id, State.DEAD, at=now, cause="retry.spent", use_attempt=counts)
    return State.DEAD


def _health(parts: Parts, tx: Transaction, row: DeliveryRow, outcome: Outcome, now: datetime) -> None:
    """Count straight transport failures and open or close the breaker; suspend a number that is not the office's."""
    code = outcome.code or ""
    if code in SUSPENDING:
        suspend_dialled(tx, row, code, now)
        return
    health = tx.health(row.endpoint_id)
    if outcome.word in {"proven", "taken"} or _is_answered(outcome):
        if health.failures or health.open_since:
            health = tx.health(row.endpoint_id, lock=True)
            tx.put_health(replace(health, failures=0, open_since=None, probe_at=None), now)
            if health.open_since:
                write(Log.BREAKER_CLOSED, endpoint_id=row.endpoint_id)
        return
    shut_out = _is_shut_out(row, outcome)
    away = code.startswith(SERVER_AWAY) and (outcome.word == "transient" or code in GATEWAY)
    if not shut_out and not away:
        return
    health = tx.health(row.endpoint_id, lock=True)
    # What an address is closed for stands; one that was changed waits for its second person under that cause.
    kept = code if health.suspended_at is None else health.cause
    failures = health.failures + 1
    if shut_out or failures >= parts.policy.breaker_after:
        probe_at = _probe_at(parts, now)
        opened = health.open_since or now
        tx.put_health(replace(health, failures=failures, open_since=opened, probe_at=probe_at, cause=kept), now)
        if health.open_since is None:
            write(Log.BREAKER_OPENED, endpoint_id=row.endpoint_id, code=code)
        return
    tx.put_health(replace(health, failures=failures, cause=kept), now)
