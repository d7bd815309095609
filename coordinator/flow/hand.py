"""What one process has claimed and not begun yet: one thread claims in batches, several sending threads take from it.

Whoever has nothing to send waits here and is woken one by one, so that a process with many
senders asks the database no oftener than one with few.
"""

import threading
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress

from coordinator.domain.errors import StoreAway
from coordinator.flow.deliver import Claimed, claim, let_go
from coordinator.flow.parts import Parts

WAITS_AT_MOST = 3
"""A third of the lease: what has waited longer in the hand goes back, so that no other worker finds it stale."""


class Hand:
    """Claims a batch when it is empty, and deals it out one by one. What is in it counts as claimed.

    It rings for itself ("delivery") when something may be due that no other news tells of:
    the last batch was a full one and is used up, or an endpoint that had all the sends it may
    have at a time has a free one again.
    """

    def __init__(self, parts: Parts, worker: str, batch: int) -> None:
        """Claim for this worker, `batch` deliveries at once."""
        self._parts, self._worker, self._batch = parts, worker, batch
        self._dealt: deque[Claimed] = deque()
        self._given = threading.Condition()
        self._out: Counter[str] = Counter()
        """How many of each endpoint are claimed and not finished."""
        self._more = False
        """Whether to claim as soon as the hand is empty."""
        self._ended = False

    def fill(self) -> Sequence[str]:
        """Claim what is due, if the hand is empty, and return it. For one thread, which then waits for news."""
        with self._given:
            self._more = bool(self._dealt)
            if self._more:
                return ()
        claimed = claim(self._parts, self._worker, self._batch)
        with self._given:
            self._dealt.extend(claimed)
            self._out.update(one.delivery.endpoint_id for one in claimed)
            self._more = len(claimed) >= self._batch
            self._given.notify(len(claimed))
        return [one.delivery.id for one in claimed]

    def take(self, wait_s: float = 0.0) -> Claimed | None:
        """Return the next delivery to send, or None when there is none within that time. `finished` must follow."""
        while (one := self._next(wait_s)) is not None:
            if self._parts.clock.now() - one.claimed_at < self._parts.policy.lease / WAITS_AT_MOST:
                return one
            self._put_back(one)
        return None

    def _put_back(self, one: Claimed) -> None:
        """Put back what was not begun. Where that cannot be written it is free again once its lease has ended."""
        try:
            let_go(self._parts, one)
        finally:
            self.finished(one)

    def _next(self, wait_s: float) -> Claimed | None:
        with self._given:
            self._given.wait_for(lambda: self._dealt or self._ended, wait_s)
            if self._ended or not self._dealt:
                return None
            one = self._dealt.popleft()
            empty = self._more and not self._dealt
        if empty:
            self._parts.bell.wake("delivery")
        return one

    def finished(self, one: Claimed) -> None:
        """Say that a delivery that was taken is no longer ours, whatever came of it."""
        endpoint = one.delivery.endpoint_id
        with self._given:
            full = self._out[endpoint] >= one.at_once
            self._out[endpoint] -= 1
            if not self._out[endpoint]:
                del self._out[endpoint]
        if full:
            self._parts.bell.wake("delivery")

    def unfinished(self) -> int:
        """Return how many are claimed and not finished."""
        with self._given:
            return self._out.total()

    def end(self) -> None:
        """Deal out no more; who waits goes at once."""
        with self._given:
            self._ended = True
            self._given.notify_all()

    def give_back(self) -> None:
        """Put back what was not begun: a process that stops in order leaves nobody waiting for its leases."""
        with self._given:
            rest, self._dealt = list(self._dealt), deque()
        for one in rest:
            with suppress(StoreAway):
                self._put_back(one)
