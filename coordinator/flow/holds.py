"""Holding an address, a channel or everything, and letting it go on: what waits stays, ages in view, and loses nothing.

A held way uses up no attempt: its deliveries stay pending, and the worker steps over them. What was already on the
wire ends as it ends. Looking things up at the far side goes on, because that sends nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import get_args

from coordinator.domain.delivery import State
from coordinator.domain.errors import NotFound, Refused
from coordinator.domain.registry import EndpointKind
from coordinator.flow.addresses import known_endpoint
from coordinator.flow.hold_rows import EVERYTHING, HoldKind, HoldRow, closed_by
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor
from coordinator.flow.resend import need_reason
from coordinator.observe.log import Log, write

REVIEW = Actor("job", "restore-review")
BATCH = 500


@dataclass(frozen=True)
class HoldView:
    """A hold as staff see it: what is held, who did it, why, since when, and how much waits behind it."""

    scope: str
    kind: HoldKind
    placed_at: datetime
    placed_by: str
    reason: str
    waiting: int


@dataclass(frozen=True)
class LetGo:
    """What came of lifting a hold."""

    go_on: int
    """Deliveries that go out now."""
    still_held: int = 0
    """Deliveries that waited behind it, and wait on behind another hold."""
    behind: tuple[str, ...] = ()
    """The holds that are left, when something waits on behind them."""

    def said(self) -> str:
        """Return it as a sentence or two."""
        if not self.still_held:
            return f"{self.go_on} go on."
        waits = "waits" if self.still_held == 1 else "wait"
        return (
            f"{self.go_on} go on. {self.still_held} still {waits}, behind what else is held: {', '.join(self.behind)}."
        )


@dataclass(frozen=True)
class RestoreView:
    """Where the look-through after a database restore stands."""

    hold: HoldView | None
    to_review: int
    """Deliveries that were not looked at yet."""
    arrived: int
    absent: int
    unknown: int
    """Nobody can say: a person decides, one by one."""


def holds(parts: Parts) -> tuple[HoldView, ...]:
    """Return every hold with what waits behind it. No PHI."""
    with parts.ledger.begin(write=False) as tx:
        return tuple(_view(tx, row) for row in tx.holds())


def hold(parts: Parts, scope: str, *, reason: str, actor: Actor) -> HoldView:
    """Stop sending to an address, over a channel, or at all; raise Refused or NotFound. Twice is once."""
    need_reason(reason)
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        _need_scope(tx, scope)
        row = HoldRow(scope, "person", now, actor.name, reason.strip())
        if not tx.put_hold(row):
            raise Refused("hold.there", "It is held already.")
        tx.audit(actor, "sending held", at=now, subject=scope[:64], detail=reason)
        write(Log.SENDING_HELD, code="release.paused")
        return _view(tx, row)


def let_go(parts: Parts, scope: str, *, reason: str, actor: Actor) -> LetGo:
    """Lift a hold; return how many deliveries go on, and how many wait on behind another one.

    The oldest and most pressing go first, at the usual limits.
    """
    need_reason(reason)
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        found = next((one for one in tx.holds() if one.scope == scope), None)
        if found is None:
            raise NotFound("hold")
        if found.kind == "restore":
            raise Refused(
                "hold.restore", "This hold stands because the database was restored. Use the page of the restore."
            )
        gone = _lift(tx, scope)
        tx.audit(actor, "sending released", at=now, subject=scope[:64], detail=reason)
        write(Log.SENDING_RELEASED, count=gone.go_on)
    return gone


def _lift(tx: Transaction, scope: str) -> LetGo:
    waiting = tx.waiting_behind(scope)
    tx.lift_hold(scope)
    go_on = tx.waiting_behind(scope, but=tx.closed())
    if go_on == waiting:
        return LetGo(go_on)
    others = [one.scope for one in tx.holds()]
    behind = [one for one in others if tx.waiting_behind(scope, but=closed_by([one])) < waiting]
    return LetGo(go_on, waiting - go_on, tuple(behind))


def hold_after_restore(parts: Parts, *, reason: str, actor: Actor) -> bool:
    """Hold everything because the database is an older copy; return False when that is so already."""
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        before = next((one for one in tx.holds() if one.scope == EVERYTHING), None)
        if before is not None and before.kind == "restore":
            return False
        if before is not None:
            tx.lift_hold(EVERYTHING)
        tx.put_hold(HoldRow(EVERYTHING, "restore", now, actor.name, reason))
        tx.forget_reviews()
        for job in tx.jobs(("running",), limit=1_000):
            # What it has sent on since the copy was made it would send once more; a person looks before it goes on.
            tx.put_job(replace(job, state="paused", next_at=None))
            tx.audit(actor, "resend job: pause", at=now, subject=job.id)
        tx.audit(actor, "sending held after a restore", at=now, detail=reason)
    write(Log.RESTORE_HOLD)
    return True


def review_restored(parts: Parts) -> int:
    """Put what may have been sent since the backup in doubt, so that its far side is asked; return how many.

    Only while the restore hold stands. A message of something that happened after the hold was placed is new, and
    is left alone.
    """
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        held = next((one for one in tx.holds() if one.kind == "restore"), None)
        names = [] if held is None else tx.unreviewed(held.placed_at, BATCH)
        for name in names:
            tx.mark_reviewed(name, now)
            row = tx.delivery(name, lock=True)
            if row is None or row.state not in {State.PENDING, State.HELD}:
                continue
            tx.move_delivery(name, State.IN_DOUBT, at=now, due_at=now, cause="restore.maybe-sent")
            tx.audit(REVIEW, "in doubt after a restore", at=now, subject=row.message_id, code="restore.maybe-sent")
    return len(names)


def restore_status(parts: Parts) -> RestoreView:
    """Return where the look-through stands."""
    with parts.ledger.begin(write=False) as tx:
        held = next((one for one in tx.holds() if one.kind == "restore"), None)
        if held is None:
            return RestoreView(None, 0, 0, 0, 0)
        counts = tx.reviewed_counts()
        left = len(tx.unreviewed(held.placed_at, 100_000))
        return RestoreView(
            _view(tx, held),
            to_review=left,
            arrived=counts.get(State.SENT, 0) + counts.get(State.ACKNOWLEDGED, 0),
            absent=counts.get(State.PENDING, 0) + counts.get(State.CANCELLED, 0),
            unknown=counts.get(State.IN_DOUBT, 0) + counts.get(State.HELD, 0) + counts.get(State.DEAD, 0),
        )


def end_restore_hold(parts: Parts, *, reason: str, actor: Actor) -> LetGo:
    """Let sending go on after a restore; return how many deliveries go out, or are still held.

    Refused while something was not looked at.

    What nobody can say anything about stays in doubt: it is never sent by itself.
    """
    need_reason(reason)
    while review_restored(parts):
        pass
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        held = next((one for one in tx.holds() if one.kind == "restore"), None)
        if held is None:
            raise NotFound("hold")
        if tx.unreviewed(held.placed_at, 1):
            raise Refused("restore.unreviewed", "Something came in this moment and was not looked at. Try again.")
        if tx.counts().get(State.CLAIMED):
            # It may have left since the copy was made. The next sweep puts it back, and then it is looked at.
            raise Refused(
                "restore.in-hand",
                "A worker had some messages in hand when the copy was made. Let the service run for three minutes, so "
                "that they are looked at too, and try again.",
            )
        gone = _lift(tx, EVERYTHING)
        tx.audit(actor, "restore hold ended", at=now, detail=reason)
        write(Log.SENDING_RELEASED, count=gone.go_on)
    return gone


def _need_scope(tx: Transaction, scope: str) -> None:
    """Raise unless the scope names everything, a channel that exists, or an address of the registry."""
    what, _, name = scope.partition(":")
    if scope == EVERYTHING:
        return
    if what == "channel":
        if name not in get_args(EndpointKind):
            raise NotFound("channel")
        if name == "by-hand":
            raise Refused("hold.by-hand", "Paper does not go out by itself; there is nothing to hold.")
        return
    if what != "endpoint":
        raise NotFound("endpoint")
    known_endpoint(tx, name)


def _view(tx: Transaction, row: HoldRow) -> HoldView:
    return HoldView(row.scope, row.kind, row.placed_at, row.placed_by, row.reason, tx.waiting_behind(row.scope))


def scopes_of(rows: Sequence[HoldView]) -> frozenset[str]:
    """Return the names of what is held."""
    return frozenset(one.scope for one in rows)
