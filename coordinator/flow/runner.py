"""The embedded runner: threads of one process calling the very functions that the tasks call. No broker."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from coordinator.flow.bell import News
from coordinator.flow.deliver import attempt
from coordinator.flow.hand import Hand
from coordinator.flow.parts import Parts
from coordinator.flow.ports import ReceiptSource
from coordinator.flow.prepare import prepare
from coordinator.flow.sweep import sweep, take_back_leases
from coordinator.flow.track import fetch_receipts
from coordinator.observe.log import Log, write

PREPARE_AT_ONCE = 4
BATCH = 32
"""Deliveries claimed in one transaction."""
LOOKS_UP_S = 1.0
"""How long a sender without work waits before it looks whether the runner has been stopped."""


@dataclass
class Runner:
    """Starts and stops the loops. `senders` threads deliver; one each claims, prepares, sweeps, fetches receipts."""

    parts: Parts
    sources: tuple[ReceiptSource, ...] = ()
    senders: int = 4
    idle_s: float = 0.5
    sweep_every_s: float = 2.0
    receipts_every_s: float = 5.0
    chores: tuple[Callable[[], None], ...] = ()
    """Done every `chores_every_s`: old sessions and used-up links, for one."""
    chores_every_s: float = 600.0
    before_sweep: Callable[[], object] = lambda: None
    """Asked before every sweep: whether the database is still the one we know."""
    name: str = "embedded"
    _stop: threading.Event = field(default_factory=threading.Event)
    _hand: Hand = field(init=False)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the hand that the senders take from."""
        self._hand = Hand(self.parts, f"{self.name}-send", BATCH)

    def start(self) -> None:
        """Take back what a dead process held, then run the loops until `stop`."""
        take_back_leases(self.parts, everybody=True)
        self._loop("prepare", self._prepare_round, self.idle_s, "event")
        self._loop("claim", self._claim_round, self.idle_s, "delivery")
        for number in range(self.senders):
            self._loop(f"send-{number}", self._send_round, 0.0)
        self._loop("sweep", self._sweep_round, self.sweep_every_s)
        self._loop("receipts", self._receipt_round, self.receipts_every_s)
        if self.chores:
            self._loop("chores", self._chore_round, self.chores_every_s)

    def wake(self) -> None:
        """Say that there is something new, so that nobody waits out a pause."""
        self.parts.bell.wake()

    def stop(self, timeout_s: float = 70.0) -> None:
        """Finish what is under way, give back what was not begun, and end the loops."""
        self._stop.set()
        self._hand.end()
        self.wake()
        for thread in self._threads:
            thread.join(timeout_s)
        self._hand.give_back()

    def _loop(self, name: str, round_of_work: Callable[[str], int], pause_s: float, news: News | None = None) -> None:
        """Do rounds until `stop`. After one that found nothing comes a pause, which such news ends."""
        worker = f"{self.name}-{name}"

        def run() -> None:
            while not self._stop.is_set():
                heard = self.parts.bell.heard(news)
                try:
                    done = round_of_work(worker)
                except Exception as bug:
                    write(Log.BUG, worker=worker, error_type=type(bug).__name__)
                    done = 0
                if not done and not self._stop.is_set():
                    self.parts.bell.wait(heard, pause_s, news)

        thread = threading.Thread(target=run, name=worker, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _prepare_round(self, worker: str) -> int:
        now = self.parts.clock.now()
        with self.parts.ledger.begin() as tx:
            ids = tx.claim_inbox(worker, now, now + self.parts.policy.lease, PREPARE_AT_ONCE)
        for event_ref in ids:
            prepare(self.parts, event_ref)
        return len(ids)

    def _claim_round(self, _worker: str) -> int:
        self._hand.fill()
        return 0

    def _send_round(self, _worker: str) -> int:
        claimed = self._hand.take(LOOKS_UP_S)
        if claimed is not None:
            try:
                attempt(self.parts, claimed)
            finally:
                self._hand.finished(claimed)
        return 1

    def _sweep_round(self, _worker: str) -> int:
        self.before_sweep()
        sweep(self.parts)
        return 0

    def _chore_round(self, _worker: str) -> int:
        for chore in self.chores:
            chore()
        return 0

    def _receipt_round(self, _worker: str) -> int:
        fetch_receipts(self.parts, self.sources)
        return 0
