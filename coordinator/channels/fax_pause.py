"""Pauses the whole fax channel while the account is refused: one fax tries now and then, the others wait unharmed."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from coordinator.channels.fax_gateway import FaxGateway, FaxStatus, OutgoingFax
from coordinator.channels.wire import Answer
from coordinator.domain.errors import DeliveryError, Transient
from coordinator.flow.ports import Clock

ACCOUNT = "fax.account"
PAUSE = timedelta(minutes=15)
"""An account is settled by people: a try every quarter of an hour is soon enough, and hammers nobody."""


class PausingGateway:
    """A gateway with a memory of account-wide trouble. A busy line or a wrong number never pauses anything.

    The first fax that meets the trouble is held for a person, who sees the cause. The
    others stay pending: Transient, no attempt used, due when the pause ends. Then one
    of them goes first.
    """

    def __init__(self, inner: FaxGateway, clock: Clock, pause: timedelta = PAUSE) -> None:
        self._inner = inner
        self._clock = clock
        self._pause = pause
        self._until: datetime | None = None
        self._lock = threading.Lock()

    @property
    def lists_waiting(self) -> bool:
        """Return what the gateway's list has; see the protocol."""
        return self._inner.lists_waiting

    @property
    def paused_until(self) -> datetime | None:
        """Return when the next fax may try, None when nothing is paused."""
        return self._until

    def submit(self, fax: OutgoingFax, *, deadline: datetime, about_to_send: Callable[[], None]) -> tuple[str, Answer]:
        """Queue the fax unless the channel pauses; see the protocol."""
        self._wait_or_probe()
        try:
            taken = self._inner.submit(fax, deadline=deadline, about_to_send=about_to_send)
        except DeliveryError as fault:
            self._note(fault.code)
            raise
        self._until = None
        return taken

    def status(self, fax_id: str, *, deadline: datetime) -> FaxStatus | None:
        """Return what became of a fax; one that failed for the account pauses the channel too."""
        found = self._inner.status(fax_id, deadline=deadline)
        if found is not None and found.failure is not None:
            self._note(found.failure.code)
        return found

    def find(self, tag: str, *, deadline: datetime) -> tuple[FaxStatus, ...]:
        """Return every fax that carries our tag."""
        return self._inner.find(tag, deadline=deadline)

    def account(self, *, deadline: datetime) -> str:
        """Return what the account is like; one that answers ends the pause."""
        seen = self._inner.account(deadline=deadline)
        self._until = None
        return seen

    def _wait_or_probe(self) -> None:
        now = self._clock.now()
        with self._lock:
            if self._until is None:
                return
            if now >= self._until:
                self._until = now + self._pause  # this one goes first; the others wait for what it finds
                return
            left = self._until - now
        raise Transient(ACCOUNT, retry_after=left, uses_attempt=False)

    def _note(self, code: str) -> None:
        if code == ACCOUNT:
            with self._lock:
                self._until = self._clock.now() + self._pause
