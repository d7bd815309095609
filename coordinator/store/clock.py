"""The time of the database server, for workers on several machines: leases are only as good as the clocks agree."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Engine

ASK_EVERY_S = 20.0
"""How long our own steady clock carries on from the server's last answer. It drifts far less than a lease."""


class DatabaseClock:
    """Tells the server's time, carried on by this process's steady clock, so that all workers tell the same.

    A clock of the machine that is minutes off, or is set while we work, changes nothing. While the server is away
    the steady clock carries on; nothing can be claimed then anyway.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        steady: Callable[[], float] = time.monotonic,
        machine: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`machine` is believed only until the server has answered once."""
        self._engine, self._steady, self._machine = engine, steady, machine
        self._asking = threading.Lock()
        self._base: tuple[datetime, float] | None = None
        """The server's time, and what our steady clock showed at that moment."""
        self._next_at = float("-inf")

    def now(self) -> datetime:
        """Return this instant in UTC."""
        if self._steady() >= self._next_at and self._asking.acquire(blocking=False):
            # One thread asks; the others go on with what is known.
            try:
                self._ask()
            finally:
                self._asking.release()
        if self._base is None:
            return self._machine()
        told, at = self._base
        return told + timedelta(seconds=self._steady() - at)

    def _ask(self) -> None:
        before = self._steady()
        try:
            with self._engine.connect() as connection:
                told = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        except sa.exc.SQLAlchemyError:
            self._next_at = self._steady() + 1.0
            return
        after = self._steady()
        self._base = (told.astimezone(UTC), (before + after) / 2)
        self._next_at = after + ASK_EVERY_S
