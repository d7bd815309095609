"""What one process has claimed and not begun yet: several sending threads take from one batch."""

import threading
from collections import deque

from coordinator.flow.deliver import Claimed, claim, let_go
from coordinator.flow.parts import Parts

WAITS_AT_MOST = 3
"""A third of the lease: what has waited longer in the hand goes back, so that no other worker finds it stale."""


class Hand:
    """Claims a batch when it is empty, and deals it out one by one. What is in it counts as claimed."""

    def __init__(self, parts: Parts, worker: str, batch: int) -> None:
        """Claim for this worker, `batch` deliveries at once."""
        self._parts, self._worker, self._batch = parts, worker, batch
        self._lock = threading.Lock()
        self._dealt: deque[Claimed] = deque()

    def take(self) -> Claimed | None:
        """Return the next delivery to send, or None when nothing is due."""
        while (one := self._next()) is not None:
            if self._parts.clock.now() - one.claimed_at < self._parts.policy.lease / WAITS_AT_MOST:
                return one
            let_go(self._parts, one)
        return None

    def _next(self) -> Claimed | None:
        with self._lock:
            if not self._dealt:
                self._dealt.extend(claim(self._parts, self._worker, self._batch))
            return self._dealt.popleft() if self._dealt else None

    def give_back(self) -> None:
        """Put back what was not begun: a process that stops in order leaves nobody waiting for its leases."""
        with self._lock:
            rest, self._dealt = list(self._dealt), deque()
        for one in rest:
            let_go(self._parts, one)
