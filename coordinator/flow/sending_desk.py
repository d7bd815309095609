"""What staff do with sending as a whole: hold it, let it go, look through a restore, send many again, compose anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from coordinator.flow import holds as holding
from coordinator.flow import recompose as anew
from coordinator.flow import resend_jobs
from coordinator.flow.hold_rows import JobMode, Selection
from coordinator.flow.holds import HoldView, LetGo, RestoreView
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor
from coordinator.flow.recompose import Recomposed
from coordinator.flow.resend_jobs import JobView, Verb
from coordinator.flow.stations import confirm_station


@dataclass(frozen=True)
class LeftAlone:
    """An address whose breaker is open: one problem, with the messages that wait behind it."""

    endpoint_id: str
    since: datetime
    probe_at: datetime | None
    failures: int
    waiting: int
    why: str
    next_step: str
    role: str


class SendingDesk(Protocol):
    """The staff's side of sending as a whole. Every act is audited under the actor."""

    def holds(self) -> Sequence[HoldView]:
        """Return every hold with what waits behind it. No PHI."""
        ...

    def left_alone(self) -> Sequence[LeftAlone]:
        """Return the addresses that are left alone because they failed again and again. No PHI."""
        ...

    def confirm_station(self, endpoint_id: str, station: str, actor: Actor) -> None:
        """Let another machine's name count as the office's own; raise Refused or NotFound."""
        ...

    def hold(self, scope: str, *, reason: str, actor: Actor) -> HoldView:
        """Hold an address, a channel or everything; raise Refused or NotFound."""
        ...

    def let_go(self, scope: str, *, reason: str, actor: Actor) -> LetGo:
        """Lift a hold; return how many deliveries go on, and how many wait on behind another one."""
        ...

    def restore(self) -> RestoreView:
        """Return where the look-through after a restore stands."""
        ...

    def restore_on(self, *, reason: str, actor: Actor) -> bool:
        """Say that the database is an older copy; return False when that is known."""
        ...

    def restore_off(self, *, reason: str, actor: Actor) -> LetGo:
        """Let sending go on after a restore; return how many deliveries go out or are still held; raise Refused."""
        ...

    def plan_job(
        self, selection: Selection, *, reason: str, actor: Actor, mode: JobMode, per_minute: int
    ) -> JobView:  # fmt: skip
        """Freeze a list of messages to send again; raise Refused."""
        ...

    def job(self, job_id: str, actor: Actor, *, after: int = 0, limit: int = 100) -> JobView:
        """Return a job with a page of its items; raise NotFound."""
        ...

    def jobs(self) -> Sequence[JobView]:
        """Return the newest jobs without their items."""
        ...

    def move_job(self, job_id: str, verb: Verb, *, actor: Actor) -> JobView:
        """Start, pause, continue or cancel a job; raise Refused."""
        ...

    def preview(self, message_id: str, actor: Actor) -> Recomposed:
        """Return what composing anew would change; raise Refused."""
        ...

    def recompose(self, message_id: str, *, seen: str, reason: str, token: str, actor: Actor) -> str:
        """Put the newly composed version in the message's place; return its id; raise Refused."""
        ...


class StaffSending:
    """Implements SendingDesk over the parts."""

    def __init__(self, parts: Parts) -> None:
        """Work with these parts."""
        self._parts = parts

    def holds(self) -> Sequence[HoldView]:
        """Return every hold with what waits behind it. No PHI."""
        return holding.holds(self._parts)

    def left_alone(self) -> Sequence[LeftAlone]:
        """Return the addresses that are left alone because they failed again and again. No PHI."""
        parts = self._parts
        with parts.ledger.begin(write=False) as tx:
            found = []
            for health in tx.open_breakers():
                cause = parts.causes.get(health.cause or "net.breaker")
                found.append(
                    LeftAlone(
                        endpoint_id=health.endpoint_id,
                        since=health.open_since or parts.clock.now(),
                        probe_at=health.probe_at,
                        failures=health.failures,
                        waiting=tx.waiting_behind(f"endpoint:{health.endpoint_id}"),
                        why=cause.sentence,
                        next_step=cause.next_step,
                        role=cause.role,
                    )
                )
        return found

    def confirm_station(self, endpoint_id: str, station: str, actor: Actor) -> None:
        """Let another machine's name count as the office's own; raise Refused or NotFound."""
        confirm_station(self._parts, endpoint_id, station, actor)

    def hold(self, scope: str, *, reason: str, actor: Actor) -> HoldView:
        """Hold an address, a channel or everything; raise Refused or NotFound."""
        return holding.hold(self._parts, scope, reason=reason, actor=actor)

    def let_go(self, scope: str, *, reason: str, actor: Actor) -> LetGo:
        """Lift a hold; return how many deliveries go on, and how many wait on behind another one."""
        return holding.let_go(self._parts, scope, reason=reason, actor=actor)

    def restore(self) -> RestoreView:
        """Return where the look-through after a restore stands."""
        return holding.restore_status(self._parts)

    def restore_on(self, *, reason: str, actor: Actor) -> bool:
        """Say that the database is an older copy; return False when that is known."""
        return holding.hold_after_restore(self._parts, reason=reason, actor=actor)

    def restore_off(self, *, reason: str, actor: Actor) -> LetGo:
        """Let sending go on after a restore; return how many deliveries go out or are still held; raise Refused."""
        return holding.end_restore_hold(self._parts, reason=reason, actor=actor)

    def plan_job(
        self, selection: Selection, *, reason: str, actor: Actor, mode: JobMode, per_minute: int
    ) -> JobView:  # fmt: skip
        """Freeze a list of messages to send again; raise Refused."""
        return resend_jobs.plan_job(
            self._parts, selection, reason=reason, actor=actor, mode=mode, per_minute=per_minute
        )  # fmt: skip

    def job(self, job_id: str, actor: Actor, *, after: int = 0, limit: int = 100) -> JobView:
        """Return a job with a page of its items; raise NotFound."""
        return resend_jobs.job(self._parts, job_id, actor, after=after, limit=limit)

    def jobs(self) -> Sequence[JobView]:
        """Return the newest jobs without their items."""
        return resend_jobs.jobs(self._parts)

    def move_job(self, job_id: str, verb: Verb, *, actor: Actor) -> JobView:
        """Start, pause, continue or cancel a job; raise Refused."""
        return resend_jobs.move_job(self._parts, job_id, verb, actor=actor)

    def preview(self, message_id: str, actor: Actor) -> Recomposed:
        """Return what composing anew would change; raise Refused."""
        return anew.preview(self._parts, message_id, actor)

    def recompose(self, message_id: str, *, seen: str, reason: str, token: str, actor: Actor) -> str:
        """Put the newly composed version in the message's place; return its id; raise Refused."""
        return anew.recompose(self._parts, message_id, seen=seen, reason=reason, token=token, actor=actor)
